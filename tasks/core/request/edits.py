"""What is to be done to the elements of a dataset: the Replace, Remove and Keep lists of Orthanc's bulk routes.

Public names: ``Value``, ``Item``, ``Edits``, ``MAX_DEPTH``, ``parse_value``, ``parse_path_list``, ``merge``,
``value_to_json``, ``decode_data_uri``.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.dicom.private_tags import is_private_number
from deidflow.tasks.core.dicom.tags import Path, TagSyntaxError, describe_tag, dictionary_vr, parse_path, parse_tag
from deidflow.tasks.core.errors import BadText

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_DATA_URI: Final = "data:application/octet-stream;base64,"
MAX_DEPTH: Final = 32
"""Of sequences in a value: what is far beyond any object, and far from the 64 levels that a file may have."""

type_of_value = "a value must be text in quotes, or a list of items (objects) for a sequence"

Item = tuple[tuple[int, "Value"], ...]
"""One sequence item: tags and values in ascending order of tags."""

Value = str | tuple[Item, ...]
"""The new value of an element: text (several values joined by a backslash), or the items of a sequence."""


@dataclass(frozen=True, slots=True)
class Edits:
    """Three lists of paths; what one path is to become is decided by the last list that names it.

    Attributes:
        replace: New values by path; "" empties the element.
        remove: Elements to remove.
        keep: Elements to protect from the anonymization profile, from regeneration and from the other two lists.

    """

    replace: Mapping[Path, Value] = field(default_factory=dict)
    remove: tuple[Path, ...] = ()
    keep: tuple[Path, ...] = ()

    def paths(self) -> Iterator[Path]:
        """Yield every path that is named, in the order Replace, Remove, Keep."""
        yield from self.replace
        yield from self.remove
        yield from self.keep

    def private_numbers(self) -> list[Path]:
        """Return the paths with a private element in plain numbers, which another creator may own in another file."""
        return [
            path
            for path in dict.fromkeys(self.paths())
            if any(is_private_number(tag) for tag in (path.tag, *(parent for parent, _ in path.parents)))
        ]

    def normalized(self) -> Edits:
        """Return the same edits with each tag in one list only, in ascending order.

        Orthanc reads Remove, Replace, Keep in this order and the last one wins (docs/orthanc.md, Order; 1.10.1 to
        1.13.0). A nested path in Keep is no such case: it shields the element from the profile only (1.10.1, 1.12.7).
        """
        keep = {path for path in self.keep if not path.is_nested}
        replace = {path: value for path, value in sorted(self.replace.items()) if path not in keep}
        remove = {path for path in self.remove if path not in keep and path not in replace}
        return Edits(replace, tuple(sorted(remove)), tuple(sorted(set(self.keep))))


def merge(general: Edits, particular: Edits) -> Edits:
    """Return the general edits (the config's) overruled by particular ones (a row's).

    A path that the particular edits name is first taken out of all three general lists.
    """
    named = set(particular.paths())
    if not named:
        return general
    return Edits(
        {path: value for path, value in general.replace.items() if path not in named} | dict(particular.replace),
        tuple(path for path in general.remove if path not in named) + particular.remove,
        tuple(path for path in general.keep if path not in named) + particular.keep,
    )


def parse_value(tag: int, value: object, depth: int = 1) -> Value:
    """Read one value of ``Replace`` from its JSON form.

    Args:
        tag: The element it is for; its VR in the dictionary decides whether items are allowed.
        value: Text, None (the same as ""), or a list of objects for a sequence.
        depth: How many sequences deep the element is in a value, from 1; at most ``MAX_DEPTH``.

    Returns:
        The value, nested tags normalised and sorted.

    Raises:
        BadText: Another JSON type, items for an element that is no sequence, text for one that is, too many levels.
        TagSyntaxError: An item names an unknown tag.

    """
    is_sequence = dictionary_vr(tag) == "SQ"
    if isinstance(value, list):
        if not is_sequence and dictionary_vr(tag) is not None:
            message = f"the value of {describe_tag(tag)}, which is no sequence, must be text in quotes"
            raise BadText(message)
        if depth > MAX_DEPTH:
            message = f"must not nest sequences more than {MAX_DEPTH} deep"
            raise BadText(message)
        return tuple(_parse_item(item, depth + 1) for item in value)
    if is_sequence and value != "":
        message = f'the value of {describe_tag(tag)}, a sequence, must be a list of items: [{{"Keyword": "value"}}]'
        raise BadText(message)
    if value is None:
        return ""
    if not isinstance(value, str):
        message = f"{type_of_value}, not {_json_type(value)}"
        raise BadText(message)
    return () if is_sequence else value


def _parse_item(item: object, depth: int) -> Item:
    if not isinstance(item, dict):
        message = f"an item of a sequence must be an object of tags and values, not {_json_type(item)}"
        raise BadText(message)
    elements: dict[int, Value] = {}
    for name, value in item.items():
        tag = parse_tag(str(name))
        if tag in elements:
            message = f"{describe_tag(tag)} appears twice in one item"
            raise BadText(message)
        if value == "" and dictionary_vr(tag) == "SQ":
            message = f"the value of {describe_tag(tag)}, a sequence, must be a list; write [] to empty it"
            raise BadText(message)
        elements[tag] = parse_value(tag, value, depth)
    return tuple(sorted(elements.items()))


def _json_type(value: object) -> str:
    if isinstance(value, bool):
        return "true or false (write it in quotes)"
    if isinstance(value, int | float):
        return "a number (write it in quotes: YAML and JSON drop leading zeros)"
    if isinstance(value, date):
        return 'a date (write it in quotes, as in "20240131")'
    return {list: "a list", dict: "an object", type(None): "null", str: "text"}.get(type(value), "another type")


def decode_data_uri(text: str) -> bytes | None:
    """Return the bytes of ``data:application/octet-stream;base64,...``, or None for ordinary text.

    Padding may be missing, as for Orthanc.

    Raises:
        BadText: What follows is no base64.

    """
    if not text.startswith(_DATA_URI):
        return None
    encoded = text[len(_DATA_URI) :]
    try:
        return base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except binascii.Error:
        raise BadText("the data URI must hold valid base64") from None


def value_to_json(value: Value) -> object:
    """Return the JSON form that Orthanc reads: text, or a list of objects with numeric tags."""
    if isinstance(value, str):
        return value
    return [{f"{tag >> 16:04x},{tag & 0xFFFF:04x}": value_to_json(inner) for tag, inner in item} for item in value]


def parse_path_list(texts: Iterable[str]) -> Iterator[tuple[str, Path | TagSyntaxError]]:
    """Read the entries of a ``Remove`` or ``Keep`` list, each with its path or what is wrong with it."""
    for text in texts:
        try:
            yield text, parse_path(text)
        except TagSyntaxError as error:
            yield text, error
