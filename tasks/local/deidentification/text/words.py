"""How texts are cut into words, and how two spellings of one word are found equal.

Public names: ``Word``, ``words_of``, ``fold``, ``spellings``, ``in_ascii``, ``UNSPACED``.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_UNSPACED: Final = (
    r"\u3005\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ufaff\U00020000-\U0003ffff\U000f0000-\U0010ffff"
)
"""Kana, Han, Hangul and all of private use, where sites keep characters that Unicode lacks. Planes 2 and 3 are for Han
alone, whatever of them the Unicode of this Python knows: no word passes by an older one."""
UNSPACED: Final = re.compile(f"[{_UNSPACED}]+")
_WITH_MARKS: Final = range(0x00AD, 0x1F000)
"""Where Unicode has marks of the categories that follow, but for selectors of variants of what is no letter."""
_UNSEEN: Final = "Cf"
"""The category of soft hyphens, marks of direction, and what joins letters or keeps them apart."""
_MARKS: Final = ("Mn", "Mc", _UNSEEN)
_SEPARATORS: Final = {"Pd": "-", "Zs": " "}
"""Dashes and blanks, by their category."""
_SLASHES: Final = frozenset("\u060d\u2044\u2215")
"""Between the numbers of a date in Arabic; of fractions; of division."""
_UMLAUTS: Final = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe", "æ": "ae", "œ": "oe"})

_STROKES: Final = str.maketrans(
    {"ł": "l", "đ": "d", "ð": "d", "ø": "o", "\u0131": "i", "ħ": "h", "ŧ": "t", "þ": "th", "æ": "ae", "œ": "oe"}
)
"""Letters that are no letter with an accent to Unicode, and are written without their stroke all the same."""


class Word(NamedTuple):
    """A run of letters, their marks, and digits; Japanese, Chinese and Korean characters are a run of their own.

    Attributes:
        start: Where it begins in the text.
        end: Where it ends.
        text: As it is written, in ASCII where it can be.
        folded: As it is looked up.

    """

    start: int
    end: int
    text: str
    folded: str

    @property
    def is_letters(self) -> bool:
        """Whether it has letters only, be they unknown to Python."""
        return self.folded.isalpha() or UNSPACED.fullmatch(self.text) is not None


@lru_cache(maxsize=65536)
def fold(word: str) -> str:
    """Return a word in the form in which it is looked up: lower case, without accents and strokes, ß as ss, ² as 2."""
    if word.isascii():
        return word.lower()
    plain = unicodedata.normalize("NFKD", word.casefold()).translate(_STROKES)
    return "".join(one for one in plain if not (unicodedata.combining(one) or unicodedata.category(one) == _UNSEEN))


def spellings(word: str) -> set[str]:
    """Return the folded forms under which a name may be written: Müller as muller and as mueller."""
    return {fold(word), fold(unicodedata.normalize("NFC", word).casefold().translate(_UMLAUTS))}


def in_ascii(text: str) -> str:
    """Return a text, character by character, with the digits of any script, wide letters and dashes as in ASCII."""
    return text if text.isascii() else "".join(map(_in_ascii, text))


@lru_cache(maxsize=4096)
def _in_ascii(character: str) -> str:
    if character.isdecimal():
        return str(unicodedata.decimal(character))
    plain = unicodedata.normalize("NFKC", character)
    if len(plain) == 1 and plain.isascii():
        return plain
    return "/" if character in _SLASHES else _SEPARATORS.get(unicodedata.category(character), character)


@cache
def _word() -> re.Pattern[str]:
    # Accents, points and vowels that stand behind their letter are no letters to a pattern, which knows no categories.
    marks = "".join(one for one in map(chr, _WITH_MARKS) if unicodedata.category(one) in _MARKS)
    letter = rf"[^\W_{_UNSPACED}]"
    return re.compile(rf"{UNSPACED.pattern}|{letter}(?:{letter}|[{marks}])*")


def words_of(text: str) -> Iterator[Word]:
    """Yield the words of a text, from left to right, as ``in_ascii`` writes them."""
    for match in _word().finditer(in_ascii(text)):
        yield Word(match.start(), match.end(), match[0], fold(match[0]))
