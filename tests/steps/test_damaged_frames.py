"""Frames that no decoder reads, with all codecs installed."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from pydicom import dcmread
from pydicom.data import get_testdata_file

from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers, Level
from tests.jobs import read_csv
from tests.steps.steps import Steps

if TYPE_CHECKING:
    from pathlib import Path

RULE = "rules:\n- name: ours\n  when: {Rows: 1024, Columns: 256}\n  regions: [{x: 1, y: 1, width: 5, height: 3}]\n"


def test_who_has_the_codecs_is_told_of_the_frames(tmp_path: Path) -> None:
    """The scan header of this file is none that ISO/IEC 10918-1 allows, so that installing anything helps nobody."""
    source = str(get_testdata_file("JPEG-lossy.dcm"))
    (tmp_path / "source").mkdir()
    shutil.copy(source, tmp_path / "source")
    (tmp_path / "rules.yaml").write_text(RULE)
    patient = DicomIdentifiers(str(dcmread(source, specific_tags=["PatientID"]).PatientID), "", "", "")
    steps = Steps(tmp_path)
    steps.plan(
        [patient.orthanc_id(Level.PATIENT)],
        options=None,
        profile="ps3.15-2026d",
        profile_options=["clean-pixel-data"],
        pixels={"rules": ["rules.yaml"]},
    )
    steps.edit()
    steps.verify()
    steps.report()

    (line,) = [row for row in read_csv(steps.run.folder / "crosswalk.csv") if row["level"] == "instance"]
    assert line["reason"].startswith("unsafe-content: the painted pixels cannot be decoded here to be verified")
    assert "the frames are damaged: fetch the file again, or leave it out" in line["reason"]
