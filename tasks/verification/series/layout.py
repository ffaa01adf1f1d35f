"""A file as the instances of a series share it: runs of bytes that are the same in all of them, and slots between them.

A slot is the value of one element. Where the runs stand in another file with nothing but values of any length between
them, reading that file comes to the same elements: their headers are the same bytes, and each value ends where its
length says. Source: DICOM PS3.5 sections 7.1 and A.4 (edition 2026c).

Little endian files only, with the bytes of their dataset as they stand in the file (not deflated).

Public names: ``Leaf``, ``Slot``, ``Step``, ``Layout``, ``Cut``, ``Sample``, ``leaves_of``, ``make_layout``.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from deidflow.tasks.core.dicom.tags import dictionary_vr
from deidflow.tasks.verification.reader import SHORT_VRS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from deidflow.tasks.verification.reader import Element, Item, Read

_UNDEFINED: Final = b"\xff\xff\xff\xff"
_ITEM: Final = b"\xfe\xff\x00\xe0"
_SEQUENCE_END: Final = b"\xfe\xff\xdd\xe0"
_ITEMS_BEGIN: Final = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")
_HEADER_BYTES: Final = 8
_LENGTHS: Final = {2: "H", 4: "L"}
_FRAGMENTS: Final = -1
"""In the place of a length: the value ends with the delimiter of its sequence."""


class Leaf(NamedTuple):
    """An element that holds a value, of the file meta information or the dataset, at any depth.

    Attributes:
        path: Tags and numbers of items from the top level on.
        element: As it was read.
        is_meta: Whether it belongs to the file meta information.

    """

    path: tuple[int, ...]
    element: Element
    is_meta: bool = False

    @property
    def tag(self) -> int:
        """Its tag."""
        return self.element[0]

    @property
    def is_nested(self) -> bool:
        """Whether it stands in an item."""
        return len(self.path) > 1


def leaves_of(read: Read) -> list[Leaf] | None:
    """Return the leaves of a file in their order; None where an element stands twice, or out of order."""
    leaves = [Leaf((element[0],), element, is_meta=True) for element in read.meta]
    try:
        leaves += _leaves(read.elements, ())
    except ValueError:
        return None
    tags = [leaf.tag for leaf in leaves[: len(read.meta)]]
    return leaves if tags == sorted(set(tags)) else None


def _leaves(elements: Item, above: tuple[int, ...]) -> Iterator[Leaf]:
    last = -1
    for element in elements:
        tag, items = element[0], element[4]
        if tag <= last:
            raise ValueError
        last = tag
        if items is None:
            yield Leaf((*above, tag), element)
        else:
            for number, item in enumerate(items):
                yield from _leaves(item, (*above, tag, number))


class Slot(NamedTuple):
    """The value of an element that is another one in each file.

    Attributes:
        leaf: The element, as it stands in one of them.
        width: How many bytes before it say how long it is; 0 where that is the same in all files.

    """

    leaf: Leaf
    width: int

    @property
    def begins(self) -> int:
        """Where the first byte stands that may differ."""
        return self.leaf.element[2] - self.width

    @property
    def start(self) -> int:
        """Where its value begins."""
        return self.leaf.element[2]

    @property
    def end(self) -> int:
        """Where its value ends."""
        return self.leaf.element[3]


class Cut(NamedTuple):
    """A file that has a layout.

    Attributes:
        data: All its bytes.
        slots: Where its slots begin and end.

    """

    data: bytes
    slots: list[tuple[int, int]]


class Sample(NamedTuple):
    """A file that a layout was made of.

    Attributes:
        read: As it was read.
        layout: Of its series.
        slots: Of the layout, in the order of the file.

    """

    read: Read
    layout: Layout
    slots: list[Slot]

    def touches_slot(self, start: int, end: int) -> bool:
        """Whether a byte of a range may differ from file to file."""
        return any(slot.begins < end and start < slot.end for slot in self.slots)


class Step(NamedTuple):
    """A run and the slot behind it.

    Attributes:
        run: Its bytes.
        width: How many bytes behind it say how long the slot is; 0 where that is the same in all files.
        length: Of such a slot.
        may_begin_items: Whether it would be read as a sequence if it began like one.

    """

    run: bytes
    width: int
    length: int
    may_begin_items: bool


class Layout:
    """See the module.

    Attributes:
        runs: Before each slot, and behind the last.

    """

    def __init__(self, steps: Sequence[Step], last: bytes) -> None:
        """Take the runs and slots of a file.

        Args:
            steps: In the order of the file.
            last: The bytes behind the last slot.

        """
        self._steps = [
            (step.run, len(step.run) + step.width, _reader(step), step.length, step.may_begin_items) for step in steps
        ]
        self._last = last
        self.runs = [*(step.run for step in steps), last]

    def cut(self, data: bytes) -> Cut | None:
        """Return where the slots of a file begin and end; None where it is no such file."""
        end, slots = 0, []
        try:
            for run, size, read, length, may_begin_items in self._steps:
                if read is not None:
                    found, length = read(data, end)  # noqa: PLW2901 (the file's own)
                    if found != run:
                        return None
                elif not data.startswith(run, end):
                    return None
                elif length == _FRAGMENTS:
                    length = _fragments(data, end + size)  # noqa: PLW2901 (likewise)
                start = end + size
                if may_begin_items and data[start : start + 4] in _ITEMS_BEGIN:
                    return None
                end = start + length
                slots.append((start, end))
        except struct.error:  # it ends there
            return None
        is_last = data.startswith(self._last, end) and end + len(self._last) == len(data)
        return Cut(data, slots) if is_last else None


def _reader(step: Step) -> Callable[[bytes, int], tuple[Any, ...]] | None:
    """Return what reads as many bytes as a run has, and the length behind them; None where no length is read."""
    return struct.Struct(f"<{len(step.run)}s{_LENGTHS[step.width]}").unpack_from if step.width else None


def _fragments(data: bytes, position: int) -> int:
    """Return how long a value is that consists of fragments; what is none ends nowhere, so that no run follows it."""
    start = position
    while data[position : position + 4] == _ITEM and data[position + 4 : position + 8] != _UNDEFINED:
        position += _HEADER_BYTES + int.from_bytes(data[position + 4 : position + 8], "little")
    if data[position : position + 4] != _SEQUENCE_END:
        return len(data) + 1
    return position + _HEADER_BYTES - start


def make_layout(read: Read, data: bytes, slots: Iterable[Leaf], of_one_length: Collection[int] = ()) -> Sample | None:
    """Cut a file into runs and slots.

    Args:
        read: The file, read to its end without a fault.
        data: All its bytes.
        slots: Its leaves that differ from file to file.
        of_one_length: Where the values of those begin that are as long in all files.

    Returns:
        None where the file cannot be cut there: another value could make of it other elements.

    """
    steps: list[Step] = []
    made: list[Slot] = []
    position = 0
    for leaf in sorted(slots, key=lambda one: one.element[2]):
        tag, vr, start, end, _ = leaf.element
        width = _width(leaf)
        is_fragments = width == 4 and data[start - 4 : start] == _UNDEFINED  # noqa: PLR2004 (bytes of a length)
        # What encloses a nested value says how long it is together with it, and the length of a group is a number.
        if leaf.is_nested or is_fragments or not tag & 0xFFFF or start in of_one_length:
            width = 0
        first = start - width
        is_first = leaf.element is read.elements[0]  # by which it is told how the dataset is encoded
        if first < position or is_first or (leaf.is_nested and is_fragments):
            return None
        known = vr or (dictionary_vr(tag) or "").encode()
        length = _FRAGMENTS if is_fragments else end - start
        steps.append(Step(data[position:first], width, length, known in {b"", b"UN"}))
        made.append(Slot(leaf, width))
        position = end
    return Sample(read, Layout(steps, data[position:]), made)


def _width(leaf: Leaf) -> int:
    """Return how many bytes say how long a value is (PS3.5 section 7.1.2; 7.1.3 where no VR is written)."""
    return 2 if leaf.element[1] in SHORT_VRS else 4
