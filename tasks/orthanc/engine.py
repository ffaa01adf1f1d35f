"""The engine that lets an Orthanc do the work: each call a job, its outcome known for every instance.

Per call four requests and the polls: the instances are still there; the job; the changes, for what a server left behind
that was started again meanwhile; what the outputs were made from. A fifth for the first call, and for one after a pause
(the server's last change), and where other jobs wrote before this one (their lists). What failed is asked for singly.

Public names: ``OrthancEngine``, ``OrthancEngineSettings``.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from deidflow.tasks.core.engine import CallState, InstanceResult
from deidflow.tasks.core.errors import Interrupted, TransientError
from deidflow.tasks.core.identifiers import Level
from deidflow.tasks.core.outcomes import Outcome, ReasonCode
from deidflow.tasks.orthanc.changes import Changes
from deidflow.tasks.orthanc.errors import BadRequest, DeadlineExceeded, JobFailed, NotFound
from deidflow.tasks.orthanc.hardening import hardened_body
from deidflow.tasks.orthanc.jobs import Job, JobState, cancel, read_job, submit, wait
from deidflow.tasks.orthanc.lost_jobs import find_jobs
from deidflow.tasks.orthanc.mapping import delete_instances, map_outputs, outputs_since
from deidflow.tasks.orthanc.probe import probe
from deidflow.tasks.orthanc.resources import still_there
from deidflow.tasks.orthanc.restarted_jobs import copies_from_before
from deidflow.tasks.orthanc.transcoding import not_converted

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from deidflow.tasks.core.engine import Call, CallMemory, Chunk, Journal, PlannedInstance
    from deidflow.tasks.orthanc.client import OrthancClient
    from deidflow.tasks.orthanc.mapping import Result
    from deidflow.tasks.orthanc.server import Server

    Record = Callable[[Sequence[InstanceResult]], None]
    Stopped = Callable[[], bool]

_CANCEL_S: Final = 60.0
_MAX_PROBES: Final = 50
_LOST_JOB_S: Final = 60.0

_PACE_MARGIN: Final = 1.15
"""A poll that comes a moment too early costs half a second, one that comes late only itself."""

_GRACE_S: Final = 1.0
"""A server may still be reading a request whose connection broke; its job appears a moment later."""

_RECENTLY_S: Final = 2.0
"""How old the last known change may be when a call goes out: what others made since of its originals is not told from
what it leaves behind itself."""

_TORN: Final = "its patient cannot be done again as a whole: originals of it are gone; make a new run for the rest"
_NOT_CONVERTED: Final = "the Orthanc could not convert it and kept the transfer syntax of the original"
_GONE: Final = "the Orthanc does not hold the instance any more"


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
    """Engine of one run; see ``deidflow.tasks.core.engine.Engine``."""

    def __init__(
        self, client: OrthancClient, server: Server, journal: Journal, settings: OrthancEngineSettings
    ) -> None:
        """Take a client, which the engine closes, and the memory of its calls."""
        self._client = client
        self._changes = Changes(client)
        self._server = server
        self._journal = journal
        self._settings = settings
        self._slots = threading.Semaphore(settings.parallel_jobs)
        self._seconds_per_instance = 0.0  # of the last job: with a patient per call most jobs are short

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
        memory = self._journal.recall(call.number)
        if memory.state is CallState.REDO:
            call = self._without_irreplaceable(call, record)
            if not call.instances:
                return
        job = self._settle(call)
        if job is None:
            call = self._reduced(call, still_there(self._client, _ids(call)), record)
        else:
            call = self._reduced(call, memory.sent, record)
        if not call.instances:
            return
        ended = job or self._send_and_wait(call, stopped)
        results = self._refused(call, ended) if isinstance(ended, BadRequest) else self._results(call, ended)
        with self._journal.together():
            record(results)
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
        # Of a call that ended the ledger knows every output; changes since then may be another run's.
        leftovers = set(self._journal.outputs(call.number))
        if memory.state is not CallState.REDO:
            job = self._stop_job(call, memory)
            made = set(self._outputs_of(memory))
            # See restarted_jobs: a job that ended well need not list all that it made.
            if job is not None and job.state is JobState.SUCCESS and made == set(job.output_instances):
                return job
            leftovers |= made
        delete_instances(self._client, leftovers - set(_ids(call)) - set(memory.sent))
        self._journal.forget(call.number)
        return None

    def _stop_job(self, call: Call, memory: CallMemory) -> Job | None:
        """Stop whatever job a request became; return it when it is known by its ID and had ended by itself."""
        if memory.state is CallState.SENT:
            try:
                job = read_job(self._client, memory.job)
            except NotFound:
                return None
            if job.state.is_final:
                return job
            cancel(self._client, memory.job, _CANCEL_S)
            return None
        lost = self._lost_jobs(call, memory)
        if not lost:
            time.sleep(_GRACE_S)
            lost = self._lost_jobs(call, memory)
        for job in lost:
            cancel(self._client, job.id, _CANCEL_S)
        return None

    def _lost_jobs(self, call: Call, memory: CallMemory) -> list[Job]:
        operation, data = call.request.operation, self._user_data(call)
        return find_jobs(self._client, operation, memory.sent, user_data=data, deadline_s=_LOST_JOB_S)

    def _outputs_of(self, memory: CallMemory) -> Collection[str]:
        return () if memory.since is None else outputs_since(self._client, memory.since, memory.sent)

    def _reduced(self, call: Call, there: Collection[str], record: Record) -> Call:
        """Fail the instances that left the server since the plan was frozen, or before the call was sent."""
        held = set(there)
        gone = [instance for instance in call.instances if instance.orthanc_id not in held]
        if gone:
            record([InstanceResult(one.id, Outcome.FAILED, ReasonCode.SOURCE_CHANGED, _GONE) for one in gone])
        return call._replace(instances=[instance for instance in call.instances if instance.orthanc_id in held])

    def _without_irreplaceable(self, call: Call, record: Record) -> Call:
        """Keep results whose originals are gone, and which could not be made again, with all of their patients."""
        known = self._journal.outputs(call.number)
        if not known:
            return call
        found = map_outputs(self._client, {"Instance": known}, _ids(call))
        gone = found.of.keys() - still_there(self._client, found.of)
        if not gone:
            return call
        alone = call.request.level() is Level.INSTANCE
        patients = {one.original.patient_id for one in call.instances if one.orthanc_id in gone}
        kept, others = [], []
        for instance in call.instances:
            made = found.of.get(instance.orthanc_id)
            if instance.orthanc_id not in gone and (alone or instance.original.patient_id not in patients):
                others.append(instance)
            elif made is None:
                kept.append(InstanceResult(instance.id, Outcome.FAILED, ReasonCode.SOURCE_CHANGED, _TORN))
            else:
                kept.append(_done(instance, made))
        record(kept)
        return call._replace(instances=others)

    def _body(self, call: Call) -> dict[str, Any]:
        return hardened_body(call.request) if self._settings.hardening else call.request.body()

    def _send_and_wait(self, call: Call, stopped: Stopped) -> Job | BadRequest:
        """Send the call and wait for its job, or return why the server refuses its arguments for good."""
        ids = _ids(call)
        since = self._changes.newest(within_s=_RECENTLY_S)
        self._journal.intend(call.number, since, call.instances)
        try:
            job_id = submit(
                self._client, call.request.operation, self._body(call), ids, user_data=self._user_data(call)
            )
        except BadRequest as error:
            self._journal.forget(call.number)
            return error
        except NotFound:
            self._journal.forget(call.number)
            raise TransientError("an instance left the Orthanc while the call was sent") from None
        self._journal.sent(call.number, job_id)
        expected_s = self._seconds_per_instance * len(ids) * _PACE_MARGIN
        try:
            job = wait(self._client, job_id, self._settings.job_timeout_s, stopped, expected_s=expected_s)
        except (Interrupted, DeadlineExceeded, JobFailed):
            cancel(self._client, job_id, _CANCEL_S)
            self._settle(call)
            raise
        except NotFound:
            raise TransientError("the Orthanc has forgotten the job") from None
        if job.state is not JobState.SUCCESS:
            self._settle(call)
            raise job.failure or JobFailed(job.error_code)
        if len(job.output_instances) != len(ids):
            if self._settle(call) is None:
                raise TransientError("the Orthanc was started again while the job ran")
        elif copies := copies_from_before(self._client, self._changes, since, job, ids):
            delete_instances(self._client, copies)
        self._seconds_per_instance = job.runtime_s / len(ids)
        return job

    def _refused(self, call: Call, error: BadRequest) -> list[InstanceResult]:
        return [InstanceResult(one.id, Outcome.FAILED, ReasonCode.BAD_VALUE, str(error)) for one in call.instances]

    def _results(self, call: Call, job: Job) -> list[InstanceResult]:
        """Say what became of each instance; what the server counts is not believed."""
        found = map_outputs(self._client, job.outputs, _ids(call))
        if found.repeated:
            delete_instances(self._client, found.repeated)
        kept = self._without_conversion(call, found.of)
        results = []
        probed: list[InstanceResult] = []
        for instance in call.instances:
            made = found.of.get(instance.orthanc_id)
            if instance.orthanc_id in kept:
                results.append(kept[instance.orthanc_id]._replace(id=instance.id))
            elif made is None and len(probed) < _MAX_PROBES:
                probed.append(self._failure(call, instance))
                results.append(probed[-1])
            elif made is None:
                # So many fail for one reason; asking for each would cost a request each.
                results.append(probed[0]._replace(id=instance.id))
            else:
                results.append(_done(instance, made))
        return results

    def _without_conversion(self, call: Call, made: Mapping[str, Result]) -> dict[str, InstanceResult]:
        """Delete the results that kept another transfer syntax than was asked for; return why, by original."""
        target = call.request.settings.transcode
        if not target:
            return {}
        instance_of = {original: result.orthanc_ids[-1] for original, result in made.items()}
        others = not_converted(self._client, instance_of.values(), target)
        delete_instances(self._client, set(others) - set(_ids(call)))
        return {
            original: InstanceResult(0, Outcome.FAILED, ReasonCode.TRANSCODING_FAILED, _NOT_CONVERTED)
            for original, name in instance_of.items()
            if name in others
        }

    def _failure(self, call: Call, instance: PlannedInstance) -> InstanceResult:
        reason = probe(self._client, instance.orthanc_id, call.request.operation, self._body(call))
        if reason is None:
            text = "the Orthanc counted the instance as done, but its result is not there"
            return InstanceResult(instance.id, Outcome.MISSING, ReasonCode.RESULT_MISSING, text)
        return InstanceResult(instance.id, Outcome.FAILED, *reason)


def _ids(call: Call) -> list[str]:
    return [instance.orthanc_id for instance in call.instances]


def _done(instance: PlannedInstance, made: Result) -> InstanceResult:
    return InstanceResult(instance.id, Outcome.DONE, new=made.identifiers, new_orthanc_ids=made.orthanc_ids)
