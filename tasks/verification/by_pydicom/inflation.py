"""Deflated files in the two syntaxes that pydicom 3.0 does not inflate.

Source: DICOM PS3.5 A.7 and A.12 (edition 2026c): JPIP referenced deflate, and HTJ2K with it.

Public names: ``inflatable``.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from typing import BinaryIO

_HEAD_BYTES: Final = 4096
_DEFLATED: Final = b"1.2.840.10008.1.2.1.99"
_ELEMENT: Final = b"\x02\0\x10\0UI"
_SYNTAXES: Final = (b"1.2.840.10008.1.2.4.95", b"1.2.840.10008.1.2.4.205\0")


def inflatable(file: BinaryIO) -> BinaryIO:
    """Return a file that pydicom inflates: itself, or a copy in memory that names the common deflated syntax.

    Args:
        file: Open, at its start.

    """
    head = file.read(_HEAD_BYTES)
    for syntax in _SYNTAXES:
        wanted = _ELEMENT + len(syntax).to_bytes(2, "little") + syntax
        if wanted in head:
            common = wanted[: -len(syntax)] + _DEFLATED.ljust(len(syntax), b"\0")
            return io.BytesIO(head.replace(wanted, common, 1) + file.read())
    file.seek(0)
    return file
