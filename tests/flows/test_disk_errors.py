"""Errors of the disk while results are read back: said in plain words, nothing is left behind, and it goes on later."""

from __future__ import annotations

import contextlib
import resource
import threading
from typing import TYPE_CHECKING

import pytest

from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers, Level
from deidflow.tasks.core.errors import Unusable
from deidflow.tasks.steps.run.run_folder import clear_leftovers
from deidflow.tasks.steps.run.safe_errors import safely
from deidflow.tasks.steps.run.uid_map import MAP_FILE, uid_map_file
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


def _edited(root: Path) -> Steps:
    """Return a run over one instance whose edits are done."""
    (root / "source").mkdir()
    (root / "source" / "1").write_bytes(
        instance(PatientID="P", StudyInstanceUID=STUDY, SeriesInstanceUID="1.2.3.1.1", SOPInstanceUID="1.2.3.1.1.1")
    )
    steps = Steps(root)
    steps.plan([DicomIdentifiers("P", STUDY, "", "").orthanc_id(Level.STUDY)])
    steps.edit()
    return steps


def test_the_verifiers_map_cannot_be_written(tmp_path: Path) -> None:
    """The run folder is named as what cannot be used; what was done stays done, and is verified later."""
    steps = _edited(tmp_path)
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


def test_the_verifiers_map_cannot_be_removed(tmp_path: Path) -> None:
    """As on shares where a process still has it open: nothing fails, and whoever opens the run next removes it."""
    steps = _edited(tmp_path)
    path = steps.run.folder / MAP_FILE
    with uid_map_file(steps.run):
        path.unlink()
        path.mkdir()  # no file that could be removed
    clear_leftovers(steps.run.folder)

    assert not path.exists()
    assert 0 == steps.verify()


def test_an_error_that_is_kept_holds_nothing_back(tmp_path: Path) -> None:
    """The flow keeps the error of a task, which broke off a read of the ledger; other threads go on with it."""
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "1").write_bytes(instance(PatientID="P", StudyInstanceUID=STUDY))
    steps = Steps(tmp_path)
    steps.plan([DicomIdentifiers("P", STUDY, "", "").orthanc_id(Level.STUDY)])
    ledger = steps.run.ledger
    kept: list[Unusable] = []

    def read() -> None:
        rows = ledger.stream("SELECT id FROM instance UNION ALL SELECT 0")
        for _ in rows:
            raise Unusable("the disk is full")

    def work() -> None:
        try:
            safely(read)()
        except Unusable as error:
            kept.append(error)

    in_time: list[object] = []
    for target in (work, lambda: in_time.append(ledger.scalar("SELECT count(*) FROM instance"))):
        thread = threading.Thread(target=target, daemon=True)
        thread.start()
        thread.join(10)

    assert ([1], 1) == (in_time, len(kept))
