"""Orthanc's tests of which identifiers change, and which may be changed.

Public names: ``CASES``.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from tests.contract.upstream.case import Case, Fault, Side, value_at
from tests.contract.upstream.checks import all_of, became, joined, kept, left, renewed
from tests.contract.upstream.material import BRAINIX, KNEE, ROOT, TEST, brainix, image, one, two_patients

if TYPE_CHECKING:
    from pydicom import Dataset

    from tests.contract.upstream.case import Check, Results

LOOSER: Final = (1, 11, 3)
"""Since then identifiers above the level of a request can be replaced, and attributes of patients are compared."""

IN_PLACE: Final = "a result would stand in the place of its original"
KEEPS_SOP: Final = "the originals are never deleted where a result could have its original's SOPInstanceUID"
STUDY: Final = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
KEEP_ALL: Final = {"Keep": list(STUDY), "Force": True}
PATIENT: Final = ("patient", 0)
MERGE: Final = {"pseudonyms": {"key_env": "TEST_DEIDFLOW_KEY", "allow_merge": True}}


def _half_a_study() -> list[Dataset]:
    return [*(image("1", "1", number) for number in range(1, 5)), image("1", "2")]


def _without_patient_id() -> list[Dataset]:
    return [image(PatientID=None)]


def _patient_of_two_studies() -> list[Dataset]:
    return [image("3", **TEST), image("4", **TEST)]


def _two_studies_and_a_knee() -> list[Dataset]:
    return [*_patient_of_two_studies(), image("2", **KNEE)]


def _knee_and_a_patient_with(sex: str | None) -> list[Dataset]:
    patient: dict[str, str | None] = {**BRAINIX, "PatientSex": sex}
    return [image("2", **KNEE), image(**patient)]


def _shown(level: str, keyword: str, value: str) -> Check:
    """The server shows this value of the result's study or patient, and the files have it, too."""
    place, tags = {"patient": ("patient", "MainDicomTags"), "study": ("study", "MainDicomTags")}[level]

    def check(results: Results) -> None:
        became(keyword, value)(results)
        if results.server is not None and results.version >= LOOSER:
            for name in results.server.get("instances"):
                if value_at(results.server.dataset(name), "SOPInstanceUID") in {
                    value_at(result, "SOPInstanceUID") for _, result in results.pairs
                }:
                    assert value == results.server.get(f"instances/{name}/{place}")[tags][keyword]

    return check


_RENAMED: Final = {"PatientID": "5YP0E"}

_CASING = tuple(
    Case(
        test=f"change_patient_id_case_in_{level}_keep_source_{'true' if keep else 'false'}",
        holds=f"a PatientID in other capitals, the three UIDs kept: the originals {'stay' if keep else 'go'}",
        files=one,
        options={"Replace": _RENAMED, **KEEP_ALL, "KeepSource": keep},
        check=all_of(became("PatientID", "5YP0E"), kept(*STUDY), left(1 if keep else 0)),
        resources=((level, 0),),
        since=LOOSER if level == "study" else (),
        refused="" if keep else KEEPS_SOP,
    )
    for level in ("patient", "study")
    for keep in (True, False)
)

_UNCHECKED: Final = "1.13.0 takes a study into a patient although not all his attributes are given"
_ATTACHING: Final[tuple[tuple[str, str | None, str, dict[str, str], bool], ...]] = (
    ("missing", None, "the patient's own attributes", {}, True),
    ("missing", None, "an empty sex", {"PatientSex": ""}, False),
    ("missing", None, "another sex", {"PatientSex": "M"}, False),
    ("empty", "", "the patient's own attributes", {"PatientSex": ""}, True),
    ("empty", "", "another sex", {"PatientSex": "M"}, False),
    ("empty", "", "no sex", {}, False),
)
_SEX = tuple(
    Case(
        test=f"change_patient_id_when_patient_sex_is_{state}",
        step=what,
        holds=f"a study goes to a patient whose sex is {state}, with {what}: {'done' if done else 'refused'}",
        files=partial(_knee_and_a_patient_with, sex),
        options={
            "Replace": {key: value for key, value in BRAINIX.items() if key != "PatientSex"} | dict(given),
            **KEEP_ALL,
        },
        check=all_of(became("PatientID", BRAINIX["PatientID"]), kept(*STUDY)) if done else None,
        since=LOOSER,
        config=MERGE,
        elsewhere="" if done else "checks what a server holds",
        faults=(Fault(Side.ROUTE, _UNCHECKED, (1, 13)),) if (state, what) == ("empty", "no sex") else (),
    )
    for state, sex, what, given, done in _ATTACHING
)

_EDITED_SEX = tuple(
    Case(
        test=f"change_patient_id_when_patient_sex_is_{state}",
        step="in place",
        holds=f"PatientSex becomes {state} with all identifiers kept",
        files=one,
        options={**edit, **KEEP_ALL},
        check=kept("PatientID", *STUDY),
        server=IN_PLACE,
    )
    for state, edit in (("missing", {"Remove": ["PatientSex"]}), ("empty", {"Replace": {"PatientSex": ""}}))
)


def _forced(test: str, level: str, keyword: str, value: str, *, since: tuple[int, ...] = ()) -> list[Case]:
    """An identifier in Replace: refused without Force, done with it."""
    return [
        Case(
            test=test,
            step=f"{keyword} at {level}, {'forced' if force else 'not forced'}",
            holds=f"{keyword} in Replace at level {level} {'is done with' if force else 'is refused without'} Force",
            files=one,
            options={"Replace": {keyword: value}, "Force": force},
            check=became(keyword, value) if force else None,
            resources=((level, 0),),
            route="instance" if level == "instance" else "level",
            since=since if force else (),
        )
        for force in (False, True)
    ]


_UID: Final = f"{ROOT}.9.9"
_FORCE = (
    *_forced("test_modify_need_force_to_change_uids", "study", "StudyInstanceUID", _UID),
    *_forced("test_modify_need_force_to_change_uids", "series", "SeriesInstanceUID", _UID),
    *_forced("test_modify_need_force_to_change_uids", "instance", "SOPInstanceUID", _UID),
    *_forced("test_modify_need_force_to_change_uids", "study", "PatientID", "NEW", since=LOOSER),
    *_forced("test_modify_need_force_to_change_uids", "series", "StudyInstanceUID", _UID, since=LOOSER),
    *_forced("test_modify_need_force_to_change_uids", "instance", "SeriesInstanceUID", _UID),
    *(_forced("test_bitbucket_issue_55", "study", "StudyInstanceUID", _UID)),
    *(_forced("test_bitbucket_issue_55", "study", "SeriesInstanceUID", _UID)),
    *(_forced("test_bitbucket_issue_55", "study", "SOPInstanceUID", _UID)),
)

_STUDY_MODULE = (
    ("study", {"StudyDescription": "TOTO"}, _shown("study", "StudyDescription", "TOTO"), "its description"),
    ("study", {"PatientName": "TOTO"}, _shown("patient", "PatientName", "TOTO"), "the patient's name"),
    (
        "study",
        {"PatientName": "TOTO", "PatientID": "TOTO_ID"},
        all_of(_shown("patient", "PatientName", "TOTO"), became("PatientID", "TOTO_ID")),
        "the patient's name and PatientID",
    ),
    ("series", {"SeriesDescription": "TOTO"}, became("SeriesDescription", "TOTO"), "a series' description"),
)
_RECONSTRUCTION = tuple(
    Case(
        test="test_modify_study_module_reconstruction",
        step=what,
        holds=f"{what} is replaced and the identifiers of the level given with their old values: the study stays",
        files=brainix,
        options={
            "Replace": {"StudyInstanceUID": f"{ROOT}.1"}
            | ({"SeriesInstanceUID": f"{ROOT}.1.1"} if level == "series" else {})
            | edits,
            "Force": True,
        },
        check=all_of(check, kept("StudyInstanceUID"), renewed("SOPInstanceUID")),
        resources=((level, 0),),
        since=LOOSER if level == "series" or "PatientID" in edits else (),
    )
    for level, edits, check, what in _STUDY_MODULE
)

_NAME: Final = {"Replace": {"PatientName": "TOTO"}, "Force": True}
_GIVEN: Final = {"PatientID": "TEST_1", "PatientName": "Test", "PatientBirthDate": "19000101", "PatientSex": "M"}


def _rename(step: str, holds: str, check: Check | None, **more: object) -> Case:
    return Case(
        test="test_rename_patient_with_multiple_studies",
        step=step,
        holds=holds,
        check=check,
        **{"files": _patient_of_two_studies, "options": _NAME, "since": LOOSER, **more},  # type: ignore[arg-type]
    )


_BOTH = renewed("SOPInstanceUID")
_WHAT_A_SERVER_HOLDS: Final = "checks what a server holds"
_RENAMES = (
    _rename(
        "one study",
        "the name of a patient with another study cannot be changed in one of them",
        None,
        elsewhere=_WHAT_A_SERVER_HOLDS,
    ),
    _rename(
        "patient",
        "all studies get the name, the originals go",
        all_of(_shown("patient", "PatientName", "TOTO"), renewed(*STUDY), joined(*STUDY), left(0)),
        resources=(PATIENT,),
        options={**_NAME, "KeepSource": False},
    ),
    _rename(
        "patient, studies and series kept",
        "all studies get the name and keep their UIDs, the originals go",
        all_of(_shown("patient", "PatientName", "TOTO"), kept(*STUDY[:2]), _BOTH, left(0)),
        resources=(PATIENT,),
        options={**_NAME, "Keep": list(STUDY[:2]), "KeepSource": False},
    ),
    _rename(
        "all UIDs kept, originals to go",
        "is refused: the results would go with the originals",
        None,
        resources=(PATIENT,),
        options={**_NAME, "Keep": list(STUDY), "KeepSource": False},
    ),
    _rename(
        "all UIDs kept, originals to stay",
        "the results take the places of the originals",
        all_of(_shown("patient", "PatientName", "TOTO"), kept(*STUDY)),
        resources=(PATIENT,),
        options={**_NAME, "Keep": list(STUDY)},
        server=IN_PLACE,
    ),
    *(
        _rename(
            f"to another patient, {what}",
            f"a study goes to a patient with other studies, {what}: {'done' if done else 'refused'}",
            all_of(*(became(keyword, value) for keyword, value in given.items()), left(0)) if done else None,
            files=_two_studies_and_a_knee,
            resources=(("study", 2),),
            options={"Replace": given, "Force": True, "KeepSource": False},
            config=MERGE,
            elsewhere="" if done else _WHAT_A_SERVER_HOLDS,
        )
        for what, given, done in (
            ("PatientID alone", {"PatientID": "TEST_1"}, False),
            ("another sex", {**_GIVEN, "PatientSex": "F"}, False),
            ("an attribute more", {**_GIVEN, "OtherPatientIDs": "TUTU"}, False),
            ("all attributes", _GIVEN, True),
        )
    ),
    *(
        _rename(
            f"only study, {what}",
            f"the only study of a patient: {what} can be replaced",
            all_of(*(became(keyword, value) for keyword, value in given.items()), kept(*kept_too), left(0)),
            files=_two_studies_and_a_knee,
            resources=(("study", 2),),
            options={"Replace": given, "Keep": kept_too, "Force": True, "KeepSource": False},
            since=LOOSER if "PatientID" in given else (),
        )
        for what, given, kept_too in (
            ("name", {"PatientName": "Test Knee", "StudyDescription": "Knee study"}, ["StudyInstanceUID"]),
            ("name and PatientID", {"PatientName": "Test Knee 2", "PatientID": "TEST_KNEE_2"}, []),
        )
    ),
)

CASES: Final = (
    Case(
        test="test_modify_series",
        holds="a series gets a new UID within its study, each instance too, all four have the new name",
        files=_half_a_study,
        options={"Replace": {"PatientName": "Jodogne"}},
        check=all_of(
            became("PatientName", "Jodogne"),
            kept("PatientID", "StudyInstanceUID"),
            renewed("SeriesInstanceUID", "SOPInstanceUID"),
            joined("SeriesInstanceUID", "SOPInstanceUID"),
            left(4),
        ),
        resources=(("series", 0),),
        quick=True,
    ),
    Case(
        test="test_modify_study",
        holds="a study and its two series get new UIDs, all instances have the new name",
        files=brainix,
        options={"Replace": {"PatientName": "Jodogne"}},
        check=all_of(became("PatientName", "Jodogne"), kept("PatientID"), renewed(*STUDY), joined(*STUDY), left(4)),
    ),
    *_CASING,
    *_EDITED_SEX,
    *_SEX,
    Case(
        test="test_mesterhazy_modification",
        holds="a modified series stays in its study",
        files=one,
        options={"Replace": {"SeriesDate": "19990101"}},
        check=all_of(became("SeriesDate", "19990101"), kept("StudyInstanceUID"), renewed("SeriesInstanceUID")),
        resources=(("series", 0),),
    ),
    Case(
        test="test_modifying_missing_patientid",
        holds="a study without a PatientID is modified",
        files=_without_patient_id,
        check=renewed(*STUDY),
    ),
    Case(
        test="test_bitbucket_issue_42",
        holds="a patient gets another PatientID and name",
        files=brainix,
        options={"Replace": {"PatientID": "Hello", "PatientName": "Sample patient name"}, "Force": True},
        check=all_of(
            became("PatientID", "Hello"), became("PatientName", "Sample patient name"), renewed(*STUDY), joined(*STUDY)
        ),
        resources=(PATIENT,),
    ),
    *_FORCE,
    *_RECONSTRUCTION,
    *_RENAMES,
    Case(
        test="test_rename_patient_almost_same_ids",
        holds="PatientIDs that differ by an underscore are two patients",
        files=two_patients,
        options={"Replace": {"PatientName": "TOTO", "PatientID": "_5Yp0E"}, **KEEP_ALL},
        check=all_of(became("PatientID", "_5Yp0E"), became("PatientName", "TOTO"), kept(*STUDY)),
        resources=(("study", 1),),
        since=(1, 12, 11),
        engine_since=(1, 11, 3),
    ),
    Case(
        test="test_reconstruct",
        holds="a study whose instance gets another SOPInstanceUID and class and keeps the UIDs above",
        files=one,
        options={
            "Replace": {
                "StudyDescription": "hello",
                "SeriesDescription": "world",
                "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2",
                "SOPInstanceUID": f"{ROOT}.8",
            },
            "Keep": list(STUDY[:2]),
            "Force": True,
        },
        check=all_of(
            became("StudyDescription", "hello"),
            became("SeriesDescription", "world"),
            became("SOPClassUID", "1.2.840.10008.5.1.4.1.1.2"),
            became("SOPInstanceUID", f"{ROOT}.8"),
            kept("PatientID", *STUDY[:2]),
        ),
    ),
    Case(
        test="test_overwrite_generates_stable_study",
        holds="an instance with another SOPInstanceUID lands in the same study",
        files=one,
        options={"Replace": {"InstitutionName": "hello", "SOPInstanceUID": f"{ROOT}.7"}, "Force": True},
        check=all_of(became("SOPInstanceUID", f"{ROOT}.7"), kept("PatientID", *STUDY[:2])),
        resources=(("instance", 0),),
        route="instance",
    ),
)
