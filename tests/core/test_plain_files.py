"""What is no plain file is refused at once, and never waited for."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from deidflow.tasks.core.files.plain_files import NotPlainError, read_plain_file, trouble_with


def test_a_plain_file_is_read(tmp_path: Path) -> None:
    """Also through a link, and no further than asked."""
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    path.chmod(0o640)
    (tmp_path / "link").symlink_to(path)

    data, mode = read_plain_file(tmp_path / "link", 4)

    assert (b"0123", 0o640) == (data, stat.S_IMODE(mode))
    assert b"0123456789" == read_plain_file(path)[0]


def _make(path: Path, kind: str) -> Path:
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "device":
        return Path(os.devnull)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(os.fspath(path.relative_to(Path.cwd())))
    else:
        os.mkfifo(path.with_name("pipe"))
        path.symlink_to("pipe")
    return path


@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "socket", "link to a pipe"])
def test_anything_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """The message names the path."""
    monkeypatch.chdir(tmp_path)
    path = _make(tmp_path / "odd", kind)

    with pytest.raises(NotPlainError) as caught:
        read_plain_file(path)

    assert f"must be a plain file, not a folder, pipe or device: {path}" == trouble_with(path, caught.value)


@pytest.mark.parametrize("name", ["no", "file/below"])
def test_what_is_not_there_is_named(tmp_path: Path, name: str) -> None:
    """By the path that was looked for."""
    (tmp_path / "file").touch()
    path = tmp_path / name

    with pytest.raises(OSError, match=r"No such file|Not a directory") as caught:
        read_plain_file(path)

    assert f"not found: {path}" == trouble_with(path, caught.value)
