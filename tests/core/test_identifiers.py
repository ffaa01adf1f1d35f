"""Orthanc's identifiers, and which ones the result of an instance has."""

from __future__ import annotations

from hashlib import sha1
from typing import Any

import pytest

from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers, Level, is_orthanc_id, orthanc_id
from deidflow.tasks.core.pseudonyms.new_identifiers import new_identifiers, new_patient_name
from deidflow.tasks.core.pseudonyms.pseudonyms import Key, Pseudonyms
from deidflow.tasks.core.request.request import Operation, parse_request

ORIGINAL = DicomIdentifiers("4MR1", "1.2.3", "1.2.3.4", "1.2.3.4.5")
KEYED = Pseudonyms(Key(bytes(range(32))), "trial")


def test_golden_identifiers() -> None:
    """SHA-1 of the DICOM identifiers joined by | (Orthanc Book, "Orthanc identifiers")."""
    assert ORIGINAL.orthanc_ids() == (
        "23755877-c2ffb60d-d0df4093-e1f071a3-68b19506",
        "48c8c37b-cd694661-dfecdd8d-430acb7a-4365d322",
        "a7d38273-b5fc1ee9-bbe34f47-61d70aa7-eb4254b4",
        "52290a88-c6b50356-04400288-b6af1544-9906f8c6",
    )


@pytest.mark.parametrize("level", Level)
def test_the_formula(level: Level) -> None:
    """Recomputed from the bytes, with letters beyond ASCII as UTF-8."""
    identifiers = DicomIdentifiers("É東", *ORIGINAL[1:])
    digest = sha1("|".join(identifiers[: level.depth + 1]).encode()).hexdigest()  # noqa: S324 (Orthanc's)

    assert identifiers.orthanc_id(level).replace("-", "") == digest
    assert identifiers.orthanc_id(level) == orthanc_id(*identifiers[: level.depth + 1])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("b6589fc6-ab0dc82c-f12099d1-c2d40ab9-94e8410c", True),
        ("B6589FC6-AB0DC82C-F12099D1-C2D40AB9-94E8410C", False),
        ("b6589fc6-ab0dc82c-f12099d1-c2d40ab9-94e8410c\n", False),
        ("b6589fc6ab0dc82cf12099d1c2d40ab994e8410c", False),
        ("b6589fc6-ab0dc82c-f12099d1-c2d40ab9", False),
        ("", False),
    ],
)
def test_the_form_of_an_identifier(text: str, *, expected: bool) -> None:
    """Five groups of eight lower-case hex digits."""
    assert is_orthanc_id(text) is expected


def changed(operation: Operation, body: dict[str, Any], original: DicomIdentifiers = ORIGINAL) -> str:
    """Return one letter for each identifier: kept, generated or given."""
    new = new_identifiers(original, parse_request(operation, {"Force": True} | body), KEYED)
    generated = (KEYED.patient_id(original[0] or original[1]), *(KEYED.uid(uid) for uid in original[1:]))
    return "".join(
        "k" if value == old else "g" if value == fresh else "x"
        for value, old, fresh in zip(new, original, generated, strict=True)
    )


@pytest.mark.parametrize(
    ("operation", "body", "expected"),
    [
        ("modify", {}, "kkkg"),
        ("modify", {"Level": "Series"}, "kkgg"),
        ("modify", {"Level": "Study"}, "kggg"),
        ("modify", {"Level": "Patient"}, "kggg"),
        ("modify", {"Replace": {"PatientID": "new"}}, "xggg"),
        ("modify", {"Replace": {"PatientID": "new"}, "Keep": ["StudyInstanceUID"]}, "xkgg"),
        ("modify", {"Replace": {"StudyInstanceUID": "1.9"}}, "kxgg"),
        ("modify", {"Replace": {"SOPInstanceUID": "1.9"}}, "kkkx"),
        ("modify", {"Keep": ["SOPInstanceUID"]}, "kkkk"),
        ("anonymize", {}, "gggg"),
        ("anonymize", {"Replace": {"PatientID": "new"}, "Keep": ["SeriesInstanceUID"]}, "xgkg"),
        ("anonymize", {"Level": "Instance"}, "gggg"),
    ],
)
def test_which_identifiers_change(operation: str, body: dict[str, Any], expected: str) -> None:
    """The table of docs/orthanc.md, Which identifiers change."""
    assert changed(Operation(operation), body) == expected


def test_an_absent_patient_id_is_keyed_by_the_study() -> None:
    """Strangers without PatientID do not become one patient."""
    one, other = (DicomIdentifiers("", study, "1", "2") for study in ("1.2.3", "1.2.4"))
    request = parse_request(Operation.ANONYMIZE, {})
    new = [new_identifiers(original, request, KEYED).patient_id for original in (one, other)]

    assert new == [KEYED.patient_id("1.2.3"), KEYED.patient_id("1.2.4")]


def test_given_values_are_taken_as_they_read_back() -> None:
    """Trailing blanks are padding, and Orthanc drops blanks in UIDs."""
    body = {"Force": True, "Replace": {"PatientID": " A  ", "StudyInstanceUID": "1. 2"}}
    new = new_identifiers(ORIGINAL, parse_request(Operation.ANONYMIZE, body), KEYED)

    assert (new.patient_id, new.study_instance_uid) == (" A", "1.2")


def test_the_generated_name() -> None:
    """``Anonymized^`` and eight characters of the new PatientID."""
    assert new_patient_name("4d80ed7e-e527-8049") == "Anonymized^4d80ed7e"
