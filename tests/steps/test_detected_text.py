"""``pixels.detect``: instances at risk in whose result text can be seen are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file

from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers, Level
from deidflow.tasks.local.viewing.text_detector import can_detect
from tests.steps.steps import Steps

if TYPE_CHECKING:
    from pathlib import Path

NAME = "examples_rgb_color.dcm"
RULE = """\
rules:
- name: ours
  when: {SOPClassUID: 1.2.840.10008.5.1.4.1.1.6.1, Rows: 240, Columns: 320}
"""
needs_ocr = pytest.mark.skipif(not can_detect(), reason="the extra ocr is not installed: pip install 'deidflow[ocr]'")


def done_with(root: Path, action: str, **pixels: Any) -> bool:
    """Run a real ultrasound image under one rule; tell whether there is a result."""
    (root / "source").mkdir()
    (root / "site.yaml").write_text(f"{RULE}  {action}\n")
    dataset = dcmread(str(get_testdata_file(NAME)))
    dataset.save_as(root / "source" / "1.dcm")
    uids = (str(dataset[keyword].value) for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"))
    steps = Steps(root)
    steps.plan(
        [DicomIdentifiers(str(dataset.PatientID), *uids).orthanc_id(Level.INSTANCE)],
        options={},
        profile_options=["clean-pixel-data"],
        pixels={"rules": ["site.yaml"], "detect": True} | pixels,
    )
    steps.edit()
    return bool(list((root / "results").rglob("*.dcm")))


@needs_ocr
@pytest.mark.parametrize(
    ("action", "is_done"),
    [
        ("regions: [{x: 0, y: 0, width: 320, height: 20}]", False),  # a part of the banner is left
        ("clean: true", False),
        ("regions: [{x: 0, y: 0, width: 320, height: 240}]", True),
    ],
)
def test_text_that_a_rule_leaves_is_found(tmp_path: Path, action: str, *, is_done: bool) -> None:
    """What is painted is not looked at, and without the key nothing is."""
    (tmp_path / "without").mkdir()

    assert is_done == done_with(tmp_path, action)
    assert done_with(tmp_path / "without", action, detect=False)
