"""Segments, boxes, profiles, documents and content items: planted text goes, and what a decoder needs stays."""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.sr._concepts_dict import concepts

from deidflow.tasks.core.request.profile_choice import Option
from deidflow.tasks.local.deidentification.content.documents import EMPTY_CDA, empty_pdf
from deidflow.tasks.local.deidentification.content.icc import icc_ranges
from deidflow.tasks.local.deidentification.content.jpeg import jpeg_ranges
from deidflow.tasks.local.deidentification.content.jpeg2000 import jpeg2000_ranges
from deidflow.tasks.local.deidentification.content.ranges import UnsafeContentError, blanked
from deidflow.tasks.local.deidentification.content.standard_terms import is_standard_scheme
from deidflow.tasks.local.deidentification.content.structured_content import stays_by_concept
from tests.local.strategies import PROPERTY

SECRET: Final = b"Smith^John 1960-04-12"
IMAGE: Final = (np.arange(64 * 64 * 3) % 251).astype("u1").reshape(64, 64, 3)
JPEG: Final = bytes(imagecodecs.jpeg8_encode(IMAGE))
PROGRESSIVE: Final = bytes(imagecodecs.jpeg8_encode(IMAGE, lossless=True))
JPEG_LS: Final = bytes(imagecodecs.jpegls_encode(IMAGE[:, :, 0]))
CODE_STREAM: Final = bytes(imagecodecs.jpeg2k_encode(IMAGE, codecformat="j2k"))
JP2: Final = bytes(imagecodecs.jpeg2k_encode(IMAGE, codecformat="jp2"))


def segment(marker: int, content: bytes) -> bytes:
    """Return a segment of a JPEG or a JPEG 2000."""
    return struct.pack(">HH", marker, len(content) + 2) + content


def pixels(frame: bytes) -> bytes:
    """Decode a frame."""
    if frame.startswith(b"\xff\xd8"):
        is_ls = b"\xff\xf7" in frame[:200]
        decoded = imagecodecs.jpegls_decode(frame) if is_ls else imagecodecs.jpeg_decode(frame)
    else:
        decoded = imagecodecs.jpeg2k_decode(frame)
    return bytes(np.asarray(decoded).tobytes())


@pytest.mark.parametrize("frame", [JPEG, PROGRESSIVE, JPEG_LS], ids=["baseline", "lossless", "jpeg-ls"])
@pytest.mark.parametrize(
    "planted",
    [
        segment(0xFFFE, SECRET),
        *(segment(0xFFE0 + number, b"Exif\0\0" + SECRET) for number in range(1, 16)),
        segment(0xFFE0, b"JFIF\0\1\1\0\0\1\0\1\0\0" + SECRET),
        segment(0xFFEE, b"Adobe\0\x64\0\0\0\0\1" + SECRET),
        b"\xff\xff" + segment(0xFFFE, SECRET),
    ],
)
def test_jpeg_segments_are_blanked_in_place(frame: bytes, planted: bytes) -> None:
    """Same length, same pixels, no secret; only the segment's octets differ."""
    frame_with = frame[:2] + planted + frame[2:]
    cleaned = blanked(frame_with, jpeg_ranges(frame_with))

    assert SECRET not in cleaned
    assert len(frame_with) == len(cleaned)
    assert frame[2:] == cleaned[2 + len(planted) :]
    if b"Adobe" not in planted:  # a second colour transform is another image
        assert pixels(frame) == pixels(cleaned)


@pytest.mark.parametrize("frame", [JPEG, PROGRESSIVE, JPEG_LS, CODE_STREAM, JP2])
def test_a_clean_frame_is_not_touched(frame: bytes) -> None:
    """What encoders write by themselves stays; so does a padding octet."""
    ranges = jpeg2000_ranges if frame in (CODE_STREAM, JP2) else jpeg_ranges

    assert frame is blanked(frame, ranges(frame))
    assert [] == ranges(frame + b"\0")


@pytest.mark.parametrize("frame", [JPEG, JPEG_LS, CODE_STREAM])
def test_what_stands_behind_the_end_is_blanked(frame: bytes) -> None:
    """A decoder stops before it; a reader of bytes does not."""
    ranges = jpeg2000_ranges if frame is CODE_STREAM else jpeg_ranges
    cleaned = blanked(frame + SECRET, ranges(frame + SECRET))

    assert frame + bytes(len(SECRET)) == cleaned


def test_jpeg2000_comments_are_blanked() -> None:
    """In the main header and in that of a tile-part, as text and as octets."""
    main = CODE_STREAM.index(b"\xff\x52")  # COD
    for kind in (b"\0\1", b"\0\0"):
        comment = segment(0xFF64, kind + SECRET)
        with_comment = CODE_STREAM[:main] + comment + CODE_STREAM[main:]
        cleaned = blanked(with_comment, jpeg2000_ranges(with_comment))

        assert SECRET not in cleaned
        assert pixels(CODE_STREAM) == pixels(cleaned)

    part = CODE_STREAM.index(b"\xff\x90")
    (length,) = struct.unpack_from(">I", CODE_STREAM, part + 6)
    comment = segment(0xFF64, b"\0\1" + SECRET)
    longer = CODE_STREAM[: part + 6] + struct.pack(">I", length + len(comment)) + CODE_STREAM[part + 10 :]
    with_comment = longer[: part + 12] + comment + longer[part + 12 :]
    cleaned = blanked(with_comment, jpeg2000_ranges(with_comment))

    assert SECRET not in cleaned
    assert pixels(CODE_STREAM) == pixels(cleaned)


@pytest.mark.parametrize("kind", [b"xml ", b"uuid", b"uinf", b"priv"])
def test_boxes_around_jpeg2000_are_blanked(kind: bytes) -> None:
    """Before and behind the code stream; and a comment inside it."""
    box = struct.pack(">I", 8 + len(SECRET)) + kind + SECRET
    stream = JP2.index(b"jp2c") - 4
    for with_box in (JP2[:stream] + box + JP2[stream:], JP2 + box):
        cleaned = blanked(with_box, jpeg2000_ranges(with_box))

        assert SECRET not in cleaned
        assert pixels(JP2) == pixels(cleaned)

    main = JP2.index(b"\xff\x52")  # COD
    comment = segment(0xFF64, b"\0\1" + SECRET)
    (size,) = struct.unpack_from(">I", JP2, stream)
    grown = struct.pack(">I", size + len(comment)) if size else JP2[stream : stream + 4]
    with_comment = JP2[:stream] + grown + JP2[stream + 4 : main] + comment + JP2[main:]
    cleaned = blanked(with_comment, jpeg2000_ranges(with_comment))

    assert SECRET not in cleaned
    assert pixels(JP2) == pixels(cleaned)


def test_profiles_in_the_header_of_a_jp2_are_blanked() -> None:
    """A colour box with a profile is as well one place where text can stand."""
    icc = profile((b"targ", b"text\0\0\0\0" + SECRET + b"\0"))
    old = JP2.index(b"\0\0\0\x0fcolr")
    box = struct.pack(">I", 11 + len(icc)) + b"colr\2\0\0" + icc
    header = JP2.index(b"jp2h") - 4
    (size,) = struct.unpack_from(">I", JP2, header)
    grown = struct.pack(">I", size - 15 + len(box))
    with_profile = JP2[:header] + grown + JP2[header + 4 : old] + box + JP2[old + 15 :]
    cleaned = blanked(with_profile, jpeg2000_ranges(with_profile))

    assert SECRET not in cleaned
    assert len(with_profile) == len(cleaned)
    assert pixels(with_profile) == pixels(cleaned)


@pytest.mark.parametrize("frame", [JPEG, PROGRESSIVE, JPEG_LS, CODE_STREAM, JP2], ids=range(5))
def test_frames_that_cannot_be_followed_are_refused(frame: bytes) -> None:
    """Cut off anywhere, or no such frame at all."""
    ranges = jpeg2000_ranges if frame in (CODE_STREAM, JP2) else jpeg_ranges
    for size in (0, 1, 2, 3, 20, len(frame) // 2, len(frame) - 2):
        with pytest.raises(UnsafeContentError):
            ranges(frame[:size])


@PROPERTY
@given(
    st.sampled_from([JPEG, CODE_STREAM, JP2, JPEG_LS]), st.lists(st.tuples(st.integers(0, 400), st.binary(max_size=6)))
)
def test_damaged_frames_are_refused_or_followed(frame: bytes, damage: list[tuple[int, bytes]]) -> None:
    """Whatever stands there: an answer inside the frame, or the one error."""
    for place, octets in damage:
        frame = frame[:place] + octets + frame[place + len(octets) :]
    for function in (jpeg_ranges, jpeg2000_ranges):
        try:
            found = function(frame)
        except UnsafeContentError:
            continue
        assert all(0 <= one.start < one.end <= len(frame) for one in found)


def profile(*tags: tuple[bytes, bytes], spare: bytes = b"") -> bytes:
    """Return an ICC profile: the sRGB one with more tags, and octets that no tag points to."""
    base = bytes(imagecodecs.cms_profile("srgb"))
    (count,) = struct.unpack_from(">I", base, 128)
    old = [struct.unpack_from(">4sII", base, 132 + 12 * number) for number in range(count)]
    grown = 12 * len(tags)
    entries = [(name, start + grown, size) for name, start, size in old]
    body = base[132 + 12 * count :] + spare
    at = 132 + 12 * (count + len(tags)) + len(body)
    for name, content in tags:
        entries.append((name, at, len(content)))
        body += content
        at += len(content)
    header = struct.pack(">I", at) + base[4:128]
    return header + struct.pack(">I", len(entries)) + b"".join(struct.pack(">4sII", *one) for one in entries) + body


def localized(text: str) -> bytes:
    """Return a multiLocalizedUnicodeType."""
    octets = text.encode("utf-16-be")
    return b"mluc\0\0\0\0" + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(octets), 28) + octets


@pytest.mark.parametrize(
    "with_text",
    [
        profile((b"targ", b"text\0\0\0\0" + SECRET + b"\0")),
        profile((b"dmnd", b"desc\0\0\0\0" + struct.pack(">I", len(SECRET) + 1) + SECRET + b"\0" + bytes(78))),
        profile((b"dmdd", b"desc\0\0\0\0" + struct.pack(">I", 1) + bytes(79) + SECRET)),
        profile((b"dmdd", localized(SECRET.decode()))),
        profile((b"priv", b"Acme\0\0\0\0" + SECRET)),
        profile(spare=SECRET),
    ],
)
def test_texts_of_profiles_are_blanked(with_text: bytes) -> None:
    """Of every type and between the tags; the profile stays one, and its colours are the same."""
    cleaned = blanked(with_text, icc_ranges(with_text))

    for form in (SECRET, SECRET.decode().encode("utf-16-be")):
        assert form not in cleaned
    assert len(with_text) == len(cleaned)
    imagecodecs.cms_profile_validate(cleaned)
    base = bytes(imagecodecs.cms_profile("srgb"))
    assert base[base.index(b"XYZ \0\0\0\0") :][:172] in cleaned


def test_a_profile_gets_a_date_that_is_one() -> None:
    """And one without texts is left as it is."""
    base = bytes(imagecodecs.cms_profile("srgb"))
    cleaned = blanked(base, icc_ranges(base))

    assert bytes((7, 208, 0, 1, 0, 1)) == cleaned[24:30]
    assert [] == icc_ranges(cleaned)


@pytest.mark.parametrize("size", [0, 100, 131, 200, 300])
def test_profiles_that_cannot_be_followed_are_refused(size: int) -> None:
    """Cut off anywhere."""
    with pytest.raises(UnsafeContentError):
        icc_ranges(bytes(imagecodecs.cms_profile("srgb"))[:size])


def test_empty_documents_are_some() -> None:
    """A PDF with a true cross-reference table, and a CDA that is well-formed."""
    pdf = empty_pdf()
    offsets = [int(found) for found in re.findall(rb"^(\d{10}) 00000 n", pdf, re.MULTILINE)]
    start = int(re.findall(rb"startxref\n(\d+)", pdf)[0])

    assert [b"%d 0 obj" % (number + 1) for number in range(3)] == [pdf[at : at + 7] for at in offsets]
    assert pdf[start:].startswith(b"xref")
    assert "{urn:hl7-org:v3}ClinicalDocument" == ET.fromstring(EMPTY_CDA).tag  # noqa: S314 our own text


NONE: Final[frozenset[Option]] = frozenset()
DEVICE: Final = frozenset({Option.RETAIN_DEVICE_IDENTITY})
CHARACTERISTICS: Final = frozenset({Option.RETAIN_PATIENT_CHARACTERISTICS})


@pytest.mark.parametrize(
    ("value_type", "code", "options", "expected"),
    [
        ("PNAME", "121008", NONE, None),
        ("TEXT", "121106", NONE, None),
        ("TEXT", "121022", NONE, False),
        ("TEXT", "121022", frozenset(Option), False),
        ("TEXT", "121014", NONE, True),
        ("TEXT", "121016", NONE, False),
        ("TEXT", "121016", DEVICE, True),
        ("TEXT", "121009", DEVICE, False),
        ("TEXT", "121017", NONE, False),
        ("TEXT", "121017", DEVICE, None),
        ("TEXT", "121017", DEVICE | {Option.RETAIN_INSTITUTION_IDENTITY}, True),
        ("NUM", "121033", NONE, False),
        ("NUM", "121033", CHARACTERISTICS, True),
        ("NUM", "113830", NONE, None),
        ("DATE", "121031", frozenset({Option.RETAIN_MODIFIED_DATES}), False),
        ("DATETIME", "121016", DEVICE, None),
        ("UIDREF", "121012", DEVICE, None),
        ("CONTAINER", "121022", NONE, None),
        ("IMAGE", "121022", NONE, None),
        ("GOSSIP", "121022", NONE, False),
        ("GOSSIP", "1", NONE, None),
    ],
)
def test_content_items(value_type: str, code: str, options: frozenset[Option], expected: bool | None) -> None:
    """By whose concept it is, which counts in its own scheme only."""
    assert expected is stays_by_concept(value_type, (code, "DCM"), options)
    assert stays_by_concept(value_type, (code, "99ACME"), options) is None


def test_concepts_are_those_of_the_standard() -> None:
    """Codes and meanings as printed, and every scheme of the standard's own terms is known."""
    meanings = {code: meaning for entry in concepts["DCM"].values() for code, (meaning, _) in entry.items()}  # type: ignore[attr-defined]  # typed as object
    table = Path(__file__).parents[3] / "tasks/local/deidentification/content/content_concepts.csv"
    rows = [line.split(",", 1) for line in table.read_text(encoding="utf-8").splitlines()[1:]]

    assert [meanings[code] for code, _ in rows] == [rest.rpartition(",")[0].strip('"') for _, rest in rows]
    assert all(map(is_standard_scheme, concepts))
    assert not is_standard_scheme("L")
