"""Whether another reader could read something in a dataset that this engine reads otherwise.

Where a scan is in doubt (``findings``), the bytes are walked through as the other reader would: flat, stepping into
sequences and items, until it meets what cannot be an element. The reading counts when it comes to text in an element
behind the first one, which both readings share; pixels and other numbers that are walked through by chance do not.

Source: pydicom 3.0.1 (``filereader``), DCMTK 3.6.7 (``dcvr``), seen by what they print of such files.

Public names: ``find_second_reading``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from deidflow.tasks.core.dicom.tags import dictionary_vr
from deidflow.tasks.local.dicom_file.encoding import DELIMITER_GROUP, LONG_VRS, SHORT_VRS, UNDEFINED
from deidflow.tasks.local.dicom_file.findings import Doubt, Reading, spells_vr

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from deidflow.tasks.local.dicom_file.elements import Read

_MAX_STEPS: Final = 50_000
"""In all readings of a file together; what takes longer counts as a reading."""

_LOOKED_AT_BYTES: Final = 64
_LARGEST_HEADER: Final = 12
_TEXT_VRS: Final = frozenset("AE AS CS DA DS DT IS LO LT PN SH ST TM UC UI UR UT".split())  # noqa: SIM905
_WHITE: Final = b"\t\n\f\r\x1b"


class _Step(NamedTuple):
    """One element as the other reader has it; the VR is "" where it is not known."""

    tag: int
    vr: str
    value: int
    length: int


def find_second_reading(doubts: Iterable[Doubt], end: int, read: Read) -> int:
    """Return the offset from where another reader reads text in other elements, -1 for none.

    Args:
        doubts: Where to look.
        end: Length of the file.
        read: Reads bytes by start and end.

    """
    steps = iter(range(_MAX_STEPS))
    for doubt in doubts:
        if doubt.reading is Reading.SWITCHED or _finds_text(doubt, end, read, steps):
            return doubt.start
    return -1


def _finds_text(doubt: Doubt, end: int, read: Read, steps: Iterator[int]) -> bool:
    order = "little" if doubt.little else "big"
    position, is_first = doubt.start, True
    for _ in steps:
        header = read(position, position + _LARGEST_HEADER)
        if len(header) < _LARGEST_HEADER - 4:
            return False
        step = _step(header, position, order, doubt.reading)
        if step.tag >> 16 == DELIMITER_GROUP or step.vr == "SQ" or step.length == UNDEFINED:
            position = step.value
            is_first = False
            continue
        if not is_first and step.length and step.vr in _TEXT_VRS:
            value = read(step.value, min(end, step.value + min(step.length, _LOOKED_AT_BYTES)))
            if _is_text(value):
                return True
        is_first = False
        position = step.value + step.length
        if position > end - 8:
            return False
    return True


def _step(header: bytes, position: int, order: str, reading: Reading) -> _Step:
    """Read a header as the other reader does."""
    little = order == "little"

    def number(start: int, stop: int) -> int:
        return int.from_bytes(header[start:stop], "little" if little else "big")

    tag = number(0, 2) << 16 | number(2, 4)
    raw_vr = header[4:6]
    if tag >> 16 == DELIMITER_GROUP:
        return _Step(tag, "", position + 8, 0)
    capitals = spells_vr(raw_vr)
    if reading is Reading.IMPLICIT or (reading is Reading.AS_PYDICOM and not capitals):
        return _Step(tag, (dictionary_vr(tag) or "")[:2], position + 8, number(4, 8))
    vr = SHORT_VRS.get(raw_vr, "") or LONG_VRS.get(raw_vr, "")
    is_long = raw_vr in LONG_VRS or (not vr and capitals and reading is Reading.AS_DCMTK)
    if is_long:
        return _Step(tag, vr, position + 12, number(8, 12))
    return _Step(tag, vr or (dictionary_vr(tag) or "")[:2], position + 8, number(6, 8))


def _is_text(value: bytes) -> bool:
    kept = value.rstrip(b"\0 ")
    return bool(kept) and all(byte >= 0x20 or byte in _WHITE for byte in kept)  # noqa: PLR2004 (the first printable one)
