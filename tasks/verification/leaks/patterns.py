"""Parts of identifying values as bytes, in every notation and encoding, searched for in one pass.

Public names: ``Patterns``, ``patterns_of``, ``patterns_of_part``, ``FOLDED``.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from ahocorasick_rs import BytesAhoCorasick

from deidflow.tasks.verification.leaks.atoms import atoms_of
from deidflow.tasks.verification.leaks.identifying import codecs_of, text_of
from deidflow.tasks.verification.leaks.notations import notations

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from deidflow.tasks.verification.leaks.atoms import Atom
    from deidflow.tasks.verification.leaks.identifying import Value

FOLDED: Final = bytes(
    byte + 0x20 if 0x41 <= byte <= 0x5A or (0xC0 <= byte <= 0xDE and byte != 0xD7) else byte  # noqa: PLR2004 (capitals of Latin-1)
    for byte in range(256)
)
"""Table for ``bytes.translate``: files and patterns both go through it, so that case makes no difference."""

_EVERYWHERE: Final = ("utf-8", "latin-1")
_WIDE: Final = ("utf-16-le", "utf-16-be")
_LAST_OF_LATIN_1: Final = "\xff"


def patterns_of(value: Value) -> Iterator[tuple[bytes, Atom]]:
    """Yield the folded bytes of each part of a value with the part."""
    for atom in atoms_of(value.kind, text_of(value)):
        for pattern in patterns_of_part(atom, value.character_set):
            yield pattern, atom


@lru_cache(maxsize=8192)
def patterns_of_part(atom: Atom, character_set: bytes) -> tuple[bytes, ...]:
    """Return the folded bytes of a part of a value, in every notation and encoding.

    Args:
        atom: The part.
        character_set: Of the value, see ``Value``.

    """
    declared = codecs_of(character_set) if character_set else ()
    found: list[bytes] = []
    for text in notations(atom):
        if text.isascii():
            found.append(text.encode("ascii"))
            continue
        for written in {text, text.upper(), text.title()}:
            for codec in {*_EVERYWHERE, *declared, *(_WIDE if max(written) > _LAST_OF_LATIN_1 else ())}:
                try:
                    found.append(written.encode(codec).translate(FOLDED))
                except (LookupError, UnicodeError):
                    continue
    return tuple(found)


class Patterns:
    """What is looked for in the results of one study.

    Attributes:
        values: The identifying values.
        by_atom: The values that a part is of.

    """

    def __init__(self, values: Iterable[Value]) -> None:
        """Compile."""
        self.values = frozenset(values)
        by_pattern: dict[bytes, set[Atom]] = {}
        self.by_atom: dict[Atom, set[Value]] = {}
        for value in self.values:
            for pattern, atom in patterns_of(value):
                by_pattern.setdefault(pattern, set()).add(atom)
                self.by_atom.setdefault(atom, set()).add(value)
        self._patterns = [
            (pattern, tuple(sorted(atoms)) if len(atoms) > 1 else tuple(atoms)) for pattern, atoms in by_pattern.items()
        ]
        self._search = BytesAhoCorasick(list(by_pattern)) if by_pattern else None

    def find(self, folded: bytes) -> list[tuple[bytes, tuple[Atom, ...], int]]:
        """Return each pattern that stands in some bytes, with the parts that it stands for and where it begins."""
        if self._search is None:
            return []
        hits = self._search.find_matches_as_indexes(folded, overlapping=True)
        return [(*self._patterns[number], start) for number, start, _ in hits]
