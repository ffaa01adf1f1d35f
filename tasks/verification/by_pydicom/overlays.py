"""Whether pydicom is to look for an overlay in bits of the pixels, told by bytes alone.

Source: DICOM PS3.3 section C.9.2 (edition 2026c): an overlay has data of its own, and its bit position is 0. Until 2004
it could be in bits that the image does not use, without data and with another position.

Public names: ``may_be_in_pixels``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.dicom.tags import is_overlay

if TYPE_CHECKING:
    from deidflow.tasks.verification.reader import Read

_BIT_POSITION: Final = 0x0102
_DATA: Final = 0x3000


def may_be_in_pixels(source: Read) -> bool:
    """Whether one of the overlays at top level lacks data of its own, or names a bit of the pixels other than 0.

    Args:
        source: Read to its end.

    """
    overlays = {element[0]: element for element in source.elements if is_overlay(element[0])}
    for group in {tag >> 16 << 16 for tag in overlays}:
        position, data = overlays.get(group | _BIT_POSITION), overlays.get(group | _DATA)
        if position is None or source.value(*position[2:4]) != b"\0\0" or data is None or data[2] == data[3]:
            return True
    return False
