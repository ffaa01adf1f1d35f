"""Words that can only be abbreviations: no syllable is in them, so that nobody is called so.

Of 122,948 names of persons and places (Faker 40.63.0, all its countries; SCOWL's proper names of all sizes) four of two
to four letters have none and are no abbreviations themselves: Ng and Wm, which ``context_words.txt`` lists, Vlk and
Plch, whose l is the syllable.

Public names: ``is_abbreviation``, ``abbreviations_of``.
"""

from __future__ import annotations

import re
from itertools import permutations
from typing import TYPE_CHECKING, Final

from deidflow.tasks.local.deidentification.text.context import load_context
from deidflow.tasks.local.deidentification.text.words import fold

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_SHORTEST: Final = 2
_LONGEST: Final = 4
_MOST_TURNED: Final = 5
_SYLLABLE: Final = re.compile("[aeiouy]|[^aeiouy][lr][^aeiouy]")
"""Vowels, and l and r between consonants: Vlk, Srb, Krk."""
_VOWELS: Final = re.compile("[aeiouy]")


def is_abbreviation(word: str) -> bool:
    """Whether a word is an abbreviation whatever its letters stand for: PG, STN, qfs; not Ng, SRB, Wm or Jr.

    Args:
        word: Letters as they are written; none that is not ASCII makes one.

    """
    if not _SHORTEST <= len(word) <= _LONGEST or not word.isascii() or word.istitle():
        return False
    folded = fold(word)
    return _SYLLABLE.search(folded) is None and folded not in load_context().no_abbreviations


def abbreviations_of(words: Sequence[str]) -> Iterator[str]:
    """Yield what a name may be abbreviated to: its initials in any order, and each word without its vowels.

    Of more than five words the initials are taken in their own order only.

    Args:
        words: Folded.

    """
    initials = [word[0] for word in words]
    for size in range(_SHORTEST, min(len(words), _LONGEST) + 1):
        if len(words) <= _MOST_TURNED:
            yield from map("".join, permutations(initials, size))
        else:
            yield from ("".join(initials[start : start + size]) for start in range(len(words) - size + 1))
    for word in words:
        yield word[0] + _VOWELS.sub("", word[1:])
