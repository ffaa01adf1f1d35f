"""Files that re-identify people, which a command writes where its user says: never among what is handed over.

Public names: ``require_private_place``, ``require_own_table``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.config.checks import holder_of
from deidflow.tasks.core.errors import InvalidInput, Problem
from deidflow.tasks.core.files.standard_streams import given_output

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from deidflow.tasks.core.config.config import Config

_TOLD_BY: Final = 3
"""Columns by which a table is known to be the command's own; later versions may add some at the end."""


def require_private_place(config: Config, path: Path, option: str) -> None:
    """Refuse a place in the source, in the destination or among exports.

    Args:
        config: Of the run or the job.
        path: Of the file or folder to write.
        option: That gives it, for the message.

    Raises:
        InvalidInput: It lies in one of them.

    """
    if given_output(path) is not None:
        return
    key = holder_of(config.to_json(), path)
    if key == "source.folder":
        raise InvalidInput([Problem("must lie outside source.folder, which is never changed", option)])
    if key:
        text = f"must lie outside {key}: it re-identifies people, and what is there is given away"
        raise InvalidInput([Problem(text, option)])


def require_own_table(path: Path, columns: Sequence[str]) -> None:
    """Refuse to write over a file that an earlier call of the command has not written; an empty one is nobody's.

    Args:
        path: Of the CSV file to write.
        columns: That it has.

    Raises:
        InvalidInput: Something else is there, or it cannot be read.

    """
    if given_output(path) is not None or not path.is_file():
        return
    beginning = ",".join(columns[:_TOLD_BY]).encode()
    try:
        with path.open("rb") as stream:
            found = stream.read(len(beginning) + 3).removeprefix(b"\xef\xbb\xbf")
    except OSError:
        found = b"not to be read"
    if found and not found.startswith(beginning):
        text = f"must be a file that this command has written before, or none yet: {path}; name another file"
        raise InvalidInput([Problem(text, "-o")])
