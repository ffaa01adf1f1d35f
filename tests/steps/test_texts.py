"""Words of a site, words to look at, and names that only other objects of a patient have: through all steps."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest
from pydicom import dcmread

from deidflow.tasks.core.config.config import Config
from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers, Level
from deidflow.tasks.core.errors import InvalidInput
from deidflow.tasks.steps.run.identity import differences, run_identity
from deidflow.tasks.steps.run.settings import load_config
from tests.dicom_files import instance
from tests.jobs import read_csv
from tests.steps.steps import Steps

if TYPE_CHECKING:
    from pathlib import Path

PROFILE: Final[dict[str, Any]] = {
    "options": None,
    "profile": "ps3.15-2026d",
    "profile_options": ["clean-descriptors", "retain-longitudinal-modified-dates"],
}


def write(folder: Path, *instances: dict[str, Any]) -> str:
    """Write instances of one patient, each a study of its own; return the Orthanc identifier of the patient."""
    folder.mkdir()
    for at, values in enumerate(instances):
        uids = {
            "StudyInstanceUID": f"1.2.4.{at}.1",
            "SeriesInstanceUID": f"1.2.4.{at}.2",
            "SOPInstanceUID": f"1.2.4.{at}.3",
        }
        (folder / str(at)).write_bytes(instance(**{"PatientID": "P-7", "PatientName": "Head^J"} | uids | values))
    return DicomIdentifiers("P-7", "", "", "").orthanc_id(Level.PATIENT)


def descriptions(steps: Steps) -> list[str]:
    """Return what became of the descriptions."""
    return sorted(str(dcmread(path).SeriesDescription) for path in (steps.root / "results").rglob("*.dcm"))


def run(steps: Steps, patient: str, **changes: Any) -> dict[str, Any]:
    """Do everything; return the summary."""
    steps.plan([patient], **PROFILE | changes)
    steps.edit()
    assert steps.verify() == 0
    assert steps.report().reconciled
    return dict(json.loads((steps.run.folder / "summary.json").read_text("utf-8")))


def test_words_of_the_site_stay_and_unknown_ones_are_listed(tmp_path: Path) -> None:
    """Each once, with an instance that has it; own values go all the same."""
    (tmp_path / "words.txt").write_text("# ours\nSPO 3DFRFSE\nHead\n", "utf-8")
    patient = write(
        tmp_path / "source",
        {"SeriesDescription": "SPO 3DFRFSE Qwertz Head"},
        {"SeriesDescription": "liver Qwertz Zuiop"},
        {"SeriesDescription": "liver"},
    )
    steps = Steps(tmp_path)
    summary = run(steps, patient, text={"keep": ["words.txt"], "unknown": "review"})

    assert descriptions(steps) == ["SPO 3DFRFSE Qwertz", "liver", "liver Qwertz Zuiop"]
    assert summary["review"] == {"total": 2, "unknown-words": 2}
    assert summary["texts"] == {"removed": 1}
    reasons = [line["reason"] for line in read_csv(steps.run.folder / "review.csv")]
    assert reasons == ["unknown-words", "unknown-words", "unknown-word: Qwertz", "unknown-word: Zuiop"]

    # The word stays to be looked at, since others have it, too.
    first = steps.run.ledger.scalar(
        "SELECT new_sop_instance_uid FROM instance i JOIN unknown_word u ON u.instance = i.id WHERE u.word = 'Qwertz'"
    )
    next((tmp_path / "results").rglob(f"{first}.dcm")).unlink()
    assert steps.verify(again=True) == 1
    steps.report()
    lines = read_csv(steps.run.folder / "review.csv")
    assert [line["reason"] for line in lines] == ["unknown-words", "unknown-word: Qwertz", "unknown-word: Zuiop"]
    assert [line["new_sop_instance_uid"] == "" for line in lines] == [False, True, False]


def test_words_are_the_runs_own(tmp_path: Path) -> None:
    """A run folder alone is enough to go on, and another list is another run."""
    (tmp_path / "words.txt").write_text("SPO", "utf-8")
    patient = write(tmp_path / "source", {"SeriesDescription": "SPO liver"})
    steps = Steps(tmp_path)
    run(steps, patient, text={"keep": ["words.txt"]})
    before = steps.run.config
    (tmp_path / "words.txt").write_text("XYZ", "utf-8")

    assert Config.from_json(before.to_json()).profile_choice == before.profile_choice
    stored, current = (run_identity(config, "", "") for config in (before, load_config(tmp_path / "job.yaml")))
    assert [problem.key for problem in differences(stored, current)] == ["text"]


def test_who_is_named_in_one_object_is_named_in_none(tmp_path: Path) -> None:
    """An image whose name was emptied before is cleaned by the name that the patient's other images have."""
    patient = write(
        tmp_path / "source",
        {"SeriesDescription": "Head scan", "PatientName": ""},
        {"SeriesDescription": "Head MR"},
    )
    steps = Steps(tmp_path)
    run(steps, patient)

    assert descriptions(steps) == ["MR", "scan"]


@pytest.mark.parametrize(
    ("text", "words", "message"),
    [
        ({"keep": ["none.txt"]}, None, "not found"),
        ({"keep": ["words.txt"]}, b"\xff", "must be UTF-8"),
        ({"keep": ["words.txt"]}, b"SPO\nX12345", "line 2"),
        ({"unknown": "keep"}, None, "must be"),
    ],
)
def test_what_is_wrong_with_words_is_said(
    tmp_path: Path, text: dict[str, Any], words: bytes | None, message: str
) -> None:
    """By key, file and line, and never by word."""
    if words is not None:
        (tmp_path / "words.txt").write_bytes(words)
    with pytest.raises(InvalidInput, match=message) as caught:
        Steps(tmp_path).plan([write(tmp_path / "source", {})], **PROFILE, text=text)

    assert {problem.key.partition(".")[0] for problem in caught.value.problems} == {"text"}
    assert "X12345" not in str(caught.value)
