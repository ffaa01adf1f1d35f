"""Jobs whose identifier was never received: the request was sent and its answer was lost; and jobs of others.

Source: ``/jobs?expand``; ``ParentResources`` since 1.11.3, ``UserData`` since 1.12.9.

Public names: ``find_jobs``, ``wait_for_possible_jobs``, ``wait_for_single_jobs``, ``others_at_work``,
``all_jobs``.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from deidflow.tasks.core.request.request import Operation
from deidflow.tasks.orthanc.connection.answers import objects
from deidflow.tasks.orthanc.connection.errors import DeadlineExceeded, NotFound
from deidflow.tasks.orthanc.jobs.jobs import MIN_POLL_S, MODIFICATION, Job, parse_job, read_job
from deidflow.tasks.orthanc.resources.bulk_content import read_content
from deidflow.tasks.orthanc.resources.marks import find_marked

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from deidflow.tasks.orthanc.connection.client import OrthancClient
    from deidflow.tasks.orthanc.resources.marks import Mark

_LOOKED_AT: Final = 10
"""Outputs of a job that are looked at: they all have the mark, or none."""
_STILL_RUNS: Final = "a job on the Orthanc may be the one whose answer was lost, and still runs; try again later"
_NOT_BEGUN: Final = "a job on the Orthanc may be the one whose answer was lost, and has not begun; try again later"


def all_jobs(client: OrthancClient) -> list[Job]:
    """Return the jobs that the server knows."""
    return [parse_job(item) for item in objects(client.get("jobs", expand=""), "jobs")]


def find_jobs(
    client: OrthancClient,
    operation: Operation,
    instance_ids: Collection[str],
    *,
    mark: Mark | None = None,
    user_data: Mapping[str, Any] | None = None,
    deadline_s: float = 60.0,
) -> list[Job]:
    """Find the jobs that a request led to whose answer was lost.

    A job is one of them when it has the request's ``UserData``, or, on servers before 1.12.9, when its outputs carry
    the request's mark; what it was given proves nothing, since others may edit the same instances. A job without
    outputs is watched until it has some or has ended.

    Args:
        client: The server.
        operation: Of the request.
        instance_ids: Of the request.
        mark: Of the request; None when it has none, so that only ``UserData`` proves anything.
        user_data: Of the request; None where the server does not keep it.
        deadline_s: Seconds to watch jobs that have no outputs yet.

    Raises:
        DeadlineExceeded: A job that may be the one still waits behind others.
        DeidflowError: See ``deidflow.tasks.orthanc.connection.errors``.

    """
    end = time.monotonic() + deadline_s
    found = []
    for job in _possible_jobs(client, operation, frozenset(instance_ids)):
        if user_data is not None:  # the server keeps it, so that a job without it is somebody else's
            if job.user_data == user_data:
                found.append(job)
        elif mark is not None:
            watched = _watch(client, job, end)
            if watched is not None and find_marked(client, watched.output_instances[:_LOOKED_AT], mark).own:
                found.append(watched)
    return found


def wait_for_possible_jobs(
    client: OrthancClient, operation: Operation, instance_ids: Collection[str], *, deadline_s: float = 60.0
) -> None:
    """Wait until no job is at work that may be the one of a request without a mark: it may be somebody else's.

    Raises:
        DeadlineExceeded: One is.
        DeidflowError: See ``deidflow.tasks.orthanc.connection.errors``.

    """
    end = time.monotonic() + deadline_s
    wanted = frozenset(instance_ids)
    for job in _possible_jobs(client, operation, wanted):
        watched = _watch(client, job, end)
        if watched is not None and (job.given is not None or _made_from(client, watched, wanted)):
            _wait_until(client, watched, lambda one: one.state.is_final, end, _STILL_RUNS)


def wait_for_single_jobs(client: OrthancClient, operation: Operation, *, deadline_s: float) -> None:
    """Wait until no job of a single instance is at work: it may be one that asks why there is no result.

    Raises:
        DeadlineExceeded: One is.
        DeidflowError: See ``deidflow.tasks.orthanc.connection.errors``.

    """
    end = time.monotonic() + deadline_s
    while True:
        if not any(_is_possible(job, operation, 1) and not job.state.is_final for job in all_jobs(client)):
            return
        if time.monotonic() >= end:
            raise DeadlineExceeded(_STILL_RUNS)
        time.sleep(MIN_POLL_S)


def others_at_work(client: OrthancClient, instance_ids: Collection[str], own: Collection[str]) -> bool:
    """Whether a job of somebody else edits some of these instances now, or may: before 1.11.3 no job tells.

    Args:
        client: The server.
        instance_ids: About to be sent.
        own: Identifiers of jobs that are no others'.

    Raises:
        DeidflowError: See ``deidflow.tasks.orthanc.connection.errors``.

    """
    wanted = frozenset(instance_ids)
    return any(
        job.type == MODIFICATION
        and not job.state.is_final
        and job.id not in own
        and (job.given is None or not wanted.isdisjoint(job.given))
        for job in all_jobs(client)
    )


def _is_possible(job: Job, operation: Operation, instances: int) -> bool:
    """Whether a job is of the right kind, and was given so many instances where the server tells."""
    is_of_kind = job.type == MODIFICATION and job.is_anonymization == (operation is Operation.ANONYMIZE)
    return is_of_kind and job.instances in (None, instances)


def _possible_jobs(client: OrthancClient, operation: Operation, wanted: frozenset[str]) -> Iterator[Job]:
    """Yield the jobs of the right kind that were given what a request named, or as many where the server is silent."""
    for job in all_jobs(client):
        if _is_possible(job, operation, len(wanted)) and (job.given is None or job.given == wanted):
            yield job


def _watch(client: OrthancClient, job: Job, end: float) -> Job | None:
    """Wait until a job has an output or has ended; None when it ended without any."""
    seen = _wait_until(client, job, lambda one: bool(one.output_instances) or one.state.is_final, end, _NOT_BEGUN)
    return seen if seen is not None and seen.output_instances else None


def _wait_until(client: OrthancClient, job: Job, holds: Callable[[Job], bool], end: float, late: str) -> Job | None:
    """Return a job once something holds of it; None when the server has forgotten it meanwhile."""
    while not holds(job):
        if time.monotonic() >= end:
            raise DeadlineExceeded(late)
        time.sleep(MIN_POLL_S)
        try:
            job = read_job(client, job.id)
        except NotFound:
            return None
    return job


def _made_from(client: OrthancClient, job: Job, wanted: frozenset[str]) -> bool:
    """Whether a job's first outputs were made from the instances of a request."""
    outputs = read_content(client, job.output_instances[:_LOOKED_AT])
    return any(not wanted.isdisjoint(output.origins) for output in outputs)
