"""Manifests that commands write: what a file may be called, where it may lie, and what is said of what was written.

Public names: ``require_csv_place``, ``require_outside``, ``beside``, ``Written``, ``is_added_to``, ``unwritable``,
``name_of``.
"""

from __future__ import annotations

import errno
import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from deidflow.flows.answers.answer import counted, warn
from deidflow.flows.exit_codes import EXIT_UNUSABLE
from deidflow.tasks.core.config.checks import holder_of
from deidflow.tasks.core.config.types import is_address
from deidflow.tasks.core.errors import InvalidInput, Problem, Unusable, os_error_text, printable
from deidflow.tasks.core.files.standard_streams import given_output

if TYPE_CHECKING:
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


def require_csv_place(path: Path) -> None:
    """Refuse, before a source is read for minutes, what no CSV file can be written to.

    Pipes and devices have names of their own.

    Raises:
        InvalidInput: Programs would not take the name for that of a CSV file, or it is a folder.
        Unusable: Its folder is not there.

    """
    if given_output(path) is not None:
        return
    if path.is_dir():
        raise InvalidInput([Problem(f"must be a CSV file, not a folder: {path}", "-o")])
    if path.suffix.lower() != ".csv" and (path.is_file() or not path.exists()):
        raise InvalidInput([Problem(f"must end with .csv: {path}", "-o")])
    if not Path(os.path.realpath(path)).parent.is_dir():
        raise unwritable(path, FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)))


def require_outside(source: str, path: Path) -> None:
    """Refuse to write into a source: it is never changed, and every later run would find a file that is not DICOM.

    Args:
        source: A folder, or the address of an Orthanc, which no file lies in.
        path: Of the file to write, which need not be there.

    Raises:
        InvalidInput: It lies there.

    """
    if given_output(path) is None and not is_address(source) and holder_of({"source": {"folder": source}}, path):
        text = "must lie outside the source, which is never changed; write it beside the source, as in"
        raise InvalidInput([Problem(f"{text} -o {shlex.quote(beside(source, path.name))}", "-o")])


def beside(source: str, name: str) -> str:
    """Return the path of a name in the folder that holds a source.

    >>> beside("incoming/", "cohort.csv"), beside(".", "cohort.csv"), beside("incoming", ".")
    ('cohort.csv', '../cohort.csv', '.')
    """
    return os.path.normpath(Path(source, "..", name))


def is_added_to(path: Path, *, overwrite: bool) -> bool:
    """Whether rows are added to a manifest that is there, and keeps what stands in it."""
    return not overwrite and given_output(path) is None and path.is_file()


def unwritable(path: Path, error: OSError) -> Unusable:
    """Return what to say of a file that cannot be written; nothing of standard output that is read no further.

    Raises:
        SystemExit: Whoever reads standard output has seen enough, as ``head`` has.

    """
    if isinstance(error, BrokenPipeError) and given_output(path) is not None:
        raise SystemExit(EXIT_UNUSABLE)
    way_out = "name another file, make its folder, make room, or give the right to write there"
    return Unusable(f"{name_of(path)} cannot be written: {os_error_text(error)}; {way_out}", error)


def name_of(path: Path) -> str:
    """Return what a message calls a file that is written."""
    return str(path) if given_output(path) is None else "standard output"
