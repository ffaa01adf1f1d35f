"""What can happen to one element.

Public names: ``Action``.
"""

from __future__ import annotations

from enum import Enum


class Action(Enum):
    """The closed set of edits; an element without one keeps its bytes."""

    KEEP = "keep"
    """Explicitly protected."""
    DROP = "drop"
    """Remove the element."""
    EMPTY = "empty"
    """Keep the element with a value of zero length."""
    MAP_UID = "map-uid"
    """Replace each UID by the generated one of that original."""
    MAP_ORIGINAL_UIDS = "map-original-uids"
    """Replace those UIDs that name objects of the run; others stay."""
    MAP_PATIENT_ID = "map-patient-id"
    """Inside items: replace a PatientID by the new one of that patient."""
    MAP_PATIENT_NAME = "map-patient-name"
    """Inside items: replace a PatientName by the instance's new one."""
    SET = "set"
    """Write a given value, whether the element is there or not."""
