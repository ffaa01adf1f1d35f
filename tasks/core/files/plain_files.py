"""Reading files that are to be plain ones: a pipe would be waited for, a device never ends.

Those that the user names by their path, links followed; files of a source or destination are opened in ``beneath``.

Public names: ``read_plain_file``, ``NotPlainError``, ``trouble_with``.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from deidflow.tasks.core.errors import os_error_text
from deidflow.tasks.core.files.standard_streams import given_input

if TYPE_CHECKING:
    from pathlib import Path

_NOT_THERE = (errno.ENOENT, errno.ENOTDIR)


class NotPlainError(OSError):
    """There is something at this path, or on the way to it, that is neither a plain file nor a folder to go through."""

    def __init__(self) -> None:
        super().__init__(errno.EINVAL, "must be a plain file, not a folder, pipe or device")


def read_plain_file(path: Path, limit: int = -1) -> tuple[bytes, int]:
    """Read a file.

    Args:
        path: A link to a plain file is followed; standard input where the command line has said so.
        limit: Bytes to read at most, -1 for all.

    Returns:
        Its content and its mode (``st_mode``), of one and the same file.

    Raises:
        NotPlainError: It is a folder, pipe, socket or device; nothing was waited for.
        OSError: It is not there or cannot be read.

    """
    if (given := given_input(path)) is not None:
        return given if limit < 0 else given[:limit], stat.S_IFREG | 0o600
    try:
        # Without O_NONBLOCK a pipe is not even opened until somebody writes to it.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ENXIO, errno.EISDIR):  # a socket; some file systems' folders
            raise NotPlainError from None
        raise
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise NotPlainError
    with os.fdopen(descriptor, "rb") as stream:
        return stream.read(limit), mode


def trouble_with(path: Path, error: OSError) -> str:
    """Say what keeps a file or folder from being read, with the path that was looked for.

    Args:
        path: Of a config, or what one names; never that of a source file.
        error: What the system said.

    """
    if error.errno in _NOT_THERE:
        return f"not found: {path}"
    if isinstance(error, NotPlainError):
        return f"{error.strerror}: {path}"
    return f"cannot be read: {path}: {os_error_text(error)}"
