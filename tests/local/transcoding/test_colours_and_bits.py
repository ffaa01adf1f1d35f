"""Colours, bits and widths of pixels are the same in another transfer syntax, and it says how they are to be read."""

from __future__ import annotations

import io
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread

from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.local.transcoding.transcoder import transcode
from tests.dicom_files import BIG, DEFLATED, EXPLICIT, IMPLICIT, Element, Syntax, instance
from tests.local.editing.painting.images import Image, frames_of
from tests.local.editing.painting.test_compressed import BYTES, CODECS, DICOM, RLE
from tests.local.edits import read
from tests.local.strategies import PROPERTY

if TYPE_CHECKING:
    from pathlib import Path

CODED = (RLE, DICOM + "57", DICOM + "70", DICOM + "80", DICOM + "90")
BITS: dict[str, Any] = {"allocated": 1, "stored": 1, "high_bit": 0}


def coded(image: Image, syntax: str, **more: Any) -> bytes:
    """Return a file of an image in a lossless syntax."""
    return image.compressed(syntax, [CODECS[syntax](frame, image) for frame in image.values], **more)


def assert_is(image: Image, data: bytes, photometric: str) -> None:
    """Assert that a file has these pixels, to the last bit, and says how they are to be read."""
    mask = (1 << image.stored) - 1

    assert photometric == read(data).PhotometricInterpretation
    assert image.allocated == read(data).BitsAllocated
    assert np.array_equal(image.values & mask, frames_of(data) & mask)


@pytest.mark.parametrize("planar", [0, 1])
@pytest.mark.parametrize("syntax", [*CODED, DICOM + "201"])
@pytest.mark.parametrize("photometric", ["YBR_FULL", "YBR_FULL_422", "RGB"])
def test_what_was_coded_without_loss_is_not_converted(photometric: str, syntax: str, planar: int) -> None:
    """Samples stay, in the order of pixels, whatever PlanarConfiguration says of frames that have no planes."""
    if (photometric, syntax) == ("YBR_FULL_422", RLE):
        return  # no encoder writes it, and no decoder reads it
    image = Image.random(1, 2, 41, 38, photometric, **BYTES, planar=planar)
    data = coded(image, syntax)

    for target in (EXPLICIT.uid, RLE) if planar else (EXPLICIT.uid, BIG.uid, *CODED):
        if target != syntax:
            result = transcode(data, target)
            assert_is(image, result, "RGB" if photometric == "RGB" else "YBR_FULL")
            assert 0 == read(result).PlanarConfiguration


def test_transformed_colours_are_red_green_and_blue_elsewhere() -> None:
    """The decoder of JPEG 2000 takes the transform back."""
    image = Image.random(1, 2, 41, 38, "YBR_RCT", **BYTES)

    for target in (IMPLICIT.uid, RLE, DICOM + "70"):
        assert_is(image, transcode(coded(image, DICOM + "90"), target), "RGB")


@settings(PROPERTY, max_examples=25)
@given(
    st.integers(1, 3),
    st.integers(1, 20),
    st.integers(1, 10),
    st.sampled_from([EXPLICIT, IMPLICIT, BIG]),
    st.sampled_from(CODED),
    st.booleans(),
)
def test_two_pixels_that_shared_a_colour_have_it_both(
    frames: int, rows: int, pairs: int, syntax: Syntax, target: str, is_wide: bool
) -> None:
    """YBR_FULL_422 becomes YBR_FULL, from which it could be made again: nothing is lost."""
    form = {} if is_wide and target not in {RLE, DICOM + "80"} else BYTES  # where 16 bits of YBR_FULL are allowed
    if target.endswith((".80", ".90")):
        rows, pairs = rows + 32, pairs + 16  # their encoders do not take smaller ones
    image = Image.random(1, frames, rows, 2 * pairs, "YBR_FULL_422", **form)
    result = transcode(image.file(syntax), target)

    assert_is(image, result, "YBR_FULL")
    assert result == transcode(image.file(syntax), target)
    back = frames_of(transcode(result, EXPLICIT.uid))
    assert np.array_equal(back[:, :, 0::2, 1:], back[:, :, 1::2, 1:])


@pytest.mark.parametrize("target", CODED)
@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL", "YBR_FULL_422"])
def test_others_take_colours_for_what_they_are(photometric: str, target: str) -> None:
    """No name of a component, and no marker, contradicts PhotometricInterpretation, which pydicom would believe."""
    image = Image.random(1, 1, 41, 38, photometric, **BYTES)
    data = image.file()
    shown, found = (dcmread(io.BytesIO(one)).pixel_array for one in (data, transcode(data, target)))

    assert np.array_equal(shown, found)


def test_halved_colours_stay_where_they_may() -> None:
    """No uncompressed syntax changes them."""
    image = Image.random(1, 3, 7, 10, "YBR_FULL_422", **BYTES)

    for target in (IMPLICIT, BIG):
        assert_is(image, transcode(image.file(), target.uid), "YBR_FULL_422")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Columns": 9}, "an even number of Columns"),
        ({"PlanarConfiguration": 1}, "must stand pixel by pixel"),
        ({"PhotometricInterpretation": "YBR_PARTIAL_422"}, "leave options.Transcode out"),
    ],
)
def test_halved_colours_that_cannot_be_told_apart(change: dict[str, Any], message: str) -> None:
    """They fail, and the reason says what must be."""
    image = Image.random(1, 1, 8, 10, "YBR_FULL_422", **BYTES)
    for target in CODED:
        with pytest.raises(InstanceFailed, match=message) as caught:
            transcode(image.file(**change), target)
        assert ReasonCode.TRANSCODING_FAILED is caught.value.code


@pytest.mark.parametrize("syntax", [RLE, DICOM + "90"])
def test_retired_colours_have_no_name_when_they_are_decoded(syntax: str) -> None:
    """Of the reduced range there is none in which each pixel has its own colour."""
    image = Image.random(1, 1, 41, 38, "YBR_FULL", **BYTES)
    with pytest.raises(InstanceFailed, match=r"leave options\.Transcode out"):
        transcode(coded(image, syntax, PhotometricInterpretation="YBR_PARTIAL_422"), EXPLICIT.uid)


@pytest.mark.parametrize(("syntax", "vr"), [(EXPLICIT, "OB"), (EXPLICIT, "OW"), (IMPLICIT, "OW"), (BIG, "OW")])
def test_pixels_of_one_bit(syntax: Syntax, vr: str) -> None:
    """RLE and JPEG 2000 hold them, and give back frames that begin within a byte; the others refuse them."""
    image = Image.random(1, 3, 41, 37, "MONOCHROME2", **BITS)
    data = image.file(syntax, vr)

    for target in (RLE, DICOM + "90"):
        result = transcode(data, target)
        assert_is(image, result, "MONOCHROME2")
        assert image.native() == read(transcode(result, EXPLICIT.uid)).PixelData
    for target in (DICOM + "57", DICOM + "70", DICOM + "80"):
        with pytest.raises(InstanceFailed, match="ask for an uncompressed or deflated one"):
            transcode(data, target)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("syntax", [DICOM + "57", DICOM + "70", DICOM + "80", DICOM + "90"])
def test_words_are_as_wide_as_bits_allocated(syntax: str, signed: bool) -> None:
    """A code stream of 7 bits in an image of 16 bits allocated."""
    image = Image.random(1, 2, 41, 37, "MONOCHROME2", stored=7, high_bit=6, signed=signed)

    for target in (EXPLICIT.uid, RLE):
        assert_is(image, transcode(coded(image, syntax), target), "MONOCHROME2")


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("stored", [1, 2, 7, 8, 9])
@pytest.mark.parametrize("target", CODED)
def test_few_bits_of_wide_words(target: str, stored: int, signed: bool) -> None:
    """An image of 16 bits allocated that stores a byte or less is the same in each syntax, and back."""
    image = Image.random(1, 2, 41, 37, "MONOCHROME2", stored=stored, high_bit=stored - 1, signed=signed)
    if target.endswith(".80") and stored == 1:
        return  # PS3.5 section 8.2.3: two bits or more
    result = transcode(image.file(), target)

    assert_is(image, result, "MONOCHROME2")
    assert image.native() == read(transcode(result, EXPLICIT.uid)).PixelData


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize(("stored", "high_bit"), [(12, 15), (10, 13), (12, 11), (8, 15)])
@pytest.mark.parametrize("target", CODED)
def test_bits_beside_those_that_count(target: str, stored: int, high_bit: int, signed: bool) -> None:
    """Whole words come back, wherever in them a pixel stands, and whatever stands beside it, as overlays once did."""
    image = Image.random(1, 2, 41, 37, "MONOCHROME2")
    data = image.file(BitsStored=stored, HighBit=high_bit, PixelRepresentation=int(signed))
    result = transcode(transcode(data, target), EXPLICIT.uid)

    assert image.native() == read(result).PixelData


@pytest.mark.parametrize("target", CODED)
def test_what_a_syntax_does_not_hold_is_told(target: str) -> None:
    """Pixels of 32 bits: what to ask for instead."""
    image = Image.random(1, 1, 41, 37, "MONOCHROME2", allocated=32, stored=32, high_bit=31)
    with pytest.raises(InstanceFailed, match="ask for an uncompressed or deflated one") as caught:
        transcode(image.file(), target)

    assert ReasonCode.TRANSCODING_FAILED is caught.value.code


@pytest.mark.parametrize(("tag", "vr"), [(0x7FE00008, "OF"), (0x7FE00009, "OD")])
def test_floats_are_written_uncompressed_alone(tag: int, vr: str) -> None:
    """No transfer syntax compresses them."""
    image = Image(np.zeros((2, 7, 5, 1)), allocated=32 if vr == "OF" else 64)
    values = np.random.default_rng(2).normal(0, 9, (2, 7, 5)).astype("<f4" if vr == "OF" else "<f8")
    attributes = image.attributes(BitsStored=None, HighBit=None, PixelRepresentation=None)
    data = instance(Element(tag, vr, values.tobytes()), **attributes)

    for target in (IMPLICIT, BIG, DEFLATED):
        found = read(transcode(data, target.uid))[tag].value
        assert (values if target.little else values.byteswap()).tobytes() == found
    for coded_as in CODED:
        with pytest.raises(InstanceFailed, match="ask for an uncompressed or deflated one"):
            transcode(data, coded_as)


@pytest.mark.skipif(not shutil.which("dcmdrle"), reason="needs DCMTK's tools (Debian: apt-get install dcmtk)")
@pytest.mark.parametrize(("target", "tool"), [(RLE, "dcmdrle"), (DICOM + "70", "dcmdjpeg"), (DICOM + "80", "dcmdjpls")])
def test_dcmtk_reads_colours_that_were_halved(target: str, tool: str, tmp_path: Path) -> None:
    """A second decoder, told to convert no colours."""
    image = Image.random(1, 2, 41, 38, "YBR_FULL_422", **BYTES)
    (tmp_path / "in").write_bytes(transcode(image.file(), target))
    keeps = ["--conv-never"] if tool == "dcmdjpeg" else []
    subprocess.run([tool, *keeps, tmp_path / "in", tmp_path / "out"], check=True, capture_output=True)

    assert "YBR_FULL" == dcmread(tmp_path / "out").PhotometricInterpretation
    assert np.array_equal(image.values, frames_of((tmp_path / "out").read_bytes()))
