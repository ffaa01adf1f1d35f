"""The engine that lets an Orthanc do the work: each call a job, its outcome known for every instance.

Per call four requests and the polls: the instances are still there; the job; the changes, for what a server left behind
that was started again meanwhile; what the outputs were made from. A fifth for the first call, and for one after a pause
(the server's last change), and where other jobs wrote before this one (their lists). What failed is asked for singly.

Public names: ``OrthancEngine``, ``OrthancEngineSettings``.
"""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from deidflow.tasks.core.dicom.identifiers import Level
from deidflow.tasks.core.engine.protocol import CallState, InstanceResult
from deidflow.tasks.core.errors import Interrupted, TransientError
from deidflow.tasks.core.outcomes import Outcome, ReasonCode
from deidflow.tasks.core.request.request import Operation
from deidflow.tasks.orthanc.admission import admitted, is_sent_as_patient, only_held
from deidflow.tasks.orthanc.connection.errors import BadRequest, DeadlineExceeded, JobFailed, NotFound, SharedOriginals
from deidflow.tasks.orthanc.hardening import hardened_body
from deidflow.tasks.orthanc.jobs.failure_probe import probe
from deidflow.tasks.orthanc.jobs.failures import Failures
from deidflow.tasks.orthanc.jobs.jobs import JobState, cancel, end_last_step, pause, submit, wait
from deidflow.tasks.orthanc.jobs.lost_jobs import others_at_work
from deidflow.tasks.orthanc.jobs.repeated_jobs import STORED_S, undo_repeats
from deidflow.tasks.orthanc.jobs.restarted_jobs import possible_surplus_results
from deidflow.tasks.orthanc.jobs.settlement import CANCEL_S, Settlement
from deidflow.tasks.orthanc.jobs.transcoded import not_converted
from deidflow.tasks.orthanc.resources.changes import Changes
from deidflow.tasks.orthanc.resources.deep_names import results_with_names
from deidflow.tasks.orthanc.resources.marks import marked_body
from deidflow.tasks.orthanc.resources.resources import still_there
from deidflow.tasks.orthanc.resources.results import map_outputs

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from deidflow.tasks.core.engine.protocol import Call, Chunk, Journal, PlannedInstance
    from deidflow.tasks.orthanc.connection.client import OrthancClient
    from deidflow.tasks.orthanc.jobs.jobs import Job
    from deidflow.tasks.orthanc.resources.results import Result
    from deidflow.tasks.orthanc.resources.server import Server

    Record = Callable[[Sequence[InstanceResult]], None]
    Stopped = Callable[[], bool]

_RECENTLY_S: Final = 2.0
"""How old the last known change may be when a call goes out: the older, the more results of others are looked at."""

_BACK_S: Final = 15.0
"""How long a server that went while a call was in doubt is waited for: it may be started again."""

_PAUSE_S: Final = 0.5

_TORN: Final = "its patient cannot be done again as a whole: originals of it are gone; make a new run for the rest"
_NOT_CONVERTED: Final = "the Orthanc could not convert it and kept the transfer syntax of the original"
_LINK_LOST: Final = (
    "the Orthanc converts what it stores (IngestTranscoding), or a plugin edits it, and results of this version lose "
    "the link to their originals by it; switch it off there, or set options.Transcode to the same transfer syntax"
)
_WITH_LOSS: Final = (
    "the Orthanc converts what it stores (IngestTranscoding) with loss; "
    "switch it off there, or set options.Transcode to a lossless one"
)
_LEFT: Final = "an instance left the Orthanc while the call was sent"


@dataclass(frozen=True, slots=True)
class OrthancEngineSettings:
    """What is the same for all calls of a run.

    Attributes:
        run_id: Recognises the run's jobs on servers that keep ``UserData``.
        nonce: What the marks of the run's results are made from.
        hardening: Anonymize: also remove overlays, curves, and nested names and IDs.
        reads_back: Whether each result is read back in full afterwards.
        job_timeout_s: How long a job may take.
        parallel_jobs: Jobs at a time.

    """

    run_id: str
    nonce: str
    hardening: bool
    reads_back: bool
    job_timeout_s: float
    parallel_jobs: int


class OrthancEngine:
    """Engine of one run; see ``deidflow.tasks.core.engine.protocol.Engine``."""

    def __init__(
        self, client: OrthancClient, server: Server, journal: Journal, settings: OrthancEngineSettings
    ) -> None:
        """Take a client, which the engine closes, and the memory of its calls."""
        self._client = client
        self._changes = Changes(client)
        self._server = server
        self._journal = journal
        self._settings = settings
        self._settlement = Settlement(client, server, journal, settings.run_id, settings.nonce, self._fails)
        self._slots = threading.Semaphore(settings.parallel_jobs)
        self._sending = threading.Lock()
        self._jobs: set[str] = set()
        """Of requests that leave no room for a mark."""
        self._unlisted: set[int] = set()
        """Numbers of calls of which results were deleted that their jobs do not list."""
        self._worked_at = -math.inf
        """When the last job had ended."""
        self._seconds_per_instance = 0.0  # of the last job: with a patient per call most jobs are short

    def close(self) -> None:
        """Close the client."""
        self._client.close()

    def apply(self, chunk: Chunk, record: Record, stopped: Stopped) -> None:
        """Carry out the calls of a chunk; see ``Engine.apply``."""
        for call in chunk.calls:
            if stopped():
                raise Interrupted("the run was stopped")
            try:
                self._apply_call(call, record, stopped)
            except TransientError:
                if not self._taken_up(call, record, stopped):
                    raise

    def finish(self, stopped: Stopped) -> None:
        """Undo what the server made again of calls that had ended; see ``Engine.finish``."""
        if not self._server.repeats_jobs:
            return

        def go_on() -> None:
            if stopped():
                raise Interrupted("the run was stopped")

        end = time.monotonic() + _BACK_S
        while True:
            pause(self._worked_at + STORED_S - time.monotonic(), stopped)
            try:
                undo_repeats(self._client, self._journal, self._settlement, go_on)
            except TransientError:
                if time.monotonic() >= end:
                    raise
                pause(_PAUSE_S, stopped)
            else:
                return

    def _taken_up(self, call: Call, record: Record, stopped: Stopped) -> bool:
        """Settle a call in doubt before it is left to the next attempt, which there may not be; wait for the server.

        Returns:
            Whether its job had ended well, and its results are recorded.

        """
        end = time.monotonic() + _BACK_S
        while self._journal.recall(call.number).state in (CallState.INTENDED, CallState.SENT):
            try:
                job = self._settlement.settle(call)
            except TransientError:
                if stopped() or time.monotonic() >= end:
                    return False
                time.sleep(_PAUSE_S)
                continue
            if job is not None:
                sent = only_held(call, self._journal.recall(call.number).sent, record)
                self._record(sent, self._results(sent, job), record)
            return job is not None
        return False

    def _apply_call(self, call: Call, record: Record, stopped: Stopped) -> None:
        memory = self._journal.recall(call.number)
        if memory.state is CallState.REDO:
            call = self._without_irreplaceable(call, record)
            if not call.instances:
                return
        job = self._settlement.settle(call)
        if job is None:
            call = admitted(self._client, self._server, call, record)
        else:
            call = only_held(call, memory.sent, record)
        if not call.instances:
            return
        ended = job or self._send_and_wait(call, stopped)
        results = self._refused(call, ended) if isinstance(ended, BadRequest) else self._results(call, ended)
        self._worked_at = time.monotonic()
        self._record(call, results, record)

    def _record(self, call: Call, results: Sequence[InstanceResult], record: Record) -> None:
        with self._journal.together():
            record(results)
            self._journal.ended(call.number)

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
        body = hardened_body(call.request) if self._settings.hardening else call.request.body()
        if is_sent_as_patient(self._server, call.request):
            # Regenerates the same identifiers, and takes instances whatever else their patient has (1.11.3 on).
            body["Level"] = "Patient"
        return marked_body(body, call.request, self._settlement.mark(call), self._server.text)

    def _fails(self, call: Call, instance_id: str) -> bool:
        return probe(self._client, instance_id, call.request.operation, self._body(call)) is not None

    def _send_and_wait(self, call: Call, stopped: Stopped) -> Job | BadRequest:
        """Send the call and wait for its job, or return why the server refuses its arguments for good."""
        ids = _ids(call)
        self._unlisted.discard(call.number)
        with self._slots:  # what comes before and behind it is done beside the jobs of other calls
            if stopped():
                raise Interrupted("the run was stopped")
            since = self._changes.newest(within_s=_RECENTLY_S)
            self._journal.intend(call.number, since, call.instances)
            job = self._run_job(call, ids, stopped)
        if job is None:
            return self._settled(call, "the Orthanc has forgotten the job")
        if isinstance(job, BadRequest):
            return job
        if job.state is JobState.RUNNING:
            return end_last_step(self._client, job, CANCEL_S)
        if job.state is not JobState.SUCCESS:
            self._settlement.settle(call)
            raise job.failure or JobFailed(job.error_code)
        if len(job.output_instances) != len(ids):
            job = self._settled(call, "the Orthanc was started again while the job ran")
        else:
            studies = {instance.original.orthanc_id(Level.STUDY) for instance in call.instances}
            lost = self._server.loses_links and self._settlement.mark(call) is not None
            copies = possible_surplus_results(self._client, self._changes, since, job, ids, studies, loses_links=lost)
            if self._settlement.delete_own(call, copies, is_listed=False):
                self._unlisted.add(call.number)
        self._seconds_per_instance = job.runtime_s / len(ids)
        return job

    def _run_job(self, call: Call, ids: Sequence[str], stopped: Stopped) -> Job | BadRequest | None:
        """Return the job as it ended, None when the server has forgotten it, or why it never accepts the call."""
        try:
            job_id = self._submit(call, ids)
        except BadRequest as error:
            self._journal.forget(call.number)
            if still_there(self._client, ids) != set(ids):  # 1.13.0 answers 400 for unknown instances, too
                raise TransientError(_LEFT) from None
            return error
        except NotFound:
            self._journal.forget(call.number)
            raise TransientError(_LEFT) from None
        self._journal.sent(call.number, job_id)
        expected_s = self._seconds_per_instance * len(ids)
        try:
            return wait(self._client, job_id, self._settings.job_timeout_s, stopped, expected_s=expected_s)
        except (Interrupted, DeadlineExceeded, JobFailed):
            cancel(self._client, job_id, CANCEL_S)
            self._settlement.settle(call)
            raise
        except NotFound:
            return None

    def _submit(self, call: Call, ids: Sequence[str]) -> str:
        data = self._settlement.user_data(call)
        if self._settlement.mark(call) is not None:
            return submit(self._client, call.request.operation, self._body(call), ids, user_data=data)
        with self._sending:
            if others_at_work(self._client, ids, self._jobs):
                self._journal.forget(call.number)
                raise SharedOriginals
            job_id = submit(self._client, call.request.operation, self._body(call), ids, user_data=data)
            self._jobs.add(job_id)
        return job_id

    def _settled(self, call: Call, why_not: str) -> Job:
        """Return the job whose results can be taken, or raise so that the call is sent again."""
        job = self._settlement.settle(call)
        if job is None:
            raise TransientError(why_not)
        return job

    def _refused(self, call: Call, error: BadRequest) -> list[InstanceResult]:
        # Without a code of its own it is not the Orthanc that refuses it, whatever the values are.
        code = ReasonCode.SERVER_ERROR if error.orthanc_status is None else ReasonCode.BAD_VALUE
        return [InstanceResult(one.id, Outcome.FAILED, code, str(error)) for one in call.instances]

    def _results(self, call: Call, job: Job) -> list[InstanceResult]:
        """Say what became of each instance; what the server counts is not believed."""
        found = map_outputs(self._client, job.outputs, _ids(call))
        if found.repeated:
            self._settlement.delete_own(call, found.repeated, is_listed=True)
        nowhere = len(job.output_instances) - len(found.of) - len(found.repeated) - len(found.foreign)
        is_converted = self._without_links(call, found.foreign) or self._without_unlisted(call, job, nowhere)
        explains_all = len(found.foreign) + nowhere >= len(call.instances) - len(found.of)
        kept = self._without_conversion(call, found.of)
        left = self._names_left(call, {name: made for name, made in found.of.items() if name not in kept})
        results = []
        failures = self._failures(call)
        for instance in call.instances:
            made = found.of.get(instance.orthanc_id)
            if instance.orthanc_id in kept:
                failed = InstanceResult(instance.id, Outcome.FAILED, ReasonCode.TRANSCODING_FAILED, _NOT_CONVERTED)
                results.append(failed)
            elif made is None and is_converted and (explains_all or not self._fails(call, instance.orthanc_id)):
                text = _LINK_LOST if self._server.loses_links else _WITH_LOSS
                results.append(InstanceResult(instance.id, Outcome.FAILED, ReasonCode.TRANSCODING_FAILED, text))
            elif made is None:
                results.append(failures.of(instance))
            elif keyword := left.get(instance.orthanc_id):
                text = f"the original {keyword} is left in the result; add its path to Remove"
                results.append(InstanceResult(instance.id, Outcome.FAILED, ReasonCode.IDENTIFIER_LEFT, text))
            else:
                results.append(_done(instance, made))
        return results

    def _without_links(self, call: Call, outputs: Collection[str]) -> bool:
        """Take results out that do not tell what they were made from; return whether there are any."""
        own = set(outputs) - set(_ids(call))
        if not self._server.loses_links or not own:
            return False
        self._settlement.delete_own(call, own, is_listed=True)
        return True

    def _without_unlisted(self, call: Call, job: Job, nowhere: int) -> bool:
        """Take results out that have another SOPInstanceUID than the job lists; return whether there were any.

        That is what conversion with loss leads to when it is stored (1.10.1, 1.12.7 and 1.13.0).

        Args:
            call: Which one.
            job: Of the call, ended.
            nowhere: How many instances the job lists that are not on the server.

        """
        if not nowhere:
            return False
        return call.number in self._unlisted or self._settlement.delete_unlisted(call, job.output_instances)

    def _without_conversion(self, call: Call, made: Mapping[str, Result]) -> set[str]:
        """Take results out that kept another transfer syntax than was asked for; return their originals."""
        target = call.request.settings.transcode
        if not target:
            return set()
        original_of = {result.orthanc_ids[-1]: original for original, result in made.items()}
        others = not_converted(self._client, original_of, target)
        self._settlement.delete_own(call, others.keys() - set(_ids(call)), is_listed=True)
        return {original_of[name] for name in others}

    def _names_left(self, call: Call, made: Mapping[str, Result]) -> dict[str, str]:
        """Take results out in which hardening left a name or ID; return which, by original."""
        settings = self._settings
        if settings.reads_back or not settings.hardening or call.request.operation is not Operation.ANONYMIZE:
            return {}
        left = results_with_names(self._client, made, call.request)
        self._settlement.delete_own(call, [made[original].orthanc_ids[-1] for original in left], is_listed=True)
        return left

    def _failures(self, call: Call) -> Failures:
        def delete_own(names: Collection[str]) -> None:
            self._settlement.delete_own(call, names, is_listed=True)

        return Failures(self._client, call, self._body(call), self._settlement.user_data(call), delete_own)


def _ids(call: Call) -> list[str]:
    return [instance.orthanc_id for instance in call.instances]


def _done(instance: PlannedInstance, made: Result) -> InstanceResult:
    return InstanceResult(instance.id, Outcome.DONE, new=made.identifiers, new_orthanc_ids=made.orthanc_ids)
