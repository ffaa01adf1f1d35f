"""Put an edited file together: preamble, file meta information, dataset; as spans of the source and new bytes.

Source: DICOM PS3.10 section 7.1 (edition 2026c).

Public names: ``Assembly``, ``assemble``, ``sop_class_of``, ``required_meta``, ``meta_with``, ``deflate``,
``IMPLEMENTATION_CLASS_UID``.
"""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.core.tags import SOP_CLASS_UID
from deidflow.tasks.local.character_sets import DEFAULT
from deidflow.tasks.local.encoding import (
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    Encoding,
    element_header,
    encoding_of,
    is_uncompressed,
)
from deidflow.tasks.local.parts import parts_size
from deidflow.tasks.local.subject import padded_uid
from deidflow.tasks.local.values import encode_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from deidflow.tasks.local.parts import Part
    from deidflow.tasks.local.rules import Rules
    from deidflow.tasks.local.scanner import Element
    from deidflow.tasks.local.source_file import SourceFile
    from deidflow.tasks.local.subject import Subject

IMPLEMENTATION_CLASS_UID: Final = "2.25.204752977782827029516074077606453405661"
"""Names deidflow as the writer of anonymized files; the same in all releases, so that results do not depend on them."""

_GROUP_LENGTH: Final = 0x00020000
_VERSION: Final = 0x00020001
_MEDIA_STORAGE_SOP_CLASS_UID: Final = 0x00020002
_MEDIA_STORAGE_SOP_INSTANCE_UID: Final = 0x00020003
_TRANSFER_SYNTAX_UID: Final = 0x00020010
_IMPLEMENTATION_CLASS_UID: Final = 0x00020012
_PREAMBLE: Final = bytes(128) + b"DICM"

_DIRECT_COPY_BYTES: Final = 1 << 17
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
        parts: The dataset.

    """

    source: SourceFile
    prefix: bytes
    parts: list[Part]

    @property
    def size(self) -> int:
        """Length of the result in bytes."""
        return len(self.prefix) + parts_size(self.parts)

    def pieces(self) -> Iterator[bytes | memoryview | tuple[int, int]]:
        """Yield bytes at hand, and those spans that are still on disk only."""
        body = memoryview(self.source.body)
        at_hand = len(body)
        yield self.prefix
        for part in self.parts:
            if isinstance(part, bytes):
                yield part
            elif part[1] <= at_hand:
                yield body[part[0] : part[1]]
            elif part[1] - part[0] < _DIRECT_COPY_BYTES:
                yield self.source.read(*part)
            else:
                yield part

    def to_bytes(self) -> bytes:
        """Return the whole result (for files that fit into memory)."""
        return b"".join(self.source.read(*piece) if isinstance(piece, tuple) else piece for piece in self.pieces())

    def write(self, descriptor: int) -> None:
        """Write the result to an open file.

        Raises:
            OSError: The source cannot be read or the destination not be written.

        """
        gathered: list[bytes | memoryview] = []
        size = 0
        for piece in self.pieces():
            if isinstance(piece, tuple):
                _write_all(descriptor, gathered, size)
                gathered, size = [], 0
                _copy(self.source.descriptor, descriptor, *piece)
            else:
                gathered.append(piece)
                size += len(piece)
                if len(gathered) == _GATHERED_PARTS:
                    _write_all(descriptor, gathered, size)
                    gathered, size = [], 0
        _write_all(descriptor, gathered, size)


def _write_all(descriptor: int, pieces: list[bytes | memoryview], size: int) -> None:
    written = os.writev(descriptor, pieces) if pieces else 0
    if written < size:
        rest = memoryview(b"".join(pieces))[written:]
        while rest:
            rest = rest[os.write(descriptor, rest) :]


def _copy(source: int, destination: int, start: int, end: int) -> None:
    """Copy a span from file to file without holding it in memory."""
    while start < end:
        # sendfile works between all file systems, copy_file_range does not.
        copied = os.sendfile(destination, source, start, min(end - start, _COPY_BYTES))
        if copied == 0:
            message = "the source file became shorter while it was copied"
            raise EOFError(message)
        start += copied


def assemble(
    source: SourceFile, parts: list[Part], sop_class: bytes | None, rules: Rules, subject: Subject
) -> Assembly:
    """Put an edited dataset behind the file meta information that goes with it.

    Args:
        source: The open file.
        parts: Its edited dataset.
        sop_class: Value of SOPClassUID in its dataset, None where it has none.
        rules: The compiled request.
        subject: The instance's identifiers before and after.

    Raises:
        InstanceFailed: A UID of the file meta information is longer than any.

    """
    layout = source.layout
    prefix = _new_meta(source, sop_class, rules, subject) if rules.anonymizes else _mended_meta(source, rules, subject)
    if layout.deflated:
        if parts == [(0, source.body_size)] and not rules.anonymizes:
            compressed = source.compressed_dataset()
        else:
            compressed = deflate(Assembly(source, b"", parts).to_bytes())
        parts = [compressed]
    return Assembly(source, prefix, parts)


def deflate(data: bytes) -> bytes:
    """Return a dataset as one deflate stream."""
    deflater = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    compressed = deflater.compress(data) + deflater.flush()
    # PS3.5 A.5: padded with NUL to an even length.
    return compressed + b"\0" if len(compressed) % 2 else compressed


def _meta_value(source: SourceFile, wanted: int) -> bytes:
    for tag, _, _, value, end, _ in source.layout.meta:
        if tag == wanted:
            return source.head[value:end]
    return b""


def sop_class_of(source: SourceFile, elements: list[Element]) -> bytes | None:
    """Return the value of SOPClassUID as it stands in a dataset, None where it has none."""
    for tag, _, _, value, end, _ in elements:
        if tag == SOP_CLASS_UID:
            return source.read(value, end)
    return None


def _sop_class(source: SourceFile, own: bytes | None, rules: Rules) -> bytes:
    replaced = rules.values.get(SOP_CLASS_UID)
    if isinstance(replaced, str):
        return _new_uid(replaced)
    if own is not None:
        return padded_uid(own.decode("latin-1").strip(" \0"))
    return _meta_value(source, _MEDIA_STORAGE_SOP_CLASS_UID)


def _new_uid(text: str) -> bytes:
    """Return a value of Replace as the dataset gets it, written as text or as a data URI."""
    return encode_value(SOP_CLASS_UID, "UI", text, DEFAULT, EXPLICIT_LITTLE)


def _new_meta(source: SourceFile, own_class: bytes | None, rules: Rules, subject: Subject) -> bytes:
    """Return an empty preamble and the file meta information that PS3.10 requires, with deidflow as implementation."""
    sop_class = _sop_class(source, own_class, rules)
    syntax = source.layout.transfer_syntax
    if not syntax or (is_uncompressed(syntax) and encoding_of(syntax) is not source.layout.encoding):
        syntax = _syntax_of(source.layout.encoding)
    try:
        return required_meta(sop_class, padded_uid(subject.new.sop_instance_uid), syntax)
    except OverflowError:
        message = "SOPClassUID or TransferSyntaxUID is longer than any UID"
        raise InstanceFailed(ReasonCode.DAMAGED, message) from None


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


def _syntax_of(encoding: Encoding) -> str:
    if encoding is EXPLICIT_BIG:
        return EXPLICIT_VR_BIG_ENDIAN
    return EXPLICIT_VR_LITTLE_ENDIAN if encoding.explicit else IMPLICIT_VR_LITTLE_ENDIAN


def _uid_element(tag: int, value: bytes) -> bytes:
    return element_header(tag, "UI", len(value), EXPLICIT_LITTLE) + value


def _mended_meta(source: SourceFile, rules: Rules, subject: Subject) -> bytes:
    """Return what stands before the dataset, with the UIDs that follow it."""
    new_values = {}
    if subject.original.sop_instance_uid != subject.new.sop_instance_uid:
        new_values[_MEDIA_STORAGE_SOP_INSTANCE_UID] = padded_uid(subject.new.sop_instance_uid)
    replaced_class = rules.values.get(SOP_CLASS_UID)
    if isinstance(replaced_class, str) and SOP_CLASS_UID in rules.top:
        new_values[_MEDIA_STORAGE_SOP_CLASS_UID] = _new_uid(replaced_class)
    return meta_with(source, new_values)


def meta_with(source: SourceFile, new_values: Mapping[int, bytes]) -> bytes:
    """Return what stands before the dataset with other values, and the group's length mended.

    Args:
        source: The open file.
        new_values: By tag, padded; what the meta information lacks is not added.

    """
    layout = source.layout
    pieces = [source.head[: layout.meta_start]]
    group_length_at, group_start = -1, 0
    for tag, vr, start, value, end, _ in layout.meta:
        if tag == _GROUP_LENGTH and end - value == 4:  # noqa: PLR2004 (a 32-bit length)
            pieces.append(source.head[start:value])
            group_length_at, group_start = len(pieces), end
            pieces.append(source.head[value:end])
        elif tag in new_values:
            new = new_values[tag]
            pieces.append(element_header(tag, vr, len(new), EXPLICIT_LITTLE) + new)
        else:
            pieces.append(source.head[start:end])
    if group_length_at >= 0:
        size = sum(len(piece) for piece in pieces[group_length_at + 1 :])
        if size != layout.dataset_start - group_start:
            pieces[group_length_at] = size.to_bytes(4, "little")
    return b"".join(pieces)
