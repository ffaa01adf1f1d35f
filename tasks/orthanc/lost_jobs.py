"""Jobs whose identifier was never received: the request was sent and its answer was lost.

Source: ``/jobs?expand``; ``ParentResources`` since 1.11.3, ``UserData`` since 1.12.9.

Public names: ``find_jobs``, ``all_jobs``.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from deidflow.tasks.core.request import Operation
from deidflow.tasks.orthanc.content import read_content
from deidflow.tasks.orthanc.errors import DeadlineExceeded, NotFound, ServerError
from deidflow.tasks.orthanc.jobs import MIN_POLL_S, Job, parse_job, read_job

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from deidflow.tasks.orthanc.client import OrthancClient

_TYPE: Final = "ResourceModification"
_OK: Final = 200


def find_jobs(
    client: OrthancClient,
    operation: Operation,
    instance_ids: Collection[str],
    *,
    user_data: Mapping[str, Any] | None = None,
    deadline_s: float = 60.0,
) -> list[Job]:
    """Find the jobs that a request led to whose answer was lost.

    By ``UserData`` or the resources given where the server tells them. Where it does not (before 1.11.3), by the number
    of instances and what the outputs were made from; a job without outputs is watched until it has some or has ended,
    and one that ended without any does not count.

    Args:
        client: The server.
        operation: Of the request.
        instance_ids: Of the request.
        user_data: Of the request.
        deadline_s: Seconds to watch jobs that have no outputs yet.

    Raises:
        DeadlineExceeded: A job that may be the one still waits behind others.
        DeidflowError: See ``deidflow.tasks.orthanc.errors``.

    """
    wanted = frozenset(instance_ids)
    end = time.monotonic() + deadline_s
    found = []
    for job in all_jobs(client):
        if job.is_anonymization != (operation is Operation.ANONYMIZE) or job.instances not in (None, len(wanted)):
            continue
        if user_data is not None and job.user_data is not None:
            if job.user_data == user_data:
                found.append(job)
        elif job.given is not None:
            if job.given == wanted:
                found.append(job)
        else:
            watched = _watch(client, job, end)
            if watched is not None and _made_from(client, watched, wanted):
                found.append(watched)
    return found


def all_jobs(client: OrthancClient) -> Iterator[Job]:
    """Read every bulk job, modification or anonymization that the server still knows (``GET /jobs?expand``).

    Raises:
        DeidflowError: See ``deidflow.tasks.orthanc.errors``.

    """
    answer = client.get("jobs", expand="")
    if not isinstance(answer, list):
        raise ServerError("the list of jobs is not what an Orthanc sends; does a proxy answer for it?", _OK)
    return (job for job in map(parse_job, answer) if job.type == _TYPE)


def _watch(client: OrthancClient, job: Job, end: float) -> Job | None:
    """Wait until a job has an output or has ended; None when it ended without any."""
    while not job.output_instances and not job.state.is_final:
        if time.monotonic() >= end:
            message = "a job on the Orthanc may be the one whose answer was lost, and has not begun; try again later"
            raise DeadlineExceeded(message)
        time.sleep(MIN_POLL_S)
        try:
            job = read_job(client, job.id)
        except NotFound:
            return None
    return job if job.output_instances else None


def _made_from(client: OrthancClient, job: Job, wanted: frozenset[str]) -> bool:
    """Whether a job's first outputs were made from the instances of a request."""
    outputs = read_content(client, job.output_instances[:10])
    return any(not wanted.isdisjoint(output.origins) for output in outputs)
