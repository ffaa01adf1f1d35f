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
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from ahocorasick_rs import BytesAhoCorasick

from deidflow.tasks.verification.leaks.atoms import Sort, atoms_of
from deidflow.tasks.verification.leaks.identifying import codecs_of, text_of
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

_PUNCTUATION: Final = bytes(byte for byte in range(0x80) if not chr(byte).isalnum())
_EVERYWHERE: Final = ("utf-8", "latin-1")
_WIDE: Final = ("utf-16-le", "utf-16-be")
_BACK: Final = re.compile(rb"\x1b\([A-Z]\Z")
_LAST_OF_LATIN_1: Final = "\xff"


class Pattern(NamedTuple):
    """Bytes to look for.

    Attributes:
        groups: Folded, in their order.
        gap: What may stand between them; where that is nothing, there is one group.

    """

    groups: tuple[bytes, ...]
    gap: Gap = Gap.NONE

    @property
    def key(self) -> bytes:
        """Return what certainly stands in a text that holds it: in NUL-free bytes, or in letters and digits alone."""
        return self.groups[0] if self.gap is Gap.NONE else squeezed(b"".join(self.groups))

    @property
    def has_nul(self) -> bool:
        """Whether it cannot be looked for in NUL-free bytes."""
        return self.gap is Gap.NONE and b"\0" in self.groups[0]


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
    declared = codecs_of(character_set) if character_set else ()
    found: dict[Pattern, None] = {}
    for groups, gap in notations(atom):
        text = "\n".join(groups)
        if text.isascii():
            found[Pattern(tuple(group.encode("ascii") for group in groups), gap)] = None
            continue
        for written in _written(text, atom.sort):
            for codec in {*_EVERYWHERE, *declared, *(_WIDE if max(written) > _LAST_OF_LATIN_1 else ())}:
                try:
                    parts = tuple(_encoded(group, codec) for group in written.split("\n"))
                except (LookupError, UnicodeError):
                    continue
                found[Pattern(parts, gap)] = None
    return tuple(found)


def _encoded(text: str, codec: str) -> bytes:
    data = text.encode(codec)
    if codec.startswith("iso2022") and (ended := _BACK.search(data)):
        data = data[: ended.start()]  # to which set it returns is the writer's choice
    return data.translate(FOLDED)


def _written(text: str, sort: Sort) -> set[str]:
    if sort is Sort.DATE:
        return {text}
    return {form for one in (text, unicodedata.normalize("NFD", text)) for form in (one, one.upper(), one.title())}


class _Index:
    """Patterns by their keys."""

    def __init__(self, patterns: Iterable[Pattern]) -> None:
        by_key: dict[bytes, list[Pattern]] = {}
        for pattern in patterns:
            if key := pattern.key:
                by_key.setdefault(key, []).append(pattern)
        self._patterns = list(by_key.values())
        self._search = BytesAhoCorasick(list(by_key)) if by_key else None

    def hits(self, data: bytes) -> list[tuple[int, int, int]]:
        """Return the number of each key that stands in some bytes, where it begins and ends."""
        return [] if self._search is None else self._search.find_matches_as_indexes(data, overlapping=True)

    def at(self, number: int) -> list[Pattern]:
        """Return the patterns that a key is of."""
        return self._patterns[number]

    def in_any(self, data: bytes) -> Iterator[Pattern]:
        """Yield the patterns whose keys stand in some bytes."""
        for number in {number for number, _, _ in self.hits(data)}:
            yield from self._patterns[number]


class Patterns:
    """What is looked for in the results of one study.

    Attributes:
        values: The identifying values.
        by_atom: The values that a part is of.
        in_ascii: Whether all of it is written in ASCII.

    """

    def __init__(self, values: Iterable[Value]) -> None:
        """Compile."""
        self.values = frozenset(values)
        found: dict[Pattern, set[Atom]] = {}
        self.by_atom: dict[Atom, set[Value]] = {}
        for value in self.values:
            for pattern, atom in patterns_of(value):
                found.setdefault(pattern, set()).add(atom)
                self.by_atom.setdefault(atom, set()).add(value)
        self.in_ascii = all(atom.text.isascii() for atom in self.by_atom)
        self._atoms = {
            pattern: tuple(sorted(atoms)) if len(atoms) > 1 else tuple(atoms) for pattern, atoms in found.items()
        }
        self._exact = _Index(pattern for pattern in found if pattern.gap is Gap.NONE)
        self._loose = _Index(pattern for pattern in found if pattern.gap is not Gap.NONE)

    def candidates(self, folded: bytes, narrow: bytes) -> Iterator[tuple[Atom, ...]]:
        """Yield the parts that may stand in some bytes; what is not yielded does not.

        Args:
            folded: They.
            narrow: Without those that are zero.

        """
        for data in (folded, narrow) if len(narrow) < len(folded) else (folded,):
            yield from (self._atoms[pattern] for pattern in self._exact.in_any(data))
        yield from (self._atoms[pattern] for pattern in self._loose.in_any(squeezed(narrow)))

    def find(self, folded: bytes, narrow: bytes) -> Iterator[Found]:
        """Yield what stands in some bytes.

        Args:
            folded: They.
            narrow: Without those that are zero.

        """
        for number, start, end in self._exact.hits(folded):
            yield from (Found(self._atoms[pattern], start, end, wide=False) for pattern in self._exact.at(number))
        if len(narrow) < len(folded):
            for pattern in self._exact.in_any(narrow):
                yield from _places(folded, pattern, self._atoms[pattern])
        for pattern in self._loose.in_any(squeezed(narrow)):
            yield from _places(folded, pattern, self._atoms[pattern])


def find(data: bytes, patterns: Patterns, single: list[tuple[Pattern, Atom]]) -> tuple[bytes, list[Found]]:
    """Return some bytes folded, and what stands in them.

    Args:
        data: To search.
        patterns: Compiled.
        single: Further ones, looked for one by one.

    """
    folded = data.translate(FOLDED)
    narrow = folded.replace(b"\0", b"")
    found = list(patterns.find(folded, narrow))
    letters = squeezed(narrow) if single else b""
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
    between = pattern.gap.value
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
