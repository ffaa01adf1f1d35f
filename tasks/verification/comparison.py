"""Whether what no rule and no request names is the same in source and result, byte for byte; and what is named, gone.

Both files are walked in parallel, by the verifier's own reader.

Public names: ``compare``, ``Judged``, ``Comparison``, ``may_hold_uids``, ``COMPRESSED``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import TYPE_CHECKING, Final, NamedTuple

from deidflow.tasks.core.dicom.tags import describe_tag, dictionary_vr
from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.core.pseudonyms.original_uids import WELL_KNOWN
from deidflow.tasks.verification.cleaned.frames import TEXT_BESIDE, frames_fault
from deidflow.tasks.verification.cleaned.native_frames import OCTETS_BEHIND, native_fault
from deidflow.tasks.verification.cleaned.rle_frames import pixels_of_rle
from deidflow.tasks.verification.cleaned.texts import CleanedTexts
from deidflow.tasks.verification.fates import Fate
from deidflow.tasks.verification.leaks.segments import has_more_than_frames, native_length
from deidflow.tasks.verification.standard.dummy_items import are_dummies
from deidflow.tasks.verification.standard.profile import is_dummy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deidflow.tasks.core.ledger.uid_map import Uids
    from deidflow.tasks.verification.permitted import Permitted, Place
    from deidflow.tasks.verification.reader import Element, Item, Read

_PIECE_BYTES: Final = 1 << 20
_MAX_UIDS_BYTES: Final = 1 << 16
_PIXELS: Final = 0x7FE0
_FIRST_GROUP: Final = 0x00080000
"""Of datasets."""
_FIRST_CURVE: Final = 0x50000000
_LEFT_BESIDE: Final = (TEXT_BESIDE, OCTETS_BEHIND)
COMPRESSED: Final = ("1.2.840.10008.1.2.4.", "1.2.840.10008.1.2.5")
"""Transfer syntaxes with frames of their own (PS3.5 section 10)."""
_TEXTS: Final = frozenset(b"AE AS CS DA DS DT IS LO LT PN SH ST TM UC UI UR UT".split())
"""Value representations that are the same bytes in both byte orders."""
_MAY_BE_UIDS: Final = frozenset({b"UI", b"UN", b""})
_IS_UID: Final = re.compile(r"[0-9]+(?:\.[0-9]+)+")
_UIDS: Final = re.compile(rb"[0-9.\\]+[ \0]*")
_PADDING: Final = " \t\r\n\f\v\0"
_TAG_BITS: Final = 32
_GROUP_LENGTH_BYTES: Final = 4


class Judged(NamedTuple):
    """An element, and by what it is judged.

    Attributes:
        element: Of the source.
        other: The same of the result, None where there is none.
        fate: What may have become of it.
        place: Where it stands.

    """

    element: Element
    other: Element | None
    fate: Fate
    place: Place


@dataclass(frozen=True, slots=True)
class Comparison:
    """A source and its result.

    Attributes:
        source: Read to its end.
        result: Likewise.
        permitted: What may differ.
        uids: Of the run; None where none are mapped.
        texts: Compares cleaned texts.
        stated: What the source says of its private elements.
        rle_pixels: Of a frame of RLE; 0 in other files.
        became: New UIDs by original one, as far as they were seen.
        was: The other way round.
        noted: Where each element that is judged is noted, those that are the same among them; None where nobody asks.

    """

    source: Read
    result: Read
    permitted: Permitted
    uids: Uids | None
    texts: CleanedTexts
    stated: Mapping[tuple[int, str], Mapping[int, str]]
    rle_pixels: int
    became: dict[str, str] = field(default_factory=dict)
    was: dict[str, str] = field(default_factory=dict)
    noted: list[Judged] | None = None

    def dataset(self, before: Item, after: Item, place: Place) -> None:
        """Compare two datasets.

        Raises:
            InstanceFailed: See ``compare``.

        """
        allowed, left = self.permitted, _keyed(after)
        if allowed.cleans_texts:
            self.texts.enter(before, after, cleaned=place.cleaned)
        table, value_before, value_after = allowed.table(place), self.source.value, self.result.value
        known, private, noted = allowed.known, allowed.private, self.noted
        creators = private.creators(self.source, before) if private is not None else {}
        has_nodes, asked = bool(place.nodes), _MAY_BE_UIDS if self.uids is not None else ()
        for key, element in _keyed(before).items():
            tag, vr, start, end, items = element
            other, is_same = left.pop(key, None), False
            if not has_nodes and not tag & 0x10000 and _FIRST_GROUP <= tag < _FIRST_CURVE and tag & 0xFFFF:
                fate = table.get(tag)
                is_same = (
                    fate is None
                    and (known is None or tag in known)
                    and other is not None
                    and vr not in asked
                    and vr == other[1]
                    and items is None
                    and end - start == other[3] - other[2]
                    and end - start <= _PIECE_BYTES
                    and value_before(start, end) == value_after(other[2], other[3])
                )
                if is_same and noted is None:
                    continue  # nearly all elements
                fate = fate or allowed.fate(tag, place)
            else:
                fate = allowed.fate(tag, place)
                if private is not None and fate is Fate.REMOVED and tag & 0x10000:
                    fate = private.fate(element, creators, self.stated)
            if noted is not None:
                noted.append(Judged(element, other, fate, place))
            if not (is_same or fate is Fate.FREE):
                self.element(element, other, fate, place)
            elif other is not None and not is_same:
                self._check_group_length(other)
        for element in left.values():
            self._added(element, allowed.fate(element[0], place))
        if allowed.cleans_texts:
            self.texts.leave()
        if _ascends(before) and not _ascends(after):
            raise InstanceFailed(ReasonCode.RESULT_DIFFERS, "the elements of the result are not in order")

    def element(self, element: Element, other: Element | None, fate: Fate, place: Place) -> None:
        """Compare an element and what became of it; raise as ``compare``."""
        tag = element[0]
        if fate is Fate.REMOVED:
            if other is not None:
                raise self._left(tag)
        elif fate in {Fate.DUMMY, Fate.CHANGED}:
            self._check_changed(element, other, fate)
        elif fate in {Fate.CLEANED, Fate.CLEANED_CODE}:
            self._check_cleaned(element, other, is_code=fate is Fate.CLEANED_CODE)
        elif other is None or (fate is Fate.REFERENCE and _is_empty(other)):
            may_go = fate in {Fate.MAY_GO, Fate.REFERENCE} or self._is_misfit(element)
            if not may_go and not (self.permitted.drops_opaque and self._is_opaque(element)):
                raise self._differs(tag, "is lost from the result")
        elif fate is Fate.EMPTIED:
            if not _is_empty(other):
                raise self._left(tag)
        elif element[4] is not None and (other[4] is not None or _is_empty(other)):
            after = other[4] or []
            after = after[: len(element[4])] if fate is Fate.EXTENDED else after
            self._items(tag, element[4], after, place, fate)
        elif fate is Fate.FRAMES and element[4] is None and self._is_more_than_pixels(element):
            self._check_frames(element, other)
        elif fate is Fate.UID and element[4] is None:
            self._check_uids(element, other)
        else:
            self._check_same(element, other)

    def _check_changed(self, element: Element, other: Element | None, fate: Fate) -> None:
        """Refuse the original value, and where only one that stands for everybody's may be there any other, too."""
        if other is None or _is_empty(other):
            return
        if element[4] is not None and other[4] is not None:
            stays = not are_dummies(self.result, other[4])
        else:
            stays = element[4] is not other[4] or not is_dummy(self.result.value(other[2], other[3]))
        if stays and (self._same_bytes(*element[2:4], other) or (fate is Fate.DUMMY and other[4] is None)):
            raise self._left(element[0])

    def _is_misfit(self, element: Element) -> bool:
        """Whether a value may go since its VR is not that of its attribute."""
        tag, vr, _, _, items = element
        if self.permitted.known is None:
            return False
        said = vr.decode("latin-1") if items is None else "SQ"
        return said != "UN" and said not in (dictionary_vr(tag) or "").split(" or ")

    def _items(self, tag: int, before: list[Item], after: list[Item], place: Place, fate: Fate) -> None:
        if fate is Fate.CLEANED_CODES and len(after) == 1 and are_dummies(self.result, after):
            return  # one code is all, and each of its values stands for everybody's
        if len(before) != len(after):
            raise self._differs(tag, "has another number of items in the result")
        for index, (old, new) in enumerate(zip(before, after, strict=True)):
            inside = place.item(tag, index, kept=fate is Fate.KEPT, cleaned=fate is Fate.CLEANED_ITEMS)
            self.dataset(old, new, inside)

    def _is_more_than_pixels(self, element: Element) -> bool:
        """Whether something may stand beside the pixels of pixel data, which is not to be left."""
        return self.source.syntax.startswith(COMPRESSED) or has_more_than_frames(self.source, element)

    def _check_frames(self, element: Element, other: Element) -> None:
        """Refuse other images, and what is left beside them."""
        before, after = self.source.value(element[2], element[3]), self.result.value(other[2], other[3])
        if self.source.syntax.startswith(COMPRESSED):
            fault = frames_fault(before, after, little=self.source.little, rle_pixels=self.rle_pixels)
        else:
            fault = native_fault(before, after, native_length(self.source, len(before)))
        if fault:
            code = ReasonCode.IDENTIFIER_LEFT if fault in _LEFT_BESIDE else ReasonCode.PIXEL_DATA_DIFFERS
            raise InstanceFailed(code, f"PixelData {fault}")

    def _check_cleaned(self, element: Element, other: Element | None, *, is_code: bool) -> None:
        """Refuse a text that still identifies, or says something else than its source."""
        if other is None or _is_empty(other) or is_dummy(self.result.value(other[2], other[3])):
            return
        if element[4] is not None or other[4] is not None:
            raise self._left(element[0])
        fault = self.texts.fault(element, other, is_code=is_code)
        if fault:
            raise InstanceFailed(ReasonCode.IDENTIFIER_LEFT, f"the text of {describe_tag(element[0])} {fault}")

    def _added(self, element: Element, fate: Fate) -> None:
        """Refuse an element that the source has not, unless it may be there."""
        if fate in {Fate.FREE, Fate.EXTENDED}:
            self._check_group_length(element)
            return
        if fate in {Fate.REMOVED, Fate.EMPTIED, Fate.DUMMY, Fate.CHANGED} and not _is_empty(element):
            raise self._left(element[0])
        raise self._differs(element[0], "is in the result, although neither the source nor the request has it")

    def _check_group_length(self, element: Element) -> None:
        """Refuse what has the tag of a group's length and is no number of bytes."""
        tag, _, start, end, _ = element
        if self.permitted.anonymizes and not tag & 0xFFFF and end - start != _GROUP_LENGTH_BYTES:
            raise self._left(tag)

    def _check_same(self, element: Element, other: Element) -> None:
        tag, vr, start, end, _ = element
        permitted = self.permitted
        if vr != other[1] and vr != b"UN" and not permitted.recodes:
            raise self._differs(tag, "has another value representation in the result")
        if permitted.recodes and (self.source.little != self.result.little or end - start != other[3] - other[2]):
            known = vr if vr in _TEXTS else (dictionary_vr(tag) or "").encode()
            if known not in _TEXTS:
                return
        if self._same_bytes(start, end, other):
            if tag not in permitted.named:
                self._check_names_no_original(element)
        elif not self._follows(element, other):
            raise self._differs(tag, "is not the source's, byte for byte")

    def _same_bytes(self, start: int, end: int, other: Element) -> bool:
        if end - start != other[3] - other[2]:
            return False
        shift = other[2] - start
        return all(
            self.source.value(at, min(end, at + _PIECE_BYTES))
            == self.result.value(at + shift, min(end, at + _PIECE_BYTES) + shift)
            for at in range(start, end, _PIECE_BYTES)
        )

    def _follows(self, element: Element, other: Element) -> bool:
        """Whether values differ only in UIDs of the run, which name what these became."""
        if self.uids is None or not may_hold_uids(*element[:2]):
            return False
        longest = max(element[3] - element[2], other[3] - other[2])
        if element[1] not in {b"UI", b""} and longest > _MAX_UIDS_BYTES:
            return False
        before, after = self._uid_values(self.source, element), self._uid_values(self.result, other)
        return len(before) == len(after) and all(
            old == new or self.uids.get(element[0], old) == new for old, new in zip(before, after, strict=True)
        )

    def _check_uids(self, element: Element, other: Element) -> None:
        """Each UID must be another one now: which one is told by the run's map, as far as it names an object of it."""
        tag = element[0]
        before, after = self._uid_values(self.source, element), self._uid_values(self.result, other)
        for old, new in zip_longest(before, after, fillvalue=""):
            expected = self.uids.get(tag, old) if self.uids is not None else None
            if old and new and not self._is_one_to_one(old, new):
                text = f"{describe_tag(tag)} names what another original UID names, too, or not always the same"
                raise InstanceFailed(ReasonCode.REFERENCE_BROKEN, text)
            if new == expected:
                continue
            if old == new and old and not old.startswith(WELL_KNOWN):
                raise self._left(tag)
            if expected is not None:
                text = f"{describe_tag(tag)} names another object than in the source"
                raise InstanceFailed(ReasonCode.REFERENCE_BROKEN, text)
            if bool(old) != bool(new):
                raise self._differs(tag, "lost or gained a UID in the result")

    def _is_one_to_one(self, old: str, new: str) -> bool:
        """Whether no other UID of the file became the same one, nor this one another one."""
        if not (_IS_UID.fullmatch(old) and _IS_UID.fullmatch(new)):
            return True
        return self.became.setdefault(old, new) == new and self.was.setdefault(new, old) == old

    def _check_names_no_original(self, element: Element) -> None:
        """Look for objects of the run in what stayed as it is: UIDs, and what nobody knows the VR of."""
        tag, vr, start, end, items = element
        if self.uids is None or items is not None or not may_hold_uids(tag, vr):
            return
        if vr not in {b"UI", b""} and end - start > _MAX_UIDS_BYTES:
            return
        if vr != b"UI" and dictionary_vr(tag) != "UI" and not _UIDS.fullmatch(self.source.value(start, end)):
            return
        for old in self._uid_values(self.source, element):
            if old and self.uids.get(tag, old) not in {None, old}:
                text = f"{describe_tag(tag)} still names an original object of the run"
                raise InstanceFailed(ReasonCode.IDENTIFIER_LEFT, text)

    @staticmethod
    def _uid_values(read: Read, element: Element) -> list[str]:
        text = read.value(element[2], element[3]).decode("latin-1").replace(" ", "")
        return [value.strip(_PADDING) for value in text.split("\\")]

    def _is_opaque(self, element: Element) -> bool:
        """Whether nobody knows what a value holds: no items where a sequence belongs or begins."""
        tag, vr, start, end, items = element
        if items is not None or start == end or vr not in {b"", b"SQ", b"UN"}:
            return False
        begins = self.source.value(start, min(end, start + 4)) in {b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00"}
        return begins or dictionary_vr(tag) == "SQ"

    def _left(self, tag: int) -> InstanceFailed:
        code = ReasonCode.IDENTIFIER_LEFT if self.permitted.anonymizes else ReasonCode.RESULT_DIFFERS
        return InstanceFailed(code, f"{describe_tag(tag)} is left in the result")

    @staticmethod
    def _differs(tag: int, text: str) -> InstanceFailed:
        code = ReasonCode.PIXEL_DATA_DIFFERS if tag >> 16 == _PIXELS else ReasonCode.RESULT_DIFFERS
        return InstanceFailed(code, f"{describe_tag(tag)} {text}")


def may_hold_uids(tag: int, vr: bytes) -> bool:
    """Whether an element can hold UIDs, by its VR, by the dictionary, or since nobody knows its VR."""
    said = dictionary_vr(tag)
    return vr == b"UI" or said == "UI" or (vr in _MAY_BE_UIDS and said is None)


def compare(
    source: Read, result: Read, permitted: Permitted, uids: Uids | None, noted: list[Judged] | None = None
) -> None:
    """Compare all elements of a result with those of its source.

    Args:
        source: Read to its end.
        result: Likewise.
        permitted: What may differ.
        uids: Of the run; None where none are mapped.
        noted: Where to add what was judged: all but what is inside something that was judged as a whole.

    Raises:
        InstanceFailed: ``identifier-left`` where something is there that was to go, ``reference-broken`` where a UID
            names another object, ``pixel-data-differs`` or ``result-differs`` where something else is lost, added or
            changed; the text names the element.

    """
    texts = CleanedTexts(source, result, permitted)
    stated = permitted.private.stated(source) if permitted.private is not None else {}
    comparison = Comparison(source, result, permitted, uids, texts, stated, pixels_of_rle(source), noted=noted)
    comparison.dataset(source.elements, result.elements, permitted.start())


def _keyed(elements: Item) -> dict[int, Element]:
    """Return elements by tag; one that stands there again by its tag and how often it was there before."""
    keyed = {element[0]: element for element in elements}
    if len(keyed) == len(elements):
        return keyed
    counts: dict[int, int] = {}
    keyed = {}
    for element in elements:
        count = counts.get(element[0], 0)
        counts[element[0]] = count + 1
        keyed[count << _TAG_BITS | element[0]] = element
    return keyed


def _ascends(elements: Item) -> bool:
    last = -1
    for element in elements:
        if element[0] <= last:
            return False
        last = element[0]
    return True


def _is_empty(element: Element) -> bool:
    return not element[4] if element[4] is not None else element[2] == element[3]
