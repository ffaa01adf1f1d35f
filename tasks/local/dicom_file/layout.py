"""The parts of a DICOM file: preamble, file meta information, and how the dataset behind them is written.

Source: DICOM PS3.10 section 7.1 (file meta information), edition 2026c.

Public names: ``Layout``, ``find_layout``, ``NotDicomError``, ``HeadTooShortError``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from deidflow.tasks.core.dicom.tags import describe_tag, dictionary_vr
from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.local.dicom_file.elements import ScanError
from deidflow.tasks.local.dicom_file.encoding import (
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
from deidflow.tasks.local.dicom_file.findings import Doubt, Reading, spells_vr

if TYPE_CHECKING:
    from deidflow.tasks.local.dicom_file.elements import Element

_PREAMBLE_BYTES: Final = 128
_MAGIC: Final = b"DICM"
_META_GROUP: Final = 0x0002
_GROUP_LENGTH: Final = 0x00020000
_MEDIA_STORAGE_SOP_INSTANCE_UID: Final = 0x00020003
_TRANSFER_SYNTAX_UID: Final = 0x00020010
_UID: Final = re.compile(r"[0-9.]+")
_FIRST_GROUPS: Final = frozenset({0x0002, 0x0004, 0x0008})


class NotDicomError(InstanceFailed):
    """The file is not DICOM at all."""

    def __init__(self) -> None:
        """Take nothing: there is nothing to tell."""
        super().__init__(ReasonCode.DAMAGED, "the file is not DICOM")


class HeadTooShortError(Exception):
    """The bytes at hand end inside the meta information."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the parts of a file lie.

    Attributes:
        meta_start: Where the first element of group 0002 stands: 132, or 0 without a preamble.
        meta: The elements of group 0002; empty for a bare dataset.
        dataset_start: Where the dataset starts in the file.
        transfer_syntax: As the meta information says, "" when it does not, or says what is no UID.
        encoding: Of the dataset's elements (after inflating).
        deflated: Whether the dataset is one deflate stream.
        doubts: How else the dataset may be read from its first element on.

    """

    meta_start: int
    meta: list[Element]
    dataset_start: int
    transfer_syntax: str
    encoding: Encoding
    deflated: bool
    doubts: tuple[Doubt, ...] = ()

    @property
    def is_compressed(self) -> bool:
        """Whether the transfer syntax stores pixels as fragments."""
        return bool(self.transfer_syntax) and not is_uncompressed(self.transfer_syntax)


class _Known(NamedTuple):
    """A file's first bytes, from which those of the next instance of its series differ in one UID.

    Attributes:
        before: All before the value of MediaStorageSOPInstanceUID.
        after: All between that value and the ninth byte of the dataset.
        start: Where that begins.
        layout: What they come to.

    """

    before: bytes
    after: bytes
    start: int
    layout: Layout


_known: list[_Known] = []
"""The last one, if any: a memory of a function of bytes, like that of ``functools.lru_cache``."""


def find_layout(head: bytes, size: int) -> Layout:
    """Tell the parts of a file with or without preamble and meta information.

    Args:
        head: Its first bytes.
        size: Of the whole file.

    Raises:
        NotDicomError: It is no DICOM.
        ScanError: The meta information cannot be read.
        HeadTooShortError: More bytes are needed.

    """
    for known in _known:
        if head.startswith(known.after, known.start) and head.startswith(known.before):
            return known.layout
    layout = _layout_of(head, size)
    if (new := _as_known(head, layout)) is not None:
        _known[:] = [new]
    return layout


def _as_known(head: bytes, layout: Layout) -> _Known | None:
    """Return what to compare the next file with; None where more than these bytes decides on its layout."""
    end = layout.dataset_start + 8
    first = head[layout.dataset_start : end]
    is_declared = bool(layout.transfer_syntax) and not layout.doubts and not layout.deflated
    if len(first) < 8 or not is_declared or _has_vr(first) is not layout.encoding.explicit:  # noqa: PLR2004 (an element header)
        return None
    for tag, _, _, value, value_end, _ in layout.meta:
        if tag == _MEDIA_STORAGE_SOP_INSTANCE_UID:
            return _Known(head[:value], head[value_end:end], value_end, layout)
    return None


def _layout_of(head: bytes, size: int) -> Layout:
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
        raise HeadTooShortError
    transfer_syntax = ""
    for tag, _, _, value, end, _ in meta:
        if tag == _TRANSFER_SYNTAX_UID:  # the first of several counts
            text = head[value:end].decode("latin-1").strip(" \0")
            transfer_syntax = text if _UID.fullmatch(text) else ""  # what is no UID declares nothing
    encoding = encoding_of(transfer_syntax)
    if is_deflated(transfer_syntax):
        return Layout(start, meta, dataset_start, transfer_syntax, encoding, deflated=True)
    first = head[dataset_start : dataset_start + 8]
    declared = encoding if transfer_syntax else None
    real = _real_encoding(first, declared, size - dataset_start)
    doubts = _doubts(dataset_start, first, declared, real)
    return Layout(start, meta, dataset_start, transfer_syntax, real, deflated=False, doubts=doubts)


def _doubts(start: int, first: bytes, declared: Encoding | None, real: Encoding) -> tuple[Doubt, ...]:
    """Return how pydicom, which looks at the first element, or DCMTK, which trusts what is declared, may read it."""
    found = []
    if not real.explicit and spells_vr(first[4:6]):
        found.append(Doubt(start, little=True, reading=Reading.SWITCHED))
    if declared is not None and declared is not real:
        reading = Reading.AS_DCMTK if declared.explicit else Reading.IMPLICIT
        found.append(Doubt(start, little=declared.little, reading=reading))
    return tuple(found)


def _group(head: bytes, position: int) -> int:
    group = int.from_bytes(head[position : position + 2], "little")
    return group if group in _FIRST_GROUPS else int.from_bytes(head[position : position + 2], "big")


def _scan_meta(head: bytes, start: int) -> tuple[list[Element], int]:
    """Scan group 0002, always explicit little endian (PS3.10 7.1), by its tags: its own length is often wrong.

    An element that stands there again, or behind a length that is right, is passed over: the first meta information
    counts.
    """
    meta: list[Element] = []
    last, end_by_length, is_over = -1, -1, False
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
            if vr is None and last >= _TRANSFER_SYNTAX_UID:
                break  # group 0002 again, inside a dataset of implicit VR
            if vr is None:
                text = f"unknown VR in {describe_tag(group << 16 | number)}"
                raise ScanError(text, position)
            length = int.from_bytes(head[value : value + 4], "little")
            value += 4
        if value + length > len(head):
            raise HeadTooShortError
        tag = group << 16 | number
        is_later = tag > last
        is_over = is_over or (position == end_by_length and last >= _TRANSFER_SYNTAX_UID)
        if tag == _GROUP_LENGTH and not meta and length == 4:  # noqa: PLR2004 (a 32-bit number)
            end_by_length = value + 4 + int.from_bytes(head[value : value + 4], "little")
        if not is_over and (is_later or all(tag != known[0] for known in meta)):
            last = tag if is_later else last
            meta.append((tag, vr, position, value, value + length, None))
        position = value + length
    return meta, position


def _real_encoding(first: bytes, declared: Encoding | None, size: int) -> Encoding:
    """Tell the encoding by the first element where none is declared, or where it contradicts what is declared.

    Some writers declare a compressed syntax and write implicit VR. Whatever is assumed, the scan to the end proves it.
    """
    has_vr = _has_vr(first)
    if declared is not None and (has_vr == declared.explicit or len(first) < 8):  # noqa: PLR2004 (an element header)
        return declared
    little, big = int.from_bytes(first[:2], "little"), int.from_bytes(first[:2], "big")
    if has_vr:
        return EXPLICIT_BIG if big < little else EXPLICIT_LITTLE
    length = int.from_bytes(first[4:8], "little")
    fits = length <= size - 8 or length == UNDEFINED
    if dictionary_vr(little << 16 | int.from_bytes(first[2:4], "little")) is None or not fits:
        if declared is None:
            raise NotDicomError
        return declared  # an element of unknown VR, above all
    return IMPLICIT_LITTLE


def _has_vr(first: bytes) -> bool:
    return first[4:6] in SHORT_VRS or first[4:6] in LONG_VRS
