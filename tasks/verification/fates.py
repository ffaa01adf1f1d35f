"""What may have become of an element between source and result.

Public names: ``Fate``.
"""

from __future__ import annotations

from enum import IntEnum, auto


class Fate(IntEnum):
    """What the profile's table and the request say of an element; where they say nothing it stays as it is."""

    SAME = auto()
    """It is there, byte for byte, but for UIDs of the run's objects, which follow them."""
    KEPT = auto()
    """The same, and what the profile does to other elements is not done inside it."""
    MAY_GO = auto()
    """It is the same, or not there."""
    REMOVED = auto()
    """It is not there."""
    EMPTIED = auto()
    """It is there and empty."""
    UID = auto()
    """It is there, and each of its UIDs is another one (UIDs of the standard apart)."""
    DUMMY = auto()
    """It is not there, or empty, or stands for everybody's value; of a sequence the items are others."""
    CHANGED = auto()
    """It is not there, or empty, or has any other value than the original one."""
    REFERENCE = auto()
    """It is not there, or empty, or has the same items, whose elements have their own fates."""
    EXTENDED = auto()
    """It has the same items, whose elements have their own fates, and more behind them."""
    CLEANED = auto()
    """It is not there, or empty, or a dummy, or a text of the same words without those that identify."""
    CLEANED_CODE = auto()
    """The same, of a code, whose numbers are nobody's."""
    CLEANED_CODES = auto()
    """It has the same items, with their own fates, or one that says that there was one."""
    CLEANED_ITEMS = auto()
    """It has the same items, in which every text is cleaned and other elements have their own fates."""
    FRAMES = auto()
    """It is there, byte for byte, but for what is no image in compressed frames, which is blank."""
    FREE = auto()
    """What became of it is looked up by other checks, or is the request's own word."""
