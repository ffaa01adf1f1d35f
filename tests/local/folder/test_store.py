"""A result appears under its final name whole or not at all, never over another one, and never outside the folder."""

from __future__ import annotations

import errno
import os
import re
import subprocess
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers
from deidflow.tasks.core.engine.protocol import PlannedInstance
from deidflow.tasks.core.engine.result_paths import relative_path
from deidflow.tasks.core.engine.stores import BytesInMemory, Staged
from deidflow.tasks.core.errors import InstanceFailed, Unusable
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.core.request.request import Operation
from deidflow.tasks.local.folder.store import (
    PARTIAL_FOLDER,
    FolderWriter,
    clear_partial_results,
)
from tests.local.folders import contents
from tests.local.strategies import PROPERTY

if TYPE_CHECKING:
    from collections.abc import Callable

NEW = DicomIdentifiers("P-1", "1.2.3.1", "1.2.3.1.1", "1.2.3.1.1.1")
NAME = "P-1/1.2.3.1/1.2.3.1.1/1.2.3.1.1.1.dcm"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The destination."""
    path = tmp_path / "results"
    path.mkdir()
    return path


def put(store: FolderWriter, data: bytes, new: DicomIdentifiers = NEW) -> Staged:
    """Stage a result with these bytes."""
    return store.stage(BytesInMemory(data), planned(new), Operation.MODIFY)


def planned(new: DicomIdentifiers = NEW) -> PlannedInstance:
    """Return an instance that becomes this one."""
    return PlannedInstance(1, b"original", 0, 0, NEW, new)


class Written:
    """A result that a function writes."""

    def __init__(self, write: Callable[[int], None]) -> None:
        """Take the function."""
        self.write = write

    def to_bytes(self) -> bytes:
        """Not asked for by a folder."""
        raise NotImplementedError


def partial(folder: Path) -> list[Path]:
    """Return what lies in the partial folder."""
    return [path for path in (folder / PARTIAL_FOLDER).rglob("*") if path.is_file()]


def test_nothing_is_visible_before_it_is_published(folder: Path) -> None:
    """A staged result is not there; a published one is, whole, and nothing else is left."""
    store = FolderWriter(str(folder), overwrite=False)
    staged = [put(store, b"one"), put(store, b"two", NEW._replace(sop_instance_uid="1.2.3.1.1.2"))]
    assert {} == contents(folder)

    assert [None, None] == store.publish(staged)
    assert {NAME: b"one", "P-1/1.2.3.1/1.2.3.1.1/1.2.3.1.1.2.dcm": b"two"} == contents(folder)
    assert [] == partial(folder)


def test_no_results(folder: Path) -> None:
    """Publishing nothing does nothing."""
    assert [] == FolderWriter(str(folder), overwrite=False).publish([])


def test_failed_write_leaves_nothing(folder: Path) -> None:
    """When the source cannot be read half-way, no half-written result stays."""
    store = FolderWriter(str(folder), overwrite=False)

    def fail(descriptor: int) -> None:
        os.write(descriptor, b"half")
        raise EOFError

    with pytest.raises(EOFError):
        store.stage(Written(fail), planned(), Operation.MODIFY)
    assert [] == partial(folder)
    assert {} == contents(folder)


@pytest.mark.parametrize("overwrite", [False, True])
def test_same_bytes_again(folder: Path, overwrite: bool) -> None:
    """A result that is there already with the same bytes is done."""
    for _ in range(2):
        store = FolderWriter(str(folder), overwrite=overwrite)
        assert [None] == store.publish([put(store, b"same")])

    assert {NAME: b"same"} == contents(folder)
    assert [] == partial(folder)


def test_other_bytes_are_never_overwritten(folder: Path) -> None:
    """Another object under the name stays, and the instance fails; its neighbours are published."""
    store = FolderWriter(str(folder), overwrite=False)
    store.publish([put(store, b"old")])
    neighbour = NEW._replace(sop_instance_uid="1.2.3.1.1.2")
    verdicts = store.publish([put(store, b"new"), put(store, b"neighbour", neighbour)])

    (problem, done) = verdicts
    assert isinstance(problem, InstanceFailed)
    assert ReasonCode.DESTINATION_CONFLICT is problem.code
    assert done is None
    assert [b"neighbour", b"old"] == sorted(contents(folder).values())
    assert [] == partial(folder)


def test_other_bytes_of_the_same_length(folder: Path) -> None:
    """Results are compared by content, not by size and time."""
    store = FolderWriter(str(folder), overwrite=False)
    store.publish([put(store, b"old")])
    os.utime(folder / NAME, ns=(0, 0))
    second = put(store, b"new")
    os.utime(second.place.partial, ns=(0, 0))

    assert isinstance(store.publish([second])[0], InstanceFailed)


def test_overwrite(folder: Path) -> None:
    """With overwrite the new bytes stand there."""
    store = FolderWriter(str(folder), overwrite=True)
    store.publish([put(store, b"old")])

    assert [None] == store.publish([put(store, b"new")])
    assert {NAME: b"new"} == contents(folder)
    assert [] == partial(folder)


def test_something_else_under_the_name(folder: Path) -> None:
    """A folder, a link to nowhere or to elsewhere under the name is another object and is not followed."""
    elsewhere = folder.parent / "elsewhere"
    elsewhere.write_bytes(b"mine")
    final = folder / NAME
    final.parent.mkdir(parents=True)
    store = FolderWriter(str(folder), overwrite=False)
    final.mkdir()
    assert isinstance(store.publish([put(store, b"new")])[0], InstanceFailed)
    final.rmdir()
    for target in ("nowhere", elsewhere):
        final.symlink_to(target)
        assert isinstance(store.publish([put(store, b"new")])[0], InstanceFailed)
        final.unlink()
    assert b"mine" == elsewhere.read_bytes()


@pytest.mark.parametrize("said", [errno.EPERM, errno.EXDEV])
def test_without_hard_links(folder: Path, monkeypatch: pytest.MonkeyPatch, said: int) -> None:
    """On a file system without hard links (AFS: between folders) results are renamed, with the same promises."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(said, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    store = FolderWriter(str(folder), overwrite=False)
    assert [None] == store.publish([put(store, b"old")])
    assert [None] == store.publish([put(store, b"old")])
    assert isinstance(store.publish([put(store, b"new")])[0], InstanceFailed)
    assert {NAME: b"old"} == contents(folder)
    assert [] == partial(folder)


@pytest.mark.parametrize("depth", [0, 1, 2])
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_that_is_a_link_takes_no_result(folder: Path, tmp_path: Path, depth: int, overwrite: bool) -> None:
    """Where a folder on the way is a link, nothing is written outside, and the neighbours are."""
    outside = tmp_path / "outside"
    outside.mkdir()
    link = folder.joinpath(*NAME.split("/")[: depth + 1])
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(outside)
    other = NEW._replace(patient_id="P-2")
    store = FolderWriter(str(folder), overwrite=overwrite)
    problem, none = store.publish([put(store, b"one"), put(store, b"two", other)])

    assert problem is not None
    assert (ReasonCode.DESTINATION_CONFLICT, None) == (problem.code, none)
    assert [] == list(outside.iterdir())
    assert [] == partial(folder)


@pytest.mark.parametrize("kind", ["link to the same bytes", "link to nothing", "pipe"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_no_plain_file_in_the_place_of_a_result(folder: Path, tmp_path: Path, kind: str, overwrite: bool) -> None:
    """It is a conflict at once, neither read nor replaced."""
    place = folder / NAME
    place.parent.mkdir(parents=True)
    (tmp_path / "same").write_bytes(b"one")
    if kind == "pipe":
        os.mkfifo(place)
    else:
        place.symlink_to(tmp_path / ("same" if "same" in kind else "nothing"))
    store = FolderWriter(str(folder), overwrite=overwrite)
    (problem,) = store.publish([put(store, b"one")])

    assert problem is not None
    assert ReasonCode.DESTINATION_CONFLICT == problem.code
    assert not place.is_file() or place.is_symlink()


def test_series_folder_that_vanishes(folder: Path) -> None:
    """A folder that something else removes during the run is made again."""
    store = FolderWriter(str(folder), overwrite=False)
    store.publish([put(store, b"one")])
    subprocess.run(["/bin/rm", "-r", str(folder / "P-1")], check=True)

    assert [None] == store.publish([put(store, b"one")])
    assert {NAME: b"one"} == contents(folder)


def test_staged_result_that_vanishes(folder: Path) -> None:
    """A partial file that something else removes ends the run, it does not spin."""
    store = FolderWriter(str(folder), overwrite=False)
    staged = put(store, b"one")
    Path(staged.place.partial).unlink()
    with pytest.raises(Unusable):
        store.publish([staged])


def test_leftovers_of_a_killed_run_are_cleared(folder: Path) -> None:
    """What was half-written goes, what was published stays; a second call finds nothing to do."""
    store = FolderWriter(str(folder), overwrite=False)
    store.publish([put(store, b"one")])
    put(store, b"half", NEW._replace(sop_instance_uid="1.2"))
    for _ in range(2):
        clear_partial_results(str(folder))
        assert not (folder / PARTIAL_FOLDER).exists()

    assert {NAME: b"one"} == contents(folder)
    assert [None] == store.publish([put(store, b"one")])


def test_a_link_in_the_place_of_half_written_results_goes(folder: Path, tmp_path: Path) -> None:
    """What it leads to stays, and gets no result; it was told as "OSError"."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "file").write_bytes(b"somebody's")
    (folder / PARTIAL_FOLDER).symlink_to(other)
    clear_partial_results(str(folder))
    store = FolderWriter(str(folder), overwrite=False)

    assert [None] == store.publish([put(store, b"one")])
    assert {NAME: b"one"} == contents(folder)
    assert ["file"] == [path.name for path in other.iterdir()]


def test_leftovers_of_a_process_with_the_same_number(folder: Path) -> None:
    """Half-written results of an earlier attempt, or of a killed process with the same number, are in nobody's way."""
    put(FolderWriter(str(folder), overwrite=False), b"half")
    store = FolderWriter(str(folder), overwrite=False)

    assert [None] == store.publish([put(store, b"whole")])
    assert {NAME: b"whole"} == contents(folder)


def test_partial_folder_is_private(folder: Path) -> None:
    """Nobody else looks at results that are not verified yet."""
    store = FolderWriter(str(folder), overwrite=False)
    put(store, b"one")

    assert 0o700 == (folder / PARTIAL_FOLDER).stat().st_mode & 0o777


def test_full_destination(tmp_path: Path) -> None:
    """A full file system ends the run in plain words, and leaves what was published before."""

    def fill(descriptor: int) -> None:
        while True:
            os.write(descriptor, bytes(8192))

    mount = tmp_path / "small"
    mount.mkdir()
    command = ["/bin/mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(mount)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("only root may mount")
    try:
        store = FolderWriter(str(mount), overwrite=False)
        assert [None] == store.publish([put(store, b"small")])
        with pytest.raises(Unusable, match="ENOSPC"):
            store.stage(Written(fill), planned(), Operation.MODIFY)
        assert {NAME: b"small"} == contents(mount)
        assert [] == partial(mount)
    finally:
        subprocess.run(["/bin/umount", str(mount)], check=True)


@pytest.mark.parametrize("call", ["link", "mkdir"])
def test_destination_that_cannot_be_written(folder: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    """Whatever the system says, the run stops with its words and without a file's name."""

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT), "/secret/name")

    store = FolderWriter(str(folder), overwrite=False)
    staged = put(store, b"one")
    monkeypatch.setattr(os, call, fail)
    with pytest.raises(Unusable, match="EDQUOT") as caught:
        store.publish([staged])
    assert "secret" not in str(caught.value)


NASTY = [
    "", ".", "..", "../../x", "/", "//etc/passwd", "a/b", "\0", "a\0b", " ", "a ", "a.", ".a", "~", "~root", "-rf", "%",
    "%2E", "CON", "a\nb", "\u202e", "山田", "\udcff", "*?:|<>", '"', "\\\\host\\share", "x" * 5000, "山" * 300,
    ".deidflow-partial",
]  # fmt: skip


@pytest.mark.parametrize("text", NASTY, ids=ascii)
def test_hostile_identifiers_stay_inside(folder: Path, text: str) -> None:
    """Whatever an identifier holds, the result lies four levels below the destination, under a name that is stored."""
    new = DicomIdentifiers(text, text or "1", text or "1", text or "1")
    name = relative_path(new)
    parts = name.split("/")

    assert 4 == len(parts)
    assert not {"", ".", "..", PARTIAL_FOLDER} & set(parts)
    assert all(len(part.encode()) <= 255 for part in parts)
    # Names that some systems hide or cut.
    assert [] == [part for part in parts if part[0] in ". " or part[-1] in ". "]
    assert re.fullmatch(r"[A-Za-z0-9_.\-^ %~/]+", name)
    store = FolderWriter(str(folder), overwrite=False)
    assert [None] == store.publish([put(store, b"x", new)])
    assert {name: b"x"} == contents(folder)
    assert folder / PurePosixPath(name) in folder.resolve().rglob("*")


def test_ordinary_identifiers_stay_readable() -> None:
    """InstanceIdentifiers numbers, UUIDs and UIDs name their folders as they are."""
    new = DicomIdentifiers("Trial 7^007_a-b", "2.25.1", "2.25.2", "2.25.3")

    assert "Trial 7^007_a-b/2.25.1/2.25.2/2.25.3.dcm" == relative_path(new)


TEXTS = st.one_of(
    st.text(st.sampled_from("a.%/ \0E2x~"), max_size=6),
    st.text(max_size=8),
    st.sampled_from(NASTY),
    st.integers(195, 206).map(lambda length: "%" * (length // 3) + "a" * (length % 3)),
    st.integers(195, 206).map(lambda length: "a" * length),
)


@PROPERTY
@given(TEXTS, TEXTS)
def test_different_identifiers_have_different_names(one: str, other: str) -> None:
    """No two identifiers share a name."""
    first, second = (relative_path(NEW._replace(patient_id=text)) for text in (one, other))

    assert (one == other) == (first == second)


def test_shortened_names_are_not_those_of_short_identifiers() -> None:
    """The form of a shortened name cannot be written by a shorter identifier."""
    for number in range(64):
        long_name = relative_path(NEW._replace(patient_id=f"{number:03}" + "a" * 300)).split("/")[0]
        assert long_name != relative_path(NEW._replace(patient_id=unquote(long_name))).split("/")[0]
