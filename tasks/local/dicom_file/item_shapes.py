"""Items that are written alike: the same tags, VRs, lengths and delimiters, byte for byte, whatever their values are.

An image of a thousand frames has a thousand items of a handful of shapes. What a scan finds in an item follows from its
headers alone, as long as nothing in it is irregular and no value could be a sequence that was sent as UN. So the first
item of a shape is scanned, and what has the same headers at the same places is told by comparing these.

Nothing is guessed: an item of no known shape is scanned (tests/local/editing/test_repeated_items.py).

Public names: ``ItemShapes``, ``Shape``, ``RepeatedElements``, ``ITEM_STARTS``, ``may_be_items``,
``shifted``.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from typing import TYPE_CHECKING, Final, overload

from deidflow.tasks.core.dicom.tags import PIXEL_DATA, dictionary_vr

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from deidflow.tasks.local.dicom_file.elements import Element, Item
    from deidflow.tasks.local.dicom_file.encoding import Encoding
    from deidflow.tasks.local.dicom_file.findings import Findings

_MAX_BYTES: Final = 1 << 16
"""Larger items are no header; their values are copied from file to file."""

_MAX_ELEMENTS: Final = 1 << 17
"""Elements of all shapes that are remembered, some 20 MB; with more, all are forgotten."""

_MAX_ALIKE: Final = 8
"""Shapes that begin alike; each one is tried."""

_FIRST_CREDIT: Final = 64
"""So many shapes of one kind of item are learned without any of them being met again; then one of ``_SELDOM``."""

_REWARD: Final = 2
"""For each item that is met again."""

_MAX_CREDIT: Final = 256
_SELDOM: Final = 16
_MAX_MET: Final = 4096
"""Items that were met once, of which as much is remembered as tells most of them apart."""

_ITEM_HEADER_BYTES: Final = 8
_KEY_BYTES: Final = 16
"""Of an item: its own header, and that of its first element."""

ITEM_STARTS: Final = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")
"""The tag of an item, little and big endian."""

_UNDEFINED: Final = b"\xff\xff\xff\xff"


class Shape:
    """One shape.

    Attributes:
        item: The item, its first byte at offset 0.
        size: In bytes.
        count: Elements and items in it, itself included.
        values: Where the values stand that are not empty, sequences apart, in order.
        tags: Of all its elements, at any depth.
        has_names: Whether one of them is a PN.

    """

    __slots__ = ("_headers", "_opaque", "_unpack", "count", "has_names", "item", "size", "tags", "values")

    def __init__(self, data: bytes, item: Item, count: int) -> None:
        """Take an item that was scanned, and in what.

        Raises:
            ValueError: Its values may decide on how it is read.

        """
        start = item[0]
        self.item = _shifted_item(item, -start)
        self.size = item[3] - start
        self.count = count
        tags: set[int] = set()
        names: list[int] = []
        values: list[tuple[int, int]] = []
        opaque: list[int] = []
        for tag, vr, value, end in _leaves(self.item, data, start, tags):
            if vr == "PN":
                names.append(tag)
            if value < end:
                values.append((value, end))
                if vr == "UN":
                    opaque.append(value)
        self.tags, self.has_names = frozenset(tags), bool(names)
        self.values, self._opaque = tuple(values), tuple(opaque)
        reader = _reader_of_headers(self.values, self.size)
        self._unpack: Callable[[bytes, int], tuple[bytes, ...]] = reader.unpack_from
        self._headers = self._unpack(data, start)
        if not self.fits(data, start, item[3]):
            message = "a value begins like an item"
            raise ValueError(message)

    def fits(self, data: bytes, position: int, end: int) -> bool:
        """Whether the item at an offset has this shape.

        Args:
            data: Holds all bytes before ``end``.
            position: Of the item.
            end: Of what holds it.

        """
        if position + self.size > end or self._unpack(data, position) != self._headers:
            return False
        # A value of unknown VR that begins like an item may be a sequence.
        return not any(data.startswith(ITEM_STARTS, position + value) for value in self._opaque)

    def at(self, position: int) -> Item:
        """Return the item of this shape at an offset."""
        start, content, stop, end, _ = self.item
        elements = RepeatedElements(self, position)
        return start + position, content + position, stop + position, end + position, elements


class RepeatedElements(Sequence["Element"]):
    """The elements of an item of a known shape, made when somebody asks for them.

    Attributes:
        shape: Of the item.
        start: Offset of the item.

    """

    __slots__ = ("_elements", "shape", "start")

    def __init__(self, shape: Shape, start: int) -> None:
        """Take the shape of an item and where it stands."""
        self.shape, self.start = shape, start
        self._elements: list[Element] | None = None

    def _made(self) -> list[Element]:
        if self._elements is None:
            self._elements = [shifted(element, self.start) for element in self.shape.item[4]]
        return self._elements

    def __iter__(self) -> Iterator[Element]:
        """Iterate over the elements, with their offsets."""
        return iter(self._made())

    def __len__(self) -> int:
        """Return their number."""
        return len(self.shape.item[4])

    @overload
    def __getitem__(self, index: int) -> Element: ...

    @overload
    def __getitem__(self, index: slice) -> list[Element]: ...

    def __getitem__(self, index: int | slice) -> Element | list[Element]:
        """Return one or some of them."""
        return self._made()[index]


class _Alike:
    """Shapes that begin alike.

    Attributes:
        shapes: The latest first.
        credit: One number for all items of one depth that begin with the same tag.

    """

    __slots__ = ("credit", "shapes")

    def __init__(self, credit: list[int]) -> None:
        self.shapes: list[Shape] = []
        self.credit = credit


class ItemShapes:
    """The shapes that one worker remembers."""

    __slots__ = ("_credits", "_elements", "_known", "_met")

    def __init__(self) -> None:
        """Begin without any."""
        self._known: dict[tuple[bytes, Encoding, int], _Alike] = {}
        self._credits: dict[tuple[bytes, Encoding, int], list[int]] = {}
        self._met: set[tuple[object, ...]] = set()
        self._elements = 0

    def find(
        self, data: bytes, position: int, end: int, encoding: Encoding, depth: int, findings: Findings
    ) -> Item | None:
        """Return the item at an offset if its shape is known, and count its elements; None where it is to be scanned.

        Args:
            data: The bytes at hand, which hold all before ``end``.
            position: Where the item may begin.
            end: Of what holds it.
            encoding: Of the item.
            depth: Of the sequence.
            findings: Of the scan.

        """
        alike = self._known.get((data[position : position + _KEY_BYTES], encoding, depth))
        if alike is None:
            return None
        for shape in alike.shapes:
            if shape.fits(data, position, end):
                if findings.count + shape.count > findings.limit:
                    return None  # where exactly there are too many is told by a scan
                findings.count += shape.count
                if alike.credit[0] < _MAX_CREDIT:
                    alike.credit[0] += _REWARD
                return shape.at(position)
        return None

    def learn(self, data: bytes, item: Item, encoding: Encoding, depth: int, findings: Findings, count: int) -> None:
        """Remember an item that was scanned, if another one like it was met before.

        Args:
            data: The bytes at hand.
            item: With offsets in these.
            encoding: Of the item.
            depth: Of the sequence.
            findings: Of the scan.
            count: Elements and items in it, itself included.

        """
        start, _, _, end, elements = item
        if findings.irregular or findings.doubts or end - start > _MAX_BYTES:
            return
        key = (data[start : start + _KEY_BYTES], encoding, depth)
        looks = (*key, *[element[4] - element[2] for element in elements])
        if looks not in self._met:
            if len(self._met) >= _MAX_MET:
                self._met.clear()
            self._met.add(looks)
            return
        credit = self._credits.setdefault((key[0][_ITEM_HEADER_BYTES:][:4], encoding, depth), [_FIRST_CREDIT])
        credit[0] -= 1
        if credit[0] < 0 and credit[0] % _SELDOM:
            return
        try:
            shape = Shape(data, item, count)
        except ValueError:
            return
        self._elements += count
        if self._elements > _MAX_ELEMENTS:
            self._known.clear()
            self._elements = count
        alike = self._known.setdefault(key, _Alike(credit))
        if len(alike.shapes) == _MAX_ALIKE:
            self._elements -= alike.shapes.pop().count
        alike.shapes.insert(0, shape)


def may_be_items(data: bytes, tag: int, value: int) -> bool:
    """Whether a value of unknown VR, at an offset, may be a sequence."""
    return data.startswith(ITEM_STARTS, value) or value + 4 > len(data) or dictionary_vr(tag) == "SQ"


def shifted(element: Element, by: int) -> Element:
    """Return an element with other offsets."""
    tag, vr, start, value, end, sequence = element
    if sequence is not None:
        encoding, items = sequence
        sequence = (encoding, [_shifted_item(item, by) for item in items])
    return tag, vr, start + by, value + by, end + by, sequence


def _shifted_item(item: Item, by: int) -> Item:
    start, content, stop, end, elements = item
    moved: Sequence[Element]
    if isinstance(elements, RepeatedElements):
        moved = RepeatedElements(elements.shape, elements.start + by)
    else:
        moved = [shifted(element, by) for element in elements]
    return start + by, content + by, stop + by, end + by, moved


def _leaves(item: Item, data: bytes, base: int, tags: set[int]) -> Iterator[tuple[int, str, int, int]]:
    """Yield tag, VR, start and end of the value of every element that has no items, and add the tags of all.

    Raises:
        ValueError: What stands in the item is not told by headers of its elements alone.

    """
    for tag, vr, _, value, end, sequence in item[4]:
        tags.add(tag)
        if sequence is None:
            if tag == PIXEL_DATA and data[base + value - 4 : base + value] == _UNDEFINED:
                message = "fragments"
                raise ValueError(message)
            yield tag, vr, value, end
            continue
        if vr == "UN":
            message = "a sequence of unknown VR"
            raise ValueError(message)
        for inner in sequence[1]:
            yield from _leaves(inner, data, base, tags)


def _reader_of_headers(values: Sequence[tuple[int, int]], size: int) -> Struct:
    """Return a reader of all that stands between values."""
    pieces, position = ["<"], 0
    for value, end in values:
        pieces.append(f"{value - position}s{end - value}x")
        position = end
    if position < size:
        pieces.append(f"{size - position}s")
    return Struct("".join(pieces))
