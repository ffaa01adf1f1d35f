"""One deidflow at a time per run folder and per destination.

A lock is held by the process and ends with it, however that dies. That of a folder is on the folder itself and leaves
no file behind; where a file system locks only what is open for writing (NFS), it is on a file in it that goes with the
lock. That of an Orthanc is a small file in a folder of this user: a run on another machine, or of another user, does
not see it. Then both work, and neither touches what the other made.

Public names: ``Waits``, ``patience``, ``lock_folder``, ``lock_beside``, ``lock_server``, ``lock_service``,
``server_names``.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import stat
import tempfile
import time
from collections.abc import Callable
from hashlib import sha256
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from deidflow.tasks.core.errors import Interrupted, Unusable, os_error_and_remedy, os_error_text

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable, Iterator

_SYSTEM_LOCKS: Final = Path("/run/lock")
"""Where the Filesystem Hierarchy Standard 3.0 (section 3.15) keeps locks; not on every system."""

Waits = Callable[[], bool]
"""Whether to try again for a lock that another process holds; takes a moment."""
_BETWEEN_TRIES_S: Final = 0.5
_IN_USE: Final = "in use by another deidflow run; wait until it has ended"
_ONE_SERVICE: Final = "served already by another deidflow serve; stop that one first: the first to end would pause it"
LOCK_FILE: Final = ".deidflow-lock"
_READ_ONLY_LOCKS: Final = frozenset({errno.EBADF, errno.EISDIR, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOLCK})
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def patience(seconds: float, stop: threading.Event) -> Waits:
    """Return what says whether to try again for a lock that another process holds, and waits a moment first.

    Args:
        seconds: How long to go on, from now.
        stop: Once it is set nobody waits any longer: what waits raises ``Interrupted``, since no lock ended it.

    """
    end = time.monotonic() + seconds

    def waits() -> bool:
        if time.monotonic() >= end:
            return False
        if stop.wait(_BETWEEN_TRIES_S):
            raise Interrupted("the run was stopped")
        return True

    return waits


@contextlib.contextmanager
def lock_folder(folder: Path, what: str, waits: Waits | None = None) -> Iterator[None]:
    """Hold a folder for this process alone.

    Args:
        folder: It exists.
        what: Names it in the error, for example ``the destination``.
        waits: See ``patience``; None for not at all.

    Raises:
        Unusable: Another process holds it, or it cannot be opened.

    """
    name = f"{what} {folder}"
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        message = f"{name} cannot be locked: {os_error_text(error)}"
        raise Unusable(message, error) from None
    try:
        if _lock(descriptor, name, waits):
            yield
            return
    finally:
        os.close(descriptor)
    with lock_beside(folder / LOCK_FILE, name, waits):
        yield


@contextlib.contextmanager
def lock_beside(path: Path, what: str, waits: Waits | None = None) -> Iterator[None]:
    """Hold a file that is made for it, in a folder that is there, and removed in the end.

    Args:
        path: Of the file.
        what: Names what is held in the error.
        waits: See ``patience``; None for not at all.

    Raises:
        Unusable: Another process holds it, or it cannot be made.

    """
    while True:
        descriptor = _opened(path, what, "make room, give the right to write there, or name another folder")
        try:
            if not _lock(descriptor, what, waits):
                message = (
                    f"{what} cannot be locked: its file system does not support locks; choose a folder on another one"
                )
                raise Unusable(message)
            if _is(path, descriptor):  # else its holder removed it between our two steps
                try:
                    yield
                finally:
                    with contextlib.suppress(OSError):  # where what is open cannot be removed: it locks nobody
                        path.unlink()
                return
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def lock_server(url: str, identity: str = "", waits: Waits | None = None) -> Iterator[None]:
    """Hold an Orthanc that results are written to for this process alone, among those of this user on this machine.

    It is known by where it answers, so that ``localhost``, ``127.0.0.1`` and the machine's own name are one, and by
    what it says it is, so that two addresses of one server are one.

    Args:
        url: Its address.
        identity: ``DatabaseServerIdentifier`` of the server, "" when it has none (before 1.11.1).
        waits: See ``patience``; None for not at all.

    Raises:
        Unusable: Another process holds it, or there is no safe place for locks.

    """
    folder = _lock_folder()
    with contextlib.ExitStack() as held:
        for name in sorted(sha256(name.encode()).hexdigest()[:16] for name in server_names(url, identity)):
            held.enter_context(_held(folder / f"{name}.lock", "the Orthanc that is written to", waits))
        yield


@contextlib.contextmanager
def lock_service(url: str, names: Iterable[str]) -> Iterator[None]:
    """Hold configs that are served, among the services of this user on this machine.

    Args:
        url: Of the API of the Prefect server that starts their runs.
        names: Of the configs.

    Raises:
        Unusable: One is served already, or there is no safe place for locks.

    """
    folder = _lock_folder()
    with contextlib.ExitStack() as held:
        for name in sorted(names):
            path = folder / f"{sha256(f'serve {url} {name}'.encode()).hexdigest()[:16]}.lock"
            held.enter_context(_held(path, f"the config {name}", None, _ONE_SERVICE))
        yield


def server_names(url: str, identity: str = "") -> frozenset[str]:
    """Return what a server is known by: two that have one of these in common are one.

    Args:
        url: Its address.
        identity: ``DatabaseServerIdentifier`` of the server, "" when it has none (before 1.11.1).

    """
    return frozenset([*_addresses(url), *([f"identity {identity}"] if identity else [])])


def _addresses(url: str) -> list[str]:
    """Return every place that an address leads to; all ways to this machine itself are one."""
    parts = urlsplit(url)
    port = parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)
    host = parts.hostname or ""
    try:
        found = {str(address[0]) for *_, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    except OSError:
        found = {host}
    hosts = {"this machine" if _is_loopback(name) else name for name in found}
    return [f"{name} {port} {parts.path.rstrip('/')}" for name in hosts]


def _is_loopback(name: str) -> bool:
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def _lock_folder() -> Path:
    """Return this user's folder for locks, which nobody else can enter.

    Raises:
        Unusable: It cannot be made, or somebody else made it.

    """
    try:
        parent = _SYSTEM_LOCKS if os.access(_SYSTEM_LOCKS, os.W_OK) else Path(tempfile.gettempdir())
        folder = parent / f"deidflow-{os.getuid()}"
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        status = folder.lstat()
    except OSError as error:
        message = f"a folder for locks cannot be made: {os_error_text(error)}; set TMPDIR to one that can be written"
        raise Unusable(message, error) from None
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
        message = f"{folder} must be a folder of this user that nobody else can enter; remove it, or set TMPDIR"
        raise Unusable(message)
    return folder


def _lock(descriptor: int, what: str, waits: Waits | None, by: str = _IN_USE) -> bool:
    """Lock an open file or folder; return False where the file system cannot lock what is open for reading only."""
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if waits is not None and waits():
                continue
            message = f"{what} is {by}"
            raise Unusable(message) from None
        except OSError as error:
            if error.errno in _READ_ONLY_LOCKS:
                return False
            message = f"{what} cannot be locked: {os_error_text(error)}"
            raise Unusable(message, error) from None
        return True


def _opened(path: Path, what: str, way_out: str) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        message = f"{what} cannot be locked: {os_error_and_remedy(error, way_out)}"
        raise Unusable(message, error) from None


def _is(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def _held(path: Path, what: str, waits: Waits | None, by: str = _IN_USE) -> Iterator[None]:
    # Of a server or a service: no folder of theirs is meant, but the one where locks are.
    place = f"{path.parent}, where this user's locks are"
    descriptor = _opened(path, what, f"make room in {place}, or give the right to write there")
    try:
        if not _lock(descriptor, what, waits, by):
            message = f"{what} cannot be locked: the file system of its lock does not support locks"
            raise Unusable(message)
        yield
    finally:
        os.close(descriptor)
