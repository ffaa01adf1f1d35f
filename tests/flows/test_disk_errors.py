"""Errors of the disk while results are read back: said in plain words, nothing is left behind, and it goes on later."""

from __future__ import annotations

import contextlib
import resource
from typing import TYPE_CHECKING

import pytest

from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers, Level
from deidflow.tasks.core.errors import Unusable
from tests.dicom_files import instance
from tests.steps.steps import Steps

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STUDY = "1.2.3.1"


@contextlib.contextmanager
def _nothing_can_be_written() -> Iterator[None]:
    """Have the system refuse each byte that this process writes to a file (EFBIG: an I/O error to SQLite)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_the_verifiers_map_cannot_be_written(tmp_path: Path) -> None:
    """The run folder is named as what cannot be used; what was done stays done, and is verified later."""
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "1").write_bytes(
        instance(PatientID="P", StudyInstanceUID=STUDY, SeriesInstanceUID="1.2.3.1.1", SOPInstanceUID="1.2.3.1.1.1")
    )
    steps = Steps(tmp_path)
    steps.plan([DicomIdentifiers("P", STUDY, "", "").orthanc_id(Level.STUDY)])
    steps.edit()
    before = sorted(path.name for path in steps.run.folder.iterdir())
    with _nothing_can_be_written(), pytest.raises(Unusable, match="run folder") as caught:
        steps.verify()
    left = sorted(path.name for path in steps.run.folder.iterdir())
    first = steps.report()

    assert str(steps.run.folder) in str(caught.value)
    assert before == left
    assert (1, 1) == (first.unverified, first.exit_code)
    assert 0 == steps.verify()
    assert steps.report().reconciled
