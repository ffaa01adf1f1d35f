"""A file that cannot be read to its end with certainty is refused with its reason and offset; nothing else happens."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deidflow.tasks.core.dicom.tags import PATIENT_IDENTITY_REMOVED
from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.local.dicom_file.elements import MAX_DEPTH, ScanError
from deidflow.tasks.local.dicom_file.layout import NotDicomError
from deidflow.tasks.local.dicom_file.source_file import SourceFile
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
from tests.local.edits import PACKAGE, anonymize, modify
from tests.local.strategies import PROPERTY, File, files

if TYPE_CHECKING:
    from pathlib import Path

BODIES = (
    modify({"Replace": {"PatientName": "New^Name", "ReferencedImageSequence[*].ReferencedSOPInstanceUID": "1.2.3"}}),
    anonymize({}),
    anonymize({"KeepPrivateTags": True, "Keep": ["ReferencedImageSequence", "StudyInstanceUID"]}, hardening=False),
)
REAL = [
    PACKAGE / "test_files" / name
    for name in (
        "CT_small.dcm",
        "rtplan.dcm",
        "JPEG2000.dcm",
        "MR_small_bigendian.dcm",
        "image_dfl.dcm",
        "liver_1frame.dcm",
    )
]


def edit_or_refuse(data: bytes) -> None:
    """Edit damaged bytes in several ways; each is refused, or gives a result that can be edited again."""
    for edit in BODIES:
        try:
            result = edit(data)
        except InstanceFailed:
            continue
        with SourceFile.of_bytes(result) as again:
            again.scan()


@PROPERTY
@given(files(), st.data())
def test_cut(file: File, data: st.DataObject) -> None:
    """A file that is cut off anywhere is refused or gives a sound result."""
    edit_or_refuse(file.data[: data.draw(st.integers(0, len(file.data) - 1))])


@PROPERTY
@given(files(), st.data())
def test_flipped_bits(file: File, data: st.DataObject) -> None:
    """A file with flipped bits is refused or gives a sound result."""
    edit_or_refuse(_flipped(file.data, data))


@PROPERTY
@given(st.sampled_from(REAL), st.data())
def test_flipped_bits_of_real_files(path: Path, data: st.DataObject) -> None:
    """The same for real headers, which are longer and stranger."""
    edit_or_refuse(_flipped(path.read_bytes()[:20_000], data))


@PROPERTY
@given(st.binary(max_size=400), st.sampled_from([b"", bytes(128) + b"DICM", b"\x08\x00\x05\x00"]))
def test_noise(noise: bytes, start: bytes) -> None:
    """Bytes that were never DICOM are refused or give a sound result, with the looks of DICOM or without."""
    edit_or_refuse(start + noise)


def _flipped(original: bytes, data: st.DataObject) -> bytes:
    damaged = bytearray(original)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(128, len(damaged) - 1))
        damaged[at] = data.draw(st.integers(0, 255))
    return bytes(damaged)


def scan_error(data: bytes) -> tuple[ReasonCode, str]:
    """Return why a file is refused."""
    with pytest.raises(ScanError) as caught:
        modify({})(data)
    return caught.value.code, str(caught.value)


ITEM = b"\xfe\xff\x00\xe0"
END_OF_ITEM = b"\xfe\xff\x0d\xe0\0\0\0\0"
END_OF_SEQUENCE = b"\xfe\xff\xdd\xe0\0\0\0\0"
UNDEFINED = b"\xff\xff\xff\xff"
UIDS = encode(elements({"StudyInstanceUID": "1.2.3.1", "SeriesInstanceUID": "1.2.3.1.1"}), EXPLICIT)
START = len(file_bytes((), EXPLICIT))


@pytest.mark.parametrize(
    ("dataset", "text", "offset"),
    [
        (UIDS + b"\x28\0\x10\0US\2", "the file ends inside an element", len(UIDS)),
        (UIDS + b"\x28\0\x10\0US\4\0\0\0", "the file ends inside Rows", len(UIDS)),
        (UIDS + b"\x28\0\x10\0U\1\4\0\0\0\0\0", "unknown VR in Rows", len(UIDS)),
        (UIDS + b"\x28\0\x10\0OB\0\0\xff\xff\xff\x7f", "the file ends inside Rows", len(UIDS)),
        (UIDS + b"\x28\0\x10\0UT\0\0" + UNDEFINED, "undefined length in Rows of VR UT", len(UIDS)),
        (UIDS + END_OF_ITEM + UIDS, "a delimiter in the wrong place", len(UIDS)),
        (b"\x08\0\x40\x11SQ\0\0" + UNDEFINED + ITEM + b"\0\0\0\0", "a sequence without its delimiter", 20),
        (
            b"\x08\0\x40\x11SQ\0\0" + UNDEFINED + ITEM + UNDEFINED + UIDS,
            "an item without its delimiter",
            20 + len(UIDS),
        ),
        (b"\x08\0\x40\x11SQ\0\0" + UNDEFINED + UIDS, "something else than an item in a sequence", 12),
        (
            b"\x08\0\x40\x11SQ\0\0\x08\0\0\0" + ITEM + b"\2\0\0\0" + UIDS,
            "Item is longer than the item that holds it",
            12,
        ),
        (
            b"\x08\0\x40\x11SQ\0\0\x12\0\0\0" + ITEM + b"\x0a\0\0\0\x08\0\x55\x11UI\x04\x001." + UIDS,
            "ReferencedSOPInstanceUID is longer than the item that holds it",
            20,
        ),
        (
            UIDS + b"\xe0\x7f\x10\0OB\0\0" + UNDEFINED + ITEM + b"\2\0\0\0ab",
            "encapsulated data without its delimiter",
            len(UIDS) + 22,
        ),
        (
            UIDS + b"\xe0\x7f\x10\0OB\0\0" + UNDEFINED + ITEM + b"\4\0\0\0ab",
            "the file ends inside a fragment",
            len(UIDS) + 24,
        ),
        (
            UIDS + b"\xe0\x7f\x10\0OB\0\0" + UNDEFINED + b"\x08\0\x05\0\0\0\0\0" + END_OF_SEQUENCE,
            "something else than a fragment in encapsulated data",
            len(UIDS) + 12,
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_reason_and_offset(dataset: bytes, text: str, offset: int) -> None:
    """What is wrong is said with the byte of the file where it is."""
    code, message = scan_error(file_bytes((), EXPLICIT) + dataset)

    assert ReasonCode.DAMAGED is code
    assert f"{text} at byte {START + offset}" == message


def nested(depth: int) -> Element:
    """Return sequences within sequences, so many of them."""
    data = Element(0x0040A730, "SQ", ())
    for _ in range(depth - 1):
        data = Element(0x0040A730, "SQ", (Item((data,)),))
    return data


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG], ids=lambda syntax: syntax.uid)
def test_depth_has_a_limit(syntax: Syntax) -> None:
    """As many levels as allowed are edited, one more is refused by name, two thousand end in no stack overflow."""
    fits = instance(nested(MAX_DEPTH), syntax=syntax)
    with SourceFile.of_bytes(anonymize({"DicomVersion": "2008"})(fits)) as result:
        assert PATIENT_IDENTITY_REMOVED in [tag for tag, *_ in result.scan()]

    code, text = scan_error(instance(nested(MAX_DEPTH + 1), syntax=syntax))
    assert ReasonCode.NESTING_TOO_DEEP is code
    assert text.startswith(f"sequences are nested more than {MAX_DEPTH} deep at byte ")

    opened = struct.pack(f"{syntax.prefix}HHL", 0xFFFE, 0xE000, 0xFFFFFFFF)
    header = encode([Element(0x0040A730, "SQ", ())], syntax)[:-4] + UNDEFINED
    code, _ = scan_error(instance(syntax=syntax) + 2000 * (header + opened))
    assert ReasonCode.NESTING_TOO_DEEP is code


def test_deflated_dataset_that_is_cut_off_or_no_stream() -> None:
    """A deflate stream without its end, or with a wrong one, is refused."""
    whole = instance(syntax=DEFLATED, PatientComments="some more text to deflate")
    assert "the deflated dataset is cut off" in scan_error(whole[:-20])[1]
    start = whole.index(DEFLATED.uid.encode()) + 22 + 16
    assert "cannot be inflated" in scan_error(whole[:start] + b"\xff" * 40)[1]


def test_deflated_bomb(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small file that inflates beyond the limit is refused before it fills the memory."""
    monkeypatch.setattr("deidflow.tasks.local.dicom_file.source_file.MAX_INFLATED_BYTES", 1 << 16)
    zeros = Element(0x7FE00010, "OB", bytes(1 << 17))
    code, _ = scan_error(instance(zeros, syntax=DEFLATED))

    assert ReasonCode.UNSUPPORTED is code


def test_sequence_larger_than_the_limit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A sequence that claims more than real ones have is not read into memory."""
    monkeypatch.setattr("deidflow.tasks.local.dicom_file.source_file.WHOLE_BYTES", 0)
    monkeypatch.setattr("deidflow.tasks.local.dicom_file.source_file.WINDOW_BYTES", 1024)
    monkeypatch.setattr("deidflow.tasks.local.dicom_file.source_file.MAX_WINDOW_BYTES", 4096)
    path = tmp_path / "large.dcm"
    path.write_bytes(instance(Element(0x00081140, "SQ", (Item((Element(0x00204000, "LT", bytes(20_000)),)),))))
    with SourceFile.open(path) as source, pytest.raises(ScanError) as caught:
        source.scan()

    assert ReasonCode.UNSUPPORTED is caught.value.code


@pytest.mark.parametrize(
    "data", [b"", b"DICM", b"hello, world", bytes(200), b"%PDF-1.7\n" + bytes(400), b"\x89PNG\r\n" + bytes(300)]
)
def test_what_was_never_dicom(data: bytes) -> None:
    """A file that does not even begin like DICOM is told apart from a damaged one."""
    with pytest.raises(NotDicomError):
        modify({})(data)


def test_fragments_may_hold_anything() -> None:
    """Fragments are stepped over by their lengths, whatever looks like a delimiter inside."""
    data = instance(encapsulated(END_OF_SEQUENCE + ITEM, b"\0\0"), syntax=JPEG)

    assert data == modify({"Keep": ["SOPInstanceUID"], "Force": True})(data)
