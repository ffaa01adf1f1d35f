"""Whether the folders that a run reads from and wrote to are there, before anything is said about what is in them.

A share that is not mounted leaves an empty folder, a project that was renamed none at all. Neither says anything about
results, so it is told apart from a file that is missing.

Public names: ``Places``, ``require_folder``.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, Literal

from deidflow.tasks.core.errors import Unusable
from deidflow.tasks.core.ledger.source_records import sources_to_verify

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from deidflow.tasks.steps.access.results import Results
    from deidflow.tasks.steps.run.run_folder import Run

_OF_WHAT: Final = {"source": "of the files that were planned", "destination": "of the run's results"}
_HOW_TO_MEND: Final = "mount it, or name where it is now with --set {key}=FOLDER; nothing was changed"


class Places:
    """What verifying reads from and looks at; what is on a server answers for itself."""

    def __init__(self, run: Run, results: Results, *, full: bool) -> None:
        """Take the run.

        Args:
            run: Open.
            results: Where they stand.
            full: Whether sources are looked at, too.

        """
        self._run = run
        self._results = results
        self._source = run.config.source.folder if full else None
        self._seen: str | None = None

    def require(self) -> None:
        """Look whether both are there.

        Raises:
            Unusable: One is not.

        """
        self._results.require()
        if self._source is not None:
            self._seen = require_folder("source", str(self._source), self._sources(), self._seen)

    def _sources(self) -> Iterator[str]:
        """Return the files that verifying needs; a result that was found right before stands for a deleted source."""
        every = self._run.config.defaults.settings.keep_source
        return (os.fsdecode(path) for path in sources_to_verify(self._run.ledger, every=every))


def require_folder(
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
