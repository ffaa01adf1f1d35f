"""What became of an earlier request: found out before anything is sent again, or given up.

Only what is proven to be the call's own is deleted (see ``own_results``); what may be is noted for a person to look at.

Public names: ``Settlement``.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from deidflow.tasks.core.dicom.identifiers import Level
from deidflow.tasks.core.engine.protocol import CallState
from deidflow.tasks.orthanc.connection.errors import NotFound
from deidflow.tasks.orthanc.jobs.jobs import Job, JobState, cancel, read_job
from deidflow.tasks.orthanc.jobs.lost_jobs import find_jobs, wait_for_possible_jobs, wait_for_single_jobs
from deidflow.tasks.orthanc.resources.marks import find_marked, mark_of, uid_of
from deidflow.tasks.orthanc.resources.own_results import OwnResults, find_own_results
from deidflow.tasks.orthanc.resources.results import delete_instances

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from deidflow.tasks.core.engine.protocol import Call, CallMemory, Journal
    from deidflow.tasks.orthanc.connection.client import OrthancClient
    from deidflow.tasks.orthanc.resources.marks import Mark
    from deidflow.tasks.orthanc.resources.server import Server

    Fails = Callable[[Call, str], bool]

CANCEL_S: Final = 60.0
_LOST_JOB_S: Final = 60.0
_MAX_PROBES: Final = 50

_GRACE_S: Final = 1.0
"""A server may still be reading a request whose connection broke; its job appears a moment later."""


class Settlement:
    """Settles the calls of one run; its methods may be called from any thread."""

    def __init__(
        self, client: OrthancClient, server: Server, journal: Journal, run_id: str, nonce: str, fails: Fails
    ) -> None:
        """Take what it works with.

        Args:
            client: The server.
            server: What it is.
            journal: The memory of calls.
            run_id: Recognises the run's jobs on servers that keep ``UserData``.
            nonce: What the marks of the run are made from.
            fails: Whether an original of a call cannot be edited, however often it is tried.

        """
        self._client = client
        self._server = server
        self._journal = journal
        self._run_id = run_id
        self._nonce = nonce
        self._fails = fails

    def mark(self, call: Call) -> Mark | None:
        """Return what the results of a call carry, None when its request leaves no room for it."""
        return mark_of(self._nonce, call.number, call.request)

    def user_data(self, call: Call) -> dict[str, Any] | None:
        """Return what the job of a call is known by, None where the server keeps none."""
        if not self._server.has_user_data:
            return None
        return {"deidflow-run": self._run_id, "deidflow-call": uid_of(self._nonce, call.number)}

    def settle(self, call: Call) -> Job | None:
        """Find out what became of an earlier request.

        Returns:
            The job to take the results of, when one ended well; None when the call has to be sent, and nothing that is
            proven to be of an earlier attempt is left.

        Raises:
            DeidflowError: See ``deidflow.tasks.orthanc.connection.errors``; it is not settled then.

        """
        memory = self._journal.recall(call.number)
        if memory.state in (CallState.PLANNED, CallState.ENDED):
            return None
        keep = {instance.orthanc_id for instance in call.instances}.union(memory.sent)
        if memory.state is CallState.REDO:
            # Of a call that ended the ledger knows every output; changes since then may be another run's.
            self.delete_own(call, set(self._journal.outputs(call.number)) - keep, is_listed=True)
        else:
            job, listed = self._stop_job(call, memory)
            own = self._own_results(call, memory, listed)
            # See restarted_jobs: a job that ended well need not list all that it made.
            if job is not None and job.state is JobState.SUCCESS and own.proven.keys() <= set(job.output_instances):
                return job
            if job is None and memory.state is CallState.SENT and self._is_all(call, memory, own.proven):
                return Job(memory.job, JobState.SUCCESS, {"Instance": tuple(own.proven)}, instances=len(memory.sent))
            self._journal.leave(call.number, own.possible)
            delete_instances(self._client, own.proven.keys() - keep)
        self._journal.forget(call.number)
        return None

    def delete_own(self, call: Call, names: Collection[str], *, is_listed: bool) -> bool:
        """Delete those of a call's possible results that are proven its own; note what nobody knows of.

        Args:
            call: Which one.
            names: Made from its originals.
            is_listed: Whether its own job listed them, which is the proof where there is no mark.

        Returns:
            Whether any was deleted.

        """
        own: Collection[str] = names if is_listed else ()
        unknown: Collection[str] = () if is_listed else names
        mark = self.mark(call)
        if mark is not None:
            own, unknown = find_marked(self._client, names, mark)
        self._journal.leave(call.number, unknown)
        delete_instances(self._client, own)
        return bool(own)

    def delete_unlisted(self, call: Call, listed: Collection[str]) -> bool:
        """Delete what a call made and its job does not list; return whether there was anything that it may have made.

        Args:
            call: Which one.
            listed: Outputs of its job.

        """
        found = self._own_results(call, self._journal.recall(call.number), ())
        names = (found.proven.keys() | found.possible) - set(listed)
        self.delete_own(call, names, is_listed=False)
        return bool(names)

    def _stop_job(self, call: Call, memory: CallMemory) -> tuple[Job | None, Iterable[str]]:
        """Stop whatever job a request became; return it when it is known by its ID and had ended by itself.

        Returns:
            That job, None when there is none, and the outputs of every job that is known to be the call's.

        """
        if memory.state is CallState.SENT:
            try:
                job = read_job(self._client, memory.job)
            except NotFound:
                return None, ()
            if job.state.is_final:
                if len(job.output_instances) < len(memory.sent):
                    # Killed while the server was asked why: see Failures.
                    wait_for_single_jobs(self._client, call.request.operation, deadline_s=_LOST_JOB_S)
                return job, job.output_instances
            stopped = cancel(self._client, memory.job, CANCEL_S) or job
            return stopped if stopped.state is JobState.SUCCESS else None, stopped.output_instances
        lost = self._lost_jobs(call, memory)
        if not lost:
            time.sleep(_GRACE_S)
            lost = self._lost_jobs(call, memory)
        ended = [cancel(self._client, job.id, CANCEL_S) or job for job in lost]
        return None, [name for job in ended for name in job.output_instances]

    def _lost_jobs(self, call: Call, memory: CallMemory) -> list[Job]:
        operation, data, mark = call.request.operation, self.user_data(call), self.mark(call)
        if data is None and mark is None:
            wait_for_possible_jobs(self._client, operation, memory.sent, deadline_s=_LOST_JOB_S)
            return []
        return find_jobs(self._client, operation, memory.sent, mark=mark, user_data=data, deadline_s=_LOST_JOB_S)

    def _own_results(self, call: Call, memory: CallMemory, listed: Iterable[str]) -> OwnResults:
        if memory.since is None:
            return OwnResults({}, frozenset())
        studies = {instance.original.orthanc_id(Level.STUDY) for instance in call.instances}
        return find_own_results(
            self._client,
            memory.since,
            memory.sent,
            studies,
            self.mark(call),
            listed,
            loses_links=self._server.loses_links,
        )

    def _is_all(self, call: Call, memory: CallMemory, made: Mapping[str, str]) -> bool:
        """Whether results of a job that the server has forgotten are all that it could make.

        Servers with ``JobsHistorySize`` 0 forget a job when it ends.
        """
        if self.mark(call) is None or len(set(made.values())) < len(made):
            return False
        missing = [name for name in memory.sent if name not in set(made.values())]
        return len(missing) <= _MAX_PROBES and all(self._fails(call, name) for name in missing)
