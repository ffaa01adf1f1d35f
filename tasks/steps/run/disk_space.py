"""How much room the rest of a run needs.

Public names: ``missing_space``.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from humanize import naturalsize

from deidflow.tasks.core.ledger.chunks import bytes_to_do

if TYPE_CHECKING:
    from deidflow.tasks.core.errors import Unusable
    from deidflow.tasks.steps.run.run_folder import Run


def missing_space(run: Run, error: Unusable) -> str:
    """Say how much room there is at the destination and how much is needed, when a disk is full.

    Args:
        run: Open; its engine is closed, so that nothing half-written takes room any more.
        error: What ended the work.

    Returns:
        What to add to the error's text, "" for an error of another kind.

    """
    folder = run.config.destination.folder if run.config.destination else None
    if folder is None or not error.is_for_want_of_room:
        return ""
    needed = bytes_to_do(run.ledger)
    try:
        status = os.statvfs(folder)
    except OSError:
        return ""
    free = status.f_bavail * status.f_frsize
    text = f"; {naturalsize(free)} are free in {folder}, the results still to come need about {naturalsize(needed)}"
    return f"{text}: make room for {naturalsize(needed - free)} more" if needed > free else text
