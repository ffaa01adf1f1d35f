"""Regions of sequential JPEG become black in its coded form: blocks outside keep their coefficients."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread

from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.pixels.regions import Region
from tests.local.editing.painting.images import Image, Pixels, frames_of, painting
from tests.local.edits import read
from tests.local.strategies import PROPERTY

if TYPE_CHECKING:
    from pathlib import Path

BASELINE, EXTENDED = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"
BYTES: dict[str, Any] = {"allocated": 8, "stored": 8, "high_bit": 7}
REGIONS = (Region(37, 20, 50, 30), Region(-5, 100, 30, 40))
SAMPLINGS = {"444": (1, 1), "422": (2, 1), "420": (2, 2), "440": (1, 2), "411": (4, 1)}


def textured(rows: int, columns: int, samples: int, levels: int = 256) -> Pixels:
    """Return values that JPEG keeps more or less."""
    values = np.random.default_rng(5).integers(0, levels, (rows, columns, samples)).astype(float)
    for _ in range(2):
        values = (values + np.roll(values, 1, 0) + np.roll(values, 1, 1) + np.roll(values, -1, 0)) / 4
    return values[..., 0] if samples == 1 else values


def jpeg(values: Pixels, level: int = 80, **keywords: Any) -> bytes:
    """Encode by libjpeg-turbo."""
    return bytes(imagecodecs.jpeg8_encode(values, level=level, **keywords))


def file(frames: list[bytes], photometric: str, size: tuple[int, int], **form: Any) -> bytes:
    """Return a file of frames."""
    image = Image(np.zeros((len(frames), *size, 1 if photometric.startswith("MONO") else 3)), photometric, **form)
    syntax = EXTENDED if form.get("stored") == 12 else BASELINE
    return image.compressed(syntax, frames, PlanarConfiguration=None if image.values.shape[3] == 1 else 0)


def inside(size: tuple[int, int], across: int, down: int, border: int = 0) -> Pixels:
    """Return which pixels lie in a region widened to MCUs, and some pixels more."""
    mask = np.zeros(size, bool)
    for one in REGIONS:
        region = one.clipped(size[1], size[0])
        assert region is not None
        left, top = region.x // (8 * across) * 8 * across, region.y // (8 * down) * 8 * down
        right = -(-(region.x + region.width) // (8 * across)) * 8 * across
        bottom = -(-(region.y + region.height) // (8 * down)) * 8 * down
        mask[max(0, top - border) : bottom + border, max(0, left - border) : right + border] = True
    return mask


@pytest.mark.parametrize("optimize", [False, True])
@pytest.mark.parametrize(
    ("photometric", "sampling", "colours", "black"),
    [
        ("MONOCHROME2", "444", {}, [0]),
        ("MONOCHROME1", "444", {}, [255]),
        *(("YBR_FULL" if one == "444" else "YBR_FULL_422", one, {"subsampling": one}, [0, 0, 0]) for one in SAMPLINGS),
        ("RGB", "444", {"colorspace": "rgb", "outcolorspace": "rgb"}, [0, 0, 0]),
    ],
)
def test_all_else_stays(
    photometric: str, sampling: str, colours: dict[str, Any], black: list[int], optimize: bool
) -> None:
    """Every pixel outside the MCUs of the regions is what it was.

    Where colours are halved, two pixels beside them are mixed with black when they are shown.
    """
    frame = jpeg(textured(131, 150, len(black)).astype("u1"), optimize=optimize, **colours)
    data = file([frame, frame], photometric, (131, 150), **BYTES)
    result = painting(*REGIONS)(data)
    across, down = SAMPLINGS[sampling]
    painted = [bytes(item) for item in _fragments(read(result).PixelData)]

    assert 2 == len(painted)
    before, after = imagecodecs.jpeg8_decode(frame), imagecodecs.jpeg8_decode(painted[0])
    away = ~inside((131, 150), across, down, 2 * (across * down > 1))
    assert np.array_equal(before[away], after[away])
    for region in REGIONS:
        place = region.clipped(150, 131)
        assert place is not None
        # Two pixels beside the edge of an MCU may show a colour that is mixed with that of their neighbours.
        rows = slice(place.y, place.y + place.height)
        assert np.all(after[rows, place.x + 2 : place.x + place.width - 2].max(axis=0) <= np.array(black) + 60)
    luma = _grey(after)
    core = ~inside_outside((131, 150))
    assert np.all(luma[core] <= 8 if black[0] == 0 else luma[core] == 255)
    assert painted[0] == painted[1]


def inside_outside(size: tuple[int, int]) -> Pixels:
    """Return which pixels lie outside all regions as they are given."""
    mask = np.ones(size, bool)
    for one in REGIONS:
        mask[max(0, one.y + 2) : one.y + one.height - 2, max(0, one.x + 2) : one.x + one.width - 2] = False
    return mask


def _grey(values: Pixels) -> Pixels:
    return values if values.ndim == 2 else values @ np.array([0.299, 0.587, 0.114])


def _fragments(data: bytes) -> list[bytes]:
    found, at = [], 8 + int.from_bytes(data[4:8], "little")
    while data[at : at + 4] == b"\xfe\xff\x00\xe0":
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        found.append(data[at + 8 : at + 8 + length])
        at += 8 + length
    return found


def test_twelve_bits() -> None:
    """Extended JPEG."""
    frame = jpeg(textured(131, 150, 1, 4096).astype("u2"), 90, bitspersample=12)
    result = painting(*REGIONS)(file([frame], "MONOCHROME2", (131, 150), stored=12, high_bit=11))
    before, after = (imagecodecs.jpeg8_decode(one) for one in (frame, _fragments(read(result).PixelData)[0]))
    where = inside((131, 150), 1, 1)

    assert np.array_equal(before[~where], after[~where])
    assert 0 == after[where].max() < before[where].max()


def test_other_decoders_read_the_result(tmp_path: Path) -> None:
    """Codecs of pylibjpeg and DCMTK see the same pixels outside as before."""
    frame = jpeg(textured(131, 150, 1).astype("u1"))
    data = file([frame], "MONOCHROME2", (131, 150), **BYTES)
    result = painting(*REGIONS)(data)
    where = inside((131, 150), 1, 1)
    before, after = frames_of(data)[0, ..., 0], frames_of(result)[0, ..., 0]
    assert np.array_equal(before[~where], after[~where])
    assert not after[where].any()

    tool = shutil.which("dcmdjpeg")
    if tool is None:
        pytest.skip("no DCMTK")
    arrays = []
    for name, content in (("before", data), ("after", result)):
        (tmp_path / name).write_bytes(content)
        subprocess.run([tool, name, f"{name}.dcm"], cwd=tmp_path, check=True, capture_output=True)
        arrays.append(dcmread(io.BytesIO((tmp_path / f"{name}.dcm").read_bytes())).pixel_array)
    assert np.array_equal(arrays[0][~where], arrays[1][~where])
    assert not arrays[1][where].any()


class _Writer:
    """A writer of JPEG whose blocks are flat, in whatever way: what no encoder at hand makes."""

    def __init__(self, symbols: tuple[int, ...], ac: tuple[int, ...] = (0x00,)) -> None:
        """Take the categories of its DC table, and the symbols of its AC table."""
        self.dc = {symbol: f"{code:04b}" for code, symbol in enumerate(symbols)}
        self.ac = {symbol: f"{code:02b}" for code, symbol in enumerate(ac)}

    def tables(self) -> bytes:
        """Return the tables' segment."""
        specified = b""
        for name, codes, length in ((0x00, self.dc, 4), (0x10, self.ac, 2)):
            counts = bytes(len(codes) if bits == length else 0 for bits in range(1, 17))
            specified += bytes([name]) + counts + bytes(codes)
        return b"\xff\xc4" + struct.pack(">H", 2 + len(specified)) + specified

    def block(self, difference: int) -> str:
        """Return a flat block."""
        category = abs(difference).bit_length()
        rest = difference if difference > 0 else difference + (1 << category) - 1
        return self.dc[category] + (f"{rest:0{category}b}" if category else "") + self.ac[0]


def _packed(bits: str) -> bytes:
    bits += "1" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\x00")


def flat_jpeg(
    writer: _Writer, levels: list[list[list[int]]], sampling: list[tuple[int, int]], restarts: int, *, together: bool
) -> bytes:
    """Return a JPEG of flat blocks with step 8, so that a DC coefficient is a grey level less 128.

    Args:
        writer: Of its codes.
        levels: Of each component rows of blocks.
        sampling: Of each component.
        restarts: MCUs between two, 0 for none.
        together: Whether all components are in one scan.

    """
    across, down = max(one[0] for one in sampling), max(one[1] for one in sampling)
    mcu_rows, mcu_columns = len(levels[0]) // sampling[0][1], len(levels[0][0]) // sampling[0][0]
    size = struct.pack(">BHHB", 8, 8 * down * mcu_rows, 8 * across * mcu_columns, len(levels))
    size += b"".join(bytes([n + 1, a << 4 | d, 0]) for n, (a, d) in enumerate(sampling))
    out = b"\xff\xd8\xff\xdb\x00\x43\x00" + bytes([8]) * 64 + b"\xff\xc0" + struct.pack(">H", 2 + len(size)) + size
    out += writer.tables() + (b"\xff\xdd\0\4" + struct.pack(">H", restarts) if restarts else b"")
    for scan in [range(len(levels))] if together else [[n] for n in range(len(levels))]:
        header = bytes([len(scan)]) + b"".join(bytes([n + 1, 0]) for n in scan) + b"\0\x3f\0"
        out += b"\xff\xda" + struct.pack(">H", 2 + len(header)) + header
        out += _scan(writer, levels, sampling, list(scan), restarts)
    return out + b"\xff\xd9"


def _scan(
    writer: _Writer, levels: list[list[list[int]]], sampling: list[tuple[int, int]], scan: list[int], restarts: int
) -> bytes:
    first = levels[scan[0]]
    across, down = sampling[scan[0]] if len(scan) > 1 else (1, 1)
    units = [(row, column) for row in range(len(first) // down) for column in range(len(first[0]) // across)]
    before = dict.fromkeys(scan, 0)
    out, bits = b"", ""
    for number, (row, column) in enumerate(units):
        if restarts and number and not number % restarts:
            out += _packed(bits) + bytes([0xFF, 0xD0 + (number // restarts - 1) % 8])
            bits, before = "", dict.fromkeys(scan, 0)
        for n in scan:
            wide, high = sampling[n] if len(scan) > 1 else (1, 1)
            for y in range(row * high, (row + 1) * high):
                for x in range(column * wide, (column + 1) * wide):
                    value = levels[n][y][x] - 128
                    bits += writer.block(value - before[n])
                    before[n] = value
    return out + _packed(bits)


@PROPERTY
@given(
    st.sampled_from([[(1, 1)], [(2, 2)], [(1, 1)] * 3, [(2, 1), (1, 1), (1, 1)], [(2, 2), (1, 1), (1, 1)]]),
    st.integers(1, 5),
    st.integers(1, 6),
    st.sampled_from([0, 1, 2, 5]),
    st.booleans(),
    st.sampled_from([(), (1, 2), (0, 8)]),
    st.data(),
)
def test_any_scan(
    sampling: list[tuple[int, int]],
    rows: int,
    columns: int,
    restarts: int,
    together: bool,
    lacks: tuple[int, ...],
    data: st.DataObject,
) -> None:
    """Restarts, several scans, tables without the codes that black needs: each block is what it should be."""
    if len(sampling) == 1:
        sampling = [(1, 1)]
    categories = [category for category in range(9) if category not in lacks]
    levels = [
        [[data.draw(_levels(lacks)) for _ in range(columns * across)] for _ in range(rows * down)]
        for across, down in sampling
    ]
    writer = _Writer(tuple(range(9)))
    try:
        writer.dc = {symbol: f"{code:04b}" for code, symbol in enumerate(categories)}
        frame = flat_jpeg(writer, levels, sampling, restarts, together=together or len(sampling) == 1)
    except KeyError:  # a level that needs a category that is left out
        return
    height, width = 8 * max(d for _, d in sampling), 8 * max(a for a, _ in sampling)
    region = Region(data.draw(st.integers(0, columns * width - 1)), data.draw(st.integers(0, rows * height - 1)), 9, 17)
    photometric = "MONOCHROME2" if len(sampling) == 1 else "YBR_FULL"
    source = file([frame], photometric, (rows * height, columns * width), **BYTES)
    result = _fragments(read(painting(region)(source)).PixelData)[0]
    found = imagecodecs.jpeg8_decode(result, outcolorspace="ycbcr" if len(sampling) > 1 else None)
    if len(sampling) > 1 and sampling[0] != (1, 1):
        found = found[..., 0]

    place = region.clipped(columns * width, rows * height)
    assert place is not None
    cells = np.zeros((rows, columns), bool)
    cells[
        place.y // height : -(-(place.y + place.height) // height),
        place.x // width : -(-(place.x + place.width) // width),
    ] = True
    for n in range(1 if found.ndim == 2 else 3):
        across, down = sampling[n]
        expected = np.array(levels[n])
        expected[cells.repeat(down, 0).repeat(across, 1)] = 0 if n == 0 else 128
        plane = found if found.ndim == 2 else found[..., n]
        assert np.array_equal(expected.repeat(height // down, 0).repeat(width // across, 1), plane)


def _levels(lacks: tuple[int, ...]) -> st.SearchStrategy[int]:
    """Return levels whose differences need no category that is left out."""
    if lacks == (1, 2):
        return st.sampled_from([128 - 64, 128, 128 + 64])
    return st.sampled_from([128 - 64, 128 - 63, 128 + 1, 128 + 3]) if lacks else st.integers(10, 120)


def test_a_stream_of_another_kind_is_refused() -> None:
    """Progressive JPEG under the transfer syntax of baseline, and one that breaks off."""
    frame = jpeg(textured(131, 150, 1).astype("u1"))
    progressive = frame.replace(b"\xff\xc0", b"\xff\xc2", 1)
    for data in (progressive, frame[:3000], frame[: len(frame) // 2] + b"\xff\xd9"):
        with pytest.raises(InstanceFailed, match="its frames must be sequential"):
            painting(*REGIONS)(file([data], "MONOCHROME2", (131, 150), **BYTES))


def test_texts_beside_the_image_are_blank() -> None:
    """Comments and application segments of a painted frame are cleaned as those of any other."""
    frame = jpeg(textured(131, 150, 1).astype("u1"))
    comment = b"\xff\xfe" + struct.pack(">H", 14) + b"DOE^JANE 007"
    result = painting(*REGIONS)(
        file([frame[:2] + comment + frame[2:] + b"DOE^JANE"], "MONOCHROME2", (131, 150), **BYTES)
    )

    assert b"DOE" not in result


def test_what_a_scan_says_of_its_spectrum_is_passed_over() -> None:
    """Some encoders write it wrong, and decoders take a sequential scan for what it is."""
    frame = jpeg(textured(131, 150, 1).astype("u1"))
    whole = b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00"
    assert 1 == frame.count(whole)
    results = []
    for one in (frame, frame.replace(whole, whole[:7] + bytes(3))):
        painted = _fragments(read(painting(*REGIONS)(file([one], "MONOCHROME2", (131, 150), **BYTES))).PixelData)[0]
        results.append(painted[painted.index(whole[:7]) + len(whole) :])

    assert results[0] == results[1]
