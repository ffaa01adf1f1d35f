"""Frames of encapsulated pixel data without what is no image: comments, application segments, boxes, what is behind.

Octets become blank where they stand: no length changes, so that fragments and offset tables stay true.

Source: DICOM PS3.5 annex A.4 (edition 2026c).

Public names: ``without_texts_in_frames``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from deidflow.tasks.core.dicom.tags import PIXEL_DATA
from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.local.dicom_file.encoding import ITEM
from deidflow.tasks.local.editing.actions import Action
from deidflow.tasks.local.editing.painting.fragments import BEGINNINGS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deidflow.tasks.local.dicom_file.elements import Element
    from deidflow.tasks.local.dicom_file.source_file import SourceFile
    from deidflow.tasks.local.editing.spans import Span
    from deidflow.tasks.local.editing.table import Table

_RLE: Final = "1.2.840.10008.1.2.5"
"""Each frame is one fragment (PS3.5 annex A.4.2)."""
_SIDES: Final = (0x00280010, 0x00280011)
"""Rows and Columns."""
_MAX_FRAME_BYTES: Final = 1 << 30


class _Fragment(NamedTuple):
    """A fragment and where it begins in the source's body."""

    start: int
    data: bytes


class _Blank(NamedTuple):
    """Octets of the source's body that become blank, and what each becomes."""

    start: int
    end: int
    fill: int


def without_texts_in_frames(source: SourceFile, elements: list[Element], spans: list[Span], table: Table) -> list[Span]:
    """Return the spans of an edited dataset with all blank in its frames at top level that is no image.

    Args:
        source: The open file.
        elements: All elements of its dataset.
        spans: What became of them.
        table: By which it was edited; pixel data that it replaces or removes is not looked at.

    Raises:
        InstanceFailed: Nobody can tell what a frame holds, or the fragments cannot be followed.

    """
    blanks, rule = table.frame_blanks, table.top.by_tag.get(PIXEL_DATA)
    goes = rule is not None and rule.action in (Action.REPLACE, Action.REMOVE)
    if blanks is None or goes or not source.layout.is_compressed:
        return spans
    syntax, pixels = source.layout.transfer_syntax, _pixels(source, elements)
    found = [
        blank
        for tag, _, _, value, end, sequence in elements
        if tag == PIXEL_DATA and sequence is None
        for frame in _frames(source, value, end)
        for one in blanks(syntax, b"".join(fragment.data for fragment in frame), pixels)
        for blank in _in_body(frame, *one)
    ]
    return list(_blanked(spans, found)) if found else spans


def _pixels(source: SourceFile, elements: list[Element]) -> int:
    """Return Rows times Columns, 0 where they are not there."""
    sides = {
        tag: int.from_bytes(source.read(value, value + 2), "little")  # no compressed syntax is big endian
        for tag, _, _, value, end, _ in reversed(elements)
        if tag in _SIDES and end - value == 2  # noqa: PLR2004 (US)
    }
    return sides.get(_SIDES[0], 0) * sides.get(_SIDES[1], 0)


def _in_body(frame: list[_Fragment], start: int, end: int, fill: int) -> Iterator[_Blank]:
    """Yield where octets of a frame stand in the body, fragment by fragment."""
    before = 0
    for fragment in frame:
        first, last = max(start - before, 0), min(end - before, len(fragment.data))
        if first < last:
            yield _Blank(fragment.start + first, fragment.start + last, fill)
        before += len(fragment.data)


def _blanked(spans: list[Span], blanks: list[_Blank]) -> Iterator[Span]:
    """Yield the spans, cut around what becomes blank."""
    waiting = sorted(blanks)
    for span in spans:
        if isinstance(span, bytes) or len(span) != 2:  # noqa: PLR2004 (a masked one: not of compressed pixels)
            yield span
            continue
        at, end = span
        for blank in waiting:
            start, stop = max(blank.start, at), min(blank.end, end)
            if start >= stop:
                continue
            if at < start:
                yield at, start
            yield bytes([blank.fill]) * (stop - start)
            at = stop
        if at < end:
            yield at, end


def _frames(source: SourceFile, value: int, end: int) -> Iterator[list[_Fragment]]:
    frame: list[_Fragment] = []
    is_rle = source.layout.transfer_syntax == _RLE
    for fragment in _fragments(source, value, end):
        if frame and (is_rle or fragment.data.startswith(BEGINNINGS)):
            yield frame
            frame = []
        frame.append(fragment)
        if sum(len(one.data) for one in frame) > _MAX_FRAME_BYTES:
            raise InstanceFailed(ReasonCode.UNSAFE_CONTENT, "a compressed frame is too long to be looked at")
    if frame:
        yield frame


def _fragments(source: SourceFile, value: int, end: int) -> Iterator[_Fragment]:
    """Yield the fragments behind the offset table."""
    unpack, at, first = source.layout.encoding.tag_length.unpack, value, True
    while at + 8 <= end:
        group, element, length = unpack(source.read(at, at + 8))
        if group << 16 | element != ITEM:
            return
        if not first and length:
            yield _Fragment(at + 8, source.read(at + 8, at + 8 + length))
        first, at = False, at + 8 + length
