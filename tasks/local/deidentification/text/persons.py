"""What makes a word the name of somebody: what stands beside it.

Public names: ``Verdict``, ``Reading``, ``judge_beside``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Final

from deidflow.tasks.local.deidentification.text.context import load_context

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deidflow.tasks.local.deidentification.text.vocabulary import Vocabulary
    from deidflow.tasks.local.deidentification.text.words import Word

_CLOSE: Final = re.compile(r"[\s.,^'\u2019\-_]{0,3}")
_BEHIND_INITIALS: Final = (".", "^", "'", "\u2019")


class Verdict(Enum):
    """What becomes of a word."""

    COVERED = "covered"
    """Decided on by its form already."""
    KEEP = "keep"
    WEAK = "weak"
    """People are called so, too: what stands beside it decides."""
    ABBREVIATED = "abbreviated"
    """Nobody's name; goes where something beside it goes or is somebody's."""
    UNKNOWN = "unknown"
    """In no vocabulary: goes, or stays to be looked at."""
    GONE = "gone"


_MAY_BE_TITLE: Final = (Verdict.KEEP, Verdict.WEAK, Verdict.ABBREVIATED, Verdict.UNKNOWN)
_NOT_KNOWN: Final = (Verdict.UNKNOWN, Verdict.ABBREVIATED, Verdict.WEAK, Verdict.GONE)
_FEWEST_DIGITS_OF_NUMBER: Final = 3
"""Of a number that letters before it may belong to: XK 4711."""


@dataclass(slots=True)
class Reading:
    """A text, its words, and what was decided on each so far."""

    text: str
    words: list[Word]
    verdicts: list[Verdict]
    mine: set[int] = field(default_factory=set)
    """The places of own values."""

    def gap(self, place: int) -> str:
        """Return what stands between a word and the next."""
        return self.text[self.words[place].end : self.words[place + 1].start]

    def is_close(self, place: int) -> bool:
        """Whether a word and the next one may be parts of one name."""
        return 0 <= place < len(self.words) - 1 and _CLOSE.fullmatch(self.gap(place)) is not None

    def beside(self, place: int) -> Iterator[int]:
        """Yield the places of the words close by, the one before first."""
        if self.is_close(place - 1):
            yield place - 1
        if self.is_close(place):
            yield place + 1

    def behind(self, place: int) -> str:
        """Return the character behind a word."""
        return self.text[self.words[place].end : self.words[place].end + 1]


def judge_beside(reading: Reading, vocabulary: Vocabulary, *, unknown_goes: bool) -> None:
    """Decide on the words on which something beside them decides.

    Args:
        reading: A text whose words were judged one by one; its verdicts are changed, and none of them is weak then.
        vocabulary: What people are called by.
        unknown_goes: Whether words of no vocabulary go, so that their initials and particles go with them.

    """
    for place in range(len(reading.words)):
        if reading.verdicts[place] in _MAY_BE_TITLE and _is_title(reading, place):
            _drop_titled(reading, place)
        elif _is_before_given_name(reading, place, vocabulary):
            reading.verdicts[place] = Verdict.GONE
        elif reading.verdicts[place] is Verdict.WEAK:
            reading.verdicts[place] = _weak(reading, place, vocabulary)
    gone = (Verdict.UNKNOWN, Verdict.GONE) if unknown_goes else (Verdict.GONE,)
    for place in range(len(reading.words) - 1, -1, -1):  # backwards, for particles one before the other
        if reading.verdicts[place] is Verdict.KEEP and _belongs_to_name(reading, place, gone):
            reading.verdicts[place] = Verdict.GONE
    _judge_abbreviations(reading, vocabulary)


def _judge_abbreviations(reading: Reading, vocabulary: Vocabulary) -> None:
    """Keep abbreviations among words that stay; what is beside a name, a date or a number may be part of it."""
    places = [place for place, verdict in enumerate(reading.verdicts) if verdict is Verdict.ABBREVIATED]
    for place in (*places, *reversed(places)):  # there and back, for one beside the other
        if any(_makes_doubtful(reading, place, other, vocabulary) for other in (place - 1, place + 1)):
            reading.verdicts[place] = Verdict.UNKNOWN
    for place in places:
        if reading.verdicts[place] is Verdict.ABBREVIATED:
            reading.verdicts[place] = Verdict.KEEP


def _makes_doubtful(reading: Reading, place: int, other: int, vocabulary: Vocabulary) -> bool:
    if not 0 <= other < len(reading.words):
        return False
    word = reading.words[other].folded
    speaks = other < place and word in load_context().speak_of_persons
    is_number = word.isdigit() and len(word) >= _FEWEST_DIGITS_OF_NUMBER
    stays = reading.verdicts[other] in (Verdict.KEEP, Verdict.ABBREVIATED)
    return speaks or is_number or not stays or vocabulary.is_given_name(word)


def _is_title(reading: Reading, place: int) -> bool:
    if not reading.is_close(place):
        return False
    context, word = load_context(), reading.words[place]
    is_written_so = word.text in context.titles_as_written or (word.folded == "dr" and reading.behind(place) == ".")
    if word.folded in context.titles or is_written_so:
        return True
    is_number_before = place > 0 and reading.words[place - 1].folded.isdigit()
    return word.folded in context.faint_titles and reading.verdicts[place + 1] in _NOT_KNOWN and not is_number_before


def _is_before_given_name(reading: Reading, place: int, vocabulary: Vocabulary) -> bool:
    """Head^Oliver: so names are written (PS3.5 section 6.2, PN), and what is before the given name is the family's."""
    return (
        reading.is_close(place)
        and reading.verdicts[place] is not Verdict.COVERED
        and reading.gap(place) == "^"
        and vocabulary.is_given_name(reading.words[place + 1].folded)
        and reading.words[place].is_letters
    )


def _drop_titled(reading: Reading, place: int) -> None:
    """Take out a title, the word behind it, and what goes on being a name."""
    context = load_context()
    leads_on = context.titles | context.faint_titles | context.particles
    reading.verdicts[place] = Verdict.GONE
    for after in range(place + 1, len(reading.words)):
        word, before = reading.words[after], reading.words[after - 1].folded
        if not reading.is_close(after - 1) or word.text.isdigit() or reading.verdicts[after] is Verdict.COVERED:
            return
        follows_title = before in leads_on or len(before) == 1
        is_part = reading.verdicts[after] in _NOT_KNOWN or word.folded in leads_on or len(word.folded) == 1
        if not (follows_title or is_part):
            return
        reading.verdicts[after] = Verdict.GONE


def _weak(reading: Reading, place: int, vocabulary: Vocabulary) -> Verdict:
    beside = list(reading.beside(place))
    words = [reading.words[other].folded for other in beside]
    partners = vocabulary.partners.get(reading.words[place].folded)
    if partners is not None and partners.isdisjoint(words):
        return Verdict.UNKNOWN
    if any(
        vocabulary.is_given_name(reading.words[other].folded) and not _is_whole(reading, place, other)
        for other in beside
    ):
        return Verdict.GONE
    for other in beside:
        is_unknown = reading.verdicts[other] is Verdict.UNKNOWN
        speaks_before = other < place and words[0] in load_context().speak_of_persons
        is_listed = other > place and is_unknown and ("," in reading.gap(place) or "^" in reading.gap(place))
        if speaks_before or is_listed or (other < place and is_unknown and partners is not None):
            return Verdict.GONE
    return Verdict.KEEP


def _is_whole(reading: Reading, place: int, other: int) -> bool:
    """Whether the name that begins beside a word is whole without it: POST Oliver Smith, of a patient Smith^Oliver."""
    beyond = 2 * other - place
    return {other, beyond} <= reading.mine and reading.is_close(min(other, beyond))


def _belongs_to_name(reading: Reading, place: int, gone: tuple[Verdict, ...]) -> bool:
    """Whether a word is an initial beside a name that went, or a particle before one."""
    folded = reading.words[place].folded
    names = [
        other for other in reading.beside(place) if reading.verdicts[other] in gone and reading.words[other].is_letters
    ]
    if folded in load_context().particles and place + 1 in names:
        return True
    if len(folded) > 1 or not folded.isalpha():
        return False
    # Without a point behind it a letter is an initial where the name beside it is written like one.
    return bool(names) and (
        reading.behind(place) in _BEHIND_INITIALS or any(reading.words[other].text.istitle() for other in names)
    )
