"""Bulk calls as jobs of the server: send, wait and cancel.

Source: ``/tools/bulk-modify``, ``/tools/bulk-anonymize`` and ``/jobs`` of Orthanc 1.9.4 to 1.13.0. The server keeps the
last ten finished jobs only (``JobsHistorySize``): a job that is not read before ten others have ended is ``NotFound``.

The server's work for one instance grows with the size of its job. Tiny instances, anonymized, on 1.10.1: 1.0 ms in a
job of 100, 1.3 ms of 200, 1.9 ms of 500, 4.1 ms of 1,000, 7.6 ms of 2,000, 12.8 ms of 3,000. On 1.12.7: 1.6 ms of 100,
1.7 ms of 200, 2.1 ms of 500, 3.2 ms of 1,000, 8.5 ms of 2,000. Jobs of 200 to 500 are best.

A server that was killed and started again has a job that ran in Failure with code 0 (1.12.7) or runs it again from the
start (1.10.1): see ``deidflow.tasks.orthanc.jobs.restarted_jobs``.

When all instances are done, a job of 1.11.3 and later reads one new instance of each series again, to bring the levels
above up to date. Since the calls are permissive, an error there is passed over, and the step is done again, for ever:
when that instance was deleted meanwhile, or when the server cannot read what it wrote itself (1.13.0 after some
conversions). The job stays Running, all instances in its lists. See ``_LastStep``.

Public names: ``Job``, ``JobState``, ``submit``, ``read_job``, ``parse_job``, ``wait``, ``pause``, ``cancel``,
``end_last_step``.
"""

from __future__ import annotations

import time
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from deidflow.tasks.core.errors import Interrupted
from deidflow.tasks.orthanc.connection.answers import (
    fraction,
    job_identifier,
    mapping,
    objects,
    resource_id,
    resource_ids,
    strange,
    text,
    whole,
)
from deidflow.tasks.orthanc.connection.errors import BadRequest, DeadlineExceeded, JobFailed, NotFound
from deidflow.tasks.orthanc.resources.changes import Changes

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from deidflow.tasks.core.request.request import Operation
    from deidflow.tasks.orthanc.connection.client import OrthancClient

MIN_POLL_S: Final = 0.5
"""Two polls per second and job, but for short ones."""

MAX_POLL_S: Final = 2.0
FIRST_POLL_S: Final = 0.02
"""A job of a few instances takes less."""

_POLL_SHARE: Final = 0.1
"""After this part of the time waited so far it is asked again: at most some 50 times in its first five seconds."""

_NAP_S: Final = 0.1
"""How often ``stopped`` is asked while waiting."""

_QUIET_S: Final = 2.0
"""No change for so long: a paused job's threads have ended."""

_LAST_STEP_S: Final = 10.0
"""How long a job may be at its last step, at least."""

_WHAT: Final = "a job"

MODIFICATION: Final = "ResourceModification"
"""Type of the jobs of the bulk routes, and of those of one patient, study or series."""


class JobState(StrEnum):
    """Every state that Orthanc knows."""

    PENDING = "Pending"
    RUNNING = "Running"
    PAUSED = "Paused"
    RETRY = "Retry"
    SUCCESS = "Success"
    FAILURE = "Failure"

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen by itself."""
        return self in (JobState.SUCCESS, JobState.FAILURE)


_STATES: Final = frozenset(JobState)


class Job(NamedTuple):
    """What ``/jobs/{id}`` says at one moment.

    Attributes:
        id: Of the job.
        state: See ``JobState``.
        outputs: Identifiers of the resources written so far, all four levels, by level.
        type: ``ResourceModification`` for bulk calls.
        error_code: Orthanc's code, 0 for none; 0 also when 1.12 was killed while it ran.
        error_details: As the server says it: may hold identifiers and values, show ``failure`` instead.
        is_anonymization: Which of the two routes.
        instances: How many it was given, None when it does not say.
        failed: How many of them failed; on 1.10.1 only those whose file could not be read.
        given: Resources that it was given (1.11.3 on), None when it does not say.
        user_data: What the caller sent along (1.12.9 on), None when it does not say.
        progress: 0 to 100.
        runtime_s: How long it has been running, without waiting.

    """

    id: str
    state: JobState
    outputs: Mapping[str, tuple[str, ...]]
    type: str = MODIFICATION
    error_code: int = 0
    error_details: str = ""
    is_anonymization: bool = False
    instances: int | None = None
    failed: int = 0
    given: frozenset[str] | None = None
    user_data: object = None
    progress: int = 100
    runtime_s: float = 0.0

    @property
    def output_instances(self) -> tuple[str, ...]:
        """Instances written so far."""
        return self.outputs.get("Instance", ())

    @property
    def is_at_last_step(self) -> bool:
        """Whether it is still running, although it says of every instance what became of it."""
        done = len(self.output_instances) + self.failed
        return self.state is JobState.RUNNING and self.instances is not None and done >= self.instances

    @property
    def failure(self) -> JobFailed | None:
        """The exception for a job that failed, None for any other."""
        return JobFailed(self.error_code, self.error_details) if self.state is JobState.FAILURE else None


def submit(
    client: OrthancClient,
    operation: Operation,
    body: Mapping[str, Any],
    instance_ids: Collection[str],
    *,
    user_data: Mapping[str, Any] | None = None,
) -> str:
    """Start a bulk call; return the job's identifier.

    The body is sent with ``Asynchronous``, ``Permissive`` and ``KeepSource`` true, whatever it says about them.

    Args:
        client: The server.
        operation: Which route.
        body: Its arguments without ``Resources``.
        instance_ids: What to edit, instances only, each once.
        user_data: To recognise the job by (1.12.9 on).

    Raises:
        NotFound: The server lacks one of the instances; nothing was done (before 1.13.0).
        BadRequest: It never accepts these arguments; nothing was done.
        DeidflowError: See ``orthanc.connection.errors``; after ``Unreachable`` the job may exist.

    """
    call = {key: value for key, value in body.items() if key != "Synchronous"}
    call |= {"Resources": list(instance_ids), "Asynchronous": True, "Permissive": True, "KeepSource": True}
    if user_data is not None:
        call["UserData"] = dict(user_data)
    answer = client.post(f"tools/bulk-{operation}", call)
    return job_identifier(mapping(answer, _WHAT), _WHAT)


def read_job(client: OrthancClient, job_id: str) -> Job:
    """Read one job.

    Raises:
        NotFound: The server has forgotten it, or was started again without its jobs.
        DeidflowError: See ``deidflow.tasks.orthanc.connection.errors``.

    """
    return parse_job(client.get(f"jobs/{job_id}"))


def wait(
    client: OrthancClient,
    job_id: str,
    deadline_s: float,
    stopped: Callable[[], bool] = lambda: False,
    *,
    expected_s: float = 0.0,
) -> Job:
    """Wait until a job has ended, well or not, or repeats its last step.

    It is asked at most twice a second, but more often in the first seconds of its work, so that a short one ends soon.

    Args:
        client: The server.
        job_id: Of the job.
        deadline_s: Seconds from now.
        stopped: Asked ten times a second; True ends the waiting, not the job.
        expected_s: How long the job will take, to ask for the first time just then.

    Returns:
        The job in state Success or Failure; Running when it would not end, see ``end_last_step``.

    Raises:
        Interrupted: ``stopped`` said so.
        DeadlineExceeded: It has not ended; it is still there.
        NotFound: The server has forgotten it.
        DeidflowError: See ``deidflow.tasks.orthanc.connection.errors``.

    """
    last_step = _LastStep()
    first_s = min(max(expected_s, FIRST_POLL_S), deadline_s)
    return _wait(client, job_id, deadline_s, stopped, first_s=first_s, enough=last_step.is_repeated)


def _wait(
    client: OrthancClient,
    job_id: str,
    deadline_s: float,
    stopped: Callable[[], bool] = lambda: False,
    *,
    first_s: float = FIRST_POLL_S,
    enough: Callable[[Job], bool] = lambda _: False,
) -> Job:
    began = time.monotonic()
    end = began + deadline_s
    pause(first_s, stopped)
    while True:
        asked = time.monotonic()
        job = read_job(client, job_id)
        if job.state.is_final or enough(job):
            return job
        if asked >= end:
            raise DeadlineExceeded(_late(job, deadline_s))
        # From the answer on: a busy server that was slow to answer must not be asked the sooner for it.
        now = time.monotonic()
        pause(min(_pause_s(job, now - began), max(MIN_POLL_S, end - now)), stopped)


class _LastStep:
    """Tells a job that repeats its last step from one that takes its time for it.

    The step reads one instance of each new series. So it takes less than all that came before, when every instance was
    read, edited and written; a job that has been at it for longer has failed in it.
    """

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._reached: float | None = None

    def is_repeated(self, job: Job) -> bool:
        """Take what the job says now; return whether it has been at its last step for too long."""
        if not job.is_at_last_step:
            self._reached = None
            return False
        now = time.monotonic()
        if self._reached is None:
            self._reached = now
        return now - self._reached >= max(_LAST_STEP_S, self._reached - self._began)


def _pause_s(job: Job, waited_s: float) -> float:
    """Return how long to wait before asking again: until the job should be done, within limits."""
    if job.state not in (JobState.RUNNING, JobState.PENDING):
        return MIN_POLL_S
    least_s = min(max(waited_s * _POLL_SHARE, FIRST_POLL_S), MIN_POLL_S)
    left_s = job.runtime_s * (100 - job.progress) / max(job.progress, 1)
    return min(max(left_s, least_s), MAX_POLL_S)


def pause(seconds: float, stopped: Callable[[], bool]) -> None:
    """Sleep so many seconds, none when there are fewer than none.

    Raises:
        Interrupted: ``stopped``, which is asked ten times a second, said so.

    """
    end = time.monotonic() + seconds
    while True:
        if stopped():
            raise Interrupted("stopped while the Orthanc was working")
        left = end - time.monotonic()
        if left <= 0:
            return
        time.sleep(min(left, _NAP_S))


def _late(job: Job, deadline_s: float) -> str:
    what = {
        JobState.PENDING: "has not begun: other jobs are before it; see ConcurrentJobs of the Orthanc",
        JobState.RUNNING: f"is still running ({job.progress} %); raise execution.job_timeout_seconds",
        JobState.PAUSED: "was paused by somebody; resume it on the Orthanc",
        JobState.RETRY: "waits to be tried again by the Orthanc",
    }
    return f"after {deadline_s:.0f} s the job {what.get(job.state, 'has not ended')}"


def cancel(client: OrthancClient, job_id: str, deadline_s: float) -> Job | None:
    """Cancel a job and wait until it has really stopped; what it wrote stays.

    A job that has ended already stays as it is. Once this returns nothing more is written (25 cancellations each on
    1.10.1 and 1.12.7), but the outputs in the job are not all: on 1.12.7 the last one of each of its threads is on the
    server only, so the changes are read, too. A paused job of 1.12 goes on writing to its end, cancelled or not, and
    resumed it makes second copies: after that this waits until nothing has changed on the server for a while.

    Returns:
        The job in state Success or Failure, None when the server does not know it.

    Raises:
        DeadlineExceeded: It has not stopped.
        DeidflowError: See ``deidflow.tasks.orthanc.connection.errors``.

    """
    try:
        was_paused = read_job(client, job_id).state is JobState.PAUSED
        client.post(f"jobs/{job_id}/cancel")
        job = _wait(client, job_id, deadline_s)
    except (NotFound, BadRequest):  # 400 for an unknown job
        return None
    if was_paused:
        _wait_until_quiet(client, deadline_s)
    return job


def end_last_step(client: OrthancClient, job: Job, deadline_s: float) -> Job:
    """Cancel a job that repeats its last step; all that it could make is there.

    What the step is for is left undone: what the server shows of patient, study and series may be older than what
    stands in their instances. No identifier and no file depends on it.

    Args:
        client: The server.
        job: As ``wait`` returned it, in state Running.
        deadline_s: For the cancellation.

    Returns:
        The job in state Success, as the server should have told it.

    Raises:
        DeadlineExceeded: It has not stopped.
        DeidflowError: See ``deidflow.tasks.orthanc.connection.errors``.

    """
    cancel(client, job.id, deadline_s)
    return job._replace(state=JobState.SUCCESS)


def _wait_until_quiet(client: OrthancClient, deadline_s: float) -> None:
    end = time.monotonic() + deadline_s
    changes = Changes(client)
    last = changes.newest()
    while True:
        time.sleep(_QUIET_S)
        now = changes.newest()
        if now == last:
            return
        if time.monotonic() >= end:
            raise DeadlineExceeded("a paused job was cancelled, and the Orthanc goes on writing; try again later")
        last = now


def parse_job(item: Any) -> Job:
    """Read what ``/jobs`` says about one job.

    Raises:
        ServerError: It is not what Orthanc sends.

    """
    found = mapping(item, _WHAT)
    content = mapping(found.get("Content", {}), _WHAT)
    outputs: dict[str, list[str]] = {}
    is_bulk = text(found, "Type", _WHAT) == MODIFICATION
    for resource in objects(content.get("Resources", []), _WHAT) if is_bulk else ():
        outputs.setdefault(text(resource, "Type", _WHAT), []).append(resource_id(resource, "ID", _WHAT))
    given = content.get("ParentResources") if is_bulk else None
    state = text(found, "State", _WHAT)
    if state not in _STATES:
        raise strange(_WHAT)
    return Job(
        id=job_identifier(found, _WHAT),
        state=JobState(state),
        type=found["Type"],
        error_code=whole(found, "ErrorCode", _WHAT),
        error_details=text(found, "ErrorDetails", _WHAT, ""),
        is_anonymization=content.get("IsAnonymization") is True,
        instances=whole(content, "InstancesCount", _WHAT) if is_bulk and "InstancesCount" in content else None,
        failed=whole(content, "FailedInstancesCount", _WHAT, 0),
        outputs={level: tuple(ids) for level, ids in outputs.items()},
        given=None if given is None else frozenset(resource_ids(given, _WHAT)),
        user_data=found.get("UserData"),
        progress=min(max(whole(found, "Progress", _WHAT, 0), 0), 100),
        runtime_s=max(fraction(found, "EffectiveRuntime", _WHAT, 0.0), 0.0),
    )
