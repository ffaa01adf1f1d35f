"""Whether a result has the four identifiers that were planned for it, in its dataset and in its file meta information.

Public names: ``has_identifiers``, ``spells``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.dicom.tags import IDENTIFIERS

if TYPE_CHECKING:
    from deidflow.tasks.core.engine.protocol import PlannedInstance
    from deidflow.tasks.verification.reader import Read

_MEDIA_STORAGE_SOP_INSTANCE_UID: Final = 0x00020003
_MAX_BYTES: Final = 1 << 16


def has_identifiers(source: Read, result: Read, instance: PlannedInstance) -> bool:
    """Whether a result has the planned identifiers, as far as their bytes tell; where not, pydicom is to be asked.

    Args:
        source: Read to its end.
        result: Likewise.
        instance: What was planned.

    """
    before, after = _raw_values(source), _raw_values(result)
    for tag, old, wanted in zip(IDENTIFIERS, instance.original, instance.new, strict=True):
        raw = after.get(tag, b"")
        if not (old == wanted and tag in after and raw == before.get(tag)) and not spells(raw, wanted):
            return False
    return all(
        spells(result.meta_value(element), instance.new.sop_instance_uid)
        for element in result.meta
        if element[0] == _MEDIA_STORAGE_SOP_INSTANCE_UID
    )


def _raw_values(read: Read) -> dict[int, bytes]:
    values: dict[int, bytes] = {}
    for tag, _, start, end, _ in read.elements:
        if tag in IDENTIFIERS and tag not in values and end - start <= _MAX_BYTES:
            values[tag] = read.value(start, end)
    return values


def spells(raw: bytes, text: str) -> bool:
    """Whether bytes are a text of ASCII, which is the same in all character sets, and padding."""
    return text.isascii() and raw.rstrip(b"\0").rstrip(b" ") == text.encode("ascii").rstrip(b" ")
