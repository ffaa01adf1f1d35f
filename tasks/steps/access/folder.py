"""Folders as source and as store of a run; see ``deidflow.tasks.steps.access.seams``.

A share that is not mounted leaves an empty folder, a project that was renamed none at all. Neither says anything about
results, so it is told apart from a file that is missing.

Public names: ``FolderOfOriginals``, ``FolderOfResults``.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING, Final, Literal

from deidflow.tasks.core.engine.result_paths import relative_path
from deidflow.tasks.core.engine.sources import SourceInstance
from deidflow.tasks.core.errors import Problem, Unusable, os_error_and_remedy
from deidflow.tasks.core.files.beneath import delete_plain_file, open_folder, open_plain_file
from deidflow.tasks.core.files.locks import lock_folder
from deidflow.tasks.core.files.opened import changed_ns
from deidflow.tasks.core.files.plain_files import NotPlainError, trouble_with
from deidflow.tasks.core.ledger.results import duplicates_of, results_there, sources_of_row
from deidflow.tasks.core.ledger.run_facts import read_facts
from deidflow.tasks.core.ledger.source_records import sources_to_verify
from deidflow.tasks.core.plan.intake import add_instances
from deidflow.tasks.core.report.totals import DeletedSources
from deidflow.tasks.local.folder.index import find_files, read_index_entries
from deidflow.tasks.local.folder.source import FolderSource
from deidflow.tasks.local.folder.store import FolderStore, clear_partial_results, folder_mode
from deidflow.tasks.local.presence import PresenceSettings, presence_in_worker, start_presence
from deidflow.tasks.steps.access.folder_contents import index_role, mark_ambiguous, read_source
from deidflow.tasks.steps.access.mounts import is_as_mounted, lost_mount
from deidflow.tasks.steps.access.seams import BatchSize, Presence
from deidflow.tasks.steps.access.workers import opened_workers
from deidflow.tasks.verification.structure import content_hash

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from deidflow.tasks.core.config.config import Config, OrthancAccess
    from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers
    from deidflow.tasks.core.engine.protocol import Expected, InstanceResult
    from deidflow.tasks.core.files.locks import Waits
    from deidflow.tasks.core.ledger.ledger import Ledger
    from deidflow.tasks.core.ledger.source_records import FailedSource
    from deidflow.tasks.steps.access.seams import RunSource
    from deidflow.tasks.steps.run.progress import Progress
    from deidflow.tasks.steps.run.run import Run

_LOOKED_FOR: Final = BatchSize(most=512, least=512)
"""Results whose identifiers alone are read, which takes less time than the trip to the process."""

_READ: Final = BatchSize(most=256, least=32)

_GLANCE: Final = 20
"""Files that show what a destination is used for."""

_OF_WHAT: Final = {"source": "of the files that were planned", "destination": "of the run's results"}
_HOW_TO_MEND: Final = "mount it, or name where it is now with --set {key}=FOLDER; nothing was changed"


class FolderOfOriginals:
    """A source folder; see ``RunSource``."""

    def __init__(self, folder: Path, *, follow_links: bool) -> None:
        """Take its path, and whether symbolic links in it are followed."""
        self._folder = str(folder)
        self._follow_links = follow_links
        self._seen: str | None = None

    @property
    def instances(self) -> FolderSource:
        """The same for worker processes."""
        return FolderSource(os.fsencode(self._folder), follow_links=self._follow_links)

    def problems(self) -> list[Problem]:
        """Return none: that a folder is not there is told with all other files."""
        return []

    def read_into(self, ledger: Ledger, config: Config, progress: Progress) -> None:
        """Read the identifiers of all files, and compare those that claim to be one instance."""
        with opened_workers(config, [index_role(self.instances)]) as workers:
            add_instances(ledger, read_source(self._folder, workers, progress, follow_links=self._follow_links))
        mark_ambiguous(ledger, self._folder)

    def require(self, ledger: Ledger, *, every: bool) -> None:
        """Look for one of the files that verifying needs."""
        names = (os.fsdecode(path) for path in sources_to_verify(ledger, every=every))
        self._seen = _require_folder("source", self._folder, names, self._seen)

    def as_it_is(self, original: FailedSource) -> SourceInstance | None:
        """Read the file anew where size or time of its last change differ from the plan's."""
        root = os.fsencode(self._folder)
        try:
            now = os.stat(os.path.join(root, original.path), follow_symlinks=self._follow_links)  # noqa: PTH116, PTH118 (bytes)
        except OSError:
            return None
        if (now.st_size, changed_ns(now)) == (original.size, original.mtime_ns):
            return None
        (entry,) = read_index_entries(root, [original.path], follow_links=self._follow_links)
        is_planned = isinstance(entry, SourceInstance) and entry.identifiers == original.original
        return entry if isinstance(entry, SourceInstance) and is_planned else None

    def delete(self, run: Run, lines: Sequence[int], progress: Progress) -> DeletedSources:
        """Delete files, and identical copies of them, that hold what was read; links are not followed."""
        # A link in its place, or another folder: what is in it was not planned.
        is_planned = os.path.realpath(self._folder) == read_facts(run.ledger).source_folder
        ends: Counter[bool | None] = Counter()
        for line in lines:
            if run.stop.is_set():
                break
            for one in sources_of_row(run.ledger, line):
                paths = [one.path, *duplicates_of(run.ledger, one.id)]
                of_all = [is_planned and self._delete(path, one.size, one.content) for path in paths]
                ends[None if None in of_all else all(of_all)] += 1
                progress.advance()
        return DeletedSources(ends[True], ends[None], ends[False])

    def _delete(self, path: bytes, size: int, content: str) -> bool | None:
        """Delete a file that holds what was read; return whether it is gone, None when the system let nobody look."""
        above, _, name = path.rpartition(b"/")
        try:
            with open_folder(self._folder, above) as parent, open_plain_file(parent, name) as file:
                same = bool(content) and file.size == size and content_hash(file.stream()) == content
                return same and delete_plain_file(parent, name, file.descriptor)
        except FileNotFoundError:
            return True if os.path.isdir(self._folder) else None  # noqa: PTH112 (not when the whole folder is away)
        except NotPlainError:
            return False
        except OSError:
            return None

    def is_at(self, url: str, access: OrthancAccess) -> bool:
        """Return False: it is no server."""
        del url, access
        return False


class FolderOfResults:
    """A destination folder; see ``RunStore``."""

    are_files = True
    key = "destination.folder"

    def __init__(self, folder: Path, *, overwrite: bool, mode: int | None = None) -> None:
        """Take its path.

        Args:
            folder: It need not be there.
            overwrite: Whether a different object under a result's final name is replaced.
            mode: Permissions of results, None for what the umask leaves.

        """
        self._mode = mode
        self._path = folder
        self._folder = str(folder)
        self._overwrite = overwrite
        self._seen: str | None = None

    def batch(self, *, full: bool) -> BatchSize:
        """Return how many results are looked at together."""
        return _READ if full else _LOOKED_FOR

    @property
    def presence(self) -> Presence:
        """Files are read by the index."""
        return Presence(presence_in_worker, start_presence, PresenceSettings(self._folder), only_waits=False)

    def results(self, run: Run) -> FolderStore:
        """Return the same for worker processes."""
        del run
        return FolderStore(self._folder, self._overwrite, mode=self._mode)

    def problems(self) -> list[Problem]:
        """Return none: what is wrong with it is told as ``own_trouble``."""
        return []

    def own_trouble(self) -> Problem | None:
        """Look whether it can be made or written."""
        try:
            place = next(place for place in (self._path, *self._path.parents) if os.path.lexists(place))
            text = _unwritable(self._path, place)
        except OSError as error:
            text = trouble_with(self._path, error)
        return Problem(text, key=self.key) if text else None

    def trouble(self) -> Unusable | None:
        """Return the same as an error."""
        problem = self.own_trouble()
        return None if problem is None else Unusable(problem.text)

    def abilities(self) -> None:
        """Return None: there is no server."""

    def is_in(self, source: RunSource) -> bool:
        """Return False: the config keeps folders apart."""
        del source
        return False

    def describe(self) -> str:
        """Return its path."""
        return self._folder

    def holds_results(self) -> bool:
        """Look at the first files in it."""
        root = os.fsencode(self._folder)
        files = (
            [path for path in islice(find_files(root), _GLANCE) if isinstance(path, bytes)]
            if self._path.is_dir()
            else []
        )
        entries = read_index_entries(root, files)
        return any(isinstance(entry, SourceInstance) and entry.is_result for entry in entries)

    def room(self) -> tuple[int, str] | None:
        """Ask the file system."""
        try:
            status = os.statvfs(self._folder)
        except OSError:
            return None
        return status.f_bavail * status.f_frsize, self._folder

    def makes_room(self) -> bool:
        """Return False."""
        return False

    @contextlib.contextmanager
    def locked(self, waits: Waits | None = None) -> Iterator[None]:
        """Lock the folder, if it is there."""
        if self._path.is_dir():
            with lock_folder(self._path, "the destination", waits):
                yield
        else:
            yield

    @contextlib.contextmanager
    def prepared(self, run: Run) -> Iterator[None]:
        """Make the folder, unless it is to be mounted, and leave nothing half-written in it."""
        if text := lost_mount(self._path, read_facts(run.ledger).mounts):
            raise Unusable(f"{self.key} {text}; {_HOW_TO_MEND.format(key=self.key)}")
        try:
            is_new = not self._path.exists()
            self._path.mkdir(parents=True, exist_ok=True)
            if is_new and self._mode is not None:
                self._path.chmod(folder_mode(self._mode) or 0)
        except OSError as error:
            raise self._unusable("made", error) from None
        with self.locked(run.waits()):
            self._clear()
            try:
                yield
            finally:
                self._clear()

    def _clear(self) -> None:
        try:
            clear_partial_results(self._folder)
        except OSError as error:
            raise self._unusable("written", error) from None

    def _unusable(self, how: str, error: OSError) -> Unusable:
        return Unusable(f"the destination {self._folder} cannot be {how}: {os_error_and_remedy(error)}", error)

    def require(self, ledger: Ledger) -> None:
        """Look for one of the results, unless the folder is known: a run's only results may have been taken out."""
        names = () if is_as_mounted(self._path, read_facts(ledger).mounts) else _names(ledger)
        self._seen = _require_folder("destination", self._folder, names, self._seen)

    def remove(self, run: Run, wrong: Sequence[tuple[Expected, InstanceResult]]) -> list[int]:
        """Remove files."""
        del run
        return [one.instance.id for one, _ in wrong if self.withdraw(one.instance.new)]

    def withdraw(self, new: DicomIdentifiers) -> bool:
        """Remove a file, or a link in its place."""
        above, _, last = relative_path(new).encode().rpartition(b"/")
        try:
            with open_folder(self._folder, above) as descriptor:
                mode = os.stat(last, dir_fd=descriptor, follow_symlinks=False).st_mode
                if stat.S_ISREG(mode) or stat.S_ISLNK(mode):
                    os.unlink(last, dir_fd=descriptor)
                    return True
                return False
        except FileNotFoundError:
            return True
        except NotPlainError:  # behind a link, where nothing of this run is
            return True
        except OSError:
            return False


def _unwritable(folder: Path, place: Path) -> str:
    """Say why a folder cannot be made or written, from the first place on its path that exists; "" when it can."""
    if not stat.S_ISDIR(os.stat(place).st_mode):  # noqa: PTH116 (as the other calls)
        return f"must be a folder: {place}"
    if not os.access(place, os.W_OK | os.X_OK):
        is_read_only = os.statvfs(place).f_flag & os.ST_RDONLY
        error = OSError(errno.EROFS if is_read_only else errno.EACCES, "")
        text = f"cannot be written: {folder if place == folder else f'{folder} (in {place})'}"
        return f"{text}: {os_error_and_remedy(error, 'give the user of deidflow the right to write there')}"
    return ""


def _names(ledger: Ledger) -> Iterator[str]:
    """Yield the files that should be in a destination, and their folders: one that is there was mounted."""
    for new in results_there(ledger):
        path = relative_path(new)
        yield path
        yield path.partition("/")[0]


def _require_folder(
    what: Literal["source", "destination"], folder: str, names: Iterable[str], known: str | None
) -> str | None:
    """Make sure that a folder is there and holds something of the run.

    Args:
        what: Which folder.
        folder: Its path.
        names: Of files and folders that should be in it.
        known: One that was seen before, None for none.

    Returns:
        One that is there; None when nothing should be.

    Raises:
        Unusable: The folder is not there, or holds none of them.

    """
    how = _HOW_TO_MEND.format(key=f"{what}.folder")
    if not os.path.isdir(folder):  # noqa: PTH112 (pathlib raises where the way is barred)
        raise Unusable(f"the {what} folder was not found: {folder}; {how}")
    if known is not None and os.path.lexists(os.path.join(folder, known)):  # noqa: PTH118
        return known
    first = True
    for name in names:
        first = False
        if os.path.lexists(os.path.join(folder, name)):  # noqa: PTH118
            return name
    if not first:
        raise Unusable(f"the {what} folder holds none {_OF_WHAT[what]}: {folder}; if it is not mounted, {how}")
    return known
