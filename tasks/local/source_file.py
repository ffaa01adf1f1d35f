"""A DICOM file opened for editing: its layout and all its elements, read with as few bytes as possible.

Small files are read whole. Of large ones only the stretches that hold element headers are read, so that pixel data
never comes into memory; the writer copies it from file to file.

Source: DICOM PS3.10 section 7.1 (file meta information), edition 2026c; PS3.5 A.5 (deflated).

Public names: ``SourceFile``, ``Layout``, ``NotDicomError``.
"""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.core.tags import describe_tag, dictionary_vr
from deidflow.tasks.local.encoding import (
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    LONG_VRS,
    SHORT_VRS,
    UNDEFINED,
    Encoding,
    encoding_of,
    is_deflated,
    is_uncompressed,
)
from deidflow.tasks.local.scanner import ScanError, Scanner

if TYPE_CHECKING:
    from deidflow.tasks.local.scanner import Element

WHOLE_BYTES: Final = 1 << 20
"""Files up to this size are read at once: one system call is cheaper than several."""

WINDOW_BYTES: Final = 1 << 18
"""First stretch read of larger files; doubled while an element does not fit."""

MAX_WINDOW_BYTES: Final = 1 << 30
"""No real sequence is larger; one that claims to be would fill the memory."""

MAX_INFLATED_BYTES: Final = 1 << 30
"""A deflated dataset is held in memory; a bomb is refused."""

MIN_INFLATED_BYTES: Final = 32 << 20
"""Any deflated dataset may have this size."""

MAX_INFLATED_RATIO: Final = 64
"""A larger one may have so many times the bytes of its file: images deflate to a half or a tenth, bombs to a 1000th."""

MAX_META_BYTES: Final = 64 << 20
"""Real meta information has less than 1 KiB, and some private information; what claims more is not read into memory."""

_INFLATED_PIECE_BYTES: Final = 1 << 20
_DEFLATED_PIECE_BYTES: Final = 1 << 16
_PREAMBLE_BYTES: Final = 128
_MAGIC: Final = b"DICM"
_META_GROUP: Final = 0x0002
_TRANSFER_SYNTAX_UID: Final = 0x00020010
_FIRST_GROUPS: Final = frozenset({0x0002, 0x0004, 0x0008})


class NotDicomError(InstanceFailed):
    """The file is not DICOM at all."""

    def __init__(self) -> None:
        """Take nothing: there is nothing to tell."""
        super().__init__(ReasonCode.DAMAGED, "the file is not DICOM")


class _HeadTooShort(Exception):
    """The bytes at hand end inside the meta information."""


@dataclass(slots=True)
class Layout:
    """Where the parts of a file lie.

    Attributes:
        meta_start: Where the first element of group 0002 stands: 132, or 0 without a preamble.
        meta: The elements of group 0002; empty for a bare dataset.
        dataset_start: Where the dataset starts in the file.
        transfer_syntax: As the meta information says, "" when it does not.
        encoding: Of the dataset's elements (after inflating).
        deflated: Whether the dataset is one deflate stream.

    """

    meta_start: int
    meta: list[Element]
    dataset_start: int
    transfer_syntax: str
    encoding: Encoding
    deflated: bool

    @property
    def is_compressed(self) -> bool:
        """Whether the transfer syntax stores pixels as fragments."""
        return bool(self.transfer_syntax) and not is_uncompressed(self.transfer_syntax)


@dataclass(slots=True)
class SourceFile:
    """An open file with its layout; use as a context manager.

    Attributes:
        descriptor: Of the open file; -1 for bytes in memory.
        size: In bytes.
        head: The first bytes of the file; all of them when it is small.
        body: What element offsets refer to: the file's own bytes, or the inflated dataset.
        body_size: Its length in bytes.
        fault: Why a deflated dataset could be inflated in part only; its first elements may still identify it.

    """

    descriptor: int
    size: int
    head: bytes
    layout: Layout = field(init=False)
    body: bytes = field(init=False)
    body_size: int = field(init=False)
    fault: ScanError | None = field(init=False)

    def __post_init__(self) -> None:
        """Find the layout.

        Raises:
            NotDicomError: The file is not DICOM.
            ScanError: The meta information cannot be read.

        """
        self.layout = self._find_layout()
        self.body, self.body_size = self.head, self.size
        self.fault = None
        if self.layout.deflated:
            self.body, self.fault = self._inflate()
            self.body_size = len(self.body)

    def _find_layout(self) -> Layout:
        while True:
            try:
                return _layout(self.head, self.size)
            except _HeadTooShort:
                # Meta information longer than what was read first: private information, for example.
                wanted = min(self.size, 4 * len(self.head), MAX_META_BYTES)
                if self.descriptor < 0 or wanted <= len(self.head):
                    text = "the file ends inside its meta information"
                    if len(self.head) < self.size:
                        text = f"meta information of more than {MAX_META_BYTES >> 20} MiB"
                    raise ScanError(text, len(self.head)) from None
                self.head = _read(self.descriptor, 0, wanted)

    @classmethod
    def open(cls, path: str | bytes | os.PathLike[str], *, first_bytes: int = 0) -> Self:
        """Open a file.

        Args:
            path: Of a regular file; a symbolic link is refused, since it may have taken the place of a file.
            first_bytes: How much of it to read first, 0 for the whole of a small file and a window of a large one.

        Raises:
            OSError: It cannot be opened or read.

        """
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
        try:
            size = os.fstat(descriptor).st_size
            wanted = first_bytes or (size if size <= WHOLE_BYTES else WINDOW_BYTES)
            return cls(descriptor, size, _read(descriptor, 0, min(size, wanted)))
        except BaseException:
            os.close(descriptor)
            raise

    @classmethod
    def of_bytes(cls, data: bytes) -> Self:
        """Take a file that is in memory already."""
        return cls(-1, len(data), data)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def read(self, start: int, end: int) -> bytes:
        """Read bytes of the body by offsets; fewer at its end."""
        if end <= len(self.body):
            return self.body[start:end]
        if self.layout.deflated or self.descriptor < 0:
            return self.body[start:end]
        return _read(self.descriptor, start, max(0, end - start))

    def scan(
        self, stop_after: int = UNDEFINED, elements: list[Element] | None = None, *, start: int = -1
    ) -> list[Element]:
        """Scan the elements of the dataset, to the end or until a greater tag.

        Args:
            stop_after: Stop before the first element with a greater tag.
            elements: A list to append to, which holds what was read when an error ends the scan.
            start: Offset of the first element to read, -1 for that of the dataset.

        Raises:
            ScanError: They cannot be read with certainty.

        """
        elements = [] if elements is None else elements
        if self.fault is not None and stop_after == UNDEFINED:
            raise self.fault
        encoding = self.layout.encoding
        scanner = Scanner(self.body, 0, self.body_size, self.read)
        position = scanner.top(elements, self.dataset_start if start < 0 else start, encoding, stop_after)
        window = WINDOW_BYTES
        while position < self.body_size and not scanner.stopped_at_tag:
            if window > MAX_WINDOW_BYTES:
                text = "a sequence larger than 1 GiB"
                raise ScanError(text, position, ReasonCode.UNSUPPORTED)
            data = self.read(position, min(self.body_size, position + window))
            scanner = Scanner(data, position, self.body_size, self.read)
            stop = scanner.top(elements, 0, encoding, stop_after)
            if stop == position:
                window *= 2
            else:
                position, window = stop, WINDOW_BYTES
        return elements

    @property
    def dataset_start(self) -> int:
        """Offset of the dataset in the body."""
        return 0 if self.layout.deflated else self.layout.dataset_start

    def compressed_dataset(self) -> bytes:
        """Return the deflated dataset as it stands in the file."""
        start = self.layout.dataset_start
        if len(self.head) == self.size:
            return self.head[start:]
        return _read(self.descriptor, start, self.size - start)

    def _inflate(self) -> tuple[bytes, ScanError | None]:
        """Inflate the dataset as far as it goes; return what is wrong with the rest, too."""
        compressed = self.compressed_dataset()
        start = self.layout.dataset_start
        limit = min(MAX_INFLATED_BYTES, max(MIN_INFLATED_BYTES, MAX_INFLATED_RATIO * len(compressed)))
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        pieces: list[bytes] = []
        size = position = 0
        fault = ScanError("the deflated dataset is cut off", self.size)
        try:
            while not inflater.eof:
                # What was not consumed is handed in again, so it must not be the whole rest of the file.
                tail = inflater.unconsumed_tail
                data = tail or compressed[position : position + _DEFLATED_PIECE_BYTES]
                position += 0 if tail else len(data)
                piece = inflater.decompress(data, _INFLATED_PIECE_BYTES)
                pieces.append(piece)
                size += len(piece)
                if size > limit:
                    text = f"the deflated dataset has more than {limit >> 20} MiB"
                    return pieces[0], ScanError(text, start, ReasonCode.UNSUPPORTED)
                if not piece and not data:
                    break
        except zlib.error:
            fault = ScanError("the deflated dataset cannot be inflated", start)
        return b"".join(pieces), None if inflater.eof else fault


def _read(descriptor: int, start: int, length: int) -> bytes:
    data = os.pread(descriptor, length, start)
    if len(data) == length or not data:
        return data
    # A single read returns at most 2 GiB and may be cut short by a signal.
    pieces = [data]
    got = len(data)
    while got < length and (data := os.pread(descriptor, length - got, start + got)):
        pieces.append(data)
        got += len(data)
    return b"".join(pieces)


def _layout(head: bytes, size: int) -> Layout:
    """Tell the parts of a file with or without preamble and meta information."""
    start = 0
    if head[_PREAMBLE_BYTES : _PREAMBLE_BYTES + 4] == _MAGIC:
        start = _PREAMBLE_BYTES + 4
    elif len(head) < 8 or _group(head, 0) not in _FIRST_GROUPS:  # noqa: PLR2004 (an element header)
        raise NotDicomError
    if len(head) - start < 8:  # noqa: PLR2004 (an element header)
        text = "the file ends before its first element"
        raise ScanError(text, len(head))
    meta, dataset_start = _scan_meta(head, start)
    if dataset_start + 8 > len(head) and len(head) < size:
        raise _HeadTooShort
    transfer_syntax = ""
    for tag, _, _, value, end, _ in meta:
        if tag == _TRANSFER_SYNTAX_UID:
            transfer_syntax = head[value:end].decode("ascii", "replace").strip(" \0")
    deflated = is_deflated(transfer_syntax)
    encoding = encoding_of(transfer_syntax)
    if not deflated:
        encoding = _real_encoding(head[dataset_start : dataset_start + 8], encoding if transfer_syntax else None)
    return Layout(start, meta, dataset_start, transfer_syntax, encoding, deflated)


def _group(head: bytes, position: int) -> int:
    group = int.from_bytes(head[position : position + 2], "little")
    return group if group in _FIRST_GROUPS else int.from_bytes(head[position : position + 2], "big")


def _scan_meta(head: bytes, start: int) -> tuple[list[Element], int]:
    """Scan group 0002, always explicit little endian (PS3.10 7.1), by its tags: its own length is often wrong."""
    meta: list[Element] = []
    position = start
    unpack = EXPLICIT_LITTLE.tag_vr_length.unpack_from
    while position + 8 <= len(head):
        group, number, raw_vr, length = unpack(head, position)
        if group != _META_GROUP:
            break
        value = position + 8
        vr = SHORT_VRS.get(raw_vr)
        if vr is None:
            vr = LONG_VRS.get(raw_vr)
            if vr is None:
                text = f"unknown VR in {describe_tag(group << 16 | number)}"
                raise ScanError(text, position)
            length = int.from_bytes(head[value : value + 4], "little")
            value += 4
        if value + length > len(head):
            raise _HeadTooShort
        meta.append((group << 16 | number, vr, position, value, value + length, None))
        position = value + length
    return meta, position


def _real_encoding(first: bytes, declared: Encoding | None) -> Encoding:
    """Tell the encoding by the first element where none is declared, or where it contradicts what is declared.

    Some writers declare a compressed syntax and write implicit VR. Whatever is assumed, the scan to the end proves it.
    """
    has_vr = first[4:6] in SHORT_VRS or first[4:6] in LONG_VRS
    if declared is not None and (has_vr == declared.explicit or len(first) < 8):  # noqa: PLR2004 (an element header)
        return declared
    little, big = int.from_bytes(first[:2], "little"), int.from_bytes(first[:2], "big")
    if has_vr:
        return EXPLICIT_BIG if big < little else EXPLICIT_LITTLE
    if dictionary_vr(little << 16 | int.from_bytes(first[2:4], "little")) is None:
        if declared is None:
            raise NotDicomError
        return declared
    return IMPLICIT_LITTLE
