"""How texts are cut into words, and how two spellings of one word are found equal.

Public names: ``Word``, ``words_of``, ``fold``, ``spellings``.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_HAN_OR_KANA: Final = "぀-ヿ㐀-䶿一-鿿豈-﫿々"
# Accents, points and vowels that stand behind their letter (Unicode's categories Mn and Mc): no letters to a pattern.
_MARKS: Final = (
    "\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u064b-\u065f\u0670"
    "\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u0900-\u0963\u0971-\u0dff\u0e31\u0e34-\u0e3a\u0e47-\u0e4e"
    "\u0eb1\u0eb4-\u0ebc\u0ec8-\u0ecd\u0f71-\u0f84\u102b-\u103e\u17b4-\u17d3\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff"
    "\ufe20-\ufe2f"
)
_WORD: Final = re.compile(rf"[{_HAN_OR_KANA}]+|[^\W_{_HAN_OR_KANA}](?:[^\W_{_HAN_OR_KANA}]|[{_MARKS}])*")
_UMLAUTS: Final = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe", "æ": "ae", "œ": "oe"})


class Word(NamedTuple):
    """A run of letters, their marks, and digits; Japanese and Chinese characters are a run of their own.

    Attributes:
        start: Where it begins in the text.
        end: Where it ends.
        text: As it is written.
        folded: As it is looked up.

    """

    start: int
    end: int
    text: str
    folded: str


@lru_cache(maxsize=65536)
def fold(word: str) -> str:
    """Return a word in the form in which it is looked up: lower case, without accents, ß as ss, ² as 2."""
    if word.isascii():
        return word.lower()
    plain = unicodedata.normalize("NFKD", word.casefold())
    return "".join(character for character in plain if not unicodedata.combining(character))


def spellings(word: str) -> set[str]:
    """Return the folded forms under which a name may be written: Müller as muller and as mueller."""
    return {fold(word), fold(unicodedata.normalize("NFC", word).casefold().translate(_UMLAUTS))}


def words_of(text: str) -> Iterator[Word]:
    """Yield the words of a text, from left to right."""
    for match in _WORD.finditer(text):
        yield Word(match.start(), match.end(), match[0], fold(match[0]))
