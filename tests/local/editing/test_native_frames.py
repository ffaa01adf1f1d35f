"""Behind the frames of uncompressed pixel data nothing is left under the profile; the frames are what they were."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydicom.data import get_testdata_file

from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.core.request.profile_choice import ProfileChoice
from tests.dicom_files import BIG, DEFLATED, EXPLICIT, IMPLICIT, Element, Syntax, grey, instance
from tests.local.editing.test_shared_header import compare_series
from tests.local.edits import anonymize, deidentify, read

NAME = b"Kowalczyk^Zenobia "
STANDARD = deidentify(ProfileChoice())


def pixels(data: bytes, number: int = 1, syntax: Syntax = EXPLICIT, **says: Any) -> bytes:
    """Return an image of 8 x 8 bytes, unless it says otherwise, with some value of pixel data."""
    values = {"SOPInstanceUID": f"1.2.3.1.1.{number}", "InstanceNumber": str(number), **grey(), **says}
    vr = "OB" if syntax.explicit and says.get("BitsAllocated", 8) == 8 else "OW"
    return instance(Element(0x7FE00010, vr, data), syntax=syntax, **values)


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG, DEFLATED])
@pytest.mark.parametrize(
    ("length", "says"),
    [
        (64, {}),
        (192, {"NumberOfFrames": "3"}),
        (128, {"BitsAllocated": 16, "BitsStored": 12, "HighBit": 11}),
        (192, {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0}),
        (128, {"SamplesPerPixel": 3, "PhotometricInterpretation": "YBR_FULL_422", "PlanarConfiguration": 0}),
        (63, {"Rows": 7, "Columns": 9}),
        (24, {"BitsAllocated": 1, "BitsStored": 1, "HighBit": 0, "Rows": 12, "Columns": 16}),
    ],
)
def test_octets_behind_frames_become_blank(length: int, says: dict[str, Any], syntax: Syntax) -> None:
    """Also the byte that makes a length even, once there are more; nothing changes its length."""
    image = bytes(1 + k % 250 for k in range(length))
    data = image + NAME + b"x" * (length % 2)

    result = read(STANDARD(pixels(data, syntax=syntax, **says))).PixelData

    assert image + bytes(len(data) - length) == result


@pytest.mark.parametrize(
    "says",
    [
        {"Rows": None},
        {"PhotometricInterpretation": None},
        {"NumberOfFrames": "many"},
        {"BitsAllocated": 12},
        {"NumberOfFrames": "1" + " " * 17},
    ],
)
def test_where_nothing_tells_where_frames_end_all_stays(says: dict[str, Any]) -> None:
    """What is behind them cannot be told from them."""
    given = {**grey(), **says}
    data = instance(
        Element(0x7FE00010, "OB", bytes(range(64)) + NAME), **{name: one for name, one in given.items() if one}
    )

    assert bytes(range(64)) + NAME == read(STANDARD(data)).PixelData


def test_an_orthanc_s_profile_leaves_them() -> None:
    """As an Orthanc does."""
    data = bytes(range(64)) + NAME

    assert data == read(anonymize({})(pixels(data))).PixelData


@pytest.mark.parametrize("frames", [1, 2])
def test_colours_that_are_said_to_be_halved_and_are_not(frames: int) -> None:
    """As decoders of JPEG often leave them: all of it is image, and what stands behind that goes."""
    says: dict[str, Any] = {"SamplesPerPixel": 3, "PhotometricInterpretation": "YBR_FULL_422"}
    says["NumberOfFrames"] = str(frames)
    image = bytes(1 + k % 250 for k in range(192 * frames))

    compare_series(
        [pixels(image[: 128 * frames], number, **says) for number in (1, 2, 3)] + [pixels(image, **says)], STANDARD
    )
    assert image == read(STANDARD(pixels(image, **says))).PixelData
    assert image + bytes(len(NAME)) == read(STANDARD(pixels(image + NAME, **says))).PixelData


def test_octets_behind_pixels_that_are_fractions() -> None:
    """FloatPixelData is looked at like PixelData."""
    data = instance(Element(0x7FE00008, "OF", bytes(range(256)) + NAME + b"xx"), **grey(bits=32))

    assert bytes(range(256)) + bytes(20) == read(STANDARD(data)).FloatPixelData


def test_as_much_as_a_frame_is_refused() -> None:
    """It may be image that NumberOfFrames does not count."""
    with pytest.raises(InstanceFailed, match="PixelData is longer than Rows, Columns and NumberOfFrames say") as caught:
        STANDARD(pixels(bytes(128)))

    assert ReasonCode.UNSAFE_CONTENT is caught.value.code


@pytest.mark.parametrize("more", [(), (Element(0xFFFCFFFC, "OB", b"x" * 18),)], ids=["last", "before-padding"])
def test_one_of_a_series_has_octets_behind_its_frames(more: tuple[Element, ...]) -> None:
    """What is remembered of the others makes no difference."""
    image = bytes(range(64))
    series = [
        instance(
            Element(0x7FE00010, "OB", image + (NAME if number == 5 else b"")),
            *(() if number == 5 else more),
            SOPInstanceUID=f"1.2.3.1.1.{number}",
            InstanceNumber=str(number),
            **grey(),
        )
        for number in range(1, 9)
    ]

    compare_series(series, STANDARD)
    assert image + bytes(len(NAME)) == read(STANDARD(series[4])).PixelData


def test_a_real_file_that_is_padded() -> None:
    """Its 128 octets behind the image go."""
    data = Path(str(get_testdata_file("MR_small_padded.dcm"))).read_bytes()

    before, after = read(data).PixelData, read(STANDARD(data)).PixelData
    assert before[:8192] == after[:8192]
    assert bytes(128) == after[8192:]
