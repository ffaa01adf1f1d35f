"""Write a scanned dataset in another encoding: explicit or implicit VR, little or big endian.

Element by element and byte by byte: text, padding, and lengths that are undefined stay as they are; what changes are
the headers, the byte order of numbers, and the lengths of what holds them. Nothing is decoded.

Source: DICOM PS3.5 sections 6.2.2 (UN), 7.1 to 7.5, 8.1 and A.1 to A.4 (edition 2026c).

Public names: ``Recoder``, ``swapped``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from deidflow.tasks.core.dicom.tags import PIXEL_DATA, describe_tag
from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.local.dicom_file.encoding import (
    ITEM,
    ITEM_DELIMITER,
    MAX_SHORT_LENGTH,
    SEQUENCE_DELIMITER,
    SHORT_VRS,
    UNDEFINED,
    Encoding,
    element_header,
    item_header,
)
from deidflow.tasks.local.dicom_file.values import choose_vr

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from deidflow.tasks.local.dicom_file.elements import Element, Sequence
    from deidflow.tasks.local.dicom_file.source_file import SourceFile

_UNDEFINED_BYTES: Final = b"\xff\xff\xff\xff"
_BITS_ALLOCATED: Final = 0x00280100
_PIXEL_REPRESENTATION: Final = 0x00280103
_WIDTHS: Final = {
    **dict.fromkeys(("US", "SS", "AT", "OW"), 2),
    **dict.fromkeys(("UL", "SL", "FL", "OF", "OL"), 4),
    **dict.fromkeys(("UV", "SV", "FD", "OD", "OV"), 8),
}
"""Bytes that change their order together, by VR (PS3.5 section 7.3)."""


def swapped(data: bytes, width: int) -> bytes:
    """Return bytes in the other order within each word; an incomplete last word stays."""
    whole = len(data) - len(data) % width
    return np.frombuffer(data[:whole], f"u{width}").byteswap().tobytes() + data[whole:] if width > 1 else data


class Recoder:
    """Writer of one file's dataset in another encoding."""

    def __init__(self, source: SourceFile, target: Encoding) -> None:
        """Take the open source and how to write it."""
        self._source = source
        self._target = target

    def dataset(self, elements: list[Element], replaced: Mapping[int, bytes]) -> bytes:
        """Write the whole dataset.

        Args:
            elements: All of it.
            replaced: Elements that are new, written for the target, headers included.

        Raises:
            InstanceFailed: The target cannot hold an element.

        """
        return self._dataset(elements, self._source.layout.encoding, replaced, is_signed=False)

    def _dataset(
        self, elements: Collection[Element], encoding: Encoding, replaced: Mapping[int, bytes], *, is_signed: bool
    ) -> bytes:
        is_signed = self._number(elements, _PIXEL_REPRESENTATION, encoding, default=int(is_signed)) == 1
        bits = self._number(elements, _BITS_ALLOCATED, encoding, default=0)
        written: dict[int, bytes] = {}
        for element in elements:
            tag = element[0]
            if tag not in replaced:
                # A tag that stands twice is not lost.
                data = self._element(element, encoding, bits, is_signed=is_signed)
                written[tag] = written.get(tag, b"") + data
        written.update(replaced)
        tags = sorted(written) if replaced else list(written)
        for tag in tags:
            if tag & 0xFFFF == 0:
                size = sum(len(written[other]) for other in tags if other >> 16 == tag >> 16 and other != tag)
                written[tag] = written[tag][:-4] + self._target.long_length.pack(size)
        return b"".join([written[tag] for tag in tags])

    def _number(self, elements: Collection[Element], tag: int, encoding: Encoding, *, default: int) -> int:
        for found, _, _, value, end, _ in elements:
            if found == tag and end > value:
                return int.from_bytes(self._source.read(value, value + 2), "little" if encoding.little else "big")
        return default

    def _element(self, element: Element, encoding: Encoding, bits: int, *, is_signed: bool) -> bytes:
        tag, vr, _, value, end, sequence = element
        target = self._target
        if not encoding.explicit and target.explicit and sequence is None:
            vr = _resolved_vr(tag, vr, is_signed=is_signed)
        is_undefined = self._source.read(value - 4, value) == _UNDEFINED_BYTES
        if sequence is not None and (vr == "SQ" or not encoding.explicit):
            content = self._items(sequence, is_signed=is_signed)
            if is_undefined:
                content += item_header(SEQUENCE_DELIMITER, 0, target)
            return element_header(tag, "SQ", UNDEFINED if is_undefined else len(content), target) + content
        if is_undefined and sequence is None:
            text = f"{describe_tag(tag)} holds compressed data that only its own transfer syntax can"
            raise InstanceFailed(ReasonCode.TRANSCODING_FAILED, text)
        data = self._source.read(value, end)
        if is_undefined:  # a sequence sent as UN: implicit VR little endian in any transfer syntax
            return element_header(tag, vr, UNDEFINED, target) + data
        if encoding.little is not target.little:
            data = swapped(data, _width(tag, vr, bits))
        if len(data) > MAX_SHORT_LENGTH and vr.encode() in SHORT_VRS:
            vr = "UN"
        return element_header(tag, vr, len(data), target) + data

    def _items(self, sequence: Sequence, *, is_signed: bool) -> bytes:
        encoding, items = sequence
        target, pieces = self._target, []
        for _, content, _, _, elements in items:
            data = self._dataset(elements, encoding, {}, is_signed=is_signed)
            if self._source.read(content - 4, content) == _UNDEFINED_BYTES:
                pieces += [item_header(ITEM, UNDEFINED, target), data, item_header(ITEM_DELIMITER, 0, target)]
            else:
                pieces += [item_header(ITEM, len(data), target), data]
        return b"".join(pieces)


def _resolved_vr(tag: int, vr: str, *, is_signed: bool) -> str:
    """Return the VR of an element that stood without one (PS3.5 A.1; PS3.6, note on ``US or SS``)."""
    if " or " not in vr:
        return vr
    if vr == "US or SS":
        return "SS" if is_signed else "US"
    return choose_vr(tag)


def _width(tag: int, vr: str, bits: int) -> int:
    """Return the bytes of a word; pixels of 32 bits count as one, as pydicom and its big endian files have it."""
    width = _WIDTHS.get(vr, 1)
    return max(width, bits // 8) if tag == PIXEL_DATA and width > 1 else width
