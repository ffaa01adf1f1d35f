"""Files that only their owner can read, complete or not there at all.

Public names: ``replace_file``, ``sync_folder``, ``sync_file_system``.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import io
import os
from typing import TYPE_CHECKING, Final, TextIO

from deidflow.tasks.core.files.standard_streams import drop, given_output

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MODE: Final = 0o600
_libc = ctypes.CDLL(None, use_errno=True)
_ENCODING: Final = "utf-8"
_NO_SYNC: Final = frozenset({errno.EINVAL, errno.EBADF, errno.EOPNOTSUPP})
"""File systems of networks may not know how to sync a folder; what they rename is on the server."""


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable, so that a file survives a power cut under the name that it was given.

    Raises:
        OSError: The disk does not do it.

    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
    finally:
        os.close(descriptor)


def sync_file_system(folder: Path | str) -> None:
    """Bring everything that was written to the file system of a folder to the disk: one call instead of one per file.

    Raises:
        OSError: The disk does not do it.

    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if _libc.syncfs(descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def replace_file(path: Path) -> Iterator[TextIO]:
    """Write a text file beside its place and rename it, with mode 0600 under any umask.

    Line ends are written as they are given; what UTF-8 cannot hold (half a surrogate pair, from undecodable bytes) is
    written with a backslash. When the block raises, an older file stays as it was. A pipe or device is
    written to directly, and so is standard output where the command line has said so.

    Args:
        path: What is replaced or made; the file that a symbolic link leads to.

    Raises:
        OSError: The file cannot be written.

    """
    if (output := given_output(path)) is not None:
        text = io.TextIOWrapper(output, encoding=_ENCODING, errors="backslashreplace", newline="", write_through=True)
        try:
            yield text
            text.flush()
        except OSError:
            drop(output.fileno())
            raise
        finally:
            text.detach()
        return
    if path.exists() and not path.is_file():
        with path.open("w", encoding=_ENCODING, errors="backslashreplace", newline="") as stream:
            yield stream
        return
    path = path.resolve()
    temporary = path.with_name(f".{path.name}.part")
    temporary.unlink(missing_ok=True)
    try:
        # Exclusive, so that a link that someone put there in the meantime is not followed.
        descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _MODE)
        with open(descriptor, "w", encoding=_ENCODING, errors="backslashreplace", newline="") as stream:  # noqa: PTH123
            os.fchmod(descriptor, _MODE)
            yield stream
            stream.flush()
            os.fsync(descriptor)
        temporary.replace(path)
        sync_folder(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
