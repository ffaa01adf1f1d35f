"""The ways in which a part of an identifying value is written.

Public names: ``Notation``, ``Gap``, ``notations``, ``cores_of``, ``cores_in``,
``MONTH_NAMES``.
"""

from __future__ import annotations

import re
from enum import IntEnum, auto
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from deidflow.tasks.verification.leaks.atoms import Atom, Sort
from deidflow.tasks.verification.leaks.kinds import Kind
from deidflow.tasks.verification.leaks.letters import WORD_OR_NUMBER, canonical, kana_forms, two_letters, unaccented

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Gap(IntEnum):
    """What may stand between the groups of a notation."""

    NONE = auto()
    TEXT = auto()
    """Between words: whatever is neither letter nor digit, and does not part two values."""
    NUMBER = auto()
    CLOCK = auto()
    DAY = auto()
    """Of dates: the same twice, or nothing."""
    APART = auto()
    """Of days and months without zeros, whose digits alone would be any number: the same twice."""


class Notation(NamedTuple):
    """A text to look for.

    Attributes:
        groups: In lower case; several where something may stand between them.
        gap: What.

    """

    groups: tuple[str, ...]
    gap: Gap = Gap.NONE


_MIN_LOOSE: Final = 6
"""Letters and digits of what is looked for with any punctuation."""
_MIN_SPACED_NUMBER: Final = 7
_NO_SIGNS: Final = re.compile(r"[\W_]+")
_ONE_UID: Final = re.compile(rb"[0-9.]+[ \0]*")
_ONE_TIME: Final = re.compile(rb"[0-9]{6}(?:\.[0-9]{1,6})?[ \0]*")
_IN_NUMBERS: Final = ("-", " ", ".", "/", "_")
_LAST_TENS: Final = 13
_MIN_NATIONAL: Final = 7
_COUNTRY_DIGITS: Final = 3
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
MONTH_NAMES: Final = (_ENGLISH, *_OTHERS)
_FRENCH: Final = _OTHERS[1]
_WITH_DE: Final = (_OTHERS[2], _OTHERS[5])


def notations(atom: Atom) -> frozenset[Notation]:
    """Return the texts in which a part may stand."""
    return frozenset(_NOTATIONS[atom.sort](atom.text))


def cores_of(atom: Atom) -> tuple[bytes, ...]:
    """Return letters and digits of which some stand side by side, punctuation apart, in each notation of a part.

    Where none of them stands, the notations need not be made, which takes longer than to look.

    Args:
        atom: In ASCII.

    Returns:
        Empty where that is not told of parts of its sort.

    """
    if atom.sort is Sort.UID:
        return (_NO_SIGNS.sub("", atom.text).encode("ascii"),)
    if atom.sort is Sort.TIME:
        minute, second = atom.text[2:4].encode("ascii"), atom.text[4:].encode("ascii")
        return minute + second, b"m" + second
    return _cores_of_date(atom.text) if atom.sort is Sort.DATE else ()


@lru_cache(maxsize=1024)
def _cores_of_date(text: str) -> tuple[bytes, ...]:
    """Return the year, and what dates with two digits of it are written with."""
    year, month, day = text[:4], text[4:6], text[6:]
    name = _ENGLISH[int(month) - 1][:3]
    days, months = (day, day.lstrip("0")), (month, month.lstrip("0"))
    before = {one + other for one in days for other in months} | {other + one for one in days for other in months}
    return tuple(one.encode("ascii") for one in (year, *(f"{one}{year[2:]}" for one in (*sorted(before), name))))


def cores_in(kind: Kind, raw: bytes) -> tuple[bytes, ...]:
    """Return the same of the parts of a value that is one UID or one time, before these are made.

    Args:
        kind: Of its attribute.
        raw: As it stands in the file, with its padding.

    Returns:
        Empty of any other value.

    """
    if kind is Kind.UID and _ONE_UID.fullmatch(raw):
        return (raw.translate(None, b". \0"),)
    if kind is Kind.TIME and _ONE_TIME.fullmatch(raw):
        return raw[2:6], b"m" + raw[4:6]
    return ()


def _word(text: str) -> Iterator[Notation]:
    yield Notation((text,))
    if not text.isascii():
        for form in _unlike(text):
            yield Notation((form,))


def _unlike(text: str) -> Iterator[str]:
    yield from (canonical(text), unaccented(text), two_letters(text), *kana_forms(text))


def _phrase(text: str) -> Iterator[Notation]:
    for form in {text} if text.isascii() else {text, *_unlike(text)}:
        groups = tuple(WORD_OR_NUMBER.findall(form))
        if sum(map(len, groups)) >= _MIN_LOOSE:
            yield Notation(groups, Gap.TEXT)
        else:
            yield Notation((form,))


def _number(text: str) -> Iterator[Notation]:
    groups = [group for group in re.split(r"[\W_]+", text) if group]
    plain = "".join(groups)
    if len(plain) >= _MIN_SPACED_NUMBER and plain.isascii():
        yield Notation(tuple(plain), Gap.NUMBER)
        return
    yield Notation((text,))
    for between in ("", *(_IN_NUMBERS if len(groups) > 1 else ())):
        yield Notation((between.join(groups),))


def _phone(text: str) -> Iterator[Notation]:
    """Yield what of a telephone number stays when country code and trunk prefix change."""
    digits = re.sub(r"\D", "", text)
    core = digits.lstrip("0")
    is_international = text.lstrip("( ").startswith("+") or digits.startswith("00")
    if is_international:
        core = core[min(_COUNTRY_DIGITS, max(1, len(core) - _MIN_NATIONAL)) :]
    yield Notation(tuple(core), Gap.NUMBER)


def _date(text: str) -> Iterator[Notation]:
    year, month, day = text[:4], text[4:6], text[6:]
    short_day, short_month = day.lstrip("0"), month.lstrip("0")
    for groups in ((year, month, day), (day, month, year), (month, day, year)):
        yield Notation(groups, Gap.DAY)
    for one, other in ((short_day, short_month), (short_day, month), (short_month, short_day), (month, short_day)):
        yield Notation((one, other, year), Gap.APART)
    yield Notation((year, short_month, short_day), Gap.APART)
    for between in "-/.":
        yield Notation((f"{day}{between}{month}{between}{year[2:]}",))
        yield Notation((f"{month}{between}{day}{between}{year[2:]}",))
    yield Notation((f"{short_day}/{short_month}/{year[2:]}",))
    yield Notation((f"{short_month}/{short_day}/{year[2:]}",))
    for one, other in ((short_day, short_month), (day, month)):
        yield Notation((f"{year}年{other}月{one}日",))
        yield Notation((year, "년", other, "월", one, "일"), Gap.TEXT)
    yield from _with_month_names(year, int(month), day, short_day)


def _with_month_names(year: str, month: int, day: str, short_day: str) -> Iterator[Notation]:
    full = _ENGLISH[month - 1]
    days, ordinal = {day, short_day}, short_day + _ordinal(int(day))
    for name in {full, full[:3], *(("sept",) if month == 9 else ())}:  # noqa: PLR2004 (September)
        for number in {*days, ordinal}:
            yield Notation((number, name, year), Gap.TEXT)
            yield Notation((name, number, year), Gap.TEXT)
        for number in days:
            yield Notation((year, name, number), Gap.TEXT)
            yield Notation((number, name[:3], year[2:]), Gap.APART)
        for number in (short_day, ordinal):
            yield Notation((number, "of", name, year), Gap.TEXT)
    names = {other[month - 1] for other in _OTHERS}
    plain = {form for one in names for form in (canonical(one), two_letters(one), canonical(one)[:3])}
    for name in names | plain:
        for number in days:
            yield Notation((number, name, year), Gap.TEXT)
    for name in {other[month - 1] for other in _WITH_DE}:
        for number in days:
            yield Notation((number, "de", name, "de", year), Gap.TEXT)
            yield Notation((number, "de", name, year), Gap.TEXT)
    if short_day == "1":
        french = _FRENCH[month - 1]
        for name in {french, canonical(french)}:
            yield Notation(("1er", name, year), Gap.TEXT)


def _ordinal(day: int) -> str:
    if 10 < day <= _LAST_TENS:  # noqa: PLR2004 (eleventh to thirteenth)
        return "th"
    return {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")


def _time(text: str) -> Iterator[Notation]:
    hour, minute, second = text[:2], text[2:4], text[4:]
    yield Notation((hour, minute, second), Gap.CLOCK)
    yield Notation((hour, "h", minute, "m", second), Gap.CLOCK)
    half = "am" if int(hour) < 12 else "pm"  # noqa: PLR2004 (noon)
    yield Notation((f"{int(hour) % 12 or 12}", minute, second, half), Gap.CLOCK)


def _age(text: str) -> Iterator[Notation]:
    yield Notation((text,))
    if text.startswith("0") and text.endswith("y"):
        yield Notation((text[1:],))


def _uid(text: str) -> Iterator[Notation]:
    yield Notation(tuple(re.findall(r"[^\W_]+", text)), Gap.NUMBER)


_NOTATIONS: Final[dict[Sort, Callable[[str], Iterator[Notation]]]] = {
    Sort.WORD: _word,
    Sort.PHRASE: _phrase,
    Sort.NUMBER: _number,
    Sort.PHONE: _phone,
    Sort.DATE: _date,
    Sort.TIME: _time,
    Sort.AGE: _age,
    Sort.UID: _uid,
    Sort.AS_WRITTEN: lambda text: iter((Notation((text,)),)),
}
