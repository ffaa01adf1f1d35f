"""Private attributes that a site knows to be safe: what ``private.keep`` says of each.

Public names: ``SiteAttribute``, ``SiteAction``.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class SiteAction(StrEnum):
    """What happens to a private attribute of the list; the codes are those of PS3.15 Table E.1-1."""

    CLEAN = "C"
    """Its value is cleaned by its VR."""
    KEEP = "K"
    """It stays as it is."""
    REMOVE = "X"
    """It goes, although the standard's list has it."""


class SiteAttribute(NamedTuple):
    """One private attribute.

    Attributes:
        group: Odd.
        element: In its block, 0x00 to 0xFF.
        creator: Of its block.
        vr: Two characters, "" for the file's.
        action: What happens to it.

    """

    group: int
    element: int
    creator: str
    vr: str
    action: SiteAction
