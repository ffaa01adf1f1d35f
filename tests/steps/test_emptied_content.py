"""What a person is told to look at is what the profile, its options and the request really do to a content."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers, Level
from tests.dicom_files import instance
from tests.jobs import read_csv
from tests.steps.steps import Steps

if TYPE_CHECKING:
    from pathlib import Path

NEW: Final = ("new_patient_id", "new_study_instance_uid", "new_series_instance_uid", "new_sop_instance_uid")
EMPTIED, DRAWN = "content-emptied", "drawn-graphics"
STANDARD: Final = {"profile": "ps3.15-2026d"}
KINDS: Final[tuple[dict[str, Any], ...]] = (
    {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.104.1", "EncapsulatedDocument": b"%PDF"},
    {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.11", "ContentSequence": [{"ValueType": "TEXT"}]},
    {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.11.1", "GraphicAnnotationSequence": [{"GraphicLayer": "ONE"}]},
    {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"},
)
"""A document, a report, a presentation and an image."""


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, [EMPTIED, EMPTIED, EMPTIED, ""]),
        (STANDARD | {"options": {}}, [EMPTIED, EMPTIED, EMPTIED, ""]),
        (STANDARD | {"options": {}, "profile_options": ["clean-structured-content"]}, [EMPTIED, "", EMPTIED, ""]),
        (STANDARD | {"options": {}, "profile_options": ["clean-graphics"]}, [EMPTIED, EMPTIED, DRAWN, ""]),
        ({"options": {"DicomVersion": "2023b", "Keep": ["ContentSequence"]}}, [EMPTIED, "", EMPTIED, ""]),
        ({"options": {"DicomVersion": "2008"}}, ["", EMPTIED, "", ""]),
        ({"options": {"DicomVersion": "2008", "Remove": ["EncapsulatedDocument"]}}, [EMPTIED, EMPTIED, "", ""]),
        ({"operation": "modify", "options": {"Remove": ["ContentSequence"]}}, ["", "", "", ""]),
    ],
    ids=str,
)
def test_what_loses_its_content_is_listed(tmp_path: Path, changes: dict[str, Any], expected: list[str]) -> None:
    """By line of the manifest: documents, reports and presentations that nothing keeps, and graphics that stay."""
    (tmp_path / "source").mkdir()
    rows = []
    for number, kind in enumerate(KINDS):
        uids: dict[str, Any] = {"StudyInstanceUID": f"1.2.{number}", "SeriesInstanceUID": f"1.2.{number}.1"}
        file = instance(PatientID=f"P-{number}", SOPInstanceUID=f"1.2.{number}.1.1", **uids, **kind)
        (tmp_path / "source" / str(number)).write_bytes(file)
        rows.append(DicomIdentifiers(f"P-{number}", f"1.2.{number}", "", "").orthanc_id(Level.STUDY))
    steps = Steps(tmp_path)
    steps.plan(rows, **changes)
    steps.edit()
    steps.report()

    review = steps.run.folder / "review.csv"
    listed = read_csv(review) if review.exists() else []
    found = {line["line"]: line["reason"] for line in listed}
    assert expected == [found.get(str(line), "") for line in range(2, len(KINDS) + 2)]
    results = {path.stem for path in (tmp_path / "results").rglob("*.dcm")}
    for line in listed:
        names = DicomIdentifiers(*(line[column] for column in NEW))
        assert line["new_sop_instance_uid"] in results
        assert line["new_orthanc_id"] == names.orthanc_id(Level.INSTANCE)
