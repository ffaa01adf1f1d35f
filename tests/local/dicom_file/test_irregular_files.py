"""Files not written as the standard has it: what DCMTK reads is edited, and written so that all read the same."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, Any

import pytest
from pydicom import dcmread

from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.local.dicom_file import source_file
from deidflow.tasks.local.dicom_file.source_file import SourceFile
from deidflow.tasks.local.folder.index import identify
from tests.dicom_files import (
    BIG,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    JPEG,
    Element,
    Item,
    Syntax,
    elements,
    encapsulated,
    encode,
    file_bytes,
    instance,
)
from tests.local.edits import anonymize, anonymized, modified, modify, read

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from deidflow.tasks.local.dicom_file.elements import Element as Found

PIXELS = Element(0x7FE00010, "OW", bytes(range(32)))
NAMES = (Element(0x00100010, "PN", b"ZQNAME^A"), Element(0x00100020, "LO", b"ZQID"))
START_OF_ITEM = b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
END_OF_ITEM = b"\xfe\xff\x0d\xe0\0\0\0\0"
END_OF_SEQUENCE = b"\xfe\xff\xdd\xe0\0\0\0\0"
KEPT = 0x00540016
PRIVATE = 0x00291010


def with_raw(raw: bytes, *, before: int = 0x7FE00010, syntax: Syntax = EXPLICIT, **keywords: Any) -> bytes:
    """Return a file with some bytes put in before an element."""
    data = instance(PIXELS, syntax=syntax, Rows=4, Columns=4, **keywords)
    start = struct.pack(f"{syntax.prefix}HH", before >> 16, before & 0xFFFF)
    cut = data.rindex(start)
    return data[:cut] + raw + data[cut:]


def long_header(tag: int, vr: bytes, length: int) -> bytes:
    """Write a header with a 32-bit length."""
    return struct.pack("<HH2sHL", tag >> 16, tag & 0xFFFF, vr, 0, length)


def refusal(data: bytes) -> ReasonCode:
    """Return why a file is refused."""
    with pytest.raises(InstanceFailed) as caught:
        anonymize({"KeepPrivateTags": True})(data)
    return caught.value.code


@pytest.mark.parametrize("vr", [b"--", b"??", b"  ", b"\0\0", b"xs", b"A?"])
@pytest.mark.parametrize("tag", [0x00180015, 0x001021B0])
def test_a_vr_that_is_none(vr: bytes, tag: int) -> None:
    """The element has a 16-bit length; it is treated by its tag, and what is kept becomes UN, which all can read."""
    raw = struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, 8) + b"ZQVALUE1"
    result = anonymize({})(with_raw(raw, before=0x0020000D))

    assert (b"ZQVALUE1" in result) == (tag == 0x00180015)
    assert ("BodyPartExamined" in read(result)) == (tag == 0x00180015)
    assert bytes(range(32)) == read(result).PixelData


def test_a_vr_of_a_later_edition() -> None:
    """Two capitals that no edition has yet are followed by a 32-bit length (PS3.5 7.1.2)."""
    raw = long_header(0x00181030, b"ZZ", 8) + b"ZQVALUE1"

    assert bytes(range(32)) == anonymized(with_raw(raw, before=0x0020000D)).PixelData


def test_items_of_explicit_vr_under_un() -> None:
    """They are read, their names mapped, and they are sent as the sequence that they are."""
    content = encode(NAMES, EXPLICIT)
    item = struct.pack("<HHL", 0xFFFE, 0xE000, len(content)) + content
    data = with_raw(long_header(KEPT, b"UN", len(item)) + item, PatientID="ZQID")
    result = anonymized(data)

    assert "SQ" == result[KEPT].VR
    assert result.PatientID == result[KEPT].value[0].PatientID


@pytest.mark.parametrize("window", [None, 700])
def test_items_of_explicit_vr_under_un_within_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, window: int | None
) -> None:
    """Each level is read twice, and what that takes counts, not how much of the file lies behind, or is at hand."""
    inner = encode([Element(0x00280008, "IS", b"1 ")], EXPLICIT)
    for _ in range(12):
        inner = long_header(0x00400275, b"UN", 0xFFFFFFFF) + START_OF_ITEM + inner + END_OF_ITEM + END_OF_SEQUENCE
    path = tmp_path / "nested.dcm"
    path.write_bytes(with_raw(inner + encode([Element(0x00540010, "OW", bytes(6000))], EXPLICIT)))
    if window is not None:
        monkeypatch.setattr(source_file, "WHOLE_BYTES", 0)
        monkeypatch.setattr(source_file, "WINDOW_BYTES", window)
    with SourceFile.open(path) as source:
        level: Sequence[Found] = source.scan()

    for _ in range(12):
        (found,) = [one for one in level if one[0] == 0x00400275]
        assert found[5] is not None
        level = found[5][1][0][4]
    assert [0x00280008] == [one[0] for one in level]


def test_text_in_the_place_of_a_sequence() -> None:
    """Anonymize drops what nobody can read as the sequence that it is named, modify keeps its bytes."""
    data = with_raw(long_header(KEPT, b"UN", 8) + b"ZQTEXT^A")

    assert b"ZQTEXT" not in anonymize({})(data)
    assert b"ZQTEXT" in modify({"Remove": ["StudyDate"]})(data)


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG], ids=lambda syntax: syntax.uid)
@pytest.mark.parametrize("where", ["item", "sequence", "both"])
def test_needless_delimiters(syntax: Syntax, where: str) -> None:
    """What has a length and ends with a delimiter all the same loses the delimiter."""
    pack = f"{syntax.prefix}HHL"
    content = encode(elements({"ReferencedSOPInstanceUID": "1.2.3.1.1.1"}, syntax), syntax)
    content += struct.pack(pack, 0xFFFE, 0xE00D, 0) if where != "sequence" else b""
    items = struct.pack(pack, 0xFFFE, 0xE000, len(content)) + content
    items += struct.pack(pack, 0xFFFE, 0xE0DD, 0) if where != "item" else b""
    header = encode([Element(0x00081140, "SQ", b"")], syntax)[:-4] + struct.pack(f"{syntax.prefix}L", len(items))
    result = anonymized(with_raw(header + items, before=0x00100010, syntax=syntax))

    assert result.SOPInstanceUID == result.ReferencedImageSequence[0].ReferencedSOPInstanceUID


@pytest.mark.parametrize("tail", [b"\0", bytes(64), END_OF_ITEM, END_OF_ITEM + bytes(9), END_OF_SEQUENCE])
@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT], ids=lambda syntax: syntax.uid)
def test_padding_behind_the_dataset(syntax: Syntax, tail: bytes) -> None:
    """Zero bytes and stray delimiters behind the dataset go."""
    data = instance(PIXELS, syntax=syntax)

    assert anonymize({})(data) == anonymize({})(data + tail)


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG], ids=lambda syntax: syntax.uid)
@pytest.mark.parametrize("tail", [False, True])
def test_group_0002_inside_the_dataset(syntax: Syntax, *, tail: bool) -> None:
    """It goes, also on modify; the meta information of the file counts."""
    inside = encode([Element(0x00020016, "AE", b"ZQTITLE1"), Element(0x00020010, "UI", b"1.2.840.10008.1.2\0")], syntax)
    whole = instance(PIXELS, syntax=syntax)
    data = whole + inside if tail else with_raw(inside, before=0x00080016, syntax=syntax)

    for edit in (anonymize({}), modify({"Replace": {"StudyDescription": "X"}})):
        result = edit(data)
        assert b"ZQTITLE" not in result
        assert syntax.uid == read(result).file_meta.TransferSyntaxUID


def test_the_first_of_two_meta_informations_counts() -> None:
    """A JPEG file with a second group 0002 that says uncompressed stays a JPEG file."""
    dataset = elements({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7", "SOPInstanceUID": "1.2.3.1.1.1"})
    dataset += elements({"StudyInstanceUID": "1.2.3.1", "SeriesInstanceUID": "1.2.3.1.1"})
    second = Element(0x00020010, "UI", EXPLICIT.uid.encode() + b"\0")
    data = file_bytes([second, *dataset, encapsulated(b"\xff\xd8\xff\xd9")], JPEG)

    assert JPEG.uid == anonymized(data).file_meta.TransferSyntaxUID


@pytest.mark.parametrize(
    ("pixels", "syntax"),
    [(encapsulated(bytes(8)), EXPLICIT), (encapsulated(bytes(8)), DEFLATED), (PIXELS, JPEG)],
)
def test_pixel_data_that_contradicts_the_transfer_syntax(pixels: Element, syntax: Syntax) -> None:
    """Neither fragments in an uncompressed syntax nor native pixels in a compressed one are passed on."""
    assert ReasonCode.AMBIGUOUS_ENCODING == refusal(instance(pixels, syntax=syntax))


@pytest.mark.parametrize("vr", [b"OB", b"OW", b"OF", b"OD", b"OL", b"OV"])
def test_undefined_length_outside_of_pixel_data(vr: bytes) -> None:
    """Some readers see bytes and others items."""
    content = encode(NAMES, EXPLICIT)
    item = struct.pack("<HHL", 0xFFFE, 0xE000, len(content)) + content
    data = with_raw(long_header(KEPT, vr, 0xFFFFFFFF) + item + END_OF_SEQUENCE)

    assert ReasonCode.AMBIGUOUS_ENCODING == refusal(data)


@pytest.mark.parametrize("vr", [b"--", b"\0\0"])
@pytest.mark.parametrize("hidden", [EXPLICIT, IMPLICIT], ids=lambda syntax: syntax.uid)
def test_a_length_that_leads_another_reader_to_names(vr: bytes, hidden: Syntax) -> None:
    """Pydicom reads an element of unknown VR as implicit, and so comes to names that stand in another value."""
    far = int.from_bytes(vr, "little") | 2 << 16
    blob = bytes(far - 2 - 12) + encode(NAMES, hidden) + bytes(64)
    raw = struct.pack("<HH2sH", 0x18, 0x1030, vr, 2) + b"VV" + long_header(0x00181801, b"OB", len(blob)) + blob

    assert ReasonCode.AMBIGUOUS_ENCODING == refusal(with_raw(raw, before=0x0020000D))


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT], ids=lambda syntax: syntax.uid)
@pytest.mark.parametrize("creator", [b"ACME", b"Philips MR Imaging DD 005 "])
@pytest.mark.parametrize("undefined", [False, True])
def test_private_values_that_are_sequences(syntax: Syntax, creator: bytes, *, undefined: bool) -> None:
    """Names and IDs are mapped in a private value that is items to its end, whatever it is sent as."""
    private = Element(PRIVATE, "UN", (Item(NAMES, undefined),), undefined)
    data = instance(Element(0x00290010, "LO", creator), private, PIXELS, syntax=syntax)
    result = anonymize({"KeepPrivateTags": True})(data)

    assert PRIVATE in read(result)
    assert b"ZQ" not in result


@pytest.mark.parametrize("tag", [0x66660010, PRIVATE])
def test_bytes_that_only_begin_like_a_sequence(tag: int) -> None:
    """They cannot be read, so anonymize drops them."""
    broken = b"\xfe\xff\x00\xe0\x40\0\0\0" + encode(NAMES, IMPLICIT)
    data = instance(Element(tag, "UN", broken), Element(0x00290010, "LO", b"ACME"), PIXELS)

    assert b"ZQ" not in anonymize({"KeepPrivateTags": True})(data)


def _many(kind: str) -> Sequence[Element]:
    if kind == "elements":
        return [Element(0x00091000 + number % 0xF00, "LO", b"") for number in range(3000)]
    if kind == "items":
        return [Element(KEPT, "SQ", tuple(Item(()) for _ in range(3000)))]
    return [Element(KEPT, "SQ", (Item(tuple(Element(0x00091000, "LO", b"") for _ in range(1500))),) * 2)]


@pytest.mark.parametrize("kind", ["elements", "items", "nested"])
@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, DEFLATED], ids=lambda syntax: syntax.uid)
def test_more_elements_than_memory_should_hold(monkeypatch: pytest.MonkeyPatch, kind: str, syntax: Syntax) -> None:
    """A file of many empty elements or items is damaged; one below the limit is not."""
    data = instance(*_many(kind), syntax=syntax)
    modify({})(data)
    monkeypatch.setattr(source_file, "element_limit", lambda _: 2000)

    assert ReasonCode.DAMAGED == refusal(data)


@pytest.mark.parametrize("tag", [0x00100020, 0x0020000D, 0x0020000E, 0x00080018, 0x00080005])
@pytest.mark.parametrize("where", ["behind", "twice"])
def test_identifiers_anywhere(tag: int, where: str) -> None:
    """The first element of a tag counts, wherever it stands: behind the pixel data, too."""
    values: dict[str, Any] = {"PatientID": "J\u00f6rg", "SpecificCharacterSet": "ISO_IR 192"}
    ordinary = instance(PIXELS, charset="utf-8", **values)
    with SourceFile.of_bytes(ordinary) as source:
        found = source.scan()
        wanted = identify(source, found)
        one = next(element for element in found if element[0] == tag)
        moved = ordinary[one[2] : one[4]]
        other = encode([Element(tag, "LO", b"9.9.9.9 ")], EXPLICIT)
    without = ordinary[: one[2]] + ordinary[one[4] :]
    odd = without + moved + other if where == "behind" else ordinary[: one[4]] + other + ordinary[one[4] :]

    with SourceFile.of_bytes(odd) as source:
        assert wanted == identify(source, source.scan())


def test_pixels_of_ge_are_turned_when_converted() -> None:
    """The syntax of GE has pixels in big endian and all else in little endian."""
    syntax = Syntax("1.2.840.113619.5.2", explicit=False)
    data = instance(PIXELS, syntax=syntax, Rows=4, Columns=4, BitsAllocated=16)
    result = dcmread(io.BytesIO(data))
    turned = anonymized_to(data, EXPLICIT.uid)

    assert struct.unpack(">16H", result.PixelData) == struct.unpack("<16H", turned)
    assert modified(data, {"Replace": {"StudyDescription": "X"}}).PixelData == result.PixelData


def anonymized_to(data: bytes, transfer_syntax: str) -> bytes:
    """Return the pixel data of a file that is converted."""
    from deidflow.tasks.local.transcoding.transcoder import transcode  # noqa: PLC0415 (numpy and codecs, for one test)

    pixels: bytes = read(transcode(data, transfer_syntax)).PixelData
    return pixels
