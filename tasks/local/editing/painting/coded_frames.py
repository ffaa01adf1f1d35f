"""Painting frames that a codec has to decode: they are encoded again without loss, in the same transfer syntax.

JPEG lossless, JPEG-LS, JPEG 2000 and HTJ2K, by imagecodecs and pyjpegls (the extra ``codecs``). What was coded with
loss is written without, which its transfer syntax allows; so nothing is lost twice. Bit depth, sign and colour
transform are those of the source's own code stream.

Source: DICOM PS3.5 sections 8.2.1 to 8.2.4 and A.4 (edition 2026d).

Public names: ``painted_by_codec``, ``lossless_jpeg``, ``LOSSY``, ``CODED``.
"""

from __future__ import annotations

import importlib.util
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from deidflow.tasks.local.editing.painting.image_layout import unpaintable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from deidflow.tasks.core.pixels.regions import Region
    from deidflow.tasks.local.editing.painting.image_layout import ImageLayout

    Pixels = np.ndarray[Any, np.dtype[Any]]

_DICOM: Final = "1.2.840.10008.1.2.4."
_JPEG_LOSSLESS: Final = frozenset({_DICOM + "57", _DICOM + "70"})
_JPEG_LS: Final = frozenset({_DICOM + "80", _DICOM + "81"})
_JPEG_2000: Final = frozenset({_DICOM + "90", _DICOM + "91"})
_HTJ2K: Final = frozenset({_DICOM + "201", _DICOM + "202", _DICOM + "203"})
CODED: Final = _JPEG_LOSSLESS | _JPEG_LS | _JPEG_2000 | _HTJ2K
"""Transfer syntaxes that are painted here."""
LOSSY: Final = frozenset({_DICOM + "81", _DICOM + "91", _DICOM + "203"})
"""Those of them that may lose pixels."""

_INSTALL: Final = "the codecs for its transfer syntax must be installed: pip install 'deidflow[codecs]'"
_NOT_CODED: Final = "its frames must be such as their transfer syntax says, with as many pixels as the image has"
_NOT_ENCODED: Final = "a codec here must be able to encode its painted frames; convert it, and try again"
_SHIFTED: Final = "HighBit must be one less than BitsStored where frames are compressed (PS3.5 section 8.1.1)"
_JPEG_FRAMES: Final = frozenset({0xC0, 0xC1, 0xC2, 0xC3, 0xF7})
_CODE_STREAM: Final = b"\xff\x4f\xff\x51"
_COD: Final = 0xFF52
_SOT: Final = 0xFF90
_ADOBE: Final = b"\xff\xee"
_LOSSLESS_FRAME: Final = b"\xff\xc3"
_SCAN: Final = b"\xff\xda"
_FIRST_ORDER: Final = 1
_MAX_PRECISION: Final = {**dict.fromkeys(_JPEG_2000, 24), **dict.fromkeys(_HTJ2K, 16)}
"""Bits of a sample up to which OpenJPEG and OpenJPH give back what they were given; beyond, they do not notice."""
_TOO_PRECISE: Final = (
    "its code streams must have at most {} bits a sample, as many as are encoded here without loss; convert it, and "
    "try again"
)


@dataclass(frozen=True, slots=True)
class _Coding:
    """How a code stream says that its samples are coded.

    Attributes:
        precision: Bits of each.
        signed: Whether they are.
        transforms: JPEG 2000: whether its colours are transformed.

    """

    precision: int
    signed: bool = False
    transforms: bool = False


def painted_by_codec(
    frame: bytes, syntax: str, layout: ImageLayout, regions: Sequence[Region], blacks: Sequence[int]
) -> tuple[bytes, Pixels]:
    """Paint one frame.

    Args:
        frame: All its fragments, joined.
        syntax: One of ``CODED``.
        layout: Of the pixels.
        regions: What is painted, inside the frame.
        blacks: Value of each sample of a black pixel.

    Returns:
        The frame, of even length, and its pixels: rows, columns, and samples where there are several.

    Raises:
        InstanceFailed: ``unsafe-content``: there is no codec, or it cannot decode or encode such frames.

    """
    if not all(importlib.util.find_spec(name) for name in _needed(syntax)):
        raise unpaintable(_INSTALL)
    if layout.shift and any(blacks):
        raise unpaintable(_SHIFTED)
    coding = _coding(frame, syntax)
    most = _MAX_PRECISION.get(syntax, coding.precision)
    most -= coding.transforms and syntax in _JPEG_2000  # differences of colours have a bit more
    if coding.precision > most:
        raise unpaintable(_TOO_PRECISE.format(most))
    try:
        pixels = np.ascontiguousarray(_decoder(syntax, layout.samples)(frame))
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException:  # noqa: BLE001 (codecs raise anything; their texts may hold values)
        raise unpaintable(_NOT_CODED) from None
    shape = (layout.rows, layout.columns, *((layout.samples,) if layout.samples > 1 else ()))
    if pixels.shape != shape or pixels.dtype.kind not in "ui":
        raise unpaintable(_NOT_CODED)
    if pixels.base is not None or not pixels.flags.writeable:
        pixels = pixels.copy()
    values = [_in_code_stream(black, coding, signed=layout.signed) for black in blacks]
    for region in regions:
        part = pixels[region.y : region.y + region.height, region.x : region.x + region.width]
        part[...] = values if layout.samples > 1 else values[0]
    try:
        data = _encoded(pixels, syntax, coding, is_rgb=not layout.photometric.startswith("YBR_FULL"))
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException:  # noqa: BLE001 (as above)
        raise unpaintable(_NOT_ENCODED) from None
    return data + b"\0" * (len(data) % 2), pixels


def _needed(syntax: str) -> tuple[str, ...]:
    return ("imagecodecs", "jpeg_ls") if syntax in _JPEG_LS else ("imagecodecs",)


def _in_code_stream(black: int, coding: _Coding, *, signed: bool) -> int:
    """Return a value as the code stream has it, with a sign of its own; where pixels have none, the same bits."""
    half = 1 << coding.precision - 1
    if coding.signed and signed:
        return max(-half, min(black, half - 1))
    bits = black & 2 * half - 1
    return bits - 2 * half if coding.signed and bits >= half else bits


def _coding(frame: bytes, syntax: str) -> _Coding:
    """Read how samples are coded.

    Raises:
        InstanceFailed: The frame begins in another way.

    """
    try:
        return _of_jpeg_2000(frame) if syntax in _JPEG_2000 | _HTJ2K else _of_jpeg(frame)
    except (struct.error, IndexError, ValueError):
        raise unpaintable(_NOT_CODED) from None


def _of_jpeg(frame: bytes) -> _Coding:
    """Read the frame header of JPEG or JPEG-LS."""
    at = 2
    while True:
        mark, marker = struct.unpack_from(">BB", frame, at)
        if mark != 0xFF:  # noqa: PLR2004 (of markers)
            raise ValueError
        if marker == 0xFF:  # noqa: PLR2004 (filled)
            at += 1
            continue
        if marker in _JPEG_FRAMES:
            return _Coding(frame[at + 4])
        (length,) = struct.unpack_from(">H", frame, at + 2)
        at += 2 + length


def _of_jpeg_2000(frame: bytes) -> _Coding:
    """Read the main header of a code stream, wherever a box holds it (ISO/IEC 15444-1 annex A)."""
    at = frame.index(_CODE_STREAM) + 2
    components = struct.unpack_from(">H", frame, at + 38)[0]
    sizes = frame[at + 40 : at + 40 + 3 * components]
    if {sizes[index : index + 3] for index in range(0, len(sizes), 3)} != {bytes([sizes[0], 1, 1])}:
        raise ValueError
    transforms = False
    while True:
        marker, length = struct.unpack_from(">HH", frame, at)
        if marker == _SOT:
            return _Coding((sizes[0] & 0x7F) + 1, bool(sizes[0] >> 7), transforms)
        if marker == _COD:
            transforms = bool(frame[at + 8])
        at += 2 + length


def lossless_jpeg(pixels: Pixels, precision: int, *, is_rgb: bool) -> bytes:
    """Encode a frame as lossless JPEG with the first-order predictor; no colours are converted.

    Args:
        pixels: Rows and columns, and samples where there are several.
        precision: Bits of a sample.
        is_rgb: Whether three samples are red, green and blue, so that the stream may say so.

    """
    from imagecodecs import jpeg8_encode  # noqa: PLC0415 (of the extra `codecs`)

    colour = None if pixels.ndim == 2 else "rgb"  # noqa: PLR2004 (rows and columns)
    data = bytes(
        jpeg8_encode(
            pixels,
            lossless=True,
            predictor=_FIRST_ORDER,
            bitspersample=precision,
            colorspace=colour,
            outcolorspace=colour,
        )
    )
    return data if colour is None or is_rgb else _without_colour_names(data)


def _without_colour_names(data: bytes) -> bytes:
    """Return a JPEG stream of three components that does not say that these are red, green and blue.

    libjpeg-turbo 3.1 writes streams that others cannot read when it is told that lossless samples are YCbCr; and some
    believe the names of the components rather than PhotometricInterpretation.

    Args:
        data: Lossless, as libjpeg-turbo writes it of RGB.
    """
    (length,) = struct.unpack_from(">H", data, 4)
    if data[2:4] == _ADOBE:
        data = data[:2] + data[4 + length :]
    for marker, first, step in ((_LOSSLESS_FRAME, 10, 3), (_SCAN, 5, 2)):
        octets, at = bytearray(data), data.index(marker)
        for number in range(3):
            octets[at + first + step * number] = number + 1
        data = bytes(octets)
    return data


def _decoder(syntax: str, samples: int) -> Callable[[bytes], Any]:
    import imagecodecs  # noqa: PLC0415 (of the extra `codecs`)

    if syntax in _JPEG_LOSSLESS:
        # No conversion of colours: what is stored is what PhotometricInterpretation names.
        colour = "ycbcr" if samples > 1 else None
        return lambda data: imagecodecs.jpeg8_decode(data, colorspace=colour, outcolorspace=colour)
    return imagecodecs.jpegls_decode if syntax in _JPEG_LS else imagecodecs.jpeg2k_decode


def _encoded(pixels: Pixels, syntax: str, coding: _Coding, *, is_rgb: bool) -> bytes:
    import imagecodecs  # noqa: PLC0415 (likewise)

    if syntax in _JPEG_LOSSLESS:
        return lossless_jpeg(pixels, coding.precision, is_rgb=is_rgb)
    if syntax in _JPEG_LS:
        import jpeg_ls  # noqa: PLC0415 (likewise)

        rows, columns, *samples = pixels.shape
        mode = 2 if samples else None
        return bytes(
            jpeg_ls.encode_buffer(
                pixels.tobytes(), rows, columns, samples[0] if samples else 1, coding.precision, interleave_mode=mode
            )
        )
    if syntax in _HTJ2K:
        return bytes(imagecodecs.htj2k_encode(pixels, reversible=True, rgb=coding.transforms))
    return bytes(
        imagecodecs.jpeg2k_encode(
            pixels,
            level=0,
            codecformat="J2K",
            bitspersample=coding.precision,
            reversible=True,
            mct=coding.transforms,
        )
    )
