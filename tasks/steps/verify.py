"""Check the results of a run against its sources and its report, beside the edits: each chunk when it is done.

What one chunk tells is noted when it is known. Whatever kept a chunk from being verified beside the edits (a server
that is away, a folder that is not mounted) says nothing about it: it is looked at when all edits are done.

Public names: ``Verification``, ``Found``, ``verify_results``.
"""

from __future__ import annotations

import threading
from contextlib import nullcontext, suppress
from dataclasses import replace
from itertools import chain, groupby
from operator import attrgetter
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final, NamedTuple

from deidflow.tasks.core.engine.protocol import InstanceResult, VerifyWork
from deidflow.tasks.core.errors import DeidflowError, Interrupted, TransientError, Unusable
from deidflow.tasks.core.ledger.results import (
    ToVerify,
    chunks_to_verify,
    count_to_verify,
    expected_results,
    pages_to_verify,
)
from deidflow.tasks.core.ledger.run_facts import change_facts
from deidflow.tasks.core.outcomes import Outcome, ReasonCode
from deidflow.tasks.core.processes.in_order import done_in_order
from deidflow.tasks.core.quick_pickles import Records
from deidflow.tasks.steps.access.choice import source_of, store_of
from deidflow.tasks.steps.findings import Findings
from deidflow.tasks.steps.one_to_one import shared_results
from deidflow.tasks.steps.replaced_results import Replacements
from deidflow.tasks.steps.run.uid_map import uid_map_file, uids_of_call
from deidflow.tasks.verification.in_worker import verify_in_worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from deidflow.tasks.core.ledger.results import ExpectedResult
    from deidflow.tasks.core.processes.workers import Workers
    from deidflow.tasks.steps.access.seams import BatchSize
    from deidflow.tasks.steps.run.progress import Progress
    from deidflow.tasks.steps.run.run import Run

    Looked = list[InstanceResult] | TransientError | Unusable

VERIFYING: Final = "verifying"
"""The name of the step, for people."""

_BATCH_BYTES: Final = 64 << 20
_PAGE: Final = 2048
"""Results that are asked of the ledger at a time, at least."""
_POLL_S: Final = 0.2


class Verification:
    """The verification of one attempt at a run; ``chunk_is_done`` and ``edits_are_done`` are for other threads.

    Attributes:
        failed: How many results that counted as done were found wrong or missing.

    """

    def __init__(
        self, run: Run, workers: Workers, progress: Progress, *, full: bool, again: bool = False, is_held: bool = True
    ) -> None:
        """Prepare it.

        Args:
            run: Open.
            workers: In the role that the config's ``verify`` asks for.
            progress: Counts instances, once a step of the name ``VERIFYING`` has begun.
            full: Read every result back; otherwise only whether it is there with its identifiers.
            again: Look at everything that was ever done: a result that is back and right is done again. Otherwise at
                what counts as done and was not verified so far; where sources are to be deleted, at all that counts as
                done.
            is_held: Whether the destination is held for the run; otherwise it is when a result has to be taken out.

        """
        self._run = run
        self._workers = workers
        self._progress = progress
        self._source, self._store = source_of(run.config), store_of(run.config)
        self._full = full
        # What was found right before is looked at once more only where its source is to be deleted.
        self._wanted = ToVerify(again=again, verified=not run.config.defaults.settings.keep_source, full=full)
        look = verify_in_worker if full else self._store.presence.look
        self._look: Callable[[VerifyWork], Looked] = look
        self._replacements = Replacements(run, self._store, is_held=is_held)
        how = "full" if full else "identifiers"
        self._findings = Findings(run, self._store, self._replacements, self._require, how)
        self._done_chunks: SimpleQueue[int | None] = SimpleQueue()
        self._edits_ended = threading.Event()
        self._edits = False
        self._verified: set[int] = set()

    @property
    def failed(self) -> int:
        """How many results that counted as done failed."""
        return self._findings.failed

    @property
    def replaced(self) -> int:
        """How many of these another run has replaced."""
        return self._findings.replaced

    def count(self) -> int:
        """Return how many results are to be looked at by now."""
        return count_to_verify(self._run.ledger, self._wanted)

    def chunk_is_done(self, number: int) -> None:
        """Say that a chunk may be verified: nothing of it will be edited any more in this attempt."""
        self._edits = True
        self._done_chunks.put(number)

    def edits_are_done(self) -> None:
        """Say that no further chunk will be done."""
        self._edits_ended.set()
        self._done_chunks.put(None)

    def verify(self) -> None:
        """Verify chunks while they are done, then what is left, then what only the whole run shows.

        It may be called again after an error, and goes on then.

        Raises:
            Interrupted: The run is to stop; what was verified so far is noted.
            TransientError: A server that holds sources or results cannot be reached; nothing is said about the results.
            Unusable: It cannot be used, the source or the destination is not there, or processes die of the results.

        """
        try:
            # Workers on other machines have it already.
            with uid_map_file(self._run) if self._full and not self._workers.is_far else nullcontext():
                self._verify_beside()
                chunks = chunks_to_verify(self._run.ledger, self._wanted)
                left = [number for number in chunks if number not in self._verified]
                if left:
                    self._require()
                    self._verify_works(chain.from_iterable(map(self._works, left)))
                    self._verified.update(left)
            self._stop_if_asked()
            self._findings.write()
            self._note_gone()
            self._note_shared()
            self._findings.write()
            change_facts(self._run.ledger, lambda facts: replace(facts, verification_ended=True))
        finally:
            self._replacements.close()
            self._findings.write()

    def _note_gone(self) -> None:
        """Note what was found right and went while others were written: a full Orthanc deletes its oldest patients."""
        if not self._edits or not self._store.makes_room():
            return
        presence, ledger = self._store.presence, self._run.ledger
        presence.start(presence.settings)
        all_done = ToVerify(again=False, verified=True, full=False)
        for chunk in chunks_to_verify(ledger, all_done):
            for page in pages_to_verify(ledger, all_done, chunk, self._store.batch(full=False).most):
                self._stop_if_asked()
                expected = [one.expected for one in page]
                found = presence.look(VerifyWork([(ledger.requests.get(page[0].request), expected)], []))
                if isinstance(found, DeidflowError):
                    raise found
                gone = {result.id for result in found}
                self._findings.add([one for one in expected if one.instance.id in gone], found)

    def _note_shared(self) -> None:
        """Fail what is right by itself and not the only one."""
        shared = shared_results(self._run.ledger)
        expected = [one.expected for one in expected_results(self._run.ledger, shared)]
        found = [
            InstanceResult(
                one.instance.id, Outcome.FAILED, ReasonCode.RESULT_DIFFERS, shared[one.instance.id], one.evidence
            )
            for one in expected
        ]
        self._findings.add(expected, found)

    def _verify_beside(self) -> None:
        """Verify chunks while others are edited."""
        while not self._edits_ended.is_set():
            self._stop_if_asked()
            try:
                number = self._done_chunks.get(timeout=_POLL_S)
            except Empty:
                continue
            if number is None:
                return
            # What cannot be looked at now is left to the end.
            with suppress(TransientError, Unusable):
                self._require()
                self._verify_works(self._works(number))
                self._verified.add(number)

    def _stop_if_asked(self) -> None:
        if self._run.stop.is_set():
            raise Interrupted("the run was stopped")

    def _require(self) -> None:
        """Make sure that source and destination are there, before anything is said about what is in them."""
        self._store.require(self._run.ledger)
        if self._full:
            self._source.require(self._run.ledger, every=self._run.config.defaults.settings.keep_source)

    def _works(self, chunk: int) -> Iterator[VerifyWork]:
        """Cut a chunk into what is looked at together."""
        requests = self._run.ledger.requests
        uids: tuple[int, list[tuple[str, str, str]]] = (0, [])
        size = self._store.batch(full=self._full)
        for page in pages_to_verify(self._run.ledger, self._wanted, chunk, max(size.most, _PAGE)):
            call = page[0].call
            if self._full and call and call != uids[0]:
                uids = call, uids_of_call(self._run, call)
            for batch in _batches(page, size):
                groups = [
                    (requests.get(request), Records(one.expected for one in group))
                    for request, group in groupby(batch, key=attrgetter("request"))
                ]
                yield VerifyWork(groups, uids[1])

    def _verify_works(self, works: Iterable[VerifyWork]) -> None:
        """Verify all of it, so much at a time that no worker waits."""
        for work, found in done_in_order(
            self._workers, self._look, works, stop=self._stop_if_asked, doubts=_is_not_all_right
        ):
            if isinstance(found, DeidflowError):
                raise found
            expected = work.expected
            self._findings.add(expected, found)
            self._progress.advance(len(expected), VERIFYING)


class Found(NamedTuple):
    """How many results that counted as done are wrong or missing, and how many of them another run has replaced."""

    wrong: int
    replaced: int


def verify_results(run: Run, workers: Workers, progress: Progress, *, full: bool, again: bool = False) -> Found:
    """Verify results of which none is edited now, see ``Verification``.

    What is found goes into the ledger, and a result that fails goes out of the destination.

    Args:
        run: Open.
        workers: See ``Verification``.
        progress: Counts instances.
        full: See ``Verification``.
        again: See ``Verification``.

    Raises:
        DeidflowError: See ``Verification.verify``.

    """
    verification = Verification(run, workers, progress, full=full, again=again, is_held=False)
    verification.edits_are_done()
    total = verification.count()
    if total:
        progress.start(VERIFYING, total)
    verification.verify()
    progress.finish()
    return Found(verification.failed, verification.replaced)


def _is_not_all_right(found: Looked) -> bool:
    return not isinstance(found, DeidflowError) and any(
        one.outcome is not Outcome.DONE or one.code is not None for one in found
    )


def _batches(page: Sequence[ExpectedResult], size: BatchSize) -> Iterator[list[ExpectedResult]]:
    """Cut so that no worker holds too much (what is read from a server is read together), and one learns a series."""
    batch: list[ExpectedResult] = []
    held = 0
    for one in page:
        is_enough = len(batch) >= size.most or held + one.expected.instance.size > _BATCH_BYTES
        if batch and (is_enough or (len(batch) >= size.least and _series(one) != _series(batch[-1]))):
            yield batch
            batch, held = [], 0
        batch.append(one)
        held += one.expected.instance.size
    yield batch


def _series(one: ExpectedResult) -> tuple[str, ...]:
    return one.expected.instance.original[:3]
