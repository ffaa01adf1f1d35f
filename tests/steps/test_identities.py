"""Whose identity a row gives: the patient's own in other words, or a pseudonym that stands in the source already."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers, Level
from deidflow.tasks.core.errors import InvalidInput
from deidflow.tasks.core.outcomes import ReasonCode
from tests.dicom_files import instance
from tests.jobs import files_of
from tests.steps.steps import Steps

if TYPE_CHECKING:
    from pathlib import Path

PATIENT_ID = "PAT-77"
PATIENT = DicomIdentifiers(PATIENT_ID, "1.2.3.1", "", "").orthanc_id(Level.PATIENT)
IN_OTHER_WORDS = [
    ("PatientID", " PAT-77", "PatientID"),
    ("PatientID", "pat-77", "PatientID"),
    ("PatientID", "Doe, Jane", "PatientName"),
    ("PatientName", "DOE^JANE", "PatientName"),
    ("PatientName", "Jane Doe", "PatientName"),
    ("PatientName", "=Doe^Jane", "PatientName"),
    ("PatientName", "PAT-77", "PatientID"),
]


def _write(folder: Path) -> None:
    folder.mkdir()
    (folder / "1.dcm").write_bytes(instance(PatientID=PATIENT_ID, PatientName="Doe^Jane"))


@pytest.mark.parametrize(("keyword", "value", "original"), IN_OTHER_WORDS)
def test_the_identity_in_other_words_is_given_back(tmp_path: Path, keyword: str, value: str, original: str) -> None:
    """A blank, a capital, another order or the other attribute makes no pseudonym, and the message says which."""
    _write(tmp_path / "source")

    with pytest.raises(InvalidInput) as caught:
        Steps(tmp_path).plan([PATIENT], options={"Replace": {keyword: value}, "Force": True})

    (problem,) = caught.value.problems
    assert (2, keyword) == (problem.line, problem.column)
    what = "one" if keyword == original else original
    assert f"the new {keyword} is the patient's original {what}," in problem.text
    assert f"write Keep: [{original}]" in problem.text


@pytest.mark.parametrize(
    "options",
    [
        {"Replace": {"PatientName": "Doe^John", "PatientID": "PAT-78"}},
        {"Replace": {"PatientName": PATIENT_ID}, "Keep": ["PatientID"]},
    ],
)
def test_another_identity_is_taken(tmp_path: Path, options: dict[str, object]) -> None:
    """So is the number as a name where it is kept anyway."""
    _write(tmp_path / "source")

    Steps(tmp_path).plan([PATIENT], options=options | {"Force": True})


def test_results_of_an_earlier_run_in_the_source(tmp_path: Path) -> None:
    """The row asks for no PatientID, so it cannot be told to choose another."""
    _write(tmp_path / "source")
    steps = Steps(tmp_path)
    steps.plan([PATIENT])
    steps.edit()
    shutil.copytree(tmp_path / "results", tmp_path / "source" / "old")

    with pytest.raises(InvalidInput) as caught:
        steps.plan([PATIENT], run_id="again")

    (problem,) = caught.value.problems
    assert "as in results of an earlier run; take these out of the source" in problem.text


def test_an_original_that_was_corrected_takes_no_result_s_place(tmp_path: Path) -> None:
    """What was not found comes under the UIDs of what was done: its new identifiers are taken, whoever has them."""
    _write(tmp_path / "source")
    corrected = DicomIdentifiers("PAT-78", "1.2.3.1", "", "").orthanc_id(Level.PATIENT)
    steps = Steps(tmp_path)
    key = {"key_file": "pseudonym.key", "scope": "steps", "allow_merge": True}
    options = {"DicomVersion": "2023b", "Replace": {"PatientID": "S1", "PatientName": "S1"}, "Force": True}
    steps.plan([PATIENT, corrected], pseudonyms=key, options=options)
    steps.edit()
    steps.verify()
    before = files_of(tmp_path / "results")
    (tmp_path / "source" / "1.dcm").write_bytes(instance(PatientID="PAT-78", PatientName="Doe^John"))

    steps.resume()

    assert {ReasonCode.IDENTIFIER_COLLISION: 1} == steps.report().instance_reasons
    assert before == files_of(tmp_path / "results")
