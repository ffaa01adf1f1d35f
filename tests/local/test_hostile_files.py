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
from tests.dicom_files import DEFLATED, EXPLICIT, IMPLICIT, Element, Item, elements, encode, file_bytes, instance
from tests.local.edits import anonymize, anonymized

if TYPE_CHECKING:
    from pathlib import Path

KEPT_SEQUENCE = 0x00540016


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


def test_millions_of_elements_before_the_identifiers(tmp_path: Path) -> None:
    """A file of some 35 kB that inflates to three million empty elements is damaged, before it fills the memory."""
    empty = struct.pack("<HH2sH", 0x0008, 0x0001, b"LO", 0) * 3_000_000
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    bomb = file_bytes((), DEFLATED)[:-2] + deflater.compress(empty) + deflater.flush()
    (tmp_path / "bomb").write_bytes(bomb)
    assert len(bomb) < 50_000

    assert [SourceProblem(b"bomb", ProblemCode.DAMAGED)] == read_index_entries(os.fsencode(tmp_path), [b"bomb"])
