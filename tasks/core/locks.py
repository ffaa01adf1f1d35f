"""One deidflow at a time per run folder and per destination.

A lock is held by the process and ends with it, however that dies. That of a folder is on the folder itself and leaves
no file behind; where a file system locks only what is open for writing (NFS), it is on a file in it that goes with the
lock. That of an Orthanc is a small file of this machine: a run on another machine does not see it.

Public names: ``lock_folder``, ``lock_server``.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from deidflow.tasks.core.errors import Unusable, os_error_text

if TYPE_CHECKING:
    from collections.abc import Iterator

_SYSTEM_LOCKS: Final = Path("/run/lock")
"""Where the Filesystem Hierarchy Standard 3.0 (section 3.15) keeps locks; not on every system."""

LOCK_FILE: Final = ".deidflow-lock"
_READ_ONLY_LOCKS: Final = frozenset({errno.EBADF, errno.EISDIR, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOLCK})
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


@contextlib.contextmanager
def lock_folder(folder: Path, what: str) -> Iterator[None]:
    """Hold a folder for this process alone.

    Args:
        folder: It exists.
        what: Names it in the error, for example ``the destination``.

    Raises:
        Unusable: Another process holds it, or it cannot be opened.

    """
    name = f"{what} {folder}"
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        message = f"{name} cannot be locked: {os_error_text(error)}"
        raise Unusable(message) from None
    try:
        if _lock(descriptor, name):
            yield
            return
    finally:
        os.close(descriptor)
    with _lock_file(folder / LOCK_FILE, name):
        yield


@contextlib.contextmanager
def lock_server(url: str) -> Iterator[None]:
    """Hold an Orthanc that results are written to for this process alone, among those of this machine.

    Args:
        url: Its address; how it is spelled (case, a port that goes without saying, a slash at the end) plays no part.

    Raises:
        Unusable: Another process holds it, or there is no place for locks.

    """
    parts = urlsplit(url)
    port = parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)
    name = sha256(f"{parts.hostname}:{port}{parts.path.rstrip('/')}".encode()).hexdigest()[:16]
    folder = _SYSTEM_LOCKS if os.access(_SYSTEM_LOCKS, os.W_OK) else Path(tempfile.gettempdir())
    path = folder / f"deidflow-{name}.lock"
    # Another user's file in a sticky folder may be opened but not created, even where it exists (fs.protected_regular).
    flags = os.O_RDONLY | os.O_NOFOLLOW | (0 if path.exists() else os.O_CREAT)
    with _held(path, flags, "the Orthanc that is written to"):
        yield


def _lock(descriptor: int, what: str) -> bool:
    """Lock an open file or folder; return False where the file system cannot lock what is open for reading only."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        message = f"{what} is in use by another deidflow run; wait until it has ended"
        raise Unusable(message) from None
    except OSError as error:
        if error.errno in _READ_ONLY_LOCKS:
            return False
        message = f"{what} cannot be locked: {os_error_text(error)}"
        raise Unusable(message) from None
    return True


@contextlib.contextmanager
def _lock_file(path: Path, what: str) -> Iterator[None]:
    """Hold a file that is made for it and removed in the end."""
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            message = f"{what} cannot be locked: {os_error_text(error)}"
            raise Unusable(message) from None
        try:
            if not _lock(descriptor, what):
                message = f"{what} cannot be locked: its file system knows no locks; choose a folder on another one"
                raise Unusable(message)
            if _is(path, descriptor):  # else its holder removed it between our two steps
                try:
                    yield
                finally:
                    path.unlink(missing_ok=True)
                return
        finally:
            os.close(descriptor)


def _is(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def _held(path: Path, flags: int, what: str) -> Iterator[None]:
    try:
        descriptor = os.open(path, flags | os.O_CLOEXEC, 0o644)
    except OSError as error:
        message = f"{what} cannot be locked: {os_error_text(error)}"
        raise Unusable(message) from None
    try:
        if not _lock(descriptor, what):
            message = f"{what} cannot be locked: the file system of its lock knows no locks"
            raise Unusable(message)
        yield
    finally:
        os.close(descriptor)
