"""Whether the frames of a result are black in some regions, and everywhere else the source's: both decoded by pydicom.

What is black is told here apart from the editor. JPEG that is painted in its coded form is painted in whole MCUs, and
where it halves colours, two pixels beside one are mixed with it when they are shown: there nothing is compared.

Public names: ``check_frames``.
"""

from __future__ import annotations

import re
from itertools import zip_longest
from typing import TYPE_CHECKING, BinaryIO, Final

import numpy as np
from pydicom import dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import generate_frames
from pydicom.pixels.processing import apply_color_lut
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.verification.by_pydicom.decoded_pixels import stored_bits
from deidflow.tasks.verification.by_pydicom.frames import decoded_frames, halves, plain
from deidflow.tasks.verification.by_pydicom.inflation import inflatable
from deidflow.tasks.verification.by_pydicom.pixels import hidden_bits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydicom import Dataset

    from deidflow.tasks.core.pixels.regions import Region
    from deidflow.tasks.core.request.request import Request
    from deidflow.tasks.verification.by_pydicom.frames import Frame
    from deidflow.tasks.verification.reader import Read

_SEQUENTIAL_JPEG: Final = frozenset({"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"})
_FRAME_HEADER: Final = re.compile(rb"\xff[\xc0\xc1]..(.)....(.)((?:...){1,4})", re.DOTALL)
_LOSSY_WAVELETS: Final = frozenset({"1.2.840.10008.1.2.4.91", "1.2.840.10008.1.2.4.203"})
_ROUNDED: Final = 1
"""By so much decoders of the wavelet with loss may differ: it is made of real numbers (ISO/IEC 15444-1 annex F)."""
_MIXED_PIXELS: Final = 2
_COLOURS: Final = 3
_BIG_ENDIAN_PIXELS: Final = "1.2.840.113619.5.2"
"""GE's syntax."""
_KINDS: Final = ("FloatPixelData", "DoubleFloatPixelData")
_NO_DECODER: Final = (
    "the painted pixels cannot be decoded here to be verified; install the codecs: pip install 'deidflow[codecs]'; "
    "where they are installed, the frames are damaged: fetch the file again, or leave it out"
)
_NOT_BLACK: Final = "a region of the pixels that a rule has painted is not black"
_DIFFERS: Final = "pixels outside the regions that a rule has painted are not the source's"


def check_frames(request: Request, read: Read, files: tuple[BinaryIO, BinaryIO], regions: Sequence[Region]) -> None:
    """Compare frame by frame.

    Args:
        request: Of the row.
        read: The source.
        files: Source and result, open.
        regions: What is to be black, inside the frame, at least one.

    Raises:
        InstanceFailed: ``identifier-left`` where a region is not black in every frame, ``pixel-data-differs`` where
            something else changed, ``unsafe-content`` where no codec here decodes them.

    """
    for file in files:
        file.seek(0)
    before, after = (_with_known_syntax(dcmread(inflatable(file), force=True)) for file in files)
    is_converted = before.file_meta.TransferSyntaxUID != after.file_meta.TransferSyntaxUID
    # Codecs are free to leave other bits out, or to extend a sign.
    kept, hidden = stored_bits(before) if is_converted else -1, hidden_bits(before, request)
    is_coded = read.syntax in _SEQUENTIAL_JPEG
    black = _black(before)
    cell = _mcu(before) if is_coded else (2, 1) if halves(before) else (1, 1)
    shown, hides = _masks(before, regions, cell, _MIXED_PIXELS if is_coded and cell != (8, 8) else 0)
    try:
        olds = decoded_frames(before, in_rgb=is_converted and is_coded)  # as it is converted
        for old, new in zip_longest(olds, decoded_frames(after)):
            _check(old, new, shown, before, (kept & ~hidden, kept | hidden))
            _check_black(new, hides, black, before, hidden)
    except InstanceFailed:
        raise
    except Exception:  # noqa: BLE001 (the codecs' own; their texts may hold values)
        raise InstanceFailed(ReasonCode.UNSAFE_CONTENT, _NO_DECODER) from None


def _with_known_syntax(dataset: Dataset) -> Dataset:
    """Return a dataset with a transfer syntax that decoders know, as its pixels are written."""
    meta = dataset.file_meta if "file_meta" in dataset.__dict__ else FileMetaDataset()
    syntax = str(meta.get("TransferSyntaxUID", ""))
    if not syntax:
        implicit, little = dataset.original_encoding
        syntax = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian if little else ExplicitVRBigEndian
    meta.TransferSyntaxUID = UID(ExplicitVRBigEndian if syntax == _BIG_ENDIAN_PIXELS else syntax)
    dataset.file_meta = meta
    return dataset


def _check(
    old: Frame | None,
    new: Frame | None,
    shown: Frame,
    source: Dataset,
    kept: tuple[int, int],
) -> None:
    if old is None or new is None or old.shape != new.shape:
        raise InstanceFailed(ReasonCode.PIXEL_DATA_DIFFERS, _DIFFERS)
    one, other = plain(old), plain(new)
    if one.dtype.kind == "f":
        same = one.view(f"u{one.dtype.itemsize}") == other.view(f"u{one.dtype.itemsize}")
    else:
        whole = f"u{one.dtype.itemsize}"
        before, after = (np.array(bits & (1 << one.dtype.itemsize * 8) - 1, whole) for bits in kept)
        same = one.view(whole) & before == other.view(whole) & after  # bits that held overlays are clear
        if source.file_meta.TransferSyntaxUID in _LOSSY_WAVELETS:
            same |= np.abs(one.astype("i8") - other.astype("i8")) <= _ROUNDED
    if not same[shown].all():
        raise InstanceFailed(ReasonCode.PIXEL_DATA_DIFFERS, _DIFFERS)


def _check_black(new: Frame | None, hides: Frame, black: Frame | None, source: Dataset, hidden: int) -> None:
    if new is not None and not _is_black(plain(new)[hides], black, source, hidden):
        raise InstanceFailed(ReasonCode.IDENTIFIER_LEFT, _NOT_BLACK)


def _is_black(inside: Frame, black: Frame | None, source: Dataset, hidden: int) -> bool:
    """Whether the pixels of the regions are black, and the bits that no image uses there tell nothing either.

    Args:
        inside: Of one frame, each pixel with all its samples.
        black: See ``_black``.
        source: Whose pixels they were.
        hidden: Bits of each pixel that must be clear.

    """
    if inside.dtype.kind == "f":
        return not np.any(inside != black)
    words = inside.view(f"u{inside.dtype.itemsize}")
    # Whatever stands in the other bits (a sign that a codec extends), it is the same in all pixels.
    if np.any(words != words[:1]):
        return False
    if black is None:
        return _is_darkest(inside, source)
    stored = (1 << int(source.BitsStored)) - 1
    is_plain = not _is_compressed(source) or source.file_meta.TransferSyntaxUID == RLELossless
    shift = int(source.HighBit) + 1 - int(source.BitsStored) if is_plain else 0
    if np.any(words.astype("u8") & np.uint64(hidden & ~(stored << shift))):
        return False
    values = words.astype("u8") >> np.uint64(shift) & np.uint64(stored)
    accepted = [black & stored]
    if source.file_meta.TransferSyntaxUID in _SEQUENTIAL_JPEG and inside.shape[-1] == _COLOURS:
        accepted.append(np.zeros(_COLOURS, "i8"))  # decoders differ in whether they convert
    return any(np.array_equal(values, np.broadcast_to(value, values.shape)) for value in accepted)


def _black(source: Dataset) -> Frame | None:
    """Return the samples of a black pixel; None where a palette says what is."""
    name = str(source.PhotometricInterpretation)
    is_inverse = name == "MONOCHROME1"
    if any(keyword in source for keyword in _KINDS):
        extreme = max if is_inverse else min
        found = [extreme(frame[np.isfinite(frame)], default=None) for frame in decoded_frames(source)]
        return np.array([extreme((one for one in found if one is not None), default=0.0)])
    bits = int(source.BitsStored)
    lowest = -(1 << bits - 1) if source.PixelRepresentation else 0
    if name.startswith("MONOCHROME"):
        return np.array([lowest + (1 << bits) - 1 if is_inverse else lowest])
    if name == "PALETTE COLOR":
        return None
    grey = 1 << bits - 1
    if name.startswith("YBR_PARTIAL"):
        return np.array([16 << bits - 8, grey, grey])
    return np.array([0, grey, grey] if name.startswith("YBR_FULL") else [0, 0, 0])


def _is_darkest(indexes: Frame, source: Dataset) -> bool:
    """Whether all indexes are one, and no entry of the palette is darker."""
    value = indexes.reshape(-1)[0]
    first = int(source.RedPaletteColorLookupTableDescriptor[1])
    count = int(source.RedPaletteColorLookupTableDescriptor[0]) or 1 << 16
    shades = apply_color_lut(np.arange(first, first + count), source).astype("i8").sum(axis=1)
    # Some write the first index of signed pixels as US.
    place = int(value) - (first - (1 << 16) if source.PixelRepresentation and first >= 1 << 15 else first)
    return bool(np.all(indexes == value)) and 0 <= place < count and int(shades[place]) == int(shades.min())


def _is_compressed(source: Dataset) -> bool:
    return bool(source.file_meta.TransferSyntaxUID.is_encapsulated)


def _mcu(source: Dataset) -> tuple[int, int]:
    """Return width and height of what JPEG codes together, from the first frame's header."""
    frame = next(generate_frames(source.PixelData, number_of_frames=int(source.get("NumberOfFrames") or 1)))
    found = _FRAME_HEADER.search(frame)
    if found is None:
        return 8, 8
    factors = [found[3][3 * n + 1] for n in range(found[2][0])]
    return 8 * max(one >> 4 for one in factors), 8 * max(one & 15 for one in factors)


def _masks(source: Dataset, regions: Sequence[Region], cell: tuple[int, int], border: int) -> tuple[Frame, Frame]:
    """Return which pixels are to be the source's, and which black."""
    shape = int(source.Rows), int(source.Columns)
    shown, hides = np.ones(shape, bool), np.zeros(shape, bool)
    across, down = cell
    for one in regions:
        right, bottom = one.x + one.width, one.y + one.height
        left, top = one.x // across * across - border, one.y // down * down - border
        shown[
            max(0, top) : -(-bottom // down) * down + border, max(0, left) : -(-right // across) * across + border
        ] = False
        hides[one.y : bottom, one.x : right] = True
    if border:  # what is near the edge of what is painted may be mixed with what is beside it
        near = np.pad(shown, 2 * border, constant_values=False)
        for step in range(-2 * border, 2 * border + 1):
            for axis in (0, 1):
                hides &= ~np.roll(near, step, axis)[2 * border : -2 * border, 2 * border : -2 * border]
    return shown, hides
