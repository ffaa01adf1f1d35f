"""What damaged inputs once broke (tests/fuzz found most of it), one by one."""

from __future__ import annotations

import os
import struct
import time
import zlib
from typing import TYPE_CHECKING, Any

import pytest

from deidflow.tasks.core.dicom.tags import TagSyntaxError, parse_path
from deidflow.tasks.core.engine.sources import ProblemCode, SourceProblem
from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.local.dicom_file.character_sets import character_set
from deidflow.tasks.local.dicom_file.elements import ScanError
from deidflow.tasks.local.dicom_file.source_file import SourceFile
from deidflow.tasks.local.folder.index import read_index_entries
from tests.dicom_files import (
    DEFLATED,
    EXPLICIT,
    IDENTIFIERS,
    IMPLICIT,
    Element,
    Item,
    elements,
    encode,
    file_bytes,
    instance,
)
from tests.local.edits import anonymize, anonymized

if TYPE_CHECKING:
    from pathlib import Path

KEPT_SEQUENCE = 0x00540016
ITEM = struct.pack("<HHI", 0xFFFE, 0xE000, 0)
SLOWEST_S = 4.0
"""What six bombs may take: some 0.8 s on a free core."""


@pytest.mark.parametrize("tag", [0x00100010, 0x00100020])
@pytest.mark.parametrize("undefined", [False, True])
def test_a_name_written_as_a_sequence(tag: int, *, undefined: bool) -> None:
    """A nested PatientName or PatientID that is a sequence becomes a name or an ID, in a file that can be read."""
    inner = Item(tuple(elements({"PatientComments": "secret"})))
    data = instance(Element(KEPT_SEQUENCE, "SQ", (Item((Element(tag, "SQ", (inner,), undefined),)),)))
    result = anonymize({})(data)

    with SourceFile.of_bytes(result) as source:
        source.scan()
    assert b"secret" not in result
    assert anonymized(data)[KEPT_SEQUENCE].value[0][tag].VR in ("PN", "LO")


def test_a_uid_among_numbers() -> None:
    """A UID to be mapped whose VR is a binary number is refused: no number is a UID."""
    item = Item((Element(0x00081155, "FD", bytes(range(8))),))
    with pytest.raises(InstanceFailed, match="ReferencedSOPInstanceUID cannot be written with VR FD") as caught:
        anonymize({})(instance(Element(KEPT_SEQUENCE, "SQ", (item,))))

    assert ReasonCode.BAD_VALUE is caught.value.code


@pytest.mark.parametrize("tag", [0x00080016, 0x00080018, 0x00100020])
def test_identifiers_longer_than_any(tag: int) -> None:
    """What implicit VR lets an identifier claim and no header could hold is refused by name."""
    names = {0x00080016: "SOPClassUID", 0x00080018: "SOPInstanceUID", 0x00100020: "PatientID"}
    meta = {"MediaStorageSOPClassUID": "1.2", "MediaStorageSOPInstanceUID": "1.3"}
    absent: dict[str, Any] = {names[tag]: None}
    data = instance(Element(tag, "UN", b"1" * 70_000), syntax=IMPLICIT, meta=meta, **absent)
    with pytest.raises(InstanceFailed, match=f"{names[tag]}.* longer than") as caught:
        anonymize({})(data)

    assert ReasonCode.DAMAGED is caught.value.code


@pytest.mark.parametrize("raw", [b"ISO_IR 100\\a\0b", b"punycode", b"unicode_escape", b"zlib", b"\\" * 60_000])
def test_what_is_no_character_set(raw: bytes) -> None:
    """Names of Python's codecs, a NUL, and values without end are unknown sets: Latin-1, as for Orthanc."""
    assert ("iso8859",) == character_set(raw).codecs


def test_a_path_of_blanks_takes_no_time() -> None:
    """Thousands of blanks in a tag or path are refused at once."""
    start = time.process_time()
    for text in (" " * 20_000 + "]", "a" + " " * 20_000 + "[", "[" + " " * 20_000, " " * 20_000):
        with pytest.raises(TagSyntaxError):
            parse_path(text)

    assert time.process_time() - start < 1
    assert parse_path("RequestAttributesSequence[*].PatientID") == parse_path(
        " RequestAttributesSequence [ * ] . PatientID "
    )


def test_a_small_bomb_is_refused_where_a_large_image_is_not() -> None:
    """What inflates to more than 32 MiB and more than 64 times its file is refused; less of either is not."""
    head = encode(elements({"SOPInstanceUID": "1.2"}), EXPLICIT)
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    zeros = b"".join(deflater.compress(bytes(1 << 20)) for _ in range(70))
    bomb = file_bytes((), DEFLATED)[:-2] + zeros + deflater.flush()
    with SourceFile.of_bytes(bomb) as source, pytest.raises(ScanError, match="has more than 32 MiB") as caught:
        source.scan()
    assert ReasonCode.UNSUPPORTED is caught.value.code

    image = Element(0x7FE00010, "OB", os.urandom(1 << 20) + bytes(1 << 20))
    with SourceFile.of_bytes(file_bytes([image], DEFLATED)) as source:
        assert len(head) < source.body_size
        assert [0x7FE00010] == [tag for tag, *_ in source.scan()]


def test_a_link_in_the_place_of_a_file(tmp_path: Path) -> None:
    """A file that became a symbolic link after the folder was listed is not opened, whatever it leads to."""
    (tmp_path / "outside").write_bytes(instance())
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "file").symlink_to(tmp_path / "outside")
    (entry,) = read_index_entries(os.fsencode(tmp_path / "source"), [b"file"])

    assert SourceProblem(b"file", ProblemCode.UNREADABLE) == entry
    with pytest.raises(OSError, match="symbolic links"):
        SourceFile.open(tmp_path / "source" / "file")


BOMBS = {
    "elements": struct.pack("<HH2sH", 0x0008, 0x0001, b"LO", 0) * 3_000_000,
    "sequences": struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, 0) * 2_700_000,
    "items": struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, 24_000_000) + ITEM * 3_000_000,
    "items of an unknown VR": struct.pack("<HH2sHI", 0x0009, 0x1140, b"UN", 0, 24_000_000) + ITEM * 3_000_000,
    "items in items": struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, 24_000_000)
    + (struct.pack("<HHI", 0xFFFE, 0xE000, 40) + struct.pack("<HH2sH", 0x0008, 0x0001, b"LO", 0) * 5) * 500_000,
    "fragments": struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF) + ITEM * 3_000_000,
}


def _bomb(kind: str, *, identified: bool) -> bytes:
    """Return a deflated file of 35 to 70 kB with millions of elements or items, before or behind its identifiers."""
    known = encode(elements(IDENTIFIERS), EXPLICIT)
    dataset = known + BOMBS[kind] if identified else BOMBS[kind]
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return file_bytes((), DEFLATED)[:-2] + deflater.compress(dataset) + deflater.flush()


def test_millions_of_elements_before_the_identifiers(tmp_path: Path) -> None:
    """Small files with three million elements are damaged, before they fill the memory or take much time."""
    for kind in BOMBS:
        bomb = _bomb(kind, identified=False)
        assert len(bomb) < 100_000
        (tmp_path / kind).write_bytes(bomb)
    names = [os.fsencode(kind) for kind in BOMBS]

    start = time.process_time()
    found = read_index_entries(os.fsencode(tmp_path), names, with_attributes=True)
    assert time.process_time() - start < SLOWEST_S
    assert [SourceProblem(name, ProblemCode.DAMAGED) for name in names] == found


@pytest.mark.parametrize("size", [1, 16])
def test_more_elements_in_one_dataset_than_there_are_attributes(size: int) -> None:
    """Also where the file is not deflated, and where it is too large to be read at once."""
    most = encode([Element(0x00091001, "LO", b" " * size)], EXPLICIT) * (1 << 16)
    with SourceFile.of_bytes(file_bytes((), EXPLICIT) + most) as source:
        assert 1 << 16 == len(source.scan())
    more = file_bytes((), EXPLICIT) + most + most[: size + 8]
    with SourceFile.of_bytes(more) as source, pytest.raises(ScanError, match="more elements than") as caught:
        source.scan()
    assert ReasonCode.DAMAGED is caught.value.code
