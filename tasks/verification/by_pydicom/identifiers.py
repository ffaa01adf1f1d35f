"""Whether a result has the four identifiers that were planned for it, in its dataset and in its file meta information.

Public names: ``check_identifiers``, ``same_bytes``, ``IDENTIFIER_KEYWORDS``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode

if TYPE_CHECKING:
    from collections.abc import Collection

    from pydicom import Dataset

    from deidflow.tasks.core.engine.protocol import PlannedInstance

IDENTIFIER_KEYWORDS: Final = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")


def same_bytes(source: Dataset, result: Dataset) -> frozenset[str]:
    """Return the identifiers, by keyword, that are in the result as they are in the source; nothing is decoded."""
    return frozenset(
        keyword
        for keyword in IDENTIFIER_KEYWORDS
        if keyword in result and keyword in source and _raw(source, keyword) == _raw(result, keyword)
    )


def _raw(dataset: Dataset, keyword: str) -> Any:
    return dataset.get_item(keyword).value


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
    for keyword, before, wanted in zip(IDENTIFIER_KEYWORDS, instance.original, instance.new, strict=True):
        if before == wanted and keyword in same:
            continue
        element = result.get(keyword)
        value = "" if element is None else _joined(element)
        # A PatientID sent as UN keeps the blank of its padding, which pydicom drops.
        if value.replace("\0", "").rstrip(" ") != wanted.rstrip(" "):
            raise InstanceFailed(ReasonCode.RESULT_DIFFERS, f"{keyword} of the result is not the planned one")
    in_meta = getattr(result, "file_meta", {}).get("MediaStorageSOPInstanceUID")
    if in_meta and _joined(in_meta) != instance.new.sop_instance_uid:
        text = "MediaStorageSOPInstanceUID of the result is not its SOPInstanceUID"
        raise InstanceFailed(ReasonCode.RESULT_DIFFERS, text)


def _joined(value: Any) -> str:
    return value if isinstance(value, str) else "\\".join(str(part) for part in value)
