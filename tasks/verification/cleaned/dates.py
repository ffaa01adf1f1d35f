"""Days that stand in a text, and whether those of a cleaned one were moved.

Told again here, apart from the editor. What says which is the day may have moved; what does not is to have gone.

Public names: ``has_left_day``.
"""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING, Final

from deidflow.tasks.verification.leaks.letters import canonical, two_letters
from deidflow.tasks.verification.leaks.notations import MONTH_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterator

_SHORTEST: Final = 3
_DUMMY: Final = date(2000, 1, 1).toordinal()
"""What stands for dates that many patients share."""


def _month_names() -> Iterator[tuple[str, int]]:
    """Yield the names of months and what they are cut to where that names one month of their language."""
    for names in MONTH_NAMES:
        for number, name in enumerate(names, 1):
            others = [canonical(other) for other in names if other != name]
            for form in {canonical(name), two_letters(name)}:
                for cut in (form[:end] for end in range(_SHORTEST, len(form) + 1)):
                    if not any(other.startswith(cut) for other in others):
                        yield cut, number
    yield from (("janner", 1), ("mrz", 3), ("mrt", 3), ("setiembre", 9))


_AS_ASCII: Final = str.maketrans(
    dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015", "-") | {"\u2044": "/", "\u060d": "/"}
)
"""Dashes and slashes that people and programs write between the numbers of a date."""
_MONTHS: Final = dict(_month_names())
_NAME: Final = "(?P<n>" + "|".join(sorted(_MONTHS, key=len, reverse=True)) + ")"
_YEAR: Final = r"(?P<y>(?:18|19|20)\d\d)"
_MONTH: Final = r"(?P<m>0?[1-9]|1[0-2])"
_DAY: Final = r"(?P<d>0?[1-9]|[12]\d|3[01])"
_ALONE: Final = r"(?<!\d)(?<!\d[.,])"
_OF: Final = r"(?:\s+(?:of|de|del|von))?"
_ANY_YEAR: Final = re.compile(r"(?:18|19|20)\d\d")
_CLEAR: Final = tuple(
    re.compile(pattern)
    for pattern in (
        rf"{_ALONE}{_YEAR}(?P<s>[-/._]){_MONTH}(?P=s){_DAY}(?!\d)",
        r"(?<!\d)(?P<y>(?:18|19|20)\d\d)(?P<m>0[1-9]|1[0-2])(?P<d>0[1-9]|[12]\d|3[01])(?=(?:\d{4}(?:\d\d)?)?(?!\d))",
        rf"{_ALONE}{_DAY}\.\s?{_MONTH}\.\s?{_YEAR}(?!\d)",
        rf"{_YEAR}\s?[年년]\s?{_MONTH}\s?[月월]\s?{_DAY}\s?[日일]",
        rf"(?<!\d){_DAY}(?:st|nd|rd|th|er|\.)?{_OF}[\s./_-]*{_NAME}\.?{_OF}[\s./,_-]*{_YEAR}(?!\d)",
        rf"(?<![^\W_]){_NAME}\.?[\s/_-]*{_DAY}(?:st|nd|rd|th)?[\s./,_-]+{_YEAR}(?!\d)",
    )
)
_OF_MONTH: Final = r"(?:0?[1-9]|1[0-2])"
_OF_DAY: Final = r"(?:0?[1-9]|[12]\d|3[01])"
_TAKEN: Final = "|"
"""What is one day is no part of another: 2004-12-31 MRT 1936-10-13."""
_VAGUE: Final = re.compile(
    rf"{_ALONE}(?:{_OF_DAY}(?P<s>[-/_]){_OF_MONTH}(?P=s)|{_OF_MONTH}(?P<t>[-/_]){_OF_DAY}(?P=t))"
    r"(?:(?:18|19|20)\d\d|\d\d)(?!\d|[.,]\d)"
    rf"|{_ALONE}{_OF_DAY}\.{_OF_MONTH}\.\d\d(?!\d|[.,]\d)"
    rf"|(?<!\d){_OF_DAY}-{_NAME}-\d\d(?![^\W_])"
)
"""Which is the day, or the century, only the writer knows."""


def has_left_day(before: str, after: str, *, moves: bool) -> bool:
    """Whether a cleaned text has a day that did not move with the others by one number of days.

    Args:
        before: The text of the source.
        after: That of the result.
        moves: Whether days may have moved; otherwise none is to be left.

    """
    before, after = (canonical(text).translate(_AS_ASCII) for text in (before, after))
    days = set(_days(after)) - ({_DUMMY} if moves else set())
    if not days:
        return _VAGUE.search(after) is not None
    old, first = set(_days(before)) if moves else set(), min(days)
    shifts = {first - day for day in old} - {0}
    return not any(days <= {day + shift for day in old} for shift in shifts) or _VAGUE.search(after) is not None


def _days(text: str) -> Iterator[int]:
    for pattern in _CLEAR if _ANY_YEAR.search(text) else ():
        for found in pattern.finditer(text):
            parts = found.groupdict()
            month = int(parts["m"]) if parts.get("m") else _MONTHS[parts["n"]]
            try:
                yield date(int(parts["y"]), month, int(parts["d"])).toordinal()
            except ValueError:
                continue
        text = pattern.sub(_TAKEN, text)
