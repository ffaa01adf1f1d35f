"""The one seam between the two engines: what goes in per chunk, and what comes out per instance.

Public names: ``PlannedInstance``, ``InstanceResult``, ``Expected``, ``VerifyWork``, ``Call``, ``Chunk``, ``Engine``,
``Journal``, ``CallState``, ``CallMemory``.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from contextlib import AbstractContextManager

    from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers
    from deidflow.tasks.core.outcomes import Outcome, ReasonCode
    from deidflow.tasks.core.request.request import Request


class PlannedInstance(NamedTuple):
    """One instance of the frozen plan.

    Attributes:
        id: Its number in the ledger.
        path: Of its file, relative to the source folder, as the system stores it; b"" on an Orthanc.
        size: Of that file in bytes when the plan was frozen.
        mtime_ns: When that file was last changed, in nanoseconds.
        original: Its identifiers.
        new: Those of its result; what only the server will know is "".
        orthanc_id: On its server, "" where nothing needs it.

    """

    id: int
    path: bytes
    size: int
    mtime_ns: int
    original: DicomIdentifiers
    new: DicomIdentifiers
    orthanc_id: str = ""


class Call(NamedTuple):
    """Instances that share one request.

    Attributes:
        request: Its arguments.
        instances: What it is applied to.
        number: In the ledger, 0 for the local engine, whose calls need no memory.

    """

    request: Request
    instances: Sequence[PlannedInstance]
    number: int = 0


class Chunk(NamedTuple):
    """The unit of work that is tried again as a whole: one or more calls."""

    key: str
    calls: Sequence[Call]


class InstanceResult(NamedTuple):
    """What became of one instance.

    Attributes:
        id: Its number in the ledger.
        outcome: ``done``, ``failed``, ``missing`` or ``cancelled``.
        code: Why it is not done, None when it is.
        text: The reason for people, without patient data; "" for the code's own.
        evidence: Of the bytes of the whole result (``files.evidence``), where it is known; "" otherwise. It stands in
            for the source when that is deleted, and tells later whether something else changed the result.
        new: Identifiers of the result, where they were not planned but found out.
        new_orthanc_ids: The same in Orthanc's form, as the server says.
        content: The SHA-256 of the source file that it was made from, in hex, when that is to be deleted; else of an
            excerpt (``files.excerpts``), or "".
        review: A code of ``deidflow.tasks.core.engine.review`` that only reading it whole could tell, or "".
        removed: How many words, numbers and other stretches went from its texts, or were moved.
        unknown_words: Words of them that stayed although nothing vouches for them.

    """

    id: int
    outcome: Outcome
    code: ReasonCode | None = None
    text: str = ""
    evidence: str = ""
    new: DicomIdentifiers | None = None
    new_orthanc_ids: tuple[str, str, str, str] | None = None
    content: str = ""
    review: str = ""
    removed: int = 0
    unknown_words: tuple[str, ...] = ()


class Expected(NamedTuple):
    """A result to look for, or to verify.

    Attributes:
        instance: What it was made from.
        evidence: Of the result as it was written or found right before, "" when it never was.
        result_id: Its Orthanc identifier.
        is_done: Whether it counts as done now; another one that is found right is done again.
        content: What was noted of the file that it was made from, see ``InstanceResult``; "" when nothing was.
        ends_series: Whether it is the first or the last instance of its series.

    """

    instance: PlannedInstance
    evidence: str = ""
    result_id: str = ""
    is_done: bool = True
    content: str = ""
    ends_series: bool = False


class VerifyWork(NamedTuple):
    """Results that are looked at together.

    Attributes:
        groups: By request.
        uids: Kind, original and new UID of the objects that an Orthanc's call knew of; none for the local engine, whose
            identifiers are known before.

    """

    groups: Sequence[tuple[Request, Sequence[Expected]]]
    uids: Sequence[tuple[str, str, str]] = ()

    @property
    def expected(self) -> list[Expected]:
        """All of them."""
        return [one for _, group in self.groups for one in group]


class CallState(StrEnum):
    """How far a call to an Orthanc has come."""

    PLANNED = "planned"
    """Nothing was sent, or nothing of it is left."""
    INTENDED = "intended"
    """It may have been sent."""
    SENT = "sent"
    """The server answered with a job."""
    ENDED = "ended"
    """Its results are recorded."""
    REDO = "redo"
    """It ended, but patients of it have to be done again as a whole."""


class CallMemory(NamedTuple):
    """What is known of a call.

    Attributes:
        state: How far it has come.
        since: The server's last change before the request went out, None when none did.
        job: What the server answered, "" when that was never received.
        sent: Orthanc identifiers of the instances that the request named: what was planned, or less.

    """

    state: CallState
    since: int | None = None
    job: str = ""
    sent: tuple[str, ...] = ()


class Journal(Protocol):
    """The memory of calls, which survives a crash; every change is durable when its method returns."""

    def recall(self, call: int) -> CallMemory:
        """Return what is known of a call."""

    def intend(self, call: int, since: int, instances: Sequence[PlannedInstance]) -> None:
        """Note that a request is about to go out, and what it names."""

    def sent(self, call: int, job: str) -> None:
        """Note the job that the request became."""

    def ended(self, call: int) -> None:
        """Note that all its results are recorded."""

    def together(self) -> AbstractContextManager[None]:
        """Make what is noted and recorded inside one change: all of it is durable at the end, or none."""

    def forget(self, call: int) -> None:
        """Note that nothing of it is left on the server."""

    def leave(self, call: int, names: Iterable[str]) -> None:
        """Note results that may be the call's own, or somebody else's, so that a person looks at them."""

    def outputs(self, call: int) -> list[str]:
        """Return the Orthanc identifiers of results that are known and are to go."""

    def first_change(self) -> int | None:
        """Return the server's last change before the first request, None when none went out."""

    def ended_jobs(self) -> frozenset[str]:
        """Return the jobs of calls that have ended."""

    def ended_calls(self, originals: Iterable[str]) -> dict[str, Call]:
        """Return the call of each original, by Orthanc's identifier, without its instances; none of one in doubt."""

    def unknown(self, names: Iterable[str]) -> list[str]:
        """Return those Orthanc identifiers that are neither originals nor results of the run."""


class Engine(Protocol):
    """Carries out chunks; the local engine and Orthanc behave alike behind it."""

    def apply(
        self, chunk: Chunk, record: Callable[[Sequence[InstanceResult]], None], stopped: Callable[[], bool]
    ) -> None:
        """Edit every instance of a chunk.

        Args:
            chunk: What to do; instances that are done already are not in it.
            record: Called with results as soon as they are durable; every instance is recorded exactly once unless an
                exception is raised.
            stopped: Asked several times a second; True ends the work as soon as that can be done cleanly.

        Raises:
            Interrupted: ``stopped`` said so; what was not recorded is still to be done.
            TransientError: The chunk may be tried again.
            Unusable: Server or destination cannot be used; the run stops.

        """

    def finish(self, stopped: Callable[[], bool]) -> None:
        """Undo what was done twice behind calls that had ended; no chunk is at work any more.

        Raises:
            Interrupted: ``stopped`` said so.
            TransientError: The server cannot be reached.
            Unusable: It cannot be used.

        """

    def close(self) -> None:
        """Give back processes and connections."""
