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
    """A slot of the result, and how far around it a hit can reach that is in it."""

    slot: int
    left: int
    right: int
    is_pixels: bool
    is_text: bool


class Windows:
    """The windows of the results of a series."""

    def __init__(self, windows: Sequence[_Window], native_bytes: int) -> None:
        """Take them.

        Args:
            windows: In the order of the file.
            native_bytes: How long pixel data is that is not compressed; 0 where that is not told.

        """
        self._windows = tuple(windows)
        self._texts = tuple(one.slot for one in windows if one.is_text)
        self._native_bytes = native_bytes

    def holds_other_letters(self, result: Cut) -> bool:
        """Whether a result has a text of its own that has to be decoded."""
        data, slots = result
        return any(needs_decoding(data[slice(*slots[number])]) for number in self._texts)

    def pieces(self, result: Cut) -> list[bytes] | None:
        """Return what a result has of its own, with what is around it; None where that is too unlike the others."""
        data, slots = result
        pieces: list[bytes] = []
        begin, stop = 0, -1
        for number, left, right, is_pixels, _ in self._windows:
            start, end = slots[number]
            first = start - left if start > left else 0
            if first > stop:
                if stop >= 0:
                    pieces.append(data[begin:stop])
                begin = first
            if not is_pixels:
                stop = max(stop, end + right)
                continue
            stop = start
            if data.startswith(_ITEM, start):
                spans = beside_fragments(lambda one, other: data[one:other], start, end)
                pieces += [data[one:other] for one, other in spans]
            elif self._native_bytes and start + self._native_bytes + 1 < end:
                return None
        if stop >= 0:
            pieces.append(data[begin:stop])
        return pieces


def make_windows(result: Sample, longest: int) -> Windows:
    """Return the windows of the results of a series.

    Args:
        result: One of them.
        longest: Bytes of the longest pattern that has NUL bytes; 0 where none has.

    """
    runs = result.layout.runs
    windows = [
        _Window(
            number,
            slot.start - slot.begins + max(_reach(runs[number][::-1]), longest),
            max(_reach(runs[number + 1]), longest),
            is_pixels=slot.leaf.tag in PIXELS and not slot.leaf.is_nested,
            is_text=is_text(slot.leaf.tag, slot.leaf.element[1]),
        )
        for number, slot in enumerate(result.slots)
    ]
    return Windows(windows, native_length(result.read))


def _reach(run: bytes) -> int:
    """Return how far a hit can reach into a run from its beginning."""
    first = run.find(b"\0")
    reach, end = 1, len(run)
    while reach < end and (run[reach] == 0) != (run[reach - 1] == 0):
        reach += 1
    return max(min(reach, end), end if first < 0 else first)
