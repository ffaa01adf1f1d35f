"""A file that is open for reading: taken at once where it is small, else read as a stream.

Nearly all instances are read whole, and for these Python's file objects would take longer than the bytes do.

Public names: ``OpenedFile``, ``changed_ns``.
"""

from __future__ import annotations

import io
import os
from typing import BinaryIO, Final, Self

_OF_64_BITS: Final = 1 << 64


def changed_ns(status: os.stat_result) -> int:
    """Return when a file was last changed, in nanoseconds: a number of 64 bits with a sign, as a ledger keeps it.

    Shares of Windows give files without a time the year 1601, and damaged ones any up to 30828; nanoseconds in 64 bits
    end in 1677 and 2262. The time is only ever compared, so beyond these it begins anew.
    """
    ns = status.st_mtime_ns
    return (ns + _OF_64_BITS // 2) % _OF_64_BITS - _OF_64_BITS // 2


class OpenedFile:
    """An open file, or one in memory; use as a context manager.

    Attributes:
        descriptor: Of the open file; -1 when it is in memory.
        size: In bytes, when it was opened.
        mtime_ns: When it was last changed, in nanoseconds, at that time; 0 in memory.

    """

    __slots__ = ("_data", "_stream", "descriptor", "mtime_ns", "size")

    def __init__(self, descriptor: int, size: int, mtime_ns: int, data: bytes | None = None) -> None:
        """Take an open file, and close it in the end.

        Args:
            descriptor: Of a regular file; -1 for one in memory.
            size: In bytes.
            mtime_ns: When it was last changed, in nanoseconds.
            data: All bytes of one in memory.

        """
        self.descriptor, self.size, self.mtime_ns = descriptor, size, mtime_ns
        self._data = data
        self._stream: BinaryIO | None = None

    @classmethod
    def in_memory(cls, data: bytes) -> Self:
        """Take all bytes of a file."""
        return cls(-1, len(data), 0, data)

    @property
    def is_in_memory(self) -> bool:
        """Whether no file can change beneath it."""
        return self._data is not None

    def whole(self, most: int) -> bytes | None:
        """Return all bytes; None where there are more than so many, or others than when it was opened.

        Raises:
            OSError: It cannot be read.

        """
        if self.size > most:
            return None
        data = os.pread(self.descriptor, self.size + 1, 0) if self._data is None else self._data
        return data if len(data) == self.size else None

    def stream(self) -> BinaryIO:
        """Return what reads it, from where the last one who asked has left it."""
        if self._stream is None:
            self._stream = os.fdopen(self.descriptor, "rb") if self._data is None else io.BytesIO(self._data)
        return self._stream

    def detach(self) -> int:
        """Return the descriptor of an open file, which the caller closes."""
        descriptor, self.descriptor = self.descriptor, -1
        return descriptor

    def close(self) -> None:
        """Close it; a second call does nothing."""
        if self._stream is not None:
            self._stream.close()
        elif self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()
