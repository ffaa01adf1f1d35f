"""The arguments of a bulk call: reading, level, body, and what is refused before any work."""

from __future__ import annotations

from typing import Any

import pytest

from deidflow.tasks.core.dicom.identifiers import Level
from deidflow.tasks.core.errors import InvalidInput
from deidflow.tasks.core.request.request import DICOM_VERSIONS, Operation, Request, check_request, parse_request


def modify(**body: Any) -> Request:
    """Read the body of a modify call."""
    return parse_request(Operation.MODIFY, body)


def problems(operation: Operation, body: dict[str, Any]) -> list[tuple[str, str]]:
    """Return member and text of each problem of a body."""
    with pytest.raises(InvalidInput) as caught:
        parse_request(operation, body)
    return [(problem.column, problem.text) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("body", "level"),
    [
        ({}, Level.INSTANCE),
        ({"Replace": {"StudyDescription": "a"}}, Level.INSTANCE),
        ({"Replace": {"SeriesInstanceUID": "1"}, "Force": True}, Level.SERIES),
        ({"Replace": {"SeriesInstanceUID": "1", "StudyInstanceUID": "1"}, "Force": True}, Level.STUDY),
        ({"Replace": {"PatientID": "1", "StudyInstanceUID": "1"}, "Force": True}, Level.PATIENT),
        ({"Level": "series"}, Level.SERIES),
        ({"Level": "STUDY", "Replace": {"PatientID": "1"}, "Force": True}, Level.STUDY),
    ],
)
def test_the_level_of_modify(body: dict[str, Any], level: Level) -> None:
    """``Level`` in any case, or the highest identifier in Replace, or the instance (docs/orthanc.md, Options)."""
    assert modify(**body).level() is level


def test_anonymize_changes_all_levels() -> None:
    """``Level`` does not count there."""
    assert parse_request(Operation.ANONYMIZE, {"Level": "Series"}).level() is Level.PATIENT


def test_the_body_that_orthanc_reads() -> None:
    """Tags are numbers in ascending order, defaults are left out, names are Orthanc's."""
    request = modify(
        Replace={"StudyID": "a", "ProcedureCodeSequence": [{"CodeValue": "b"}]},
        Remove=["ProcedureCodeSequence[*].CodeMeaning", "StudyID", "AccessionNumber"],
        Keep=[],
        Level="study",
        KeepSource=True,
        Priority=-1,
    )

    assert request.body() == {
        "Replace": {"0008,1032": [{"0008,0100": "b"}], "0020,0010": "a"},
        "Remove": ["0008,0050", "0008,1032[*].0008,0104"],
        "Level": "Study",
        "Priority": -1,
    }


def test_equal_requests_have_one_canonical_text() -> None:
    """Spelling and order do not count; operation and values do."""
    first = modify(Replace={"StudyID": "a", "AccessionNumber": "b"}, Remove=["SeriesDate", "StudyDate"])
    second = modify(Replace={"0008,0050": "b", "0020,0010": "a"}, Remove=["0008,0020", "SeriesDate"])

    assert first == second
    assert first.canonical() == second.canonical()
    assert first.canonical() != modify(Replace={"StudyID": "c"}).canonical()
    assert modify().canonical() != parse_request(Operation.ANONYMIZE, {}).canonical()


def test_the_content_hash_is_about_the_result_alone() -> None:
    """Priority and the fate of the source do not change the result; level, values and syntax do."""
    plain = modify(Replace={"StudyID": "a"})

    assert modify(Replace={"StudyID": "a"}, Priority=3, Level="Instance").content_hash() == plain.content_hash()
    for other in (
        modify(Replace={"StudyID": "b"}),
        modify(Replace={"StudyID": "a"}, Level="Study"),
        modify(Replace={"StudyID": "a"}, RemovePrivateTags=True),
        modify(Replace={"StudyID": "a"}, Transcode="1.2.840.10008.1.2.1"),
    ):
        assert other.content_hash() != plain.content_hash()


def test_all_problems_come_at_once() -> None:
    """Each under the member that is to blame."""
    found = problems(
        Operation.ANONYMIZE,
        {
            "Replace": {"patientid": "a", "StudyID": 7},
            "Remove": "StudyDate",
            "Keep": ["0008:0020"],
            "Force": "yes",
            "DicomVersion": "2022",
            "Level": "exam",
            "LossyQuality": 101,
            "Priority": True,
            "Transcode": 1,
            "Resources": [],
            "KeepSauce": True,
        },
    )

    assert [column for column, _ in found] == [
        "Replace.patientid",
        "Replace.StudyID",
        "Remove",
        "Keep.0008:0020",
        "DicomVersion",
        "Force",
        "Level",
        "Transcode",
        "LossyQuality",
        "Priority",
        "Resources",
        "KeepSauce",
    ]


@pytest.mark.parametrize("name", ["PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"])
def test_identifiers_need_force(name: str) -> None:
    """At top level, in Replace and Keep; nested ones are free."""
    for body in ({"Replace": {name: "1"}}, {"Keep": [name]}):
        (column, text) = problems(Operation.MODIFY, body)[0]
        assert name in column
        assert "Force" in text
        modify(**body, Force=True)
    modify(Replace={f"ReferencedSeriesSequence[*].{name}": "1"})


@pytest.mark.parametrize("name", ["PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"])
def test_identifiers_cannot_be_removed(name: str) -> None:
    """Not with Force either (docs/orthanc.md, Options)."""
    assert [column for column, _ in problems(Operation.MODIFY, {"Remove": [name], "Force": True})] == [f"Remove.{name}"]


@pytest.mark.parametrize("name", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"])
@pytest.mark.parametrize("value", ["", "  "])
def test_uids_cannot_be_empty(name: str, value: str) -> None:
    """Orthanc refuses them at run time (docs/orthanc.md, Which identifiers change); an empty PatientID is accepted."""
    found = problems(Operation.MODIFY, {"Replace": {name: value}, "Force": True})

    assert found == [(f"Replace.{name}", "a UID must not be empty")]
    modify(Replace={"PatientID": ""}, Force=True)


@pytest.mark.parametrize(
    ("body", "column"),
    [
        ({"Permissive": True}, "KeepSource"),
        ({"Keep": ["SOPInstanceUID"], "Force": True}, "Keep.SOPInstanceUID"),
        ({"Replace": {"SOPInstanceUID": "1.2"}, "Force": True}, "Replace.SOPInstanceUID"),
    ],
)
@pytest.mark.parametrize("operation", Operation)
def test_sources_are_not_deleted_when_data_could_be_lost(
    operation: Operation, body: dict[str, Any], column: str
) -> None:
    """docs/orthanc.md, hazards 3 and 4."""
    assert [found for found, _ in problems(operation, body | {"KeepSource": False})] == [column]
    parse_request(operation, body)


@pytest.mark.parametrize("version", DICOM_VERSIONS)
def test_a_sound_request_has_no_problem(version: str) -> None:
    """Nothing is found where nothing is wrong."""
    request = parse_request(Operation.ANONYMIZE, {"DicomVersion": version, "KeepSource": False})

    assert check_request(request) == []
