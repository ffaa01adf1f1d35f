"""Files that are open for reading: all their bytes at once, or as a stream."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from deidflow.tasks.core.files.beneath import open_folder, open_followed, open_plain_file
from deidflow.tasks.core.files.opened import OpenedFile
from deidflow.tasks.core.files.plain_files import NotPlainError

CONTENT = b"0123456789"


def _opened(path: Path, content: bytes = CONTENT) -> OpenedFile:
    path.write_bytes(content)
    with open_folder(str(path.parent)) as folder:
        return open_plain_file(folder, path.name.encode())


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def _open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@pytest.mark.parametrize("content", [CONTENT, b""])
def test_all_bytes_at_once(tmp_path: Path, content: bytes) -> None:
    """From a folder and from memory alike; a stream of the same has them, too."""
    for file in (_opened(tmp_path / "a", content), OpenedFile.in_memory(content)):
        with file:
            assert (len(content), content) == (file.size, file.whole(len(content)))
            assert content == file.stream().read()
            assert content == file.whole(len(content))


def test_more_than_so_many_are_none(tmp_path: Path) -> None:
    """What is larger is left to a stream."""
    for file in (_opened(tmp_path / "a"), OpenedFile.in_memory(CONTENT)):
        with file:
            assert file.whole(len(CONTENT) - 1) is None
            assert CONTENT == file.stream().read()


@pytest.mark.parametrize("now", [CONTENT[:-1], CONTENT + b"0", b""])
def test_a_file_that_changes_meanwhile_is_none(tmp_path: Path, now: bytes) -> None:
    """A file that has become shorter or longer since it was opened is not taken for what it was."""
    with _opened(tmp_path / "a") as file:
        (tmp_path / "a").write_bytes(now)

        assert file.whole(100) is None


def test_its_stream_stands_where_it_was_left(tmp_path: Path) -> None:
    """Who asks again gets the same stream; reading all bytes does not move it."""
    for file in (_opened(tmp_path / "a"), OpenedFile.in_memory(CONTENT)):
        with file:
            file.stream().seek(4)
            file.whole(100)

            assert CONTENT[4:] == file.stream().read()


@pytest.mark.parametrize("has_stream", [True, False])
def test_it_is_closed_once(tmp_path: Path, *, has_stream: bool) -> None:
    """Whether anybody has asked for a stream or not; what is detached is its taker's to close."""
    file = _opened(tmp_path / "a")
    descriptor = file.descriptor
    if has_stream:
        file.stream()
    file.close()
    file.close()
    assert not _is_open(descriptor)

    descriptor = _opened(tmp_path / "a").detach()
    assert _is_open(descriptor)
    os.close(descriptor)


def test_only_plain_files(tmp_path: Path) -> None:
    """A link is followed only where that is asked for; folders and pipes are none, and nothing is left open."""
    (tmp_path / "a").write_bytes(CONTENT)
    (tmp_path / "link").symlink_to("a")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    before = _open_files()
    with open_folder(str(tmp_path)) as folder:
        for name, error in ((b"link", NotPlainError), (b"pipe", NotPlainError), (b"folder", FileNotFoundError)):
            with pytest.raises(error):
                open_plain_file(folder, name)
    for kind in ("folder", "pipe"):
        with pytest.raises(NotPlainError):
            open_followed(os.fsencode(tmp_path / kind))
    with open_followed(os.fsencode(tmp_path / "link")) as file:
        assert CONTENT == file.whole(100)

    assert before == _open_files()
