"""New frames, kept until it is known how long all of them are: in memory while they are few, then in a file.

Public names: ``FrameSpool``.
"""

from __future__ import annotations

import tempfile
from typing import Final

from deidflow.tasks.local.dicom_file.encoding import EXPLICIT_LITTLE, ITEM, item_header
from deidflow.tasks.local.editing.spans import SpooledSpan

_IN_MEMORY_BYTES: Final = 1 << 25


class FrameSpool:
    """Frames as items of one fragment each, one behind the other."""

    def __init__(self) -> None:
        """Begin with none; the file has no name, and goes with its last user."""
        self._file = _Spool(max_size=_IN_MEMORY_BYTES)
        self.sizes: list[int] = []
        self._end = 0

    def add(self, frame: bytes) -> None:
        """Take the next frame, of even length."""
        self._file.write(item_header(ITEM, len(frame), EXPLICIT_LITTLE) + frame)
        self._end += 8 + len(frame)
        self.sizes.append(len(frame))

    def span(self) -> SpooledSpan:
        """Return all of them."""
        return SpooledSpan(0, self._end, self._file)


class _Spool(tempfile.SpooledTemporaryFile[bytes]):
    """Closes itself when nobody uses it any more."""

    def __del__(self) -> None:
        self.close()
