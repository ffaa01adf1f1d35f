"""Errors drawn by who had not read the verifier, put into results of real runs: each is found, by verifying alone."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING, Any, Final

import pytest

from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers, Level
from tests.steps.steps import Steps
from tests.verification.blind.errors import KINDS, changed, source_pair, uids_of

if TYPE_CHECKING:
    from pathlib import Path

SEED = int(os.environ.get("S", "20261126"))
CONFIGS: Final[dict[str, dict[str, Any]]] = {
    "2023b": {"options": {"DicomVersion": "2023b", "KeepPrivateTags": True}},
    "ps3.15-2026d": {"options": {}, "profile": "ps3.15-2026d"},
    "modify": {
        "operation": "modify",
        "options": {"Replace": {"StudyDescription": "new"}, "Level": "Instance", "Force": True},
    },
}


def edited(root: Path, count: int, draw: random.Random, **changes: Any) -> tuple[Steps, dict[str, Path]]:
    """Run on pairs of images; return the run, and the results by the original SOP Instance UID."""
    (root / "source").mkdir()
    rows = []
    for number in range(count):
        for at, data in enumerate(source_pair(number, draw)):
            (root / "source" / f"{number:03}-{at}").write_bytes(data)
        rows.append(DicomIdentifiers(*uids_of(number)[0]).orthanc_id(Level.STUDY))
    steps = Steps(root)
    steps.plan(rows, **changes)
    steps.edit()
    steps.report()
    paths = {path.stem: path for path in (root / "results").rglob("*.dcm")}
    return steps, {line["original_dicom_id"]: paths[line["new_dicom_id"]] for line in steps.crosswalk()}


def outcomes(root: Path, kinds: list[str], draw: random.Random, **changes: Any) -> dict[str, list[str]]:
    """Run on a pair of images for each kind, change the first result, verify; return both outcomes by kind."""
    steps, new = edited(root, len(kinds), draw, **changes)
    for number, kind in enumerate(kinds):
        first, second = (new[one[3]] for one in uids_of(number))
        first.write_bytes(changed(kind, first.read_bytes(), second.read_bytes(), draw))
    steps.verify()
    steps.report()
    said = {line["original_dicom_id"]: line["reason"] for line in steps.crosswalk()}
    return {f"{number} {kind}": [said[one[3]] for one in uids_of(number)] for number, kind in enumerate(kinds)}


@pytest.mark.parametrize("config", list(CONFIGS))
def test_each_error_of_a_blind_draw_is_found(tmp_path: Path, config: str) -> None:
    """Nearly fifty kinds under three configs; the other image of each pair is sound, and so is one written anew."""
    draw = random.Random(f"{SEED} {config}")  # noqa: S311 (no secret)
    names = [name for name in KINDS if config != "ps3.15-2026d" or "reference" not in name]  # it has none there
    kinds = ["", *draw.sample(names, len(names))]
    found = outcomes(tmp_path, kinds, draw, **CONFIGS[config])

    assert ["", ""] == found.pop("0 ")
    assert [] == [kind for kind, (first, _) in found.items() if not first]
    assert [] == [(kind, second) for kind, (_, second) in found.items() if second]


@pytest.mark.parametrize("full", [True, False], ids=["full", "identifiers"])
@pytest.mark.parametrize("config", list(CONFIGS))
def test_results_under_names_of_others(tmp_path: Path, config: str, full: bool) -> None:
    """Two of one series exchanged, another patient's clean result copied, two patients exchanged: all fail, but one."""
    steps, new = edited(tmp_path, 5, random.Random(SEED), **CONFIGS[config])  # noqa: S311 (no secret)
    data = {uid: path.read_bytes() for uid, path in new.items()}
    pairs = [[one[3] for one in uids_of(number)] for number in range(5)]
    (series, sibling), (copied, _), (model, _), (one, _), (other, _) = pairs
    wrong = {series: sibling, sibling: series, copied: model, one: other, other: one}
    for uid, source in wrong.items():
        new[uid].write_bytes(data[source])
    steps.verify(full=full)
    steps.report()

    assert set(wrong) == {line["original_dicom_id"] for line in steps.crosswalk() if line["outcome"] != "done"}
