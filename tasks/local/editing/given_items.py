"""Items that ``Replace`` gives: what the rules for elements inside items, and paths into them, make of them.

Orthanc replaces first and then looks into all items, those it has just written among them (docs/orthanc.md, Order,
steps 6 to 10; 1.10.1, 1.12.7).

Public names: ``treated_items``, ``values_of_paths``, ``missing_items``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deidflow.tasks.core.dicom.tags import dictionary_vr
from deidflow.tasks.local.dicom_file.values import choose_vr
from deidflow.tasks.local.editing.actions import Action, Original
from deidflow.tasks.local.editing.path_nodes import rule_of_paths, step_into

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from deidflow.tasks.core.request.edits import Item, Value
    from deidflow.tasks.local.dicom_file.elements import Element, Read
    from deidflow.tasks.local.dicom_file.elements import Item as ItemOfFile
    from deidflow.tasks.local.editing.actions import Rule
    from deidflow.tasks.local.editing.path_nodes import PathNode
    from deidflow.tasks.local.editing.references import InstanceIdentifiers
    from deidflow.tasks.local.editing.table import Table


def treated_items(
    tag: int, items: tuple[Item, ...], table: Table, identifiers: InstanceIdentifiers, nodes: tuple[PathNode, ...]
) -> tuple[Item, ...]:
    """Return the items as they are to be written.

    Args:
        tag: The sequence.
        items: Its items as the request gives them.
        table: Of the object.
        identifiers: The instance.
        nodes: Of the paths that lead to the sequence.

    """
    return tuple(_item(item, table, identifiers, step_into(nodes, tag, index)) for index, item in enumerate(items))


def values_of_paths(nodes: tuple[PathNode, ...]) -> dict[int, Value]:
    """Return what the paths that end in one item give, and in items given so what longer paths replace."""
    values = {tag: value for node in nodes for tag, value in node.replace.items()}
    for tag, value in values.items():
        if isinstance(value, tuple):
            values[tag] = _with_replacements(tag, value, nodes)
    return values


def _with_replacements(tag: int, items: tuple[Item, ...], nodes: tuple[PathNode, ...]) -> tuple[Item, ...]:
    return tuple(_replaced(item, step_into(nodes, tag, index)) for index, item in enumerate(items))


def _replaced(item: Item, nodes: tuple[PathNode, ...]) -> Item:
    if not nodes:
        return item
    elements = dict(item)
    for node in nodes:
        elements.update(node.replace)
    for tag, value in elements.items():
        if isinstance(value, tuple):
            elements[tag] = _with_replacements(tag, value, nodes)
    return tuple(sorted(elements.items()))


def _item(item: Item, table: Table, identifiers: InstanceIdentifiers, nodes: tuple[PathNode, ...]) -> Item:
    elements: dict[int, Value] = {}
    for tag, value in item:
        rule = table.nested.by_tag.get(tag) or table.nested.rule_of_kind(tag, dictionary_vr(tag) or "UN")
        rule = rule_of_paths(tag, nodes, rule)
        if rule is not None and rule.removes:
            continue
        elements[tag] = _value(tag, value, rule, table, identifiers, nodes)
    for node in nodes:
        elements.update(node.replace)
    return tuple(sorted(elements.items()))


def _value(
    tag: int,
    value: Value,
    rule: Rule | None,
    table: Table,
    identifiers: InstanceIdentifiers,
    nodes: tuple[PathNode, ...],
) -> Value:
    if rule is not None and rule.action is Action.EMPTY:
        return () if dictionary_vr(tag) == "SQ" else ""
    if isinstance(value, tuple):
        is_kept = rule is not None and rule.action is Action.KEEP
        return value if is_kept else treated_items(tag, value, table, identifiers, nodes)
    if rule is None or rule.stays or rule.of_the_run:  # what the request names is its own word
        return value
    if rule.action is Action.REPLACE_UID:
        return identifiers.references.map_uid_value(value.encode("latin-1", "replace")).decode("latin-1")
    assert rule.new_value is not None  # noqa: S101 (a rule of this kind has one)
    new = rule.new_value(Original(tag, choose_vr(tag), value.rstrip(" "), is_given=True), identifiers)
    return value if new is None else new


def missing_items(new: Iterable[Item], items: Sequence[ItemOfFile], read: Read) -> tuple[Item, ...]:
    """Return those new items that a sequence does not have yet.

    Args:
        new: With values in ASCII. One whose elements all stand in an item of the file, whatever else does, is there.
        items: Of the file.
        read: Reads bytes of it.

    """
    return tuple(one for one in new if not any(_is_in(one, item[4], read) for item in items))


def _is_in(new: Item, elements: Sequence[Element], read: Read) -> bool:
    return all(any(element[0] == tag and _equals(value, element, read) for element in elements) for tag, value in new)


def _equals(new: Value, element: Element, read: Read) -> bool:
    _, _, _, value, end, sequence = element
    if isinstance(new, str):
        return sequence is None and read(value, end).strip(b" \0") == new.encode("ascii")
    return sequence is not None and not missing_items(new, sequence[1], read)
