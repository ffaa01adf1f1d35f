"""The identifying values of a source: of every attribute that the profile treats, at every depth.

Public names: ``Identifying``, ``Value``, ``identifying_values``, ``text_of``, ``codecs_of``, ``Treated``.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from pydicom.charset import convert_encodings, decode_bytes
from pydicom.valuerep import PN_DELIMS, TEXT_VR_DELIMS

from deidflow.tasks.core.dicom.tags import (
    IDENTIFIERS,
    PATIENT_ID,
    PATIENT_NAME,
    SPECIFIC_CHARACTER_SET,
    dictionary_vr,
)
from deidflow.tasks.verification.fates import Fate
from deidflow.tasks.verification.leaks.kinds import STRUCTURED, Kind, kind_of, names_somebody
from deidflow.tasks.verification.permitted import Place

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deidflow.tasks.verification.permitted import Permitted
    from deidflow.tasks.verification.reader import Item, Read

_CLEANED: Final = frozenset({Fate.CLEANED, Fate.CLEANED_CODE})
_TREATED: Final = frozenset({Fate.REMOVED, Fate.EMPTIED, Fate.UID, Fate.DUMMY, Fate.CHANGED, *_CLEANED})
_AT_ANY_DEPTH: Final = {PATIENT_ID: Fate.DUMMY, PATIENT_NAME: Fate.DUMMY}
_AT_TOP: Final = dict.fromkeys(IDENTIFIERS, Fate.UID) | _AT_ANY_DEPTH
"""What identifies whatever becomes of it by the profile."""
_MAX_VALUE_BYTES: Final = 1 << 12
"""Longer texts are documents, which are not looked for as a whole."""
_PADDING: Final = b" \0"
_ESCAPE: Final = b"\x1b"
_OF_THE_DEVICE: Final = frozenset({0x00080070, 0x00081090})
"""Manufacturer, ManufacturerModelName."""
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
        kept: Dates, times, ages and UIDs that the profile leaves in attributes of their own sort.
        device: Words for the device, in lower case.

    """

    values: dict[Value, int] = field(default_factory=dict)
    kept: set[Value] = field(default_factory=set)
    device: bytes = b""


class Treated:
    """Which attributes a profile treats; what a request names beside it makes no difference.

    Attributes:
        private: Which private elements may stay; None where the profile does not ask for their creators.

    """

    def __init__(self, profile: Permitted) -> None:
        """Take what the profile alone permits."""
        self._profile = profile
        self.private = profile.private
        self._known: dict[tuple[int, int, bool], Fate] = {}

    def fate(self, tag: int, depth: int, *, shielded: bool = False) -> Fate:
        """Return what the profile lets become of an element."""
        key = (tag, min(depth, 1), shielded)
        fate = self._known.get(key)
        if fate is None:
            always = _AT_ANY_DEPTH if depth else _AT_TOP
            fate = always.get(tag) or self._profile.fate(tag, Place(key[1], shielded))
            self._known[key] = fate
        return fate


def identifying_values(source: Read, treated: Treated, shields: frozenset[int]) -> Identifying:
    """Collect what identifies.

    Args:
        source: As far as it was read.
        treated: What the profile does.
        shields: Sequences that the request keeps, inside which the profile does nothing.

    """
    found = Identifying()
    stated = treated.private.stated(source) if treated.private is not None else {}
    _Collector(source, treated, shields, found, stated).collect(source.elements, 0, b"")
    return found


@dataclass(slots=True)
class _Collector:
    source: Read
    treated: Treated
    shields: frozenset[int]
    found: Identifying
    stated: Mapping[tuple[int, str], Mapping[int, str]]

    def collect(
        self,
        elements: Item,
        depth: int,
        character_set: bytes,
        *,
        removed: bool = False,
        shielded: bool = False,
        who: bool = False,
    ) -> None:
        """Collect from a dataset and what is in it."""
        fate_of, found, value = self.treated.fate, self.found, self.source.value
        private = self.treated.private
        creators = private.creators(self.source, elements) if private is not None else {}
        for element in elements:
            tag, vr_bytes, start, end, items = element
            if private is not None and tag & 0x10000:
                fate = private.fate(element, creators, self.stated)
            else:
                fate = fate_of(tag, depth, shielded=shielded)
            is_treated = fate in _TREATED
            if items is not None:
                below = removed or (is_treated and fate is not Fate.UID)
                for item in items:
                    self.collect(
                        item,
                        depth + 1,
                        character_set,
                        removed=below,
                        shielded=shielded or tag in self.shields,
                        who=who or (below and names_somebody(tag)),
                    )
                continue
            length = end - start
            if not length or length > _MAX_VALUE_BYTES:
                continue
            if tag == SPECIFIC_CHARACTER_SET:
                character_set = value(start, end).strip(_PADDING)
            vr = vr_bytes.decode("latin-1")
            if not is_treated and not removed:
                self._note_kept(tag, vr, start, end)
                continue
            kind = _CODES[tag] if who and tag in _CODES else _kind(tag, vr, is_treated=is_treated)
            if kind is None:
                continue
            if kind is Kind.TEXT and fate in _CLEANED:
                kind = Kind.DESCRIPTOR  # words that tell nobody may stay in it
            raw = value(start, end).strip(_PADDING)
            if raw:
                in_ascii = raw.isascii() and _ESCAPE not in raw
                found.values.setdefault(Value(kind, raw, b"" if in_ascii else character_set), tag)

    def _note_kept(self, tag: int, vr: str, start: int, end: int) -> None:
        known = vr if vr and vr != "UN" else dictionary_vr(tag)
        if known in STRUCTURED:
            kind = kind_of(tag, vr)
            if kind is not None:
                self.found.kept.add(Value(kind, self.source.value(start, end).strip(_PADDING)))
        elif tag in _OF_THE_DEVICE:
            self.found.device += b" " + self.source.value(start, end).lower()


def _kind(tag: int, vr: str, *, is_treated: bool) -> Kind | None:
    """Return the kind of what goes; None where it tells nobody, as most that merely stands in what is removed."""
    kind = kind_of(tag, vr)
    if tag & 0x10000:
        return kind if kind in _IN_PRIVATE else None
    return kind if is_treated or kind in _IN_REMOVED_ITEMS else None


@lru_cache(maxsize=4096)
def text_of(value: Value) -> str:
    """Return a value decoded; where its character set does not fit, as Latin-1."""
    if not value.character_set and value.raw.isascii():
        return value.raw.decode("ascii")
    delimiters = PN_DELIMS if value.kind is Kind.PERSON else TEXT_VR_DELIMS
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return decode_bytes(value.raw, codecs_of(value.character_set), delimiters)
    except (LookupError, ValueError):
        return value.raw.decode("latin-1")


@lru_cache(maxsize=64)
def codecs_of(character_set: bytes) -> tuple[str, ...]:
    """Return Python's codecs for the values of SpecificCharacterSet."""
    names = [name.strip() for name in character_set.decode("latin-1").split("\\")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return tuple(convert_encodings(names))
        except (LookupError, ValueError):
            return ("latin-1",)
