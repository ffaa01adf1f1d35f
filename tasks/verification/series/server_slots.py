"""By what the slots of a series are judged that a server wrote: no byte of the dataset is compared with its source's.

It is pydicom that judges such results, by identifiers, names, the request's values, references and pixels. What of this
depends on a slot is told here again, by its bytes, and in doubt not at all.

Public names: ``ReferenceJudge``, ``pair_references``, ``make_reference_judge``.
"""

from __future__ import annotations

import re
from itertools import zip_longest
from typing import TYPE_CHECKING, Final, NamedTuple

from deidflow.tasks.core.dicom.tags import SOP_INSTANCE_UID, is_overlay
from deidflow.tasks.verification.comparison import may_hold_uids
from deidflow.tasks.verification.leaks.regions import PIXELS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deidflow.tasks.core.ledger.uid_map import Uids
    from deidflow.tasks.core.request.request import Request
    from deidflow.tasks.verification.series.layout import Cut, Leaf, Sample
    from deidflow.tasks.verification.series.slots import Side

_PIXEL_GROUP: Final = 0x7FE0
_UIDS: Final = re.compile(rb"[0-9.\\]*[ \0]?")
_PADDING: Final = b" \0"


class _Pair(NamedTuple):
    """An element of both sides, with the numbers of its slots."""

    tag: int
    slot: int
    other: int


class ReferenceJudge:
    """Judges the slots of instances of a series."""

    def __init__(self, pairs: Sequence[_Pair], uids: Uids | None) -> None:
        """Take what is to be judged.

        Args:
            pairs: References and pixels.
            uids: Of the run; None where none are mapped.

        """
        self._pixels = tuple(one for one in pairs if one.tag in PIXELS)
        self._references = tuple(one for one in pairs if one.tag not in PIXELS) if uids is not None else ()
        self._uids = uids

    def finds_nothing(self, source: Cut, result: Cut) -> bool:
        """Whether certainly nothing is wrong with the slots; where not, the instance is to be judged as a whole."""
        before, after = source.data, result.data
        for _, slot, other in self._pixels:
            start, end = source.slots[slot]
            first, last = result.slots[other]
            if end - start != last - first or not after.startswith(memoryview(before)[start:end], first):
                return False
        return all(
            self._follows(tag, before[slice(*source.slots[slot])], after[slice(*result.slots[other])])
            for tag, slot, other in self._references
        )

    def _follows(self, tag: int, before: bytes, after: bytes) -> bool:
        """Whether each UID names what the one in the source became."""
        if self._uids is None or not (_UIDS.fullmatch(before) and _UIDS.fullmatch(after)):
            return False
        for old, new in zip_longest(_values(before), _values(after), fillvalue=""):
            expected = self._uids.get(tag, old)
            if not (expected is None or new == expected or (not expected and new != old)):
                return False
        return True


def _values(raw: bytes) -> list[str]:
    return raw.rstrip(_PADDING).decode("ascii").split("\\")


def pair_references(request: Request, before: Side, after: Side) -> bool:
    """Make the counterpart of each slot that is a reference, or pixels, a slot, too.

    Args:
        request: Of the instances.
        before: Their source.
        after: Their result.

    Returns:
        Whether slots can be judged by themselves.

    """
    edits = request.edits
    named = {
        tag for path in (*edits.replace, *edits.remove) for tag in (path.tag, *(above for above, _ in path.parents))
    }
    if request.settings.transcode or any(tag >> 16 == _PIXEL_GROUP for tag in named):
        return False
    if any(is_overlay(leaf.path[0]) for leaf in before.leaves.values()):
        return False  # bits of the pixels may be theirs
    for one, other in ((before, after), (after, before)):
        counterparts = {leaf.path: leaf for leaf in other.leaves.values() if not leaf.is_meta}
        for leaf in list(one.slots.values()):
            counterpart = counterparts.get(leaf.path)
            if _is_judged(leaf) and counterpart is not None:
                other.slots[counterpart.element[2]] = counterpart
    return not any(
        tag in named and leaf.path != (SOP_INSTANCE_UID,) for leaf in after.slots.values() for tag in leaf.path[::2]
    )


def _is_judged(leaf: Leaf) -> bool:
    if leaf.is_meta:
        return False
    if leaf.tag in PIXELS and not leaf.is_nested:
        return True
    return may_hold_uids(leaf.tag, leaf.element[1])


def make_reference_judge(source: Sample, result: Sample, uids: Uids | None) -> ReferenceJudge | None:
    """Return the judge of a series; None where pixels are on one side only, or the other side has another syntax."""
    if source.read.syntax != result.read.syntax:
        return None
    others = {slot.leaf.path: number for number, slot in enumerate(result.slots) if not slot.leaf.is_meta}
    pairs = []
    for number, slot in enumerate(source.slots):
        leaf = slot.leaf
        if not _is_judged(leaf) or leaf.path == (SOP_INSTANCE_UID,):
            continue
        if leaf.path in others:
            pairs.append(_Pair(leaf.tag, number, others[leaf.path]))
        elif leaf.tag in PIXELS:
            return None
    has_pixels = any(path[0] in PIXELS for path in others)
    return ReferenceJudge(pairs, uids) if has_pixels <= any(one.tag in PIXELS for one in pairs) else None
