"""However work is cut, whoever dies, every instance is recorded once and the results are the same bytes."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from deidflow.tasks.core.engine.protocol import Call, Chunk
from deidflow.tasks.core.errors import Interrupted, TransientError, Unusable
from deidflow.tasks.core.outcomes import Outcome, ReasonCode
from deidflow.tasks.core.processes.workers import HereWorkers, LocalWorkers, Role
from deidflow.tasks.core.request.request import Operation, parse_request
from deidflow.tasks.local import engine as engine_module
from deidflow.tasks.local.engine import LocalEngine
from deidflow.tasks.local.worker import Worker, start_worker
from tests.dicom_files import Element, instance
from tests.jobs import stop_limit_s
from tests.local.deaths import POISON, edit_for_an_hour, edit_or_die
from tests.local.folders import contents, engine_with, planned, processes_of, settings_for, write_instances
from tests.memory import IN_MEMORY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deidflow.tasks.core.engine.protocol import InstanceResult, PlannedInstance

ANONYMIZE = parse_request(Operation.ANONYMIZE, {"DicomVersion": "2023b"})
MODIFY = parse_request(Operation.MODIFY, {"Replace": {"SeriesDescription": "HELLO"}})
COUNT = 24


class Recorder:
    """Takes results as the ledger does, and what else is to happen then."""

    def __init__(self, then: Any = None) -> None:
        self.results: list[InstanceResult] = []
        self.trips: list[int] = []
        self._then = then

    def __call__(self, results: Sequence[InstanceResult]) -> None:
        """Note results."""
        self.results += results
        self.trips.append(len(results))
        if self._then is not None:
            self._then()

    def outcomes(self) -> dict[int, tuple[Outcome, ReasonCode | None]]:
        """Return what became of each instance, each recorded once."""
        assert len(self.results) == len({result.id for result in self.results})
        return {result.id: (result.outcome, result.code) for result in self.results}


def never() -> bool:
    """Nobody wants to stop."""
    return False


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some instances."""
    folder = tmp_path_factory.mktemp("source")
    write_instances(folder, COUNT)
    return folder


@pytest.fixture(scope="module")
def reference(source: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What one worker makes of them in this process, in one go."""
    folder = tmp_path_factory.mktemp("reference")
    plan, given = planned(source, ANONYMIZE)
    results = Worker(settings_for(source, folder, given)).edit([(ANONYMIZE, plan)])
    assert {Outcome.DONE} == {result.outcome for result in results}
    made = contents(folder)
    assert len(made) == COUNT
    return made


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_and_cuts_do_not_show(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reference: dict[str, bytes], workers: int
) -> None:
    """One or two workers, one batch or many, one order or another, several chunks at once: the same files."""
    plan, given = planned(source, ANONYMIZE)
    for number, (batch, order) in enumerate(((64, plan), (5, plan[::-1]), (1, plan[::2] + plan[1::2]))):
        monkeypatch.setattr(engine_module, "BATCH_INSTANCES", batch)
        destination = tmp_path / f"results-{number}"
        record = Recorder()
        with engine_with(settings_for(source, destination, given), workers) as engine:
            half = len(order) // 2
            chunks = [Chunk(str(at), [Call(ANONYMIZE, part)]) for at, part in enumerate((order[:half], order[half:]))]
            threads = [threading.Thread(target=engine.apply, args=(chunk, record, never)) for chunk in chunks]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        assert dict.fromkeys(range(1, COUNT + 1), (Outcome.DONE, None)) == record.outcomes()
        assert reference == contents(destination)


def test_batches_by_size(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large instances travel in smaller batches, and one that is larger than a batch travels alone."""
    plan, given = planned(source, ANONYMIZE)
    monkeypatch.setattr(engine_module, "BATCH_BYTES", 2 * plan[0].size + 10)
    record = Recorder()
    with engine_with(settings_for(source, tmp_path / "results", given), 1) as engine:
        engine.apply(Chunk("one", [Call(ANONYMIZE, [*plan[:5], plan[5]._replace(size=1 << 40)])]), record, never)

    assert [2, 2, 1, 1] == record.trips
    assert (Outcome.FAILED, ReasonCode.SOURCE_CHANGED) == record.outcomes()[6]


class FarWorkers(HereWorkers):
    """This process, in the place of so many threads of a cluster."""

    is_far = True

    def __init__(self, count: int, roles: Sequence[Role]) -> None:
        super().__init__(roles)
        self.count = count


@pytest.mark.parametrize(
    ("count", "trips"), [(1, [8, 8, 8]), (4, [6, 6, 6, 6]), (24, [5, 5, 5, 5, 4]), (100, [5, 5, 5, 5, 4])]
)
def test_batches_for_a_cluster(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, trips: list[int]
) -> None:
    """One chunk has a batch for each worker, unless its way would take longer than the work in it."""
    monkeypatch.setattr(engine_module, "_LEAST_FAR_BATCH", 5)
    monkeypatch.setattr(engine_module, "BATCH_INSTANCES", 8)
    plan, given = planned(source, ANONYMIZE)
    record = Recorder()
    (tmp_path / "results").mkdir()
    workers = FarWorkers(count, [Role(start_worker, settings_for(source, tmp_path / "results", given))])
    LocalEngine(workers).apply(Chunk("one", [Call(ANONYMIZE, plan)]), record, never)

    assert trips == record.trips
    assert dict.fromkeys(range(1, COUNT + 1), (Outcome.DONE, None)) == record.outcomes()


def test_calls_with_different_requests(source: Path, tmp_path: Path) -> None:
    """One chunk may hold several calls; each instance is edited by its own."""
    anonymous, given = planned(source, ANONYMIZE)
    edited, _ = planned(source, MODIFY)
    record = Recorder()
    calls = [Call(ANONYMIZE, anonymous[:3]), Call(MODIFY, edited[3:5]), Call(ANONYMIZE, anonymous[5:6])]
    with engine_with(settings_for(source, tmp_path / "results", given), 1) as engine:
        engine.apply(Chunk("mixed", calls), record, never)

    assert dict.fromkeys(range(1, 7), (Outcome.DONE, None)) == record.outcomes()
    assert 2 == sum(b"HELLO" in data for data in contents(tmp_path / "results").values())


def test_a_killed_worker_costs_nothing(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reference: dict[str, bytes]
) -> None:
    """All processes are killed in the middle: what was recorded counts, the rest is done, nothing is lost or twice."""
    monkeypatch.setattr(engine_module, "BATCH_INSTANCES", 2)
    plan, given = planned(source, ANONYMIZE)
    killed: list[int] = []

    def kill() -> None:
        pool = processes_of(engine)
        if not killed:
            killed.extend(pool._processes)
            for process in killed:
                os.kill(process, signal.SIGKILL)

    record = Recorder(then=kill)
    with engine_with(settings_for(source, tmp_path / "results", given), 1) as engine:
        engine.apply(Chunk("one", [Call(ANONYMIZE, plan)]), record, never)
        assert 1 == len(killed)
        # The engine goes on with the next chunk as if nothing had been.
        again = Recorder()
        engine.apply(Chunk("two", [Call(ANONYMIZE, plan[:2])]), again, never)

    assert dict.fromkeys(range(1, COUNT + 1), (Outcome.DONE, None)) == record.outcomes()
    assert dict.fromkeys((1, 2), (Outcome.DONE, None)) == again.outcomes()
    assert [2] == again.trips
    assert reference == contents(tmp_path / "results")


def test_an_instance_that_kills_costs_itself_alone(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reference: dict[str, bytes]
) -> None:
    """Whichever instance kills its worker each time is found and failed by name; all others are done."""
    monkeypatch.setattr(engine_module, "edit_in_worker", edit_or_die)
    monkeypatch.setattr(engine_module, "BATCH_INSTANCES", 4)
    plan, given = planned(source, ANONYMIZE)
    (victim,) = [one for one in plan if one.path == POISON]
    record = Recorder()
    with engine_with(settings_for(source, tmp_path / "results", given), 1) as engine:
        engine.apply(Chunk("one", [Call(ANONYMIZE, plan[:12])]), record, never)

    expected: dict[int, Any] = dict.fromkeys(range(1, 13), (Outcome.DONE, None))
    expected[victim.id] = (Outcome.FAILED, ReasonCode.WORKER_DIED)
    assert expected == record.outcomes()
    made = contents(tmp_path / "results")
    assert 11 == len(made)
    assert all(reference[name] == data for name, data in made.items())


def test_stopping(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reference: dict[str, bytes]) -> None:
    """Who wants to stop is heard between batches; what was recorded is done, the rest can be done later."""
    monkeypatch.setattr(engine_module, "BATCH_INSTANCES", 1)
    monkeypatch.setattr(engine_module, "_POLL_SECONDS", 0.0)
    plan, given = planned(source, ANONYMIZE)
    record = Recorder()
    settings = settings_for(source, tmp_path / "results", given)
    with engine_with(settings, 1) as engine, pytest.raises(Interrupted):
        engine.apply(Chunk("one", [Call(ANONYMIZE, plan)]), record, lambda: len(record.results) >= 3)
    done = record.outcomes()
    assert 3 <= len(done) < COUNT

    rest = [one for one in plan if one.id not in done]
    with engine_with(settings, 1) as engine:
        engine.apply(Chunk("one", [Call(ANONYMIZE, rest)]), record, never)
    assert dict.fromkeys(range(1, COUNT + 1), (Outcome.DONE, None)) == record.outcomes()
    assert reference == contents(tmp_path / "results")


def test_stopping_in_the_middle_of_a_long_batch(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work that does not end is not waited for: the engine has let go of it in less than the run may take to stop."""
    monkeypatch.setattr(engine_module, "edit_in_worker", edit_for_an_hour)
    plan, given = planned(source, ANONYMIZE)
    record = Recorder()
    with engine_with(settings_for(source, tmp_path / "results", given), 2) as engine:
        with pytest.raises(Interrupted):
            engine.apply(Chunk("one", [Call(ANONYMIZE, plan)]), record, lambda: True)
        interrupted_at = time.monotonic()
    ended_s = time.monotonic() - interrupted_at

    assert [] == record.results
    assert ended_s < stop_limit_s() / 2  # the other half is for what was under way, and for the report


def test_destination_that_is_gone(source: Path, tmp_path: Path) -> None:
    """A destination that cannot be written stops the run instead of failing every instance."""
    plan, given = planned(source, ANONYMIZE)
    settings = settings_for(source, tmp_path / "results", given)
    (tmp_path / "results").rmdir()
    (tmp_path / "results").write_bytes(b"a file")
    record = Recorder()
    with engine_with(settings, 1) as engine, pytest.raises(Unusable):
        engine.apply(Chunk("one", [Call(ANONYMIZE, plan)]), record, never)

    assert [] == record.results


def test_full_destination(alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk stops the run with the system's own words, and no half result is left."""

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/secret/name")

    plan, _ = planned(alone, ANONYMIZE)
    monkeypatch.setattr(os, "writev", full)
    with pytest.raises(Unusable, match="ENOSPC") as caught:
        edit(alone, plan)

    assert "secret" not in str(caught.value)
    assert [] == [path for path in (alone.parent / "results").rglob("*") if path.is_file()]


def test_a_chunk_that_hangs_ends_in_its_time(source: Path, tmp_path: Path, reference: dict[str, bytes]) -> None:
    """A worker that gets no answer from its disk holds a chunk no longer than it may take; it can be tried again."""
    plan, given = planned(source, ANONYMIZE)
    record = Recorder()
    with engine_with(settings_for(source, tmp_path, given), 1, 1.0) as engine:
        engine.apply(Chunk("first", [Call(ANONYMIZE, plan[:1])]), record, never)
        pool = processes_of(engine)
        (worker,) = pool._processes
        os.kill(worker, signal.SIGSTOP)
        with pytest.raises(TransientError, match="took longer than execution"):
            engine.apply(Chunk("second", [Call(ANONYMIZE, plan[1:])]), record, never)
        os.kill(worker, signal.SIGCONT)
        engine.apply(Chunk("second", [Call(ANONYMIZE, plan[1:])]), record, never)

    assert dict.fromkeys(range(1, COUNT + 1), (Outcome.DONE, None)) == record.outcomes()
    assert reference == contents(tmp_path)


def test_closing_twice(source: Path, tmp_path: Path) -> None:
    """Workers that never started, or were closed already, are closed without a word."""
    workers = LocalWorkers(1, [Role(start_worker, settings_for(source, tmp_path / "results"))])
    workers.close()
    workers.close()


@pytest.fixture
def alone(tmp_path: Path) -> Path:
    """A folder with three instances, for tests that change it."""
    write_instances(tmp_path / "alone", 3)
    return tmp_path / "alone"


def edit(folder: Path, plan: Sequence[PlannedInstance]) -> dict[int, tuple[Outcome, ReasonCode | None]]:
    """Edit planned instances in this process."""
    record = Recorder()
    record(Worker(settings_for(folder, folder.parent / "results")).edit([(ANONYMIZE, plan)]))
    return record.outcomes()


def test_source_that_changed_after_planning(alone: Path) -> None:
    """A file that was touched, replaced or removed since the plan was frozen fails by name; the others are done."""
    plan, _ = planned(alone, ANONYMIZE)
    os.utime(alone / "0000", ns=(0, 0))
    (alone / "0001").unlink()

    assert {
        1: (Outcome.FAILED, ReasonCode.SOURCE_CHANGED),
        2: (Outcome.FAILED, ReasonCode.SOURCE_CHANGED),
        3: (Outcome.DONE, None),
    } == edit(alone, plan)
    assert 1 == len(contents(alone.parent / "results"))


def test_source_that_is_another_instance_now(alone: Path) -> None:
    """Size and time of change may lie; the identifiers inside do not."""
    plan, _ = planned(alone, ANONYMIZE)
    path = alone / "0000"
    before = path.stat()
    path.write_bytes(path.read_bytes().replace(b"1.2.3.1.1.0", b"1.2.3.1.1.9"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert before.st_size == path.stat().st_size

    assert (Outcome.FAILED, ReasonCode.SOURCE_CHANGED) == edit(alone, plan)[1]


def test_source_that_changes_while_it_is_read(alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is written to during the edit gives no result."""
    plan, _ = planned(alone, ANONYMIZE)

    def write_meanwhile(assembly: Any, descriptor: int) -> None:
        os.write(descriptor, assembly.to_bytes())
        os.utime(alone / "0000", ns=(1, 1))

    monkeypatch.setattr("deidflow.tasks.local.editing.splice.Assembly.write", write_meanwhile)
    assert {1: (Outcome.FAILED, ReasonCode.SOURCE_CHANGED)} == edit(alone, plan[:1])
    assert {} == contents(alone.parent / "results")


def test_damaged_source_among_sound_ones(alone: Path) -> None:
    """One damaged, one too deep, one with text that does not fit: each fails by its own name."""
    (alone / "0000").write_bytes((alone / "0000").read_bytes()[:-10])
    plan, _ = planned(alone, ANONYMIZE)

    assert (Outcome.FAILED, ReasonCode.DAMAGED) == edit(alone, plan)[1]
    assert (Outcome.DONE, None) == edit(alone, plan)[2]


def test_reasons_hold_no_patient_data(alone: Path) -> None:
    """What goes wrong is said without names, identifiers and file names."""
    secret = "S3CRET^PATIENT"
    cut = instance(Element(0x7FE00010, "OW", b"\1\2"), PatientName=secret, PatientID=secret)[:-1]
    (alone / "S3CRET").write_bytes(cut)
    (alone / "S3CRET2").write_bytes(instance(SOPInstanceUID="1.2.9", PatientID=secret))
    request = parse_request(Operation.MODIFY, {"Replace": {"StudyDescription": secret + "東京"}})
    plan, _ = planned(alone, request)
    (alone / "S3CRET2").unlink()
    results = Worker(settings_for(alone, alone.parent / "results")).edit([(request, plan)])

    assert {Outcome.FAILED} == {result.outcome for result in results}
    assert 5 == len(results)
    assert [] == [result.text for result in results if "S3CRET" in result.text or "1.2.3" in result.text]


def test_sources_are_never_changed(alone: Path) -> None:
    """Content and times of the sources are the same after a run."""
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in alone.iterdir()}
    plan, _ = planned(alone, ANONYMIZE)
    edit(alone, plan)

    assert before == {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in alone.iterdir()}


_IN_A_PROCESS: Final = """
import os
from deidflow.tasks.core.processes.pool import make_pool
for _ in range(2):
    with make_pool(1) as pool:
        assert pool.submit(os.getpid).result() != os.getpid()
"""


@pytest.mark.parametrize("length", [70, 71, 107, 250])
def test_a_long_folder_for_temporary_files(length: int) -> None:
    """Worker processes start, and leave nothing behind, however long the name of TMPDIR is."""
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as above:
        folder = Path(f"{above}/".ljust(length, "x"))
        folder.mkdir()
        subprocess.run([sys.executable, "-c", _IN_A_PROCESS], check=True, env=os.environ | {"TMPDIR": str(folder)})

        assert length == len(os.fsencode(folder))
        assert [] == list(folder.iterdir())
