"""What becomes of a patient's ID and name inside items: they follow the new identifiers.

Public names: ``new_patient_id``, ``new_patient_name``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from deidflow.tasks.local.editing.actions import Original
    from deidflow.tasks.local.editing.references import InstanceIdentifiers

_BLANKS: Final = " \t\n\r\v\f"


def new_patient_id(original: Original, identifiers: InstanceIdentifiers) -> str:
    """Return the new PatientID of the patient that an item names, who may be another one of the run; "" stays ""."""
    return identifiers.map_patient_id(original.text)


def new_patient_name(original: Original, identifiers: InstanceIdentifiers) -> str | None:
    """Return the instance's new PatientName; None for a blank one, and for one that the request gives.

    A name that the request gives is no patient's.
    """
    return identifiers.patient_name if original.text.strip(_BLANKS) and not original.is_given else None
