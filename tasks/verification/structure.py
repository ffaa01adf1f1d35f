"""Whether a result is a whole file: read from its preamble to its last byte by nothing but the rules of the standard.

It shares no code with the editor. What the source itself lacks is not held against its result.

Public names: ``check_structure``, ``content_hash``, ``is_what_was_read``.
"""

from __future__ import annotations

import io
import os
import struct
import zlib
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode

if TYPE_CHECKING:
    from typing import BinaryIO

    from deidflow.tasks.core.engine.protocol import PlannedInstance

_PIECE_BYTES: Final = 1 << 20
_MAX_INFLATED_BYTES: Final = 1 << 30
_MAX_DEPTH: Final = 100
"""No real object nests deeper, and each level costs a frame of Python's own stack."""

_UNDEFINED: Final = 0xFFFFFFFF
_ITEM: Final = 0xFFFEE000
_ITEM_END: Final = 0xFFFEE00D
_SEQUENCE_END: Final = 0xFFFEE0DD
_TRANSFER_SYNTAX_UID: Final = 0x00020010
_IMPLICIT: Final = "1.2.840.10008.1.2"
_BIG_ENDIAN: Final = "1.2.840.10008.1.2.2"
_DEFLATED: Final = frozenset(
    {"1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205", "1.2.840.10008.1.2.8.1"}
)
_LONG_VRS: Final = frozenset(
    vr.encode() for vr in ("OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV")
)
"""Value representations with a length of 32 bits (PS3.5 7.1.2, edition 2026d)."""


class _FaultError(Exception):
    """What is wrong with a file; the text goes on after "the result"."""


def content_hash(file: BinaryIO) -> str:
    """Return the SHA-256 of a whole file in hex."""
    file.seek(0)
    digest = sha256()
    while data := file.read(_PIECE_BYTES):
        digest.update(data)
    return digest.hexdigest()


def is_what_was_read(source: BinaryIO, planned: PlannedInstance, content: str) -> bool:
    """Whether a source is what its result was made from: by size and time, or else, after a copy, by its content.

    Args:
        source: Open at its start, where it is left; what came from an Orthanc, which changes no instance in place,
            is in memory.
        planned: Says what the file was like.
        content: Its SHA-256 when it was edited, "" when that was not noted.

    """
    if isinstance(source, io.BytesIO):
        return True
    status = os.fstat(source.fileno())
    if (status.st_size, status.st_mtime_ns) == (planned.size, planned.mtime_ns):
        return True
    is_same = bool(content) and content_hash(source) == content
    source.seek(0)
    return is_same


def check_structure(result: BinaryIO, source: BinaryIO) -> None:
    """Read a result to its end.

    Raises:
        InstanceFailed: It is cut off, has bytes behind its last element, or cannot be read to its end, and nothing of
            the same kind is wrong with its source.

    """
    fault = _fault(result)
    if fault and fault != _fault(source):
        raise InstanceFailed(ReasonCode.RESULT_DIFFERS, f"the result {fault}")


def _fault(file: BinaryIO) -> str:
    try:
        _read_file(file)
    except _FaultError as error:
        return str(error)
    return ""


def _read_file(file: BinaryIO) -> None:
    file.seek(0)
    start = 132 if file.read(132)[128:] == b"DICM" else 0
    size = file.seek(0, os.SEEK_END)
    syntax, start = _read_meta(file, start, size)
    if not syntax:
        raise _FaultError("has no file meta information")
    if syntax in _DEFLATED:
        file.seek(start)
        file = io.BytesIO(_inflated(file.read()))
        start, size = 0, len(file.getbuffer())
    _Walk(file, size, "<" if syntax != _BIG_ENDIAN else ">").elements(start, 0, explicit=syntax != _IMPLICIT)


def _read_meta(file: BinaryIO, start: int, size: int) -> tuple[str, int]:
    """Return the transfer syntax, "" where none is named, and where the dataset begins."""
    walk, syntax, position = _Walk(file, size, "<"), "", start
    while position + 8 <= size:
        tag, length, value, _ = walk.header(position, explicit=True)
        if tag >> 16 != 0x0002:  # noqa: PLR2004 (the group of the meta information)
            break
        position = walk.skipped(value, length)
        if tag == _TRANSFER_SYNTAX_UID and not syntax:
            file.seek(value)
            syntax = file.read(length).decode("ascii", "replace").strip(" \0")
    return syntax, position


def _inflated(data: bytes) -> bytes:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        dataset = inflater.decompress(data, _MAX_INFLATED_BYTES)
    except zlib.error:
        raise _FaultError("cannot be inflated") from None
    if not inflater.eof:
        raise _FaultError("is cut off")
    if inflater.unused_data.strip(b"\0"):
        raise _FaultError("has bytes behind its last element")
    return dataset


class _Walk:
    """Steps from element to element of one file, values unread."""

    def __init__(self, file: BinaryIO, size: int, order: str) -> None:
        self._file, self._size, self._order = file, size, order
        self._tag = struct.Struct(f"{order}HH")
        self._short = struct.Struct(f"{order}H")
        self._long = struct.Struct(f"{order}L")

    def header(self, position: int, *, explicit: bool) -> tuple[int, int, int, bytes]:
        """Return tag, length, where the value begins, and the VR (b"" for implicit VR and items)."""
        self._file.seek(position)
        head = self._file.read(12)
        if len(head) < 8:  # noqa: PLR2004 (the shortest header)
            raise _FaultError("has bytes behind its last element" if not head.strip(b"\0") else "is cut off")
        group, number = self._tag.unpack_from(head)
        tag = group << 16 | number
        if not explicit or group == 0xFFFE:  # noqa: PLR2004 (items and delimiters have no VR)
            return tag, self._long.unpack_from(head, 4)[0], position + 8, b""
        vr = head[4:6]
        if vr not in _LONG_VRS:
            return tag, self._short.unpack_from(head, 6)[0], position + 8, vr
        if len(head) < 12:  # noqa: PLR2004 (a header with a long length)
            raise _FaultError("is cut off")
        return tag, self._long.unpack_from(head, 8)[0], position + 12, vr

    def skipped(self, value: int, length: int) -> int:
        """Return where a value of a known length ends."""
        if length == _UNDEFINED or value + length > self._size:
            raise _FaultError("is cut off")
        return value + length

    def elements(self, position: int, depth: int, *, explicit: bool) -> int:
        """Step through a dataset to the end of the file, or through an item to behind its delimiter."""
        if depth > _MAX_DEPTH:
            raise _FaultError("nests too deep to be read")
        while depth or position < self._size:
            tag, length, value, vr = self.header(position, explicit=explicit)
            if tag == _ITEM_END and depth:
                return value
            if tag >> 16 == 0xFFFE:  # noqa: PLR2004 (items and delimiters)
                raise _FaultError("has an item where none belongs")
            if length != _UNDEFINED:
                position = self.skipped(value, length)
            else:
                position = self._items(value, depth, explicit=explicit and vr != b"UN")
        return position

    def _items(self, position: int, depth: int, *, explicit: bool) -> int:
        """Step through a sequence or fragments of undefined length."""
        while True:
            tag, length, value, _ = self.header(position, explicit=explicit)
            if tag == _SEQUENCE_END:
                return value
            if tag != _ITEM:
                raise _FaultError("has something else where an item belongs")
            if length != _UNDEFINED:
                position = self.skipped(value, length)
            else:
                position = self.elements(value, depth + 1, explicit=explicit)
