"""Whether two values of uncompressed pixel data differ in nothing but what is behind their frames, which is blank.

Public names: ``native_fault``, ``OCTETS_BEHIND``.
"""

from __future__ import annotations

from typing import Final

OCTETS_BEHIND: Final = "has octets behind its frames"
_PADDING_BYTES: Final = 1
"""That makes a length even (PS3.5 section 7.1.1)."""


def native_fault(before: bytes, after: bytes, length: int) -> str:
    """Return what is wrong with the pixel data of a result, going on after "PixelData"; "" for nothing.

    Args:
        before: Value of the source.
        after: Of the result.
        length: Bytes of all frames; 0 where that is not told.

    """
    behind = after[length:] if length and len(before) > length + _PADDING_BYTES else b""
    same = len(before) == len(after) and before[: len(before) - len(behind)] == after[: len(after) - len(behind)]
    if not same:
        return "is not the source's, byte for byte"
    return OCTETS_BEHIND if behind.strip(b"\0") else ""
