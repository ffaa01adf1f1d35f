"""What a cleaned text may look like: words of the source in their order, none that names somebody, and moved dates.

Told again here, apart from the editor: which attributes name somebody, what a word is, what a number may be. Which
words a vocabulary knows is not asked.

Public names: ``IDENTIFYING``, ``Around``, ``CleanedTexts``, ``OwnWords``, ``own_words``, ``fault_of``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from deidflow.tasks.core.dicom.tags import SPECIFIC_CHARACTER_SET, dictionary_vr
from deidflow.tasks.verification.character_sets import decoded
from deidflow.tasks.verification.cleaned.concepts import kind_of_concept
from deidflow.tasks.verification.cleaned.dates import has_left_day
from deidflow.tasks.verification.leaks.common_words import fold

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from deidflow.tasks.verification.permitted import Permitted
    from deidflow.tasks.verification.reader import Element, Item, Read

_HAN_OR_KANA: Final = (
    "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\ue000-\ufaff\u3005\U00020000-\U0003ffff\U000f0000-\U0010ffff"
)
"""With private use, and planes 2 and 3, whose latest characters an older Python takes for no letters."""
_WORD: Final = re.compile(rf"[{_HAN_OR_KANA}]+|[^\W_{_HAN_OR_KANA}]+")
_RUN: Final = re.compile(rf"[{_HAN_OR_KANA}]+|[^\W\d_{_HAN_OR_KANA}]+|\d+")
_DELIMITERS: Final = frozenset(map(ord, "^=\\\r\n\t\f"))
_MAX_BYTES: Final = 1 << 14
_SHORTEST_NAME: Final = 3
_MOST_DIGITS: Final = 4
_DIGITS_OF_DATE: Final = 8
_DIGITS: Final = re.compile(r"\d+")
_ADDRESS: Final = re.compile(r"[\w.+-]@\w|://[^\W_]|\d(?:\.\d+){3}")
"""Not "Thorax @ 3 mm"; with telephone numbers, UIDs and network addresses in points."""
_MONTHS: Final = frozenset({"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"})
_DATE_PART: Final = re.compile(r"\d{1,2}|\d{4}|\d{8}|" + "|".join(sorted(_MONTHS)))
IDENTIFYING: Final = (
    *(0x00080050, 0x00080080, 0x00080081, 0x00081040, 0x00100020, 0x00101000, 0x00101040, 0x00101090, 0x00102154),
    *(0x00380010, 0x00400253),
)
"""AccessionNumber, institution's name, address and department, PatientID, OtherPatientIDs, the patient's address,
record and telephone number, AdmissionID, PerformedProcedureStepID."""

_FEWEST_CHARACTERS: Final = 4
_NOBODY: Final = frozenset({"anonymous", "anonymized", "none", "unknown", "removed", "n/a", "na", "other"})
_AROUND_NAMES: Final = " \t\r\n\f^="
_PARTS_OF_NAMES: Final = frozenset(
    {
        *("and", "bin", "das", "del", "den", "der", "des", "dos", "het", "ibn", "mrs", "phd", "prof", "ten", "ter"),
        *("the", "und", "van", "von", "zum", "zur"),
    }
)


class OwnWords(NamedTuple):
    """What no text of a result may hold.

    Attributes:
        names: Words of persons' names, folded.
        numbers: Identifiers and places, each as its words in a row.

    """

    names: frozenset[str]
    numbers: frozenset[tuple[str, ...]]


class Around(NamedTuple):
    """What the texts at top level are judged by.

    Attributes:
        own: What the source names.
        charsets: What source and result declare there.

    """

    own: OwnWords
    charsets: tuple[bytes, bytes]

    @staticmethod
    def of(source: Read, result: Read, permitted: Permitted) -> Around:
        """Return that of a source and its result, read to their ends."""
        charsets = _charset_of(source, source.elements, b""), _charset_of(result, result.elements, b"")
        return Around(own_words(source, permitted.keeps), charsets)


def own_words(source: Read, kept: Collection[int]) -> OwnWords:
    """Return what a source names at any depth.

    Args:
        source: Read to its end.
        kept: Attributes that an option keeps, so that their values may stand in texts, too.

    """
    names: set[str] = set()
    numbers: set[tuple[str, ...]] = set()
    for tag, vr, raw, charset in _values(source, source.elements, b""):
        if "PN" in (vr, dictionary_vr(tag)):
            text = _decoded(raw, charset)
            if text.strip(_AROUND_NAMES).lower() not in _NOBODY:
                names.update(word for word in _folded(text) if len(word) >= _SHORTEST_NAME)
        elif tag in IDENTIFYING and tag not in kept:
            text = _decoded(raw, charset)
            if text.lower() not in _NOBODY and len(text) >= _FEWEST_CHARACTERS:
                numbers.add(tuple(_folded(text)))
    return OwnWords(frozenset(names - _PARTS_OF_NAMES), frozenset(numbers - {()}))


def _values(read: Read, elements: Item, charset: bytes) -> Iterator[tuple[int, str, bytes, bytes]]:
    """Yield tag, VR, value and character set of what may name somebody."""
    charset = _charset_of(read, elements, charset)
    for tag, vr, start, end, items in elements:
        if items:
            for item in items:
                yield from _values(read, item, charset)
        elif (vr == b"PN" or tag in IDENTIFYING or dictionary_vr(tag) == "PN") and 0 < end - start <= _MAX_BYTES:
            yield tag, vr.decode("latin-1"), read.value(start, end), charset


def _charset_of(read: Read, elements: Item, above: bytes) -> bytes:
    """Return the value of SpecificCharacterSet that holds for a dataset."""
    for tag, _, start, end, _ in elements:
        if tag == SPECIFIC_CHARACTER_SET:
            return read.value(start, end).strip(b" \0")
    return above


def _decoded(raw: bytes, charset: bytes) -> str:
    """Return a text without padding; what a character set does not know is replaced or left out."""
    raw = raw.strip(b" \0")
    if raw.isascii() and b"\x1b" not in raw:
        return raw.decode("ascii")
    return decoded(raw, charset, _DELIMITERS)


def _folded(text: str) -> list[str]:
    return [fold(word) for word in _WORD.findall(text)]


def fault_of(before: str, after: str, own: OwnWords, *, moves_dates: bool, is_code: bool) -> str:
    """Return what is wrong with a cleaned text, going on after "the text of ..."; "" for nothing.

    Args:
        before: The text of the source.
        after: That of the result.
        own: What the source names.
        moves_dates: Whether dates may be other ones.
        is_code: Whether it may be one of a coding scheme, whose numbers are nobody's.

    """
    words = _folded(after)
    names = {*words, *map(fold, _RUN.findall(after))} - (_MONTHS if moves_dates else frozenset())
    if not own.names.isdisjoint(names):
        return "still names a person"
    for number in own.numbers:
        if number[0] in words and any(
            tuple(words[place : place + len(number)]) == number for place in range(len(words))
        ):
            return "still has an identifier or a place of the source"
    if not is_code:
        numbers = [run for word in words for run in _DIGITS.findall(word) if len(run) > _MOST_DIGITS]
        if any(not (moves_dates and len(run) == _DIGITS_OF_DATE) for run in numbers) or _ADDRESS.search(after):
            return "still has a number or an address"
        if has_left_day(before, after, moves=moves_dates):
            return "still has a date"
    return "" if _comes_from(before, after, moves_dates=moves_dates) else "is not made of the source's words"


def _comes_from(before: str, after: str, *, moves_dates: bool) -> bool:
    """Whether the words of a text are those of another, with some left out, and dates that were moved."""
    left = _RUN.findall(before)
    at = 0
    for run in _RUN.findall(after):
        if moves_dates and _DATE_PART.fullmatch(run.casefold()):
            continue  # a day that it moved to may be a number further on, which is then not yet passed
        try:
            at = left.index(run, at) + 1
        except ValueError:
            if run.isascii() or not any(run in one for one in left):  # of Japanese or Chinese a part may stay
                return False
    return True


class CleanedTexts:
    """The cleaned texts of a source and its result, dataset by dataset."""

    def __init__(self, source: Read, result: Read, permitted: Permitted, around: Around | None = None) -> None:
        """Take both, read to their ends, or with what is around the texts of their top level."""
        self._source, self._result, self._permitted = source, result, permitted
        self._own = around.own if around is not None else None
        self._charsets = [around.charsets if around is not None else (b"", b"")]
        self._kinds: list[str] = [""]

    def enter(self, before: Item, after: Item, *, cleaned: bool) -> None:
        """Begin with a dataset, which may declare a character set, and name a concept where its texts are cleaned."""
        self._kinds.append(kind_of_concept(self._source, before) if cleaned else "")
        old, new = self._charsets[-1]
        self._charsets.append((_charset_of(self._source, before, old), _charset_of(self._result, after, new)))

    def leave(self) -> None:
        """End with it."""
        self._charsets.pop()
        self._kinds.pop()

    def fault(self, element: Element, other: Element, *, is_code: bool) -> str:
        """Return what is wrong with a text of the dataset that was entered last; see ``fault_of``."""
        if self._own is None:
            self._own = own_words(self._source, self._permitted.keeps)
        old, new = self._charsets[-1]
        before = _decoded(self._source.value(element[2], element[3]), old)
        after = _decoded(self._result.value(other[2], other[3]), new)
        if before == after and self._kinds[-1] in self._permitted.retained_kinds:
            return ""
        return fault_of(before, after, self._own, moves_dates=self._permitted.moves_dates, is_code=is_code)
