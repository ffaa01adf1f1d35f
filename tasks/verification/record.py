"""Whether a result says of itself what was done: PatientIdentityRemoved, DeidentificationMethod, file meta information.

Source: DICOM PS3.3 section C.7.1.1 and PS3.10 section 7.1 (edition 2026c).

Public names: ``check_record``, ``check_file_meta``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.dicom.tags import (
    DEIDENTIFICATION_METHOD,
    PATIENT_IDENTITY_REMOVED,
    PATIENT_NAME,
    SOP_CLASS_UID,
    Path,
    describe_tag,
)
from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.verification.identifiers import spells
from deidflow.tasks.verification.identity import new_name

if TYPE_CHECKING:
    from deidflow.tasks.core.engine.protocol import PlannedInstance
    from deidflow.tasks.core.request.request import Request
    from deidflow.tasks.verification.reader import Read

_GROUP_LENGTH: Final = 0x00020000
_VERSION: Final = 0x00020001
_MEDIA_STORAGE_SOP_CLASS_UID: Final = 0x00020002
_IMPLEMENTATION_CLASS_UID: Final = 0x00020012
_DEIDFLOW: Final = b"2.25.204752977782827029516074077606453405661"
_REQUIRED: Final = frozenset(
    {_GROUP_LENGTH, _VERSION, _MEDIA_STORAGE_SOP_CLASS_UID, 0x00020003, 0x00020010, _IMPLEMENTATION_CLASS_UID}
)
"""Group length, version, class and instance, transfer syntax, and who wrote it."""
_NAMED: Final = (0x00020003, 0x00020010)
"""MediaStorageSOPInstanceUID and TransferSyntaxUID, whose values are compared elsewhere."""
_OCTETS: Final = frozenset({_GROUP_LENGTH, _VERSION})
_TRUE_IN_RESULT: Final = frozenset({0x00020000, 0x00020002, 0x00020003, 0x00020010})
"""What a copy cannot have from its source as it stands."""
_PADDING: Final = b" \0^="
_UID_PADDING: Final = b" \0"


def check_record(request: Request, instance: PlannedInstance, source: Read, result: Read, edition: str) -> None:
    """Look at what an anonymized result says of its own de-identification.

    Args:
        request: An anonymization; what it names itself is passed over.
        instance: What was planned.
        source: Read to its end.
        result: Likewise.
        edition: Of PS3.15, as DeidentificationMethod names the profile by it.

    Raises:
        InstanceFailed: ``result-differs``: PatientIdentityRemoved says something else than is true, or
            DeidentificationMethod does not name the profile; ``identifier-left``: PatientName is somebody else's.

    """
    named = set(request.edits.paths())
    if Path((), PATIENT_IDENTITY_REMOVED) not in named:
        found = _value(result, PATIENT_IDENTITY_REMOVED).strip(b" \0")
        if found not in _true_answers(request, instance, source, result):
            text = f"{describe_tag(PATIENT_IDENTITY_REMOVED)} of the result is not true"
            raise InstanceFailed(ReasonCode.RESULT_DIFFERS, text)
    if Path((), DEIDENTIFICATION_METHOD) not in named:
        method = f"PS 3.15-{edition} ".encode("ascii")
        if method not in _value(result, DEIDENTIFICATION_METHOD):
            text = f"{describe_tag(DEIDENTIFICATION_METHOD)} of the result does not name the profile"
            raise InstanceFailed(ReasonCode.RESULT_DIFFERS, text)
    name, wanted = _value(result, PATIENT_NAME), new_name(instance)
    if Path((), PATIENT_NAME) not in named and name.strip(_PADDING) and wanted.isascii() and not spells(name, wanted):
        text = f"{describe_tag(PATIENT_NAME)} of the result is not the one that goes with its PatientID"
        raise InstanceFailed(ReasonCode.IDENTIFIER_LEFT, text)


def _true_answers(request: Request, instance: PlannedInstance, source: Read, result: Read) -> tuple[bytes, ...]:
    name = Path((), PATIENT_NAME)
    before, after = (_value(read, PATIENT_NAME).strip(_PADDING) for read in (source, result))
    if (instance.original.patient_id and instance.original.patient_id == instance.new.patient_id) or (
        before and before == after
    ):
        return (b"NO",)
    # The same name may be written in another character set.
    return (b"YES", b"NO") if name in request.edits.replace else (b"YES",)


def _value(read: Read, tag: int) -> bytes:
    return read.first(tag) or b""


def check_file_meta(source: Read, result: Read, *, anonymizes: bool, recodes: bool) -> None:
    """Look at what stands before the dataset of a result of the local engine.

    An anonymized file has an empty preamble and what PS3.10 requires; a modified one keeps its source's.

    Args:
        source: Read to its end.
        result: Likewise.
        anonymizes: Whether the request is a de-identification.
        recodes: Whether the result was to get another transfer syntax.

    Raises:
        InstanceFailed: ``identifier-left`` where an anonymized file has more than that, ``result-differs`` where a
            modified one has not what its source has, or the transfer syntax is another one.

    """
    if anonymizes:
        extra = next((element[0] for element in result.meta if element[0] not in _REQUIRED), None)
        if extra is not None or result.preamble.strip(b"\0"):
            what = "the preamble" if extra is None else describe_tag(extra)
            text = f"{what} of the result holds what no de-identified file is to have"
            raise InstanceFailed(ReasonCode.IDENTIFIER_LEFT, text)
    else:
        _check_kept_meta(source, result)
    _check_true_meta(result, anonymizes=anonymizes)
    is_comparable = source.is_as_declared and source.explicit == result.explicit and not recodes
    if is_comparable and source.syntax != result.syntax:
        raise InstanceFailed(ReasonCode.RESULT_DIFFERS, "the transfer syntax of the result is not the source's")


def _check_true_meta(result: Read, *, anonymizes: bool) -> None:
    """Refuse what is not what deidflow writes before each dataset, or of a copy what is not true of it."""
    found = {element[0]: result.meta_value(element) for element in result.meta}
    true = {_GROUP_LENGTH: _group_length(result)}
    if anonymizes:
        true |= {_VERSION: b"\0\1", _IMPLEMENTATION_CLASS_UID: _DEIDFLOW}
    own_class = _value(result, SOP_CLASS_UID).strip(_UID_PADDING)
    if own_class:
        true[_MEDIA_STORAGE_SOP_CLASS_UID] = own_class
    wrong = {
        tag
        for tag, value in true.items()
        if value != (found.get(tag, b"") if tag in _OCTETS else found.get(tag, b"").strip(_UID_PADDING))
    }
    wrong |= {tag for tag in _NAMED if not found.get(tag, b"").strip(_UID_PADDING)}
    if wrong:
        text = f"{describe_tag(min(wrong))} of the result is not true"
        raise InstanceFailed(ReasonCode.RESULT_DIFFERS, text)


def _group_length(read: Read) -> bytes:
    """Return how many bytes stand behind the length of the file meta information, as it is written there."""
    ends = {element[0]: element[3] for element in read.meta}
    return (max(ends.values(), default=0) - ends.get(_GROUP_LENGTH, 0)).to_bytes(4, "little")


def _check_kept_meta(source: Read, result: Read) -> None:
    if source.preamble and source.preamble != result.preamble:
        raise InstanceFailed(ReasonCode.RESULT_DIFFERS, "the preamble of the result is not the source's")
    after = {element[0]: result.meta_value(element) for element in result.meta}
    before: dict[int, bytes] = {}
    for element in source.meta:
        before.setdefault(element[0], source.meta_value(element))
    for tag in sorted((set(before) | set(after)) - _TRUE_IN_RESULT):
        if before.get(tag) != after.get(tag) and not (tag not in before and tag in _REQUIRED):
            text = f"{describe_tag(tag)} of the result is not the source's, byte for byte"
            raise InstanceFailed(ReasonCode.RESULT_DIFFERS, text)
