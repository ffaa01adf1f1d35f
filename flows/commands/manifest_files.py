"""Manifests that commands write: what a file may be called, and what is said of what was written.

Public names: ``require_csv_name``, ``Written``, ``is_added_to``, ``unwritable``, ``name_of``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from deidflow.flows.answers.answer import counted, warn
from deidflow.tasks.core.errors import InvalidInput, Problem, Unusable, os_error_text, printable
from deidflow.tasks.core.files.standard_streams import given_output

if TYPE_CHECKING:
    from pathlib import Path

    from deidflow.tasks.core.manifest.additions import Added


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a manifest.

    Attributes:
        path: Of the file, ``-`` for standard output.
        rows: How many rows were written to it.
        rows_before: How many of the others it has already, null when the file was made anew.
        changed_lines: Of rows in it that say another number of instances than the source holds now.
        columns_left_out: That the rows would have, and the manifest does not.

    """

    path: Path
    rows: int
    rows_before: int | None = None
    changed_lines: tuple[int, ...] = ()
    columns_left_out: tuple[str, ...] = ()

    @classmethod
    def by_adding(cls, path: Path, added: Added) -> Written:
        """Return what became of a manifest that rows were added to."""
        return cls(path, added.rows, len(added.lines) - added.rows, added.changed, added.left_out)

    def line(self) -> str:
        """Return what people read."""
        if self.rows_before is None:
            return f"{counted(self.rows, 'row')} written to {name_of(self.path)}"
        return (
            f"{counted(self.rows, 'new row')} added to {self.path}, which has {self.rows_before} of the others already"
        )

    def warn(self, *, of_columns: bool) -> None:
        """Warn of rows that have changed, and, if that is worth a word, of columns that it lacks."""
        if self.changed_lines:
            lines = ", ".join(map(str, self.changed_lines[:20])) + (", ..." if self.changed_lines[20:] else "")
            text = f"{len(self.changed_lines)} rows say another number of instances than the source holds now"
            warn(f"{self.path}, {text}: line {lines}")
        if of_columns and self.columns_left_out:
            text = printable(", ".join(self.columns_left_out), lines=False)
            warn(f"{self.path} has no column {text}, so the new rows do not have it either")


def require_csv_name(path: Path) -> None:
    """Refuse a name that programs would not take for a CSV file; pipes and devices have names of their own.

    Raises:
        InvalidInput: It is one, or a folder.

    """
    if given_output(path) is not None:
        return
    if path.is_dir():
        raise InvalidInput([Problem(f"must be a CSV file, not a folder: {path}", "-o")])
    if path.suffix.lower() != ".csv" and (path.is_file() or not path.exists()):
        raise InvalidInput([Problem(f"must end with .csv: {path}", "-o")])


def is_added_to(path: Path, *, overwrite: bool) -> bool:
    """Whether rows are added to a manifest that is there, and keeps what stands in it."""
    return not overwrite and given_output(path) is None and path.is_file()


def unwritable(path: Path, error: OSError) -> Unusable:
    """Return what to say of a file that cannot be written."""
    way_out = "name another file, make its folder, make room, or give the right to write there"
    return Unusable(f"{name_of(path)} cannot be written: {os_error_text(error)}; {way_out}", error)


def name_of(path: Path) -> str:
    """Return what a message calls a file that is written."""
    return str(path) if given_output(path) is None else "standard output"
