"""Regions of uncompressed pixels become black in every frame, and no other byte of the pixel data changes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.core.pixels.regions import Region
from tests.dicom_files import BIG, DEFLATED, EXPLICIT, IMPLICIT, UNCOMPRESSED, Element, Syntax, instance
from tests.local.editing.painting.images import Image, painting, pixels_of
from tests.local.edits import read
from tests.local.strategies import PROPERTY

REGIONS = (Region(3, 2, 5, 4), Region(6, 4, 4, 1), Region(-4, 9, 6, 50))
"""Two that overlap, and one over two edges."""

FORMS: list[tuple[str, dict[str, Any], tuple[int, ...]]] = [
    ("MONOCHROME2", {"allocated": 1, "stored": 1, "high_bit": 0}, (0,)),
    ("MONOCHROME1", {"allocated": 1, "stored": 1, "high_bit": 0}, (1,)),
    ("MONOCHROME2", {"allocated": 8, "stored": 8, "high_bit": 7}, (0,)),
    ("MONOCHROME1", {"allocated": 8, "stored": 7, "high_bit": 6}, (127,)),
    ("MONOCHROME2", {"allocated": 8, "stored": 8, "high_bit": 7, "signed": True}, (-128,)),
    ("MONOCHROME2", {}, (0,)),
    ("MONOCHROME2", {"stored": 12, "high_bit": 11}, (0,)),
    ("MONOCHROME1", {"stored": 12, "high_bit": 11}, (4095,)),
    ("MONOCHROME2", {"stored": 12, "high_bit": 11, "signed": True}, (-2048,)),
    ("MONOCHROME1", {"stored": 12, "high_bit": 11, "signed": True}, (2047,)),
    ("MONOCHROME1", {"stored": 10, "high_bit": 13}, (1023,)),
    ("MONOCHROME2", {"stored": 10, "high_bit": 15, "signed": True}, (-512,)),
    ("MONOCHROME2", {"allocated": 32, "stored": 32, "high_bit": 31}, (0,)),
    ("MONOCHROME1", {"allocated": 32, "stored": 32, "high_bit": 31}, (2**32 - 1,)),
    ("RGB", {"allocated": 8, "stored": 8, "high_bit": 7}, (0, 0, 0)),
    ("RGB", {"allocated": 8, "stored": 8, "high_bit": 7, "planar": 1}, (0, 0, 0)),
    ("RGB", {}, (0, 0, 0)),
    ("YBR_FULL", {"allocated": 8, "stored": 8, "high_bit": 7}, (0, 128, 128)),
    ("YBR_FULL", {"allocated": 8, "stored": 8, "high_bit": 7, "planar": 1}, (0, 128, 128)),
    ("YBR_FULL", {}, (0, 32768, 32768)),
]


@pytest.mark.parametrize("syntax", UNCOMPRESSED, ids=lambda syntax: syntax.uid)
@pytest.mark.parametrize(("photometric", "form", "black"), FORMS, ids=str)
def test_regions_are_black_and_all_else_stays(
    photometric: str, form: dict[str, Any], black: tuple[int, ...], syntax: Syntax
) -> None:
    """The pixel data is that of the image with black in its regions, byte for byte, in each syntax and form."""
    image = Image.random(1, 3, 13, 11, photometric, **form)
    for vr in ("OW", "OB") if syntax.explicit and image.allocated <= 8 else ("OW",):
        result = painting(*REGIONS)(image.file(syntax, vr))

        assert image.painted(black, *REGIONS).native(syntax, vr) == pixels_of(result)


def test_two_pixels_that_share_a_colour_are_painted_together() -> None:
    """YBR_FULL_422: a region is widened to whole pairs."""
    image = Image.random(1, 2, 9, 12, "YBR_FULL_422", allocated=8, stored=8, high_bit=7)
    result = painting(Region(3, 2, 4, 3))(image.file(vr="OB"))

    assert image.painted((0, 128, 128), Region(2, 2, 6, 3)).native() == pixels_of(result)
    assert_refused(replace(image, values=image.values[:, :, :11]).attributes(), image.native(), "Columns must be even")


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [8, 16])
def test_the_darkest_entry_of_a_palette_is_black(bits: int, signed: bool) -> None:
    """PALETTE COLOR: pixels name the entry whose colours are least, counted from the first that is mapped."""
    first = -5 if signed else 20
    image = Image.random(1, 1, 9, 12, "PALETTE COLOR", allocated=8, stored=8, high_bit=7, signed=signed)
    shades = [200, 100, 7, 100, 250]
    data = bytes(shades) + b"\0" if bits == 8 else np.array([256 * shade for shade in shades], "<u2").tobytes()
    extra = [Element(0x00281101 + n, "US", np.array([5, first & 0xFFFF, bits], "<u2").tobytes()) for n in range(3)]
    extra += [Element(0x00281201 + n, "OW", data) for n in range(3)]
    result = painting(Region(2, 2, 3, 3))(image.file(EXPLICIT, "OB", *extra))

    assert image.painted((first + 2,), Region(2, 2, 3, 3)).native() == pixels_of(result)


def test_a_segmented_palette_has_a_darkest_entry() -> None:
    """Discrete and linear segments stand for their entries."""
    image = Image.random(1, 1, 9, 12, "PALETTE COLOR", allocated=8, stored=8, high_bit=7)
    data = np.array([0, 2, 900, 1000, 1, 4, 200, 0, 1, 700], "<u2").tobytes()  # 900 1000 800 600 400 200 700
    extra = [Element(0x00281101 + n, "US", np.array([7, 0, 16], "<u2").tobytes()) for n in range(3)]
    extra += [Element(0x00281221 + n, "OW", data) for n in range(3)]
    result = painting(Region(2, 2, 3, 3))(image.file(EXPLICIT, "OB", *extra))

    assert image.painted((5,), Region(2, 2, 3, 3)).native() == pixels_of(result)


@pytest.mark.parametrize(
    ("tag", "vr", "dtype"), [(0x7FE00008, "OF", "<f4"), (0x7FE00009, "OD", "<f8")], ids=["float", "double"]
)
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_floating_point_pixels_get_the_lowest_number_there_is(tag: int, vr: str, dtype: str, photometric: str) -> None:
    """Of all frames; the highest where that is black; what is no number does not count."""
    values = np.random.default_rng(2).normal(0, 9, (2, 7, 6)).astype(dtype)
    values[0, 6, 5], values[1, 6, 5] = np.nan, -np.inf
    finite = values[np.isfinite(values)]
    image = Image(np.zeros((2, 7, 6, 1)), photometric, allocated=int(dtype[2]) * 8)
    attributes = image.attributes(BitsStored=None, HighBit=None, PixelRepresentation=None)
    data = instance(Element(tag, vr, values.tobytes()), **attributes)
    result = read(painting(Region(1, 1, 3, 2))(data))

    values[:, 1:3, 1:4] = finite.max() if photometric == "MONOCHROME1" else finite.min()
    assert values.tobytes() == result[tag].value


@PROPERTY
@given(
    st.integers(1, 3),
    st.integers(1, 40),
    st.integers(1, 40),
    st.sampled_from(FORMS),
    st.sampled_from(UNCOMPRESSED),
    st.lists(
        st.builds(Region, st.integers(-9, 45), st.integers(-9, 45), st.integers(1, 50), st.integers(1, 50)),
        min_size=1,
        max_size=5,
    ),
)
def test_any_region_of_any_image(
    frames: int,
    rows: int,
    columns: int,
    form: tuple[str, dict[str, Any], tuple[int, ...]],
    syntax: Syntax,
    regions: list[Region],
) -> None:
    """Whatever the size of the image, and wherever regions lie; where all lie outside nothing changes."""
    photometric, bits, black = form
    image = Image.random(1, frames, rows, columns, photometric, **bits)
    result = painting(*regions)(image.file(syntax))
    inside = any(region.clipped(columns, rows) for region in regions)

    assert image.painted(black, *regions).native(syntax) == pixels_of(result)
    assert ("NO" if inside else None) == read(result).get("BurnedInAnnotation")


def test_frames_larger_than_what_is_read_at_a_time() -> None:
    """Stretches that begin and end anywhere between two pieces are painted to the pixel."""
    image = Image.random(1, 1, 1100, 1030, "RGB", allocated=8, stored=8, high_bit=7)
    regions = [Region(1000, 3, 30, 1090), Region(0, 600, 1030, 400)]

    assert image.painted((0, 0, 0), *regions).native() == pixels_of(painting(*regions)(image.file()))


def test_smallest_and_largest_values_are_those_of_the_painted_image() -> None:
    """What was the largest in the region counts no more; of the series the values hold what was painted."""
    image = Image.random(1, 2, 9, 12, "MONOCHROME2", stored=12, high_bit=11, signed=True)
    values = image.values.clip(-900, 900)
    values[:, 3, 3] = 2000
    image = replace(image, values=values)
    extra = [
        Element(0x00280106 + n, "SS", value.to_bytes(2, "little", signed=True))
        for n, value in enumerate((int(values.min()), 2000, -1000, 2040))
    ]
    result = read(painting(Region(2, 2, 3, 3))(image.file(EXPLICIT, "OW", *extra)))
    painted = image.painted((-2048,), Region(2, 2, 3, 3)).values

    found = [result[0x00280106 + n].value for n in range(4)]
    assert [-2048, int(painted.max()), -2048, 2040] == found
    assert int(painted.max()) < 2000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Rows": 14}, "its length must be"),
        ({"Rows": 12}, "its length must be"),
        ({"Rows": None}, "must be at least 1"),
        ({"Columns": 0}, "must be at least 1"),
        ({"NumberOfFrames": "0"}, "must be at least 1"),
        ({"NumberOfFrames": "many"}, "must be at least 1"),
        ({"BitsAllocated": 12}, "BitsAllocated must be"),
        ({"BitsStored": 17}, "BitsStored and HighBit must fit"),
        ({"BitsStored": 0}, "BitsStored and HighBit must fit"),
        ({"HighBit": 16}, "BitsStored and HighBit must fit"),
        ({"SamplesPerPixel": 3}, "PhotometricInterpretation must be"),
        ({"PhotometricInterpretation": "HSV"}, "PhotometricInterpretation must be"),
        ({"PhotometricInterpretation": None}, "PhotometricInterpretation must be"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "palettes must be there"),
    ],
)
def test_a_form_that_cannot_be_is_refused(change: dict[str, Any], message: str) -> None:
    """Nothing is painted where it would be anywhere but where it belongs."""
    image = Image.random(1, 3, 13, 11, "MONOCHROME2")
    assert_refused(image.attributes(**change), image.native(), message)


def test_words_of_32_bits_in_big_endian_are_refused_unless_any_order_is_right() -> None:
    """They are read in two ways; what has all its bits set or clear is the same in both."""
    image = Image.random(1, 1, 5, 5, "MONOCHROME2", allocated=32, stored=32, high_bit=31, signed=True)
    with pytest.raises(InstanceFailed, match="read in two ways"):
        painting(Region(1, 1, 2, 2))(image.file(BIG))
    image = Image.random(1, 1, 5, 5, "MONOCHROME2", allocated=32, stored=32, high_bit=31)

    result = pixels_of(painting(Region(1, 1, 2, 2))(image.file(BIG)))
    assert image.painted((0,), Region(1, 1, 2, 2)).native(BIG) == result


def assert_refused(attributes: dict[str, Any], pixels: bytes, message: str) -> None:
    """Assert that an image cannot be painted, for the reason that is given."""
    data = instance(Element(0x7FE00010, "OW", pixels), **attributes)
    with pytest.raises(InstanceFailed, match=message) as caught:
        painting(Region(1, 1, 2, 2))(data)
    assert ReasonCode.UNSAFE_CONTENT is caught.value.code


def test_an_image_whose_regions_lie_outside_is_not_called_clean() -> None:
    """Nothing is painted, nothing is claimed."""
    image = Image.random(1, 1, 5, 5, "MONOCHROME2")
    result = read(painting(Region(5, 0, 9, 9))(image.file(IMPLICIT, BurnedInAnnotation="YES")))

    assert image.native() == result.PixelData
    assert "YES" == result.BurnedInAnnotation
    assert ["113100"] == [item.CodeValue for item in result.DeidentificationMethodCodeSequence]


def test_overlays_in_painted_bits_are_cleared_and_painted() -> None:
    """Bits that hold an overlay are clear in every pixel, black ones with a sign among them."""
    image = Image.random(1, 2, 9, 12, "MONOCHROME2", stored=12, high_bit=11, signed=True)
    noisy = np.frombuffer(image.native(), "<u2") | 0x8000
    numbers = {0x0010: 9, 0x0011: 12, 0x0100: 16, 0x0102: 15}
    overlay = [Element(0x60000000 | number, "US", value.to_bytes(2, "little")) for number, value in numbers.items()]
    data = instance(*overlay, Element(0x7FE00010, "OW", noisy.tobytes()), **image.attributes())
    result = np.frombuffer(pixels_of(painting(Region(2, 2, 3, 3))(data)), "<u2")
    expected = np.frombuffer(image.painted((-2048,), Region(2, 2, 3, 3)).native(), "<u2") & 0x7FFF

    assert expected.tolist() == result.tolist()


def test_deflated_results_can_be_read() -> None:
    """The whole dataset is one stream again."""
    image = Image.random(1, 1, 50, 50, "MONOCHROME2")
    result = read(painting(Region(1, 1, 9, 9))(image.file(DEFLATED)))

    assert image.painted((0,), Region(1, 1, 9, 9)).native() == result.PixelData
