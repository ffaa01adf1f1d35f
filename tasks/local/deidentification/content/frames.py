"""Compressed frames that hold more than an image: comments, application segments, boxes, what is behind, video.

Public names: ``frame_blanks``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.local.deidentification.content.jpeg import jpeg_ranges
from deidflow.tasks.local.deidentification.content.jpeg2000 import jpeg2000_ranges
from deidflow.tasks.local.deidentification.content.ranges import UnsafeContentError
from deidflow.tasks.local.deidentification.content.rle import rle_ranges

if TYPE_CHECKING:
    from deidflow.tasks.local.deidentification.content.ranges import Range

_FAMILY: Final = "1.2.840.10008.1.2.4."
_RLE: Final = "1.2.840.10008.1.2.5"
_JPEG: Final = frozenset({*range(50, 71), 80, 81})
"""JPEG and JPEG-LS (PS3.5 A.4.1 to A.4.3, PS3.6 table A-1)."""
_JPEG_2000: Final = frozenset({*range(90, 94), 201, 202, 203})
"""JPEG 2000 and HTJ2K."""


def frame_blanks(transfer_syntax: str, frame: bytes, pixels: int) -> list[Range]:
    """Return what to blank in one frame, so that nothing but its image is left.

    Args:
        transfer_syntax: UID.
        frame: All its fragments, joined.
        pixels: Rows times columns.

    Raises:
        InstanceFailed: Nobody here can tell.

    """
    number = transfer_syntax.removeprefix(_FAMILY)
    kind = int(number) if number.isdigit() and transfer_syntax != number else 0
    try:
        if transfer_syntax == _RLE:
            return rle_ranges(frame, pixels)
        if kind in _JPEG:
            return jpeg_ranges(frame)
        if kind in _JPEG_2000:
            return jpeg2000_ranges(frame)
    except UnsafeContentError:
        raise InstanceFailed(ReasonCode.UNSAFE_CONTENT, "a compressed frame cannot be read to its end") from None
    raise InstanceFailed(ReasonCode.UNSAFE_CONTENT, "video, or frames of a codec that nothing here can look into")
