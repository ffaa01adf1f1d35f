"""Standard error that nobody has to take: what is said there is a comfort, and no night's work ends for want of it.

Public names: ``make_unfailing``, ``shout``.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from typing_extensions import Buffer

_NUMBER: Final = 2


def make_unfailing() -> None:
    """Let nothing fail since standard error is closed, is a pipe that nobody reads, or lies on a full disk.

    Called before anything is opened: a file that got the number of a closed standard stream would be written to by
    whoever means the stream.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= _NUMBER:
        os.set_inheritable(number, True)
    os.close(number)
    encoding = sys.stderr.encoding if sys.stderr is not None else "utf-8"
    stream = _Unfailing(_NUMBER, "w", closefd=False)
    sys.stderr = io.TextIOWrapper(stream, encoding, "backslashreplace", line_buffering=True, write_through=True)


def shout(text: bytes) -> None:
    """Say something at once, as a signal's handler may; what cannot be written is dropped."""
    with contextlib.suppress(OSError):
        while text:
            text = text[os.write(_NUMBER, text) :]


class _Unfailing(io.FileIO):
    """Standard error as bytes."""

    def write(self, data: Buffer, /) -> int:
        """Write all of it, or drop the rest."""
        content = bytes(data)
        shout(content)
        return len(content)
