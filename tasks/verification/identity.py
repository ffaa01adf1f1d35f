"""Whether the original name or ID is left in these elements of a result, at any depth; told by their bytes.

Public names: ``check_identity``, ``needs_decoding``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.dicom.tags import PATIENT_ID, PATIENT_NAME, Path, describe_tag
from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deidflow.tasks.core.request.request import Request
    from deidflow.tasks.verification.reader import Item, Read

_IDENTITY: Final = frozenset({PATIENT_NAME, PATIENT_ID})
_PADDING: Final = b" \0"
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


def check_identity(request: Request, source: Read, result: Read) -> None:
    """Look for the bytes of the original name and ID in these elements at any depth.

    Args:
        request: An anonymization with hardening.
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


def _values(read: Read, elements: Item) -> Iterator[tuple[int, bytes]]:
    """Yield names and IDs at any depth without padding."""
    for tag, _, start, end, items in elements:
        if items:
            for item in items:
                yield from _values(read, item)
        elif tag in _IDENTITY:
            yield tag, read.value(start, end).strip(_PADDING)
