"""A large file, read window by window, gives what the same file gives when it is read whole."""

from __future__ import annotations

import os
import tracemalloc
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deidflow.tasks.core.engine.sources import OpenOriginal
from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.local.dicom_file import source_file
from deidflow.tasks.local.dicom_file.source_file import SourceFile
from deidflow.tasks.local.editing import splice
from deidflow.tasks.local.worker import edit_source
from tests.dicom_files import Element, Item, encapsulated, instance
from tests.local.edits import Edit, anonymize, modify
from tests.local.strategies import PROPERTY, File, files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from deidflow.tasks.local.dicom_file.elements import Element as Found
    from deidflow.tasks.local.editing.splice import Assembly
    from deidflow.tasks.local.worker import Compiled

META_BYTES = 420
"""More than the meta information of the generated files, less than most of the files."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a test writes its file."""
    return tmp_path / "large.dcm"


@contextmanager
def windows(size: int) -> Iterator[None]:
    """Read files as if they were large, with windows of this many bytes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source_file, "WHOLE_BYTES", 0)
        patch.setattr(source_file, "WINDOW_BYTES", size)
        yield


def scanned(path: Path) -> list[Found] | str:
    """Scan a file; return its elements, or why it is refused."""
    try:
        with SourceFile.open(path) as source:
            return source.scan()
    except InstanceFailed as problem:
        return f"{problem.code} {problem}"


def written(edit: Edit, path: Path) -> bytes:
    """Edit a file and write the result to another, as a worker does."""
    target = path.with_suffix(".out")
    with SourceFile.open(path) as source:
        # A window on the way in means spans that are still on disk on the way out.
        assembly = edit_source(source, edit.plan(source), edit.compiled(source))
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        assembly.write(descriptor)
        os.close(descriptor)
        assert target.stat().st_size == assembly.size
    return target.read_bytes()


@PROPERTY
@given(files(), st.integers(META_BYTES, META_BYTES + 64), st.booleans())
def test_edit_through_windows(tmp_path_factory: pytest.TempPathFactory, file: File, size: int, direct: bool) -> None:
    """Scan and result do not depend on where windows end, nor on who copies the spans."""
    path = tmp_path_factory.getbasetemp() / "windows.dcm"
    path.write_bytes(file.data)
    edits = (anonymize({}), modify({"Replace": {"PatientComments": "new"}}))
    whole = [edit(file.data) for edit in edits]
    elements = scanned(path)
    with windows(size), pytest.MonkeyPatch.context() as patch:
        if direct:
            patch.setattr(splice, "_DIRECT_COPY_BYTES", 1)
        assert elements == scanned(path)
        assert whole == [written(edit, path) for edit in edits]


@settings(PROPERTY, max_examples=25)
@given(files(), st.integers(META_BYTES, META_BYTES + 64), st.booleans())
def test_edit_by_the_beginning(tmp_path_factory: pytest.TempPathFactory, file: File, size: int, longer: bool) -> None:
    """What a worker reads of a file first, and what it remembers of its series, changes nothing about the result."""
    folder = tmp_path_factory.getbasetemp()
    data = file.data + bytes(4000 if longer else 0)
    edit = anonymize({})
    results: list[list[bytes | str]] = []
    for first_bytes in (source_file.WHOLE_BYTES, size):
        compiled: Compiled | None = None
        results.append([])
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(source_file, "FIRST_BYTES", first_bytes)
            patch.setattr(source_file, "_NOT_MUCH_MORE", 1)
            patch.setattr(splice, "_DIRECT_COPY_BYTES", 1)
            (folder / "first.dcm").write_bytes(data)
            for _ in range(3):  # so that the last is edited by what the first two have in common
                try:
                    descriptor = os.open(folder / "first.dcm", os.O_RDONLY)
                    with SourceFile.of_original(OpenOriginal(descriptor, len(data))) as source:
                        compiled = compiled or edit.compiled(source)
                        results[-1].append(_by_writing(edit_source(source, edit.plan(source), compiled), folder))
                except InstanceFailed as problem:
                    results[-1].append(f"{problem.code} {problem}")
    assert results[0] == results[1]


def _by_writing(assembly: Assembly, folder: Path) -> bytes:
    with (folder / "first.out").open("wb") as file:
        assembly.write(file.fileno())
    return (folder / "first.out").read_bytes()


@PROPERTY
@given(files(shuffled=True), st.integers(META_BYTES, META_BYTES + 64), st.data())
def test_refusal_through_windows(
    tmp_path_factory: pytest.TempPathFactory, file: File, size: int, data: st.DataObject
) -> None:
    """A damaged file gives the same elements or the same refusal, at the same byte, with and without windows."""
    damaged = bytearray(file.data)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(META_BYTES, max(META_BYTES, len(damaged) - 1)))
        if at < len(damaged):
            damaged[at] ^= 1 << data.draw(st.integers(0, 7))
    path = tmp_path_factory.getbasetemp() / "damaged.dcm"
    path.write_bytes(damaged)
    whole = scanned(path)
    with windows(size):
        assert whole == scanned(path)


def test_values_that_end_at_a_window(path: Path) -> None:
    """An element, an item and a fragment may begin at every byte of a window."""
    sequence = Element(
        0x00081140, "SQ", (Item((Element(0x00081155, "UI", b"1.2.3\0"),), undefined=True),), undefined=True
    )
    data = instance(sequence, encapsulated(b"ab" * 50, b"cd" * 50))
    path.write_bytes(data)
    whole = scanned(path)
    assert isinstance(whole, list)
    for size in range(400, 480):
        with windows(size):
            assert whole == scanned(path), size


def test_meta_information_longer_than_the_first_window(path: Path) -> None:
    """Private meta information may be longer than what is read first of a large file."""
    path.write_bytes(instance(meta={"PrivateInformationCreatorUID": "1.2.3", "PrivateInformation": bytes(2000)}))
    whole = scanned(path)
    assert isinstance(whole, list)
    with windows(1000):
        assert whole == scanned(path)


def test_pixel_data_never_comes_into_memory(path: Path) -> None:
    """Editing a file with 200 MB of pixels takes a few MB."""
    size = 200 << 20
    header = instance(Element(0x7FE00010, "OW", b""))[:-4] + size.to_bytes(4, "little")
    with path.open("wb") as file:
        file.write(header)
        file.truncate(len(header) + size)
    target = path.with_suffix(".out")
    edit = anonymize({})
    tracemalloc.start()
    with SourceFile.open(path) as source:
        assembly = edit_source(source, edit.plan(source), edit.compiled(source))
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT)
        assembly.write(descriptor)
        os.close(descriptor)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 4 << 20
    assert target.stat().st_size == assembly.size > size


def test_source_that_becomes_shorter_is_noticed(path: Path) -> None:
    """A source that is cut while it is copied ends in an error, not in a shorter result."""
    path.write_bytes(instance(Element(0x7FE00010, "OW", bytes(3 << 20))))
    edit = modify({})
    with SourceFile.open(path) as source:
        assembly = edit_source(source, edit.plan(source), edit.compiled(source))
        os.truncate(path, 1 << 20)
        descriptor = os.open(path.with_suffix(".out"), os.O_WRONLY | os.O_CREAT)
        with pytest.raises(EOFError):
            assembly.write(descriptor)
        os.close(descriptor)
