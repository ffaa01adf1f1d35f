"""Codes that the profile writes by itself.

Public names: ``CodeItem``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from deidflow.tasks.core.request.edits import Item

_CODE_VALUE: Final = 0x00080100
_CODING_SCHEME_DESIGNATOR: Final = 0x00080102
_CODE_MEANING: Final = 0x00080104


@dataclass(frozen=True, slots=True)
class CodeItem:
    """A code with its scheme and meaning (PS3.3 section 8.8, Code Sequence Macro)."""

    value: str
    meaning: str
    scheme: str = "DCM"

    def as_item(self) -> Item:
        """Return the item of a code sequence."""
        return ((_CODE_VALUE, self.value), (_CODING_SCHEME_DESIGNATOR, self.scheme), (_CODE_MEANING, self.meaning))
