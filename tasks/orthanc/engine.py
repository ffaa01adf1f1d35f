"""The engine that lets an Orthanc do the work: each call a job, its outcome known for every instance.

Per call at most four requests and the polls: the instances are still there; the server's last change; the job; what its
outputs were made from. What failed is asked for one by one.

Public names: ``OrthancEngine``, ``OrthancEngineSettings``.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tasks.core.engine import CallState, InstanceResult
from tasks.core.errors import Interrupted, TransientError
from tasks.core.outcomes import Outcome, ReasonCode
from tasks.orthanc.errors import BadRequest, DeadlineExceeded, JobFailed, NotFound
from tasks.orthanc.hardening import hardened_body
from tasks.orthanc.jobs import Job, JobState, cancel, read_job, submit, wait
from tasks.orthanc.lost_jobs import find_jobs
from tasks.orthanc.mapping import delete_instances, last_change, map_outputs, outputs_since
from tasks.orthanc.probe import probe
from tasks.orthanc.resources import still_there

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tasks.core.engine import Call, Chunk, Journal, PlannedInstance
    from tasks.orthanc.client import OrthancClient
    from tasks.orthanc.server import Server

    Record = Callable[[Sequence[InstanceResult]], None]
    Stopped = Callable[[], bool]

_CANCEL_S: Final = 60.0
_MAX_PROBES: Final = 50
_LOST_JOB_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class OrthancEngineSettings:
    """What is the same for all calls of a run.

    Attributes:
        run_id: Recognises the run's jobs on servers that keep ``UserData``.
        hardening: Anonymize: also remove overlays, curves, and nested names and IDs.
        job_timeout_s: How long a job may take.
        parallel_jobs: Jobs at a time.

    """

    run_id: str
    hardening: bool
    job_timeout_s: float
    parallel_jobs: int


class OrthancEngine:
    """Engine of one run; see ``tasks.core.engine.Engine``."""

    def __init__(
        self, client: OrthancClient, server: Server, journal: Journal, settings: OrthancEngineSettings
    ) -> None:
        """Take a client, which the engine closes, and the memory of its calls."""
        self._client = client
        self._server = server
        self._journal = journal
        self._settings = settings
        self._slots = threading.Semaphore(settings.parallel_jobs)

    def close(self) -> None:
        """Close the client."""
        self._client.close()

    def apply(self, chunk: Chunk, record: Record, stopped: Stopped) -> None:
        """Carry out the calls of a chunk; see ``Engine.apply``."""
        for call in chunk.calls:
            if stopped():
                raise Interrupted("the run was stopped")
            with self._slots:
                self._apply_call(call, record, stopped)

    def _apply_call(self, call: Call, record: Record, stopped: Stopped) -> None:
        job = self._settle(call)
        if job is None:
            call = self._without_lost(call, record)
            if not call.instances:
                return
            job = self._send_and_wait(call, record, stopped)
        if job is not None:
            record(self._results(call, job))
        self._journal.ended(call.number)

    def _user_data(self, call: Call) -> dict[str, Any] | None:
        if not self._server.has_user_data:
            return None
        return {"deidflow-run": self._settings.run_id, "deidflow-call": call.number}

    def _settle(self, call: Call) -> Job | None:
        """Find out what became of an earlier request before anything is sent again.

        Returns:
            The job to take the results of, when one ended well; None when the call has to be sent, and nothing of an
            earlier attempt is left.

        """
        memory = self._journal.recall(call.number)
        if memory.state in (CallState.PLANNED, CallState.ENDED):
            return None
        ids = [instance.orthanc_id for instance in call.instances]
        if memory.state is CallState.SENT:
            try:
                job = read_job(self._client, memory.job)
            except NotFound:
                job = None
            if job is not None and job.state is JobState.SUCCESS and self._lists_all(job, memory.since, ids):
                return job
            if job is not None and not job.state.is_final:
                cancel(self._client, memory.job, _CANCEL_S)
        elif memory.state is CallState.INTENDED:
            operation, data = call.request.operation, self._user_data(call)
            for job in find_jobs(self._client, operation, ids, user_data=data, deadline_s=_LOST_JOB_S):
                cancel(self._client, job.id, _CANCEL_S)
        leftovers = set(self._journal.outputs(call.number))
        if memory.since is not None:
            leftovers |= set(outputs_since(self._client, memory.since, ids))
        delete_instances(self._client, leftovers - set(ids))
        self._journal.forget(call.number)
        return None

    def _lists_all(self, job: Job, since: int | None, ids: Sequence[str]) -> bool:
        """Whether a job that ended well made nothing but what it lists.

        A 1.10.1 that is killed starts its jobs anew: such a job ends well, too, and does not list all the copies that
        it made before.
        """
        return since is not None and set(outputs_since(self._client, since, ids)) == set(job.output_instances)

    def _without_lost(self, call: Call, record: Record) -> Call:
        """Fail the instances that left the server since the plan was frozen."""
        there = still_there(self._client, [instance.orthanc_id for instance in call.instances])
        gone = [instance for instance in call.instances if instance.orthanc_id not in there]
        if gone:
            text = "the Orthanc does not hold the instance any more"
            record([InstanceResult(one.id, Outcome.FAILED, ReasonCode.SOURCE_CHANGED, text) for one in gone])
        return call._replace(instances=[instance for instance in call.instances if instance.orthanc_id in there])

    def _body(self, call: Call) -> dict[str, Any]:
        return hardened_body(call.request) if self._settings.hardening else call.request.body()

    def _send_and_wait(self, call: Call, record: Record, stopped: Stopped) -> Job | None:
        """Send the call and wait for its job; None when the server refuses its arguments for good."""
        ids = [instance.orthanc_id for instance in call.instances]
        self._journal.intend(call.number, last_change(self._client))
        try:
            job_id = submit(
                self._client, call.request.operation, self._body(call), ids, user_data=self._user_data(call)
            )
        except BadRequest as error:
            self._journal.forget(call.number)
            record([InstanceResult(one.id, Outcome.FAILED, ReasonCode.BAD_VALUE, str(error)) for one in call.instances])
            return None
        except NotFound:
            self._journal.forget(call.number)
            raise TransientError("an instance left the Orthanc while the call was sent") from None
        self._journal.sent(call.number, job_id)
        try:
            job = wait(self._client, job_id, self._settings.job_timeout_s, stopped)
        except (Interrupted, DeadlineExceeded):
            cancel(self._client, job_id, _CANCEL_S)
            self._settle(call)
            raise
        except NotFound:
            raise TransientError("the Orthanc has forgotten the job") from None
        if job.state is not JobState.SUCCESS:
            self._settle(call)
            raise job.failure or JobFailed(job.error_code)
        if len(job.output_instances) != len(ids) and self._settle(call) is None:
            raise TransientError("the Orthanc was started again while the job ran")
        return job

    def _results(self, call: Call, job: Job) -> list[InstanceResult]:
        """Say what became of each instance; what the server counts is not believed."""
        ids = [instance.orthanc_id for instance in call.instances]
        found = map_outputs(self._client, job.outputs, ids)
        if found.repeated:
            delete_instances(self._client, found.repeated)
        results = []
        probed: list[InstanceResult] = []
        for instance in call.instances:
            made = found.of.get(instance.orthanc_id)
            if made is None and len(probed) < _MAX_PROBES:
                probed.append(self._failure(call, instance))
                results.append(probed[-1])
            elif made is None:
                # So many fail for one reason; asking for each would cost a request each.
                results.append(probed[0]._replace(id=instance.id))
            else:
                results.append(
                    InstanceResult(instance.id, Outcome.DONE, new=made.identifiers, new_orthanc_ids=made.orthanc_ids)
                )
        return results

    def _failure(self, call: Call, instance: PlannedInstance) -> InstanceResult:
        reason = probe(self._client, instance.orthanc_id, call.request.operation, self._body(call))
        if reason is None:
            text = "the Orthanc counted the instance as done, but its result is not there"
            return InstanceResult(instance.id, Outcome.MISSING, ReasonCode.RESULT_MISSING, text)
        return InstanceResult(instance.id, Outcome.FAILED, *reason)
