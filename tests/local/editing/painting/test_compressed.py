"""Regions of compressed frames become black, all other pixels stay, and the transfer syntax is the source's."""

from __future__ import annotations

import importlib.util
import io
import shutil
import struct
import subprocess
from typing import TYPE_CHECKING, Any

import imagecodecs
import jpeg_ls
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.encaps import parse_basic_offsets
from pydicom.pixels.encoders.base import get_encoder
from pydicom.uid import RLELossless

from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.core.pixels.regions import Region
from tests.dicom_files import Element
from tests.local.editing.painting.images import PIXEL_DATA, Image, Pixels, frames_of, painting
from tests.local.edits import read
from tests.local.strategies import PROPERTY

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RLE = "1.2.840.10008.1.2.5"
DICOM = "1.2.840.10008.1.2.4."
REGIONS = (Region(3, 2, 25, 14), Region(-4, 29, 26, 50))


def rle(values: Pixels, image: Image) -> bytes:
    """Encode one frame by pydicom's own encoder."""
    data = values.astype(f"<u{image.allocated // 8}").tobytes()
    return get_encoder(RLELossless).encode(data, encoding_plugin="pydicom", **_options(image, values))


def _options(image: Image, values: Pixels) -> dict[str, Any]:
    return {
        "rows": values.shape[0],
        "columns": values.shape[1],
        "samples_per_pixel": values.shape[2],
        "photometric_interpretation": "MONOCHROME2" if values.shape[2] == 1 else image.photometric,
        "bits_allocated": image.allocated,
        "bits_stored": image.stored,
        "pixel_representation": int(image.signed),
        "planar_configuration": 0,
        "number_of_frames": 1,
    }


def jpeg_lossless(values: Pixels, image: Image, predictor: int = 1) -> bytes:
    """Encode one frame."""
    array = _array(values, image, signed=False)
    colour = None if array.ndim == 2 else "rgb"  # whatever they are; libjpeg-turbo writes no sound YCbCr
    return bytes(
        imagecodecs.jpeg8_encode(
            *(array,),
            lossless=True,
            predictor=predictor,
            bitspersample=image.stored,
            colorspace=colour,
            outcolorspace=colour,
        )
    )


def jpeg_ls_of(values: Pixels, image: Image) -> bytes:
    """Encode one frame line by line, where samples are several."""
    array = _array(values, image, signed=False)
    samples = values.shape[2]
    mode = 1 if samples > 1 else None
    return bytes(jpeg_ls.encode_buffer(array.tobytes(), *values.shape[:2], samples, image.stored, interleave_mode=mode))


def jpeg_2000(values: Pixels, image: Image) -> bytes:
    """Encode one frame."""
    return bytes(
        imagecodecs.jpeg2k_encode(
            _array(values, image),
            level=0,
            codecformat="J2K",
            bitspersample=image.stored,
            reversible=True,
            mct=image.photometric == "YBR_RCT",
        )
    )


def htj2k(values: Pixels, image: Image) -> bytes:
    """Encode one frame."""
    return bytes(imagecodecs.htj2k_encode(_array(values, image), reversible=True, rgb=image.photometric == "YBR_RCT"))


def _array(values: Pixels, image: Image, *, signed: bool | None = None) -> Pixels:
    """Return a frame as codecs take it."""
    width = 1 if image.stored <= 8 else 2
    kind = "i" if image.signed and signed is None else "u"
    masked = values if kind == "i" else values & (1 << image.stored) - 1
    array = masked.astype(f"{kind}{width}")
    return array[..., 0] if array.shape[2] == 1 else array


CODECS: dict[str, Callable[[Pixels, Image], bytes]] = {
    RLE: rle,
    DICOM + "57": lambda values, image: jpeg_lossless(values, image, 6),  # not the one that painting takes
    DICOM + "70": jpeg_lossless,
    DICOM + "80": jpeg_ls_of,
    DICOM + "81": jpeg_ls_of,
    DICOM + "90": jpeg_2000,
    DICOM + "91": jpeg_2000,
    DICOM + "201": htj2k,
    DICOM + "202": htj2k,
    DICOM + "203": htj2k,
}
BYTES: dict[str, Any] = {"allocated": 8, "stored": 8, "high_bit": 7}
FORMS: list[tuple[str, dict[str, Any], tuple[int, ...]]] = [
    ("MONOCHROME2", BYTES, (0,)),
    ("MONOCHROME1", BYTES, (255,)),
    ("MONOCHROME2", {"stored": 12, "high_bit": 11}, (0,)),
    ("MONOCHROME1", {"stored": 12, "high_bit": 11}, (4095,)),
    ("MONOCHROME2", {"stored": 16, "high_bit": 15, "signed": True}, (-32768,)),
    ("RGB", BYTES, (0, 0, 0)),
    ("YBR_FULL", BYTES, (0, 128, 128)),
]


def source(syntax: str, photometric: str, form: dict[str, Any], frames: int = 2, **more: Any) -> tuple[Image, bytes]:
    """Return an image, and its file."""
    image = Image.random(3, frames, 41, 37, photometric, **form)
    coded = [CODECS[syntax](frame, image) for frame in image.values]
    return image, image.compressed(syntax, coded, **more)


@PROPERTY
@given(
    st.integers(1, 30),
    st.integers(1, 30),
    st.sampled_from([form for form in FORMS if form[0] != "YBR_FULL"]),
    st.booleans(),
    st.builds(Region, st.integers(-5, 29), st.integers(-5, 29), st.integers(1, 30), st.integers(1, 30)),
)
def test_rle_of_any_size(
    rows: int, columns: int, form: tuple[str, dict[str, Any], tuple[int, ...]], is_flat: bool, region: Region
) -> None:
    """Whatever the rows look like; those outside stay as they are encoded."""
    photometric, bits, black = form
    image = Image.random(1, 2, rows, columns, photometric, **bits)
    if is_flat:
        image.values[...] = image.values // 64
    data = image.compressed(RLE, [rle(frame, image) for frame in image.values])
    result = painting(region)(data)
    mask = (1 << image.stored) - 1

    assert np.array_equal(image.painted(black, region).values & mask, frames_of(result, "pydicom") & mask)


def test_rows_of_rle_outside_the_regions_keep_their_bytes() -> None:
    """An encoder that makes other runs than ours is not corrected where nothing is painted."""
    image = Image.random(1, 1, 3, 4, "MONOCHROME2", **BYTES)
    image.values[...] = 7
    rows = b"\x01\x07\x07\x01\x07\x07" * 3  # four equal bytes as two literal runs
    frame = struct.pack("<16L", 1, 64, *[0] * 14) + rows
    result = read(painting(Region(0, 1, 1, 1))(image.compressed(RLE, [frame]))).PixelData

    assert rows[:6] in result
    assert 2 == result.count(rows[:6])


def test_smallest_and_largest_values_of_decoded_frames() -> None:
    """They are found out frame by frame."""
    for syntax in (RLE, DICOM + "90"):
        image = Image.random(1, 2, 41, 37, "MONOCHROME2", stored=16, high_bit=15, signed=True)
        values = image.values.clip(-900, 900)
        values[1, 3, 3] = 2000
        image = Image(values, "MONOCHROME2", stored=16, high_bit=15, signed=True)
        extra = [
            Element(0x00280106 + n, "SS", v.to_bytes(2, "little", signed=True)) for n, v in enumerate((-900, 2000))
        ]
        coded = [CODECS[syntax](frame, image) for frame in image.values]
        result = read(painting(*REGIONS)(image.compressed(syntax, coded, *extra)))

        largest = int(image.painted((-32768,), *REGIONS).values.max())
        assert (-32768, largest) == (result[0x00280106].value, result[0x00280107].value)


class TestOffsetTables:
    """Frames are found by them, and new ones are right."""

    @pytest.mark.parametrize("filled", [False, True])
    @pytest.mark.parametrize("syntax", [RLE, DICOM + "80"])
    def test_basic(self, syntax: str, filled: bool) -> None:
        """An empty one stays empty, a filled one names where frames begin now."""
        image, _ = source(syntax, "MONOCHROME2", BYTES, 3)
        coded = [frame + b"\0" * (len(frame) % 2) for frame in (CODECS[syntax](one, image) for one in image.values)]
        offsets = [sum(len(one) + 8 for one in coded[:n]) for n in range(3)]
        table = struct.pack("<3L", *offsets) if filled else b""
        result = painting(*REGIONS)(image.compressed(syntax, coded, table=table))
        found = parse_basic_offsets(read(result).PixelData)

        assert np.array_equal(image.painted((0,), *REGIONS).values, frames_of(result))
        items = list(_items(read(result).PixelData))[1:]
        assert ([start - items[0][0] for start, _ in items] if filled else []) == found

    def test_extended(self) -> None:
        """Offsets and lengths are those of the new frames."""
        syntax = DICOM + "80"
        image, _ = source(syntax, "MONOCHROME2", BYTES, 3)
        coded = [frame + b"\0" * (len(frame) % 2) for frame in (CODECS[syntax](one, image) for one in image.values)]
        tables = [
            struct.pack("<3Q", *(sum(len(one) + 8 for one in coded[:n]) for n in range(3))),
            struct.pack("<3Q", *map(len, coded)),
        ]
        extra = [Element(0x7FE00001 + n, "OV", table) for n, table in enumerate(tables)]
        result = painting(*REGIONS)(image.compressed(syntax, coded, *extra))
        dataset = read(result)
        items = list(_items(dataset.PixelData))[1:]

        assert np.array_equal(image.painted((0,), *REGIONS).values, frames_of(result))
        assert [start - items[0][0] for start, _ in items] == list(struct.unpack("<3Q", dataset[0x7FE00001].value))
        assert [length for _, length in items] == list(struct.unpack("<3Q", dataset[0x7FE00002].value))

    @pytest.mark.parametrize("filled", [False, True])
    def test_several_fragments_per_frame(self, filled: bool) -> None:
        """Without a table, frames begin as code streams do."""
        syntax = DICOM + "90"
        image, _ = source(syntax, "MONOCHROME2", BYTES, 3)
        fragments: list[bytes] = []
        offsets = []
        for frame in image.values:
            data = jpeg_2000(frame, image)
            data += b"\0" * (len(data) % 2)
            offsets.append(sum(len(one) + 8 for one in fragments))
            fragments += [data[:200], data[200:600], data[600:]]
        table = struct.pack("<3L", *offsets) if filled else b""
        result = painting(*REGIONS)(image.compressed(syntax, fragments, table=table))

        assert np.array_equal(image.painted((0,), *REGIONS).values, frames_of(result))

    @pytest.mark.parametrize("table", [b"", struct.pack("<2L", 0, 8), struct.pack("<3L", 0, 10, 20)])
    def test_other_numbers_of_frames_are_refused(self, table: bytes) -> None:
        """What cannot be told apart is not painted."""
        image, _ = source(RLE, "MONOCHROME2", BYTES, 2)
        coded = [rle(frame, image) for frame in image.values]
        with pytest.raises(InstanceFailed, match=r"its fragments must|its offset table must"):
            painting(*REGIONS)(image.compressed(RLE, coded, NumberOfFrames="3", table=table))


def _items(data: bytes) -> list[tuple[int, int]]:
    """Return start and length of each item of an encapsulated value."""
    found, at = [], 0
    while at + 8 <= len(data) and data[at : at + 4] == b"\xfe\xff\x00\xe0":
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        found.append((at, length))
        at += 8 + length
    return found


class TestLoss:
    """What was compressed with loss is written without more, and says what it went through."""

    @pytest.mark.parametrize("stated", [None, "01"])
    def test_jpeg_2000(self, stated: str | None) -> None:
        """The pixels that the source decodes to are the result's; the transform is the one without loss."""
        image = Image.random(1, 1, 64, 48, "YBR_ICT", **BYTES)
        smooth = (image.values[0] // 8 + np.arange(48)[None, :, None]).astype("u1")
        frame = bytes(imagecodecs.jpeg2k_encode(smooth, level=35, codecformat="J2K", reversible=False, mct=True))
        ratio: dict[str, Any] = (
            {"LossyImageCompressionRatio": "12.5", "LossyImageCompressionMethod": "ISO_15444_1"} if stated else {}
        )
        data = image.compressed(DICOM + "91", [frame], LossyImageCompression=stated, **ratio)
        before, result = frames_of(data), painting(*REGIONS)(data)
        after, dataset = frames_of(result), read(result)

        mask = image.painted((-1, -1, -1), *REGIONS).values[..., 0] >= 0
        assert np.array_equal(before[mask], after[mask])
        assert not after[~mask].any()
        assert ("01", "ISO_15444_1") == (dataset.LossyImageCompression, dataset.LossyImageCompressionMethod)
        assert (12.5 if stated else None) == dataset.get("LossyImageCompressionRatio")
        assert "YBR_RCT" == dataset.PhotometricInterpretation

    def test_jpeg_ls(self) -> None:
        """Near-lossless."""
        image = Image.random(1, 1, 64, 48, "MONOCHROME2", **BYTES)
        frame = bytes(jpeg_ls.encode_buffer(image.values.astype("u1").tobytes(), 64, 48, 1, 8, lossy_error=5))
        data = image.compressed(DICOM + "81", [frame])
        result = painting(*REGIONS)(data)
        mask = image.painted((-1,), *REGIONS).values >= 0

        assert np.array_equal(frames_of(data)[mask], frames_of(result)[mask])
        assert not frames_of(result)[~mask].any()
        assert ("01", "ISO_14495_1") == (read(result).LossyImageCompression, read(result).LossyImageCompressionMethod)

    def test_it_can_be_refused(self) -> None:
        """``pixels.lossy: refuse``; what is painted in its coded form is not."""
        _, data = source(DICOM + "91", "MONOCHROME2", BYTES)
        with pytest.raises(InstanceFailed, match="must not be compressed with loss"):
            painting(*REGIONS, lossy="refuse")(data)
        _, data = source(DICOM + "90", "MONOCHROME2", BYTES)
        assert painting(*REGIONS, lossy="refuse")(data) == painting(*REGIONS)(data)


@pytest.mark.parametrize("missing", ["imagecodecs", "jpeg_ls"])
def test_without_a_codec_the_message_says_what_to_install(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """RLE needs none."""
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == missing else find(name, *rest))
    _, data = source(DICOM + "80", "MONOCHROME2", BYTES)
    with pytest.raises(InstanceFailed, match=r"pip install 'deidflow\[codecs\]'") as caught:
        painting(*REGIONS)(data)

    assert ReasonCode.UNSAFE_CONTENT is caught.value.code
    _, data = source(RLE, "MONOCHROME2", BYTES)
    assert "NO" == read(painting(*REGIONS)(data)).BurnedInAnnotation


@pytest.mark.parametrize("syntax", [RLE, DICOM + "50", DICOM + "70", DICOM + "80", DICOM + "90", DICOM + "201"])
@pytest.mark.parametrize("frame", [b"", b"\0\0", b"\xff\xd8\xff\xd9", b"\xff\x4f\xff\x51\0\0", bytes(70)])
def test_frames_that_are_none_are_refused(syntax: str, frame: bytes) -> None:
    """Damaged frames, and such as are none of their syntax."""
    image = Image.random(1, 1, 41, 37, "MONOCHROME2", **BYTES)
    with pytest.raises(InstanceFailed, match="its f"):
        painting(*REGIONS)(image.compressed(syntax, [frame]))


@pytest.mark.parametrize("syntax", [syntax for syntax in CODECS if syntax != DICOM + "57"])
def test_frames_of_another_size_are_refused(syntax: str) -> None:
    """Rows and Columns of the dataset are not those of its frames: regions would lie elsewhere."""
    image, _ = source(syntax, "MONOCHROME2", BYTES, 1)
    with pytest.raises(InstanceFailed, match="its frames must"):
        painting(*REGIONS)(image.compressed(syntax, [CODECS[syntax](image.values[0], image)], Rows=40, Columns=38))


@pytest.mark.parametrize("syntax", [DICOM + "100", DICOM + "102", DICOM + "110", "1.2.840.10008.1.2.4.53"])
def test_other_syntaxes_are_refused(syntax: str) -> None:
    """Video, and what no codec here encodes."""
    image = Image.random(1, 1, 41, 37, "MONOCHROME2", **BYTES)
    with pytest.raises(InstanceFailed) as caught:
        painting(*REGIONS)(image.compressed(syntax, [b"\0\0\1\xba"]))
    assert ReasonCode.UNSAFE_CONTENT is caught.value.code


@pytest.mark.parametrize(
    ("syntax", "tool"),
    [(RLE, "dcmdrle"), (DICOM + "70", "dcmdjpeg"), (DICOM + "57", "dcmdjpeg"), (DICOM + "80", "dcmdjpls")],
)
@pytest.mark.parametrize("form", [("MONOCHROME2", {"stored": 12, "high_bit": 11}), ("RGB", BYTES)])
def test_dcmtk_reads_the_result(syntax: str, tool: str, form: tuple[str, dict[str, Any]], tmp_path: Path) -> None:
    """A second decoder, of another family."""
    if shutil.which(tool) is None:
        pytest.skip("no DCMTK")
    image, data = source(syntax, *form)
    (tmp_path / "in.dcm").write_bytes(painting(*REGIONS)(data))
    subprocess.run([tool, "in.dcm", "out.dcm"], cwd=tmp_path, check=True, capture_output=True)
    dataset = dcmread(io.BytesIO((tmp_path / "out.dcm").read_bytes()))
    black = (0,) * image.values.shape[3]

    array = dataset.pixel_array.reshape(image.values.shape)
    assert np.array_equal(image.painted(black, *REGIONS).values, array)
    assert PIXEL_DATA in dataset


def test_the_length_of_the_group_of_coded_pixels_stays_true() -> None:
    """It is retired, and some files have it: all that follows in the group, to its last byte."""
    image, _ = source(RLE, "MONOCHROME2", BYTES, 2)
    frames = [rle(frame, image) for frame in image.values]
    length = Element(
        0x7FE00000, "UL", (12 + 8 + sum(8 + len(one) + len(one) % 2 for one in frames) + 8).to_bytes(4, "little")
    )
    result = painting(*REGIONS)(image.compressed(RLE, frames, length))
    header = b"\xe0\x7f\x00\x00UL\x04\x00"
    at = result.index(header) + len(header)

    assert len(result) - at - 4 == int.from_bytes(result[at : at + 4], "little")
    assert np.array_equal(image.painted((0,), *REGIONS).values, frames_of(result))
