"""By what the slots of a series are judged: each element with what may become of it, found out once for all instances.

Public names: ``SlotJudge``, ``Side``, ``pairs_of``, ``may_differ``, ``of_one_length``, ``slots_with_values``,
``MEDIA_STORAGE_SOP_INSTANCE_UID``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from deidflow.tasks.core.dicom.private_tags import is_creator
from deidflow.tasks.core.dicom.tags import (
    DEIDENTIFICATION_METHOD,
    PATIENT_ID,
    PATIENT_IDENTITY_REMOVED,
    PATIENT_NAME,
    SERIES_INSTANCE_UID,
    SOP_CLASS_UID,
    SOP_INSTANCE_UID,
    SPECIFIC_CHARACTER_SET,
    STUDY_INSTANCE_UID,
    dictionary_vr,
    is_overlay,
)
from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.verification.cleaned.rle_frames import pixels_of_rle
from deidflow.tasks.verification.cleaned.texts import IDENTIFYING, Around, CleanedTexts
from deidflow.tasks.verification.comparison import COMPRESSED, Comparison, Judged, may_hold_uids
from deidflow.tasks.verification.fates import Fate
from deidflow.tasks.verification.reader import Read
from deidflow.tasks.verification.standard.profile import is_dummy

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from deidflow.tasks.core.ledger.uid_map import Uids
    from deidflow.tasks.core.request.request import Request
    from deidflow.tasks.verification.permitted import Permitted
    from deidflow.tasks.verification.series.layout import Cut, Leaf, Sample
    from deidflow.tasks.verification.standard.required import Required

MEDIA_STORAGE_SOP_INSTANCE_UID: Final = 0x00020003
_META_MAY_DIFFER: Final = frozenset({0x00020000, MEDIA_STORAGE_SOP_INSTANCE_UID})
_TRANSFER_SYNTAX_UID: Final = 0x00020010
_DECIDE_ON_OTHERS: Final = frozenset(
    {
        *(SPECIFIC_CHARACTER_SET, PATIENT_ID, PATIENT_NAME, PATIENT_IDENTITY_REMOVED, DEIDENTIFICATION_METHOD),
        *(STUDY_INSTANCE_UID, SERIES_INSTANCE_UID, SOP_CLASS_UID),
        *(0x00280002, 0x00280008, 0x00280010, 0x00280011, 0x00280100),
    }
)
"""What other elements, or the whole file, are judged by; the size of the image tells where its pixels end."""
_OVERLAY_DATA: Final = 0x3000
_SEQUENCES_THAT_DECIDE: Final = frozenset({0x00080300, 0x00120064, 0x0040A043})
"""PrivateDataElementCharacteristics, the codes of the de-identification, the concept of a content item."""
_IS_GONE: Final = frozenset({Fate.REMOVED, Fate.DUMMY, Fate.CHANGED, Fate.CLEANED, Fate.CLEANED_CODE, Fate.MAY_GO})
_MAY_BE_EMPTY: Final = frozenset({Fate.EMPTIED, Fate.DUMMY, Fate.CHANGED, Fate.CLEANED, Fate.CLEANED_CODE})
_MAY_BE_DUMMY: Final = frozenset({Fate.DUMMY, Fate.CHANGED, Fate.CLEANED, Fate.CLEANED_CODE})
_STAYS: Final = frozenset({Fate.SAME, Fate.KEPT, Fate.MAY_GO})
_BY_THEMSELVES: Final = _STAYS | {
    Fate.REMOVED,
    Fate.EMPTIED,
    Fate.UID,
    Fate.DUMMY,
    Fate.CHANGED,
    Fate.REFERENCE,
    Fate.FRAMES,
}
_IN_ITS_DATASET: Final = frozenset({Fate.CLEANED, Fate.CLEANED_CODE})
"""Judged by what the dataset says around it: at top level only, where that is known of all instances."""
_BY_LENGTH: Final = frozenset({Fate.SAME, Fate.EMPTIED})
_COPIED_BYTES: Final = 1 << 10


def may_differ(leaf: Leaf, request: Request, permitted: Permitted, *, in_result: bool) -> bool:
    """Whether the value of an element may be another one in each instance, and the others are judged as before.

    Args:
        leaf: The element.
        request: Of the instances.
        permitted: What it permits.
        in_result: Whether it is an element of results, rather than of sources.

    """
    tag, vr, *_ = leaf.element
    if leaf.is_meta:
        if permitted.anonymizes and not in_result:
            return tag != _TRANSFER_SYNTAX_UID
        return tag in _META_MAY_DIFFER
    known = {vr.decode("latin-1"), *(dictionary_vr(tag) or "").split(" or ")}
    decides = (
        not known.isdisjoint({"PN", "SQ"})
        or tag in _DECIDE_ON_OTHERS
        or is_creator(tag)
        or (is_overlay(tag) and tag & 0xFFFF != _OVERLAY_DATA)
        or (permitted.cleans_texts and tag in IDENTIFYING)
        or not _SEQUENCES_THAT_DECIDE.isdisjoint(leaf.path[:-1:2])
    )
    is_given = in_result and not leaf.is_nested and tag in {path.tag for path in request.edits.replace}
    return not decides and (not is_given or tag == SOP_INSTANCE_UID)


def of_one_length(judgements: Collection[Judged], permitted: Permitted, *, is_compressed: bool) -> frozenset[int]:
    """Return where the values begin that are judged by their length, too.

    Those of private numbers (see ``SafePrivate.fate``), of overlays, which without a value are in the pixels, and of
    pixels, behind which nothing is to be left.

    Args:
        judgements: Of one instance.
        permitted: What its request permits.
        is_compressed: Whether its pixels are.

    """
    asks = permitted.private is not None
    return frozenset(
        one.element[2]
        for one in judgements
        if (asks and one.element[0] & 0x10000 and one.fate in _BY_LENGTH)
        or (is_overlay(one.element[0]) and one.element[0] & 0xFFFF == _OVERLAY_DATA)
        or (one.fate is Fate.FRAMES and not is_compressed)
    )


class Side:
    """A source or a result while it is found out which of its elements are slots.

    Attributes:
        leaves: By where their values begin.
        slots: Those that differ.

    """

    def __init__(self, leaves: Collection[Leaf], slots: Collection[Leaf]) -> None:
        """Take its leaves, and those that are known to differ."""
        self.leaves = {leaf.element[2]: leaf for leaf in leaves}
        self.slots = {leaf.element[2]: leaf for leaf in slots}


def pairs_of(judgements: Collection[Judged], result: Read, before: Side, after: Side) -> list[Judged] | None:
    """Return by what the slots are to be judged; what an element of either side is compared with becomes a slot, too.

    Args:
        judgements: Of one instance that was found right.
        result: Its result.
        before: Its source.
        after: Its result.

    Returns:
        None where slots are judged by what is none.

    """
    by_element = {one.element[2]: one for one in judgements if one.element[4] is None}
    by_other = {one.other[2]: one for one in by_element.values() if one.other is not None and one.other[4] is None}
    pairs: dict[int, Judged] = {}
    waiting = [(leaf, False) for leaf in before.slots.values()] + [(leaf, True) for leaf in after.slots.values()]
    while waiting:
        leaf, in_result = waiting.pop()
        start = leaf.element[2]
        if leaf.is_meta:
            continue
        one = (by_other if in_result else by_element).get(start)
        if one is None:
            around = None if in_result else _around(judgements, start)
            if around is None or not _is_settled(around, result, after):
                return None
            continue
        if one.fate is Fate.FREE or one.element[2] in pairs or (not in_result and _is_settled(one, result, after)):
            continue
        is_judged = one.fate in _BY_THEMSELVES or (one.fate in _IN_ITS_DATASET and not leaf.is_nested)
        if not is_judged or one.other is None or one.other[4] is not None:
            return None
        pairs[one.element[2]] = one
        for side, at, is_result in ((before, one.element[2], False), (after, one.other[2], True)):
            if at not in side.slots:
                side.slots[at] = side.leaves[at]
                waiting.append((side.leaves[at], is_result))
    return list(pairs.values())


def _around(judgements: Collection[Judged], start: int) -> Judged | None:
    """Return the innermost sequence that was judged as a whole."""
    around = [one for one in judgements if one.element[4] is not None and one.element[2] <= start < one.element[3]]
    return max(around, key=lambda one: one.element[2], default=None)


def _is_settled(one: Judged, result: Read, after: Side) -> bool:
    """Whether an element is right whatever its value was, since of its value nothing can be left."""
    if one.fate is Fate.FREE:
        return True
    other = one.other
    if other is None:
        return one.fate in _IS_GONE or one.fate is Fate.REFERENCE
    if other[4] is not None:
        return not other[4] and (one.fate in _MAY_BE_EMPTY or one.fate is Fate.REFERENCE)
    if other[2] in after.slots:
        return False
    if other[2] == other[3]:
        return one.fate in _MAY_BE_EMPTY or one.fate is Fate.REFERENCE
    return one.fate in _MAY_BE_DUMMY and is_dummy(result.value(other[2], other[3]))


def slots_with_values(asked: Iterable[Required], source: Sample, result: Sample) -> tuple[int, ...] | None:
    """Return the numbers of the slots of results that must have a value.

    Args:
        asked: What the IOD asks for.
        source: Of an instance that was found right.
        result: Likewise.

    Returns:
        None where what is asked for depends on values that are another one in each instance.

    """
    numbers = {slot.start: number for number, slot in enumerate(result.slots)}
    own = {slot.start for slot in source.slots}
    found = []
    for before, after, needs_value, has_dummies in asked:
        if after is None:
            continue
        _, _, start, end, items = after
        is_empty_in_all = needs_value and items is None and start == end and start not in numbers
        if (has_dummies and result.touches_slot(start, end)) or (is_empty_in_all and before[2] in own):
            return None
        if needs_value and start in numbers:
            found.append(numbers[start])
    return tuple(found)


class _Pair(NamedTuple):
    """An element that is judged like any other, with the numbers of its slots."""

    slot: int
    other: int
    judged: Judged


class SlotJudge:
    """Judges the slots of instances of a series."""

    def __init__(
        self,
        pairs: Collection[Judged],
        judgements: Collection[Judged],
        source: Sample,
        result: Sample,
        permitted: Permitted,
        uids: Uids | None,
    ) -> None:
        """Take what is to be judged.

        Args:
            pairs: Elements whose values are slots.
            judgements: All that was judged in one instance.
            source: Of that instance.
            result: Likewise.
            permitted: What the request permits.
            uids: Of the run; None where none are mapped.

        """
        numbers = {slot.start: number for number, slot in enumerate(source.slots)}
        others = {slot.start: number for number, slot in enumerate(result.slots)}
        made = [_Pair(numbers[one.element[2]], others[one.other[2]], one) for one in pairs if one.other is not None]
        self._syntax, self._rle_pixels = source.read.syntax, pixels_of_rle(source.read)
        self._permitted, self._uids = permitted, uids
        cleans = any(one.fate in _IN_ITS_DATASET for one in pairs)
        self._around = Around.of(source.read, result.read, permitted) if cleans else None
        self._same = tuple((one.slot, one.other) for one in made if self._is_compared(one.judged))
        self._others = tuple(one for one in made if not self._is_compared(one.judged))
        # One to one is a matter of the whole file.
        common = self._comparison(source.read, result.read)
        for one in judgements:
            is_uid = one.fate is Fate.UID and one.element[4] is None and one.other is not None and one.other[4] is None
            if is_uid and one.element[2] not in numbers:
                common.element(*one)
        self._became, self._was = common.became, common.was

    def _is_compared(self, one: Judged) -> bool:
        """Whether an element is right if and only if it is the same byte for byte."""
        tag, vr, *_ = one.element
        if one.other is None or vr != one.other[1] or not (tag & 0xFFFF):
            return False
        if self._uids is not None and may_hold_uids(tag, vr):
            return False
        return one.fate in _STAYS or (one.fate is Fate.FRAMES and not self._syntax.startswith(COMPRESSED))

    def _comparison(self, source: Read, result: Read) -> Comparison:
        texts = CleanedTexts(source, result, self._permitted, self._around)
        return Comparison(source, result, self._permitted, self._uids, texts, {}, self._rle_pixels)

    def finds_nothing(self, source: Cut, result: Cut) -> bool:
        """Whether certainly nothing is wrong with the slots; where not, the instance is to be judged as a whole."""
        before, after = source.data, result.data
        for number, other in self._same:
            start, end = source.slots[number]
            first, last = result.slots[other]
            if end - start != last - first:
                return False
            if end - start > _COPIED_BYTES:
                if not after.startswith(memoryview(before)[start:end], first):
                    return False
            elif before[start:end] != after[first:last]:
                return False
        return not self._others or self._are_right(source, result)

    def _are_right(self, source: Cut, result: Cut) -> bool:
        reads = (Read(syntax=self._syntax, _data=cut.data) for cut in (source, result))
        comparison = self._comparison(*reads)
        comparison.became.update(self._became)
        comparison.was.update(self._was)
        try:
            for number, other, one in self._others:
                tag, vr, *_ = one.element
                start, end = source.slots[number]
                first, last = result.slots[other]
                after = one.other[1] if one.other is not None else b""
                comparison.element((tag, vr, start, end, None), (tag, after, first, last, None), one.fate, one.place)
        except InstanceFailed:
            return False
        return True
