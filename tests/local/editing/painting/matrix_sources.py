"""Images of the matrix with a text in a region of every frame, as files that others than the code under test made.

Public names: ``REGIONS``, ``TEXT``, ``ENCODERS``, ``Planted``, ``planted``, ``black_of``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import imagecodecs
import jpeg_ls
import numpy as np
from pydicom.pixels.encoders.base import get_encoder
from pydicom.uid import RLELossless

from deidflow.tasks.core.pixels.regions import Region
from tests.dicom_files import BIG, DEFLATED, EXPLICIT, IMPLICIT, Element, Item, elements, grey
from tests.local.editing.painting.images import Image
from tests.local.editing.painting.matrix import LOSSY, NATIVE, SYNTAXES

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.local.editing.painting.images import Pixels
    from tests.local.editing.painting.matrix import Cell

ROWS: Final = 43
FRAMES: Final = 3
REGIONS: Final = (Region(4, 3, 52, 11), Region(-4, 33, 26, 50))
"""The text stands in the first; the second reaches over two edges."""

TEXT: Final = "DOE7JANE"
_GLYPHS: Final = {
    "D": "11110 10001 10001 10001 10001 10001 11110",
    "O": "01110 10001 10001 10001 10001 10001 01110",
    "E": "11111 10000 10000 11110 10000 10000 11111",
    "7": "11111 00001 00010 00100 01000 01000 01000",
    "J": "00111 00010 00010 00010 00010 10010 01100",
    "A": "01110 10001 10001 11111 10001 10001 10001",
    "N": "10001 11001 10101 10101 10011 10001 10001",
}
_SYNTAX_OF: Final = {"implicit": IMPLICIT, "explicit": EXPLICIT, "big endian": BIG, "deflated": DEFLATED}
_ULTRASOUND: Final[dict[str, Any]] = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.3.1", "Modality": "US"}


class Planted(NamedTuple):
    """An image, its file, and which pixels of a frame are ink."""

    image: Image
    data: bytes
    ink: Pixels


def planted(cell: Cell, **more: Any) -> Planted:
    """Return an image with a text in its first region, in every frame a little lower; ``more`` are its elements."""
    (photometric, planar), (allocated, stored, signed), syntax = cell
    form = {"allocated": allocated, "stored": stored, "high_bit": stored - 1, "signed": signed, "planar": planar}
    columns = 60 if photometric == "YBR_FULL_422" else 61  # frames of an odd number of bytes, or bits, where they may
    image = Image.random(5, FRAMES, ROWS, columns, photometric, **form)
    if syntax in LOSSY:
        image = replace(image, values=_smooth(image.values))
    # Two pixels that share a colour would not keep letters apart: they are written in the luma alone.
    low = -(1 << stored - 1) if signed else 0
    high = low + (1 << stored) - 1
    shared = photometric == "YBR_FULL_422" and syntax in NATIVE
    margin = 8 if syntax in LOSSY and stored > 1 else 0  # near-lossless JPEG-LS takes the highest number for the lowest
    ink = _written(image.values[..., :1] if shared else image.values, low + margin, high - margin)
    if syntax in NATIVE:
        data = image.file(_SYNTAX_OF[syntax], "OW", *_beside(image, syntax), **_ULTRASOUND, **more)
    else:
        frames = [ENCODERS[syntax](frame, image) for frame in image.values]
        data = image.compressed(SYNTAXES[syntax], frames, *_beside(image, syntax), **_ULTRASOUND, **more)
    return Planted(image, data, ink)


def black_of(cell: Cell) -> tuple[int, ...]:
    """Return the samples of a black pixel, told from the standard (PS3.3 section C.7.6.3.1.2)."""
    (photometric, _), (_, stored, signed), _ = cell
    lowest = -(1 << stored - 1) if signed else 0
    if photometric == "PALETTE COLOR":
        return (lowest + 2,)
    if photometric.startswith("MONOCHROME"):
        return (lowest + (1 << stored) - 1,) if photometric == "MONOCHROME1" else (lowest,)
    return (0, 1 << stored - 1, 1 << stored - 1) if photometric.startswith("YBR_FULL") else (0, 0, 0)


def _smooth(values: Pixels) -> Pixels:
    """Return values that loss changes a little only."""
    found = values.astype(float)
    for _ in range(3):
        found = (found + np.roll(found, 1, 1) + np.roll(found, 1, 2) + np.roll(found, -1, 1)) / 4
    smooth: Pixels = np.rint(found).astype(values.dtype)
    return smooth


def _written(values: Pixels, low: int, high: int) -> Pixels:
    """Write the text over values, the highest value on the lowest; return where ink is."""
    frames, rows, columns, _ = values.shape
    ink = np.zeros((frames, rows, columns), bool)
    values[:, 3:14, 4:56] = low
    for number in range(frames):
        for place, letter in enumerate(TEXT):
            glyph = np.array([[bit == "1" for bit in row] for row in _GLYPHS[letter].split()])
            ink[number, 4 + number : 11 + number, 6 + 6 * place : 11 + 6 * place] = glyph
    values[ink] = high
    return ink


def _beside(image: Image, syntax: str) -> list[Element]:
    """Return an icon that has the text, too, and the palettes."""
    endian = _SYNTAX_OF.get(syntax, EXPLICIT)
    letters = np.zeros((8, 8), "u1").tobytes() + TEXT.encode()
    icon = grey(9, 8)
    item = Item((*elements(icon, endian), Element(0x7FE00010, "OB", letters)))
    found = [Element(0x00880200, "SQ", (item,))]
    if image.photometric == "PALETTE COLOR":
        first = -(1 << image.stored - 1) if image.signed else 0
        shades = np.array([9000, 300, 20, 700], f"{endian.prefix}u2").tobytes()
        said = np.array([4, first & 0xFFFF, 16], f"{endian.prefix}u2").tobytes()
        vr = "SS" if image.signed and image.allocated > 8 else "US"  # which some write of signed pixels, too
        found += [Element(0x00281101 + n, vr, said) for n in range(3)]
        found += [Element(0x00281201 + n, "OW", shades) for n in range(3)]
    return found


def _words(values: Pixels, image: Image, *, unsigned: bool = False) -> Pixels:
    """Return a frame as codecs take it."""
    width = 1 if image.stored <= 8 else 2 if image.stored <= 16 else 4
    kind = "i" if image.signed and not unsigned else "u"
    masked = values if kind == "i" else values & (1 << image.stored) - 1
    array = masked.astype(f"{kind}{width}")
    return array[..., 0] if array.shape[2] == 1 else array


def _rle(values: Pixels, image: Image) -> bytes:
    allocated = max(8, image.allocated)  # a pixel of one bit is a byte
    data = (values & (1 << image.allocated) - 1).astype(f"<u{allocated // 8}").tobytes()
    options: dict[str, Any] = {
        "rows": values.shape[0],
        "columns": values.shape[1],
        "samples_per_pixel": values.shape[2],
        "planar_configuration": 0,
        "photometric_interpretation": "RGB" if values.shape[2] > 1 else "MONOCHROME2",
        "bits_allocated": allocated,
        "bits_stored": allocated,
        "pixel_representation": 0,
        "number_of_frames": 1,
    }
    return get_encoder(RLELossless).encode(data, validate=False, encoding_plugin="pylibjpeg", **options)


def _jpeg_lossless(predictor: int) -> Callable[[Pixels, Image], bytes]:
    def encode(values: Pixels, image: Image) -> bytes:
        array = _words(values, image, unsigned=True)
        colour = None if array.ndim == 2 else "rgb"  # whatever they are; libjpeg-turbo writes no sound YCbCr
        options: dict[str, Any] = {"bitspersample": image.stored, "colorspace": colour, "outcolorspace": colour}
        return bytes(imagecodecs.jpeg8_encode(array, lossless=True, predictor=predictor, **options))

    return encode


def _jpeg_ls(error: int) -> Callable[[Pixels, Image], bytes]:
    def encode(values: Pixels, image: Image) -> bytes:
        array, samples = _words(values, image, unsigned=True), values.shape[2]
        options = {"lossy_error": error, "interleave_mode": 1 if samples > 1 else None}
        return bytes(jpeg_ls.encode_buffer(array.tobytes(), *values.shape[:2], samples, image.stored, **options))

    return encode


def _jpeg_2000(*, loses: bool) -> Callable[[Pixels, Image], bytes]:
    def encode(values: Pixels, image: Image) -> bytes:
        options: dict[str, Any] = {"bitspersample": image.stored, "mct": image.photometric in {"YBR_RCT", "YBR_ICT"}}
        level: dict[str, Any] = {"level": 45, "reversible": False} if loses else {"level": 0, "reversible": True}
        return bytes(imagecodecs.jpeg2k_encode(_words(values, image), codecformat="J2K", **level, **options))

    return encode


def _htj2k(*, loses: bool) -> Callable[[Pixels, Image], bytes]:
    def encode(values: Pixels, image: Image) -> bytes:
        return bytes(
            imagecodecs.htj2k_encode(_words(values, image), reversible=not loses, rgb=image.photometric == "YBR_RCT")
        )

    return encode


def _jpeg(values: Pixels, image: Image) -> bytes:
    """Encode with loss; what is to be YCbCr is made of red, green and blue."""
    array = _words(values, image)
    options: dict[str, Any] = {"bitspersample": image.stored} if image.stored > 8 else {}
    if image.photometric == "RGB":
        options |= {"colorspace": "rgb", "outcolorspace": "rgb"}
    if image.photometric.startswith("YBR"):
        options |= {"subsampling": "422" if image.photometric == "YBR_FULL_422" else "444"}
    return bytes(imagecodecs.jpeg8_encode(array, level=90, **options))


ENCODERS: Final[dict[str, Callable[[Pixels, Image], bytes]]] = {
    "RLE": _rle,
    "JPEG lossless": _jpeg_lossless(6),  # not the predictor that painting takes
    "JPEG lossless SV1": _jpeg_lossless(1),
    "JPEG-LS": _jpeg_ls(0),
    "JPEG-LS near": _jpeg_ls(2),
    "JPEG 2000 lossless": _jpeg_2000(loses=False),
    "JPEG 2000": _jpeg_2000(loses=True),
    "HTJ2K lossless": _htj2k(loses=False),
    "HTJ2K lossless RPCL": _htj2k(loses=False),
    "HTJ2K": _htj2k(loses=True),
    "JPEG baseline": _jpeg,
    "JPEG extended": _jpeg,
}
