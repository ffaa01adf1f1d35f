"""How far words that anything may part reach over the edges of slots.

A phrase may have NUL bytes between its words, so that it can begin far before a slot and end behind it. Of what is
around a slot counts what the letters of a phrase begin or end with.

Public names: ``Edges``, ``make_edges``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from deidflow.tasks.verification.leaks.patterns import FOLDED, squeezed

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from deidflow.tasks.verification.series.layout import Cut, Sample

_APART: Final = b"\xff\xfe\xff"
"""Letters between what does not stand side by side."""
_MAX_LETTERS: Final = 512


class _Edge(NamedTuple):
    """What stands around a slot.

    Attributes:
        before: Letters before it.
        after: Letters behind it.
        width: How many bytes before it say how long it is.
        is_searched: Whether its value is.

    """

    before: bytes
    after: bytes
    width: int
    is_searched: bool


class Edges:
    """The edges of the slots of a series."""

    def __init__(self, edges: Sequence[_Edge]) -> None:
        """Take them in the order of the file."""
        self._edges = edges

    def letters(self, cut: Cut) -> bytes:
        """Return the letters and digits of the slots of a file, with those around them that may belong to a phrase."""
        data, slots = cut
        pieces: list[bytes] = []
        for (before, after, width, is_searched), (start, end) in zip(self._edges, slots, strict=True):
            pieces += (before, data[start - width : end if is_searched else start], after)
        return squeezed(b"".join(pieces).translate(FOLDED))


def make_edges(result: Sample, unsearched: Collection[int], phrases: Collection[bytes]) -> Edges | None:
    """Return the edges of the results of a series.

    Args:
        result: One of them.
        unsearched: The numbers of slots whose values are not searched.
        phrases: Letters and digits of what is looked for.

    Returns:
        None where a phrase is too long.

    """
    if max(map(len, phrases), default=0) > _MAX_LETTERS:
        return None
    beginnings = {phrase[:length] for phrase in phrases for length in range(1, len(phrase))}
    ends = {phrase[length:] for phrase in phrases for length in range(1, len(phrase))}
    longest = max(map(len, beginnings), default=0)
    runs = [squeezed(run.translate(FOLDED)) for run in result.layout.runs]
    edges: list[_Edge] = []
    for number, slot in enumerate(result.slots):
        run, following = runs[number], runs[number + 1]
        before = _APART + next((run[-size:] for size in _sizes(run, longest) if run[-size:] in beginnings), b"")
        after = next((following[:size] for size in _sizes(following, longest) if following[:size] in ends), b"")
        if edges and number - 1 not in unsearched and len(run) <= longest and any(run in phrase for phrase in phrases):
            edges[-1] = edges[-1]._replace(after=b"")
            before = run  # a phrase may go over both
        edges.append(_Edge(before, after, slot.start - slot.begins, number not in unsearched))
    return Edges(edges)


def _sizes(run: bytes, longest: int) -> range:
    return range(min(len(run), longest), 0, -1)
