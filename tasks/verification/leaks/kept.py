"""Where the request's Keep leaves values: what stands there may stand anywhere, and another value of the attribute not.

Public names: ``KeptPlaces``, ``kept_places``, ``in_any_block``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from deidflow.tasks.core.dicom.private_tags import creator_of, in_block, is_private_number
from deidflow.tasks.core.dicom.tags import PATIENT_ID, dictionary_vr

if TYPE_CHECKING:
    from collections.abc import Iterable

    from deidflow.tasks.core.dicom.tags import Path

_FIRST_BLOCK: Final = 0x10


class KeptPlaces(NamedTuple):
    """Where values stay.

    Attributes:
        tags: Of attributes that are named, wherever they stand: what is in none of them needs no further look.
        anywhere: Of those that stay at every depth.
        paths: Of the others, as in block 10; an index of -1 is every item.

    """

    tags: frozenset[int] = frozenset()
    anywhere: frozenset[int] = frozenset()
    paths: tuple[tuple[tuple[tuple[int, int], ...], int], ...] = ()

    def has(self, above: tuple[tuple[int, int], ...], tag: int, *, goes: bool) -> bool:
        """Whether an element stays.

        Args:
            above: The sequences around it, outermost first, each with the item's index from 0.
            tag: Its own.
            goes: Whether one of these sequences goes as a whole.

        """
        if tag not in self.tags:
            return False
        return (tag in self.anywhere and not goes) or any(
            tag == kept and _leads(parents, above) for parents, kept in self.paths
        )


def _leads(parents: tuple[tuple[int, int], ...], above: tuple[tuple[int, int], ...]) -> bool:
    return len(parents) == len(above) and all(
        kept == in_any_block(tag) and index in {-1, number}
        for (kept, index), (tag, number) in zip(parents, above, strict=True)
    )


def kept_places(keep: Iterable[Path], *, is_standard: bool, hardens: bool) -> KeptPlaces:
    """Return where Keep leaves values.

    Args:
        keep: The request's.
        is_standard: Whether the profile is PS3.15's, under which a tag without a path is one at top level. Under an
            Orthanc's it stays in items, too.
        hardens: Whether nested PatientIDs go even so.

    """
    paths = tuple(keep)
    mapped = {PATIENT_ID} if hardens else set()
    anywhere = (
        path.tag
        for path in paths
        # Keeping UIDs keeps the references to them.
        if not path.is_nested and (dictionary_vr(path.tag) == "UI" or not (is_standard or path.tag in mapped))
    )
    return KeptPlaces(
        frozenset(path.tag for path in paths),
        frozenset(anywhere),
        tuple((tuple((in_any_block(tag), index) for tag, index in path.parents), path.tag) for path in paths),
    )


def in_any_block(tag: int) -> int:
    """Return a tag without the block that a private element has in one file."""
    plain = tag & 0xFFFFFFFF
    is_private = creator_of(tag) or is_private_number(plain)
    return in_block(plain, _FIRST_BLOCK) if is_private else plain
