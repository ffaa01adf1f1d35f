"""The identifying values of a source: of every attribute that the profile treats, at every depth.

Public names: ``Identifying``, ``Value``, ``identifying_values``, ``value_of``, ``Use``, ``MAX_VALUE_BYTES``,
``text_of``, ``Treated``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from pydicom.valuerep import PN_DELIMS, TEXT_VR_DELIMS

from deidflow.tasks.core.dicom.tags import (
    IDENTIFIERS,
    PATIENT_ID,
    PATIENT_NAME,
    SPECIFIC_CHARACTER_SET,
    dictionary_vr,
)
from deidflow.tasks.verification.character_sets import decoded
from deidflow.tasks.verification.cleaned.concepts import kind_of_concept
from deidflow.tasks.verification.fates import Fate
from deidflow.tasks.verification.leaks.kinds import STRUCTURED, Kind, kind_of, names_somebody
from deidflow.tasks.verification.permitted import Place

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from deidflow.tasks.verification.leaks.kept import KeptPlaces
    from deidflow.tasks.verification.permitted import Permitted
    from deidflow.tasks.verification.reader import Element, Item, Read

_CLEANED: Final = frozenset({Fate.CLEANED, Fate.CLEANED_CODE})
_IF_CLEANED: Final = {
    **dict.fromkeys((Kind.TEXT, Kind.IDENTIFIER, Kind.DESCRIPTOR), Kind.CLEANED),
    Kind.PLACE: Kind.CLEANED_PLACE,
}
_TREATED: Final = frozenset({Fate.REMOVED, Fate.EMPTIED, Fate.UID, Fate.DUMMY, Fate.CHANGED, *_CLEANED})
_AT_ANY_DEPTH: Final = {PATIENT_ID: Fate.DUMMY, PATIENT_NAME: Fate.DUMMY}
_AT_TOP: Final = dict.fromkeys(IDENTIFIERS, Fate.UID) | _AT_ANY_DEPTH
"""What identifies whatever becomes of it by the profile."""
MAX_VALUE_BYTES: Final = 1 << 12
"""Longer texts are documents, which are not looked for as a whole."""
_PADDING: Final = b" \0"
_ESCAPE: Final = b"\x1b"
_OF_THE_DEVICE: Final = frozenset({0x00080070, 0x00081090})
"""Manufacturer, ManufacturerModelName."""
_NOT_KNOWN: Final = "\ufffd"
_NOT_ASKED: Final = object()
_CHARACTER_SET: Final = object()
_DEVICE: Final = object()
_RETAINED: Final = object()
"""A name of a place or a number in an attribute that an option keeps."""
_RETAINED_KINDS: Final = frozenset({Kind.PLACE, Kind.IDENTIFIER})
_IN_REMOVED_ITEMS: Final = frozenset({Kind.PERSON, Kind.DATE, Kind.DATE_TIME})
_IN_PRIVATE: Final = frozenset({Kind.PERSON, Kind.DATE, Kind.DATE_TIME, Kind.UID})
_CODES: Final = {0x00080100: Kind.IDENTIFIER, 0x00080104: Kind.PLACE}
"""CodeValue, CodeMeaning."""


class Value(NamedTuple):
    """One value of a source.

    Attributes:
        kind: What it tells somebody by.
        raw: Its bytes without padding.
        character_set: The bytes of the SpecificCharacterSet that counts for it; b"" where they are ASCII.

    """

    kind: Kind
    raw: bytes
    character_set: bytes = b""


@dataclass(slots=True)
class Identifying:
    """What a source holds.

    Attributes:
        values: Identifying values, each with the tag of the first attribute that has it.
        others: Tags of further attributes that have one of them.
        named: Those that stand where the request keeps them.
        kept: Dates, times, ages and UIDs that the profile leaves in attributes of their own sort.
        retained: Names of places and stations, and numbers of devices, in attributes that an option keeps.
        device: Words for the device.

    """

    values: dict[Value, int] = field(default_factory=dict)
    others: dict[Value, set[int]] = field(default_factory=dict)
    named: set[Value] = field(default_factory=set)
    kept: set[Value] = field(default_factory=set)
    retained: set[Value] = field(default_factory=set)
    device: bytes = b""


class _Kept(NamedTuple):
    """A value that the profile leaves in an attribute of its own sort."""

    kind: Kind


class Treated:
    """Which attributes a profile treats; what a request names beside it makes no difference.

    Attributes:
        private: Which private elements may stay; None where the profile does not ask for their creators.
        retains: Attributes with names of places and with numbers that an option keeps.
        retained_kinds: Kinds of concepts whose values an option keeps.

    """

    def __init__(self, profile: Permitted) -> None:
        """Take what the profile alone permits."""
        self._profile = profile
        self.private = profile.private
        self.retains: Final = frozenset(tag for tag in profile.keeps if kind_of(tag, "") in _RETAINED_KINDS)
        self.retained_kinds: Final = profile.retained_kinds
        self._known: dict[tuple[int, int, bool, bool], Fate] = {}
        self._plans: dict[_Context, dict[tuple[int, bytes], object]] = {}

    def plan(self, context: _Context) -> dict[tuple[int, bytes], object]:
        """Return what elements are to the search, by tag and VR, as far as it was asked before."""
        return self._plans.setdefault(context, {})

    def fate_in(self, tag: int, context: _Context) -> Fate:
        """Return what the profile lets become of an element of the source."""
        return self.fate(tag, context.depth, shielded=context.shielded, cleaned=context.cleaned)

    def fate(self, tag: int, depth: int, *, shielded: bool = False, cleaned: bool = False) -> Fate:
        """Return what the profile lets become of an element."""
        key = (tag, min(depth, 1), shielded, cleaned)
        fate = self._known.get(key)
        if fate is None:
            always = _AT_ANY_DEPTH if depth else _AT_TOP
            fate = always.get(tag) or self._profile.fate(tag, Place(key[1], shielded, cleaned=cleaned))
            self._known[key] = fate
        return fate


def value_of(kind: Kind, raw: bytes, character_set: bytes) -> Value | None:
    """Return a value of a source; None where it is nothing but padding."""
    raw = raw.strip(_PADDING)
    if not raw:
        return None
    return Value(kind, raw, b"" if raw.isascii() and _ESCAPE not in raw else character_set)


class Use(NamedTuple):
    """What an element of a source is to the search.

    Attributes:
        what: The kind of its value where that identifies; anything else otherwise.
        character_set: See ``Value``.
        named: Whether it stands where the request keeps values.

    """

    what: object
    character_set: bytes
    named: bool = False

    @property
    def decides(self) -> bool:
        """Whether it says how other values are to be read, or which are no secret."""
        return self.what is _CHARACTER_SET or self.what is _DEVICE

    @property
    def kept(self) -> Kind | None:
        """The kind of a value that the profile leaves in an attribute of its own sort; None for others."""
        return self.what.kind if isinstance(self.what, _Kept) else None


def identifying_values(
    source: Read, treated: Treated, shields: frozenset[int], kept: KeptPlaces, passed_over: Collection[int] = ()
) -> tuple[Identifying, dict[int, Use]]:
    """Collect what identifies.

    Args:
        source: As far as it was read.
        treated: What the profile does.
        shields: Sequences that the request keeps, inside which the profile does nothing.
        kept: Where the request keeps values.
        passed_over: Where the values of elements begin that do not count.

    Returns:
        What was found, and what each of those that do not count is to the search, by where its value begins.

    """
    found = Identifying()
    stated = treated.private.stated(source) if treated.private is not None else {}
    collector = _Collector(source, treated, shields, kept, found, stated, passed_over)
    collector.collect(source.elements, _Context(), b"")
    return found, collector.noted


class _Context(NamedTuple):
    """Where a dataset stands, as far as it matters for its elements.

    Attributes:
        depth: 0 at top level, 1 in items.
        removed: Whether a sequence around it goes.
        shielded: Whether the request keeps one.
        who: Whether codes in it stand for persons or institutions.
        cleaned: Whether all its texts are cleaned.

    """

    depth: int = 0
    removed: bool = False
    shielded: bool = False
    who: bool = False
    cleaned: bool = False


@dataclass(slots=True)
class _Collector:
    source: Read
    treated: Treated
    shields: frozenset[int]
    kept: KeptPlaces
    found: Identifying
    stated: Mapping[tuple[int, str], Mapping[int, str]]
    passed_over: Collection[int]
    noted: dict[int, Use] = field(default_factory=dict)

    def collect(
        self, elements: Item, context: _Context, character_set: bytes, above: tuple[tuple[int, int], ...] = ()
    ) -> None:
        """Collect from a dataset and what is in it."""
        plan, value = self.treated.plan(context), self.source.value
        private = self.treated.private
        creators = private.creators(self.source, elements) if private is not None else {}
        for element in elements:
            tag, vr, start, end, items = element
            if items is not None:
                own = private.fate(element, creators, self.stated) if private is not None and tag & 0x10000 else None
                self._items(element, own or self.treated.fate_in(tag, context), context, character_set, above)
                continue
            is_noted = start in self.passed_over
            if not is_noted and not 0 < end - start <= MAX_VALUE_BYTES:
                continue
            if private is not None and tag & 0x10000:
                use = _use(tag, vr, private.fate(element, creators, self.stated), context)
            else:
                use = plan.get((tag, vr), _NOT_ASKED)
                if use is _NOT_ASKED:
                    use = _use(tag, vr, self.treated.fate_in(tag, context), context)
                    if use is None and tag in self.treated.retains and not context.removed:
                        use = _RETAINED
                    plan[tag, vr] = use
            if is_noted:
                self.noted[start] = Use(use, character_set, self._is_named(tag, context, above))
                continue
            if use is None:
                continue
            raw = value(start, end)
            if use is _CHARACTER_SET:
                character_set = raw.strip(_PADDING)
            else:
                self._take(use, tag, raw, character_set, named=self._is_named(tag, context, above))

    def _is_named(self, tag: int, context: _Context, above: tuple[tuple[int, int], ...]) -> bool:
        return self.kept.has(above, tag, goes=context.removed and not context.shielded)

    def _take(self, use: object, tag: int, raw: bytes, character_set: bytes, *, named: bool) -> None:
        if use is _DEVICE:
            self.found.device += b" " + raw
        elif isinstance(use, _Kept):
            self.found.kept.add(Value(use.kind, raw.strip(_PADDING)))
        elif use is _RETAINED:
            kind = kind_of(tag, "")
            retained = value_of(kind, raw, character_set) if kind is not None else None
            if retained is not None:
                self.found.retained.add(retained)
        elif isinstance(use, Kind):
            found = value_of(use, raw, character_set)
            if found is not None and self.found.values.setdefault(found, tag) != tag:
                self.found.others.setdefault(found, set()).add(tag)
            if found is not None and named:
                self.found.named.add(found)

    def _items(
        self,
        element: Element,
        fate: Fate,
        context: _Context,
        character_set: bytes,
        above: tuple[tuple[int, int], ...],
    ) -> None:
        tag = element[0]
        below = context.removed or (fate in _TREATED and fate is not Fate.UID)
        inside = _Context(
            1, below, context.shielded or tag in self.shields, context.who or (below and names_somebody(tag))
        )
        cleaned, retained = context.cleaned or fate is Fate.CLEANED_ITEMS, self.treated.retained_kinds
        for number, item in enumerate(element[4] or ()):
            is_cleaned = cleaned and kind_of_concept(self.source, item) not in retained
            self.collect(item, inside._replace(cleaned=is_cleaned), character_set, (*above, (tag, number)))


def _use(tag: int, vr_bytes: bytes, fate: Fate, context: _Context) -> object:
    """Return what an element is to the search: a kind, one that is kept, the character set, the device, None."""
    if tag == SPECIFIC_CHARACTER_SET:
        return _CHARACTER_SET
    vr = vr_bytes.decode("latin-1")
    if fate not in _TREATED and not context.removed:
        if tag in _OF_THE_DEVICE:
            return _DEVICE
        known = vr if vr and vr != "UN" else dictionary_vr(tag)
        # A private date is known to be one in explicit VR only; what it holds would be excused wherever it stands.
        kind = kind_of(tag, vr) if known in STRUCTURED and not tag & 0x10000 else None
        return _Kept(kind) if kind is not None else None
    if context.who and tag in _CODES:
        return _CODES[tag]
    if context.cleaned and fate is Fate.CLEANED_CODE:
        return None  # of a coding scheme
    kind = _kind(tag, vr, is_treated=fate in _TREATED)
    return _IF_CLEANED.get(kind, kind) if kind is not None and fate in _CLEANED else kind


def _kind(tag: int, vr: str, *, is_treated: bool) -> Kind | None:
    """Return the kind of what goes; None where it tells nobody, as most that merely stands in what is removed."""
    kind = kind_of(tag, vr)
    if tag & 0x10000:
        return kind if kind in _IN_PRIVATE else None
    return kind if is_treated or kind in _IN_REMOVED_ITEMS else None


@lru_cache(maxsize=4096)
def text_of(value: Value) -> str:
    """Return a value decoded, see ``decoded``; where its character set does not know it all, by Latin-1 as well."""
    if not value.character_set and value.raw.isascii() and _ESCAPE not in value.raw:
        return value.raw.decode("ascii")
    text = decoded(value.raw, value.character_set, PN_DELIMS if value.kind is Kind.PERSON else TEXT_VR_DELIMS)
    return "\\".join((text, value.raw.decode("latin-1"))) if _NOT_KNOWN in text else text
