"""Uncompressed pixel data without what stands behind its frames: padding, in which anything may be left of other data.

Octets become blank where they stand: no length changes. Where they could be frames that NumberOfFrames does not count,
nobody can tell whether they are image.

Source: DICOM PS3.5 section 8.1.1 and annex D, PS3.3 section C.7.6.3.1.2 (edition 2026d).

Public names: ``without_octets_behind_frames``, ``most_pixels``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.core.pixels.facts import PIXEL_ELEMENTS
from deidflow.tasks.local.dicom_file.encoding import UNDEFINED
from deidflow.tasks.local.editing.actions import Action
from deidflow.tasks.local.editing.spans import with_replaced

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from deidflow.tasks.local.dicom_file.elements import Element
    from deidflow.tasks.local.dicom_file.source_file import SourceFile
    from deidflow.tasks.local.editing.spans import Span
    from deidflow.tasks.local.editing.table import Table

_PHOTOMETRIC: Final = 0x00280004
_FRAMES: Final = 0x00280008
_NUMBERS: Final = (0x00280010, 0x00280011, 0x00280002, 0x00280100)
"""Rows, Columns, SamplesPerPixel, BitsAllocated."""
_SIZE_TAGS: Final = frozenset({*_NUMBERS, _PHOTOMETRIC, _FRAMES})
"""Which tell how long the frames are."""
_HALVED: Final = b"_422"
_MAX_VALUE_BYTES: Final = 16


def _frames_length(source: SourceFile, elements: Sequence[Element], size: int = 0) -> tuple[int, int]:
    """Return how many bytes all frames take, and one; 0 where that is not told.

    Args:
        source: The open file.
        elements: Of its top level; of several with one tag the last counts.
        size: Bytes of the pixel data: with as many as frames have that are not halved, they are not, whatever is said.

    """
    found: dict[int, bytes] = {}
    for tag, _, _, value, end, sequence in elements:
        if tag in _SIZE_TAGS:
            if sequence is not None or end - value > _MAX_VALUE_BYTES:
                return 0, 0
            found[tag] = source.read(value, end)
    photometric, frames = (found.get(tag, b"").strip(b" \0") for tag in (_PHOTOMETRIC, _FRAMES))
    numbers = [found.get(tag, b"") for tag in _NUMBERS]
    if not photometric or not (frames or b"1").isdigit() or any(len(raw) != 2 for raw in numbers):  # noqa: PLR2004 (US)
        return 0, 0
    order: Literal["little", "big"] = "little" if source.layout.encoding.little else "big"
    rows, columns, samples, allocated = (int.from_bytes(raw, order) for raw in numbers)
    if allocated % 8 and allocated != 1:
        return 0, 0
    bits, count = rows * columns * allocated, int(frames or b"1") or 1
    lengths = [((bits * each * count + 7) // 8, (bits * each + 7) // 8) for each in (max(2, samples), 2, samples)]
    if not photometric.endswith(_HALVED):
        return lengths[2]
    return lengths[0] if size >= lengths[0][0] else lengths[1]


def most_pixels(source: SourceFile, elements: Sequence[Element], others: Collection[int], table: Table) -> int:
    """Return how long pixel data is at the most in instances of a series behind whose frames nothing stands.

    Args:
        source: One of them, open.
        elements: Of its top level.
        others: Tags of the elements that may be others in each instance.
        table: By which they are edited.

    """
    if table.frame_blanks is None or source.layout.is_compressed:
        return UNDEFINED
    if not _SIZE_TAGS.isdisjoint(others):
        return 0
    length, _ = _frames_length(source, elements)
    return length + 1 if length else UNDEFINED


def without_octets_behind_frames(
    source: SourceFile, elements: Sequence[Element], spans: list[Span], table: Table
) -> list[Span]:
    """Return the spans of an edited dataset with what is behind the frames of its pixel data at top level blank.

    Args:
        source: The open file.
        elements: All elements of its dataset.
        spans: What became of them.
        table: By which it was edited; pixel data that it replaces or removes is not looked at.

    Raises:
        InstanceFailed: ``unsafe-content``: there is as much as a frame.

    """
    if table.frame_blanks is None or source.layout.is_compressed:
        return spans
    for tag, _, _, value, end, sequence in elements:
        rule = table.top.by_tag.get(tag)
        goes = rule is not None and rule.action in (Action.REPLACE, Action.REMOVE)
        if tag not in PIXEL_ELEMENTS or goes or sequence is not None or end == value:
            continue
        length, frame = _frames_length(source, elements, end - value)
        more = end - value - length
        if not length or more <= 1:  # a byte that makes the length even
            continue
        if more >= frame:
            text = "PixelData is longer than Rows, Columns and NumberOfFrames say, by a frame or more"
            raise InstanceFailed(ReasonCode.UNSAFE_CONTENT, text)
        spans = list(with_replaced(spans, value + length, end, lambda part: [bytes(int(part[1]) - int(part[0]))]))
    return spans
