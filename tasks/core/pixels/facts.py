"""What rules about pixels may ask of an instance: some of its attributes, read by whoever has the instance.

Public names: ``PixelFacts``, ``KeptRegion``, ``FACT_TAGS``, ``ULTRASOUND_REGIONS``, ``REGION_LOCATION``,
``REGION_SPATIAL_FORMAT``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from deidflow.tasks.core.dicom.tags import BURNED_IN_ANNOTATION, IMAGE_TYPE, SOP_CLASS_UID
from deidflow.tasks.core.pixels.regions import Region

if TYPE_CHECKING:
    from collections.abc import Mapping

MODALITY: Final = 0x00080060
ROWS: Final = 0x00280010
COLUMNS: Final = 0x00280011
PIXEL_ELEMENTS: Final = (0x7FE00008, 0x7FE00009, 0x7FE00010)
"""FloatPixelData, DoubleFloatPixelData, PixelData."""

FACT_TAGS: Final = (IMAGE_TYPE, SOP_CLASS_UID, MODALITY, ROWS, COLUMNS, BURNED_IN_ANNOTATION)
"""Asked of every instance, whatever the rules are."""

ULTRASOUND_REGIONS: Final = 0x00186011
REGION_SPATIAL_FORMAT: Final = 0x00186012
REGION_LOCATION: Final = (0x00186018, 0x0018601A, 0x0018601C, 0x0018601E)
"""RegionLocationMinX0, MinY0, MaxX1, MaxY1: columns and rows from 0, all of them inside the region (PS3.3 section
C.8.5.5.1.2, edition 2026d)."""


class KeptRegion(NamedTuple):
    """An item of SequenceOfUltrasoundRegions, as it stands there; an element that is absent or no number is None.

    Attributes:
        spatial_format: RegionSpatialFormat; 0 is "none or not applicable", 1 is 2D.
        x0: Column of its upper left pixel, from 0.
        y0: Row of its upper left pixel, from 0.
        x1: Column of its lower right pixel, from 0.
        y1: Row of its lower right pixel, from 0.

    """

    spatial_format: int | None
    x0: int | None
    y0: int | None
    x1: int | None
    y1: int | None


@dataclass(frozen=True, slots=True)
class PixelFacts:
    """What is known of an instance.

    Attributes:
        texts: Elements of the top level by tag: decoded values, each without the blanks and NULs around it, joined by
            a backslash; numbers in decimal. An element that is absent is not in it, an empty one is "".
        ultrasound_regions: Items of SequenceOfUltrasoundRegions, in their order.
        has_pixels: Whether there is an element of pixel data.

    """

    texts: Mapping[int, str]
    ultrasound_regions: tuple[KeptRegion, ...] = ()
    has_pixels: bool = True

    def values(self, tag: int) -> tuple[str, ...] | None:
        """Return the values of an element, None when it is absent."""
        text = self.texts.get(tag)
        return None if text is None else tuple(text.split("\\"))

    def number(self, tag: int) -> int | None:
        """Return an element's first value as a whole number, None when it is absent or none."""
        text = self.texts.get(tag, "").partition("\\")[0].strip()
        return int(text) if text.isascii() and text.isdigit() else None

    @property
    def frame(self) -> Region | None:
        """All of the frame, None when its size is not known."""
        rows, columns = self.number(ROWS), self.number(COLUMNS)
        return Region(0, 0, columns, rows) if rows and columns else None
