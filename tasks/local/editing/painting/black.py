"""What is black: for each photometric interpretation the sample values that a painted pixel gets.

The darkest value that a sample can have, so that it is black under every window and look-up table that does not turn
grey values round; no rescaling is applied. Source: DICOM PS3.3 section C.7.6.3.1.2 (edition 2026d).

Public names: ``black_samples``, ``stored_word``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from deidflow.tasks.local.editing.painting.image_layout import unpaintable
from deidflow.tasks.local.editing.painting.palette import darkest_index

if TYPE_CHECKING:
    from collections.abc import Iterable

    from deidflow.tasks.local.dicom_file.elements import Element
    from deidflow.tasks.local.dicom_file.source_file import SourceFile
    from deidflow.tasks.local.editing.painting.image_layout import ImageLayout

_RGB: Final = frozenset({"RGB", "YBR_RCT", "YBR_ICT"})
"""Those of JPEG 2000 are RGB once a code stream is decoded (PS3.5 section 8.2.4)."""
_PARTIAL_BLACK: Final = 16
"""Of eight bits (ITU-R BT.601)."""
_MIN_COLOUR_BITS: Final = 8


def black_samples(layout: ImageLayout, source: SourceFile, elements: Iterable[Element]) -> tuple[int, ...]:
    """Return the value of each sample of a black pixel, as a number with its sign.

    Args:
        layout: Of integer samples.
        source: The open file.
        elements: Those of its top level, or as many as hold ``PALETTE_TAGS``.

    Raises:
        InstanceFailed: ``unsafe-content``: there is no telling.

    """
    name, bits = layout.photometric, layout.stored
    if name in {"MONOCHROME1", "MONOCHROME2"}:
        lowest = -(1 << bits - 1) if layout.signed else 0
        return (lowest if name == "MONOCHROME2" else lowest + (1 << bits) - 1,)
    if name == "PALETTE COLOR":
        index = darkest_index(source, elements, signed=layout.signed)
        lowest = -(1 << bits - 1) if layout.signed else 0
        if not lowest <= index < lowest + (1 << bits):
            raise unpaintable("the palette must begin with an index that BitsStored can hold")
        return (index,)
    if layout.signed:
        raise unpaintable("samples of colours must be unsigned")
    if name in _RGB:
        return (0, 0, 0)
    if bits < _MIN_COLOUR_BITS:
        raise unpaintable("samples of colours must have at least 8 bits")
    luma = _PARTIAL_BLACK << bits - _MIN_COLOUR_BITS if name == "YBR_PARTIAL_422" else 0
    return (luma, 1 << bits - 1, 1 << bits - 1)


def stored_word(layout: ImageLayout, value: int) -> int:
    """Return a sample as it stands in native pixel data: shifted to its bits, the sign in all that are above."""
    return value << layout.shift & (1 << layout.allocated) - 1
