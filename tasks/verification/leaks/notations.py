"""The ways in which a part of an identifying value is written.

Public names: ``notations``.
"""

from __future__ import annotations

import re
from itertools import product
from typing import TYPE_CHECKING, Final

from deidflow.tasks.verification.leaks.atoms import Atom, Sort
from deidflow.tasks.verification.leaks.common_words import fold

if TYPE_CHECKING:
    from collections.abc import Iterator

_UMLAUTS: Final = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "å": "aa", "ø": "oe", "æ": "ae"})
_SEPARATORS: Final = ("-", "/", ".", " ", "_", ":")
_IN_NUMBERS: Final = ("-", " ", ".", "/", "_")
_ENGLISH: Final = "january february march april may june july august september october november december".split()  # noqa: SIM905 (names of months)
_OTHERS: Final = (
    "januar februar märz april mai juni juli august september oktober november dezember".split(),  # noqa: SIM905
    "janvier février mars avril mai juin juillet août septembre octobre novembre décembre".split(),  # noqa: SIM905
    "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre".split(),  # noqa: SIM905
    "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre".split(),  # noqa: SIM905
    "januari februari maart april mei juni juli augustus september oktober november december".split(),  # noqa: SIM905
    "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro".split(),  # noqa: SIM905
)
"""German, French, Spanish, Italian, Dutch, Portuguese."""


def notations(atom: Atom) -> frozenset[str]:
    """Return the texts, in lower case, in which a part may stand."""
    return frozenset(_NOTATIONS[atom.sort](atom.text))


def _word(text: str) -> Iterator[str]:
    yield text
    if not text.isascii():
        yield fold(text)
        yield text.translate(_UMLAUTS)


def _number(text: str) -> Iterator[str]:
    yield text
    groups = [group for group in re.split(r"[\W_]+", text) if group]
    for between in ("", *(_IN_NUMBERS if len(groups) > 1 else ())):
        yield between.join(groups)


def _date(text: str) -> Iterator[str]:
    year, month, day = text[:4], text[4:6], text[6:]
    yield text
    yield f"{day}{month}{year}"
    yield f"{month}{day}{year}"
    for between in _SEPARATORS:
        yield between.join((year, month, day))
    short_day, short_month = day.lstrip("0"), month.lstrip("0")
    for between in ("-", "/", ".", " "):
        for one, other in ((day, month), (short_day, short_month), (short_day, month)):
            yield f"{one}{between}{other}{between}{year}"
            yield f"{other}{between}{one}{between}{year}"
        if between != " ":
            yield f"{day}{between}{month}{between}{year[2:]}"
            yield f"{month}{between}{day}{between}{year[2:]}"
    yield from _with_month_names(year, int(month), day, short_day)


def _with_month_names(year: str, month: int, day: str, short_day: str) -> Iterator[str]:
    full = _ENGLISH[month - 1]
    for name, number in product({full, full[:3], *(("sept",) if month == 9 else ())}, {day, short_day}):  # noqa: PLR2004 (September)
        for between in (" ", "-", "", ".", "/"):
            yield f"{number}{between}{name}{between}{year}"
            yield f"{year}{between}{name}{between}{number}"
        yield f"{number} {name}, {year}"
        yield f"{name} {number}, {year}"
        yield f"{name} {number} {year}"
        yield f"{name}. {number}, {year}"
        yield f"{number}-{name}-{year[2:]}"
    for names in _OTHERS:
        name = names[month - 1]
        for written in {name, fold(name)}:
            yield f"{short_day}. {written} {year}"
            yield f"{short_day} {written} {year}"
            yield f"{short_day} de {written} de {year}"


def _time(text: str) -> Iterator[str]:
    yield text
    yield f"{text[:2]}:{text[2:4]}:{text[4:]}"
    yield f"{text[:2]}.{text[2:4]}.{text[4:]}"


def _as_it_is(text: str) -> Iterator[str]:
    yield text


_NOTATIONS: Final = {
    Sort.WORD: _word,
    Sort.PHRASE: _word,
    Sort.NUMBER: _number,
    Sort.DATE: _date,
    Sort.TIME: _time,
    Sort.AGE: _as_it_is,
    Sort.UID: _as_it_is,
}
