"""Table E.1-1 of PS3.15, edition 2026d, as data: which code governs an attribute under a set of options.

The rows are the standard's (``tables/profile.csv``) and a few more for attributes that the table does not list and that
hold what E.1.1 asks to be protected all the same: references to instances, addresses, names of persons and dates
(``tables/additional.csv``, each with its reason).

Public names: ``Row``, ``Rule``, ``Profile``, ``load_profile``, ``PRIVATE``.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.request.profile_choice import Option
from deidflow.tasks.local.deidentification.standard.codes import Code

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

PRIVATE: Final = "private"
"""The tag of the one row for all private attributes."""

_TABLES: Final = "deidflow.tasks.local.deidentification.tables"
_CURVE: Final = "50xx,xxxx"
_OVERLAY_DATA: Final = "60xx,3000"
_OVERLAY_COMMENTS: Final = "60xx,4000"
_CURVES: Final = 0x5000
_OVERLAYS: Final = 0x6000


@dataclass(frozen=True, slots=True)
class Row:
    """One attribute.

    Attributes:
        tag: ``gggg,eeee`` in lower case, with ``x`` for any digit in repeating groups, or ``private``.
        keyword: As in PS3.6; empty for private attributes.
        vr: As in PS3.6, with alternatives such as ``OB or OW``; empty for curves and private attributes.
        basic: The code of the basic profile.
        options: The codes of the options that have one.
        reason: Why the attribute is treated although the standard's table does not list it, empty for its own rows.

    """

    tag: str
    keyword: str
    vr: str
    basic: Code
    options: Mapping[Option, Code]
    reason: str = ""

    @property
    def number(self) -> int | None:
        """The plain tag, None for repeating groups and private attributes."""
        return None if "x" in self.tag or self.tag == PRIVATE else int(self.tag.replace(",", ""), 16)

    def stays(self, options: Collection[Option]) -> bool:
        """Whether the profile has nothing to do with it under a set of options: free text that none of them cleans."""
        return self.basic is Code.K and self.options.keys().isdisjoint(options)

    def rule(self, options: Collection[Option]) -> Rule:
        """Return what governs under a set of options.

        An option's code goes before the basic profile's. Where one option cleans and another keeps, cleaning governs,
        since what it takes out cannot be put back into a file that was given away: so it is for the eleven
        calibration and installation dates that are C under modified dates and K under device identity.
        """
        chosen = [(option, self.options[option]) for option in Option if option in options and option in self.options]
        if not chosen:
            return Rule(self.basic, None, ())
        option, code = next((pair for pair in chosen if pair[1] is Code.C), chosen[0])
        return Rule(code, option, tuple(other for other, its_code in chosen if its_code is not code))


@dataclass(frozen=True, slots=True)
class Rule:
    """The code that governs an attribute, and where it comes from.

    Attributes:
        code: A code of the table, combined ones as they stand; ``action_for`` decides on them.
        option: The option that gives it, None for the basic profile.
        overruled: Options that were asked for and have another code for this attribute, which is not followed.

    """

    code: Code
    option: Option | None
    overruled: tuple[Option, ...]


class Profile:
    """All rows, found by tag."""

    def __init__(self, rows: tuple[Row, ...]) -> None:
        """Index the rows."""
        self.rows: Final = rows
        self._by_number: Final = {row.number: row for row in rows if row.number is not None}
        self._by_tag: Final = {row.tag: row for row in rows if row.number is None}

    def __iter__(self) -> Iterator[Row]:
        """Go through the rows in the order of the tables."""
        return iter(self.rows)

    def row_of(self, tag: int) -> Row | None:
        """Return the row that covers a plain tag, None for an attribute that is not named.

        Every attribute of an overlay goes with its data: the Overlay Plane Module asks for them together (PS3.3 section
        C.9.2), and labels and descriptions of the overlay are text of the same hand.
        """
        group = tag >> 16
        if group & 1:
            return self._by_tag[PRIVATE]
        if group & 0xFF00 == _CURVES:
            return self._by_tag[_CURVE]
        if group & 0xFF00 == _OVERLAYS:
            return self._by_tag[_OVERLAY_COMMENTS if tag & 0xFFFF == 0x4000 else _OVERLAY_DATA]  # noqa: PLR2004 the tag of a row
        return self._by_number.get(tag)

    @lru_cache(maxsize=64)  # noqa: B019 the one profile lives as long as the process
    def conflicts(self, options: frozenset[Option]) -> Mapping[Option, frozenset[str]]:
        """Return, for each option that is overruled by another somewhere, the tags of these attributes.

        An option with an entry here was not applied in full to an instance that has one of the attributes.
        """
        found: dict[Option, set[str]] = {}
        for row in self.rows:
            for option in row.rule(options).overruled:
                found.setdefault(option, set()).add(row.tag)
        return MappingProxyType({option: frozenset(tags) for option, tags in found.items()})


def _read(name: str) -> Iterator[Row]:
    text = files(_TABLES).joinpath(name).read_text(encoding="utf-8")
    for row in csv.DictReader(text.splitlines(), strict=True):
        yield Row(
            tag=row["tag"],
            keyword=row["keyword"],
            vr=row["vr"],
            basic=Code(row["basic"]),
            options=MappingProxyType({option: Code(row[option]) for option in Option if row.get(option)}),
            reason=row.get("reason", ""),
        )


@lru_cache
def load_profile() -> Profile:
    """Read the tables from the package's data, once a process."""
    return Profile((*_read("profile.csv"), *_read("additional.csv")))
