"""Conditions on the attributes of an instance, as rules about pixels state them.

Public names: ``Condition``, ``Test``, ``All``, ``AnyOf``, ``Not``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import re
    from collections.abc import Iterator

    from deidflow.tasks.core.pixels.facts import PixelFacts


class Condition(Protocol):
    """Something that holds for an instance or does not."""

    def holds(self, facts: PixelFacts) -> bool:
        """Tell whether it holds."""

    def tags(self) -> Iterator[int]:
        """Yield the attributes that it asks about."""

    def affirmed(self) -> frozenset[int]:
        """Return the attributes that have a value of which something is known wherever it holds."""


@dataclass(frozen=True, slots=True)
class Test:
    """A test of one attribute; it holds if one of several alternatives does.

    Attributes:
        tag: Of an element of the top level.
        patterns: Regular expressions, each for a whole value or for all values joined by a backslash.
        least: The first value is a number of at least this; None for no bound.
        most: The first value is a number of at most this; None for no bound.
        is_present: Whether the element has to be there with a value (True) or must not (False); None for no matter.
        whole: Whether patterns are for all values joined only, those of an absent element being "".

    """

    tag: int
    patterns: tuple[re.Pattern[str], ...] = ()
    least: float | None = None
    most: float | None = None
    is_present: bool | None = None
    whole: bool = False

    def holds(self, facts: PixelFacts) -> bool:
        """Tell whether it holds; without ``whole`` a value that is absent meets no pattern and no bound."""
        text = facts.texts.get(self.tag, "")
        if self.is_present is not None:
            return bool(text.strip("\\ ")) == self.is_present
        if self.least is not None or self.most is not None:
            return self._is_within(text)
        if self.whole:
            return any(pattern.fullmatch(text) for pattern in self.patterns)
        values = (text, *text.split("\\")) if self.tag in facts.texts else ()
        return any(pattern.fullmatch(value) for pattern in self.patterns for value in values)

    def _is_within(self, text: str) -> bool:
        try:
            number = float(text.partition("\\")[0])
        except ValueError:
            return False
        return (self.least is None or number >= self.least) and (self.most is None or number <= self.most)

    def tags(self) -> Iterator[int]:
        """Yield the attribute that it asks about."""
        yield self.tag

    def affirmed(self) -> frozenset[int]:
        """Return its attribute, unless that is to be absent."""
        return frozenset() if self.is_present is False else frozenset((self.tag,))


@dataclass(frozen=True, slots=True)
class All:
    """Every part holds; without parts it holds always."""

    parts: tuple[Condition, ...]

    def holds(self, facts: PixelFacts) -> bool:
        """Tell whether it holds."""
        return all(part.holds(facts) for part in self.parts)

    def tags(self) -> Iterator[int]:
        """Yield the attributes that it asks about."""
        for part in self.parts:
            yield from part.tags()

    def affirmed(self) -> frozenset[int]:
        """Return what any of its parts affirms."""
        return frozenset().union(*(part.affirmed() for part in self.parts))


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one part holds."""

    parts: tuple[Condition, ...]

    def holds(self, facts: PixelFacts) -> bool:
        """Tell whether it holds."""
        return any(part.holds(facts) for part in self.parts)

    def tags(self) -> Iterator[int]:
        """Yield the attributes that it asks about."""
        for part in self.parts:
            yield from part.tags()

    def affirmed(self) -> frozenset[int]:
        """Return what all of its parts affirm."""
        sets = [part.affirmed() for part in self.parts]
        return sets[0].intersection(*sets[1:]) if sets else frozenset()


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: Condition

    def holds(self, facts: PixelFacts) -> bool:
        """Tell whether it holds."""
        return not self.part.holds(facts)

    def tags(self) -> Iterator[int]:
        """Yield the attributes that it asks about."""
        return self.part.tags()

    def affirmed(self) -> frozenset[int]:
        """Return nothing: a value that is absent does not meet a test, either."""
        return frozenset()
