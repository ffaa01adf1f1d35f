"""The parts of an identifying value that are looked for: words, phrases, numbers, dates, times, ages, UIDs.

What is too short or too common to mean anything is no part: docs/verification.md says which rules decide.

Public names: ``Atom``, ``Sort``, ``atoms_of``, ``words_in``.
"""

from __future__ import annotations

import re
from enum import IntEnum, auto
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from deidflow.tasks.core.pseudonyms.original_uids import WELL_KNOWN
from deidflow.tasks.verification.leaks.common_words import is_common
from deidflow.tasks.verification.leaks.kinds import Kind
from deidflow.tasks.verification.leaks.letters import NAME_PART, is_in_another_set
from deidflow.tasks.verification.standard.profile import is_dummy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


class Sort(IntEnum):
    """How a part is looked for."""

    WORD = auto()
    """Between anything that is no letter."""
    PHRASE = auto()
    """Between anything that is no letter and no digit."""
    NUMBER = auto()
    """Likewise, in any punctuation, and not within a number with a decimal point."""
    PHONE = auto()
    """Likewise, with any country code and trunk prefix."""
    DATE = auto()
    TIME = auto()
    AGE = auto()
    UID = auto()
    AS_WRITTEN = auto()
    """Byte for byte, between anything: of a text in another character set than it declares."""


class Atom(NamedTuple):
    """One part.

    Attributes:
        sort: How it is looked for.
        text: In lower case, but for what is looked for as it is written; dates as YYYYMMDD, times as HHMMSS with their
            fraction.

    """

    sort: Sort
    text: str


_MIN_LETTERS: Final = 3
_MIN_WORD_OF_A_PLACE: Final = 5
_MIN_PHRASE: Final = 8
_MIN_LINE: Final = 6
_MIN_SENTENCE: Final = 24
_MIN_SENTENCE_WORDS: Final = 5
"""Of a remark whose words all tell nobody by themselves."""
_MIN_DIGITS_ALONE: Final = 5
_MIN_DIGITS_IN_TEXT: Final = 6
_MIN_DIGITS_MIXED: Final = 3
_MIN_MIXED: Final = 4
_MIN_PHONE: Final = 7
_MIN_SIGNIFICANT: Final = 3
_MIN_UID: Final = 7
_MIN_AS_WRITTEN: Final = 4
"""Two characters of a Japanese or Chinese name."""
_FIRST_YEAR: Final = 1880
_CJK: Final = "\u2e80"
"""From here on a character is a word, or nearly."""

_NOT_KNOWN: Final = "\ufffd"
"""What stands for bytes that the character set does not know, of whomever."""

_WORDS: Final = re.compile(r"[^\W\d_]+")
_TOKENS: Final = re.compile(r"[^\W_]+(?:[-_./ ][^\W_]+)*")
_LINES: Final = re.compile(r"[\r\n\f\\^=;]+")
_SPLIT_NAMES: Final = (re.compile(r"[=,^\\]"), re.compile(r"(?<![\x81-\x9f])[=,^\\]"))
"""The second half of a Shift JIS character may be a delimiter, and so may what stands behind it."""
_ADDRESS_PARTS: Final = re.compile(r"[\r\n\f\\^=;,]+")
_IN_TEXT: Final = re.compile(r"(?<![\w.])(?:[A-Za-z]{1,4}[-_]?)?\d{5,}(?![\w.])")
_E_MAIL: Final = re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_PHONES: Final = re.compile(r"\+?\(?\d[\d ()./-]{5,}\d")
_CLEAR_PHONES: Final = re.compile(
    r"(?<!\w)(?<!\d\.)(?:"
    r"\+\d[\d ()./-]{5,}\d"
    r"|(?:\(0?\d{1,4}\)|0\d{1,4})[ ./-]*\d{2,}(?:[ ./-]\d{2,})*"
    r"|(?!\d{3} \d{3} \d\d00)\(?\d{3}\)?[ .-] ?\d{3}[ .-]\d{4}"
    r"|(?!\d\d0 \d\d0 \d\d0)(?!(\d{3}) \1 )[5-9]\d\d \d{3} \d{3}"
    r"|(?!\d{3}0 \d{3}0)(?!(\d{4}) \2)[2-9]\d{3} \d{4}"
    r"|(?!\d0 \d0 \d0 \d0)[2-9]\d(?: \d{2}){3}"
    r"|\d{2,3}-\d{2,4}-\d{2,4}(?:-\d{2,4})?|\d{3}-\d{4}"
    r"|\d{2}(?:[ .]\d{2}){4}|\d{2,5}[ -]\d{5,}|\d{7,}"
    r")(?!\d)"
)
"""Of a cleaned text, in which other short numbers beside one another may stay: thicknesses, b-values, echo times, the
sides of images (512 512 256)."""
_LABELLED_PHONES: Final = re.compile(
    r"(?:(?<![^\W_])(?:tel|t[ée]l[ée]fono?|t[ée]l[ée]phone|phone|ph|fax|mobile?|handy|cell|call)|電話)"
    rf"\.?[\s_]*(?:(?:n[or]\.?|#)[\s_]*)?(?:[:.][\s_]*)?({_PHONES.pattern})",
    re.IGNORECASE,
)
"""What a word before it calls so."""
_DATE: Final = re.compile(r"(\d{4})[.-]?(\d\d)[.-]?(\d\d)")
_TIME: Final = re.compile(r"(\d\d):?(\d\d):?(\d\d)(?:\.(\d{1,6}))?")
_AGE: Final = re.compile(r"\d{3}[DWMY]")
_SYLLABLE: Final = re.compile("[aeiouy]")
_EVERYBODYS_DATES: Final = frozenset({"19000101", "19700101", "20000101", "18991230", "99991231"})


def words_in(atom: Atom) -> list[str]:
    """Return the words of a part, without digits."""
    return _WORDS.findall(atom.text)


def _person(text: str) -> Iterator[Atom]:
    for group in text.split("="):
        for name in group.split("\\"):
            components = [part.strip() for part in name.replace(",", "^").split("^")]
            yield from _names([part for part in components if part])
    for pattern in _SPLIT_NAMES:
        yield from _as_written(pattern.split(text), _MIN_AS_WRITTEN, signs=1)


def _as_written(texts: Iterable[str], least: int, *, signs: int = 2) -> Iterator[Atom]:
    """Yield those that are in another character set than they were decoded by, whose letters tell nothing."""
    for text in map(str.strip, texts):
        if len(text) >= least and is_in_another_set(text, signs):
            yield Atom(Sort.AS_WRITTEN, text)


def _names(components: list[str]) -> Iterator[Atom]:
    for component in components:
        for part in NAME_PART.findall(component):
            joined = part.replace("'", "").replace("\u2019", "")
            for word in {part, joined, *re.split("['\u2019]", part)}:
                if _tells(word):
                    yield Atom(Sort.WORD, word.lower())
        yield from _numbers(component, _MIN_DIGITS_ALONE)
        words = _WORDS.findall(component)
        if len(words) > 1 and sum(map(len, words)) >= _MIN_LINE and any(map(_tells, ("".join(words), *words))):
            yield Atom(Sort.PHRASE, component.lower())
    family, given = [*components, "", ""][:2]
    if family and given:
        # Also where each of the two tells nobody: Ng^An, Head^Young.
        for one, other in ((family, given), (given, family)):
            weak = not (_tells(one) or _tells(other))
            for between in ("^", ", ", ",") if is_common(family) and is_common(given) else ("^", " ", ", ", ",", "_"):
                if weak:
                    yield Atom(Sort.PHRASE, f"{one}{between}{other}".lower())
            if len(one + other) >= _MIN_LINE and not weak:
                yield Atom(Sort.PHRASE, f"{one} {other}".lower())


def _tells(word: str) -> bool:
    if word[:1] >= _CJK:
        return len(word) > 1
    return len(word) >= _MIN_LETTERS and not is_common(word)


def _identifier(text: str) -> Iterator[Atom]:
    for value in text.split("\\"):
        bare = value.strip()
        if len(_WORDS.findall(bare)) > 1 and len(bare) >= _MIN_PHRASE:
            yield from _phrases(bare)
        yield from _numbers(bare, _MIN_DIGITS_ALONE)
        for word in _WORDS.findall(bare):
            if len(word) >= _MIN_WORD_OF_A_PLACE and _tells(word):
                yield Atom(Sort.WORD, word.lower())


def _numbers(text: str, least: int) -> Iterator[Atom]:
    """Yield the number as a whole, and each of its tokens that tells somebody."""
    for token in {*_TOKENS.findall(text), *re.findall(r"[^\W_]+", text)}:
        if _is_telling_number(token, least):
            yield Atom(Sort.NUMBER, token.lower())
            zeros = token.lstrip("0")
            if zeros != token and _is_telling_number(zeros, least + 1):
                yield Atom(Sort.NUMBER, zeros.lower())


def _is_telling_number(token: str, least: int) -> bool:
    plain = re.sub(r"[\W_]", "", token)
    digits = re.sub(r"\D", "", plain)
    if len(digits.strip("0")) < _MIN_SIGNIFICANT or len(set(digits)) == 1:
        return False
    if len(digits) == len(plain):
        return len(plain) >= least
    return len(plain) >= _MIN_MIXED and len(digits) >= _MIN_DIGITS_MIXED and len(plain) <= 4 * len(digits)


def _phrases(value: str) -> Iterator[Atom]:
    """Yield a place as a whole, its lines, and what stands between commas."""
    for part in {" ".join(value.split()), *(" ".join(line.split()) for line in _ADDRESS_PARTS.split(value))}:
        words = _WORDS.findall(part)
        if len(part) >= _MIN_LINE and (any(map(_tells, words)) or (any(map(str.isdigit, part)) and words)):
            yield Atom(Sort.PHRASE, part.lower())
    yield from _as_written(_ADDRESS_PARTS.split(value), _MIN_LINE)


def _place(text: str) -> Iterator[Atom]:
    for value in {text, *text.split("\\")}:
        yield from _phrases(value)
    for word in _WORDS.findall(text):
        if _tells(word) and (len(word) >= _MIN_WORD_OF_A_PLACE or word[0] >= _CJK):
            yield Atom(Sort.WORD, word.lower())
    yield from _in_text(text)


def _phone(text: str) -> Iterator[Atom]:
    for value in text.split("\\"):
        digits = re.sub(r"\D", "", value)
        if len(digits) >= _MIN_PHONE:
            yield Atom(Sort.PHONE, value.strip())
    yield from _in_text(text)


def _text(text: str) -> Iterator[Atom]:
    for line in {text, *_LINES.split(text)}:
        bare = " ".join(line.split())
        words = _WORDS.findall(bare)
        is_sentence = len(words) >= _MIN_SENTENCE_WORDS and len(bare) >= _MIN_SENTENCE
        if len(bare) >= _MIN_PHRASE and (is_sentence or any(map(_tells, words))):
            yield Atom(Sort.PHRASE, bare.lower())
    yield from _as_written(_LINES.split(text), _MIN_PHRASE)
    yield from _in_text(text)


def _cleaned(text: str) -> Iterator[Atom]:
    yield from _in_text(text, _CLEAR_PHONES, _LABELLED_PHONES)


def _cleaned_place(text: str) -> Iterator[Atom]:
    for atom in _place(text):
        # Of letters without a syllable nobody is called, so that cleaning may leave them.
        if atom.sort is not Sort.PHRASE or any(map(_tells, filter(_SYLLABLE.search, words_in(atom)))):
            yield atom


def _in_text(text: str, *phones: re.Pattern[str]) -> Iterator[Atom]:
    """Yield what tells somebody in whatever text it stands."""
    for token in _IN_TEXT.findall(text):
        if _is_telling_number(token, _MIN_DIGITS_IN_TEXT):
            yield Atom(Sort.NUMBER, token.lower())
    for address in _E_MAIL.findall(text):
        yield Atom(Sort.PHRASE, address.lower())
    found = (one for pattern in phones or (_PHONES,) for one in pattern.finditer(text))
    for phone in (one[one.lastindex or 0] for one in found):
        if len(re.sub(r"\D", "", phone)) >= _MIN_PHONE:
            yield Atom(Sort.PHONE, phone.strip())


def _date(text: str) -> Iterator[Atom]:
    for value in text.split("\\"):
        found = _DATE.match(value.strip())
        if found is None:
            continue
        date = "".join(found.groups())
        is_day = int(date[:4]) >= _FIRST_YEAR and 1 <= int(date[4:6]) <= 12 and 1 <= int(date[6:]) <= 31  # noqa: PLR2004
        if is_day and date not in _EVERYBODYS_DATES:
            yield Atom(Sort.DATE, date)


def _time(text: str) -> Iterator[Atom]:
    for value in text.split("\\"):
        found = _TIME.match(value.strip())
        if found is None or found[3] == "00":
            continue  # a round time is many people's
        whole = "".join(found.groups()[:3])
        yield Atom(Sort.TIME, whole)


def _date_time(text: str) -> Iterator[Atom]:
    for value in text.split("\\"):
        bare = value.strip()
        yield from _date(bare)
        yield from _time(bare[8:])


def _age(text: str) -> Iterator[Atom]:
    for value in text.upper().split("\\"):
        bare = value.strip()
        if _AGE.fullmatch(bare) and bare not in {"000Y", "000D", "090Y"}:
            yield Atom(Sort.AGE, bare.lower())


def _uid(text: str) -> Iterator[Atom]:
    for value in text.split("\\"):
        bare = value.strip()
        if len(bare) >= _MIN_UID and "." in bare and not bare.startswith(WELL_KNOWN):
            yield Atom(Sort.UID, bare.lower())


_BY_KIND: Final[dict[Kind, Callable[[str], Iterator[Atom]]]] = {
    Kind.PERSON: _person,
    Kind.IDENTIFIER: _identifier,
    Kind.PLACE: _place,
    Kind.PHONE: _phone,
    Kind.TEXT: _text,
    Kind.DESCRIPTOR: _in_text,
    Kind.CLEANED: _cleaned,
    Kind.CLEANED_PLACE: _cleaned_place,
    Kind.DATE: _date,
    Kind.TIME: _time,
    Kind.DATE_TIME: _date_time,
    Kind.AGE: _age,
    Kind.UID: _uid,
}


@lru_cache(maxsize=4096)
def atoms_of(kind: Kind, text: str) -> frozenset[Atom]:
    """Return the parts of a value; empty when nothing of it tells anybody.

    Args:
        kind: Of its attribute.
        text: Decoded, all its values joined by backslashes, without padding.

    """
    if is_dummy(text.encode("utf-8", "replace")):
        return frozenset()
    return frozenset(atom for atom in _BY_KIND[kind](text) if _NOT_KNOWN not in atom.text)
