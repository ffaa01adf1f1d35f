"""Whole runs of every form of pixels in every transfer syntax: painted, converted, and verified in full."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from pydicom import dcmread

from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers, Level
from tests.local.editing.painting import matrix
from tests.local.editing.painting.matrix import LOSSY_JPEG, SYNTAXES, Cell, Form
from tests.local.editing.painting.matrix_sources import REGIONS, planted
from tests.steps.steps import Steps
from tests.verification.test_painted_pixels import crosswalk

if TYPE_CHECKING:
    from pathlib import Path

RULES: Final = (
    "rules:\n- name: text\n  when: {Modality: US, Rows: 43, Columns: {min: 60, max: 61}}\n  regions:\n"
    + "".join(
        f"  - {{x: {max(0, one.x)}, y: {one.y}, width: {one.width + min(0, one.x)}, height: {one.height}}}\n"
        for one in REGIONS
    )
)


def is_held(cell: Cell, target: str) -> bool:
    """Whether what is painted can be written in another syntax; JPEG with loss becomes RGB."""
    form = cell.form
    if cell.syntax in LOSSY_JPEG and form.photometric in {"YBR_FULL", "YBR_FULL_422"}:
        form = Form("RGB")
    return target == cell.syntax or matrix.is_held(form, cell.bits, target)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("target", ["", "big endian", "RLE", "JPEG lossless SV1", "JPEG-LS", "JPEG 2000 lossless"])
@pytest.mark.parametrize("paints", [True, False], ids=["painted", "as they are"])
def test_a_run_of_all_of_them(paints: bool, target: str, tmp_path: Path) -> None:
    """All that can be painted, and written, is done; the others say what is the matter, each by its code."""
    cells = {str(cell): cell for cell in matrix.images()}
    files = {
        name: planted(cell, SOPInstanceUID=f"1.2.3.1.1.{number}", SpecificCharacterSet="ISO_IR 100").data
        for number, (name, cell) in enumerate(cells.items(), 1)
    }
    (tmp_path / "source").mkdir()
    (tmp_path / "site.yaml").write_text(RULES, encoding="utf-8")
    for number, data in enumerate(files.values()):
        (tmp_path / "source" / f"{number}.dcm").write_bytes(data)
    steps = Steps(tmp_path)
    steps.plan(
        [DicomIdentifiers("P-1", "1.2.3.1", "1.2.3.1.1", "1.2.3.1.1.1").orthanc_id(Level.STUDY)],
        options={"Transcode": SYNTAXES[target]} if target else None,
        profile="ps3.15-2026d",
        execution={"workers": 2},
        profile_options=["clean-pixel-data"] if paints else None,
        pixels={"rules": ["site.yaml"]} if paints else None,
    )
    steps.edit()
    steps.verify()
    rows = crosswalk(steps, files)
    found = {name: row["reason"].partition(":")[0] for name, row in rows.items() if row["outcome"] != "done"}
    wanted = {name: "unsafe-content" for name, cell in cells.items() if paints and matrix.refusal(cell)}
    if target:
        wanted |= {
            name: "transcoding-failed"
            for name, cell in cells.items()
            if name not in wanted and not is_held(cell, target)
        }

    assert len(cells) == len(rows)
    assert wanted == found
    for path in (tmp_path / "results").rglob("*.dcm"):
        assert not target or SYNTAXES[target] == dcmread(path, stop_before_pixels=True).file_meta.TransferSyntaxUID
