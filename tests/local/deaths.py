"""Worker functions that die on the job, or never end; in a module of their own, since workers import them by name.

Public names: ``edit_or_die``, ``edit_for_an_hour``, ``edit_with_troubles``, ``POISON``, ``STUMBLING_BLOCK``.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from typing import TYPE_CHECKING, Final

from deidflow.tasks.local import worker
from deidflow.tasks.local.worker import edit_in_worker, edit_source

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deidflow.tasks.core.engine.protocol import InstanceResult, PlannedInstance
    from deidflow.tasks.core.errors import DeidflowError
    from deidflow.tasks.core.request.request import Request
    from deidflow.tasks.local.dicom_file.source_file import SourceFile
    from deidflow.tasks.local.editing.splice import Assembly
    from deidflow.tasks.local.worker import Compiled

POISON: Final = b"0007"
"""Name of the file whose mere sight kills, as one does that makes a codec crash or fills the memory."""

STUMBLING_BLOCK: Final = b"0008"
"""Name of the file over which the editor's code stumbles, as over a case that nobody thought of."""

_CAPABILITY_VERSION: Final = 0x20080522


def edit_or_die(work: Sequence[tuple[Request, Sequence[PlannedInstance]]]) -> list[InstanceResult] | DeidflowError:
    """Do what a worker does, unless the work holds the poisonous file."""
    if any(one.path == POISON for _, instances in work for one in instances):
        os.kill(os.getpid(), signal.SIGKILL)
    return edit_in_worker(work)


def edit_for_an_hour(work: Sequence[tuple[Request, Sequence[PlannedInstance]]]) -> list[InstanceResult] | DeidflowError:
    """Do what a worker does, as with very large files on a very slow disk."""
    time.sleep(3600)
    return edit_in_worker(work)


def edit_with_troubles(
    work: Sequence[tuple[Request, Sequence[PlannedInstance]]],
) -> list[InstanceResult] | DeidflowError:
    """Do what a worker does, but die of one file, stumble over another, and read no file without the right to."""
    # Root without its capabilities (capset(2)) is a user like any other.
    ctypes.CDLL(None).capset((ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0), (ctypes.c_uint32 * 6)())
    worker.edit_source = _stumble
    return edit_or_die(work)


def _stumble(source: SourceFile, instance: PlannedInstance, compiled: Compiled, *, goes_on: bool = True) -> Assembly:
    if instance.path == STUMBLING_BLOCK:
        raise KeyError
    return edit_source(source, instance, compiled, goes_on=goes_on)
