"""Where the originals of a run are and where its results go, as its steps see it: a folder or an Orthanc each.

What worker processes see of the same are ``InstanceSource`` and ``ResultStore`` of ``deidflow.tasks.core.engine``.
Steps ask these two what they need; none of them asks which of the two kinds it is.

Public names: ``RunSource``, ``RunStore``, ``BatchSize``, ``Presence``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from deidflow.tasks.core.config.config import Config, OrthancAccess
    from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers
    from deidflow.tasks.core.engine.protocol import Expected, InstanceResult, VerifyWork
    from deidflow.tasks.core.engine.sources import InstanceSource, SourceInstance
    from deidflow.tasks.core.engine.stores import ResultStore
    from deidflow.tasks.core.errors import Problem, TransientError, Unusable
    from deidflow.tasks.core.files.locks import Waits
    from deidflow.tasks.core.ledger.ledger import Ledger
    from deidflow.tasks.core.ledger.source_records import FailedSource
    from deidflow.tasks.core.plan.server_abilities import ServerAbilities
    from deidflow.tasks.core.report.totals import DeletedSources
    from deidflow.tasks.steps.run.progress import Progress
    from deidflow.tasks.steps.run.run import Run


class Presence(NamedTuple):
    """How results are looked for by their identifiers.

    Attributes:
        look: Takes ``VerifyWork`` where ``start`` was called; returns what is to be noted, or an error of ours.
        start: Takes the settings.
        settings: Of the run.
        only_waits: Whether it takes no time of this machine, so that no processes are started for it.

    """

    look: Callable[[VerifyWork], list[InstanceResult] | TransientError | Unusable]
    start: Callable[[Any], None]
    settings: Any
    only_waits: bool


class RunSource(Protocol):
    """A folder or an Orthanc that holds the originals of a run."""

    @property
    def instances(self) -> InstanceSource:
        """The same for worker processes.

        Raises:
            InvalidInput: A variable with credentials is missing.

        """

    def problems(self) -> list[Problem]:
        """Return what is wrong with the way to it, as far as that is known without going there."""

    def read_into(self, ledger: Ledger, config: Config, progress: Progress) -> ServerAbilities | None:
        """Bring what it holds into a ledger that has the manifest's rows and no plan yet.

        Returns:
            What its server can do; None where there is none.

        Raises:
            InvalidInput: It is not there, or cannot be read.
            DeidflowError: See ``deidflow.tasks.orthanc.connection.errors``.

        """

    def require(self, ledger: Ledger, *, every: bool) -> None:
        """Make sure that it is there at all, before anything is said about results.

        Args:
            ledger: Of the run.
            every: Whether originals of results that were found right before count, too: these stand for deleted ones.

        Raises:
            Unusable: It is not, or holds nothing of the run.

        """

    def as_it_is(self, original: FailedSource) -> SourceInstance | None:
        """Read what stands in the place of an original that has changed since the plan was frozen.

        Returns:
            None where it has not changed, or is not the instance that was planned.

        """

    def delete(self, run: Run, lines: Sequence[int], progress: Progress) -> DeletedSources:
        """Delete the planned originals of rows, as far as they are what their results were made from.

        Args:
            run: Open; once it is to stop, the rest stays.
            lines: Of the rows.
            progress: Counts instances.

        Raises:
            DeidflowError: The server cannot be used; some may be deleted.

        """

    def is_at(self, url: str, access: OrthancAccess) -> bool:
        """Whether it is the Orthanc at an address, whatever the two addresses are."""


class BatchSize(NamedTuple):
    """How many results are looked at together.

    Attributes:
        most: At most so many.
        least: From so many on, as many as there are of a series: who knows some of it knows most of the others.

    """

    most: int
    least: int


class RunStore(Protocol):
    """A folder or an Orthanc that the results of a run go to, and stand in."""

    def batch(self, *, full: bool) -> BatchSize:
        """Return how many results are looked at together.

        Args:
            full: Whether they are read back in full, not only looked for.

        """

    @property
    def are_files(self) -> bool:
        """Whether each can be taken out and made anew by itself."""

    @property
    def key(self) -> str:
        """The key of the config that names it, for people."""

    @property
    def presence(self) -> Presence:
        """How results are looked for by their identifiers."""

    def results(self, run: Run) -> ResultStore:
        """Return the same for worker processes of a run.

        Raises:
            InvalidInput: A variable with credentials is missing.

        """

    def problems(self) -> list[Problem]:
        """Return what is wrong with the way to it, as far as that is known without going there."""

    def own_trouble(self) -> Problem | None:
        """Return what keeps results from being written, as far as this machine tells."""

    def trouble(self) -> Unusable | TransientError | None:
        """Return what keeps results from being written, None for nothing, or where that is told elsewhere."""

    def abilities(self) -> ServerAbilities | None:
        """Ask its server what it can do; None without one, and where the source's is asked.

        Raises:
            DeidflowError: See ``deidflow.tasks.orthanc.connection.errors``.

        """

    def is_in(self, source: RunSource) -> bool:
        """Whether results go to where the originals are."""

    def describe(self) -> str:
        """Return its name for people."""

    def holds_results(self) -> bool:
        """Whether results of earlier anonymizations are in it, as far as a quick look tells."""

    def room(self) -> tuple[int, str] | None:
        """Return how many bytes are free in it and its name; None where nobody can tell."""

    def makes_room(self) -> bool:
        """Whether it may delete results by itself when others come; also where nobody can tell.

        Raises:
            DeidflowError: See ``deidflow.tasks.orthanc.connection.errors``.

        """

    def locked(self, waits: Waits | None = None) -> AbstractContextManager[None]:
        """Hold it for this process alone; what is not there yet is nobody's.

        Args:
            waits: Whether to try again while another run holds it; None for not at all.

        Raises:
            Unusable: Another run writes to it.

        """

    def prepared(self, run: Run) -> AbstractContextManager[None]:
        """Hold it, as long as the run waits for that, and leave nothing half-done in it, before and after.

        Raises:
            Unusable: It cannot be made or written, or another run writes to it.

        """

    def require(self, ledger: Ledger) -> None:
        """Make sure that it is there at all.

        Raises:
            Unusable: It is not, or may be another one, which holds none of the run's results.

        """

    def remove(self, run: Run, wrong: Sequence[tuple[Expected, InstanceResult]]) -> list[int]:
        """Take wrong results out; return the numbers of those that are not there any more.

        Raises:
            DeidflowError: The destination cannot be reached, or forbids it; some may be gone.

        """

    def withdraw(self, new: DicomIdentifiers) -> bool:
        """Take out one that is made anew; return whether nothing stands in its way."""
