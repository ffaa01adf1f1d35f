"""Private attributes that are known to be safe: Table E.3.10-1 of PS3.15, edition 2026d.

Public names: ``SafePrivate``, ``SafeAttributes``, ``standard_attributes``.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_TABLE: Final = "deidflow.tasks.local.deidentification.tables"


@dataclass(frozen=True, slots=True)
class SafePrivate:
    """One private attribute.

    Attributes:
        group: The odd group.
        element: The element within its block, 0x00 to 0xFF.
        creator: The private creator, as it stands in the element that reserves the block.
        vr: Two characters, or ``OW/OB``; empty where the table has none.
        vm: As in PS3.6: ``1``, ``2-n``.

    """

    group: int
    element: int
    creator: str
    vr: str
    vm: str


class SafeAttributes:
    """Looked up by group, creator and element, in whichever block the creator is."""

    def __init__(self, attributes: Iterable[SafePrivate]) -> None:
        """Index the attributes; of two with the same name the later one counts."""
        self._index: Final = {(one.group, one.creator, one.element): one for one in attributes}

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._index)

    def __iter__(self) -> Iterator[SafePrivate]:
        """Go through them in the order in which they were given."""
        return iter(self._index.values())

    def find(self, tag: int, creator: str) -> SafePrivate | None:
        """Return the attribute that a private element is, None where it is not known to be safe.

        Blocks are handed out in order of arrival (PS3.5 section 7.8.1), so the block's number says nothing: (0019,100C)
        and (0019,110C) are the same attribute where both blocks belong to one creator.

        Args:
            tag: The element's plain tag, in any block.
            creator: The value that reserves its block; blanks around it do not count (VR LO).

        """
        return self._index.get((tag >> 16, creator.strip(" "), tag & 0xFF))


@lru_cache
def standard_attributes() -> SafeAttributes:
    """Read the standard's list from the package's data, once a process."""
    text = files(_TABLE).joinpath("safe_private.csv").read_text(encoding="utf-8")
    return SafeAttributes(
        SafePrivate(
            group=int(row["group"], 16),
            element=int(row["element"].removeprefix("xx"), 16),
            creator=row["private_creator"],
            vr=row["vr"],
            vm=row["vm"],
        )
        for row in csv.DictReader(text.splitlines(), strict=True)
    )
