"""Texts of a dataset's elements: those by which items are told apart, and those that identify.

Public names: ``text_at``, ``late_text``, ``named_values``, ``declared_charset``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deidflow.tasks.core.dicom.tags import SPECIFIC_CHARACTER_SET, describe_tag, dictionary_vr
from deidflow.tasks.local.dicom_file.character_sets import character_set
from deidflow.tasks.local.dicom_file.item_shapes import RepeatedElements
from deidflow.tasks.local.editing.table import LATE_TAGS, NamedValue

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from deidflow.tasks.local.dicom_file.character_sets import CharacterSet
    from deidflow.tasks.local.dicom_file.elements import Element, Read
    from deidflow.tasks.local.dicom_file.item_shapes import Shape
    from deidflow.tasks.local.editing.table import Naming

_MAX_NAMED_BYTES = 1 << 14
"""What is longer names nobody."""


def text_at(elements: Sequence[Element], read: Read, charset: CharacterSet, *tags: int) -> str:
    """Return the text of an element, "" where it is absent or a sequence.

    Args:
        elements: Of a dataset.
        read: Reads bytes of its file.
        charset: Of the dataset.
        tags: Of the sequences that lead to the element, of whose items the first counts, and its own.

    """
    *parents, wanted = tags
    for parent in parents:
        items = next((one[5][1] for one in elements if one[0] == parent and one[5] is not None), None)
        if not items:
            return ""
        elements = items[0][4]
    for tag, vr, _, value, end, sequence in elements:
        if tag == wanted and sequence is None:
            is_name = "PN" in (vr, dictionary_vr(tag))
            return charset.decode(read(value, end), is_person_name=is_name).strip(" \0")
    return ""


def late_text(elements: list[Element], read: Read, charset: CharacterSet, wanted: int) -> str:
    """Return the text of the first element of a tag at top level, "" where there is none, for a late value.

    Raises:
        ValueError: The element may differ within a series.

    """
    if wanted not in LATE_TAGS:
        message = f"{describe_tag(wanted)} may differ within a series, so no late value can depend on it"
        raise ValueError(message)
    return text_at(elements, read, charset, wanted)


def named_values(elements: list[Element], read: Read, charset: CharacterSet, naming: Naming) -> frozenset[NamedValue]:
    """Return the values that identify, at every depth.

    Args:
        elements: Some or all elements of a dataset.
        read: Reads bytes of its file.
        charset: Of the dataset; items may declare others.
        naming: Which attributes do.

    """
    found: set[NamedValue] = set()
    _collect(elements, read, charset, naming, 0, found)
    return frozenset(found)


def _collect(
    elements: Sequence[Element],
    read: Read,
    charset: CharacterSet,
    naming: Naming,
    around: int,
    found: set[NamedValue],
) -> None:
    tags, in_items = naming.tags, naming.in_items
    more: Collection[int] = in_items[around] if around else ()
    for tag, vr, _, value, end, sequence in elements:
        if sequence is not None:
            inside = tag if tag in in_items else around
            for item in sequence[1]:
                if isinstance(item[4], RepeatedElements) and _names_nothing(item[4].shape, naming, inside):
                    continue
                _collect(item[4], read, declared_charset(item[4], read) or charset, naming, inside, found)
        elif (tag in tags or tag in more or vr == "PN") and 0 < end - value <= _MAX_NAMED_BYTES:
            is_name = "PN" in (vr, dictionary_vr(tag))
            text = charset.decode(read(value, end), is_person_name=is_name).strip(" \0")
            if text:
                found.add(NamedValue(around if tag in more else tag, text))


def _names_nothing(shape: Shape, naming: Naming, around: int) -> bool:
    """Whether no item of a shape can have a value that identifies, whatever its values are."""
    tags = shape.tags
    return (
        not shape.has_names
        and tags.isdisjoint(naming.tags)
        and tags.isdisjoint(naming.in_items)
        and (not around or tags.isdisjoint(naming.in_items[around]))
    )


def declared_charset(elements: Sequence[Element], read: Read) -> CharacterSet | None:
    """Return the character set that a dataset declares, wherever; None when it is that of the dataset above."""
    for tag, _, _, value, end, _ in elements:
        if tag == SPECIFIC_CHARACTER_SET:
            return character_set(read(value, end))
    return None
