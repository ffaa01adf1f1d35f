"""The frames of encapsulated pixel data, one after the other, for a table that wants each looked at.

Source: DICOM PS3.5 annex A.4 (edition 2026c).

Public names: ``check_frames``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.dicom.tags import PIXEL_DATA
from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.local.dicom_file.encoding import ITEM
from deidflow.tasks.local.editing.actions import Action

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deidflow.tasks.local.dicom_file.elements import Element
    from deidflow.tasks.local.dicom_file.source_file import SourceFile
    from deidflow.tasks.local.editing.table import Table

_BEGINNINGS: Final = (b"\xff\xd8\xff", b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  ")
"""Of JPEG and JPEG-LS, of a JPEG 2000 code stream, of a JP2 file."""
_MAX_FRAME_BYTES: Final = 1 << 30


def check_frames(source: SourceFile, elements: list[Element], table: Table) -> None:
    """Have the table look at each frame at top level.

    Args:
        source: The open file.
        elements: All elements of its dataset.
        table: By which it is edited; pixel data that it replaces or removes is not looked at.

    Raises:
        InstanceFailed: A frame holds more than an image, or the fragments cannot be followed.

    """
    check, rule = table.check_frame, table.top.by_tag.get(PIXEL_DATA)
    goes = rule is not None and rule.action in (Action.REPLACE, Action.REMOVE)
    if check is None or goes or not source.layout.is_compressed:
        return
    for tag, _, _, value, end, sequence in elements:
        if tag == PIXEL_DATA and sequence is None:
            for frame in _frames(source, value, end):
                check(source.layout.transfer_syntax, frame)


def _frames(source: SourceFile, value: int, end: int) -> Iterator[bytes]:
    frame: list[bytes] = []
    for fragment in _fragments(source, value, end):
        if frame and fragment.startswith(_BEGINNINGS):
            yield b"".join(frame)
            frame = []
        frame.append(fragment)
        if sum(map(len, frame)) > _MAX_FRAME_BYTES:
            raise InstanceFailed(ReasonCode.UNSAFE_CONTENT, "a compressed frame is too long to be looked at")
    if frame:
        yield b"".join(frame)


def _fragments(source: SourceFile, value: int, end: int) -> Iterator[bytes]:
    """Yield the fragments behind the offset table."""
    unpack, at, first = source.layout.encoding.tag_length.unpack, value, True
    while at + 8 <= end:
        group, element, length = unpack(source.read(at, at + 8))
        if group << 16 | element != ITEM:
            return
        if not first:
            yield source.read(at + 8, at + 8 + length)
        first, at = False, at + 8 + length
