"""Identifying values planted into the results of real runs: each is found, named by its attribute and never shown.

Public names: ``found``.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers, Level
from tests.jobs import read_csv
from tests.steps.steps import Steps
from tests.verification.leaks import KINDS, Leak, draw_leaks, planted, source_of

if TYPE_CHECKING:
    from pathlib import Path

FEW, ALL = 60, 300
SEED = int(os.environ.get("S", "15"))
PROFILES: list[dict[str, Any]] = [{}, {"options": {}, "profile": "ps3.15-2026d"}]


def found(root: Path, leaks: list[Leak], **changes: Any) -> dict[str, dict[str, str]]:
    """Run on the sources of some leaks, plant them, verify; return the crosswalk's lines by the number of the leak."""
    (root / "source").mkdir()
    values = {kind.keyword: kind.value for kind in KINDS}
    rows = []
    for leak in leaks:
        of = leak.patient
        (root / "source" / str(of.number)).write_bytes(source_of(leak))
        own = (values["PatientID"](of), values["StudyInstanceUID"](of), values["SeriesInstanceUID"](of))
        rows.append(DicomIdentifiers(*own, f"{own[1][:-2]}.3").orthanc_id(Level.STUDY))
    steps = Steps(root)
    steps.plan(rows, **changes)
    steps.edit()
    results = {path.stem: path for path in (root / "results").rglob("*.dcm")}
    names = {f"1.2.826.0.1.3680043.99.{leak.patient.number}.3": leak for leak in leaks}
    steps.report()
    for line in steps.crosswalk():
        leak = names[line["original_dicom_id"]]
        path = results[line["new_dicom_id"]]
        path.write_bytes(planted(leak, path.read_bytes()))
    assert len(leaks) == steps.verify()
    steps.report()
    assert [] == list((root / "results").rglob("*.dcm"))
    for name in ("failures.csv", "review.csv"):
        assert len(leaks) == len(read_csv(steps.run.folder / name)), name
    assert "identifier-left" in (steps.run.folder / "report.html").read_text("utf-8")
    return {str(names[line["original_dicom_id"]].patient.number): line for line in steps.crosswalk()}


@pytest.mark.parametrize("changes", PROFILES, ids=["2023b", "ps3.15-2026d"])
@pytest.mark.parametrize("count", [FEW, pytest.param(ALL, marks=pytest.mark.long)])
def test_each_leak_is_found(tmp_path: Path, count: int, changes: dict[str, Any]) -> None:
    """Whatever attribute, notation, encoding, place, depth: the instance fails, and the reason names the attribute."""
    leaks = draw_leaks(count, seed=SEED, compressed="profile" not in changes)
    rows = found(tmp_path, leaks, **changes)

    missed = []
    for leak in leaks:
        reason = rows[str(leak.patient.number)]["reason"]
        if not reason.startswith("identifier-left") or f"{leak.keyword} of the source is left in" not in reason:
            missed.append((leak.keyword, leak.place, leak.depth, leak.syntax.uid, leak.by_source, leak.data, reason))
        assert os.fsdecode(leak.data) not in reason
    assert [] == missed
