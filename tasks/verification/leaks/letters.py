"""Letters as people and programs write them: with and without accents, composed or not, wide, in either kana.

Source: the Unicode Standard annex 15 (normal forms); JIS X 0201 (katakana of half width).

Public names: ``canonical``, ``unaccented``, ``two_letters``, ``kana_forms``, ``ends_in_letter``,
``begins_with_letter``, ``is_in_another_set``, ``NAME_PART``, ``WORD_OR_NUMBER``.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_PLAIN: Final = str.maketrans(
    dict(zip("øłđð\u0131ħŧ", "olddiht", strict=True))
    | {"ß": "ss", "þ": "th", "æ": "ae", "œ": "oe"}
    # Arabic and Persian keyboards have these letters apart; the last only makes a word longer.
    | dict(zip("\u06cc\u0649\u06a9", "\u064a\u064a\u0643", strict=True))
    | {"\u0640": ""}
    | {chr(zero + digit): str(digit) for zero in (0x0660, 0x06F0, 0x0966, 0x0E50) for digit in range(10)}
)
"""Letters without strokes; the digits of Arabic, Persian, Devanagari and Thai as those of ASCII."""
_UMLAUTS: Final = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe"})
_HIRAGANA: Final = range(0x3041, 0x3097)
_KATAKANA: Final = range(0x30A1, 0x30F7)
_KANA_APART: Final = 0x60
_HALF_WIDTH: Final = {
    unicodedata.normalize("NFD", unicodedata.normalize("NFKC", chr(number))): chr(number)
    for number in range(0xFF66, 0xFFA0)
}
_FORMAT: Final = "Cf"
"""The category of soft hyphens, marks of direction, and what joins letters or keeps them apart."""
_FIRST_LEAD: Final = 0xC2
_MARKS: Final = "\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0900-\u0903\u093a-\u094f\u0e31\u0e34-\u0e3a\u0e47-\u0e4e"
"""Accents and vowels that belong to the letter before them."""
NAME_PART: Final = re.compile(rf"[^\W\d_][^\W\d_{_MARKS}]*(?:[{_MARKS}'\u2019]+[^\W\d_]+)*[{_MARKS}]*")
"""A word of a name, with apostrophes."""
WORD_OR_NUMBER: Final = re.compile(rf"(?:[^\W_]|[{_MARKS}])+")
"""Letters, with what belongs to them, and digits."""

_CONTROLS: Final = re.compile("[\x80-\x9f]")
_SIGNS: Final = re.compile("[\xa1-\xbf\xd7\xf7]")


@lru_cache(maxsize=4096)
def canonical(text: str) -> str:
    """Return a text in lower case, without accents, strokes and what nobody sees, in the usual width."""
    if text.isascii():
        return text.lower()
    parts = unicodedata.normalize("NFKD", text).casefold()
    bare = "".join(one for one in parts if not (unicodedata.combining(one) or unicodedata.category(one) == _FORMAT))
    return unicodedata.normalize("NFC", bare.translate(_PLAIN))


def unaccented(text: str) -> str:
    """Return a text in lower case without accents, with the letters that a word ends in (a final sigma)."""
    parts = unicodedata.normalize("NFD", text.lower())
    return unicodedata.normalize("NFC", "".join(one for one in parts if not unicodedata.combining(one)))


def two_letters(text: str) -> str:
    """Return a text with an umlaut as two letters, other accents dropped."""
    return canonical(unicodedata.normalize("NFC", text.lower()).translate(_UMLAUTS))


def kana_forms(text: str) -> Iterator[str]:
    """Yield a text in hiragana, katakana and katakana of half width, where it has any."""
    plain = unicodedata.normalize("NFKC", text)
    if not any(ord(letter) in _HIRAGANA or ord(letter) in _KATAKANA for letter in plain):
        return
    katakana = "".join(chr(ord(one) + _KANA_APART) if ord(one) in _HIRAGANA else one for one in plain)
    yield katakana
    yield "".join(chr(ord(one) - _KANA_APART) if ord(one) in _KATAKANA else one for one in plain)
    yield "".join(_HALF_WIDTH.get(one, one) for one in unicodedata.normalize("NFD", katakana))


def ends_in_letter(data: bytes) -> bool:
    """Whether the last character of some bytes is a letter, in UTF-8, or else in Latin-1.

    Args:
        data: The last few bytes before something; four are enough.

    """
    last = data[-1:]
    if not last or last < b"\x80":
        return last.isalpha()
    for length in (2, 3, 4):
        tail = data[-length:]
        if len(tail) == length and tail[0] >= _FIRST_LEAD:
            try:
                return tail.decode("utf-8").isalpha()
            except UnicodeDecodeError:
                continue
    return last.decode("latin-1").isalpha()


def begins_with_letter(data: bytes) -> bool:
    """Whether the first character of some bytes is a letter, in UTF-8, or else in Latin-1."""
    first = data[:1]
    if not first or first < b"\x80":
        return first.isalpha()
    for length in (2, 3, 4):
        try:
            return data[:length].decode("utf-8")[:1].isalpha()
        except UnicodeDecodeError:
            continue
    return first.decode("latin-1").isalpha()


def is_in_another_set(text: str, signs: int) -> bool:
    """Whether a text was written in another character set than the one that it was decoded by.

    No part of ISO 8859 has characters from 0x80 to 0x9F, where Shift JIS, GBK and the code pages of DOS have some.

    Args:
        text: As it was decoded.
        signs: So many signs of Latin-1, which others take for halves of their characters, say so, too.

    """
    return _CONTROLS.search(text) is not None or len(_SIGNS.findall(text)) >= signs
