"""Manifests that commands write: what a file may be called, and what is said of rows that were added to one.

Public names: ``require_csv_name``, ``print_added``, ``unwritable``.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from deidflow.tasks.core.errors import InvalidInput, Problem, Unusable, os_error_text, printable

if TYPE_CHECKING:
    from pathlib import Path

    from deidflow.tasks.core.manifest.additions import Added


def require_csv_name(path: Path) -> None:
    """Refuse a name that programs would not take for a CSV file; pipes and devices have names of their own.

    Raises:
        InvalidInput: It is one, or a folder.

    """
    if path.is_dir():
        raise InvalidInput([Problem(f"must be a CSV file, not a folder: {path}", "-o")])
    if path.suffix.lower() != ".csv" and (path.is_file() or not path.exists()):
        raise InvalidInput([Problem(f"must end with .csv: {path}", "-o")])


def print_added(path: Path, added: Added, *, names_left_out: bool) -> None:
    """Say what was added to a manifest.

    Args:
        path: Of the manifest.
        added: What became of it.
        names_left_out: Whether columns that it lacks are worth a word.

    """
    known = len(added.lines) - added.rows
    print(f"{added.rows} new rows added to {path}, which has {known} of the others already")  # noqa: T201
    if added.changed:
        lines = ", ".join(map(str, added.changed[:20])) + (", ..." if len(added.changed) > 20 else "")  # noqa: PLR2004
        text = f"{len(added.changed)} rows say another number of instances than the source holds now: line {lines}"
        print(f"warning: {path}, {text}", file=sys.stderr)  # noqa: T201
    if names_left_out and added.left_out:
        text = printable(", ".join(added.left_out), lines=False)
        print(f"warning: {path} has no column {text}, so the new rows do not have it either", file=sys.stderr)  # noqa: T201


def unwritable(path: Path, error: OSError) -> Unusable:
    """Return what to say of a file that cannot be written."""
    return Unusable(f"{path} cannot be written: {os_error_text(error)}", error)
