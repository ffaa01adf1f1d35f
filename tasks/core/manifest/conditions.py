"""Conditions of ``inventory --where``: a keyword, a relation and a value.

The relations are ``=`` and ``!=`` (the same text), ``>=``, ``<=``, ``>`` and ``<`` (dates and times by their moment,
numbers by their value, other texts by their characters), and ``~`` (a pattern in which ``*`` stands for any characters
and ``?`` for one, whatever the case). What is compared is the value without blanks around it; one that is absent is
empty, and fulfils none of the four relations of order.

What an Orthanc can be asked itself is said as ``Find``: never less than what the conditions let pass, so that every
answer is looked at again.

Public names: ``Condition``, ``Find``, ``parse_condition``, ``finds_of``, ``lowest_level``, ``KEYWORDS``.
"""

from __future__ import annotations

import fnmatch
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from pydicom.datadict import dictionary_VR, tag_for_keyword

from deidflow.tasks.core.dicom.identifiers import Level
from deidflow.tasks.core.errors import BadText
from deidflow.tasks.core.manifest.inventory import ATTRIBUTES, value_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from deidflow.tasks.core.engine.sources import SourceInstance
    from deidflow.tasks.core.manifest.inventory import InventoryRecord

_IDENTIFIERS: Final = {
    Level.PATIENT: "PatientID",
    Level.STUDY: "StudyInstanceUID",
    Level.SERIES: "SeriesInstanceUID",
    Level.INSTANCE: "SOPInstanceUID",
}

KEYWORDS: Final = {keyword: level for level in Level for keyword in (_IDENTIFIERS[level], *ATTRIBUTES[level])}
"""What a condition may name, each with the level that it describes."""

_CONDITION: Final = re.compile(r"\s*([A-Za-z]+)\s*(!=|>=|<=|=|>|<|~)(.*)", re.DOTALL)
_DATE: Final = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})")
_ASKED: Final = re.compile(r"[ -\[\]-~]+")
"""Printable ASCII but the backslash, which parts values: servers fold the case of other letters in their own ways."""
_PATTERN_SIGNS: Final = frozenset("*?")
_FROM: Final = frozenset({">=", ">"})
_TO: Final = frozenset({"<=", "<"})


class Condition(NamedTuple):
    """One condition.

    Attributes:
        keyword: One of ``KEYWORDS``.
        relation: ``=``, ``!=``, ``>=``, ``<=``, ``>``, ``<`` or ``~``.
        value: Without blanks around it; a date as eight digits.

    """

    keyword: str
    relation: str
    value: str

    def is_met_by(self, record: InventoryRecord | SourceInstance) -> bool:
        """Whether an instance fulfils it."""
        found = value_of(record, self.keyword).strip()
        if self.relation == "=":
            return found == self.value
        if self.relation == "!=":
            return found != self.value
        if self.relation == "~":
            return _pattern(self.value).fullmatch(found) is not None
        if not found:
            return False
        key, other = _comparable(self.keyword, found), _comparable(self.keyword, self.value)
        if self.relation in _FROM:
            return key > other or (self.relation == ">=" and key == other)
        return key < other or (self.relation == "<=" and key == other)


class Find(NamedTuple):
    """What ``/tools/find`` of an Orthanc is asked.

    Attributes:
        level: Of what is to be found.
        query: Its constraints by keyword, all of which hold; dates as ranges, several values parted by backslashes.

    """

    level: Level
    query: Mapping[str, str]


def parse_condition(text: str) -> Condition:
    """Read a condition.

    Args:
        text: As in ``StudyDate>=20240101``.

    Raises:
        BadText: It is none; its value is not repeated.

    """
    found = _CONDITION.fullmatch(text)
    if found is None:
        raise BadText("must be a keyword, one of = != >= <= > < ~, and a value: 'StudyDate>=20240101'")
    keyword, relation, value = found[1], found[2], found[3].strip()
    if found[3][:1] in "=<>" and found[3]:
        raise BadText(
            "must have one of = != >= <= > < ~ before its value, and not a second one; a value may follow a blank"
        )
    if keyword not in KEYWORDS:
        raise BadText(f"must name one of {', '.join(KEYWORDS)}")
    if relation in _FROM | _TO and not value:
        raise BadText(f"{keyword}: {relation} must be followed by a value")
    if _vr(keyword) == "DA" and value and relation != "~":
        date = _DATE.fullmatch(value)
        if date is None:
            raise BadText(f"{keyword}: must be a date of eight digits, as in 20240131")
        value = "".join(date.groups())
    if _vr(keyword) == "IS" and relation in _FROM | _TO and not _is_whole(value):
        raise BadText(f"{keyword}: must be compared with a whole number")
    return Condition(keyword, relation, value)


def lowest_level(conditions: Iterable[Condition], level: Level) -> Level:
    """Return the lowest of a level and those that conditions ask about: whose attributes must be read."""
    return max((level, *(KEYWORDS[one.keyword] for one in conditions)), key=lambda one: one.depth)


def finds_of(conditions: Iterable[Condition]) -> list[Find]:
    """Return what an Orthanc can be asked for, so that it finds at least what fulfils all conditions; [] if nothing."""
    query: dict[str, str] = {}
    ranges: dict[str, list[str]] = {}
    for keyword, relation, value in conditions:
        if KEYWORDS[keyword] is Level.INSTANCE:
            continue
        if _vr(keyword) == "DA" and relation in _FROM | _TO:
            ends = ranges.setdefault(keyword, ["", ""])
            if relation in _FROM:
                ends[0] = max(ends[0], value)
            else:
                ends[1] = min(ends[1] or value, value)
        elif (asked := _asked(keyword, relation, value)) is not None:
            query.setdefault(keyword, asked)
    # A date that must be equal is one end of no range. Orthanc compares texts, and 2024.01.20 of ACR-NEMA comes before
    # all eight digits of its year.
    for keyword, (first, last) in ranges.items():
        query.setdefault(keyword, f"{first and first[:4] + '.'}-{last}")
    if not query:
        return []
    return [Find(max((KEYWORDS[keyword] for keyword in query), key=lambda one: one.depth), query)]


def _asked(keyword: str, relation: str, value: str) -> str | None:
    """Return what a server is asked for one condition, None if nothing."""
    if relation not in ("=", "~") or not _ASKED.fullmatch(value):
        return None
    is_pattern, vr = relation == "~", _vr(keyword)
    if vr == "DA":
        return value if value.isdigit() and not is_pattern else None
    if vr == "UI":  # Orthanc refuses patterns of UIDs
        return value if not is_pattern and _PATTERN_SIGNS.isdisjoint(value) else None
    if vr in ("TM", "IS"):  # "007" is 7 for some
        return None
    if not (_pattern(value).fullmatch("") is None if is_pattern else _PATTERN_SIGNS.isdisjoint(value)):
        return None  # no pattern finds an attribute that is absent
    # Orthanc counts blanks before a value (1.10.1), and takes ? for one byte.
    return "*" + value.replace("?", "*")


def _vr(keyword: str) -> str:
    tag = tag_for_keyword(keyword)
    assert tag is not None  # noqa: S101 (KEYWORDS are of the dictionary)
    return dictionary_VR(tag)


def _pattern(text: str) -> re.Pattern[str]:
    # fnmatch looks for what stands between two stars only where it comes first; ``.*`` for each star would take years.
    return re.compile(fnmatch.translate(text.replace("[", "[[]")), re.IGNORECASE)


def _is_whole(text: str) -> bool:
    return re.fullmatch(r"[+-]?\d{1,12}", text.strip()) is not None


def _comparable(keyword: str, text: str) -> tuple[int, int, str]:
    """Return what orders values of an attribute: numbers first, by their value."""
    if _vr(keyword) == "IS" and _is_whole(text):
        return 0, int(text), ""
    if _vr(keyword) in ("DA", "TM"):  # as the ACR-NEMA standard wrote them, with points and colons
        text = text.replace(".", "", 2).replace(":", "") if _vr(keyword) == "DA" else text.replace(":", "")
    return 1, 0, text
