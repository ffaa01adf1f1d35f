"""Forms of pixel data that the matrix has not: floats, bits beside the image, icons, offset tables, edges of JPEG."""

from __future__ import annotations

import struct
from typing import Any, Final

import imagecodecs
import numpy as np
import pytest

from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.pixels.regions import Region
from tests.dicom_files import UNCOMPRESSED, Element, Item, Syntax, elements, grey, instance
from tests.local.editing.painting.images import Image, frames_of, painting, pixels_of
from tests.local.editing.painting.readers import verified
from tests.local.editing.painting.test_compressed import BYTES, CODECS, DICOM, RLE
from tests.local.editing.painting.test_jpeg import _fragments as fragments_of
from tests.local.editing.painting.test_jpeg import file as jpeg_file
from tests.local.editing.painting.test_jpeg import jpeg, textured
from tests.local.edits import read

REGIONS: Final = (Region(3, 2, 25, 14), Region(-4, 29, 26, 50))
CODED: Final = (RLE, *(DICOM + end for end in ("57", "70", "80", "90", "201")))


@pytest.mark.parametrize("syntax", UNCOMPRESSED, ids=lambda syntax: syntax.uid)
@pytest.mark.parametrize(("tag", "vr", "kind"), [(0x7FE00008, "OF", "f4"), (0x7FE00009, "OD", "f8")])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_floats_in_each_order_of_bytes(tag: int, vr: str, kind: str, photometric: str, syntax: Syntax) -> None:
    """The lowest number of all frames, the highest where that is black."""
    values = np.random.default_rng(2).normal(0, 9, (2, 7, 5)).astype(syntax.prefix + kind)
    image = Image(np.zeros((2, 7, 5, 1)), photometric, allocated=8 * int(kind[1]))
    attributes = image.attributes(BitsStored=None, HighBit=None, PixelRepresentation=None)
    data = instance(Element(tag, vr, values.tobytes()), syntax=syntax, **attributes)
    result = painting(Region(1, 1, 3, 2))(data)
    black = values.max() if photometric == "MONOCHROME1" else values.min()

    values[:, 1:3, 1:4] = black
    assert values.tobytes() == read(result)[tag].value
    verified(data, result, [Region(1, 1, 3, 2)])


def overlay(position: int, syntax: Syntax) -> list[Element]:
    """Return an overlay whose plane is a bit of each pixel."""
    numbers = {0x0010: 41, 0x0011: 37, 0x0100: 16, 0x0102: position}
    order: Any = "little" if syntax.little else "big"
    return [Element(0x60000000 | number, "US", value.to_bytes(2, order)) for number, value in numbers.items()]


@pytest.mark.parametrize("syntax", UNCOMPRESSED, ids=lambda syntax: syntax.uid)
@pytest.mark.parametrize("signed", [False, True])
def test_overlays_beside_the_image(signed: bool, syntax: Syntax) -> None:
    """Their bit is clear in every pixel, painted ones with a sign, too."""
    image = Image.random(1, 3, 41, 37, "MONOCHROME1", stored=12, high_bit=11, signed=signed)
    words = np.frombuffer(image.native(syntax), f"{syntax.prefix}u2")
    noisy = (words ^ 0x8000).astype(words.dtype).tobytes()
    data = instance(*overlay(15, syntax), Element(0x7FE00010, "OW", noisy), syntax=syntax, **image.attributes())
    result = painting(*REGIONS)(data)
    black = (2047 if signed else 4095,)
    expected = np.frombuffer(image.painted(black, *REGIONS).native(syntax), f"{syntax.prefix}u2") & 0x7FFF

    assert np.array_equal(expected, np.frombuffer(pixels_of(result), f"{syntax.prefix}u2") & 0xFFFF)
    verified(data, result, REGIONS)
    if not syntax.deflated:
        left = bytearray(result)
        left[len(result) - words.nbytes - words.nbytes % 2 + (1 if syntax.little else 0)] |= 0x80  # of the first pixel
        with pytest.raises(InstanceFailed, match="are not the source's"):
            verified(data, bytes(left), REGIONS)


@pytest.mark.parametrize("syntax", CODED)
def test_overlays_beside_compressed_images_are_refused(syntax: str) -> None:
    """Nobody here takes a bit out of what is coded."""
    image = Image.random(1, 1, 41, 37, "MONOCHROME2", stored=12, high_bit=11)
    frames = [CODECS[syntax](frame, image) for frame in image.values]
    with pytest.raises(InstanceFailed, match="an overlay lies in unused bits"):
        painting(*REGIONS)(image.compressed(syntax, frames, *overlay(15, UNCOMPRESSED[1])))


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize(("stored", "high_bit"), [(12, 15), (10, 13), (3, 6)])
def test_shifted_samples_of_rle(stored: int, high_bit: int, signed: bool) -> None:
    """Bits that count do not begin at the lowest one: what stands below and above stays outside the regions."""
    image = Image.random(1, 3, 41, 37, "MONOCHROME1", stored=16, high_bit=15)
    noise = Image(image.values, "MONOCHROME1", stored=stored, high_bit=high_bit, signed=signed)
    data = noise.compressed(RLE, [CODECS[RLE](frame, image) for frame in image.values])
    result = painting(*REGIONS)(data)
    black = (1 << stored - 1) - 1 if signed else (1 << stored) - 1
    word = black << high_bit + 1 - stored

    assert np.array_equal(image.painted((word,), *REGIONS).values, frames_of(result, whole=True) & 0xFFFF)
    verified(data, result, REGIONS)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("coded_signed", [False, True])
def test_code_streams_of_another_sign(coded_signed: bool, signed: bool, photometric: str) -> None:
    """JPEG 2000 says itself whether numbers have a sign; where PixelRepresentation says otherwise the bits count."""
    image = Image.random(1, 2, 41, 37, photometric, stored=12, high_bit=11, signed=signed)
    coded = Image(image.values & 4095, stored=12, high_bit=11)
    if coded_signed:
        coded = Image(
            np.where(coded.values > 2047, coded.values - 4096, coded.values), signed=True, stored=12, high_bit=11
        )
    frames = [CODECS[DICOM + "90"](frame, coded) for frame in coded.values]
    data = image.compressed(DICOM + "90", frames)
    result = painting(*REGIONS)(data)
    low = -2048 if signed else 0

    assert np.array_equal(image.values, frames_of(data))
    black = low if photometric == "MONOCHROME2" else low + 4095
    assert np.array_equal(image.painted((black,), *REGIONS).values, frames_of(result))
    verified(data, result, REGIONS)


@pytest.mark.parametrize("syntax", CODED[1:])
def test_shifted_samples_of_other_codecs_are_refused(syntax: str) -> None:
    """Nobody can say where black lies in a code stream of another precision, unless it is zero."""
    image = Image.random(1, 1, 41, 37, "MONOCHROME2", stored=16, high_bit=15)
    frames = [CODECS[syntax](frame, image) for frame in image.values]
    shifted: dict[str, Any] = {"BitsStored": 12, "HighBit": 15}
    with pytest.raises(InstanceFailed, match="HighBit must be one less than BitsStored"):
        painting(*REGIONS)(image.compressed(syntax, frames, PhotometricInterpretation="MONOCHROME1", **shifted))
    result = painting(*REGIONS)(image.compressed(syntax, frames, **shifted))

    assert np.array_equal(image.painted((0,), *REGIONS).values, frames_of(result, whole=True) & 0xFFFF)


@pytest.mark.parametrize("is_filled", [False, True], ids=["of even lengths", "of lengths without padding"])
@pytest.mark.parametrize("syntax", [*CODED, DICOM + "50"])
def test_extended_offset_tables(syntax: str, is_filled: bool) -> None:
    """Offsets and lengths are those of the new frames, whose count of bytes is even, as padded frames are."""
    if syntax.endswith(".50"):
        values = textured(41, 37, 1).astype("u1")
        image = Image(np.zeros((3, 41, 37, 1)), **BYTES)
        coded = [jpeg(values, level) for level in (80, 81, 82)]
    else:
        image = Image.random(1, 3, 41, 37, "MONOCHROME2", **BYTES)
        coded = [CODECS[syntax](frame, image) for frame in image.values]
    padded = [len(one) + len(one) % 2 for one in coded]
    lengths = [len(one) for one in coded] if is_filled else padded
    offsets = [sum(padded[:n]) + 8 * n for n in range(3)]
    extra = [Element(0x7FE00001 + n, "OV", struct.pack("<3Q", *table)) for n, table in enumerate((offsets, lengths))]
    data = image.compressed(syntax, coded, *extra)
    result = painting(*REGIONS)(data)
    dataset = read(result)
    new = [len(one) for one in fragments_of(dataset.PixelData)]

    assert 3 == len(new)
    assert [sum(new[:n]) + 8 * n for n in range(3)] == list(struct.unpack("<3Q", dataset[0x7FE00001].value))
    assert new == list(struct.unpack("<3Q", dataset[0x7FE00002].value))
    verified(data, result, REGIONS)


@pytest.mark.parametrize("columns", [145, 149, 151])
@pytest.mark.parametrize(("sampling", "across", "down"), [("422", 16, 8), ("420", 16, 16), ("444", 8, 8)])
def test_odd_numbers_of_columns_in_jpeg(sampling: str, across: int, down: int, columns: int) -> None:
    """A region at the right edge is black to its last column, and everything farther to the left is what it was."""
    frame = jpeg(textured(61, columns, 3).astype("u1"), subsampling=sampling)
    data = jpeg_file([frame, frame], "YBR_FULL_422", (61, columns), **BYTES)
    region = Region(columns - 20, 20, 40, 20)
    result = painting(region)(data)
    before, after = (imagecodecs.jpeg8_decode(one) for one in (frame, fragments_of(read(result).PixelData)[1]))
    left, top, bottom = region.x // across * across - 2, 20 // down * down - 2, -(-40 // down) * down + 2

    assert np.array_equal(before[:, :left], after[:, :left])
    assert np.array_equal(before[:top], after[:top])
    assert np.array_equal(before[bottom:], after[bottom:])
    assert after[22:38, columns - 17 :].max() <= 3  # what rounding in another colour space leaves
    verified(data, result, [region])


def icon(syntax: str, image: Image) -> Element:
    """Return an icon, coded as the image is where that is compressed."""
    if syntax in CODED:
        pixels = Element(0x7FE00010, "OB", (b"", _even(CODECS[syntax](image.values[0], image))))
    else:
        pixels = Element(0x7FE00010, "OB", image.native(vr="OB"))
    return Element(0x00880200, "SQ", (Item((*elements(grey(41, 37)), pixels)),))


def _even(data: bytes) -> bytes:
    return data + b"\0" * (len(data) % 2)


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.1", *CODED])
@pytest.mark.parametrize("keeps", [False, True])
def test_icons_in_each_syntax(syntax: str, keeps: bool) -> None:
    """They go; where the request keeps them they stay as they are, and the image is painted all the same."""
    image, small = (Image.random(seed, 2, 41, 37, "MONOCHROME2", **BYTES) for seed in (1, 2))
    beside = icon(syntax, small)
    if syntax in CODED:
        data = image.compressed(syntax, [CODECS[syntax](frame, image) for frame in image.values], beside)
    else:
        data = image.file(Syntax(syntax), "OB", beside)
    result = painting(*REGIONS, body={"Keep": ["IconImageSequence"]} if keeps else None)(data)

    assert np.array_equal(image.painted((0,), *REGIONS).values, frames_of(result))
    assert keeps is ("IconImageSequence" in read(result))
    if keeps:
        assert read(data).IconImageSequence[0].PixelData == read(result).IconImageSequence[0].PixelData
