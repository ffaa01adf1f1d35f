"""Chunks are verified when they are done, while others are edited.

Whatever happens meanwhile, the ledger says no more than is true, and the end is the same.
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Any, Final

import pytest
from pydicom import dcmread

from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers, Level
from deidflow.tasks.core.errors import DeidflowError, Interrupted, TransientError, Unusable
from deidflow.tasks.core.ledger.chunks import open_chunks
from deidflow.tasks.core.ledger.results import pages_to_verify
from deidflow.tasks.core.outcomes import Outcome
from deidflow.tasks.steps import verify as verify_module
from deidflow.tasks.steps.access.engines import open_work
from deidflow.tasks.steps.apply import apply_chunk
from deidflow.tasks.steps.one_to_one import shared_results
from deidflow.tasks.steps.run.progress import Progress, make_progress
from deidflow.tasks.steps.verify import VERIFYING, Verification, verify_results
from tests.dicom_files import instance
from tests.jobs import files_of
from tests.steps.steps import Steps
from tests.steps.troubled_workers import AWAY, BROKEN, be_away, break_down, die_always, die_once

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PATIENTS: Final = [DicomIdentifiers(f"P-{n}", "", "", "").orthanc_id(Level.PATIENT) for n in range(3)]
WAIT_S: Final = 60.0


class Beside:
    """A run whose chunks a test edits one by one, while a thread verifies what is done.

    Attributes:
        error: What the verification ended with.

    """

    def __init__(self, steps: Steps, *, full: bool = True) -> None:
        """Plan three patients of an instance each, every one a chunk."""
        self.steps = steps
        self.full = full
        self.error: DeidflowError | None = None
        (steps.root / "source").mkdir()
        for number in range(len(PATIENTS)):
            file = instance(
                PatientID=f"P-{number}",
                StudyInstanceUID=f"1.2.3.{number}",
                SeriesInstanceUID=f"1.2.3.{number}.1",
                SOPInstanceUID=f"1.2.3.{number}.1.1",
            )
            (steps.root / "source" / f"{number}.dcm").write_bytes(file)
        execution = {"workers": 1, "chunk_size": 1}
        steps.plan(PATIENTS, execution=execution, verify="full" if full else "identifiers")
        self.chunks = open_chunks(steps.run.ledger)
        assert 3 == len(self.chunks)

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """Verify in a thread while the block lasts, and to the end after it, unless the run is stopped."""
        with make_progress(quiet=True) as self.progress, open_work(self.steps.run) as self.work:
            self.verification = Verification(self.steps.run, self.work.workers, self.progress, full=self.full)
            thread = threading.Thread(target=self._verify)
            thread.start()
            try:
                yield
            finally:
                self.verification.edits_are_done()
                thread.join()

    def _verify(self) -> None:
        try:
            self.verification.verify()
        except DeidflowError as error:
            self.error = error

    def edit(self, number: int, *, then: Callable[[], None] = lambda: None) -> None:
        """Edit a chunk, do something, and say that it is done."""
        apply_chunk(self.steps.run, self.chunks[number], self.work.engine, self.progress)
        then()
        self.verification.chunk_is_done(self.chunks[number])

    def verified(self) -> int:
        """Return how many results count as verified."""
        return int(self.steps.run.ledger.scalar("SELECT count(*) FROM instance WHERE verified <> ''"))

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait until something is so."""
        end = time.monotonic() + WAIT_S
        while not condition():
            assert time.monotonic() < end
            time.sleep(0.02)


@pytest.fixture
def beside(tmp_path: Path) -> Beside:
    """Three chunks that nobody has edited."""
    return Beside(Steps(tmp_path))


def _result_of(beside: Beside, number: int) -> Path:
    new = beside.steps.run.ledger.scalar(
        "SELECT new_sop_instance_uid FROM instance WHERE path = ?", (f"{number}.dcm".encode(),)
    )
    (path,) = (beside.steps.root / "results").rglob(f"{new}.dcm")
    return path


def test_a_chunk_is_verified_while_others_are_not_edited(beside: Beside, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is found is noted by and by, and after the last edit nothing is left to be looked at but the last chunk."""
    monkeypatch.setattr("deidflow.tasks.steps.findings._WRITTEN_AT_ONCE", 1)
    with beside.working():
        beside.edit(0)
        beside.wait_for(lambda: beside.verified() == 1)
        assert 2 == len(open_chunks(beside.steps.run.ledger))
        beside.edit(1)
        beside.edit(2)

    assert beside.error is None
    assert 0 == beside.verification.failed
    result = beside.steps.report()
    assert (True, 3, 0) == (result.reconciled, result.instances[Outcome.DONE], result.unverified)


@pytest.mark.parametrize("full", [True, False])
def test_a_result_that_goes_between_edit_and_verification(tmp_path: Path, full: bool) -> None:
    """It is missing, whichever way results are looked at; the others are verified, and resume makes it again."""
    beside = Beside(Steps(tmp_path), full=full)
    with beside.working():
        beside.edit(0)
        beside.edit(1, then=lambda: _result_of(beside, 1).unlink())
        beside.edit(2)

    assert beside.error is None
    assert 1 == beside.verification.failed
    result = beside.steps.report()
    assert (2, 1) == (result.instances[Outcome.DONE], result.instances[Outcome.MISSING])
    assert 0 == result.unverified
    beside.steps.resume()
    assert beside.steps.report().reconciled


def test_a_destination_that_goes_on_the_way(beside: Beside, monkeypatch: pytest.MonkeyPatch) -> None:
    """Results that cannot be seen since their folder is away are not said to be missing."""
    steps = beside.steps
    steps.edit()
    results, away = steps.root / "results", steps.root / "away"

    def pages_once_it_is_away(*arguments: Any) -> Any:
        if results.exists():
            results.rename(away)
        return pages_to_verify(*arguments)

    monkeypatch.setattr(verify_module, "pages_to_verify", pages_once_it_is_away)
    with pytest.raises(Unusable, match="mount"):
        steps.verify()
    monkeypatch.undo()
    away.rename(results)

    assert 3 == steps.report().instances[Outcome.DONE]
    assert 0 == steps.verify()


def test_counting_identifiers_needs_no_source(tmp_path: Path) -> None:
    """Where results are not compared, sources may be elsewhere by then."""
    beside = Beside(Steps(tmp_path), full=False)
    beside.steps.edit()
    (tmp_path / "source").rename(tmp_path / "elsewhere")

    assert 0 == beside.steps.verify(full=False)
    assert 3 == beside.verified()


def test_what_was_counted_is_read_once_all_is_asked_for(tmp_path: Path) -> None:
    """A result that is there, under its identifiers, is not yet one that was searched."""
    beside = Beside(Steps(tmp_path), full=False)
    beside.steps.edit()
    assert 0 == beside.steps.verify(full=False)
    path = _result_of(beside, 1)
    path.write_bytes(path.read_bytes().replace(b"Anonymized^", b"Anonymised^"))

    assert 1 == beside.steps.verify()
    assert 2 == beside.verified()


def test_a_run_that_is_stopped_on_the_way(beside: Beside, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was verified counts, the rest is said not to be; resuming leads to the end of an undisturbed run."""
    monkeypatch.setattr("deidflow.tasks.steps.findings._WRITTEN_AT_ONCE", 1)
    with beside.working():
        beside.edit(0)
        beside.wait_for(lambda: beside.verified() == 1)
        beside.edit(1, then=beside.steps.run.stop.set)

    assert isinstance(beside.error, Interrupted)
    stopped = beside.steps.report()
    assert (False, 2, 1) == (stopped.reconciled, stopped.instances[Outcome.DONE], stopped.unverified)
    beside.steps.run.stop.clear()
    beside.steps.resume()
    ended = beside.steps.report()
    assert (True, 3, 0) == (ended.reconciled, ended.instances[Outcome.DONE], ended.unverified)


def test_a_worker_that_dies_while_it_verifies(beside: Beside, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once, of whatever reason: its results are looked at again, and the chunks that it was editing are done."""
    monkeypatch.setattr(verify_module, "verify_in_worker", die_once)
    with beside.working():
        for number in range(3):
            beside.edit(number)

    assert beside.error is None
    assert beside.steps.report().reconciled


def test_a_result_that_workers_die_of(beside: Beside, monkeypatch: pytest.MonkeyPatch) -> None:
    """The verification cannot end, and says so; edits are none the worse, and nothing unread counts as verified."""
    monkeypatch.setattr(verify_module, "verify_in_worker", die_always)
    with beside.working():
        for number in range(3):
            beside.edit(number)

    assert isinstance(beside.error, Unusable)
    assert "worker process was killed" in str(beside.error)
    result = beside.steps.report()
    assert (False, 3) == (result.reconciled, result.instances[Outcome.DONE])
    unread = beside.steps.run.ledger.select("SELECT path FROM instance WHERE verified = ''")
    assert (b"1.dcm",) in unread


def _lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"x")


def _spoil_meta(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"\x02\0\x03\0UI", b"\x02\0\x03\0UY"))


def test_a_value_representation_that_nobody_knows(beside: Beside) -> None:
    """In the file meta information, too, it is the result's fault that it cannot be read."""
    with beside.working():
        beside.edit(0, then=lambda: _spoil_meta(_result_of(beside, 0)))

    assert "result-differs" == beside.steps.run.ledger.scalar("SELECT code FROM instance WHERE path = ?", (b"0.dcm",))


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("KeyError", "internal-error: verifying it ended with KeyError in "),
        ("MemoryError", "worker-died: there was not enough memory for verifying it"),
    ],
)
def test_a_verifier_that_breaks_down(beside: Beside, monkeypatch: pytest.MonkeyPatch, error: str, said: str) -> None:
    """What nobody could verify is not delivered, without a word against it; a result that was right stays."""
    with beside.working():
        beside.edit(1)
    result = _result_of(beside, 1)
    monkeypatch.setattr(verify_module, "verify_in_worker", break_down)
    (beside.steps.root / BROKEN).write_text(error)
    with beside.working():
        beside.edit(0)

    ledger = beside.steps.run.ledger
    ((code, text, is_there),) = ledger.select("SELECT code, text, is_there FROM instance WHERE path = ?", (b"0.dcm",))
    assert f"{code}: {text}".startswith(said)
    assert "Doe" not in text
    assert (0, [result]) == (is_there, [*(beside.steps.root / "results").rglob("*.dcm")])
    with make_progress(quiet=True) as progress, open_work(beside.steps.run) as work:
        verify_results(beside.steps.run, work.workers, progress, full=True, again=True)
    again = ledger.select("SELECT outcome, verified FROM instance WHERE path = ?", (b"1.dcm",))
    assert ([("done", "")], True) == (again, result.exists())


def test_a_verifier_that_breaks_down_over_what_is_no_result(beside: Beside, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not what was written is to blame itself."""
    monkeypatch.setattr(verify_module, "verify_in_worker", break_down)
    (beside.steps.root / BROKEN).write_text("KeyError")
    with beside.working():
        beside.edit(0, then=lambda: _lengthen(_result_of(beside, 0)))

    assert "result-differs" == beside.steps.run.ledger.scalar("SELECT code FROM instance WHERE path = ?", (b"0.dcm",))


def test_a_server_that_is_away_for_a_while(beside: Beside, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the edits it is passed over; in the end it is the error, which may be tried again and finds all then."""
    monkeypatch.setattr(verify_module, "verify_in_worker", be_away)
    away = beside.steps.root / AWAY
    away.touch()
    with beside.working():
        for number in range(3):
            beside.edit(number)
        beside.verification.edits_are_done()
        beside.wait_for(lambda: beside.error is not None)
        assert isinstance(beside.error, TransientError)
        assert 0 == beside.verified()
        away.unlink()
        beside.verification.verify()

    assert 3 == beside.verified()
    assert beside.steps.report().reconciled


def test_two_patients_in_one(beside: Beside) -> None:
    """What no result by itself shows is found in the end, from the ledger: both are failed and taken out."""
    steps = beside.steps
    steps.edit()
    assert 0 == steps.verify()
    assert {} == shared_results(steps.run.ledger)
    steps.run.ledger.execute(
        "UPDATE target SET patient = (SELECT t.patient FROM target t JOIN instance i ON i.target = t.id"
        " WHERE i.path = ?) WHERE id = (SELECT target FROM instance WHERE path = ?)",
        (b"0.dcm", b"1.dcm"),
    )

    assert 2 == steps.verify(again=True)

    assert 2 == steps.report().instances[Outcome.FAILED]
    assert 1 == len(files_of(steps.root / "results"))


def test_one_result_of_two_instances(beside: Beside) -> None:
    """A result that counts for two is no result of either."""
    steps = beside.steps
    steps.edit()
    assert 0 == steps.verify()
    steps.run.ledger.execute(
        "UPDATE instance SET new_orthanc_id = (SELECT new_orthanc_id FROM instance WHERE path = ?) WHERE path = ?",
        (b"0.dcm", b"1.dcm"),
    )

    assert 2 == steps.verify(again=True)

    assert 2 == steps.report().instances[Outcome.FAILED]


def test_patients_whom_the_request_makes_one(tmp_path: Path) -> None:
    """Who gives two patients one number has asked for it, and their studies stay two."""
    steps = Steps(tmp_path)
    (tmp_path / "source").mkdir()
    for number in range(2):
        uids: dict[str, Any] = {"StudyInstanceUID": f"1.2.3.{number}", "SeriesInstanceUID": f"1.2.3.{number}.1"}
        file = instance(PatientID=f"P-{number}", SOPInstanceUID=f"1.2.3.{number}.1.1", **uids)
        (tmp_path / "source" / f"{number}.dcm").write_bytes(file)
    steps.plan(
        PATIENTS[:2],
        options={
            "DicomVersion": "2023b",
            "Replace": {"PatientID": "S-1", "RequestAttributesSequence[*].StudyInstanceUID": "1.2.9"},
            "Force": True,
        },
        pseudonyms={"key_file": "pseudonym.key", "allow_merge": True},
    )
    steps.edit()

    assert 0 == steps.verify()
    assert {} == shared_results(steps.run.ledger)
    steps.run.ledger.execute("UPDATE target SET study = (SELECT min(study) FROM target)")
    assert 2 == steps.verify(again=True)


def test_references_to_an_object_that_keeps_its_uid(tmp_path: Path) -> None:
    """What the request keeps in one row, another row refers to as it is."""
    steps = Steps(tmp_path)
    (tmp_path / "source").mkdir()
    names = [DicomIdentifiers("P-1", "1.2.3", f"1.2.3.{number}", f"1.2.3.{number}.1") for number in (1, 2)]
    for number, one in enumerate(names):
        reference = {"ReferencedSOPClassUID": "1.2.840.10008.5.1.4.1.1.2", "ReferencedSOPInstanceUID": "1.2.3.1.1"}
        keywords: dict[str, Any] = {
            "SeriesInstanceUID": one.series_instance_uid,
            "SOPInstanceUID": one.sop_instance_uid,
        }
        data = instance(PatientID="P-1", StudyInstanceUID="1.2.3", ReferencedImageSequence=[reference], **keywords)
        (tmp_path / "source" / f"{number}.dcm").write_bytes(data)
    rows = [{"orthanc_id": one.orthanc_id(Level.SERIES)} for one in names]
    steps.plan([rows[0] | {"Keep": "SOPInstanceUID"}, rows[1]], options={"DicomVersion": "2023b", "Force": True})
    steps.edit()

    assert 0 == steps.verify()
    referred = [dcmread(path).ReferencedImageSequence[0] for path in (tmp_path / "results").rglob("*.dcm")]
    assert ["1.2.3.1.1"] * 2 == [str(one.ReferencedSOPInstanceUID) for one in referred]


@pytest.mark.parametrize("options", [{"DicomVersion": "2023b"}, {}], ids=["orthanc", "ps3.15"])
def test_a_kept_frame_of_reference_with_the_uid_of_its_study(tmp_path: Path, options: dict[str, Any]) -> None:
    """As some devices write it: it stays, the study gets a new one, and what names the study follows the study."""
    steps = Steps(tmp_path)
    (tmp_path / "source").mkdir()
    study = {"ReferencedSOPClassUID": "1.2.840.10008.3.1.2.3.1", "ReferencedSOPInstanceUID": "1.2.3"}
    for number in range(3):
        uids: dict[str, Any] = {"StudyInstanceUID": "1.2.3", "SOPInstanceUID": f"1.2.3.1.{number}"}
        data = instance(PatientID="P-1", FrameOfReferenceUID="1.2.3", ReferencedStudySequence=[study], **uids)
        (tmp_path / "source" / f"{number}.dcm").write_bytes(data)
    keep = ["FrameOfReferenceUID", "ReferencedStudySequence"]
    steps.plan([DicomIdentifiers("P-1", "", "", "").orthanc_id(Level.PATIENT)], options={**options, "Keep": keep})
    steps.edit()

    assert 0 == steps.verify()
    for path in (tmp_path / "results").rglob("*.dcm"):
        result = dcmread(path)
        assert ("1.2.3", True) == (result.FrameOfReferenceUID, result.StudyInstanceUID.startswith("2.25."))
        assert result.StudyInstanceUID == result.ReferencedStudySequence[0].ReferencedSOPInstanceUID


def test_progress_of_two_steps(capsys: pytest.CaptureFixture[str]) -> None:
    """Edited and verified instances are counted apart, each with its total, and each step ends by itself."""
    progress = Progress()
    progress.start("editing", 3)
    progress.start(VERIFYING, 3, beside=True)
    progress.advance(3, "editing")
    progress.advance(2, VERIFYING)
    progress.advance(1, "nothing that is under way")
    progress.finish("editing")
    progress.advance()
    progress.finish()

    lines = capsys.readouterr().err.splitlines()
    assert ["editing: 3 / 3", "verifying: 3 / 3"] == [line.partition(",")[0] for line in lines]
