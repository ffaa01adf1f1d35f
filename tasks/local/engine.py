"""The local engine: Orthanc's bulk routes on a folder of DICOM files, in worker processes, without any server.

Public names: ``LocalEngine``.
"""

from __future__ import annotations

import contextlib
import math
import time
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as NotYet
from concurrent.futures.process import BrokenProcessPool
from itertools import groupby
from typing import TYPE_CHECKING, Final, cast

from deidflow.tasks.core.engine.protocol import InstanceResult
from deidflow.tasks.core.errors import DeidflowError, Interrupted, TransientError
from deidflow.tasks.core.outcomes import Outcome, ReasonCode
from deidflow.tasks.core.quick_pickles import Records
from deidflow.tasks.local.worker import edit_in_worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from deidflow.tasks.core.engine.protocol import Chunk, PlannedInstance
    from deidflow.tasks.core.processes.workers import Pending, Workers
    from deidflow.tasks.core.request.request import Request

    Work = tuple[Request, PlannedInstance]
    Record = Callable[[Sequence[InstanceResult]], None]
    Stopped = Callable[[], bool]

BATCH_INSTANCES: Final = 256
"""Instances per trip to a worker: enough to hide the trip and to share one flush to the disk."""

_LEAST_FAR_BATCH: Final = 32
"""On a cluster a trip takes a few milliseconds of scheduler, worker and flow."""

BATCH_BYTES: Final = 64 << 20
"""Large instances travel in smaller batches, so that progress shows and little is lost with a worker."""

_UNSEEN: Final = frozenset({ReasonCode.SOURCE_CHANGED, ReasonCode.SOURCE_UNREADABLE})
"""What another machine says of a file that it sees seconds later than this one, or as it was (caches of NFS)."""

_TRIES_ALONE: Final = 3
_POLL_SECONDS: Final = 0.2
_DRAIN_S: Final = 1.5
"""For batches under way when a run is stopped; with all else Ctrl-C is to take less than 5 s."""


_TOO_LONG: Final = (
    "a chunk took longer than execution.job_timeout_seconds; see whether source and destination answer, or raise it"
)


class LocalEngine:
    """Engine of one run; see ``deidflow.tasks.core.engine.protocol.Engine``."""

    def __init__(self, workers: Workers, chunk_timeout_s: float = math.inf) -> None:
        """Take who does the work, in the role of ``start_worker``.

        Args:
            workers: The engine does not close them.
            chunk_timeout_s: How many seconds a chunk may take, so that a disk that hangs does not hold a run for ever.

        """
        self._workers = workers
        self._chunk_timeout_s = chunk_timeout_s

    def close(self) -> None:
        """Do nothing: the workers are others' to close."""

    def finish(self, stopped: Stopped) -> None:
        """Do nothing: what a process writes has the name that was planned, and stands there once."""

    def apply(self, chunk: Chunk, record: Record, stopped: Stopped) -> None:
        """Edit every instance of a chunk; see ``Engine.apply``.

        Raises:
            TransientError: Also when the chunk takes longer than it may; what was recorded stays.

        """
        end = time.monotonic() + self._chunk_timeout_s
        work = [(request, instance) for request, instances, _ in chunk.calls for instance in instances]
        recorded: set[int] = set()

        def note(results: Sequence[InstanceResult]) -> None:
            seen = [result for result in results if not (self._workers.is_far and result.code in _UNSEEN)]
            record(seen)
            recorded.update(result.id for result in seen)

        submit = self._workers.submit
        try:
            _collect([submit(edit_in_worker, batch) for batch in self._batches(work)], note, stopped, end)
        except BrokenProcessPool:
            if stopped():  # a signal to the whole group of processes ends workers, too
                raise Interrupted("interrupted") from None
        if len(recorded) < len(work):
            self._apply_alone([one for one in work if one[1].id not in recorded], record, stopped, end)

    def _apply_alone(self, work: Sequence[Work], record: Record, stopped: Stopped, end: float) -> None:
        """Edit instances one by one in a process of their own: whichever kills it is found, and costs only itself."""
        with contextlib.closing(self._workers.alone()) as alone:
            for request, instance in work:
                for _ in range(_TRIES_ALONE):
                    try:
                        _collect([alone.submit(edit_in_worker, [(request, [instance])])], record, stopped, end)
                        break
                    except BrokenProcessPool:
                        continue
                else:
                    text = f"{_TRIES_ALONE} worker processes died while editing this instance"
                    record([InstanceResult(instance.id, Outcome.FAILED, ReasonCode.WORKER_DIED, text)])

    def _batches(self, work: Sequence[Work]) -> Iterator[list[tuple[Request, list[PlannedInstance]]]]:
        """Cut a chunk into trips; on a cluster so that one chunk has some for each of its workers."""
        if not self._workers.is_far:
            return _batches(work, BATCH_INSTANCES)
        share = len(work) // self._workers.count
        return _batches(work, min(max(share, _LEAST_FAR_BATCH), BATCH_INSTANCES))


def _collect(futures: Sequence[Pending], record: Record, stopped: Stopped, end: float) -> None:
    """Record results batch by batch; when one fails for good, those that are under way still count.

    Args:
        futures: In the order of the chunk.
        record: Takes the results of each.
        stopped: Whether the run is to stop.
        end: By ``time.monotonic``: later than that nothing is waited for.

    """
    failure: Exception | None = None
    for place, future in enumerate(futures):
        if failure is not None and future.cancel():
            continue
        try:
            outcome = _result(future, stopped, end)
        except (Interrupted, TransientError):
            _record_ended([waiting for waiting in futures[place:] if not waiting.cancel()], record)
            raise
        except BrokenProcessPool as error:
            failure = failure or error
            continue
        if isinstance(outcome, DeidflowError):
            failure = failure or outcome
        else:
            record(outcome)
    if failure is not None:
        raise failure


def _record_ended(futures: Sequence[Pending], record: Record) -> None:
    """Record the batches that were under way when the work was stopped: their results may stand where they belong."""
    end = time.monotonic() + _DRAIN_S
    for future in futures:
        try:
            outcome = future.result(timeout=max(0.0, end - time.monotonic()))
        except (NotYet, BrokenProcessPool, CancelledError):
            continue
        if not isinstance(outcome, DeidflowError):
            record(outcome)


def _result(future: Pending, stopped: Stopped, end: float) -> list[InstanceResult] | DeidflowError:
    while True:
        try:
            return cast("list[InstanceResult] | DeidflowError", future.result(timeout=_POLL_SECONDS))
        except NotYet:
            if stopped():
                message = "interrupted"
                raise Interrupted(message) from None
            if time.monotonic() > end:
                raise TransientError(_TOO_LONG) from None


def _batches(work: Iterable[Work], instances: int) -> Iterator[list[tuple[Request, list[PlannedInstance]]]]:
    """Cut a chunk into trips."""
    batch: list[Work] = []
    size = 0
    for one in work:
        if len(batch) == instances or (batch and size + one[1].size > BATCH_BYTES):
            yield _by_request(batch)
            batch, size = [], 0
        batch.append(one)
        size += one[1].size
    if batch:
        yield _by_request(batch)


def _by_request(batch: list[Work]) -> list[tuple[Request, list[PlannedInstance]]]:
    groups = groupby(batch, key=lambda one: id(one[0]))
    parts = [list(group) for _, group in groups]
    return [(part[0][0], Records(instance for _, instance in part)) for part in parts]
