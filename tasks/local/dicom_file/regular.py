"""Write a dataset anew in which a scan found irregularities, so that all readers read the same in what is made of it.

An element whose VR is none becomes UN, as DCMTK writes it; a sequence sent as UN whose items are explicit VR becomes
SQ; needless delimiters and elements of groups 0000 and 0002 go. All else stays byte for byte, but for the lengths that
enclose a change. Edits then work on the regular dataset as on any other.

Source: DICOM PS3.5 sections 6.2.2 (UN), 7.1.2 and 7.5 (edition 2026c); docs/decisions/0010.

Public names: ``regular_dataset``.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.dicom.tags import dictionary_vr
from deidflow.tasks.local.dicom_file.encoding import (
    ITEM,
    ITEM_DELIMITER,
    SEQUENCE_DELIMITER,
    UNDEFINED,
    Encoding,
    element_header,
    item_header,
)
from deidflow.tasks.local.dicom_file.findings import Irregularity

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from deidflow.tasks.local.dicom_file.elements import Element, Item, Read

_UNDEFINED_BYTES: Final = b"\xff\xff\xff\xff"


def regular_dataset(
    elements: list[Element],
    encoding: Encoding,
    irregular: Mapping[int, Irregularity],
    read: Read,
    *,
    drops_opaque: bool,
) -> bytes:
    """Write a whole dataset.

    Args:
        elements: All of it.
        encoding: Of the dataset.
        irregular: What is irregular, by offset.
        read: Reads bytes of the source by start and end.
        drops_opaque: Whether values go of which nobody knows what they hold: no sequences although they are named so or
            begin so, or of unknown tag and VR.

    """
    return b"".join(_Writer(irregular, read, drops_opaque=drops_opaque).dataset(elements, encoding))


class _Writer:
    """Writer of one file's dataset."""

    def __init__(self, irregular: Mapping[int, Irregularity], read: Read, *, drops_opaque: bool) -> None:
        self._irregular = irregular
        self._offsets = sorted(irregular)
        self._read = read
        self._drops_opaque = drops_opaque

    def dataset(self, elements: Sequence[Element], encoding: Encoding) -> list[bytes]:
        """Return the pieces of some elements; neighbours that stay are one piece."""
        pieces: list[bytes] = []
        kept_from = kept_to = -1
        for element in elements:
            start, end = element[2], element[4]
            if not self._holds_any(start, end):
                if start != kept_to:
                    pieces.append(self._read(kept_from, kept_to) if kept_to > kept_from else b"")
                    kept_from = start
                kept_to = end
                continue
            if kept_to > kept_from:
                pieces.append(self._read(kept_from, kept_to))
            kept_from = kept_to = -1
            pieces += self._element(element, encoding)
        if kept_to > kept_from:
            pieces.append(self._read(kept_from, kept_to))
        return pieces

    def _holds_any(self, start: int, end: int) -> bool:
        at = bisect_left(self._offsets, start)
        return at < len(self._offsets) and self._offsets[at] < end

    def _element(self, element: Element, encoding: Encoding) -> list[bytes]:
        tag, vr, start, value, end, sequence = element
        found = self._irregular.get(start)
        if found is Irregularity.FOREIGN or (found is Irregularity.OPAQUE and self._drops_opaque):
            return []
        if found is Irregularity.UNKNOWN_VR:
            if self._drops_opaque and dictionary_vr(tag) is None:
                return []  # neither its tag nor its VR tells what it holds
            return [element_header(tag, "UN", end - value, encoding), self._read(value, end)]
        if sequence is None:
            return [self._read(start, end)]
        inner, items = sequence
        content = [piece for item in items for piece in self._item(item, inner)]
        if found is Irregularity.EXPLICIT_ITEMS:
            vr = "SQ"
        if self._read(value - 4, value) == _UNDEFINED_BYTES:
            return [element_header(tag, vr, UNDEFINED, encoding), *content, item_header(SEQUENCE_DELIMITER, 0, inner)]
        return [element_header(tag, vr, sum(map(len, content)), encoding), *content]

    def _item(self, item: Item, encoding: Encoding) -> list[bytes]:
        start, content, _, end, elements = item
        if not self._holds_any(start, end):
            return [self._read(start, end)]
        inside = self.dataset(elements, encoding)
        if self._read(content - 4, content) == _UNDEFINED_BYTES:
            return [item_header(ITEM, UNDEFINED, encoding), *inside, item_header(ITEM_DELIMITER, 0, encoding)]
        return [item_header(ITEM, sum(map(len, inside)), encoding), *inside]
