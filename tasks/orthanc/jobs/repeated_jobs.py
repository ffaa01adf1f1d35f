"""Jobs that a server runs once more although their results were taken.

A 1.10.1 stores some 0.1 s late that a job has ended. Killed before that, it runs the job again when it is back, from
where it last stored it, and under other UIDs: 50 to 73 second copies of the 80 results of a job, seen with
``SaveJobs``. Nothing that the run asks later about its other calls shows them. So it looks once more when all are done:
for jobs of its calls that are at work again, and for whatever came in since the first call that carries the mark of one
of its calls and is no result of the run.

Public names: ``undo_repeats``, ``STORED_S``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.dicom.identifiers import Level
from deidflow.tasks.orthanc.jobs.jobs import MODIFICATION, cancel
from deidflow.tasks.orthanc.jobs.lost_jobs import all_jobs
from deidflow.tasks.orthanc.jobs.settlement import CANCEL_S
from deidflow.tasks.orthanc.resources.bulk_content import batched, read_content
from deidflow.tasks.orthanc.resources.changes import Changes
from deidflow.tasks.orthanc.resources.marks import find_marked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from deidflow.tasks.core.engine.protocol import Call, Journal
    from deidflow.tasks.orthanc.connection.client import OrthancClient
    from deidflow.tasks.orthanc.jobs.jobs import Job
    from deidflow.tasks.orthanc.jobs.settlement import Settlement

STORED_S: Final = 0.5
"""So long after its end a job is stored as ended: Orthanc looks ten times a second whether there is something to."""

_LOOKED_AT: Final = 10
"""Outputs of a job that are looked at: they all have the mark, or none."""

_NAMES: Final = 50_000
"""Compared with the ledger at a time."""


def undo_repeats(
    client: OrthancClient, journal: Journal, settlement: Settlement, go_on: Callable[[], None] = lambda: None
) -> None:
    """Cancel jobs of ended calls that are at work again, and delete what such jobs made.

    One request for the jobs, one for every 1,000 changes since the first call, and one for every 1,000 instances that
    came in since then and are not the run's; what was made from the run's originals is asked for its mark, one by one.
    Of a call without a mark only what its job lists counts, as long as the server knows the job.

    Args:
        client: The server.
        journal: The memory of calls; none is at work.
        settlement: Of the run.
        go_on: Called between requests; ends the work by an exception.

    Raises:
        DeidflowError: See ``deidflow.tasks.orthanc.connection.errors``; some may be left.

    """
    since = journal.first_change()
    if since is None:
        return
    listed = _stop_jobs(client, journal, settlement)
    for names in batched(Changes(client).new_instances(since), _NAMES):
        go_on()
        for call, copies in _by_call(client, journal, journal.unknown(names)):
            go_on()
            own = copies if settlement.mark(call) is not None else [name for name in copies if name in listed]
            settlement.delete_own(call, own, is_listed=True)


def _stop_jobs(client: OrthancClient, journal: Journal, settlement: Settlement) -> frozenset[str]:
    """Cancel what is at work again; return what the jobs of the run's calls list, as far as the server knows them."""
    known = journal.ended_jobs()
    listed: set[str] = set()
    for job in all_jobs(client):
        is_known, is_at_work = job.id in known, job.type == MODIFICATION and not job.state.is_final
        ended = None
        if is_at_work and (is_known or _is_own(client, journal, settlement, job)):
            ended = cancel(client, job.id, CANCEL_S)
        if is_known:
            listed.update((ended or job).output_instances)
    return frozenset(listed)


def _is_own(client: OrthancClient, journal: Journal, settlement: Settlement, job: Job) -> bool:
    """Whether what a job wrote carries the mark of an ended call, whose job is another one: it was sent again."""
    for call, names in _by_call(client, journal, job.output_instances[:_LOOKED_AT]):
        mark = settlement.mark(call)
        if mark is not None and find_marked(client, names, mark).own:
            return True
    return False


def _by_call(client: OrthancClient, journal: Journal, names: Iterable[str]) -> list[tuple[Call, list[str]]]:
    """Return the ended calls that have originals of these, and what was made from them."""
    origin_of = {
        item.id: origin
        for item in read_content(client, names)
        if item.level is Level.INSTANCE
        for origin in item.origins
    }
    calls = journal.ended_calls(set(origin_of.values()))
    found: dict[int, tuple[Call, list[str]]] = {}
    for name, origin in origin_of.items():
        if origin in calls:
            call = calls[origin]
            found.setdefault(call.number, (call, []))[1].append(name)
    return list(found.values())
