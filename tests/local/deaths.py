"""Worker functions that die on the job, or never end; in a module of their own, since workers import them by name.

Public names: ``edit_or_die``, ``edit_for_an_hour``.
"""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, Final

from deidflow.tasks.local.worker import edit_in_worker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deidflow.tasks.core.engine.protocol import InstanceResult, PlannedInstance
    from deidflow.tasks.core.errors import DeidflowError
    from deidflow.tasks.core.request.request import Request

POISON: Final = b"0007"
"""Name of the file whose mere sight kills, as one does that makes a codec crash or fills the memory."""


def edit_or_die(work: Sequence[tuple[Request, Sequence[PlannedInstance]]]) -> list[InstanceResult] | DeidflowError:
    """Do what a worker does, unless the work holds the poisonous file."""
    if any(one.path == POISON for _, instances in work for one in instances):
        os.kill(os.getpid(), signal.SIGKILL)
    return edit_in_worker(work)


def edit_for_an_hour(work: Sequence[tuple[Request, Sequence[PlannedInstance]]]) -> list[InstanceResult] | DeidflowError:
    """Do what a worker does, as with very large files on a very slow disk."""
    time.sleep(3600)
    return edit_in_worker(work)
