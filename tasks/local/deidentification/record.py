"""What a result says of its own de-identification: whether it still names the patient, and which steps there were.

Public names: ``keeps_identity``, ``with_earlier_methods``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deidflow.tasks.core.dicom.tags import PATIENT_NAME
from deidflow.tasks.local.dicom_file.encoding import MAX_SHORT_LENGTH
from deidflow.tasks.local.editing.actions import Action

if TYPE_CHECKING:
    from deidflow.tasks.local.dicom_file.character_sets import CharacterSet
    from deidflow.tasks.local.dicom_file.elements import Element
    from deidflow.tasks.local.dicom_file.source_file import SourceFile
    from deidflow.tasks.local.editing.references import Subject
    from deidflow.tasks.local.editing.rules import Rules

_PADDING = " \0^="


def keeps_identity(
    source: SourceFile, elements: list[Element], rules: Rules, subject: Subject, charset: CharacterSet
) -> bool:
    """Whether the original PatientID or PatientName is that of the result, too: kept, or given back by a new value.

    PatientIdentityRemoved must not say YES then (PS3.3 section C.7.1.1, edition 2026c).

    Args:
        source: The open file.
        elements: Of its top level.
        rules: The compiled request.
        subject: The instance's identifiers before and after.
        charset: Of the file.

    """
    if subject.original.patient_id and subject.original.patient_id == subject.new.patient_id:
        return True
    kept, new = rules.top.get(PATIENT_NAME) is Action.KEEP, subject.patient_name
    if not kept and not new:
        return False
    for tag, _, _, value, end, sequence in elements:
        if tag == PATIENT_NAME and sequence is None:
            original = charset.decode(source.read(value, end), is_person_name=True).strip(_PADDING)
            return bool(original) and (kept or original == (new or "").strip(_PADDING))
    return False


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
