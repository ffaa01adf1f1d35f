"""What a result says of its own de-identification: whether it still names the patient, and which steps there were.

Public names: ``IdentityRecord``, ``deidentification_method``, ``with_earlier_methods``, ``with_earlier_texts``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from deidflow.tasks.core.dicom.tags import PATIENT_IDENTITY_REMOVED, PATIENT_NAME
from deidflow.tasks.local.dicom_file.encoding import MAX_SHORT_LENGTH

if TYPE_CHECKING:
    from deidflow.tasks.local.editing.references import InstanceIdentifiers
    from deidflow.tasks.local.editing.table import TextOf

_PADDING = " \0^="


@dataclass(frozen=True, slots=True)
class IdentityRecord:
    """The value of PatientIdentityRemoved where it is not YES (PS3.3 section C.7.1.1, edition 2026c).

    Attributes:
        keeps_name: Whether the request keeps the PatientName.

    """

    keeps_name: bool

    def __call__(self, text_of: TextOf, identifiers: InstanceIdentifiers) -> dict[int, str]:
        """Return NO where the original PatientID or PatientName is that of the result, too.

        It may be kept, or given back by a new value.
        """
        return {PATIENT_IDENTITY_REMOVED: "NO"} if self._keeps_identity(text_of, identifiers) else {}

    def _keeps_identity(self, text_of: TextOf, identifiers: InstanceIdentifiers) -> bool:
        if identifiers.original.patient_id and identifiers.original.patient_id == identifiers.new.patient_id:
            return True
        new = (identifiers.patient_name or "").strip(_PADDING)
        if not self.keeps_name and not new:
            return False
        original = text_of(PATIENT_NAME).strip(_PADDING)
        return bool(original) and (self.keeps_name or original == new)


def deidentification_method(version: str) -> str:
    """Return the value of DeidentificationMethod that anonymize writes."""
    return f"deidflow - PS 3.15-{version} Table E.1-1 Basic Profile"


def with_earlier_methods(earlier: bytes, own: str) -> bytes:
    """Return the value of DeidentificationMethod, one for each step (VM 1-n, PS3.3 section C.7.1.1, edition 2026c).

    A method that is named already is not named twice, so that doing the same again gives the same. What no element of
    VR LO could hold gives way.

    Args:
        earlier: The value as it stands in the file.
        own: ASCII text.

    """
    stripped, mark = earlier.rstrip(b" \0"), own.encode("ascii")
    joint = mark
    if mark in (text.strip() for text in stripped.split(b"\\")):
        joint = stripped
    elif stripped and len(stripped) + len(mark) + 1 < MAX_SHORT_LENGTH:
        joint = stripped + b"\\" + mark
    return joint + b" " * (len(joint) % 2)


def with_earlier_texts(earlier: bytes, own: str) -> bytes:
    """Do as ``with_earlier_methods`` does with each of several values.

    Args:
        earlier: The value as it stands in the file.
        own: ASCII text, several values joined by a backslash.

    """
    joint = earlier
    for text in own.split("\\"):
        joint = with_earlier_methods(joint, text)
    return joint
