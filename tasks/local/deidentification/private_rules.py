"""Retain Safe Private: which private elements stay, and how their values are cleaned.

A private element stays where the standard's list, the site's own or the object itself says that it is safe. Its value
is cleaned by its VR all the same (C, Table E.3.10-1): UIDs are mapped, dates and texts treated like public ones. What
is no value of the VR that the list gives goes: of numbers, which a file may send as UN, another length than theirs.

Source: PS3.15 section E.3.10 and PS3.3 section C.12.1.1.7 (edition 2026d).

Public names: ``SafePrivateRules``.
"""

from __future__ import annotations

import re
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.pseudonyms.original_uids import WELL_KNOWN
from deidflow.tasks.core.request.private_attributes import SiteAction
from deidflow.tasks.core.request.profile_choice import PROFILE_NAME, Option
from deidflow.tasks.local.deidentification.standard.cleaning import Cleaning, cleaning_of
from deidflow.tasks.local.deidentification.standard.known_attributes import alike
from deidflow.tasks.local.deidentification.standard.safe_private import standard_attributes
from deidflow.tasks.local.deidentification.text.own_values import OwnValues
from deidflow.tasks.local.deidentification.text.words import words_of
from deidflow.tasks.local.editing.actions import Action, Rule

if TYPE_CHECKING:
    from collections.abc import Iterable

    from deidflow.tasks.core.request.edits import Value
    from deidflow.tasks.core.request.private_attributes import SiteAttribute
    from deidflow.tasks.local.deidentification.cleaning_rules import CleaningRules
    from deidflow.tasks.local.editing.actions import NewValue, Original
    from deidflow.tasks.local.editing.private_elements import PrivateElement
    from deidflow.tasks.local.editing.references import InstanceIdentifiers

_OPTION: Final = Option.RETAIN_SAFE_PRIVATE
_DATES: Final = frozenset({"DA", "DT", "TM"})
_DATE_OPTIONS: Final = frozenset({Option.RETAIN_FULL_DATES, Option.RETAIN_MODIFIED_DATES})
_OCTETS: Final = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
_NUMBER_BYTES: Final = {
    **dict.fromkeys(("US", "SS"), 2),
    **dict.fromkeys(("AT", "FL", "SL", "UL"), 4),
    **dict.fromkeys(("FD", "SV", "UV"), 8),
}
_TERM: Final = re.compile(r"(?!.*\d{5})[A-Z0-9 _]{0,16}")
"""Five digits in a row are a date or somebody's number."""
_STATED: Final = {"D": Action.DUMMY, "Z": Action.EMPTY, "X": Action.REMOVE, "U": Action.REPLACE_UID}
_CREATOR: Final = Rule(Action.KEEP, f"{PROFILE_NAME}: K, {_OPTION}: creator of a safe block")
_STATED_SAFE: Final = "(0008,0300) of the object"


class SafePrivateRules:
    """The rules of one choice of options; see ``PrivateRules``."""

    def __init__(
        self, options: frozenset[Option], cleaning: CleaningRules, dummy: NewValue, site: Iterable[SiteAttribute]
    ) -> None:
        """Prepare the lists.

        Args:
            options: That are applied, Retain Safe Private among them.
            cleaning: Carries out C.
            dummy: Gives a value that tells nothing.
            site: Its own attributes, which go before the standard's.

        """
        self._options: Final = options
        self._cleaning: Final = cleaning
        self._dummy: Final = dummy
        self._site: Final = {(one.group, one.creator, one.element): one for one in site}
        self._creators: Final = {(group, creator) for group, creator, _ in standard_attributes()} | {
            (one.group, one.creator) for one in self._site.values() if one.action is not SiteAction.REMOVE
        }
        self.rule_of = lru_cache(maxsize=4096)(self._rule_of)

    def rule_of_creator(self, group: int, creator: str, *, is_stated: bool) -> Rule | None:
        """Return what happens to the element that reserves a block; see ``PrivateRules``."""
        return _CREATOR if is_stated or (group, creator) in self._creators else None

    def _rule_of(self, element: PrivateElement) -> Rule | None:
        """Return what happens to an element; see ``PrivateRules``."""
        group, creator, number, vr, said = element
        if said in _STATED:
            return self._stated(said)
        of_site = self._site.get((group, creator, number))
        if of_site is not None:
            return self._of_site(of_site, vr)
        listed = standard_attributes().get((group, creator, number))
        if listed is not None:
            return self._cleaned(vr, listed.vr, "Table E.3.10-1", trusts_octets=True, vm=listed.vm)
        if said:
            return self._cleaned(vr, "", _STATED_SAFE, trusts_octets=False)
        return None

    def _stated(self, said: str) -> Rule:
        action = _STATED[said]
        return Rule(action, _origin(said, _STATED_SAFE), self._dummy if action is Action.DUMMY else None)

    def _of_site(self, one: SiteAttribute, vr: str) -> Rule | None:
        if one.action is SiteAction.REMOVE:
            return None
        if one.action is SiteAction.KEEP:
            return Rule(Action.KEEP, _origin("K", "private.keep"))
        return self._cleaned(vr, one.vr, "private.keep", trusts_octets=True)

    def _cleaned(self, found: str, listed: str, source: str, *, trusts_octets: bool, vm: str = "") -> Rule | None:
        """Return how a value is cleaned, None where it goes.

        Args:
            found: Its VR in the file, SQ for whatever has items.
            listed: The VRs that a list gives, joined by ``/``; "" for none.
            source: Who says that it is safe.
            trusts_octets: Whether that is good for octets, too, which nobody can look into.
            vm: How many values a list gives, as in PS3.6; "" for any number.

        """
        expected = listed.split("/") if listed else [found]
        vr = found if found in expected else expected[0]
        goes = vr in _DATES and self._options.isdisjoint(_DATE_OPTIONS)
        if goes or not _fits(found, vr) or (vr in _OCTETS and not trusts_octets):
            return None
        origin = _origin("C", source)
        if vr in _NUMBER_BYTES:
            fits = partial(_numbers_or_nothing, _NUMBER_BYTES[vr], _most_values(vm) if found == "UN" else 0)
            return Rule(Action.CLEAN, origin, new_bytes=fits)
        if vr in _DATES and Option.RETAIN_FULL_DATES in self._options:
            return Rule(Action.KEEP, _origin("K", f"{source}, {Option.RETAIN_FULL_DATES}"))
        if cleaning_of(0, vr, _OPTION) is Cleaning.MAP_UID:
            keeps = Option.RETAIN_UIDS in self._options
            return Rule(Action.KEEP, origin) if keeps else Rule(Action.CLEAN, origin, _mapped_uids)
        return self._term(origin) if vr == "CS" else self._cleaning.rule(0, vr, _OPTION, origin)

    def _term(self, origin: str) -> Rule:
        """A term that a list vouches for stays, known to the vocabulary or not, unless the patient is named by it."""

        def cleaned(original: Original, identifiers: InstanceIdentifiers) -> Value | None:
            own = identifiers.own if isinstance(identifiers.own, OwnValues) else OwnValues()
            words = [word.folded for word in words_of(original.text)]
            is_term = all(_TERM.fullmatch(one) for one in original.text.split("\\"))
            if original.is_given or (is_term and original.is_whole and not own.is_in(words)):
                return None
            return self._cleaning.cleaned_text(original, identifiers) if original.is_whole else ""

        return Rule(Action.CLEAN, origin, cleaned)


def _fits(found: str, vr: str) -> bool:
    """Whether a value with one VR may be one of another; octets are no numbers, and a sequence has items."""
    if found == "UN":
        return vr != "SQ"
    return found == vr or (found in alike(vr) and (found in _OCTETS) is (vr in _OCTETS))


def _most_values(vm: str) -> int:
    """Return how many values there may be by a VM of PS3.6 (``1``, ``0-1``, ``2-n``), 0 for any number."""
    most = vm.rpartition("-")[2]
    return int(most) if most.isdigit() else 0


def _numbers_or_nothing(size: int, most: int, raw: bytes) -> bytes:
    """Return a value if it can be so many numbers of so many bytes; something else may hide in what cannot."""
    return b"" if len(raw) % size or (most and len(raw) > most * size) else raw


def _origin(code: str, source: str) -> str:
    return f"{PROFILE_NAME}: {code}, {_OPTION}: {source}"


def _mapped_uids(original: Original, identifiers: InstanceIdentifiers) -> Value | None:
    """Return UIDs, those of the standard as they are and the others as generated ones."""
    if original.is_given:
        return None
    references = identifiers.references
    uids = [one.strip(" \0") for one in original.text.split("\\")]
    mapped = [
        uid
        if uid.startswith(WELL_KNOWN)
        else references.map_uid_value(uid.encode("latin-1", "replace")).decode("ascii")
        for uid in uids
    ]
    text = "\\".join(uid.rstrip("\0") for uid in mapped)
    return None if mapped == uids else text
