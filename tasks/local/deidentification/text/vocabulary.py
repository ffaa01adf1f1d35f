"""The words that cleaning keeps: the standard's own, common ones, those of radiology, and a site's.

What stands in the file and where it comes from is in ``README.md`` beside it.

Public names: ``Vocabulary``, ``Standing``, ``load_vocabulary``, ``without_mark``.
"""

from __future__ import annotations

import gzip
import re
from enum import Enum
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from deidflow.tasks.local.deidentification.text.abbreviations import is_abbreviation
from deidflow.tasks.local.deidentification.text.context import load_context
from deidflow.tasks.local.deidentification.text.words import UNSPACED, fold

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_PACKAGE: Final = "deidflow.tasks.local.deidentification.text"
_MARKED: Final = re.compile(r"[a-z][A-Z]{3,}")
_CAMEL: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")

_SHORTEST_PART: Final = 3
_LONGEST_TERM: Final = 32
"""Of Han characters and kana; no term of the vocabulary has more."""
_LONGEST_COMPOUND: Final = 64
_SHORTEST_BEHIND_PREFIX: Final = 5
_NO_COMPOUNDS: Final = "# From here on no compounds are made of the words."


class Standing(Enum):
    """What the vocabulary says of a word."""

    KNOWN = "known"
    """Harmless wherever it stands."""
    ALSO_A_NAME = "also a name"
    """A word of radiology that some people are called by: harmless, unless something beside it speaks of a person."""
    BESIDE = "beside"
    """A name of people that the standard's terms use, too: harmless beside the words that stand there with it."""
    ABBREVIATION = "abbreviation"
    """No word, and nobody's name: harmless, unless something beside it is somebody's."""
    UNKNOWN = "unknown"


_MARKS: Final = {"~": Standing.ALSO_A_NAME, "!": Standing.UNKNOWN}


class Vocabulary:
    """Words by their folded form."""

    def __init__(
        self,
        lines: Iterable[str],
        given_names: Iterable[str],
        hand: Iterable[str],
        phrases: Iterable[Sequence[str]] = (),
    ) -> None:
        """Index the words.

        Args:
            lines: As in ``vocabulary.txt.gz``: ``word``, ``~word`` that is also a name, ``word another another`` that
                is harmless beside the others, ``!word`` that looks like a compound and is a name.
            given_names: Folded given names.
            hand: The words written by hand, of which compounds may be made.
            phrases: Folded words that are harmless beside one another, as a whole also where they are written together.

        """
        self._standing: dict[str, Standing] = {}
        self._beside: dict[str, frozenset[str]] = {}
        for line in lines:
            word, *partners = line.split(" ")
            if partners:
                self._beside[word] = frozenset(partners)
            self._standing[word.lstrip("~!")] = Standing.BESIDE if partners else _MARKS.get(word[0], Standing.KNOWN)
        for phrase in phrases:
            self._standing["".join(phrase)] = Standing.KNOWN
            for word in phrase:
                if self._standing.get(word, Standing.BESIDE) is Standing.BESIDE:
                    self._standing[word] = Standing.BESIDE if len(phrase) > 1 else Standing.KNOWN
                    self._beside[word] = self._beside.get(word, frozenset()) | (set(phrase) - {word})
        self._given: Final = frozenset(given_names)
        parts = frozenset(hand)
        self._parts: Final = frozenset(one for one in parts if len(one) >= _SHORTEST_PART and self._knows(one))
        self._codes: frozenset[str] = frozenset()
        self.standing = lru_cache(maxsize=65536)(self._standing_of)

    @property
    def partners(self) -> Mapping[str, frozenset[str]]:
        """The words beside which a word of ``Standing.BESIDE`` is harmless."""
        return self._beside

    def is_given_name(self, folded: str) -> bool:
        """Whether people are called so by their given name."""
        return folded in self._given

    def is_listed_code(self, folded: str) -> bool:
        """Whether a site keeps a word of letters and digits as it is."""
        return folded in self._codes

    def with_more(self, more: Iterable[str]) -> Vocabulary:
        """Return this vocabulary with words that a site keeps; they are harmless wherever they stand."""
        more = list(more)
        new = Vocabulary((), self._given, ())
        new._codes = frozenset(fold(word) for word in more if not word.isalpha())
        new._standing = self._standing | {fold(word): Standing.KNOWN for word in more}
        new._beside, new._parts = self._beside, self._parts  # type: ignore[misc]  # the copy is not shared yet
        return new

    def _knows(self, folded: str) -> bool:
        return self._standing.get(folded) is Standing.KNOWN

    def _standing_of(self, word: str) -> Standing:
        """Return the standing of letters as they are written, without digits."""
        folded = fold(word)
        found = self._standing.get(folded)
        if found is not None:
            return found
        known = self._is_camel(word) or self._is_marked(word) or self._is_joined(folded) or self._is_run_of_terms(word)
        if known:
            return Standing.KNOWN
        return Standing.ABBREVIATION if is_abbreviation(word) else Standing.UNKNOWN

    def _is_camel(self, word: str) -> bool:
        """AxialBrain: a capital shows where the next word begins."""
        parts = _CAMEL.findall(word)
        return (
            len(parts) > 1
            and sum(map(len, parts)) == len(word)
            and fold(parts[0]) not in load_context().beginnings
            and all(self._knows(fold(part)) or self._is_joined(fold(part)) for part in parts)
        )

    def _is_marked(self, word: str) -> bool:
        """dADC, eDWI, nSTIR: one small letter before an abbreviation says which kind of it."""
        rest = without_mark(word)
        return bool(rest) and self._knows(rest)

    def _is_joined(self, folded: str) -> bool:
        if len(folded) > _LONGEST_COMPOUND or folded in self._standing:
            return False
        return self._is_compound(folded) or self._is_beginning_with(folded)

    def _is_beginning_with(self, folded: str) -> bool:
        """triphase, ctbiopsy: of 122,948 names none is made of these beginnings and a word of the vocabulary."""
        context = load_context()
        if folded[:2] in context.modalities and folded[2:] in self._parts:
            return True
        sizes = (size for size in range(3, 6) if folded[:size] in context.prefixes)
        return any(len(folded) - size >= _SHORTEST_BEHIND_PREFIX and self._knows(folded[size:]) for size in sizes)

    def _is_compound(self, folded: str) -> bool:
        """abdpelvis: two words of radiology, none of them a name."""
        return any(
            folded[:cut] in self._parts and folded[cut:] in self._parts
            for cut in range(_SHORTEST_PART, len(folded) - _SHORTEST_PART + 1)
        )

    def _is_run_of_terms(self, word: str) -> bool:
        """頭部単純: Japanese and Chinese terms one behind the other, longest first."""
        if not UNSPACED.fullmatch(word):
            return False
        rest = fold(word)
        while rest:
            longest = min(len(rest), _LONGEST_TERM)
            size = next((size for size in range(longest, 0, -1) if self._knows(rest[:size])), 0)
            if not size:
                return False
            rest = rest[size:]
        return True


def without_mark(word: str) -> str:
    """Return the folded abbreviation behind one small letter (the ADC of dADC), "" for any other word."""
    return fold(word[1:]) if _MARKED.fullmatch(word) else ""


def _lines(name: str) -> list[str]:
    return gzip.decompress(files(_PACKAGE).joinpath(name).read_bytes()).decode("utf-8").splitlines()


@lru_cache
def load_vocabulary() -> Vocabulary:
    """Read the built-in vocabulary from the package's data, once a process."""
    text = files(_PACKAGE).joinpath("radiology_words.txt").read_text(encoding="utf-8")
    lines = text.partition(_NO_COMPOUNDS)[0].splitlines()
    hand = {fold(word) for line in lines if not line.startswith("#") for word in line.split()}
    by_hand = files(_PACKAGE).joinpath("radiology_phrases.txt").read_text(encoding="utf-8").splitlines()
    phrases = [line.split() for line in by_hand if not line.startswith("#")]
    return Vocabulary(_lines("vocabulary.txt.gz"), _lines("given_names.txt.gz"), hand, phrases)
