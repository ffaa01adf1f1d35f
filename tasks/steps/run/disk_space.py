"""How much room the rest of a run needs.

Public names: ``missing_space``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from humanize import naturalsize

from deidflow.tasks.core.ledger.chunks import bytes_to_do
from deidflow.tasks.steps.access.choice import store_of

if TYPE_CHECKING:
    from deidflow.tasks.core.errors import Unusable
    from deidflow.tasks.steps.run.run import Run


def missing_space(run: Run, error: Unusable) -> str:
    """Say how much room there is at the destination and how much is needed, when a disk is full.

    Args:
        run: Open; its engine is closed, so that nothing half-written takes room any more.
        error: What ended the work.

    Returns:
        What to add to the error's text, "" for an error of another kind.

    """
    room = store_of(run.config).room() if error.is_for_want_of_room else None
    if room is None:
        return ""
    free, name = room
    needed = bytes_to_do(run.ledger)
    if not needed:
        return ""  # all results are there: it is another folder that has no room
    text = f"; {naturalsize(free)} are free in {name}, the results still to come need about {naturalsize(needed)}"
    if needed > free:
        return f"{text}: make room for {naturalsize(needed - free)} more"
    return f"{text}: enough, unless its number of files (df -i) or a quota is used up"
