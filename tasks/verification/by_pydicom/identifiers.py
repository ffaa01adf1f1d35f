"""Whether a result has the four identifiers that were planned for it, in its dataset and in its file meta information.

Public names: ``check_identifiers``, ``same_bytes``, ``IDENTIFIER_KEYWORDS``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pydicom.dataelem import RawDataElement
from pydicom.tag import BaseTag

from deidflow.tasks.core.dicom.tags import IDENTIFIERS
from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.verification.by_pydicom.raw import uids_of, undecoded, value_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from pydicom import Dataset

    from deidflow.tasks.core.engine.protocol import PlannedInstance

IDENTIFIER_KEYWORDS: Final = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
_TAGS: Final = tuple(map(BaseTag, IDENTIFIERS))
_PATIENT_ID: Final = _TAGS[0]
_IN_META: Final = BaseTag(0x00020003)
_UID_VRS: Final = (None, "UI")
"""None where the file does not tell it: the dictionary has UI for them."""


def same_bytes(source: Dataset, result: Dataset, instance: PlannedInstance) -> frozenset[str]:
    """Return the identifiers that were to stay and are in the result as they are in the source; nothing is decoded.

    Args:
        source: As pydicom reads it.
        result: Likewise.
        instance: What was planned.

    Returns:
        Their keywords.

    """
    same = set()
    for keyword, tag, before, wanted in zip(IDENTIFIER_KEYWORDS, _TAGS, instance.original, instance.new, strict=True):
        if before == wanted:
            one, other = undecoded(source, tag), undecoded(result, tag)
            if one is not None and other is not None and one.value == other.value:
                same.add(keyword)
    return frozenset(same)


def check_identifiers(result: Dataset, instance: PlannedInstance, same: Collection[str] = ()) -> None:
    """Compare with the planned identifiers.

    One that was to stay and has the bytes of the source stays what it was, however pydicom reads it: text behind a NUL,
    bytes that the character set lacks, several values in a UID.

    Args:
        result: As pydicom reads it.
        instance: What was planned.
        same: The identifiers that are known to have the source's bytes.

    Raises:
        InstanceFailed: ``result-differs``, with the keyword.

    """
    for keyword, tag, before, wanted in zip(IDENTIFIER_KEYWORDS, _TAGS, instance.original, instance.new, strict=True):
        if before == wanted and keyword in same:
            continue
        # A PatientID sent as UN keeps the blank of its padding, which pydicom drops.
        if _text(result, tag).replace("\0", "").rstrip(" ") != wanted.rstrip(" "):
            raise InstanceFailed(ReasonCode.RESULT_DIFFERS, f"{keyword} of the result is not the planned one")
    in_meta = _text(result.file_meta, _IN_META)
    if in_meta and in_meta != instance.new.sop_instance_uid:
        text = "MediaStorageSOPInstanceUID of the result is not its SOPInstanceUID"
        raise InstanceFailed(ReasonCode.RESULT_DIFFERS, text)


def _text(dataset: Dataset, tag: BaseTag) -> str:
    """Return the value of one of these attributes as pydicom reads it, values joined, "" where there is none."""
    raw = undecoded(dataset, tag)
    if isinstance(raw, RawDataElement) and raw.VR in _UID_VRS and tag is not _PATIENT_ID:
        return "\\".join(uids_of(raw.value))
    value = value_of(dataset, tag)
    if value is None:
        return ""
    return value if isinstance(value, str) else "\\".join(str(part) for part in value)
