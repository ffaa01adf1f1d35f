"""Parts of identifying values as bytes, in every notation and encoding.

What is written in one way only is looked for in the bytes as they are, and without those that are zero (characters of
16 bits). What may have any punctuation is looked for in letters and digits alone; where its bytes stand there, it is
looked up in the bytes as they are.

Public names: ``Pattern``, ``Found``, ``Patterns``, ``patterns_of``, ``patterns_of_part``, ``find``, ``squeezed``,
``FOLDED``.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from ahocorasick_rs import BytesAhoCorasick

from deidflow.tasks.verification.character_sets import codecs_of, national_codecs
from deidflow.tasks.verification.leaks.atoms import Sort, atoms_of
from deidflow.tasks.verification.leaks.identifying import text_of
from deidflow.tasks.verification.leaks.notations import Gap, notations

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from deidflow.tasks.verification.leaks.atoms import Atom
    from deidflow.tasks.verification.leaks.identifying import Value

FOLDED: Final = bytes(
    byte + 0x20 if 0x41 <= byte <= 0x5A or (0xC0 <= byte <= 0xDE and byte != 0xD7) else byte  # noqa: PLR2004 (capitals of Latin-1)
    for byte in range(256)
)
"""Table for ``bytes.translate``: files and patterns both go through it, so that case makes no difference."""

_BETWEEN: Final = {
    Gap.NONE: b"",
    Gap.TEXT: rb"[^\0\\0-9a-z\x80-\xff]{0,4}",
    Gap.NUMBER: rb"[-_./:, ()]{0,3}",
    Gap.CLOCK: rb"[-_.: ]{0,1}",
    Gap.DAY: rb"[-_./:, ]{0,3}",
    Gap.APART: rb"[-_./:, ]{1,3}",
}
"""Regular expressions of one byte, with how often. None goes over a NUL byte, and so over the header of an element; the
search in a series (``series/windows.py``) relies on that."""
_PUNCTUATION: Final = bytes(byte for byte in range(0x80) if not chr(byte).isalnum())
_EVERYWHERE: Final = ("utf-8", "latin-1")
_WIDE: Final = ("utf-16-le", "utf-16-be")
_FEWEST_BYTES: Final = 3
"""Two kana of half width are two bytes, which stand in any text of Chinese, Japanese, Korean or Russian."""
_BACK: Final = re.compile(rb"\x1b\([A-Z]\Z")
_LAST_OF_LATIN_1: Final = "\xff"


class Pattern(NamedTuple):
    """Bytes to look for.

    Attributes:
        key: What certainly stands in a text that holds it: in bytes that are not zero, or in letters and digits alone.
        groups: Folded, in their order.
        gap: What may stand between them; where that is nothing, there is one group.

    """

    key: bytes
    groups: tuple[bytes, ...]
    gap: Gap


class Found(NamedTuple):
    """Bytes that equal a pattern.

    Attributes:
        atoms: What it stands for.
        start: Where they begin.
        end: Where they end.
        wide: Whether they are characters of 16 bits.

    """

    atoms: tuple[Atom, ...]
    start: int
    end: int
    wide: bool


def squeezed(folded: bytes) -> bytes:
    """Return the letters and digits of some bytes, all that are not ASCII among them."""
    return folded.translate(None, _PUNCTUATION)


def patterns_of(value: Value) -> Iterator[tuple[Pattern, Atom]]:
    """Yield the bytes of each part of a value with the part."""
    for atom in atoms_of(value.kind, text_of(value)):
        for pattern in patterns_of_part(atom, value.character_set):
            yield pattern, atom


@lru_cache(maxsize=8192)
def patterns_of_part(atom: Atom, character_set: bytes) -> tuple[Pattern, ...]:
    """Return the bytes of a part of a value, in every notation and encoding.

    Args:
        atom: The part.
        character_set: Of the value, see ``Value``.

    """
    declared = set(codecs_of(character_set)) if character_set else set()
    found: dict[tuple[tuple[bytes, ...], Gap], None] = {}
    for groups, gap in notations(atom):
        text = "\n".join(groups)
        if text.isascii():
            found[tuple(text.encode("ascii").split(b"\n")), gap] = None
            continue
        for written in _written(text, atom.sort):
            wide = _WIDE if max(written) > _LAST_OF_LATIN_1 else ()
            for codec in declared.union(_EVERYWHERE, wide, national_codecs(written)):
                try:
                    parts = tuple(_encoded(group, codec) for group in written.split("\n"))
                except (LookupError, UnicodeError):
                    continue
                found[parts, gap] = None
    made = (Pattern(groups[0] if gap is Gap.NONE else squeezed(b"".join(groups)), groups, gap) for groups, gap in found)
    return tuple(pattern for pattern in made if len(pattern.key) >= _FEWEST_BYTES)


def _encoded(text: str, codec: str) -> bytes:
    data = text.encode(codec)
    if codec.startswith("iso2022") and (ended := _BACK.search(data)):
        data = data[: ended.start()]  # to which set it returns is the writer's choice
    return data.translate(FOLDED)


def _written(text: str, sort: Sort) -> set[str]:
    if sort in {Sort.DATE, Sort.AS_WRITTEN}:
        return {text}
    return {form for one in (text, unicodedata.normalize("NFD", text)) for form in (one, one.upper(), one.title())}


class Patterns:
    """What is looked for in the results of one study.

    Attributes:
        values: The identifying values.
        by_atom: The values that a part is of.
        longest_with_nul: Bytes of the longest pattern that has NUL bytes; 0 where none has.

    """

    def __init__(self, values: Iterable[Value]) -> None:
        """Compile."""
        self.values = frozenset(values)
        exact: dict[bytes, set[Atom]] = {}
        loose: dict[bytes, dict[Pattern, set[Atom]]] = {}
        self.by_atom: dict[Atom, set[Value]] = {}
        for value in self.values:
            for atom in atoms_of(value.kind, text_of(value)):
                self.by_atom.setdefault(atom, set()).add(value)
                for pattern in patterns_of_part(atom, value.character_set):
                    if pattern.gap is Gap.NONE:
                        exact.setdefault(pattern.key, set()).add(atom)
                    else:
                        loose.setdefault(pattern.key, {}).setdefault(pattern, set()).add(atom)
        self.longest_with_nul = max((len(key) for key in exact if b"\0" in key), default=0)
        self._exact = [(key, _sorted(atoms)) for key, atoms in exact.items()]
        self._loose = [[(pattern, _sorted(atoms)) for pattern, atoms in found.items()] for found in loose.values()]
        self._search = BytesAhoCorasick(list(exact)) if exact else None
        self._search_loose = BytesAhoCorasick(list(loose)) if loose else None

    def _exact_hits(self, data: bytes) -> list[tuple[int, int, int]]:
        return [] if self._search is None else self._search.find_matches_as_indexes(data, overlapping=True)

    def _loose_hits(self, letters: bytes) -> set[int]:
        """Return the numbers of the patterns whose letters and digits stand in some."""
        if self._search_loose is None:
            return set()
        return {number for number, _, _ in self._search_loose.find_matches_as_indexes(letters, overlapping=True)}

    @cached_property
    def _sieve(self) -> BytesAhoCorasick | None:
        """What finds the letters and digits of all patterns; None where one of them has neither."""
        keys = {squeezed(key) for key, _ in self._exact}.union(pattern.key for one in self._loose for pattern, _ in one)
        return None if b"" in keys else BytesAhoCorasick(list(keys))

    def may_stand_in(self, letters: bytes) -> bool:
        """Whether some bytes are to be searched, told in a quarter of the time; where not, nothing is a candidate.

        Args:
            letters: The letters and digits of the bytes, see ``squeezed``: what stands in a row there does so here.

        """
        return self._sieve is None or bool(self._sieve.find_matches_as_indexes(letters))

    def candidates(self, folded: bytes, narrow: bytes, letters: bytes) -> list[tuple[Atom, ...]]:
        """Return the parts that may stand in some bytes; no others do.

        Args:
            folded: They.
            narrow: Without those that are zero.
            letters: Their letters and digits.

        """
        hits = self._exact_hits(folded)
        if len(narrow) < len(folded):
            hits += self._exact_hits(narrow)
        found = [self._exact[number][1] for number, _, _ in hits]
        for number in self._loose_hits(letters):
            found += [atoms for _, atoms in self._loose[number]]
        return found

    def find(self, folded: bytes, narrow: bytes, letters: bytes) -> Iterator[Found]:
        """Yield what stands in some bytes; see ``candidates``."""
        for number, start, end in self._exact_hits(folded):
            yield Found(self._exact[number][1], start, end, wide=False)
        if len(narrow) < len(folded):
            for number in {number for number, _, _ in self._exact_hits(narrow)}:
                key, atoms = self._exact[number]
                yield from _places(folded, Pattern(key, (key,), Gap.NONE), atoms)
        for number in self._loose_hits(letters):
            for pattern, atoms in self._loose[number]:
                yield from _places(folded, pattern, atoms)


def _sorted(atoms: set[Atom]) -> tuple[Atom, ...]:
    return tuple(sorted(atoms)) if len(atoms) > 1 else tuple(atoms)


def find(data: bytes, patterns: Patterns, single: list[tuple[Pattern, Atom]]) -> tuple[bytes, list[Found]]:
    """Return some bytes folded, and what stands in them.

    Args:
        data: To search.
        patterns: Compiled.
        single: Further ones, looked for one by one.

    """
    folded = data.translate(FOLDED)
    narrow = folded.replace(b"\0", b"")
    letters = squeezed(narrow)
    found = list(patterns.find(folded, narrow, letters))
    for pattern, atom in single:
        if pattern.gap is not Gap.NONE:
            if pattern.key in letters:
                found += _places(folded, pattern, (atom,))
            continue
        found += _exact_places(folded, pattern.groups[0], (atom,))
        if pattern.groups[0] in narrow:
            found += _places(folded, pattern, (atom,))
    return folded, found


def _exact_places(folded: bytes, own: bytes, atoms: tuple[Atom, ...]) -> Iterator[Found]:
    start = folded.find(own)
    while start >= 0:
        yield Found(atoms, start, start + len(own), wide=False)
        start = folded.find(own, start + 1)


def _places(folded: bytes, pattern: Pattern, atoms: tuple[Atom, ...]) -> Iterator[Found]:
    narrow, wide = _expressions(pattern)
    for expression in (narrow, wide):
        if expression is not None:
            for one in expression.finditer(folded):
                yield Found(atoms, *one.span(), wide=expression is wide)


@lru_cache(maxsize=1024)
def _expressions(pattern: Pattern) -> tuple[re.Pattern[bytes] | None, re.Pattern[bytes]]:
    """Return what finds a pattern in bytes as they are, and in characters of 16 bits; exact ones only in those."""
    between = _BETWEEN[pattern.gap]
    if pattern.gap is Gap.NONE:
        return None, re.compile(_wide(pattern.groups[0]))
    one, _, often = between.partition(b"]")
    narrow = _joined([re.escape(group) for group in pattern.groups], between, pattern.gap)
    wide_gap = rb"(?:" + one + rb"]\x00)" + often
    wide = _joined([_wide(group) for group in pattern.groups], wide_gap, pattern.gap, rb"\x00")
    return re.compile(narrow), re.compile(wide)


def _joined(groups: list[bytes], between: bytes, gap: Gap, zero: bytes = b"") -> bytes:
    if gap not in {Gap.DAY, Gap.APART}:
        return (zero + between).join(groups)
    first, second, third = groups
    return first + zero + b"(?P<gap>" + between + b")" + second + zero + b"(?P=gap)" + third


def _wide(group: bytes) -> bytes:
    return rb"\x00".join(re.escape(bytes([byte])) for byte in group)
