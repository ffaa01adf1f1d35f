"""Free text without what identifies: own values first, then forms, then every word that no vocabulary knows.

Nothing here guesses what is a name. Whatever is not known to be harmless goes; what that costs is measured in
``docs/text-cleaning.md``.

Public names: ``TextCleaner``, ``Cleaned``, ``Unknown``, ``is_harmless_number``.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from enum import Enum
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from deidflow.tasks.local.deidentification.text.context import load_context
from deidflow.tasks.local.deidentification.text.other_sets import in_other_sets
from deidflow.tasks.local.deidentification.text.own_values import OwnValues
from deidflow.tasks.local.deidentification.text.patterns import Edit, pattern_edits
from deidflow.tasks.local.deidentification.text.persons import Reading, Verdict, judge_beside
from deidflow.tasks.local.deidentification.text.vocabulary import Standing, Vocabulary, load_vocabulary, without_mark
from deidflow.tasks.local.deidentification.text.words import UNSPACED, Word, fold, in_ascii, words_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Unknown(Enum):
    """What happens to a word that no vocabulary knows and nothing else speaks against: ``text.unknown`` of a config."""

    REMOVE = "remove"
    REVIEW = "review"


class Cleaned(NamedTuple):
    """A cleaned text.

    Attributes:
        text: What is left; the very same text where nothing went.
        removed: How many words, numbers and other stretches went or were moved.
        to_review: With ``Unknown.REVIEW``: the words that stayed although no vocabulary knows them.

    """

    text: str
    removed: int
    to_review: tuple[str, ...] = ()


_OF_STANDING: Final = {
    Standing.KNOWN: Verdict.KEEP,
    Standing.UNKNOWN: Verdict.UNKNOWN,
    Standing.ALSO_A_NAME: Verdict.WEAK,
    Standing.BESIDE: Verdict.WEAK,
    Standing.ABBREVIATION: Verdict.ABBREVIATED,
}
_RUNS: Final = re.compile(r"\d+|\D+")
_MARKED_PARAMETER: Final = re.compile(r"[a-z][A-Z]\d")
"""One small letter before a parameter says which kind of image it is."""
_MOST_DIGITS: Final = 4
"""Numbers with five digits or more are somebody's."""
_MOST_DIGITS_IN_CODE: Final = 3
_MOST_NUMBERS_BESIDE_LETTERS: Final = 2
_MOST_DIGITS_BESIDE_LETTERS: Final = 2
"""Where no word of a code is known, just single letters: L5S1 and T12L1 are places, P739 and X4T9P2 are somebody's."""
_MOST_CHARACTERS: Final = 10240
"""An LT has no more (PS3.5 table 6.2-1). Longer texts are cleaned line by line, since the time that a text takes grows
faster than its length."""
_ROUND: Final = "00"
_YEAR: Final = re.compile(r"18[5-9]\d|19\d\d|20[0-3]\d")
_LOOSE_ENDS: Final = " \t,;:^_-/.#=&|@'\u2019\""
_LOOSE_POINTS: Final = re.compile("(?<=\\s)[.,;:^'\u2019]+(?=\\s|$)")
_EMPTY_BRACKETS: Final = re.compile(r"\(\s*\)|\[\s*\]|\{\s*\}|<\s*>")
_BLANKS: Final = re.compile(r"[ \t]{2,}")


_NOBODY: Final = OwnValues()


@lru_cache(maxsize=16384)
def _folded_words(text: str) -> tuple[str, ...]:
    return tuple(word.folded for word in words_of(text))


class TextCleaner:
    """Cleans texts by one vocabulary; equal texts of one series are cleaned once."""

    def __init__(self, vocabulary: Vocabulary | None = None, *, unknown: Unknown = Unknown.REMOVE) -> None:
        """Choose the vocabulary.

        Args:
            vocabulary: What is kept; None for the built-in one.
            unknown: What happens to other words.

        """
        self._vocabulary: Final = vocabulary or load_vocabulary()
        self._unknown: Final = unknown
        self._remembered: Final = lru_cache(maxsize=16384)(self._clean)

    def clean(self, text: str, own: OwnValues | None = None, days: int | None = None) -> Cleaned:
        """Clean one text.

        Args:
            text: Decoded; several values joined by backslashes are fine.
            own: What the identifying attributes of the instance and of its series say.
            days: What to add to dates (modified dates); None removes them.

        Returns:
            What is left. It may be empty.

        """
        # Protocols have the same texts for all patients: what nothing of this one is in needs no second look.
        if own is None or not (self.may_name(text, own) or (days is not None and own.births)):
            return self._remembered(text, _NOBODY, days)
        return self._remembered(text, own, days)

    @staticmethod
    def may_name(text: str, own: OwnValues | None) -> bool:
        """Whether a word of a text may be, or be part of, what the identifying attributes of the instance say."""
        return own is not None and own.is_in(_folded_words(text))

    def _clean(self, text: str, own: OwnValues, days: int | None) -> Cleaned:
        if len(text) <= _MOST_CHARACTERS:
            return self._clean_passage(text, own, days)
        passages = [self._line(line, own, days) for line in text.split("\n")]
        removed, review = sum(one.removed for one in passages), [word for one in passages for word in one.to_review]
        return Cleaned("\n".join(one.text for one in passages), removed, tuple(review))

    def _line(self, line: str, own: OwnValues, days: int | None) -> Cleaned:
        """Clean a line of a long text; nothing of one is left that is longer than any that people write."""
        return self._clean_passage(line, own, days) if len(line) <= _MOST_CHARACTERS else Cleaned("", 1)

    def _clean_passage(self, text: str, own: OwnValues, days: int | None) -> Cleaned:
        plain = in_ascii(text)
        edits = pattern_edits(plain, days, own.births, in_other_sets(text))
        words = list(_pieces(plain, edits))
        mine = own.hits([word.folded for word in words])
        reading = Reading(plain, words, list(self._alone(words, own, edits, mine)), mine)
        judge_beside(reading, self._vocabulary, unknown_goes=self._unknown is Unknown.REMOVE)
        review: list[str] = []
        for word, verdict in zip(words, reading.verdicts, strict=True):
            if verdict is Verdict.UNKNOWN and self._unknown is Unknown.REVIEW:
                review.append(word.text)
            elif verdict in (Verdict.UNKNOWN, Verdict.GONE):
                edits.extend(self._cut(word, own))
        if not edits:
            return Cleaned(text, 0, tuple(review))
        return Cleaned(_tidied(_applied(text, edits)), len(edits), tuple(review))

    def _alone(self, words: list[Word], own: OwnValues, edits: list[Edit], mine: set[int]) -> Iterator[Verdict]:
        """Judge each word by itself; those at the places ``mine`` are own values."""
        before = ""
        covered = bytearray(edits[-1].end if edits else 0)
        for edit in edits:
            covered[edit.start : edit.end] = b"\1" * (edit.end - edit.start)
        for place, word in enumerate(words):
            if place in mine or own.stretches(word.text) or self._carries_own(word, own):
                yield Verdict.GONE
            elif any(covered[word.start : word.end]):
                yield Verdict.COVERED
            elif word.is_letters:
                is_letter = len(word.folded) == 1 and word.folded.isascii()
                yield Verdict.KEEP if is_letter else self._of_letters(word, own)
            else:
                is_harmless = (
                    is_harmless_number(word, before) if word.folded.isdigit() else self._is_harmless_code(word)
                )
                yield Verdict.KEEP if is_harmless else Verdict.GONE
            before = word.folded

    def _of_letters(self, word: Word, own: OwnValues) -> Verdict:
        verdict = _OF_STANDING[self._vocabulary.standing(word.text)]
        is_own = (verdict is Verdict.ABBREVIATED and word.folded in own.abbreviations) or (
            verdict is Verdict.UNKNOWN and word.folded in own.parts
        )
        return Verdict.GONE if is_own else verdict

    def _carries_own(self, word: Word, own: OwnValues) -> bool:
        """Head1, HeadRoutine and dHEAD, of a patient called Head; but not header."""
        known = self._vocabulary.standing
        marked = without_mark(word.text)
        if marked and own.hits([marked]):
            return True
        return any(not rest or known(rest) is Standing.KNOWN for rest in own.compounds(word.folded))

    def _is_harmless_code(self, word: Word) -> bool:
        """T2w, 3D, B50f, 120kV, 0x64, b1000, sB800: letters that are known, and few digits."""
        if self._vocabulary.is_listed_code(word.folded):
            return True
        runs: list[str] = _RUNS.findall(word.folded)
        if not runs:  # a mark whose letter has gone, or that has none (U+FF9E)
            return False
        if _MARKED_PARAMETER.match(word.text):
            runs[0] = runs[0][1:]
        letters = [run for run in runs if not run.isdigit()]
        digits = [len(run) for run in runs if run.isdigit()]
        context = load_context()
        is_parameter = len(letters) == len(digits) == 1 and runs[0] in context.before_numbers
        is_measured = runs[0].isdigit() and context.units.issuperset(letters)
        if is_measured or is_parameter:
            return max(digits, default=0) <= _MOST_DIGITS
        if sum(digits) > _MOST_DIGITS_IN_CODE:
            return False
        written = [run for run in _RUNS.findall(word.text) if not run.isdigit()]
        words = [run for run in written if len(run) > 1]
        if not words:
            return len(digits) <= _MOST_NUMBERS_BESIDE_LETTERS and max(digits, default=0) <= _MOST_DIGITS_BESIDE_LETTERS
        return all(self._vocabulary.standing(run) is Standing.KNOWN for run in words)

    def _cut(self, word: Word, own: OwnValues) -> Iterator[Edit]:
        """Take a word out; of a run of Japanese or Chinese characters only the own names, if the rest is known."""
        stretches = own.stretches(word.text)
        rest = word.text
        for start, end in stretches:
            rest = rest[:start] + " " * (end - start) + rest[end:]
        is_run = UNSPACED.fullmatch(word.text) is not None
        if stretches and is_run and all(self._vocabulary.standing(part) is Standing.KNOWN for part in rest.split()):
            yield from (Edit(word.start + start, word.start + end, "") for start, end in stretches)
        else:
            yield Edit(word.start, word.end, "")


def _pieces(text: str, edits: list[Edit]) -> Iterator[Word]:
    """Yield the words of a text, cut where an edit begins or ends: of Smith20240301 the date is no word of a name."""
    cuts = sorted({place for edit in edits for place in (edit.start, edit.end)})
    for word in words_of(text):
        inside = cuts[bisect_right(cuts, word.start) : bisect_left(cuts, word.end)]
        if not inside:
            yield word
            continue
        for start, end in pairwise((word.start, *inside, word.end)):
            yield Word(start, end, text[start:end], fold(text[start:end]))


def is_harmless_number(word: Word, before: str) -> bool:
    """Whether a number has so few digits that it tells nobody apart, and is no year; of b-values 2000 follows 1000."""
    is_in_a_row = word.folded.endswith(_ROUND) and before.isdigit() and before.endswith(_ROUND)
    is_year = _YEAR.fullmatch(word.folded) is not None and before not in load_context().before_numbers
    return len(word.folded) <= _MOST_DIGITS and (is_in_a_row or not is_year)


def _applied(text: str, edits: Iterable[Edit]) -> str:
    result, at = "", 0
    for edit in sorted(edits):
        if edit.end > at:
            result = _joined(_joined(result, text[at : edit.start], was_cut=at > 0), edit.replacement, was_cut=False)
            at = edit.end
    return _joined(result, text[at:], was_cut=at > 0)


def _joined(one: str, two: str, *, was_cut: bool) -> str:
    """Join two pieces; a blank keeps words apart between which something was, so that no new word comes about."""
    return f"{one} {two}" if was_cut and one[-1:].isalnum() and two[:1].isalnum() else one + two


def _tidied(text: str) -> str:
    """Take out blanks, brackets and separators that nothing is left between."""
    previous = ""
    while previous != text:
        previous, text = text, _LOOSE_POINTS.sub("", _EMPTY_BRACKETS.sub("", text))
    text = "\\".join(_BLANKS.sub(" ", value).strip(_LOOSE_ENDS) for value in text.split("\\"))
    return text if any(map(str.isalnum, text)) else ""
