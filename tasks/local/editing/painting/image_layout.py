"""What a dataset says of the form of its pixels, checked: nothing is painted where that leaves a doubt.

Source: DICOM PS3.3 section C.7.6.3 and C.7.6.24, PS3.5 section 8.1 and 8.2 (edition 2026d).

Public names: ``ImageLayout``, ``image_layout``, ``LAYOUT_TAGS``, ``PIXEL_TAGS``, ``unpaintable``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.dicom.tags import PIXEL_DATA
from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from deidflow.tasks.local.dicom_file.elements import Element
    from deidflow.tasks.local.dicom_file.source_file import SourceFile

FLOAT_PIXEL_DATA: Final = 0x7FE00008
DOUBLE_FLOAT_PIXEL_DATA: Final = 0x7FE00009
PIXEL_TAGS: Final = (FLOAT_PIXEL_DATA, DOUBLE_FLOAT_PIXEL_DATA, PIXEL_DATA)

_SAMPLES: Final = 0x00280002
_PHOTOMETRIC: Final = 0x00280004
_PLANAR: Final = 0x00280006
_FRAMES: Final = 0x00280008
_ROWS: Final = 0x00280010
_COLUMNS: Final = 0x00280011
_ALLOCATED: Final = 0x00280100
_STORED: Final = 0x00280101
_HIGH_BIT: Final = 0x00280102
_REPRESENTATION: Final = 0x00280103
LAYOUT_TAGS: Final = frozenset(
    {*(_SAMPLES, _PHOTOMETRIC, _PLANAR, _FRAMES, _ROWS, _COLUMNS, _ALLOCATED, _STORED, _HIGH_BIT, _REPRESENTATION)}
)
"""Elements of the top level that a layout is read from."""

_SAMPLES_OF: Final = {
    **dict.fromkeys(("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR"), 1),
    **dict.fromkeys(("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_422", "YBR_ICT", "YBR_RCT"), 3),
}
_HALVED: Final = frozenset({"YBR_FULL_422", "YBR_PARTIAL_422"})
_WIDTHS: Final = (1, 8, 16, 32, 64)
_FLOAT_WIDTHS: Final = {FLOAT_PIXEL_DATA: 32, DOUBLE_FLOAT_PIXEL_DATA: 64}
_MAX_FRAMES: Final = 1 << 24


def unpaintable(what: str) -> InstanceFailed:
    """Return the failure of an instance whose pixels are to be painted and cannot be; what must be, in words."""
    return InstanceFailed(ReasonCode.UNSAFE_CONTENT, f"the pixel data cannot be painted over: {what}")


@dataclass(frozen=True, slots=True)
class ImageLayout:
    """The form of an image's pixels.

    Attributes:
        rows: At least 1.
        columns: Likewise.
        frames: Likewise.
        samples: 1 or 3 for each pixel.
        planar: Whether samples stand plane by plane (PlanarConfiguration 1); of what is compressed it says nothing.
        photometric: PhotometricInterpretation.
        allocated: Bits of a sample as it is stored: 1, 8, 16, 32 or 64.
        stored: Bits of it that count.
        high_bit: The highest of them.
        signed: Whether samples are two's complement.
        is_float: Whether they are floating point numbers.

    """

    rows: int
    columns: int
    frames: int
    samples: int
    planar: bool
    photometric: str
    allocated: int
    stored: int
    high_bit: int
    signed: bool
    is_float: bool = False

    @property
    def is_halved(self) -> bool:
        """Whether two pixels of a row share their colour, where the samples are not compressed."""
        return self.photometric in _HALVED

    @property
    def shift(self) -> int:
        """How many bits stand below those that count."""
        return self.high_bit + 1 - self.stored


def image_layout(source: SourceFile, elements: Iterable[Element], pixel_tag: int) -> ImageLayout:
    """Read the form of the pixels.

    Args:
        source: The open file.
        elements: Those of its top level, or as many as hold ``LAYOUT_TAGS``.
        pixel_tag: One of ``PIXEL_TAGS``.

    Raises:
        InstanceFailed: ``unsafe-content``: it is not said, or cannot be.

    """
    values: dict[int, bytes] = {}
    for tag, _, _, value, end, _ in elements:
        if tag in LAYOUT_TAGS:
            if tag in values:
                raise unpaintable("Rows, Columns and the like must stand in it once")
            values[tag] = source.read(value, end)
    order = "little" if source.layout.encoding.little else "big"

    def number(tag: int, default: int = -1) -> int:
        value = values.get(tag, b"")
        if len(value) != 2:  # noqa: PLR2004 (US)
            return default
        return int.from_bytes(value, order)  # type: ignore[arg-type]

    is_float = pixel_tag in _FLOAT_WIDTHS
    allocated = number(_ALLOCATED)
    layout = ImageLayout(
        rows=number(_ROWS),
        columns=number(_COLUMNS),
        frames=_frames(values.get(_FRAMES, b"")),
        samples=number(_SAMPLES),
        planar=number(_PLANAR, 0) == 1,
        photometric=values.get(_PHOTOMETRIC, b"").decode("latin-1").strip(" \0"),
        allocated=allocated,
        stored=allocated if is_float else number(_STORED),
        high_bit=allocated - 1 if is_float else number(_HIGH_BIT),
        signed=number(_REPRESENTATION, 0) == 1,
        is_float=is_float,
    )
    _check(layout, _FLOAT_WIDTHS.get(pixel_tag))
    return layout


def _frames(value: bytes) -> int:
    text = value.decode("latin-1").strip(" \0")
    if not text:
        return 1
    return int(text) if text.isdigit() and len(text) < 9 else 0  # noqa: PLR2004 (no object has so many)


def _check(layout: ImageLayout, float_width: int | None) -> None:
    if min(layout.rows, layout.columns) < 1 or not 1 <= layout.frames <= _MAX_FRAMES:
        raise unpaintable("Rows, Columns and NumberOfFrames must be at least 1")
    if _SAMPLES_OF.get(layout.photometric) != layout.samples:
        text = "PhotometricInterpretation must be one that is known here, with its SamplesPerPixel"
        raise unpaintable(text)
    if layout.allocated not in ((float_width,) if float_width else _WIDTHS):
        raise unpaintable("BitsAllocated must be 1, 8, 16, 32 or 64, and that of its kind of pixel data")
    if not 1 <= layout.stored <= layout.high_bit + 1 <= layout.allocated:
        raise unpaintable("BitsStored and HighBit must fit BitsAllocated")
    if layout.allocated == 1 and layout.samples != 1:
        raise unpaintable("pixels of one bit must have one sample")
    if layout.is_float and not layout.photometric.startswith("MONOCHROME"):
        raise unpaintable("floating point pixels must be monochrome")
