"""Files that claim to be one instance: the same dataset counts once, whoever has written the file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deidflow.tasks.local.folder.duplicates import are_equal
from tests.dicom_files import DEFLATED, EXPLICIT, IMPLICIT, Element, instance

if TYPE_CHECKING:
    from pathlib import Path

    from tests.dicom_files import Syntax

META = {"SourceApplicationEntityTitle": "ARCHIVE", "ImplementationVersionName": "OTHER"}
BULK = Element(0x7FE00010, "OW", bytes(3 << 20))


def same(folder: Path, *contents: bytes) -> bool:
    """Write files; return whether they are equal."""
    paths = [folder / str(number) for number in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    return are_equal(os.fsencode(folder), [os.fsencode(path.name) for path in paths])


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, DEFLATED])
def test_file_meta_and_preamble_do_not_count(tmp_path: Path, syntax: Syntax) -> None:
    """Of a small and of a large file; one more file that differs makes them all differ."""
    for extra in ((), (BULK,)):
        one = instance(*extra, syntax=syntax)
        other = instance(*extra, syntax=syntax, meta=META, preamble=b"x" * 128)
        changed = instance(*extra, syntax=syntax, meta=META, StudyDescription="other")

        assert one != other
        assert same(tmp_path, one, other)
        assert same(tmp_path, other, one, one)
        assert not same(tmp_path, one, other, changed)


def test_the_same_bytes_in_another_transfer_syntax_are_another_dataset(tmp_path: Path) -> None:
    """So are a file that is cut off, and one that is no DICOM."""
    one = instance(BULK)
    uid = b"1.2.840.10008.1.2.1\0"
    lossless = one.replace(uid, b"1.2.840.10008.1.2.5\0")

    assert one != lossless
    assert not same(tmp_path, one, lossless)
    assert not same(tmp_path, one, one[:-2])
    assert not same(tmp_path, one, b"no DICOM at all")
    assert not are_equal(os.fsencode(tmp_path), [b"0", b"not-there"])


@given(data=st.data())
def test_any_other_byte_of_the_dataset_counts(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Wherever it stands."""
    one, other = instance(PatientID="P"), bytearray(instance(PatientID="P", meta=META))
    at = data.draw(st.integers(min_value=1, max_value=100))
    other[-at] ^= 1

    assert not same(tmp_path_factory.mktemp("one"), one, bytes(other))
