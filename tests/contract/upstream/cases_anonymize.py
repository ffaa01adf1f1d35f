"""Orthanc's tests of anonymizing: profiles, and what is kept and given.

Public names: ``CASES``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tests.contract.upstream.case import Case, Fault, Side, value_at
from tests.contract.upstream.cases_edits import JPEG_LOSSLESS
from tests.contract.upstream.cases_levels import LOOSER, STUDY
from tests.contract.upstream.checks import all_of, became, empty, gone, joined, kept, renewed
from tests.contract.upstream.material import ROOT, brainix, image, one, with_private

if TYPE_CHECKING:
    from pydicom import Dataset

    from tests.contract.upstream.case import Check, Results

_UNLINKED: Final = "up to 1.11.2 a result of Transcode is converted once more, and has no link to its original"
SOFT: Final = {"hardening": False}
ALL: Final = ("PatientID", *STUDY)
_INSTANCE: Final = (("instance", 0),)


def _method(profile: str, *, edited: bool = False) -> Check:
    """DeidentificationMethod: Orthanc's own on a server, deidflow's on files.

    With edits a server leaves the profile out, and 1.10.1 all of it; deidflow names both on each version.
    """

    def check(results: Results) -> None:
        by = "deidflow"
        if results.side is not Side.LOCAL:
            by = f"Orthanc {'.'.join(map(str, results.version))}"
        basic = "" if profile == "2008" else " Basic Profile"
        expected: str | None = f"{by} - PS 3.15-{profile} Table E.1-1{basic}"
        if edited and results.side is Side.ROUTE:
            expected = by if results.version >= (1, 12, 7) else None
        for _, result in results.pairs:
            found = value_at(result, "DeidentificationMethod")
            # What deidflow gives in Replace has a comma, since 1.10.1 drops its own words there.
            said = found.replace(f"{by}, PS", f"{by} - PS") if found else found
            assert said.startswith("deidflow - PS 3.15") if results.side is Side.LOCAL else said == expected

    return check


def _name(results: Results) -> None:
    assert all(value_at(result, "PatientName").startswith("Anonymized") for _, result in results.pairs)


def _uuid(results: Results) -> None:
    assert all(len(value_at(result, "PatientID")) == 36 for _, result in results.pairs)  # a UUID as text


def _issue_146() -> list[Dataset]:
    return [image(DeviceDescription="HELLO^C", StructureSetLabel="HELLO^D")]


def _profile(version: str) -> Check:
    newer, newest = version != "2008", version in {"2021b", "2023b"}
    return all_of(
        _method(version),
        _name,
        _uuid,
        became("PatientIdentityRemoved", "YES"),
        kept("SOPClassUID"),
        empty("StudyDate") if newer else kept("StudyDate"),
        gone("DeviceDescription") if newest else kept("DeviceDescription"),
        empty("StructureSetLabel") if newest else kept("StructureSetLabel"),
    )


def _issue_46() -> list[Dataset]:
    return [image(RequestingService="MOTHER", PatientMotherBirthName="OSIMIS")]


def _given(step: str, replaced: dict[str, str], operation: str, check: Check) -> Case:
    return Case(
        test="test_shanon" if operation == "anonymize" else "test_shanon_2",
        step=step,
        holds=f"{operation} with {step} in Replace: it is as given, what hangs below is new",
        files=one,
        operation=operation,
        options={"Replace": replaced, "Force": True},
        check=check,
        resources=_INSTANCE,
        route="instance",
        config=SOFT,
    )


_NEW: Final = {
    "PatientID": "patient",
    "StudyInstanceUID": f"{ROOT}.91",
    "SeriesInstanceUID": f"{ROOT}.92",
    "SOPInstanceUID": f"{ROOT}.93",
}
_ANONYMIZED = tuple(
    _given(
        step,
        replaced,
        "anonymize",
        all_of(
            _method("2021b", edited=bool(replaced)),
            *(became(keyword, value) for keyword, value in replaced.items()),
            *(renewed(keyword) for keyword in ALL if keyword not in replaced),
        ),
    )
    for step, replaced in (
        ("nothing", {}),
        ("PatientName", {"PatientName": "toto"}),
        *((keyword, {keyword: value}) for keyword, value in _NEW.items()),
        ("all four", _NEW),
    )
)
_MODIFIED = tuple(
    _given(
        step,
        {keyword: _NEW[keyword] for keyword in given},
        "modify",
        all_of(
            *(became(keyword, _NEW[keyword]) for keyword in given),
            *(renewed(keyword) for keyword in fresh),
            *(kept(keyword) for keyword in ALL if keyword not in {*given, *fresh}),
        ),
    )
    for step, given, fresh in (
        ("nothing", (), ("SOPInstanceUID",)),
        ("SOPInstanceUID", ("SOPInstanceUID",), ()),
        ("SeriesInstanceUID", ("SeriesInstanceUID",), ("SOPInstanceUID",)),
        ("StudyInstanceUID", ("StudyInstanceUID",), ("SeriesInstanceUID", "SOPInstanceUID")),
        ("PatientID", ("PatientID",), STUDY),
        ("all four", ALL, ()),
    )
)


def _kept_identifier(keyword: str, action: str, *, force: bool) -> Case:
    value = f"{ROOT}.9.9"
    edit: dict[str, Any] = {"Keep": [keyword]} if action == "Keep" else {"Replace": {keyword: value}}
    done = kept(keyword) if action == "Keep" else became(keyword, value)
    return Case(
        test="test_bitbucket_issue_55",
        step=f"anonymize, {keyword} in {action}, {'forced' if force else 'not forced'}",
        holds=f"{keyword} in {action} {'is done with' if force else 'is refused without'} Force",
        files=one,
        operation="anonymize",
        options={**edit, "Force": force},
        check=done if force else None,
    )


_ISSUE_55 = tuple(
    _kept_identifier(keyword, action, force=force)
    for action in ("Keep", "Replace")
    for keyword in STUDY
    for force in (False, True)
)


def _private(step: str, options: dict[str, Any], *checks: Check) -> Case:
    return Case(
        test="test_anonymize_instance",
        step=step,
        holds=f"private element and name: {step}",
        files=with_private,
        operation="anonymize",
        options=options,
        check=all_of(*checks),
        resources=_INSTANCE,
        route="instance",
    )


_INGEST: Final = {"IngestTranscoding": JPEG_LOSSLESS}


def _has_syntax(uid: str) -> Check:
    def check(results: Results) -> None:
        assert {uid} == {str(result.file_meta.TransferSyntaxUID) for _, result in results.pairs}

    return check


_INGESTED = tuple(
    Case(
        test=f"WithIngestTranscoding.test_{operation}",
        step=step,
        holds=f"a server with IngestTranscoding, {step}: the results have {wanted}",
        files=one,
        operation=operation,
        options={"Force": True, **({"Replace": {"PatientID": "TUTU"}} if operation == "modify" else {}), **asked},
        check=_has_syntax(wanted),
        resources=(("patient", 0),) if operation == "modify" else (("study", 0),),
        settings=_INGEST,
        elsewhere="a setting of servers",
        since=LOOSER if asked else (),  # the engine refuses what has no link; the route has a fault there
        faults=(Fault(Side.ROUTE, _UNLINKED, before=LOOSER),) if asked else (),
    )
    for operation in ("modify", "anonymize")
    for step, asked, wanted in (
        ("without Transcode", {}, JPEG_LOSSLESS),
        ("with Transcode", {"Transcode": "1.2.840.10008.1.2.4.80"}, "1.2.840.10008.1.2.4.80"),
    )
)

CASES: Final = (
    Case(
        test="test_anonymize_series",
        holds="a series gets new identifiers on all levels, its StationName goes",
        files=brainix,
        operation="anonymize",
        check=all_of(renewed(*ALL), joined("SeriesInstanceUID", "SOPInstanceUID"), gone("StationName")),
        resources=(("series", 0),),
    ),
    Case(
        test="test_anonymize_study",
        holds="a study with two series gets new identifiers and the name that is given",
        files=brainix,
        operation="anonymize",
        options={"Replace": {"PatientName": "Jodogne"}},
        check=all_of(renewed(*ALL), joined(*ALL), became("PatientName", "Jodogne")),
    ),
    _private("plain", {}, renewed("PatientName"), gone("00e1,10c2")),
    _private("private kept", {"Keep": ["00e1-10c2"]}, renewed("PatientName"), kept("00e1,10c2")),
    _private("both kept", {"Keep": ["00e1,10c2", "PatientName"]}, kept("PatientName", "00e1,10c2")),
    _private(
        "name kept, private replaced",
        {"Keep": ["PatientName"], "Replace": {"00e1,10c2": "Hello"}},
        kept("PatientName"),
        lambda results: _assert_text(results, 0x00E110C2, "Hello"),
    ),
    _private(
        "the example of the wiki",
        {
            "Replace": {"PatientName": "hello", "0010-0020": "world"},
            "Keep": ["StudyDescription", "SeriesDescription"],
            "KeepPrivateTags": True,
            "Force": True,
        },
        became("PatientName", "hello"),
        became("PatientID", "world"),
        kept("StudyDescription", "SeriesDescription", "00e1,10c2"),
        gone("InstitutionName"),
    ),
    Case(
        test="test_bitbucket_issue_94",
        step="anonymize",
        holds="FrameOfReferenceUID is new",
        files=one,
        operation="anonymize",
        check=renewed("FrameOfReferenceUID"),
        resources=_INSTANCE,
        route="instance",
    ),
    Case(
        test="test_bitbucket_issue_46",
        step="2008",
        holds="the profile of 2008 keeps RequestingService and PatientMotherBirthName",
        files=_issue_46,
        operation="anonymize",
        options={"DicomVersion": "2008"},
        check=kept("RequestingService", "PatientMotherBirthName"),
    ),
    Case(
        test="test_bitbucket_issue_46",
        step="2017c",
        holds="that of 2017c removes both, empties StudyDate, StudyTime and PatientSex, removes SeriesDate and -Time",
        files=_issue_46,
        operation="anonymize",
        options={"DicomVersion": "2017c"},
        check=all_of(
            gone("RequestingService", "PatientMotherBirthName", "SeriesDate", "SeriesTime"),
            empty("StudyDate", "StudyTime", "PatientSex"),
        ),
    ),
    Case(
        test="test_issue_146",
        step="nope",
        holds="an unknown profile is refused",
        files=_issue_146,
        operation="anonymize",
        options={"DicomVersion": "nope"},
        check=None,
    ),
    *(
        Case(
            test="test_issue_146",
            step=f"{version}{'' if config else ', hardened'}",
            holds=f"what the profile of {version} does, and its name in DeidentificationMethod",
            files=_issue_146,
            operation="anonymize",
            options={"DicomVersion": version},
            check=_profile(version),
            since=(1, 12, 1) if version == "2023b" else (),
            config=config,
        )
        for version in ("2008", "2017c", "2021b", "2023b")
        for config in ((SOFT, {}) if version in {"2021b", "2023b"} else (SOFT,))
    ),
    Case(
        test="test_issue_146",
        step="Replace",
        holds="with Replace, DeidentificationMethod names the program alone (engines: the profile, too)",
        files=_issue_146,
        operation="anonymize",
        options={"Replace": {"StationName": "tutu"}},
        check=all_of(became("StationName", "tutu"), _method("2021b", edited=True)),
        config=SOFT,
    ),
    *_ANONYMIZED,
    *_MODIFIED,
    *_ISSUE_55,
    *_INGESTED,
)


def _assert_text(results: Results, tag: int, text: str) -> None:
    """A private element without a known VR is UN: its value is bytes."""
    value = results.pairs[0][1][tag].value
    assert text == (value.decode().strip("\0 ") if isinstance(value, bytes) else str(value))
