"""One deidflow at a time, also where a folder itself cannot be locked."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from typing import TYPE_CHECKING

import pytest

from deidflow.tasks.core.errors import Unusable
from deidflow.tasks.core.locks import LOCK_FILE, lock_folder

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
