"""Source files that were fetched again or corrected after the plan was frozen, taken by ``resume`` as they are now.

Public names: ``take_again``.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers
from deidflow.tasks.core.engine.sources import SourceInstance
from deidflow.tasks.core.ledger.results import note_gone, withdraw
from deidflow.tasks.core.ledger.source_records import failed_sources, take_as_it_is
from deidflow.tasks.core.outcomes import Reason, ReasonCode
from deidflow.tasks.local.folder.index import read_index_entries
from deidflow.tasks.steps.access.results import results_of

if TYPE_CHECKING:
    from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers
    from deidflow.tasks.steps.access.results import Results
    from deidflow.tasks.steps.run.run_folder import Run


def take_again(run: Run) -> None:
    """Take source files of what failed as they are now, where they hold the instance that was planned.

    Called before that gets another try. The same is done with a file that changed after it was edited and before
    its result was verified in full: nothing could ever say whether that result is right, so it goes and is made anew.
    """
    folder = run.config.source.folder
    if folder is None:
        return
    results = results_of(run)
    and_unverified = run.config.verify == "full" and results.are_files
    root = os.fsencode(str(folder))
    for one in failed_sources(run.ledger, and_unverified=and_unverified):
        if not _has_changed(os.path.join(root, one.path), one.size, one.mtime_ns):  # noqa: PTH118 (bytes)
            continue
        (entry,) = read_index_entries(root, [one.path])
        if not isinstance(entry, SourceInstance) or entry.identifiers != one.original:
            continue
        if one.is_there and results.are_files and not _withdrawn(run, results, one.id, one.new):
            continue
        take_as_it_is(run.ledger, one.id, entry.size, entry.mtime_ns)


def _has_changed(path: bytes, size: int, mtime_ns: int) -> bool:
    try:
        now = os.stat(path, follow_symlinks=False)  # noqa: PTH116 (bytes)
    except OSError:
        return False
    return (now.st_size, now.st_mtime_ns) != (size, mtime_ns)


def _withdrawn(run: Run, results: Results, number: int, new: DicomIdentifiers) -> bool:
    """Take the result of a file as it was out of the destination; return whether it is gone."""
    # First that it does not count: a process that is killed in between is followed by one that finds it so.
    withdraw(run.ledger, number, Reason(ReasonCode.SOURCE_CHANGED))
    if not results.withdraw(new):
        return False
    note_gone(run.ledger, [number])
    return True
