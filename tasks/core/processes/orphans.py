"""Imported by the server process that workers are forked from: one whose parent is gone before it begins says nothing.

Public names: none, the import does it. Where a run is killed (SIGKILL, want of memory) while Python tells a worker what
to do, the worker reads nothing, or half of it, and the server would print a traceback on the terminal.
"""

from __future__ import annotations

import sys
from pickle import UnpicklingError
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType


def _say(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    if not issubclass(kind, (EOFError, UnpicklingError)):
        sys.__excepthook__(kind, error, traceback)


sys.excepthook = _say
