"""What a large file is known by without reading all of it: a hash of its beginning and its end.

In a DICOM file everything but the pixels stands there nearly always, and pixels are compared with those of the result
anyway. Hashing whole files would cost the engine a tenth of its time, an excerpt costs a hundredth.

Public names: ``excerpt``, ``is_excerpt``, ``HEAD_BYTES``, ``TAIL_BYTES``.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

HEAD_BYTES: Final = 1 << 14
TAIL_BYTES: Final = 1 << 11
_MARK: Final = "excerpt "


def excerpt(read: Callable[[int, int], bytes], size: int) -> str:
    """Return ``excerpt`` and a SHA-256 in hex over the size, the beginning and the end of a file.

    Args:
        read: Reads bytes from an offset: how many, and from where.
        size: Of the file in bytes.

    Raises:
        OSError: It cannot be read.

    """
    digest = sha256(size.to_bytes(8, "big"))
    digest.update(read(min(size, HEAD_BYTES), 0))
    if size > HEAD_BYTES:
        start = max(HEAD_BYTES, size - TAIL_BYTES)
        digest.update(read(size - start, start))
    return _MARK + digest.hexdigest()


def is_excerpt(content: str) -> bool:
    """Whether what was noted of a file is the hash of an excerpt, not of its whole content."""
    return content.startswith(_MARK)
