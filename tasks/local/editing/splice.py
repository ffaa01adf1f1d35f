"""Put an edited file together: preamble, file meta information, dataset; as spans of the source and new bytes.

Source: DICOM PS3.10 section 7.1 (edition 2026c).

Public names: ``Assembly``, ``assemble``, ``sop_class_of``, ``says_burned_in``, ``required_meta``, ``meta_with``,
``deflate``, ``IMPLEMENTATION_CLASS_UID``.
"""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.dicom.tags import BURNED_IN_ANNOTATION, SOP_CLASS_UID
from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.local.dicom_file.character_sets import DEFAULT
from deidflow.tasks.local.dicom_file.encoding import (
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    element_header,
    encoding_of,
    is_uncompressed,
)
from deidflow.tasks.local.dicom_file.values import encode_value
from deidflow.tasks.local.editing.references import CleaningNotes, padded_uid
from deidflow.tasks.local.editing.spans import MaskedSpan, PaintedSpan, SpooledSpan, spans_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from deidflow.tasks.local.dicom_file.elements import Element
    from deidflow.tasks.local.dicom_file.source_file import SourceFile
    from deidflow.tasks.local.editing.painting.choice import PixelWork
    from deidflow.tasks.local.editing.references import InstanceIdentifiers
    from deidflow.tasks.local.editing.spans import Span
    from deidflow.tasks.local.editing.table import Table

IMPLEMENTATION_CLASS_UID: Final = "2.25.204752977782827029516074077606453405661"
"""Names deidflow as the writer of anonymized files; the same in all releases, so that results do not depend on them."""

_GROUP_LENGTH: Final = 0x00020000
_VERSION: Final = 0x00020001
_MEDIA_STORAGE_SOP_CLASS_UID: Final = 0x00020002
_MEDIA_STORAGE_SOP_INSTANCE_UID: Final = 0x00020003
_TRANSFER_SYNTAX_UID: Final = 0x00020010
_IMPLEMENTATION_CLASS_UID: Final = 0x00020012
_GATHERED_BYTES: Final = 1 << 23
_CHANGED_BYTES: Final = 1 << 20
"""A multiple of all widths of pixels."""

_SHORTER: Final = "the source file became shorter while it was copied"
_PREAMBLE: Final = bytes(128) + b"DICM"
_TOO_LONG: Final = "SOPClassUID or TransferSyntaxUID is longer than any UID"

_DIRECT_COPY_BYTES: Final = 1 << 15
"""Spans from this size on are copied by the kernel, from file to file, when they are not in memory anyway."""

_COPY_BYTES: Final = 1 << 26
_GATHERED_PARTS: Final = 512
"""Below the system's limit of buffers for one gathered write (IOV_MAX, 1024 on Linux)."""


@dataclass(slots=True)
class Assembly:
    """One result, ready to be written.

    Attributes:
        source: The open source, whose body the spans refer to.
        prefix: New bytes before the dataset: preamble and file meta information.
        spans: The dataset.
        burned_in: Whether the source says that text is burned into its pixels.
        notes: What cleaning its texts came to.
        pixels: What is done with its pixels, where the profile asks for that.

    """

    source: SourceFile
    prefix: bytes
    spans: list[Span]
    burned_in: bool = False
    notes: CleaningNotes = field(default_factory=CleaningNotes)
    pixels: PixelWork | None = None

    @property
    def size(self) -> int:
        """Length of the result in bytes."""
        return len(self.prefix) + spans_size(self.spans)

    def pieces(self) -> Iterator[bytes | bytearray | memoryview | tuple[int, int]]:
        """Yield bytes at hand, and those spans that are still on disk only."""
        body = memoryview(self.source.body)
        yield self.prefix
        for span in self.spans:
            yield from self._pieces_of(span, body)

    def _pieces_of(self, span: Span, body: memoryview) -> Iterator[bytes | bytearray | memoryview | tuple[int, int]]:
        if isinstance(span, bytes):
            yield span
        elif isinstance(span, (MaskedSpan, PaintedSpan)):
            yield from self._changed(span, span.applied if isinstance(span, MaskedSpan) else span.paint)
        elif isinstance(span, SpooledSpan):
            yield from _spooled(span)
        elif span[1] <= len(body):
            yield body[span[0] : span[1]]
        elif span[1] - span[0] < _DIRECT_COPY_BYTES:
            yield self.source.read(*span)
        else:
            yield span

    def _changed(
        self, span: MaskedSpan | PaintedSpan, change: Callable[[int, bytes | memoryview], bytes | bytearray]
    ) -> Iterator[bytes | bytearray]:
        """Yield the bytes of a span piece by piece, as they become."""
        body = memoryview(self.source.body)
        for start in range(span.start, span.end, _CHANGED_BYTES):
            stop = min(span.end, start + _CHANGED_BYTES)
            data = body[start:stop] if stop <= len(body) else self.source.read(start, stop)
            if len(data) < stop - start:
                raise EOFError(_SHORTER)
            yield change(start, data)

    def to_bytes(self) -> bytes:
        """Return the whole result (for files that fit into memory)."""
        return b"".join(self.source.read(*piece) if isinstance(piece, tuple) else piece for piece in self.pieces())

    def write(self, descriptor: int) -> None:
        """Write the result to an open file.

        Raises:
            OSError: The source cannot be read or the destination not be written.

        """
        body = memoryview(self.source.body)
        at_hand = len(body)
        gathered: list[bytes | bytearray | memoryview] = [self.prefix]
        fresh = 0
        for span in self.spans:
            # Nearly all are of these two kinds, and need no memory of their own.
            if isinstance(span, bytes):
                gathered.append(span)
                continue
            if type(span) is tuple and span[1] <= at_hand:
                gathered.append(body[span[0] : span[1]])
                continue
            for piece in self._pieces_of(span, body):
                if isinstance(piece, tuple):
                    _write_all(descriptor, gathered)
                    gathered, fresh = [], 0
                    _copy(self.source.descriptor, descriptor, *piece)
                    continue
                gathered.append(piece)
                fresh += len(piece)
                if fresh > _GATHERED_BYTES:
                    _write_all(descriptor, gathered)
                    gathered, fresh = [], 0
        _write_all(descriptor, gathered)


def _spooled(span: SpooledSpan) -> Iterator[bytes]:
    span.file.seek(span.start)
    for start in range(span.start, span.end, _CHANGED_BYTES):
        yield span.file.read(min(_CHANGED_BYTES, span.end - start))


def _write_all(descriptor: int, pieces: list[bytes | bytearray | memoryview]) -> None:
    for first in range(0, len(pieces), _GATHERED_PARTS):
        some = pieces[first : first + _GATHERED_PARTS]
        written = os.writev(descriptor, some)
        if written < sum(map(len, some)):
            rest = memoryview(b"".join(some))[written:]
            while rest:
                rest = rest[os.write(descriptor, rest) :]


def _copy(source: int, destination: int, start: int, end: int) -> None:
    """Copy a span from file to file without holding it in memory."""
    while start < end:
        # sendfile works between all file systems, copy_file_range does not.
        copied = os.sendfile(destination, source, start, min(end - start, _COPY_BYTES))
        if copied == 0:
            raise EOFError(_SHORTER)
        start += copied


def assemble(
    source: SourceFile, spans: list[Span], sop_class: bytes | None, table: Table, identifiers: InstanceIdentifiers
) -> Assembly:
    """Put an edited dataset behind the file meta information that goes with it.

    Args:
        source: The open file.
        spans: Its edited dataset.
        sop_class: Value of SOPClassUID in its dataset, None where it has none.
        table: By which it was edited.
        identifiers: The instance's identifiers before and after.

    Raises:
        InstanceFailed: A UID of the file meta information is longer than any.

    """
    layout = source.layout
    prefix = (_new_meta if table.anonymizes else _true_meta)(source, sop_class, table, identifiers)
    if layout.deflated:
        if spans == [(0, source.body_size)] and not (table.anonymizes or source.is_rewritten):
            compressed = source.compressed_dataset()
        else:
            compressed = deflate(Assembly(source, b"", spans).to_bytes())
        spans = [compressed]
    return Assembly(source, prefix, spans, notes=identifiers.notes)


def deflate(data: bytes) -> bytes:
    """Return a dataset as one deflate stream."""
    deflater = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    compressed = deflater.compress(data) + deflater.flush()
    # PS3.5 A.5: padded with NUL to an even length.
    return compressed + b"\0" if len(compressed) % 2 else compressed


def says_burned_in(source: SourceFile, elements: Sequence[Element]) -> bool:
    """Whether BurnedInAnnotation is YES in a dataset (PS3.3 section C.7.6.1.1.5)."""
    return any(
        source.read(value, min(end, value + 4)).strip(b" \0").upper() == b"YES"
        for tag, _, _, value, end, _ in elements
        if tag == BURNED_IN_ANNOTATION
    )


def sop_class_of(source: SourceFile, elements: list[Element]) -> bytes | None:
    """Return the value of SOPClassUID as it stands in a dataset, None where it has none."""
    for tag, _, _, value, end, _ in elements:
        if tag == SOP_CLASS_UID:
            return source.read(value, end)
    return None


def _sop_class(source: SourceFile, own: bytes | None, table: Table) -> bytes:
    replaced = table.values.get(SOP_CLASS_UID)
    if isinstance(replaced, str):  # as the dataset gets it, written as text or as a data URI
        return encode_value(SOP_CLASS_UID, "UI", replaced, DEFAULT, EXPLICIT_LITTLE)
    if own is not None:
        return padded_uid(own.decode("latin-1").strip(" \0"))
    return source.meta_value(_MEDIA_STORAGE_SOP_CLASS_UID)


def _new_meta(source: SourceFile, own_class: bytes | None, table: Table, identifiers: InstanceIdentifiers) -> bytes:
    """Return an empty preamble and the file meta information that PS3.10 requires, with deidflow as implementation."""
    sop_class = _sop_class(source, own_class, table)
    try:
        return required_meta(sop_class, padded_uid(identifiers.new.sop_instance_uid), _syntax(source))
    except OverflowError:
        raise InstanceFailed(ReasonCode.DAMAGED, _TOO_LONG) from None


def _syntax(source: SourceFile) -> str:
    """Return the transfer syntax that the dataset really has, whatever the meta information says."""
    syntax, encoding = source.layout.transfer_syntax, source.layout.encoding
    if syntax and not (is_uncompressed(syntax) and encoding_of(syntax) is not encoding):
        return syntax
    if encoding is EXPLICIT_BIG:
        return EXPLICIT_VR_BIG_ENDIAN
    return EXPLICIT_VR_LITTLE_ENDIAN if encoding.explicit else IMPLICIT_VR_LITTLE_ENDIAN


def required_meta(sop_class: bytes, sop_instance: bytes, syntax: str) -> bytes:
    """Return an empty preamble and the file meta information that PS3.10 requires; UIDs padded, none for no class."""
    before, after = _meta_around(sop_class, len(sop_instance), syntax)
    return before + sop_instance + after


@lru_cache(maxsize=64)
def _meta_around(sop_class: bytes, sop_instance_bytes: int, syntax: str) -> tuple[bytes, bytes]:
    """Return what stands before and behind the value of MediaStorageSOPInstanceUID: nearly always the same."""
    before = element_header(_VERSION, "OB", 2, EXPLICIT_LITTLE) + b"\0\1"
    if sop_class:
        before += _uid_element(_MEDIA_STORAGE_SOP_CLASS_UID, sop_class)
    before += element_header(_MEDIA_STORAGE_SOP_INSTANCE_UID, "UI", sop_instance_bytes, EXPLICIT_LITTLE)
    after = _uid_element(_TRANSFER_SYNTAX_UID, padded_uid(syntax))
    after += _uid_element(_IMPLEMENTATION_CLASS_UID, padded_uid(IMPLEMENTATION_CLASS_UID))
    size = len(before) + sop_instance_bytes + len(after)
    length = element_header(_GROUP_LENGTH, "UL", 4, EXPLICIT_LITTLE) + size.to_bytes(4, "little")
    return _PREAMBLE + length + before, after


def _uid_element(tag: int, value: bytes) -> bytes:
    return element_header(tag, "UI", len(value), EXPLICIT_LITTLE) + value


def _true_meta(source: SourceFile, own_class: bytes | None, table: Table, identifiers: InstanceIdentifiers) -> bytes:
    """Return what stands before an edited copy: the source's preamble and meta information, made whole and true."""
    required = {
        _VERSION: b"\0\1",
        _MEDIA_STORAGE_SOP_CLASS_UID: _sop_class(source, own_class, table),
        _MEDIA_STORAGE_SOP_INSTANCE_UID: padded_uid(identifiers.new.sop_instance_uid),
        _TRANSFER_SYNTAX_UID: padded_uid(_syntax(source)),
        _IMPLEMENTATION_CLASS_UID: padded_uid(IMPLEMENTATION_CLASS_UID),
    }
    # Whatever version and writer the source names are true as they stand, if not as what.
    for tag, _, _, value, end, _ in source.layout.meta:
        if tag in (_VERSION, _IMPLEMENTATION_CLASS_UID):
            required[tag] = source.head[value:end]
    return meta_with(source, {tag: value for tag, value in required.items() if value})


def meta_with(source: SourceFile, values: Mapping[int, bytes]) -> bytes:
    """Return what stands before the dataset with other values, as a Part 10 file has it.

    A file without preamble gets an empty one. Elements that say the same already, and all others, stay as they are; of
    one that stands twice the first counts. The group's length is always there and right.

    Args:
        source: The open file.
        values: By tag, padded; what the meta information lacks is added in the order of tags.

    Raises:
        InstanceFailed: A value is longer than any UID.

    """
    layout = source.layout
    pieces: dict[int, bytes] = {}
    for tag, vr, start, value, end, _ in layout.meta:
        new = values.get(tag)
        if tag == _GROUP_LENGTH or tag in pieces:
            continue
        if new is None or (vr == _vr_of(tag) and source.head[value:end].strip(b" \0") == new.strip(b" \0")):
            pieces[tag] = source.head[start:end]
        else:
            pieces[tag] = _meta_element(tag, new)
    for tag, new in values.items():
        if tag not in pieces:
            pieces[tag] = _meta_element(tag, new)
    group = b"".join(pieces[tag] for tag in sorted(pieces))
    length = element_header(_GROUP_LENGTH, "UL", 4, EXPLICIT_LITTLE) + len(group).to_bytes(4, "little")
    return (source.head[: layout.meta_start] or _PREAMBLE) + length + group


def _vr_of(tag: int) -> str:
    """Return the VR of an element of the meta information that gets a value here."""
    return "OB" if tag == _VERSION else "UI"


def _meta_element(tag: int, new: bytes) -> bytes:
    try:
        return element_header(tag, _vr_of(tag), len(new), EXPLICIT_LITTLE) + new
    except OverflowError:
        raise InstanceFailed(ReasonCode.DAMAGED, _TOO_LONG) from None
