"""A DICOM file opened for editing: its layout and all its elements, read with as few bytes as possible.

Of most files only the stretches that hold element headers are read, so that pixel data never comes into memory; the
writer copies it from file to file. Small ones are read whole, and so are those up to 1 MiB whose elements do not all
stand at the beginning.

Source: DICOM PS3.10 section 7.1 (file meta information), edition 2026c; PS3.5 A.5 (deflated).

Public names: ``SourceFile``.
"""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

from deidflow.tasks.core.dicom.tags import PIXEL_DATA
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.local.dicom_file.elements import ScanError, TooManyElementsError
from deidflow.tasks.local.dicom_file.encoding import EXPLICIT_LITTLE, UNDEFINED, stores_fragments
from deidflow.tasks.local.dicom_file.findings import MAX_IN_ONE_DATASET, Findings, Irregularity, element_limit
from deidflow.tasks.local.dicom_file.layout import HeadTooShortError, Layout, find_layout
from deidflow.tasks.local.dicom_file.regular import regular_dataset
from deidflow.tasks.local.dicom_file.scanner import Scanner
from deidflow.tasks.local.dicom_file.second_reading import find_second_reading

if TYPE_CHECKING:
    from deidflow.tasks.core.engine.sources import OpenOriginal
    from deidflow.tasks.local.dicom_file.elements import Element
    from deidflow.tasks.local.dicom_file.item_shapes import ItemShapes

WHOLE_BYTES: Final = 1 << 20
"""Files up to this size are read at once when more than their beginning is needed: one system call is cheaper than
several."""

FIRST_BYTES: Final = 1 << 14
"""Beginning that is read of an original first, unless all of it is not much more; at least what ``excerpt`` takes."""

_NOT_MUCH_MORE: Final = 12

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

_MAX_REWRITES: Final = 8
"""Each one uncovers at most one level of sequences whose VR was none."""

_INFLATED_PIECE_BYTES: Final = 1 << 20
_DEFLATED_PIECE_BYTES: Final = 1 << 16


@dataclass(slots=True)
class SourceFile:
    """An open file with its layout; use as a context manager.

    Attributes:
        descriptor: Of the open file; -1 for bytes in memory.
        size: In bytes.
        head: The first bytes of the file; all of them when it is small.
        grows: Whether all of a small file is read as soon as more than its first bytes is needed.
        shapes: Of items in files before, so that alike ones need no scan; None until a reader of many files sets them.
        body: What element offsets refer to: the file's own bytes, or the inflated dataset.
        body_size: Its length in bytes.
        fault: Why a deflated dataset could be inflated in part only; its first elements may still identify it.
        findings: What the last scan noted.
        is_rewritten: Whether the body is the dataset in regular form, in memory.

    """

    descriptor: int
    size: int
    head: bytes
    grows: bool = False
    shapes: ItemShapes | None = field(init=False)
    layout: Layout = field(init=False)
    body: bytes = field(init=False)
    body_size: int = field(init=False)
    fault: ScanError | None = field(init=False)
    findings: Findings = field(init=False)
    is_rewritten: bool = field(init=False)

    def __post_init__(self) -> None:
        """Find the layout.

        Raises:
            NotDicomError: The file is not DICOM.
            ScanError: The meta information cannot be read.

        """
        self.shapes = None
        self.layout = self._find_layout()
        self.body, self.body_size = self.head, self.size
        self.fault, self.is_rewritten = None, False
        if self.layout.deflated:
            self.body, self.fault = self._inflate()
            self.body_size = len(self.body)

    def _find_layout(self) -> Layout:
        while True:
            try:
                return find_layout(self.head, self.size)
            except HeadTooShortError:
                # Meta information longer than what was read first: private information, for example.
                wanted = min(self.size, 4 * len(self.head), MAX_META_BYTES)
                if self.descriptor < 0 or wanted <= len(self.head):
                    text = "the file ends inside its meta information"
                    if len(self.head) < self.size:
                        text = f"meta information of more than {MAX_META_BYTES >> 20} MiB"
                    raise ScanError(text, len(self.head)) from None
                self.head = _read(self.descriptor, 0, wanted)

    @classmethod
    def open(cls, path: str | bytes | os.PathLike[str], *, first_bytes: int = 0, follow_links: bool = False) -> Self:
        """Open a file.

        Args:
            path: Of a regular file; a symbolic link is refused, since it may have taken the place of a file, unless
                links are to be followed.
            first_bytes: How much of it to read first, 0 for the whole of a small file and a window of a large one.
            follow_links: Whether the source is made of links.

        Raises:
            OSError: It cannot be opened or read.

        """
        no_links = 0 if follow_links else os.O_NOFOLLOW
        return cls.of_descriptor(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | no_links), first_bytes)

    @classmethod
    def of_descriptor(cls, descriptor: int, first_bytes: int = 0) -> Self:
        """Take an open file, and close it in the end.

        Args:
            descriptor: Of the file.
            first_bytes: See ``open``.

        Raises:
            OSError: It cannot be read.

        """
        try:
            size = os.fstat(descriptor).st_size
            wanted = first_bytes or (size if size <= WHOLE_BYTES else WINDOW_BYTES)
            return cls(descriptor, size, _read(descriptor, 0, min(size, wanted)))
        except BaseException:
            os.close(descriptor)
            raise

    @classmethod
    def of_original(cls, original: OpenOriginal) -> Self:
        """Take what a source has opened, and close it in the end.

        Raises:
            OSError: It cannot be read.

        """
        if original.descriptor < 0:
            return cls.of_bytes(original.data)
        try:
            size = original.size
            grows = _NOT_MUCH_MORE * FIRST_BYTES < size <= WHOLE_BYTES
            first = FIRST_BYTES if grows else size if size <= WHOLE_BYTES else WINDOW_BYTES
            return cls(original.descriptor, size, _read(original.descriptor, 0, first), grows)
        except BaseException:
            os.close(original.descriptor)
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
        if self.layout.deflated or self.is_rewritten or self.descriptor < 0:
            return self.body[start:end]
        return _read(self.descriptor, start, max(0, end - start))

    def hold(self, size: int) -> bool:
        """Bring the first bytes of the body into memory, if they are not: with them all of a small file that grows.

        Args:
            size: How many are wanted, in bytes.

        Returns:
            Whether there are more than before.

        Raises:
            OSError: The file cannot be read.

        """
        if not self.grows or size <= len(self.body) or self.layout.deflated or self.is_rewritten:
            return False
        self.grows = False
        self.head = self.body = _read(self.descriptor, 0, self.size)
        return True

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
        encoding, known = self.layout.encoding, len(elements)
        while True:
            self.findings = findings = Findings(limit=element_limit(self.size))
            scanner = Scanner(self.body, 0, self.body_size, self.read, findings, self.shapes)
            position = scanner.top(elements, self.dataset_start if start < 0 else start, encoding, stop_after)
            # What lies behind pixel data is little.
            needs_more = not scanner.stopped_at_tag and position < self.body_size <= 2 * (self.body_size - position)
            if not needs_more or not self.hold(self.body_size):
                break
            del elements[known:]
        window = WINDOW_BYTES
        while position < self.body_size and not scanner.stopped_at_tag:
            if window > MAX_WINDOW_BYTES:
                text = "a sequence larger than 1 GiB"
                raise ScanError(text, position, ReasonCode.UNSUPPORTED)
            data = self.read(position, min(self.body_size, position + window))
            scanner = Scanner(data, position, self.body_size, self.read, findings, self.shapes)
            stop = scanner.top(elements, 0, encoding, stop_after)
            if stop == position:
                window *= 2
            else:
                position, window = stop, WINDOW_BYTES
            if len(elements) > MAX_IN_ONE_DATASET:
                raise TooManyElementsError(position)
        if stop_after == UNDEFINED:
            findings.note_foreign(elements, 0)
        return elements

    def check(self, elements: list[Element]) -> None:
        """Refuse a file that has another reading, or that contradicts itself.

        Args:
            elements: All elements of the dataset, as the last scan gave them.

        Raises:
            ScanError: Which of it, and where (ambiguous-encoding).

        """
        doubts = [*(() if self.is_rewritten else self.layout.doubts), *self.findings.doubts]
        if doubts:
            where = find_second_reading(doubts, self.body_size, self.read)
            if where >= 0:
                text = "the elements can be read in two ways"
                raise ScanError(text, where, ReasonCode.AMBIGUOUS_ENCODING)
        if text := self.contradiction(elements):
            raise ScanError(text, self.dataset_start, ReasonCode.AMBIGUOUS_ENCODING)

    def contradiction(self, elements: list[Element]) -> str:
        """Return what the transfer syntax says that the dataset does not hold; "" for nothing (PS3.5 A.4)."""
        layout = self.layout
        if self.findings.has_fragments and not layout.is_compressed:
            return "the transfer syntax is uncompressed, and the pixel data is encapsulated"
        if not stores_fragments(layout.transfer_syntax):
            return ""
        if layout.encoding is not EXPLICIT_LITTLE:
            return "the transfer syntax is compressed, and the dataset is not explicit VR little endian"
        for tag, _, _, value, end, _ in elements:
            if tag == PIXEL_DATA and end > value:
                # Read from the length field: fragments end with a delimiter of their own.
                is_native = self.read(value - 4, value) != b"\xff\xff\xff\xff"
                return "the transfer syntax is compressed, and the pixel data is not encapsulated" if is_native else ""
        return ""

    def make_regular(self, elements: list[Element], *, drops_opaque: bool) -> list[Element]:
        """Bring the dataset into regular form, in memory, where the scan found irregularities; the file stays as it is.

        Args:
            elements: All of them, as the last scan gave them; offsets are void afterwards.
            drops_opaque: See ``regular_dataset``.

        Returns:
            All elements of the dataset, as it is now.

        Raises:
            ScanError: It is too large for that, or can be read in two ways.

        """
        for _ in range(_MAX_REWRITES):
            opaque = set() if drops_opaque else {Irregularity.OPAQUE}
            irregular = {start: kind for start, kind in self.findings.irregular.items() if kind not in opaque}
            if not irregular:
                return elements
            if self.body_size > MAX_INFLATED_BYTES:
                text = f"an irregular dataset of more than {MAX_INFLATED_BYTES >> 20} MiB"
                raise ScanError(text, min(irregular), ReasonCode.UNSUPPORTED)
            encoding = self.layout.encoding
            body = regular_dataset(elements, encoding, irregular, self.read, drops_opaque=drops_opaque)
            self.body, self.body_size, self.is_rewritten = body, len(body), True
            # What has become UN may be a sequence, which is read now.
            elements = self.scan()
            self.check(elements)
        text = "the dataset stays irregular"
        raise ScanError(text, 0, ReasonCode.AMBIGUOUS_ENCODING)

    @property
    def dataset_start(self) -> int:
        """Offset of the dataset in the body."""
        return 0 if self.layout.deflated or self.is_rewritten else self.layout.dataset_start

    def meta_value(self, wanted: int) -> bytes:
        """Return a value of the file meta information as it stands in the file; empty where it is not there."""
        for tag, _, _, value, end, _ in self.layout.meta:
            if tag == wanted:
                return self.head[value:end]
        return b""

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
