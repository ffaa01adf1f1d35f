"""Source files that were fetched again or corrected after the plan was frozen, taken by ``resume`` as they are now.

Public names: ``take_again``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deidflow.tasks.core.ledger.results import note_gone, withdraw
from deidflow.tasks.core.ledger.source_records import failed_sources, take_as_it_is
from deidflow.tasks.core.outcomes import Reason, ReasonCode
from deidflow.tasks.steps.access.choice import source_of, store_of

if TYPE_CHECKING:
    from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers
    from deidflow.tasks.steps.access.seams import RunStore
    from deidflow.tasks.steps.run.run import Run


def take_again(run: Run) -> None:
    """Take source files of what failed as they are now, where they hold the instance that was planned.

    Called before that gets another try. The same is done with a file that changed after it was edited and before
    its result was verified in full: nothing could ever say whether that result is right, so it goes and is made anew.
    """
    source, store = source_of(run.config), store_of(run.config)
    and_unverified = run.config.verify == "full" and store.are_files
    for one in failed_sources(run.ledger, and_unverified=and_unverified):
        entry = source.as_it_is(one)
        if entry is None:
            continue
        if one.is_there and store.are_files and not _withdrawn(run, store, one.id, one.new):
            continue
        take_as_it_is(run.ledger, one.id, entry.size, entry.mtime_ns)


def _withdrawn(run: Run, store: RunStore, number: int, new: DicomIdentifiers) -> bool:
    """Take the result of a file as it was out of the destination; return whether it is gone."""
    # First that it does not count: a process that is killed in between is followed by one that finds it so.
    withdraw(run.ledger, number, Reason(ReasonCode.SOURCE_CHANGED))
    if not store.withdraw(new):
        return False
    note_gone(run.ledger, [number])
    return True
