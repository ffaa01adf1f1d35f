"""The local engine: Orthanc's bulk routes on a folder of DICOM files, in worker processes, without any server.

Public names: ``LocalEngine``.
"""

from __future__ import annotations

import multiprocessing
import threading
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, Final, Self

from tasks.core.errors import TransientError, Unusable
from tasks.local.worker import edit_in_worker, start_worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Future

    from tasks.core.engine import Chunk, InstanceResult, PlannedInstance
    from tasks.core.request import Request
    from tasks.local.worker import WorkerSettings

    Batch = list[tuple[Request, list[PlannedInstance]]]
    Outcome = list[InstanceResult] | Unusable

BATCH_INSTANCES: Final = 64
"""Instances per trip to a worker: enough to hide the trip and to share one flush to the disk."""

BATCH_BYTES: Final = 64 << 20
"""Large instances travel in smaller batches, so that progress shows and little is lost with a worker."""


class LocalEngine:
    """Engine of one run; see ``tasks.core.engine.Engine``."""

    def __init__(self, settings: WorkerSettings, workers: int) -> None:
        """Take what is the same for the run; processes start with the first chunk.

        Args:
            settings: For every worker.
            workers: Number of processes, at least 1.

        """
        self._settings = settings
        self._workers = workers
        self._lock = threading.Lock()
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the processes."""
        self.close()

    def close(self) -> None:
        """End the processes; work that has not begun is dropped."""
        with self._lock:
            if self._pool is not None:
                self._pool.shutdown(wait=True, cancel_futures=True)
                self._pool = None

    def apply(self, chunk: Chunk, record: Callable[[Sequence[InstanceResult]], None]) -> None:
        """Edit every instance of a chunk; see ``Engine.apply``."""
        pool = self._started_pool()
        try:
            futures = [pool.submit(edit_in_worker, batch) for batch in _batches(chunk)]
            self._collect(futures, record)
        except BrokenProcessPool:
            self._discard(pool)
            message = f"chunk {chunk.key}: a worker process died"
            raise TransientError(message) from None

    def _collect(
        self, futures: list[Future[Outcome]], record: Callable[[Sequence[InstanceResult]], None]
    ) -> None:
        """Record results batch by batch; when one fails for good, the batches that are under way still count."""
        failure: BaseException | None = None
        for future in futures:
            if failure is not None and future.cancel():
                continue
            try:
                outcome = future.result()
            except BaseException as error:  # noqa: BLE001 (raised again below)
                failure = failure or error
                if not isinstance(error, Exception):
                    break
                continue
            if isinstance(outcome, Unusable):
                failure = failure or outcome
            else:
                record(outcome)
        if failure is not None:
            for future in futures:
                future.cancel()
            raise failure

    def _started_pool(self) -> ProcessPoolExecutor:
        with self._lock:
            if self._pool is None:
                # Spawned, not forked: the parent has threads, and its locks and connections are none of the worker's.
                self._pool = ProcessPoolExecutor(
                    self._workers,
                    mp_context=multiprocessing.get_context("spawn"),
                    initializer=start_worker,
                    initargs=(self._settings,),
                )
            return self._pool

    def _discard(self, pool: ProcessPoolExecutor) -> None:
        with self._lock:
            if self._pool is pool:
                pool.shutdown(wait=False, cancel_futures=True)
                self._pool = None


def _batches(chunk: Chunk) -> Iterator[Batch]:
    """Cut a chunk into trips."""
    batch: Batch = []
    count = size = 0
    for request, instances in chunk.calls:
        batch.append((request, []))
        for instance in instances:
            if count == BATCH_INSTANCES or (count and size + instance.size > BATCH_BYTES):
                yield batch
                batch, count, size = [(request, [])], 0, 0
            batch[-1][1].append(instance)
            count += 1
            size += instance.size
    if count:
        yield batch
