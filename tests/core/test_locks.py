"""One deidflow at a time, also where a folder itself cannot be locked."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import threading
from typing import TYPE_CHECKING, Final

import pytest

from deidflow.tasks.core.errors import Interrupted, Unusable
from deidflow.tasks.core.files import locks
from deidflow.tasks.core.files.locks import LOCK_FILE, lock_beside, lock_folder, lock_server, lock_service, patience

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(params=[False, True], ids=["local", "nfs"])
def _file_system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With NFS a lock needs a file that is open for writing (flock(2), EBADF)."""
    real = fcntl.flock

    def flock(descriptor: int, operation: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        real(descriptor, operation)

    if request.param:
        monkeypatch.setattr(fcntl, "flock", flock)


@pytest.mark.usefixtures("_file_system")
def test_a_folder_is_held_once(tmp_path: Path) -> None:
    """A second holder is refused while the first has it, and gets it afterwards; nothing is left behind."""
    first = lock_folder(tmp_path, "the destination")
    second = lock_folder(tmp_path, "the destination")
    with first, pytest.raises(Unusable, match="in use by another deidflow run"), second:
        pytest.fail("held twice")
    with lock_folder(tmp_path, "the destination"):
        pass

    assert [] == list(tmp_path.iterdir())


@pytest.mark.usefixtures("_file_system")
def test_an_error_gives_the_folder_back(tmp_path: Path) -> None:
    """What ends a run early ends its lock."""
    with pytest.raises(KeyboardInterrupt), lock_folder(tmp_path, "the run"):
        raise KeyboardInterrupt
    with lock_folder(tmp_path, "the run"):
        pass

    assert not (tmp_path / LOCK_FILE).exists()


def test_a_lock_file_that_cannot_be_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On shares of Windows what is open may not be removed, by a virus scanner either: it stays, and locks nobody."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "unlink", refuse)
    path = tmp_path / "lock"
    held = 0
    for _ in range(2):
        with lock_beside(path, "the export"):
            held += 1
    assert (2, True) == (held, path.exists())


def test_who_waits_and_is_stopped_is_interrupted(tmp_path: Path) -> None:
    """Whoever holds the folder is not what ended the wait."""
    stop = threading.Event()
    stop.set()
    first, second = lock_folder(tmp_path, "the run"), lock_folder(tmp_path, "the run", patience(60, stop))
    with first, pytest.raises(Interrupted), second:
        pytest.fail("held twice")


URL: Final = "http://127.0.0.1:18042"


@pytest.fixture
def system_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for locks of this test alone: others run at the same time."""
    monkeypatch.setattr(locks, "_SYSTEM_LOCKS", tmp_path)
    return tmp_path


@pytest.mark.usefixtures("system_locks")
@pytest.mark.parametrize(
    ("other", "identity"),
    [
        ("http://localhost:18042/", ""),
        ("http://LOCALHOST:18042", ""),
        ("http://[::1]:18042", ""),
        ("http://127.0.0.2:18042", "other"),
        ("https://192.0.2.1:443/orthanc", "the same"),
    ],
)
def test_a_server_is_held_once_whatever_it_is_called(other: str, identity: str) -> None:
    """By where it answers, and by what it says it is."""
    with (
        lock_server(URL, "the same"),
        pytest.raises(Unusable, match="in use by another deidflow run"),
        lock_server(other, identity),
    ):
        pytest.fail("held twice")
    with lock_server(other, identity):
        pass


@pytest.mark.usefixtures("system_locks")
def test_two_servers_are_two_locks() -> None:
    """Another port, another path behind a proxy, another machine."""
    with (
        lock_server(URL, "one"),
        lock_server("http://127.0.0.1:18043", "two"),
        lock_server(f"{URL}/other"),
        lock_server("http://192.0.2.1:18042"),
    ):
        pass


def test_nobody_else_can_hold_a_lock(system_locks: Path) -> None:
    """Its folder and file are the user's alone; a folder that others can enter is refused."""
    with lock_server(URL):
        (folder,) = system_locks.iterdir()
        modes = {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
        assert (0o700, {0o600}) == (stat.S_IMODE(folder.stat().st_mode), modes)
    folder.chmod(0o755)
    with pytest.raises(Unusable, match="nobody else can enter"), lock_server(URL):
        pytest.fail("held where others can hold it, too")


def test_a_config_is_served_once() -> None:
    """Of one Prefect server, whatever others are served beside it; with another name or server it is another one."""
    first = lock_service("http://127.0.0.1:4200/api", ["one", "two"])
    second = lock_service("http://127.0.0.1:4200/api", ["two", "three"])
    with first:
        with pytest.raises(Unusable, match="config two is served already by another deidflow serve"), second:
            pytest.fail("held twice")
        with lock_service("http://127.0.0.1:4200/api", ["three"]), lock_service("http://other/api", ["one"]):
            pass
    with lock_service("http://127.0.0.1:4200/api", ["two", "three"]):
        pass


@pytest.mark.parametrize("held", ["server", "service"])
def test_a_lock_that_cannot_be_made_names_the_folder_of_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: str
) -> None:
    """An Orthanc and a service have no folder that another one could be named for."""
    monkeypatch.setattr(locks, "_SYSTEM_LOCKS", tmp_path)

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with contextlib.ExitStack() as stack:
        lock = (
            lock_server("http://127.0.0.1:1") if held == "server" else lock_service("http://127.0.0.1:1", ["nightly"])
        )
        monkeypatch.setattr(os, "open", full)
        with pytest.raises(Unusable) as refused:
            stack.enter_context(lock)
        monkeypatch.undo()

    assert f"make room in {tmp_path / f'deidflow-{os.getuid()}'}, where" in str(refused.value)
    assert "another folder" not in str(refused.value)
