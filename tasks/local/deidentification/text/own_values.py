"""What the identifying attributes of an instance and of its series say: the first thing to look for in its texts.

Public names: ``OwnValues``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from deidflow.tasks.local.deidentification.text.abbreviations import abbreviations_of, is_abbreviation
from deidflow.tasks.local.deidentification.text.words import fold, spellings, words_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_BETWEEN_NAMES: Final = re.compile(r"[\^=\\,; ]+")
_SHORTEST_NAME: Final = 2
_SHORTEST_NUMBER: Final = 3
_SHORTEST_PART: Final = 3
_SHORTEST_IN_CODE: Final = 3
_SHORTEST_IN_COMPOUND: Final = 4
_SHORTEST_SPLIT: Final = 4
_FEWEST_DIGITS_OF_SPLIT: Final = 3
"""Of an identifier that is found in any punctuation; with fewer, ordinary numbers beside one another make one."""
_LETTERS: Final = re.compile(r"[^\W\d_]+")

# Parts of names that are ordinary words, and say nothing of whose name it is.
_PARTICLES: Final = frozenset(
    {
        *(
            "al",
            "and",
            "bin",
            "da",
            "das",
            "de",
            "del",
            "den",
            "der",
            "des",
            "di",
            "dos",
            "dr",
            "du",
            "el",
            "het",
            "ibn",
        ),
        *("jr", "la", "le", "md", "mr", "mrs", "ms", "of", "phd", "prof", "sr", "st", "te", "ten", "ter", "the", "und"),
        *("van", "von", "y", "zu", "zum", "zur"),
    }
)


@dataclass(frozen=True, slots=True)
class OwnValues:
    """What must not be left in any text of an instance.

    Attributes:
        words: Folded words that go wherever they stand, in whatever vocabulary they are: the patients named Echo,
            Test or Thyroid.
        phrases: Folded words in a row that go where they stand in this order, whatever is between them.
        abbreviations: What the names may be abbreviated to: no abbreviation is harmless that is one of these.
        parts: Folded words of the phrases, and names and phrases written together, which go by themselves where no
            vocabulary knows them.
        split: Folded identifiers without punctuation, which go wherever whole words in a row make one: 77-88 123.
        births: Dates of birth, YYYYMMDD, which go and are not moved: with a study's date they say how old, to the day.

    """

    words: frozenset[str] = frozenset()
    phrases: frozenset[tuple[str, ...]] = frozenset()
    abbreviations: frozenset[str] = frozenset()
    parts: frozenset[str] = frozenset()
    split: frozenset[str] = frozenset()
    births: frozenset[str] = frozenset()

    @classmethod
    def of(cls, *, persons: Iterable[str] = (), others: Iterable[str] = (), births: Iterable[str] = ()) -> OwnValues:
        """Collect from the values of attributes.

        Args:
            persons: Values of PN attributes, all component groups; any other name of a person.
            others: Identifiers, places, devices, organizations, addresses, telephone numbers: their words may be
                ordinary ones (University Hospital, CHEST-001), so they go as a whole; numbers of three digits or more
                go alone, too, and so does a word that no vocabulary knows; identifiers go in any punctuation.
            births: Values of PatientBirthDate.

        """
        words: set[str] = set()
        phrases: set[tuple[str, ...]] = set()
        short: set[str] = set()
        split: set[str] = set()
        together: set[str] = set()
        for value in persons:
            for group in value.split("="):
                short.update(abbreviations_of([word.folded for word in words_of(group) if word.folded]))
                family, given = [*("".join(word.text for word in words_of(one)) for one in group.split("^")), "", ""][
                    :2
                ]
                together.update(*map(spellings, (family, given, family + given, given + family)))
            for part in _BETWEEN_NAMES.split(value):
                whole = [word for word in words_of(part) if word.folded not in _PARTICLES]
                words.update(*(spellings(word.text) for word in whole if len(word.folded) >= _SHORTEST_NAME), ())
                if len(whole) > 1:
                    words.update(spellings("".join(word.text for word in whole)))
        for value in others:
            phrase = tuple(word.folded for word in words_of(value))
            short.update(abbreviations_of(phrase))
            if len("".join(phrase)) >= _SHORTEST_NAME:
                phrases.add(phrase)
            words.update(one for one in phrase if one.isdigit() and len(one) >= _SHORTEST_NUMBER)
            if any(map(str.isdigit, value)) and len(phrase) > 1:
                words.add("".join(phrase))
            joined = "".join(phrase)
            together.add(joined)
            split.update(one for one in (joined, joined.lstrip("0")) if _is_told_apart(one))
        together.update(one for phrase in phrases for one in phrase)
        parts = {one for one in together if len(one) >= _SHORTEST_PART and one.isalpha()}
        return cls(
            words=frozenset(words),
            phrases=frozenset(phrases),
            abbreviations=frozenset(filter(is_abbreviation, short)),
            parts=frozenset(parts - _PARTICLES),
            split=frozenset(split),
            births=frozenset(births),
        )

    def is_in(self, folded: Sequence[str]) -> bool:
        """Whether any own value may be in the words of a text; see ``hits`` and ``stretches``, abbreviations, too."""
        joined = " ".join(folded)
        return (
            any(word in joined for word in self.words)
            or any(phrase[0] in folded for phrase in self.phrases)
            or not self.abbreviations.isdisjoint(folded)
            or not self.parts.isdisjoint(folded)
            or (bool(self.split) and self._is_split(folded))
        )

    def _is_split(self, folded: Sequence[str]) -> bool:
        run = "".join(folded)
        return any(one in run for one in self.split)

    def hits(self, folded: Sequence[str]) -> set[int]:
        """Return the places of the words of a text that are own values.

        Args:
            folded: The text's words, from left to right.

        """
        found = {place for place, word in enumerate(folded) if word in self.words}
        for phrase in self.phrases:
            for place, word in enumerate(folded):
                if word == phrase[0] and tuple(folded[place : place + len(phrase)]) == phrase:
                    found.update(range(place, place + len(phrase)))
        if self.split and self._is_split(folded):
            for place in range(len(folded)):
                found.update(self._split_at(folded, place))
        return found

    def _split_at(self, folded: Sequence[str], place: int) -> range:
        """Return the places of the words that make an identifier from one place on; none where they make no one."""
        run = ""
        for end, word in enumerate(folded[place:], place + 1):
            run += word
            if run in self.split:
                return range(place, end)
            if not any(one.startswith(run) for one in self.split):
                break
        return range(0)

    def compounds(self, folded: str) -> list[str]:
        """Return what is left of a word without an own name in it: of headroutine routine, of head1 nothing.

        Args:
            folded: A word; its runs of letters are looked at one by one.

        """
        rests = []
        for run in _LETTERS.findall(folded):
            for own in self.words:
                if own == run and len(own) >= _SHORTEST_IN_CODE and run != folded:
                    rests.append("")
                elif len(own) >= _SHORTEST_IN_COMPOUND and len(run) > len(own):
                    rests += [run[len(own) :]] * run.startswith(own) + [run[: -len(own)]] * run.endswith(own)
        return rests

    def stretches(self, word: str) -> list[tuple[int, int]]:
        """Return where own names stand inside a word of a script without blanks between words."""
        plain = fold(word)
        if word.isascii() or len(plain) != len(word):
            return []
        return [
            (match.start(), match.end())
            for own in sorted(self.words)
            if not own.isascii()
            for match in re.finditer(re.escape(own), plain)
        ]


def _is_told_apart(joined: str) -> bool:
    """Whether letters and digits without punctuation are somebody's also where they are written in pieces."""
    digits = sum(map(str.isdigit, joined))
    fewest = _FEWEST_DIGITS_OF_SPLIT + 2 * joined.isdigit()
    return len(joined) >= _SHORTEST_SPLIT and digits >= fewest
