"""``-`` on the command line: standard input and standard output in the place of files.

It means them only in a process whose user has typed it: elsewhere, in a service for example, a file may be called so.

Public names: ``STANDARD``, ``give_input``, ``given_input``, ``give_output``, ``given_output``,
``drop``.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from typing import BinaryIO

STANDARD: Final = Path("-")


class _Streams:
    """What the command line has given."""

    content: bytes | None = None
    output: BinaryIO | None = None


def give_input(content: bytes) -> None:
    """Let ``-`` be a file with this content, which can be read as often as any file."""
    _Streams.content = content


def given_input(path: Path) -> bytes | None:
    """Return the content of standard input where a path stands for it, else None."""
    return _Streams.content if path == STANDARD else None


def give_output(stream: BinaryIO) -> None:
    """Let what is written to ``-`` go there."""
    _Streams.output = stream


def given_output(path: Path) -> BinaryIO | None:
    """Return the stream of standard output where a path stands for it, else None."""
    return _Streams.output if path == STANDARD else None


def drop(descriptor: int) -> None:
    """Pass over what is still to be written where nobody takes it; Python would fail once more as it ends."""
    with contextlib.suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, descriptor)
        os.close(nowhere)
