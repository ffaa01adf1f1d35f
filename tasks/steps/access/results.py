"""Where the results of a run stand, as its steps use it: found again, taken out, and whether anything is there at all.

Public names: ``Results``, ``results_of``.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any, Final, Protocol

from deidflow.tasks.core.engine.protocol import InstanceResult
from deidflow.tasks.core.engine.result_paths import relative_path
from deidflow.tasks.core.errors import DeidflowError
from deidflow.tasks.core.files.beneath import open_folder
from deidflow.tasks.core.files.plain_files import NotPlainError
from deidflow.tasks.core.ledger.results import results_there
from deidflow.tasks.core.outcomes import Outcome, ReasonCode
from deidflow.tasks.local.folder.shared_identifiers import SharedIdentifiers
from deidflow.tasks.local.folder.store import FolderStore
from deidflow.tasks.local.presence import find_results, presence_in_worker, start_presence
from deidflow.tasks.orthanc.resources.resources import still_there
from deidflow.tasks.orthanc.resources.results import delete_instances
from deidflow.tasks.orthanc.store import OrthancStore
from deidflow.tasks.steps.access.engines import destination_folder, place_of
from deidflow.tasks.steps.access.own_results import proven_results
from deidflow.tasks.steps.access.places import require_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers
    from deidflow.tasks.core.engine.protocol import Expected
    from deidflow.tasks.core.engine.stores import ResultStore
    from deidflow.tasks.core.request.request import Request
    from deidflow.tasks.orthanc.store import OrthancPlace
    from deidflow.tasks.steps.run.run_folder import Run

    Work = list[tuple[Request, list[Expected]]]
    Presence = tuple[Callable[[Work], list[InstanceResult]], Callable[[Any], None], Any]

_FOLDER_BATCH: Final = 512
"""Of results whose identifiers alone are read, which takes less time than the trip to the process."""

_SERVER_BATCH: Final = 5000
_NOT_THERE: Final = "the result is not on the Orthanc"


class Results(Protocol):
    """A folder or an Orthanc that holds the results of a run."""

    @property
    def store(self) -> ResultStore:
        """The same for worker processes."""

    @property
    def batch(self) -> int:
        """How many results are looked for at once."""

    @property
    def are_files(self) -> bool:
        """Whether each can be taken out and made anew by itself."""

    def require(self) -> None:
        """Make sure that it is there at all.

        Raises:
            Unusable: It is not.

        """

    @property
    def presence(self) -> Presence | None:
        """How worker processes look for results by their identifiers; None where ``find`` does."""

    def find(self, work: Work) -> list[InstanceResult]:
        """Look for results by their identifiers; return those with something to note."""

    def remove(self, wrong: Sequence[tuple[Expected, InstanceResult]]) -> list[int]:
        """Take wrong results out; return the numbers of those that are not there any more."""

    def withdraw(self, new: DicomIdentifiers) -> bool:
        """Take out one that is made anew; return whether nothing stands in its way."""


class _FolderResults:
    batch = _FOLDER_BATCH
    are_files = True

    def __init__(self, run: Run) -> None:
        self._run = run
        self._folder = str(destination_folder(run.config))
        self._seen: str | None = None

    @property
    def store(self) -> ResultStore:
        return FolderStore(self._folder)

    def require(self) -> None:
        self._seen = require_folder("destination", self._folder, self._names(), self._seen)

    def _names(self) -> Iterator[str]:
        """Yield the files that should be there, and their folders: one that is there was mounted."""
        for new in results_there(self._run.ledger):
            path = relative_path(new)
            yield path
            yield path.partition("/")[0]

    @property
    def presence(self) -> Presence:
        return presence_in_worker, start_presence, self._folder

    def find(self, work: Work) -> list[InstanceResult]:
        return find_results(self._folder, work, SharedIdentifiers())

    def remove(self, wrong: Sequence[tuple[Expected, InstanceResult]]) -> list[int]:
        return [one.instance.id for one, _ in wrong if self.withdraw(one.instance.new)]

    def withdraw(self, new: DicomIdentifiers) -> bool:
        return _remove_file(self._folder, relative_path(new))


class _OrthancResults:
    batch = _SERVER_BATCH
    are_files = False
    presence = None

    def __init__(self, run: Run, place: OrthancPlace) -> None:
        self._run = run
        self._place = place

    @property
    def store(self) -> ResultStore:
        return OrthancStore(self._place)

    def require(self) -> None:
        """Do nothing: a server answers for itself."""

    def find(self, work: Work) -> list[InstanceResult]:
        """Ask for all of them at once; their identifiers are what they are found by."""
        expected = [one for _, group in work for one in group]
        there = still_there(self._place.client(), [one.result_id for one in expected])
        results = []
        for one in expected:
            if one.result_id not in there:
                results.append(InstanceResult(one.instance.id, Outcome.MISSING, ReasonCode.RESULT_MISSING, _NOT_THERE))
            elif not one.is_done:
                results.append(InstanceResult(one.instance.id, Outcome.DONE))
        return results

    def remove(self, wrong: Sequence[tuple[Expected, InstanceResult]]) -> list[int]:
        """Take out only what is known to be this run's: what carries its mark, or was written with these very bytes."""
        made_there = self._run.config.engine == "orthanc"
        own = [
            one
            for one, result in wrong
            if (result.evidence and result.evidence == one.evidence) or (made_there and not one.evidence)
        ]
        if not own:
            return []
        client = self._place.client()
        try:
            if made_there:
                proven = proven_results(self._run, client, {one.instance.id: one.result_id for one in own})
                own = [one for one in own if one.instance.id in proven]
            delete_instances(client, [one.result_id for one in own])
        except DeidflowError:  # they stay, named
            return []
        return [one.instance.id for one in own]

    def withdraw(self, new: DicomIdentifiers) -> bool:
        """Leave it: what stands there is compared, or replaced, when the new one comes."""
        del new
        return True


def results_of(run: Run) -> Results:
    """Return where the results of a run stand."""
    config = run.config
    holder = config.source if config.destination is None else config.destination
    place = place_of(config, holder.orthanc)
    return _FolderResults(run) if place is None else _OrthancResults(run, place)


def _remove_file(folder: str, name: str) -> bool:
    """Remove a result, or a link in its place, from a folder; return whether nothing stands there any more."""
    above, _, last = name.encode().rpartition(b"/")
    try:
        with open_folder(folder, above) as descriptor:
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
