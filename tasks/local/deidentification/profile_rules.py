"""Rows of Table E.1-1 as rules that editing can carry out.

Public names: ``Policy``, ``dummy``, ``clean_icc_profile``.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.core.request.profile_choice import PROFILE_NAME, Option
from deidflow.tasks.local.deidentification.content.icc import icc_ranges
from deidflow.tasks.local.deidentification.content.ranges import UnsafeContentError, blanked
from deidflow.tasks.local.deidentification.standard.codes import AttributeType, Code, action_for
from deidflow.tasks.local.deidentification.standard.date_values import capped_as
from deidflow.tasks.local.deidentification.standard.dictionary import vr_of
from deidflow.tasks.local.deidentification.standard.dummies import dummy_items, dummy_value
from deidflow.tasks.local.editing.actions import Action, NewValue, Rule

if TYPE_CHECKING:
    from deidflow.tasks.core.request.edits import Value
    from deidflow.tasks.local.deidentification.cleaning_rules import CleaningRules
    from deidflow.tasks.local.deidentification.standard.profile import Row
    from deidflow.tasks.local.editing.actions import Original
    from deidflow.tasks.local.editing.references import InstanceIdentifiers

_PATIENT_AGE: Final = 0x00101010
_NEEDS_VALUE: Final = frozenset({AttributeType.REQUIRED, AttributeType.REQUIRED_IF})
_NUMBERS: Final = frozenset({"FD", "FL", "OD", "OF", "OL", "OV", "SL", "SS", "SV", "UL", "US", "UV"})


@dataclass(slots=True)
class Policy:
    """Makes rules of rows under one choice of options.

    Attributes:
        options: That are applied.
        cleaning: Carries out C.

    """

    options: frozenset[Option]
    cleaning: CleaningRules

    def rule(self, row: Row, needed: AttributeType | None) -> Rule:
        """Return what happens to an attribute.

        Args:
            row: Its row.
            needed: Its type in the IOD, at the place in question.

        """
        found = row.rule(self.options)
        if found.code is Code.C and found.option is not None:
            cleaned = self._cleaned(row, found.option, needed)
            if cleaned is not None:
                return cleaned
            # Nothing is kept of what nothing here can look into.
            return self._of_code(row, row.basic, needed, f", {found.option}: nothing kept")
        option = f", {found.option}" if found.option else ""
        if row.number == _PATIENT_AGE and found.code is Code.K and Option.RETAIN_MODIFIED_DATES in self.options:
            return Rule(Action.CLEAN, f"{_origin(row, found.code)} -> C{option}", _capped)
        if found.option is Option.RETAIN_UIDS and row.vr == "UI":  # names an object that another row may replace
            return Rule(Action.REPLACE_UID, f"{_origin(row, found.code)}{option}", of_the_run=True)
        return self._of_code(row, found.code, needed, option)

    def _of_code(self, row: Row, code: Code, needed: AttributeType | None, reason: str) -> Rule:
        action = action_for(code, needed)
        why = f" (type {needed})" if needed is not None and len(code) > 1 else ""
        arrow = f" -> {action.value}" if action.value != code else ""
        origin = f"{_origin(row, code)}{arrow}{why}{reason}"
        new_value: NewValue | None = dummy if action is Action.DUMMY else None
        return Rule(action, origin, new_value, spares_registered=action is Action.REPLACE_UID)

    def _cleaned(self, row: Row, option: Option, needed: AttributeType | None) -> Rule | None:
        """Return how a value is cleaned, None where nothing here can do it."""
        assert row.number is not None  # noqa: S101 (no option cleans a repeating group)
        # Of what stays in the basic profile nobody noted the type: a dummy is right whatever it is.
        needs_value = needed in _NEEDS_VALUE or (needed is None and ("D" in row.basic or row.basic is Code.K))
        origin = f"{_origin(row, Code.C)}, {option}"
        return self.cleaning.rule(row.number, row.vr[:2], option, origin, needs_value=needs_value)


def _origin(row: Row, code: Code) -> str:
    return f"{PROFILE_NAME}: {code}" if not row.reason else f"{PROFILE_NAME} and beyond ({row.reason}): {code}"


def _capped(original: Original, _: InstanceIdentifiers) -> Value | None:
    return None if original.is_given else capped_as(original.text)


def dummy(original: Original, identifiers: InstanceIdentifiers) -> Value | None:
    """Return a value that is valid for its VR and tells nothing of the original; None for one that the request gives.

    Source: PS3.15 Table E.1-1a, D (edition 2026d). A UID becomes the keyed one: it has to be unique.
    """
    if original.is_given:
        return None
    tag, vr = original.tag, original.vr
    if vr == "UN":
        vr = (vr_of(tag) or vr)[:2]
    if vr == "SQ":
        return dummy_items(tag)
    if vr in _NUMBERS:
        return "0"
    value = dummy_value(tag, vr)
    if value is None:
        return (
            identifiers.references.map_uid_value(original.text.encode("latin-1", "replace"))
            .decode("latin-1")
            .strip("\0")
        )
    if isinstance(value, bytes):
        return "data:application/octet-stream;base64," + base64.b64encode(value).decode("ascii")
    return value + " " * (len(value) % 2) if original.vr == "UN" else value


def clean_icc_profile(data: bytes) -> bytes:
    """Return an ICC profile without texts, dates and identifiers.

    Raises:
        InstanceFailed: It cannot be read to its end.

    """
    try:
        return blanked(data, icc_ranges(data)) if data else data
    except UnsafeContentError:
        raise InstanceFailed(ReasonCode.UNSAFE_CONTENT, "the ICC profile cannot be read to its end") from None
