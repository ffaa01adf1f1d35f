"""An overlay in the unused bits of the pixels is removed with the elements that describe it."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread

from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.local.dicom_file.source_file import SourceFile
from deidflow.tasks.verification.by_pydicom.pixels import check_pixels, hidden_bits
from tests.dicom_files import BIG, DEFLATED, EXPLICIT, IMPLICIT, RLE, UNCOMPRESSED, Element, Syntax, instance
from tests.dicom_files import encapsulated as fragments
from tests.local.edits import anonymize, modify, read
from tests.local.strategies import PROPERTY

if TYPE_CHECKING:
    from pathlib import Path


def image(words: np.ndarray, stored: int, *overlays: Element, syntax: Syntax = EXPLICIT, **keywords: Any) -> bytes:
    """Return an image of one row whose pixels use the lowest bits of their words."""
    width = words.dtype.itemsize
    values: dict[str, Any] = {
        "Rows": 1,
        "Columns": 1,
        "BitsAllocated": 8 * width,
        "BitsStored": stored,
        "HighBit": stored - 1,
        "PixelRepresentation": 0,
        "SamplesPerPixel": 1,
        **keywords,
    }
    data = words.astype(f"{syntax.prefix}u{width}").tobytes()
    vr = "OW" if width > 1 or not syntax.explicit else "OB"
    return instance(*overlays, Element(0x7FE00010, vr, data + b"\0" * (len(data) % 2)), syntax=syntax, **values)


def overlay(position: int, group: int = 0x6000, syntax: Syntax = EXPLICIT, allocated: int = 16) -> list[Element]:
    """Return an overlay that says where in the pixels its plane is."""
    order: Any = "little" if syntax.little else "big"
    numbers = ((0x0010, 1), (0x0011, 1), (0x0100, allocated), (0x0102, position))
    return [Element(group << 16 | number, "US", value.to_bytes(2, order)) for number, value in numbers]


def words_of(result: bytes, like: np.ndarray, syntax: Syntax) -> list[int]:
    """Return the pixels of a result."""
    data = read(result).PixelData[: like.nbytes]
    return [int(word) for word in np.frombuffer(data, f"{syntax.prefix}u{like.dtype.itemsize}")]


@PROPERTY
def compare(source: bytes, result: bytes, hidden: int) -> None:
    """Compare the pixels of a source and its result."""
    files = io.BytesIO(source), io.BytesIO(result)
    one, other = (dcmread(file, force=True, stop_before_pixels=True) for file in files)
    check_pixels((one, other), files, hidden)


@given(
    st.sampled_from(UNCOMPRESSED),
    st.lists(st.integers(0, 0xFFFF), min_size=1, max_size=70),
    st.integers(1, 15),
    st.sets(st.integers(0, 15), min_size=1, max_size=3),
)
def test_bits_beside_the_image_are_cleared(syntax: Syntax, pixels: list[int], stored: int, positions: set[int]) -> None:
    """Named bits that the image does not use are clear in every pixel, all others are as they were.

    A named bit that the image uses, too, cannot be cleared; 0 is what stands there when nobody meant a bit.
    """
    words = np.array(pixels, "u2")
    overlays = [e for n, p in enumerate(sorted(positions)) for e in overlay(p, 0x6000 + 2 * n, syntax)]
    data = image(words, stored, *overlays, syntax=syntax)
    if any(0 < position < stored for position in positions):
        assert_refused(data)
        return
    result = anonymize({})(data)

    hidden = sum(1 << position for position in positions if position >= stored)
    assert [pixel & ~hidden for pixel in pixels] == words_of(result, words, syntax)
    before = read(data)
    assert hidden == hidden_bits(before, anonymize({}).request)
    compare(data, result, hidden)


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT], ids=lambda syntax: syntax.uid)
@pytest.mark.parametrize("width", [1, 2, 4])
def test_pixels_of_every_width(syntax: Syntax, width: int) -> None:
    """Words of 8, 16 and 32 bits."""
    words = np.array([2 ** (8 * width) - 1] * 4, f"u{width}")
    data = image(words, 6, *overlay(7, syntax=syntax), syntax=syntax)

    assert [2 ** (8 * width) - 1 - 128] * 4 == words_of(anonymize({})(data), words, syntax)


def test_large_pixel_data_is_not_held_in_memory(tmp_path: Path) -> None:
    """Pixels are masked piece by piece while they are written, over all frames."""
    words = np.full((3 << 20) + 5, 0xFFFF, "u2")
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(image(words, 12, *overlay(15)))
    edit = anonymize({})
    with SourceFile.open(source) as opened, target.open("wb") as stream:
        from deidflow.tasks.local.worker import edit_source  # noqa: PLC0415 (beside what it is about)

        assembly = edit_source(opened, edit.plan(opened), edit.compiled(opened))
        assert len(opened.body) < words.nbytes
        assert max(len(p) for p in assembly.pieces() if not isinstance(p, tuple)) <= 1 << 20
        assembly.write(stream.fileno())

    assert os.path.getsize(target) == assembly.size  # noqa: PTH202
    assert {0x7FFF} == set(words_of(target.read_bytes(), words, EXPLICIT))


def test_what_cannot_be_cleared_is_refused() -> None:
    """Compressed pixels, and words of 32 bits in big endian, which are read in two ways."""
    compressed = instance(
        *overlay(12), fragments(b"\0" * 64), syntax=RLE, BitsAllocated=16, BitsStored=12, HighBit=11, Rows=1, Columns=1
    )
    wide = image(np.array([1], "u4"), 12, *overlay(12, syntax=BIG), syntax=BIG)
    for data in (compressed, wide):
        assert_refused(data)


@pytest.mark.parametrize("group", [0x6000, 0x6002, 0x60FE])
@pytest.mark.parametrize("position", [None, b"", 16, 0xFFFF])
def test_an_overlay_that_does_not_say_where_it_lies(group: int, position: int | bytes | None) -> None:
    """It is refused where the pixels have room for it; and a result in which any of that is set is no result."""
    rows = Element(group << 16 | 0x0010, "US", b"\1\0")
    said = position.to_bytes(2, "little") if isinstance(position, int) else position
    overlays = [rows] if said is None else [rows, Element(group << 16 | 0x0102, "US", said)]
    words = np.array([0x100F], "u2")
    data = image(words, 12, *overlays)
    assert_refused(data)
    full, own = image(words, 16, *overlays), image(words, 12, *overlays, Element(group << 16 | 0x3000, "OW", b"\1\0"))
    for sound in (full, own):
        assert [0x100F] == words_of(anonymize({})(sound), words, EXPLICIT)
        assert 0 == hidden_bits(read(sound), anonymize({}).request)

    assert 0xF000 == hidden_bits(read(data), anonymize({}).request)


def assert_refused(data: bytes) -> None:
    """Assert that an anonymization fails by name, and that whoever wants the overlay, or no pixels, gets that."""
    with pytest.raises(InstanceFailed) as caught:
        anonymize({})(data)
    assert ReasonCode.UNSAFE_CONTENT is caught.value.code
    assert hidden_bits(read(data), anonymize({}).request)
    for edit in (anonymize({}, hardening=False), anonymize({"Remove": ["PixelData"]}), modify({})):
        edit(data)


def test_overlays_that_are_kept_or_have_their_own_data() -> None:
    """Who keeps an overlay keeps its bits; one with OverlayData has none in bit 0; without hardening all stay."""
    words = np.array([0xFFFF, 0x0001], "u2")
    own = [*overlay(0, allocated=1), Element(0x60003000, "OW", b"\1\0")]
    for syntax in (EXPLICIT, DEFLATED):
        kept = anonymize({"Keep": ["OverlayBitPosition"]})(image(words, 12, *overlay(12), syntax=syntax))
        plain = anonymize({})(image(words, 12, *own, syntax=syntax, HighBit=15))
        soft = anonymize({}, hardening=False)(image(words, 12, *overlay(12), syntax=syntax))

        for result in (kept, plain, soft):
            assert [0xFFFF, 1] == words_of(result, words, syntax)


def test_a_plane_that_was_left_is_noticed() -> None:
    """Verification fails a result in which the bits are still set, and one in which others changed."""
    words = np.array([0xF00F], "u2")
    data = image(words, 12, *overlay(12))
    for left, code in (
        (0xF00F, ReasonCode.IDENTIFIER_LEFT),
        (0xE00E, ReasonCode.PIXEL_DATA_DIFFERS),
        (0xC00F, ReasonCode.PIXEL_DATA_DIFFERS),
    ):
        result = image(np.array([left], "u2"), 12)
        with pytest.raises(InstanceFailed) as caught:
            compare(data, result, 1 << 12)
        assert code is caught.value.code
