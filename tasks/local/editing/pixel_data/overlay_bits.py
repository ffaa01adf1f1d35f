"""Overlays that lie in the unused bits of PixelData: where they are, and the pixel data without them.

Older objects keep an overlay plane beside the image: OverlayBitPosition names a bit of each pixel that the image does
not use, and OverlayData is absent (PS3.3 section C.9.2, retired since edition 2004). Who removes the overlay's elements
alone leaves the plane to be read. Where it cannot be told which bit that is, or the image uses it, too, nothing can be
cleared. Bits in files without such overlays are not looked at.

Public names: ``without_overlay_bits``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.dicom.tags import PIXEL_DATA
from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.local.dicom_file.encoding import GE_BIG_ENDIAN_PIXELS
from deidflow.tasks.local.editing.actions import Action
from deidflow.tasks.local.editing.spans import MaskedSpan, with_replaced

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deidflow.tasks.local.dicom_file.elements import Element
    from deidflow.tasks.local.dicom_file.source_file import SourceFile
    from deidflow.tasks.local.editing.spans import Span
    from deidflow.tasks.local.editing.table import Table

_BITS_ALLOCATED: Final = 0x00280100
_BITS_STORED: Final = 0x00280101
_HIGH_BIT: Final = 0x00280102
_FIRST_GROUP: Final = 0x60
_OVERLAY_BIT_POSITION: Final = 0x0102
_OVERLAY_DATA: Final = 0x3000
_WIDTHS: Final = (8, 16, 32, 64)


def without_overlay_bits(source: SourceFile, elements: list[Element], spans: list[Span], table: Table) -> list[Span]:
    """Return the spans of an edited dataset with the bits cleared in which its source has overlays.

    Args:
        source: The open file.
        elements: All elements of its dataset.
        spans: What became of them.
        table: By which it was edited; an overlay that it keeps, and pixel data that it replaces, are the user's word.

    Raises:
        InstanceFailed: There are such overlays and the bits cannot be told or cleared.

    """
    overlays = list(_overlays(source, elements, table))
    pixels = [(value, end) for tag, _, _, value, end, _ in elements if tag == PIXEL_DATA]
    rule = table.top.by_tag.get(PIXEL_DATA)
    if not overlays or not pixels or (rule is not None and rule.action in (Action.REPLACE, Action.REMOVE)):
        return spans
    numbers = {tag: _number(source, elements, tag) for tag in (_BITS_ALLOCATED, _BITS_STORED, _HIGH_BIT)}
    allocated, stored, high_bit = numbers.values()
    image = ((1 << stored) - 1) << max(0, high_bit + 1 - stored)
    hidden = 0
    for position, has_data in overlays:
        if position is None or position >= allocated:
            if not has_data and allocated > stored:
                text = "an overlay without data does not say in which bit of the pixels it lies"
                raise InstanceFailed(ReasonCode.UNSAFE_CONTENT, text)
        elif not image >> position & 1:
            if position or not has_data:
                hidden |= 1 << position
        elif position and not has_data:
            text = "an overlay lies in a bit of the pixels that the image uses, too"
            raise InstanceFailed(ReasonCode.UNSAFE_CONTENT, text)
    if not hidden:
        return spans
    little = source.layout.encoding.little and source.layout.transfer_syntax != GE_BIG_ENDIAN_PIXELS
    # The words of 32 bits and more of big endian files are read in two ways.
    ambiguous = not little and allocated > 16  # noqa: PLR2004 (a word of OW)
    if source.layout.is_compressed or allocated not in _WIDTHS or ambiguous:
        text = "an overlay lies in unused bits of pixel data that is compressed or of an odd width"
        raise InstanceFailed(ReasonCode.UNSAFE_CONTENT, text)
    kept = ((1 << allocated) - 1) ^ hidden
    mask = kept.to_bytes(allocated // 8, "little" if little else "big")
    for value, end in pixels:
        spans = _masked(spans, MaskedSpan(value, end, mask))
    return spans


def _masked(spans: list[Span], masked: MaskedSpan) -> list[Span]:
    return list(with_replaced(spans, masked.start, masked.end, lambda part: [masked.part(int(part[0]), int(part[1]))]))


def _overlays(source: SourceFile, elements: list[Element], table: Table) -> Iterator[tuple[int | None, bool]]:
    """Yield of each overlay at top level its bit, None where nothing tells, and whether it has data of its own."""
    found: dict[int, dict[int, Element]] = {}
    for element in elements:
        group = element[0] >> 16
        if group >> 8 == _FIRST_GROUP and group % 2 == 0:
            found.setdefault(group, {}).setdefault(element[0] & 0xFFFF, element)
    if not found:
        return
    kept = {tag >> 16 for tag, rule in table.top.by_tag.items() if rule.action is Action.KEEP}
    for group, overlay in found.items():
        if group in kept:
            continue
        has_data = _OVERLAY_DATA in overlay and overlay[_OVERLAY_DATA][4] > overlay[_OVERLAY_DATA][3]
        position = overlay.get(_OVERLAY_BIT_POSITION)
        is_said = position is not None and position[4] >= position[3] + 2
        yield _number(source, [position], position[0]) if position and is_said else None, has_data


def _number(source: SourceFile, elements: list[Element], wanted: int) -> int:
    """Return the first value of an element of VR US, 0 where it is absent."""
    for tag, _, _, value, end, _ in elements:
        if tag == wanted and end >= value + 2:
            return int.from_bytes(source.read(value, value + 2), "little" if source.layout.encoding.little else "big")
    return 0
