"""Whether the original name or ID is left in these elements of a result, at any depth; told by their bytes.

Public names: ``check_identity``, ``needs_decoding``, ``new_name``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.dicom.tags import PATIENT_ID, PATIENT_NAME, Path, describe_tag, dictionary_vr, is_private
from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.verification.identifiers import spells

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deidflow.tasks.core.engine.protocol import PlannedInstance
    from deidflow.tasks.core.request.request import Request
    from deidflow.tasks.verification.reader import Item, Read

_IDENTITY: Final = frozenset({PATIENT_NAME, PATIENT_ID})
_PADDING: Final = b" \0"
_BLANK: Final = b" \0\t\r\n\f\v"
_NEW_NAME: Final = "Anonymized^"
_ID_CHARACTERS: Final = 8
"""Of the new PatientID, in the new PatientName."""
_ESCAPE: Final = b"\x1b"
"""Begins another character set (ISO 2022), whose bytes may be those of ASCII."""


def needs_decoding(source: Read, result: Read) -> bool:
    """Whether bytes alone cannot tell the original name or ID from those of a result.

    Text that is not ASCII may be the same in another character set, which an item can declare for itself.

    Args:
        source: Read to its end.
        result: Likewise.

    """
    if all(map(_is_ascii, _identity(source))):
        return False
    return not all(_is_ascii(value) for _, value in _values(result, result.elements))


def _is_ascii(value: bytes) -> bool:
    return value.isascii() and _ESCAPE not in value


def _identity(read: Read) -> tuple[bytes, bytes]:
    """Return PatientName and PatientID of the top level without padding."""
    found = {tag: read.value(start, end) for tag, _, start, end, _ in reversed(read.elements) if tag in _IDENTITY}
    return found.get(PATIENT_NAME, b"").strip(_PADDING), found.get(PATIENT_ID, b"").strip(_PADDING)


def new_name(instance: PlannedInstance) -> str:
    """Return the PatientName that goes with a new PatientID, at every depth, unless the request names others."""
    return _NEW_NAME + instance.new.patient_id[:_ID_CHARACTERS]


def check_identity(request: Request, instance: PlannedInstance, source: Read, result: Read) -> None:
    """Look for the bytes of the original name and ID in these elements at any depth, and for names of anybody else.

    Args:
        request: An anonymization with hardening.
        instance: What was planned.
        source: Read to its end.
        result: Likewise read.

    Raises:
        InstanceFailed: ``identifier-left``, with the keyword.

    """
    kept, found = {path.tag for path in request.edits.keep}, set(_values(result, result.elements))
    for tag, original in zip((PATIENT_NAME, PATIENT_ID), _identity(source), strict=True):
        given = str(request.edits.replace.get(Path((), tag), "")).strip().encode("utf-8")
        if original and tag not in kept and given != original and (tag, original) in found:
            text = f"the original {describe_tag(tag)} is left in the result"
            raise InstanceFailed(ReasonCode.IDENTIFIER_LEFT, text)
    wanted = new_name(instance)
    if any(map(_may_name, request.edits.paths())) or not wanted.isascii():
        return
    if any(tag == PATIENT_NAME and value.strip(_BLANK) and not spells(value, wanted) for tag, value in found):
        text = f"{describe_tag(PATIENT_NAME)} of the result is not the one that goes with its PatientID"
        raise InstanceFailed(ReasonCode.IDENTIFIER_LEFT, text)


def _may_name(path: Path) -> bool:
    """Whether a request names a PatientName, or an element in which others of its own may stand."""
    return path.is_nested or path.tag == PATIENT_NAME or is_private(path.tag) or dictionary_vr(path.tag) == "SQ"


def _values(read: Read, elements: Item) -> Iterator[tuple[int, bytes]]:
    """Yield names and IDs at any depth without padding."""
    for tag, _, start, end, items in elements:
        if items:
            for item in items:
                yield from _values(read, item)
        elif tag in _IDENTITY:
            yield tag, read.value(start, end).strip(_PADDING)
