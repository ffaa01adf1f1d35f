"""Elements that the profile writes by itself, as data: nothing here knows how they are encoded.

Public names: ``NewElement``, ``NewItem``, ``CodeItem``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple


class NewElement(NamedTuple):
    """One element.

    Attributes:
        tag: The plain tag.
        vr: Two characters.
        value: Text (several values joined by a backslash), octets for OB, or the items of a sequence.

    """

    tag: int
    vr: str
    value: str | bytes | tuple[NewItem, ...]


NewItem = tuple[NewElement, ...]
"""One item: its elements in the order of their tags."""

_CODE_VALUE: Final = 0x00080100
_CODING_SCHEME_DESIGNATOR: Final = 0x00080102
_CODE_MEANING: Final = 0x00080104


@dataclass(frozen=True, slots=True)
class CodeItem:
    """A code with its scheme and meaning (PS3.3 section 8.8, Code Sequence Macro)."""

    value: str
    meaning: str
    scheme: str = "DCM"

    def as_item(self) -> NewItem:
        """Return the item of a code sequence."""
        return (
            NewElement(_CODE_VALUE, "SH", self.value),
            NewElement(_CODING_SCHEME_DESIGNATOR, "SH", self.scheme),
            NewElement(_CODE_MEANING, "LO", self.meaning),
        )
