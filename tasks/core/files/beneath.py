"""Plain files below a folder, reached without following links, so that nothing outside it is read or deleted.

The folder itself may be named by a link; below it every step is taken from the folder that was opened before, and a
link on the way, or in the place of the file, is refused (POSIX openat with O_NOFOLLOW).

Public names: ``open_folder``, ``KeptFolder``, ``open_followed``, ``open_plain_file``, ``delete_plain_file``.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import TYPE_CHECKING, Final, Self

from deidflow.tasks.core.files.opened import OpenedFile, changed_ns
from deidflow.tasks.core.files.plain_files import NotPlainError

if TYPE_CHECKING:
    from collections.abc import Iterator

_STEP: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # O_NONBLOCK: a FIFO would wait for a writer
_LINKS: Final = frozenset({errno.ELOOP, errno.ENOTDIR, errno.ENXIO})


@contextlib.contextmanager
def open_folder(root: str | bytes, path: bytes = b"", *, make: bool = False, mode: int | None = None) -> Iterator[int]:
    """Give the descriptor of a folder.

    Args:
        root: Any folder; links in its own name are followed.
        path: Of a folder below it, with ``/`` between the names; b"" for the root.
        make: Whether missing folders below the root are made.
        mode: Permissions of those that are made, None for what the umask leaves.

    Raises:
        FileNotFoundError: It is not there.
        NotPlainError: On the way stands a link, or something that is no folder.
        OSError: It cannot be opened or made.

    """
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in path.split(b"/") if path else ():
            below = _step(descriptor, name, make=make, mode=mode)
            os.close(descriptor)
            descriptor = below
        yield descriptor
    finally:
        os.close(descriptor)


class KeptFolder:
    """The folder below a root that was wanted last, kept open for the next one who wants it; see ``open_folder``."""

    def __init__(self, root: str | bytes, *, make: bool = False, mode: int | None = None) -> None:
        """Open nothing yet.

        Args:
            root: See ``open_folder``.
            make: See ``open_folder``.
            mode: See ``open_folder``.

        """
        self._root, self._make, self._mode = root, make, mode
        self._path: bytes | None = None
        self._open = contextlib.ExitStack()
        self._descriptor = -1

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the folder."""
        self._open.close()

    def descriptor(self, path: bytes) -> int:
        """Return the descriptor of a folder, open until another one is wanted; raise as ``open_folder``."""
        if path != self._path:
            self._open.close()
            self._path = None
            self._descriptor = self._open.enter_context(open_folder(self._root, path, make=self._make, mode=self._mode))
            self._path = path
        return self._descriptor


def _step(descriptor: int, name: bytes, *, make: bool, mode: int | None) -> int:
    if name in (b"", b".", b".."):
        raise NotPlainError
    try:
        return os.open(name, _STEP, dir_fd=descriptor)
    except FileNotFoundError:
        if not make:
            raise
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, dir_fd=descriptor)
            if mode is not None:
                os.chmod(name, mode, dir_fd=descriptor)
        return _step(descriptor, name, make=False, mode=mode)
    except OSError as error:
        raise _plain_error(error) from None


def open_plain_file(folder: int, name: bytes) -> OpenedFile:
    """Open a file of an open folder for reading.

    Raises:
        FileNotFoundError: It is not there, or a folder is.
        NotPlainError: A link, pipe, socket or device is.
        OSError: It cannot be opened.

    """
    try:
        descriptor = os.open(name, _READ, dir_fd=folder)
    except OSError as error:
        raise _plain_error(error) from None
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode):
        return OpenedFile(descriptor, status.st_size, changed_ns(status))
    os.close(descriptor)
    if stat.S_ISDIR(status.st_mode):
        raise FileNotFoundError(errno.ENOENT, "a folder, no file")
    raise NotPlainError


def open_followed(path: bytes) -> OpenedFile:
    """Open a file by its whole path, links followed.

    Raises:
        NotPlainError: It is a pipe, socket, device or folder.
        OSError: It is not there, or cannot be opened.

    """
    descriptor = os.open(path, _READ & ~os.O_NOFOLLOW)
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode):
        return OpenedFile(descriptor, status.st_size, changed_ns(status))
    os.close(descriptor)
    raise NotPlainError


def delete_plain_file(folder: int, name: bytes, descriptor: int) -> bool:
    """Delete the name of a file that is open, unless another file, or another state of it, stands there by now.

    Args:
        folder: Descriptor of the folder that it is in.
        name: In that folder.
        descriptor: Of the file, which was read since it was opened and found to be what may go.

    Returns:
        Whether it was deleted.

    """
    opened = os.fstat(descriptor)
    try:
        there = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    unchanged = (opened.st_size, opened.st_mtime_ns) == (there.st_size, there.st_mtime_ns)
    if not (unchanged and os.path.samestat(opened, there)):
        return False
    os.unlink(name, dir_fd=folder)
    return True


def _plain_error(error: OSError) -> OSError:
    if error.errno in _LINKS:
        return NotPlainError()
    return error
