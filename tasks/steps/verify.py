"""Check the results of a run against its sources and its report.

Public names: ``verify_results``.
"""

from __future__ import annotations

import contextlib
from concurrent.futures import FIRST_COMPLETED, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from deidflow.tasks.core.engine.protocol import Expected, InstanceResult
from deidflow.tasks.core.errors import DeidflowError, Interrupted
from deidflow.tasks.core.ledger.manifest_rows import count_rows
from deidflow.tasks.core.ledger.results import (
    ToVerify,
    count_to_verify,
    frames_of_reference,
    pages_to_verify,
    uid_pairs,
)
from deidflow.tasks.core.ledger.uid_map import UidKind, write_uid_map
from deidflow.tasks.core.outcomes import Outcome
from deidflow.tasks.core.plan.planner import given_identifiers
from deidflow.tasks.core.processes.pool import make_pool, stop_pool, worker_died
from deidflow.tasks.core.pseudonyms.original_uids import WELL_KNOWN
from deidflow.tasks.core.pseudonyms.pseudonyms import Pseudonyms
from deidflow.tasks.core.request.request import Operation
from deidflow.tasks.steps.access.engines import source_of
from deidflow.tasks.steps.access.places import Folders
from deidflow.tasks.steps.access.results import results_of
from deidflow.tasks.steps.findings import Findings
from deidflow.tasks.verification.verifier import ThirdJudge, VerifierSettings, start_verifier, verify_in_worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from deidflow.tasks.core.errors import TransientError, Unusable
    from deidflow.tasks.core.request.request import Request
    from deidflow.tasks.steps.access.results import Results
    from deidflow.tasks.steps.run.progress import Progress
    from deidflow.tasks.steps.run.run_folder import Run

    Work = list[tuple[Request, list[Expected]]]

_BATCH: Final = 64
_BATCHES_AHEAD_PER_WORKER: Final = 4
_POLL_S: Final = 0.2
_MAX_POOLS: Final = 4
"""A process that is killed costs its pool; one that dies each time is found out."""

_MAP_FILE: Final = "uid_map.tmp"


def verify_results(run: Run, progress: Progress, *, full: bool, again: bool = False, deep: bool = False) -> int:
    """Verify results; what is found goes into the ledger, and a result that fails goes out of the destination.

    Args:
        run: Open.
        progress: Counts instances.
        full: Read every result back; otherwise only whether it is there with its identifiers.
        again: Look at everything that was ever done: a result that is back and right is done again. Otherwise at what
            counts as done and was not verified so far; where sources are to be deleted, at all that counts as done.
        deep: Have pydicom read every result, too.

    Returns:
        How many results that counted as done failed.

    Raises:
        Interrupted: The run is to stop; what was verified so far is noted.
        TransientError: A server that holds sources or results cannot be reached; nothing is said about the results.
        Unusable: It cannot be used, the source or the destination is not there, or processes die of the results.

    """
    # What was found right before is looked at once more only where its source is to be deleted.
    wanted = ToVerify(again=again, verified=not run.config.defaults.settings.keep_source, full=full)
    total = count_to_verify(run.ledger, wanted)
    if not total:
        return 0
    results = results_of(run)
    folders = Folders(run, results, full=full)
    folders.require()
    progress.start("verifying", total)
    findings = Findings(run, folders, results, "full" if full else "identifiers")
    try:
        if full:
            _verify_content(run, results, wanted, findings, progress, deep=deep)
        else:
            _look_for(run, results, _work(run, wanted, results.batch), findings, progress)
    finally:
        findings.write()
    progress.finish()
    return findings.failed


class _Check(NamedTuple):
    """What is done in processes of their own.

    Attributes:
        verify: Looks at a batch; an error of the project's is returned.
        start: Prepares a process.
        settings: Of ``start``.

    """

    verify: Callable[[Work], list[InstanceResult] | TransientError | Unusable]
    start: Callable[[Any], None]
    settings: Any


def _verify_content(
    run: Run, results: Results, wanted: ToVerify, findings: Findings, progress: Progress, *, deep: bool
) -> None:
    """Read results back."""
    with _uid_map(run) as uid_map:
        settings = VerifierSettings(
            source=source_of(run.config),
            results=results.store,
            hardening=run.config.hardens,
            profile=run.config.profile_choice,
            given_values=run.config.engine == "orthanc",
            uid_map=uid_map,
            pydicom=ThirdJudge.ALL if deep else ThirdJudge.SAMPLE,
        )
        check = _Check(verify_in_worker, start_verifier, settings)
        _verify_in_pools(run, check, _work(run, wanted, _BATCH), findings, progress)


def _verify_in_pools(run: Run, check: _Check, works: Iterator[Work], findings: Findings, progress: Progress) -> None:
    """Verify in processes of their own; what one that dies leaves is done again in others."""
    for _ in range(_MAX_POOLS):
        lost: list[Work] = []
        _verify_in_pool(run, check, works, lost, findings, progress)
        if not lost:
            return
        works = chain(lost, works)
    raise worker_died()


def _verify_in_pool(
    run: Run,
    check: _Check,
    works: Iterator[Work],
    lost: list[Work],
    findings: Findings,
    progress: Progress,
) -> None:
    """Verify until all is done or a process dies; what is then not done is added to ``lost``."""
    workers = run.config.execution.workers
    waiting: dict[Future[list[InstanceResult] | TransientError | Unusable], Work] = {}
    pool = make_pool(workers, check.start, check.settings)
    try:
        for work in chain(works, [None]):
            if work is not None:
                lost.append(work)
                waiting[pool.submit(check.verify, work)] = lost.pop()
            while len(waiting) >= (workers * _BATCHES_AHEAD_PER_WORKER if work is not None else 1):
                if run.stop.is_set():
                    raise Interrupted("the run was stopped")
                for future in wait(waiting, timeout=_POLL_S, return_when=FIRST_COMPLETED).done:
                    outcome = future.result()
                    if isinstance(outcome, DeidflowError):
                        raise outcome
                    expected = [one for _, group in waiting.pop(future) for one in group]
                    findings.add(expected, outcome)
                    progress.advance(len(expected))
    except BrokenProcessPool:
        lost += waiting.values()
    finally:
        stop_pool(pool)


def _look_for(run: Run, results: Results, works: Iterator[Work], findings: Findings, progress: Progress) -> None:
    """Look for results by their identifiers: a folder's in processes of their own, a server's by asking it."""
    if results.presence is not None:
        _verify_in_pools(run, _Check(*results.presence), works, findings, progress)
        return
    for work in works:
        if run.stop.is_set():
            raise Interrupted("the run was stopped")
        expected = [one for _, group in work for one in group]
        findings.add(expected, results.find(work))
        progress.advance(len(expected))


def _work(run: Run, wanted: ToVerify, size: int) -> Iterator[Work]:
    for page in pages_to_verify(run.ledger, wanted, size):
        yield [
            (
                run.ledger.requests.get(request),
                [
                    Expected(
                        one.instance,
                        one.evidence,
                        one.result_id,
                        one.outcome == Outcome.DONE,
                        one.content,
                        one.ends_series,
                    )
                    for one in group
                ],
            )
            for request, group in groupby(page, key=itemgetter(0))
        ]


@contextlib.contextmanager
def _uid_map(run: Run) -> Iterator[str | None]:
    """Write original and new UIDs of anonymized instances to a file that the verifying processes read."""
    if not count_rows(run.ledger, Operation.ANONYMIZE):
        yield None
        return
    path = run.folder / _MAP_FILE
    path.unlink(missing_ok=True)
    try:
        write_uid_map(path, _uids(run))
        yield str(path)
    finally:
        path.unlink(missing_ok=True)


def _uids(run: Run) -> Iterator[tuple[UidKind, str, str]]:
    kinds = (UidKind.STUDY, UidKind.SERIES, UidKind.INSTANCE)
    if run.config.engine == "local":
        kinds = (UidKind.ANY, UidKind.ANY, UidKind.ANY)
        # Frames of reference, which the ledger knows before and the key knows after.
        given, pseudonyms = given_identifiers(run.ledger).uids, Pseudonyms(run.key, run.config.scope)
        for original in frames_of_reference(run.ledger, Operation.ANONYMIZE):
            if not original.startswith(WELL_KNOWN):
                yield UidKind.ANY, original, given.get(original) or pseudonyms.uid(original)
    for pair in uid_pairs(run.ledger, Operation.ANONYMIZE):
        yield from zip(kinds, pair[::2], pair[1::2], strict=True)
