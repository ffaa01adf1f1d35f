"""Check the results of a run against its sources and its report.

Public names: ``verify_results``.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from concurrent.futures import FIRST_COMPLETED, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.engine.protocol import InstanceResult
from deidflow.tasks.core.errors import DeidflowError, Interrupted, Unusable
from deidflow.tasks.core.outcomes import Outcome, ReasonCode
from deidflow.tasks.core.plan.planner import given_identifiers, planned_instance
from deidflow.tasks.core.processes.pool import make_pool, stop_pool, worker_died
from deidflow.tasks.core.pseudonyms.original_uids import WELL_KNOWN
from deidflow.tasks.core.pseudonyms.pseudonyms import Pseudonyms
from deidflow.tasks.core.request.request import Operation
from deidflow.tasks.orthanc.resources.resources import still_there
from deidflow.tasks.steps.access.engines import destination_folder, place_of, results_place
from deidflow.tasks.steps.access.places import Places
from deidflow.tasks.steps.findings import FOUND_BY_VERIFYING, Findings
from deidflow.tasks.verification.uid_map import UidKind
from deidflow.tasks.verification.verifier import Expected, VerifierSettings, start_verifier, verify_in_worker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future
    from pathlib import Path

    from deidflow.tasks.core.errors import TransientError
    from deidflow.tasks.core.plan.planner import Parents
    from deidflow.tasks.core.request.request import Request
    from deidflow.tasks.steps.access.exchange import OrthancPlace
    from deidflow.tasks.steps.run.progress import Progress
    from deidflow.tasks.steps.run.run_folder import Run

    Work = list[tuple[Request, list[Expected]]]

_BATCH: Final = 64
_QUICK_BATCH: Final = 512
"""Of results whose identifiers alone are read, which takes less time than the trip to the process."""

_PRESENCE_BATCH: Final = 5000
_BATCHES_AHEAD_PER_WORKER: Final = 4
_POLL_S: Final = 0.2
_MAX_POOLS: Final = 4
"""A process that is killed costs its pool; one that dies each time is found out."""

_MAP_FILE: Final = "uid_map.tmp"

_EXPECTED: Final = """
SELECT m.request, i.evidence, i.new_orthanc_id, i.outcome, i.content,
    i.id, i.path, i.size, i.mtime_ns, i.orthanc_id, s.patient_id, s.study_instance_uid, s.series_instance_uid,
    i.sop_instance_uid, t.patient_id, t.study_instance_uid, t.series_instance_uid, i.new_sop_instance_uid
FROM instance i JOIN manifest_row m ON m.line = i.line JOIN series s ON s.id = i.series JOIN target t ON t.id = i.target
WHERE {} AND i.id > ? ORDER BY i.id LIMIT ?
"""


def verify_results(run: Run, progress: Progress, *, full: bool, again: bool = False) -> int:
    """Verify results; what is found goes into the ledger, and a result that fails goes out of the destination.

    Args:
        run: Open.
        progress: Counts instances.
        full: Read every result back; otherwise only whether it is there with its identifiers.
        again: Look at everything that was ever done: a result that is back and right is done again. Otherwise at what
            counts as done and was not verified so far; where sources are to be deleted, at all that counts as done.

    Returns:
        How many results that counted as done failed.

    Raises:
        Interrupted: The run is to stop; what was verified so far is noted.
        TransientError: A server that holds sources or results cannot be reached; nothing is said about the results.
        Unusable: It cannot be used, the source or the destination is not there, or processes die of the results.

    """
    wanted = _wanted(run, full=full, again=again)
    total = run.ledger.scalar(f"SELECT count(*) FROM instance i WHERE {wanted}")  # noqa: S608 (our own conditions)
    if not total:
        return 0
    places = Places(run, full=full)
    places.require()
    progress.start("verifying", total)
    findings = Findings(run, places, "full" if full else "identifiers")
    remote = results_place(run.config)
    try:
        if remote is not None and not full:
            _verify_presence(run, remote, wanted, findings, progress)
        else:
            _verify_content(run, wanted, findings, progress, full=full)
    finally:
        findings.write()
    progress.finish()
    return findings.failed


def _wanted(run: Run, *, full: bool, again: bool) -> str:
    """Return the condition for instances ``i`` that are to be verified."""
    done = f"i.outcome = '{Outcome.DONE}'"
    if again:
        lost = " OR ".join(f"i.reason LIKE '{code}:%'" for code in FOUND_BY_VERIFYING)
        return f"({done} OR (i.new_orthanc_id <> '' AND ({lost})))"
    if not run.config.defaults.settings.keep_source:
        return done
    enough = "'full'" if full else "'full', 'identifiers'"
    return f"{done} AND i.verified NOT IN ({enough})"


def _verify_content(run: Run, wanted: str, findings: Findings, progress: Progress, *, full: bool) -> None:
    """Read results back in processes of their own."""
    remote = results_place(run.config)
    with _uid_map(run, full=full) as uid_map:
        settings = VerifierSettings(
            source=os.fsencode(str(run.config.source.folder or "")),
            destination="" if remote is not None else str(destination_folder(run.config)),
            full=full,
            hardening=run.config.hardening,
            given_values=run.config.engine == "orthanc",
            uid_map=uid_map,
            remote_source=place_of(run.config, run.config.source.orthanc),
            remote_results=remote,
        )
        works = _work(run, wanted, _BATCH if full else _QUICK_BATCH)
        for _ in range(_MAX_POOLS):
            lost: list[Work] = []
            _verify_in_pool(run, settings, works, lost, findings, progress)
            if not lost:
                break
            works = chain(lost, works)
        else:
            raise worker_died()


def _verify_in_pool(
    run: Run,
    settings: VerifierSettings,
    works: Iterator[Work],
    lost: list[Work],
    findings: Findings,
    progress: Progress,
) -> None:
    """Verify until all is done or a process dies; what is then not done is added to ``lost``."""
    workers = run.config.execution.workers
    waiting: dict[Future[list[InstanceResult] | TransientError | Unusable], Work] = {}
    pool = make_pool(workers, start_verifier, settings)
    try:
        for work in chain(works, [None]):
            if work is not None:
                lost.append(work)
                waiting[pool.submit(verify_in_worker, work)] = lost.pop()
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


def _verify_presence(run: Run, place: OrthancPlace, wanted: str, findings: Findings, progress: Progress) -> None:
    """Ask an Orthanc for all results at once; their identifiers are what they are found by."""
    client = place.client()
    text = "the result is not on the Orthanc"
    for work in _work(run, wanted, _PRESENCE_BATCH):
        if run.stop.is_set():
            raise Interrupted("the run was stopped")
        expected = [one for _, group in work for one in group]
        there = still_there(client, [one.result_id for one in expected])
        results = []
        for one in expected:
            if one.result_id not in there:
                results.append(InstanceResult(one.instance.id, Outcome.MISSING, ReasonCode.RESULT_MISSING, text))
            elif not one.is_done:
                results.append(InstanceResult(one.instance.id, Outcome.DONE))
        findings.add(expected, results)
        progress.advance(len(expected))


def _work(run: Run, wanted: str, size: int) -> Iterator[Work]:
    last = 0
    while True:
        rows = run.ledger.select(_EXPECTED.format(wanted), (last, size))
        if not rows:
            return
        last = rows[-1][5]
        parents: Parents = {}
        yield [
            (
                run.requests.get(request),
                [
                    Expected(planned_instance(row[5:], parents), row[1], row[2], row[3] == Outcome.DONE, row[4])
                    for row in group
                ],
            )
            for request, group in groupby(rows, key=itemgetter(0))
        ]


def _frames_of_reference(run: Run) -> Iterator[tuple[str, str, str]]:
    """Yield what the map holds of frames of reference, which the ledger knows before and the key knows after."""
    given, pseudonyms = given_identifiers(run.ledger).uids, Pseudonyms(run.key, run.config.scope)
    for (original,) in run.ledger.select(
        "SELECT DISTINCT s.frame_of_reference_uid FROM series s JOIN instance i ON i.series = s.id"
        " JOIN manifest_row m ON m.line = i.line WHERE m.operation = ? AND s.frame_of_reference_uid <> ''",
        (Operation.ANONYMIZE,),
    ):
        if not original.startswith(WELL_KNOWN):
            yield UidKind.ANY, original, given.get(original) or pseudonyms.uid(original)


@contextlib.contextmanager
def _uid_map(run: Run, *, full: bool) -> Iterator[str]:
    """Write original and new UIDs of anonymized instances to a file that the verifying processes read."""
    anonymized = run.ledger.scalar(
        "SELECT count(*) FROM manifest_row WHERE operation = ? AND verdict = ''", (Operation.ANONYMIZE,)
    )
    if not full or not anonymized:
        yield ""
        return
    path = run.folder / _MAP_FILE
    path.unlink(missing_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    try:
        _fill_map(run, path)
        yield str(path)
    finally:
        path.unlink(missing_ok=True)


def _fill_map(run: Run, path: Path) -> None:
    try:
        with contextlib.closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute(
                "CREATE TABLE uid (kind TEXT, original TEXT, new TEXT NOT NULL, PRIMARY KEY (original, kind))"
                " WITHOUT ROWID"
            )
            rows = run.ledger.stream(
                "SELECT DISTINCT s.study_instance_uid, t.study_instance_uid, s.series_instance_uid,"
                " t.series_instance_uid, i.sop_instance_uid, i.new_sop_instance_uid FROM instance i"
                " JOIN series s ON s.id = i.series JOIN target t ON t.id = i.target"
                " JOIN manifest_row m ON m.line = i.line WHERE m.operation = ? ORDER BY i.id",
                (Operation.ANONYMIZE,),
            )
            kinds = (UidKind.STUDY, UidKind.SERIES, UidKind.INSTANCE)
            if run.config.engine == "local":
                kinds = (UidKind.ANY, UidKind.ANY, UidKind.ANY)
                connection.executemany("INSERT OR IGNORE INTO uid VALUES (?, ?, ?)", _frames_of_reference(run))
            for row in rows:
                pairs = zip(kinds, row[::2], row[1::2], strict=True)
                connection.executemany("INSERT OR IGNORE INTO uid VALUES (?, ?, ?)", pairs)
    except sqlite3.DatabaseError:
        message = f"the run folder {run.folder} cannot be read or written: is the disk full, broken, or not writable?"
        raise Unusable(message) from None
