"""Whether the folders that a run reads from and wrote to are there, before anything is said about what is in them.

A share that is not mounted leaves an empty folder, a project that was renamed none at all. Neither says anything about
results, so it is told apart from a file that is missing.

Public names: ``Folders``.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.engine.result_paths import relative_path
from deidflow.tasks.core.errors import Unusable
from deidflow.tasks.core.ledger.results import results_there
from deidflow.tasks.core.ledger.source_records import sources_to_verify
from deidflow.tasks.steps.access.engines import destination_folder, server_of_results

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from deidflow.tasks.steps.run.run_folder import Run

_HOW_TO_MEND: Final = "mount it, or name where it is now with --set {key}=FOLDER; nothing was changed"


class Folders:
    """Source and destination folder of one run; what is on a server answers for itself."""

    def __init__(self, run: Run, *, full: bool) -> None:
        """Take the run.

        Args:
            run: Open.
            full: Whether sources are looked at, too.

        """
        self._run = run
        self._full = full
        self._seen: dict[str, str] = {}

    def require(self) -> None:
        """Look whether both are there.

        Raises:
            Unusable: One is not.

        """
        config = self._run.config
        if server_of_results(config) is None:
            folder = str(destination_folder(config))
            self._require("destination.folder", folder, "destination", "of the run's results", self._results())
        if self._full and config.source.folder is not None:
            folder = str(config.source.folder)
            self._require("source.folder", folder, "source", "of the files that were planned", self._sources())

    def _require(self, key: str, folder: str, what: str, of_what: str, names: Iterable[str]) -> None:
        how = _HOW_TO_MEND.format(key=key)
        if not os.path.isdir(folder):  # noqa: PTH112 (pathlib raises where the way is barred)
            raise Unusable(f"the {what} folder was not found: {folder}; {how}")
        known = self._seen.get(key)
        if known is not None and os.path.lexists(os.path.join(folder, known)):  # noqa: PTH118
            return
        first = True
        for name in names:
            first = False
            if os.path.lexists(os.path.join(folder, name)):  # noqa: PTH118
                self._seen[key] = name
                return
        if not first:
            raise Unusable(f"the {what} folder holds none {of_what}: {folder}; if it is not mounted, {how}")

    def _sources(self) -> Iterator[str]:
        """Return the files that verifying needs; a result that was found right before stands for a deleted source."""
        every = self._run.config.defaults.settings.keep_source
        return (os.fsdecode(path) for path in sources_to_verify(self._run.ledger, every=every))

    def _results(self) -> Iterator[str]:
        """Yield the files that should be there, and their folders: one that is there was mounted."""
        for new in results_there(self._run.ledger):
            path = relative_path(new)
            yield path
            yield path.partition("/")[0]
