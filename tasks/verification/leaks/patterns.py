"""Parts of identifying values as bytes, in every notation and encoding, searched for in two passes.

The first pass goes over the bytes as they are. The second one goes over letters and digits alone, and so finds what is
written with any punctuation, and characters of 16 bits; what it finds is looked up in the bytes as they are.

Public names: ``Patterns``, ``Pattern``, ``Found``, ``patterns_of``, ``find``, ``FOLDED``.
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
        gap: What may stand between them.

    """

    groups: tuple[bytes, ...]
    gap: Gap = Gap.NONE

    @property
    def key(self) -> bytes:
        """Return its letters and digits."""
        return b"".join(self.groups).translate(None, _PUNCTUATION)


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


def patterns_of(value: Value) -> Iterator[tuple[Pattern, Atom]]:
    """Yield the bytes of each part of a value with the part."""
    declared = codecs_of(value.character_set) if value.character_set else ()
    for atom in atoms_of(value.kind, text_of(value)):
        for groups, gap in notations(atom):
            text = "\n".join(groups)
            if text.isascii():
                yield Pattern(tuple(group.encode("ascii") for group in groups), gap), atom
                continue
            for written in _written(text, atom.sort):
                for codec in {*_EVERYWHERE, *declared, *(_WIDE if max(written) > _LAST_OF_LATIN_1 else ())}:
                    try:
                        parts = tuple(_encoded(group, codec) for group in written.split("\n"))
                    except (LookupError, UnicodeError):
                        continue
                    yield Pattern(parts, gap), atom


def _encoded(text: str, codec: str) -> bytes:
    data = text.encode(codec)
    if codec.startswith("iso2022") and (ended := _BACK.search(data)):
        data = data[: ended.start()]  # to which set it returns is the writer's choice
    return data.translate(FOLDED)


def _written(text: str, sort: Sort) -> set[str]:
    if sort is Sort.DATE:
        return {text}
    return {form for one in (text, unicodedata.normalize("NFD", text)) for form in (one, one.upper(), one.title())}


class Patterns:
    """What is looked for in the results of one study.

    Attributes:
        values: The identifying values.
        by_atom: The values that a part is of.
        beyond_latin: Whether some of it is written in other letters than those of ASCII.

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
        self.beyond_ascii = not all(atom.text.isascii() for atom in self.by_atom)
        self._atoms = {pattern: tuple(sorted(atoms)) for pattern, atoms in found.items()}
        self._exact = [pattern for pattern in found if pattern.gap is Gap.NONE]
        by_key: dict[bytes, list[Pattern]] = {}
        for pattern in found:
            if key := pattern.key:
                by_key.setdefault(key, []).append(pattern)
        self._loose = list(by_key.values())
        self._search = BytesAhoCorasick([pattern.groups[0] for pattern in self._exact]) if self._exact else None
        self._search_loose = BytesAhoCorasick(list(by_key)) if by_key else None

    def find(self, folded: bytes, squeezed: bytes) -> Iterator[Found]:
        """Yield what stands in some bytes.

        Args:
            folded: They.
            squeezed: Their letters and digits.

        """
        if self._search is not None:
            for number, start, end in self._search.find_matches_as_indexes(folded, overlapping=True):
                yield Found(self._atoms[self._exact[number]], start, end, wide=False)
        if self._search_loose is not None:
            hits = self._search_loose.find_matches_as_indexes(squeezed, overlapping=True)
            for number in {number for number, _, _ in hits}:
                for pattern in self._loose[number]:
                    yield from _places(folded, pattern, self._atoms[pattern])


def find(data: bytes, patterns: Patterns, single: list[tuple[Pattern, Atom]]) -> tuple[bytes, list[Found]]:
    """Return some bytes folded, and what stands in them.

    Args:
        data: To search.
        patterns: Compiled.
        single: Further ones, looked for one by one.

    """
    folded = data.translate(FOLDED)
    squeezed = folded.translate(None, _PUNCTUATION)
    found = list(patterns.find(folded, squeezed))
    for pattern, atom in single:
        if pattern.key and pattern.key not in squeezed:
            continue
        if pattern.gap is Gap.NONE:
            found += [
                Found((atom,), *one.span(), wide=False) for one in re.finditer(re.escape(pattern.groups[0]), folded)
            ]
        found += _places(folded, pattern, (atom,))
    return folded, found


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
