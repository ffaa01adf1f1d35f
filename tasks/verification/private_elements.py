"""What Retain Safe Private lets become of a private element, told again apart from the editor.

The standard's list is read from its data; whose block an element is in, and what the object says of it, is read here.

Source: PS3.15 section E.3.10, PS3.3 section C.12.1.1.7, PS3.5 section 7.8.1 (edition 2026d).

Public names: ``SafePrivate``, ``safe_private``.
"""

from __future__ import annotations

import csv
import struct
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final, NamedTuple

from deidflow.tasks.core.dicom.private_tags import creator_element, is_creator
from deidflow.tasks.core.request.private_attributes import SiteAction
from deidflow.tasks.core.request.profile_choice import Option
from deidflow.tasks.verification.fates import Fate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deidflow.tasks.core.request.profile_choice import ProfileChoice
    from deidflow.tasks.verification.reader import Element, Item, Read

_CHARACTERISTICS: Final = 0x00080300
_GROUP, _CREATOR, _STATUS, _SAFE_ONES, _ACTIONS, _UNSAFE_ONES, _ACTION = range(0x00080301, 0x00080308)
_ELEMENTS: Final = range(0x100)
_MAX_CREATOR_BYTES: Final = 1 << 10
_TEXTS: Final = frozenset({"AE", "CS", "LO", "LT", "SH", "ST", "UC", "UT"})
_DECIMALS: Final = frozenset({"DS", "IS"})
_OCTETS: Final = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
_NUMBERS: Final = frozenset({"FD", "FL", "SL", "SS", "SV", "UL", "US", "UV"})
_KINDS: Final = (_TEXTS, _DECIMALS, _NUMBERS, _OCTETS)
_NUMBER_BYTES: Final = {**dict.fromkeys(("US", "SS"), 2), **dict.fromkeys(("FD", "SV", "UV"), 8)}
_OTHER_NUMBER_BYTES: Final = 4
_DATES: Final = frozenset({"DA", "DT", "TM"})
_BY_VR: Final = {
    **dict.fromkeys(_TEXTS, Fate.CLEANED),
    **dict.fromkeys(_DECIMALS, Fate.REFERENCE),
    "CS": Fate.CLEANED_CODE,
    "AS": Fate.FREE,
    "PN": Fate.CHANGED,
    "UR": Fate.REMOVED,
}
"""Of decimals what is no number is emptied, and of ages what is none; other kinds stay as they are."""


class SafePrivate(NamedTuple):
    """What may stay under one choice.

    Attributes:
        choice: Options and the site's list.
        listed: VRs by group, creator and element; "" where the list has none.
        most: How many values they have at most, by the same; those without an end are not in it.
        site: The site's own attributes by the same.

    """

    choice: ProfileChoice
    listed: Mapping[tuple[int, str, int], str]
    most: Mapping[tuple[int, str, int], int]
    site: Mapping[tuple[int, str, int], tuple[str, SiteAction]]

    def stated(self, source: Read) -> dict[tuple[int, str], dict[int, str]]:
        """Return what an object says of its private elements: K, or what is to be done, by block and element."""
        found: dict[tuple[int, str], dict[int, str]] = {}
        for tag, *_, items in source.elements:
            for item in (items or ()) if tag == _CHARACTERISTICS else ():
                values = {one[0]: one for one in item}
                groups, creator = _numbers(source, values.get(_GROUP)), _text(source, values.get(_CREATOR))
                if len(groups) != 1 or not creator:
                    continue
                safe = _ELEMENTS if _text(source, values.get(_STATUS)) == "SAFE" else ()
                said = dict.fromkeys((*safe, *_numbers(source, values.get(_SAFE_ONES))), "K")
                for action in (values[_ACTIONS][4] or ()) if _ACTIONS in values else ():
                    inner = {one[0]: one for one in action}
                    said |= dict.fromkeys(_numbers(source, inner.get(_UNSAFE_ONES)), _text(source, inner.get(_ACTION)))
                before = found.get((groups[0], creator))
                if before is not None:
                    said = {
                        element: one if other == "K" else other
                        for element in {*said, *before}
                        for one, other in [(said.get(element, ""), before.get(element, ""))]
                        if "K" not in {one, other} or one == other or "" not in {one, other}
                    }
                found[groups[0], creator] = said
        return found

    def creators(self, source: Read, elements: Item) -> dict[int, str]:
        """Return who has which private block of a dataset, by the tag that reserves it; nobody has one of two."""
        found: dict[int, str] = {}
        twice: set[int] = set()
        for tag, _, start, end, items in elements:
            if not is_creator(tag):
                continue
            if tag in found:
                twice.add(tag)
            is_name = items is None and end - start <= _MAX_CREATOR_BYTES
            found[tag] = source.value(start, end).decode("utf-8", "replace").strip(" \0") if is_name else ""
        return {tag: creator for tag, creator in found.items() if creator and tag not in twice}

    def fate(
        self, element: Element, creators: Mapping[int, str], stated: Mapping[tuple[int, str], Mapping[int, str]]
    ) -> Fate:
        """Return what may become of a private element of a dataset.

        Args:
            element: As it stands in the source.
            creators: Of its dataset.
            stated: By the object.

        """
        tag, group = element[0], element[0] >> 16
        if tag in creators:
            safe = {(group, creator) for group, creator, _ in (*self.listed, *self.site)}
            return (
                Fate.MAY_GO if safe & {(group, creators[tag])} or stated.get((group, creators[tag])) else Fate.REMOVED
            )
        creator = creators.get(creator_element(tag), "")
        name = (group, creator, tag & 0xFF)
        said = stated.get((group, creator), {}).get(tag & 0xFF, "")
        if said and said != "K":
            return Fate.CHANGED
        if name in self.site:
            vr, action = self.site[name]
            if action is not SiteAction.CLEAN:
                return Fate.SAME if action is SiteAction.KEEP else Fate.REMOVED
            return self._of_value(element, vr, trusts_octets=True)
        if name in self.listed:
            return self._of_value(element, self.listed[name], trusts_octets=True, most=self.most.get(name, 0))
        return self._of_value(element, "", trusts_octets=False) if said else Fate.REMOVED

    def _of_value(self, element: Element, listed: str, *, trusts_octets: bool, most: int = 0) -> Fate:
        _, said, start, end, items = element
        found = "SQ" if items is not None else said.decode("latin-1") or "UN"
        expected = listed.split("/") if listed else [found]
        vr = found if found in expected else expected[0]
        fits = found == vr or (found == "UN" and vr != "SQ") or any(found in kind and vr in kind for kind in _KINDS)
        if not fits or (vr in _OCTETS and not trusts_octets):
            return Fate.REMOVED
        if vr in _NUMBERS or vr == "AT":
            size = _NUMBER_BYTES.get(vr, _OTHER_NUMBER_BYTES)
            is_too_long = found == "UN" and most and end - start > most * size
            return Fate.EMPTIED if is_too_long or (end - start) % size else Fate.SAME
        options = self.choice.options
        if vr in _DATES:
            if Option.RETAIN_FULL_DATES in options:
                return Fate.SAME
            moved = Fate.FREE if vr == "TM" else Fate.CHANGED
            return moved if Option.RETAIN_MODIFIED_DATES in options else Fate.REMOVED
        if vr == "UI":
            return Fate.SAME if Option.RETAIN_UIDS in options else Fate.UID
        return _BY_VR.get(vr, Fate.SAME)


def _text(source: Read, element: Element | None) -> str:
    return source.value(element[2], element[3]).decode("utf-8", "replace").strip(" \0") if element is not None else ""


def _numbers(source: Read, element: Element | None) -> tuple[int, ...]:
    data = source.value(element[2], element[3]) if element is not None else b""
    return struct.unpack(f"{'<' if source.little else '>'}{len(data) // 2}H", data[: len(data) // 2 * 2])


@lru_cache(maxsize=64)
def safe_private(choice: ProfileChoice) -> SafePrivate:
    """Return what may stay under a choice with Retain Safe Private."""
    folder = files("deidflow.tasks").joinpath("local", "deidentification", "tables")
    lines = folder.joinpath("safe_private.csv").read_text("utf-8").splitlines()
    rows = {
        (int(row["group"], 16), row["private_creator"], int(row["element"][-2:], 16)): row
        for row in csv.DictReader(lines)
    }
    listed = {name: row["vr"] for name, row in rows.items()}
    most = {name: int(last) for name, row in rows.items() if (last := row["vm"].rpartition("-")[2]).isdigit()}
    site = {(one.group, one.creator, one.element): (one.vr, one.action) for one in choice.private}
    return SafePrivate(choice, listed, most, site)
