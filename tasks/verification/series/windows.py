"""What a result has of its own for the search: its slots, with as much around each as a hit that is in it can hold.

A hit that goes over the edge of a slot begins or ends in the bytes around it. A pattern without NUL does not go over a
NUL, whatever may stand between its words; in characters of 16 bits every second byte of it is one. So how far such a
hit can go is told by the bytes there.

Public names: ``Windows``, ``make_windows``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from deidflow.tasks.verification.leaks.decoded import is_text, needs_decoding
from deidflow.tasks.verification.leaks.regions import PIXELS
from deidflow.tasks.verification.leaks.segments import beside_fragments, native_length

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deidflow.tasks.verification.series.layout import Cut, Sample

_ITEM: Final = b"\xfe\xff\x00\xe0"


class _Window(NamedTuple):
    """A slot of the result, how far around it a hit can reach that is in it, and what stands between it and the last.

    Attributes:
        left: Bytes before its value.
        right: Bytes behind it.
        apart: Bytes between its value and the one of the slot before.
        is_pixels: Whether its value is not searched.

    """

    left: int
    right: int
    apart: int
    is_pixels: bool


class _Span(NamedTuple):
    """Windows that touch, whatever the values are.

    Attributes:
        first: The number of the first slot.
        left: Bytes before its value.
        last: The number of the last slot.
        edge: 1 where it goes on from the end of that value, 0 from its beginning.
        right: Bytes behind that.

    """

    first: int
    left: int
    last: int
    edge: int
    right: int


class Windows:
    """The windows of the results of a series."""

    def __init__(self, windows: Sequence[_Window], texts: Sequence[int], native_bytes: int) -> None:
        """Take them.

        Args:
            windows: One of each slot, in the order of the file.
            texts: The numbers of the slots that may hold text.
            native_bytes: How long pixel data is that is not compressed; 0 where that is not told.

        """
        self._spans = _spans(windows)
        self._pixels = tuple(number for number, one in enumerate(windows) if one.is_pixels)
        self._texts = tuple(texts)
        self._native_bytes = native_bytes

    def holds_other_letters(self, result: Cut) -> bool:
        """Whether a result has a text of its own that has to be decoded."""
        data, slots = result
        return any(needs_decoding(data[slice(*slots[number])]) for number in self._texts)

    def pieces(self, result: Cut) -> list[bytes]:
        """Return what a result has of its own, with what is around it."""
        data, slots = result
        pieces: list[bytes] = []
        for first, left, last, edge, right in self._spans:
            begin = slots[first][0] - left
            pieces.append(data[begin if begin > 0 else 0 : slots[last][edge] + right])  # noqa: FURB136 (max takes longer)
        for number in self._pixels:
            start, end = slots[number]
            if data.startswith(_ITEM, start):
                spans = beside_fragments(lambda one, other: data[one:other], start, end)
                pieces += [data[one:other] for one, other in spans]
            elif self._native_bytes and start + self._native_bytes + 1 < end:
                pieces.append(data[start + self._native_bytes : end])
        return pieces


def _spans(windows: Sequence[_Window]) -> list[_Span]:
    """Put together what touches: what stands between two slots is as long in all files."""
    spans: list[_Span] = []
    is_over = True
    for number, (left, right, apart, is_pixels) in enumerate(windows):
        before = spans.pop() if not is_over and apart <= left + spans[-1].right else _Span(number, left, 0, 0, 0)
        # A window ends behind the one before: each is at least as wide as ``longest``, and else within its run.
        ends = (0, 0) if is_pixels else (1, right)
        spans.append(_Span(before.first, before.left, number, *ends))
        is_over = is_pixels
    return spans


def make_windows(result: Sample, longest: int) -> Windows:
    """Return the windows of the results of a series.

    Args:
        result: One of them.
        longest: Bytes of the longest pattern that has NUL bytes; 0 where none has.

    """
    runs = result.layout.runs
    windows = [
        _Window(
            slot.start - slot.begins + max(_reach(runs[number][::-1]), longest),
            max(_reach(runs[number + 1]), longest),
            slot.start - slot.begins + len(runs[number]),
            is_pixels=slot.leaf.tag in PIXELS and not slot.leaf.is_nested,
        )
        for number, slot in enumerate(result.slots)
    ]
    texts = [number for number, slot in enumerate(result.slots) if is_text(slot.leaf.tag, slot.leaf.element[1])]
    return Windows(windows, texts, native_length(result.read))


def _reach(run: bytes) -> int:
    """Return how far a hit can reach into a run from its beginning."""
    first = run.find(b"\0")
    reach, end = 1, len(run)
    while reach < end and (run[reach] == 0) != (run[reach - 1] == 0):
        reach += 1
    return max(min(reach, end), end if first < 0 else first)
