"""What becomes of items of one shape: decided once, then carried out on the values of each.

An item is edited once as ever, but for the values that rules make new ones of: these leave a slot. What was read on the
way decided on what is done, so the recipe holds for items in which the same stands there, and for no others.

Public names: ``Recipe``, ``Recorder``, ``Slot``, ``Enclosing``, ``NoRecipeError``.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple, Self

from deidflow.tasks.local.editing.new_values import changed_element
from deidflow.tasks.local.editing.spans import MaskedSpan, PaintedSpan, SpooledSpan, spans_size

if TYPE_CHECKING:
    from collections.abc import Sequence
    from struct import Struct

    from deidflow.tasks.local.dicom_file.elements import Element, Read
    from deidflow.tasks.local.dicom_file.encoding import Encoding
    from deidflow.tasks.local.dicom_file.item_shapes import Shape
    from deidflow.tasks.local.editing.actions import Rule
    from deidflow.tasks.local.editing.new_values import CharacterSets
    from deidflow.tasks.local.editing.references import InstanceIdentifiers
    from deidflow.tasks.local.editing.spans import Span


class NoRecipeError(Exception):
    """What becomes of an item cannot be told apart from its values."""


class Slot(bytes):
    """An element whose new value depends on its own; as bytes, the element as it stands in the first item.

    Attributes:
        rule: What happens to it.
        element: With offsets in the item.
        charsets: Of its dataset.
        encoding: Likewise.

    """

    rule: Rule
    element: Element
    charsets: CharacterSets
    encoding: Encoding

    def changed(self, read: Read, identifiers: InstanceIdentifiers) -> bytes | None:
        """Return the whole new element, None when it stays as it is; see ``changed_element``."""
        return changed_element(self.rule, self.element, read, identifiers, self.charsets, self.encoding)


class Enclosing(bytes):
    """The header of an item or of a sequence of defined length; as bytes, that of the first item.

    Attributes:
        before: What stands before the length.
        length: Writer of the length.
        inside: What it encloses.

    """

    before: bytes
    length: Struct
    inside: Sequence[Span]

    @classmethod
    def of(cls, data: bytes, before: bytes, length: Struct, inside: Sequence[Span]) -> Self:
        """Return a header; ``data`` is all of it."""
        header = cls(data)
        header.before, header.length, header.inside = before, length, inside
        return header


class _Header(NamedTuple):
    """The header of something of defined length that encloses slots.

    Attributes:
        before: What stands before the length.
        length: Writer of the length.
        size: The length while every element in a slot is as long as in the first item.
        slots: Which ones it encloses.

    """

    before: bytes
    length: Struct
    size: int
    slots: tuple[int, ...]


class Recorder:
    """Reads an item while it is edited for the first time, and notes what decides.

    Attributes:
        data: The bytes of the item.

    """

    def __init__(self, shape: Shape, data: bytes) -> None:
        """Take the item."""
        self.data = data
        self._values = shape.values
        self._starts = [start for start, _ in shape.values]
        self._deciding: dict[tuple[int, int], bytes] = {}

    def read(self, start: int, end: int) -> bytes:
        """Read bytes by offsets in the item."""
        found = self.data[start:end]
        at = bisect_right(self._starts, start) - 1
        in_value = at >= 0 and start < self._values[at][1]
        if in_value or (at + 1 < len(self._starts) and self._starts[at + 1] < end):
            self._deciding[start, end] = found  # headers are the same in all items of the shape
        return found

    def slot(self, rule: Rule, element: Element, charsets: CharacterSets, encoding: Encoding) -> Slot:
        """Return what stands for the new form of an element."""
        slot = Slot(self.data[element[2] : element[4]])
        slot.rule, slot.element, slot.charsets, slot.encoding = rule, element, charsets, encoding
        return slot

    def recipe(self, spans: Sequence[Span]) -> Recipe:
        """Return what was recorded.

        Args:
            spans: Of the edited item.

        Raises:
            NoRecipeError: They are of a kind that items do not have.

        """
        return Recipe(spans, self.data, tuple((*where, raw) for where, raw in self._deciding.items()))


class Recipe:
    """What becomes of the items of one shape in which the same values decide."""

    __slots__ = ("_deciding", "_parts", "_sizes", "_slots", "_stays")

    def __init__(self, spans: Sequence[Span], data: bytes, deciding: tuple[tuple[int, int, bytes], ...]) -> None:
        """Take what became of the first item, its bytes, and which of them decided; see ``Recorder``."""
        self._deciding = deciding
        self._slots = [span for span in spans if isinstance(span, Slot)]
        self._sizes = [len(slot) for slot in self._slots]
        numbers = {id(slot): number for number, slot in enumerate(self._slots)}
        parts: list[bytes | int | tuple[int, int] | _Header] = []
        first = []
        for span in spans:
            if isinstance(span, Slot):
                parts.append(numbers[id(span)])
                first.append(bytes(span))
            elif isinstance(span, Enclosing):
                inside = tuple(numbers[id(one)] for one in span.inside if isinstance(one, Slot))
                size = spans_size(list(span.inside))
                parts.append(_Header(span.before, span.length, size, inside) if inside else bytes(span))
                first.append(bytes(span))
            elif isinstance(span, bytes):
                parts.append(span)
                first.append(span)
            elif not isinstance(span, MaskedSpan | PaintedSpan | SpooledSpan):
                parts.append(span)
                first.append(data[span[0] : span[1]])
            else:
                raise NoRecipeError
        self._parts = tuple(parts)
        # New bytes that happen to be those of the first item are other ones than those of the next.
        has_new = any(isinstance(span, bytes) and not isinstance(span, Slot | Enclosing) for span in spans)
        self._stays = not has_new and b"".join(first) == data

    def fits(self, data: bytes) -> bool:
        """Whether the same values decide on an item of the shape."""
        return not self._deciding or all(data[start:end] == raw for start, end, raw in self._deciding)

    def result(self, data: bytes, identifiers: InstanceIdentifiers) -> bytes | None:
        """Return what becomes of an item, None when it stays as it is.

        Args:
            data: The item, which fits.
            identifiers: Of its instance.

        Raises:
            InstanceFailed: A new value cannot be written.

        """

        def read(start: int, end: int) -> bytes:
            return data[start:end]

        made = [slot.changed(read, identifiers) for slot in self._slots]
        if self._stays and made.count(None) == len(made):
            return None
        grown = [0 if new is None else len(new) - size for new, size in zip(made, self._sizes, strict=True)]
        pieces: list[bytes] = []
        for part in self._parts:
            if isinstance(part, bytes):
                pieces.append(part)
            elif isinstance(part, int):
                new = made[part]
                pieces.append(data[slice(*self._slots[part].element[2:5:2])] if new is None else new)
            elif isinstance(part, _Header):
                size = part.size + sum([grown[number] for number in part.slots])
                pieces.append(part.before + part.length.pack(size))
            else:
                pieces.append(data[part[0] : part[1]])
        return b"".join(pieces)
