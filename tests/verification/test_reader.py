"""The verifier's own reader finds the elements that pydicom finds, and says what is wrong with a file."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from pydicom import Dataset, dcmread

from deidflow.tasks.core.dicom.tags import PIXEL_DATA
from deidflow.tasks.verification.reader import read_dicom
from tests.dicom_files import BIG, DEFLATED, EXPLICIT, IMPLICIT, JPEG, Element, Item, Syntax, encapsulated, instance
from tests.local.edits import all_files
from tests.local.strategies import PROPERTY, File, files

if TYPE_CHECKING:
    from deidflow.tasks.verification.reader import Item as ReadItem
    from deidflow.tasks.verification.reader import Read

Found = dict[tuple[int, ...], bytes | None]
"""Bytes by path (tags and item numbers by turns); None for sequences and pixel data."""


def own(read: Read, elements: ReadItem, found: Found, above: tuple[int, ...] = ()) -> Found:
    """Collect what the own reader has, the first of elements that are there twice."""
    for tag, _, start, end, items in elements:
        path = (*above, tag)
        if path in found:
            continue
        found[path] = None if items is not None or tag == PIXEL_DATA else read.value(start, end)
        for number, item in enumerate(items or ()):
            own(read, item, found, (*path, number))
    return found


def by_pydicom(dataset: Dataset, found: Found, above: tuple[int, ...] = ()) -> Found:
    """Collect the same as pydicom has it."""
    for tag in dataset.keys():  # noqa: SIM118 (a Dataset iterates over decoded elements)
        path, raw = (*above, int(tag)), dataset.get_item(tag)
        value = raw.value
        if raw.VR in {"SQ", "UN", None} and dataset[tag].VR == "SQ":
            found[path] = None
            for number, item in enumerate(dataset[tag].value or ()):
                by_pydicom(item, found, (*path, number))
        else:
            # pydicom decodes SpecificCharacterSet as it goes.
            is_left = tag == PIXEL_DATA or not isinstance(value, bytes | None)
            found[path] = None if is_left else value or b""
    return found


def check(data: bytes) -> None:
    """Read a file in both ways: what pydicom finds is found, and nothing beside it but in what pydicom takes for bytes.

    The first of elements that are there twice counts here, the last for pydicom.
    """
    read = read_dicom(io.BytesIO(data))
    assert read.is_whole, read.fault
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            theirs = by_pydicom(dcmread(io.BytesIO(data), force=True), {})
        except OSError:  # a sequence sent as UN in a big endian file, which pydicom 3.0 does not read
            assert not read.little
            return
    ours = own(read, read.elements, {})
    for path, value in theirs.items():
        assert path in ours
        assert None in (value, ours[path]) or value == ours[path]
    assert [] == [path for path in ours if path not in theirs and all(path[:n] not in theirs for n in (1, 3, 5))]


def test_real_files() -> None:
    """All of pydicom's files that are whole and have file meta information."""
    read = 0
    for path in all_files():
        data = path.read_bytes()
        if data[128:132] == b"DICM" and read_dicom(io.BytesIO(data)).is_whole and not path.name.startswith("DICOMDIR"):
            check(data)
            read += 1
    assert read > 100


@PROPERTY
@given(files())
def test_generated_files(file: File) -> None:
    """Every VR, encoding, form of sequences and private blocks."""
    check(file.data)


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG, DEFLATED, JPEG], ids=lambda syntax: syntax.uid)
def test_what_is_wrong_is_said(syntax: Syntax) -> None:
    """Cut off anywhere behind the meta information, or with something behind its last element, a file is not whole."""
    items = (Item((Element(0x00080100, "SH", b"CODE"),)), Item((), undefined=True))
    pixels = encapsulated(b"\xff\xd8ab") if syntax is JPEG else Element(0x7FE00010, "OW", bytes(200))
    data = instance(Element(0x00089215, "SQ", items, undefined=True), pixels, syntax=syntax)
    assert "" == read_dicom(io.BytesIO(data)).fault
    start = data.index(syntax.uid.encode()) + 150
    for end in range(start, len(data) - 1, 7):
        read = read_dicom(io.BytesIO(data[:end]))
        # The end of an element may be the end of a file.
        assert read.fault or len(read.elements) < len(read_dicom(io.BytesIO(data)).elements)
    behind = read_dicom(io.BytesIO(data + b"\1" * 30))
    assert behind.fault
    assert read_dicom(io.BytesIO(data + bytes(6))).is_whole


def test_deep_and_endless_files_are_bounded() -> None:
    """Nesting without end and millions of elements end in a word, not in a crash."""
    opened = b"\x08\0\x15\x92SQ\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\xff\xff\xff\xff"
    head = instance()
    assert "nests too deep to be read" == read_dicom(io.BytesIO(head + opened * 5000)).fault
    nested = b"\1" * 12
    for _ in range(60):  # each may be a sequence of two kinds of items
        item = b"\xfe\xff\0\xe0" + (len(nested) + 12).to_bytes(4, "little") + b"\x09\0\1\x10UN\0\0"
        nested = item + len(nested).to_bytes(4, "little") + nested
    for syntax in (EXPLICIT, BIG):
        private = Element(0x00091001, "UN", nested)
        assert read_dicom(io.BytesIO(instance(private, syntax=syntax))).is_whole
    many = head + b"\x08\0\x60\0CS\0\0" * ((1 << 20) + 1)
    assert "has more elements than are read" == read_dicom(io.BytesIO(many)).fault
