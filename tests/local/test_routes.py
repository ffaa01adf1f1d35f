"""The routes' own request gives the routes' own answer: counts, order, paths, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers, Level, is_orthanc_id
from deidflow.tasks.core.errors import InstanceFailed, InvalidInput
from deidflow.tasks.core.outcomes import Outcome, ReasonCode
from deidflow.tasks.core.pseudonyms.pseudonyms import Key
from deidflow.tasks.core.request.request import Operation
from deidflow.tasks.local.routes import BulkRoutes, UnknownResource
from tests.dicom_files import Element, instance
from tests.local.edits import KEY, read
from tests.local.folders import contents

if TYPE_CHECKING:
    from pathlib import Path

LEVELS = ("Instance", "Series", "Study", "Patient")
PATHS = {"Instance": "instances", "Series": "series", "Study": "studies", "Patient": "patients"}
ANONYMIZE = {"DicomVersion": "2023b"}


def identifiers(patient: int, series: int = 1, number: int = 1) -> DicomIdentifiers:
    """Return the identifiers of one of the instances."""
    return DicomIdentifiers(
        f"P-{patient}", f"1.2.{patient}", f"1.2.{patient}.{series}", f"1.2.{patient}.{series}.{number}"
    )


def keywords(of: DicomIdentifiers) -> dict[str, Any]:
    """Return the elements that make up the identifiers."""
    return dict(zip(("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"), of, strict=True))


@pytest.fixture
def routes(tmp_path: Path) -> BulkRoutes:
    """Two patients, the first with two instances in one series, the second with one."""
    source = tmp_path / "source"
    source.mkdir()
    for patient, number in ((1, 1), (1, 2), (2, 1)):
        of = identifiers(patient, number=number)
        (source / f"{patient}-{number}").write_bytes(instance(**keywords(of), SeriesDescription="old", Modality="CT"))
    return BulkRoutes(source, tmp_path / "results", KEY)


def ids(level: Level, *of: DicomIdentifiers) -> list[str]:
    """Return Orthanc identifiers."""
    return [one.orthanc_id(level) for one in of]


UNRELATED = ids(Level.INSTANCE, identifiers(1), identifiers(2))
OF_ONE_SERIES = ids(Level.INSTANCE, identifiers(1), identifiers(1, number=2))


def counts(answer: dict[str, Any]) -> list[int]:
    """Return the number of resources per level, from the instance up."""
    return [sum(resource["Type"] == level for resource in answer["Resources"]) for level in LEVELS]


def listed(answer: dict[str, Any], level: str) -> set[str]:
    """Return the resources of a level."""
    return {resource["ID"] for resource in answer["Resources"] if resource["Type"] == level}


def test_modify_of_unrelated_instances(routes: BulkRoutes, tmp_path: Path) -> None:
    """The Orthanc Book's first sample: two new instances under their old series, studies and patients."""
    body = {"Resources": UNRELATED, "Replace": {"SeriesDescription": "HELLO"}}
    answer = routes.bulk_modify(body)

    assert [2, 2, 2, 2] == counts(answer)
    for level in (Level.SERIES, Level.STUDY, Level.PATIENT):
        assert set(ids(level, identifiers(1), identifiers(2))) == listed(answer, level.capitalize())
    assert not set(UNRELATED) & listed(answer, "Instance")
    results = [read(data) for data in contents(tmp_path / "results").values()]
    assert ["HELLO", "HELLO"] == [result.SeriesDescription for result in results]


def test_anonymize_of_unrelated_instances(routes: BulkRoutes) -> None:
    """The Orthanc Book's second sample: new resources at all levels."""
    answer = routes.bulk_anonymize({"Resources": UNRELATED, **ANONYMIZE})

    assert [2, 2, 2, 2] == counts(answer)
    known = {name for level in Level for name in routes.resources(level)}
    assert not known & {resource["ID"] for resource in answer["Resources"]}


@pytest.mark.parametrize("operation", list(Operation))
def test_instances_of_one_series(routes: BulkRoutes, operation: Operation) -> None:
    """Two instances of one series are two instances, one series, one study, one patient."""
    body: dict[str, Any] = {"Resources": OF_ONE_SERIES, **(ANONYMIZE if operation is Operation.ANONYMIZE else {})}

    assert [2, 1, 1, 1] == counts(routes.call(operation, body))


def test_shape_of_the_answer(routes: BulkRoutes) -> None:
    """Members, order of levels, order of identifiers and paths are Orthanc's."""
    answer = routes.bulk_modify({"Resources": UNRELATED})
    resources = answer.pop("Resources")

    assert {
        "Description": "REST API",
        "FailedInstancesCount": 0,
        "InstancesCount": 2,
        "IsAnonymization": False,
    } == answer
    assert all({"ID", "Path", "Type"} == set(resource) for resource in resources)
    assert resources == sorted(resources, key=lambda one: (LEVELS.index(one["Type"]), one["ID"]))
    assert [f"/{PATHS[one['Type']]}/{one['ID']}" for one in resources] == [one["Path"] for one in resources]
    assert all(is_orthanc_id(one["ID"]) for one in resources)
    assert routes.bulk_anonymize({"Resources": UNRELATED, **ANONYMIZE})["IsAnonymization"]


def test_answer_names_what_was_written(routes: BulkRoutes, tmp_path: Path) -> None:
    """The identifiers of the answer are those of the files."""
    answer = routes.bulk_anonymize({"Resources": UNRELATED, **ANONYMIZE})
    results = BulkRoutes(tmp_path / "results", tmp_path / "nowhere", KEY)

    for level in Level:
        assert set(results.resources(level)) == listed(answer, level.capitalize())


def test_modify_twice_edits_the_same_originals(routes: BulkRoutes, tmp_path: Path) -> None:
    """The second call answers the same and writes nothing new: results are no sources."""
    for body in ({"Resources": UNRELATED}, {"Resources": ids(Level.STUDY, identifiers(1))}):
        first = routes.bulk_modify({**body, "Replace": {"SeriesDescription": "HELLO"}})
        written = contents(tmp_path / "results")
        assert first == routes.bulk_modify({**body, "Replace": {"SeriesDescription": "HELLO"}})
        assert written == contents(tmp_path / "results")


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ([], 0),
        (ids(Level.PATIENT, identifiers(1)), 2),
        (ids(Level.STUDY, identifiers(1), identifiers(2)), 3),
        (ids(Level.SERIES, identifiers(2)), 1),
        (OF_ONE_SERIES * 3, 2),
        (ids(Level.PATIENT, identifiers(1)) + OF_ONE_SERIES + ids(Level.SERIES, identifiers(1)), 2),
    ],
)
def test_resources_of_any_level(routes: BulkRoutes, resources: list[str], expected: int) -> None:
    """Resources may be of any level, mixed, repeated and overlapping; each instance is edited once."""
    answer = routes.bulk_modify({"Resources": resources})

    assert expected == answer["InstancesCount"] == counts(answer)[0]


@pytest.mark.parametrize(
    "unknown", ["00000000-00000000-00000000-00000000-00000000", "no-id", "", UNRELATED[0].upper(), f" {UNRELATED[0]}"]
)
def test_unknown_resource(routes: BulkRoutes, tmp_path: Path, unknown: str) -> None:
    """One unknown resource refuses the whole call before any work, with Permissive, too."""
    for permissive in (False, True):
        with pytest.raises(UnknownResource):
            routes.bulk_modify({"Resources": [*UNRELATED, unknown], "Permissive": permissive})
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("operation", "body", "where"),
    [
        (Operation.MODIFY, {}, "Resources"),
        (Operation.MODIFY, {"Resources": UNRELATED[0]}, "Resources"),
        (Operation.MODIFY, {"Resources": [1]}, "Resources"),
        (Operation.ANONYMIZE, {"Resources": UNRELATED}, "DicomVersion"),
        (Operation.ANONYMIZE, {"Resources": UNRELATED, "DicomVersion": "1999"}, "DicomVersion"),
        (Operation.MODIFY, {"Resources": UNRELATED, "KeepSource": False}, "KeepSource"),
        (Operation.MODIFY, {"Resources": UNRELATED, "Transcode": "1.2.3"}, "Transcode"),
        (Operation.MODIFY, {"Resources": UNRELATED, "Replace": {"PatientID": "X"}}, "PatientID"),
        (Operation.MODIFY, {"Resources": UNRELATED, "Repalce": {}}, "Repalce"),
    ],
    ids=lambda value: str(value) if isinstance(value, str) else "",
)
def test_bad_requests(
    routes: BulkRoutes, tmp_path: Path, operation: Operation, body: dict[str, Any], where: str
) -> None:
    """What is wrong is named, and nothing is done."""
    with pytest.raises(InvalidInput, match=where) as caught:
        routes.call(operation, body)
    assert not isinstance(caught.value, UnknownResource)
    assert not (tmp_path / "results").exists()


def test_collision_of_new_identifiers(routes: BulkRoutes, tmp_path: Path) -> None:
    """Two instances that would become one fail by name, both; Orthanc loses one of them without a word."""
    body = {"Resources": [*OF_ONE_SERIES, UNRELATED[1]], "Replace": {"SOPInstanceUID": "1.2.99"}, "Force": True}
    with pytest.raises(InstanceFailed) as caught:
        routes.bulk_modify(body)
    assert ReasonCode.IDENTIFIER_COLLISION is caught.value.code
    answer = routes.bulk_modify({**body, "Permissive": True})

    assert (3, 2) == (answer["InstancesCount"], answer["FailedInstancesCount"])
    assert [1, 1, 1, 1] == counts(answer)
    assert 1 == len(contents(tmp_path / "results"))


def test_permissive(routes: BulkRoutes, tmp_path: Path) -> None:
    """A failing instance is an error, or with Permissive a number; the others are done either way."""
    body = {"Resources": UNRELATED, "Replace": {"Rows": "many"}}
    with pytest.raises(InstanceFailed) as caught:
        routes.bulk_modify(body)
    assert ReasonCode.BAD_VALUE is caught.value.code

    source = tmp_path / "source" / "1-1"
    source.write_bytes(source.read_bytes() + b"\x28\0")
    damaged = BulkRoutes(tmp_path / "source", tmp_path / "results", KEY)
    answer = damaged.bulk_modify({"Resources": UNRELATED, "Permissive": True})
    assert (2, 1) == (answer["InstancesCount"], answer["FailedInstancesCount"])
    assert [1, 1, 1, 1] == counts(answer)
    assert set(ids(Level.PATIENT, identifiers(2))) == listed(answer, "Patient")


def test_copies_of_an_instance(routes: BulkRoutes, tmp_path: Path) -> None:
    """Identical files count as one; different files that claim to be one instance fail by name."""
    source = tmp_path / "source"
    (source / "copy").write_bytes((source / "1-1").read_bytes())
    other = instance(Element(0x00204000, "LT", b"other "), **keywords(identifiers(2)))
    (source / "other").write_bytes(other)
    again = BulkRoutes(source, tmp_path / "results", KEY)
    plan, results = again.apply(Operation.MODIFY, {"Resources": UNRELATED})

    assert UNRELATED == [one.original.orthanc_id(Level.INSTANCE) for one in plan] or len(plan) == 2
    by_patient = {one.original.patient_id: result for one, result in zip(plan, results, strict=True)}
    assert Outcome.DONE is by_patient["P-1"].outcome
    assert ReasonCode.AMBIGUOUS_SOURCE is by_patient["P-2"].code


def test_plan_and_results_in_one_order(routes: BulkRoutes) -> None:
    """What became of each instance stands in the order of the plan, one result each."""
    plan, results = routes.apply(Operation.MODIFY, {"Resources": routes.resources(Level.PATIENT)})

    assert [one.id for one in plan] == [result.id for result in results]
    originals = [one.original.orthanc_id(Level.INSTANCE) for one in plan]
    assert sorted(originals) == originals


def test_other_key_and_other_scope(tmp_path: Path, routes: BulkRoutes) -> None:
    """Identifiers follow from key and scope: another of either gives entirely other ones."""
    body = {"Resources": UNRELATED, **ANONYMIZE}
    first = routes.bulk_anonymize(body)
    source = tmp_path / "source"
    others = [
        BulkRoutes(source, tmp_path / "key", Key(b"k" * 32)).bulk_anonymize(body),
        BulkRoutes(source, tmp_path / "scope", KEY, scope="other").bulk_anonymize(body),
    ]
    found = [{resource["ID"] for resource in answer["Resources"]} for answer in (first, *others)]

    assert 24 == len(set().union(*found))
    assert first == BulkRoutes(source, tmp_path / "same", KEY).bulk_anonymize(body)


def test_hardening_and_overwrite_reach_the_files(tmp_path: Path) -> None:
    """The keywords of the routes do what they say."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "one").write_bytes(instance(Element(0x60003000, "OW", b"\1\2")))
    resources = BulkRoutes(source, tmp_path / "out", KEY).resources(Level.INSTANCE)
    for hardening in (False, True):
        routes = BulkRoutes(source, tmp_path / "out", KEY, hardening=hardening, overwrite=True)
        routes.bulk_anonymize({"Resources": resources, **ANONYMIZE})
        (result,) = contents(tmp_path / "out").values()
        assert hardening is (0x60003000 not in read(result))
    with pytest.raises(InstanceFailed) as caught:
        BulkRoutes(source, tmp_path / "out", KEY, hardening=False).bulk_anonymize({"Resources": resources, **ANONYMIZE})
    assert ReasonCode.DESTINATION_CONFLICT is caught.value.code


def test_transcode(routes: BulkRoutes, tmp_path: Path) -> None:
    """Transcode gives results in the syntax that was asked for."""
    routes.bulk_modify({"Resources": UNRELATED, "Transcode": "1.2.840.10008.1.2"})

    syntaxes = {read(data).file_meta.TransferSyntaxUID for data in contents(tmp_path / "results").values()}
    assert {"1.2.840.10008.1.2"} == syntaxes


def test_members_of_the_job(routes: BulkRoutes) -> None:
    """What tells an Orthanc how to run its job is part of the request and changes no result."""
    plain = routes.bulk_modify({"Resources": UNRELATED})
    told = {"Synchronous": False, "Asynchronous": True, "Priority": -3, "UserData": {"any": ["thing"]}}

    assert plain == routes.bulk_modify({"Resources": UNRELATED, **told})
    for member in ("Synchronous", "Asynchronous"):
        with pytest.raises(InvalidInput) as caught:
            routes.bulk_modify({"Resources": UNRELATED, member: "yes"})
        assert [member] == [problem.key for problem in caught.value.problems]


def test_jpeg_lossless_and_what_no_codec_writes(routes: BulkRoutes) -> None:
    """A target of the extra `codecs` works; one that loses pixels is refused with those that are written."""
    routes.bulk_modify({"Resources": UNRELATED, "Transcode": "1.2.840.10008.1.2.4.70"})
    with pytest.raises(InvalidInput) as caught:
        routes.bulk_modify({"Resources": UNRELATED, "Transcode": "1.2.840.10008.1.2.4.50"})

    assert ".70" in caught.value.problems[0].text
