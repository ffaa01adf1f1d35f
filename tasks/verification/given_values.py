"""Whether a result of the local engine has the values that its request gives at top level; told by its bytes.

A value is written with the VR of its attribute, in the character set that the result declares, padded with a blank, or
with NUL where the VR asks for it (DICOM PS3.5 section 6.2, edition 2026c).

Public names: ``check_given``.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Final

from pydicom.charset import convert_encodings, decode_bytes
from pydicom.valuerep import TEXT_VR_DELIMS

from deidflow.tasks.core.dicom.private_tags import creator_of
from deidflow.tasks.core.dicom.tags import (
    DEIDENTIFICATION_METHOD,
    IDENTIFIERS,
    PATIENT_IDENTITY_REMOVED,
    SPECIFIC_CHARACTER_SET,
    describe_tag,
    dictionary_vr,
    is_computed,
    is_private,
)
from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.core.request.data_uris import parse_embedded

if TYPE_CHECKING:
    from deidflow.tasks.core.request.request import Request
    from deidflow.tasks.verification.reader import Element, Read

_TEXTS: Final = frozenset("AE AS CS DA DT LO LT PN SH ST TM UC UR UT".split())  # noqa: SIM905 (a list of codes)
_NOT_OF_THE_REQUEST_ALONE: Final = frozenset(
    {*IDENTIFIERS, SPECIFIC_CHARACTER_SET, PATIENT_IDENTITY_REMOVED, DEIDENTIFICATION_METHOD}
)
_PADDING: Final = " \0"
_MAX_BYTES: Final = 1 << 16


def check_given(request: Request, result: Read) -> None:
    """Look up what Replace gives: texts at top level; numbers, sequences and bytes are passed over.

    Args:
        request: Of the row.
        result: Read to its end.

    Raises:
        InstanceFailed: ``result-differs``: a value is not there, or another one is, or is written otherwise.

    """
    kept = {path for path in request.edits.keep if not path.is_nested}
    wanted = {
        path.tag: value
        for path, value in request.edits.replace.items()
        if isinstance(value, str)
        and not path.is_nested
        and path not in kept
        and not is_computed(path.tag)
        and not creator_of(path.tag)
        and path.tag not in _NOT_OF_THE_REQUEST_ALONE
        and parse_embedded(value) is None
    }
    if not wanted:
        return
    after = {element[0]: element for element in result.elements if element[0] in wanted}
    for tag, value in wanted.items():
        problem = _problem(tag, value, after.get(tag), result)
        if problem:
            text = f"the new value of {describe_tag(tag)} {problem}"
            raise InstanceFailed(ReasonCode.RESULT_DIFFERS, text)


def _problem(tag: int, value: str, after: Element | None, result: Read) -> str:
    """Return what is wrong with one value, "" for nothing."""
    if after is None:
        return "is not in the result" if value.strip(_PADDING) else ""
    vr = after[1].decode("latin-1")
    if vr and is_private(tag) and tag & 0xFF00 and vr != "UN":
        return "has a value representation that nobody gave it"
    vr = vr or dictionary_vr(tag) or "UN"
    if vr not in _TEXTS or after[4] is not None or after[3] - after[2] > _MAX_BYTES:
        return ""
    raw = result.value(after[2], after[3])
    if raw.endswith(b"\0") and not value.endswith("\0"):
        return "is padded with NUL, where a blank belongs"
    if _text(raw, result).strip(_PADDING) != value.strip(_PADDING):
        return "is not in the result as the request gives it"
    return ""


def _text(raw: bytes, result: Read) -> str:
    if raw.isascii() and b"\x1b" not in raw:
        return raw.decode("ascii")
    declared = b""
    for tag, _, start, end, _ in result.elements:
        if tag == SPECIFIC_CHARACTER_SET and end - start <= _MAX_BYTES:
            declared = result.value(start, end)
    names = [name.strip(_PADDING) for name in declared.decode("latin-1").split("\\")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return decode_bytes(raw, convert_encodings(names), TEXT_VR_DELIMS)
        except (LookupError, ValueError):
            return raw.decode("latin-1")
