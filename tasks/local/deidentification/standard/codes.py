"""The words of PS3.15 Annex E (edition 2026d): codes of Table E.1-1, and what a code makes of an attribute.

Public names: ``Code``, ``AttributeType``, ``action_for``.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from deidflow.tasks.local.editing.actions import Action


class Code(StrEnum):
    """What Table E.1-1 may say of an attribute (Table E.1-1a)."""

    X = "X"
    Z = "Z"
    D = "D"
    U = "U"
    C = "C"
    K = "K"
    Z_D = "Z/D"
    X_Z = "X/Z"
    X_D = "X/D"
    X_Z_D = "X/Z/D"
    X_Z_U = "X/Z/U*"


class AttributeType(StrEnum):
    """How an IOD asks for an attribute (PS3.5 section 7.4)."""

    REQUIRED = "1"
    REQUIRED_IF = "1C"
    MAY_BE_EMPTY = "2"
    MAY_BE_EMPTY_IF = "2C"
    OPTIONAL = "3"


_NEEDS_VALUE: Final = frozenset({AttributeType.REQUIRED, AttributeType.REQUIRED_IF})
_NEEDS_ELEMENT: Final = frozenset({AttributeType.MAY_BE_EMPTY, AttributeType.MAY_BE_EMPTY_IF})

# What each code makes of an attribute whose value, or only whose element, the IOD needs, and of any other.
_ACTIONS: Final[dict[Code, tuple[Action, Action, Action]]] = {
    Code.Z: (Action.DUMMY, Action.EMPTY, Action.EMPTY),
    Code.D: (Action.DUMMY, Action.DUMMY, Action.DUMMY),
    Code.U: (Action.REPLACE_UID, Action.REPLACE_UID, Action.REPLACE_UID),
    Code.C: (Action.CLEAN, Action.CLEAN, Action.CLEAN),
    Code.K: (Action.KEEP, Action.KEEP, Action.KEEP),
    Code.Z_D: (Action.DUMMY, Action.EMPTY, Action.EMPTY),
    Code.X_Z: (Action.DUMMY, Action.EMPTY, Action.REMOVE),
    Code.X_D: (Action.DUMMY, Action.DUMMY, Action.REMOVE),
    Code.X_Z_D: (Action.DUMMY, Action.EMPTY, Action.REMOVE),
    Code.X_Z_U: (Action.REPLACE_UID, Action.EMPTY, Action.REMOVE),
}


def action_for(code: Code, needed: AttributeType | None) -> Action:
    """Return what a code asks for, given how the instance's IOD asks for the attribute.

    A combined code takes the weaker treatment only where the IOD needs it (Table E.1-1a): X/Z/D is a dummy for type 1,
    empty for type 2 and removal for type 3. A conditional attribute that is there is treated as if its condition
    held (1C as 1, 2C as 2). Z allows a dummy, which type 1 needs. X is removal, but for an attribute that is required
    without condition: E.1.1 lets a value be replaced instead, and the object stays valid by a dummy (type 1) or an
    empty element (type 2).

    X/Z/U* leaves the choice between an empty sequence and new UIDs to what the IOD needs. Type 2 are source images and
    referenced images of functional groups (PS3.3 sections C.7.6.16.2.5 and .6). An object with references in them
    lists their instances in Referenced Series Sequence (C.12.2, type 1C), which no row of the table takes away, and
    which says what is not so when they are emptied; so there the UIDs are replaced.

    Args:
        code: The code that governs.
        needed: The attribute's type in the IOD, None where the IOD does not have it or is not known: the strictest.

    """
    if code is Code.X:
        if needed is AttributeType.REQUIRED:
            return Action.DUMMY
        return Action.EMPTY if needed is AttributeType.MAY_BE_EMPTY else Action.REMOVE
    if code is Code.X_Z_U and needed is AttributeType.MAY_BE_EMPTY:
        return Action.REPLACE_UID
    with_value, with_element, otherwise = _ACTIONS[code]
    if needed in _NEEDS_VALUE:
        return with_value
    return with_element if needed in _NEEDS_ELEMENT else otherwise
