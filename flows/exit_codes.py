"""Exit codes of the command for what ends a run before its time; 0 and 1 come from the totals of one that ended.

Public names: ``exit_code_of``, ``EXIT_INVALID``, ``EXIT_UNUSABLE``, ``EXIT_INTERRUPTED``.
"""

from __future__ import annotations

from typing import Final

from deidflow.tasks.core.errors import DeidflowError, Interrupted, InvalidInput

EXIT_INVALID: Final = 2
EXIT_UNUSABLE: Final = 3
EXIT_INTERRUPTED: Final = 130


def exit_code_of(error: DeidflowError) -> int:
    """Return the exit code of a command that an error ended."""
    if isinstance(error, Interrupted):
        return EXIT_INTERRUPTED
    return EXIT_INVALID if isinstance(error, InvalidInput) else EXIT_UNUSABLE
