"""Items that ``Replace`` gives: what the rules for elements inside items, and paths into them, make of them.

Orthanc replaces first and then looks into all items, those it has just written among them (reference 2.2, steps 6 to
10; 1.10.1, 1.12.7).

Public names: ``treated_items``, ``values_of_paths``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deidflow.tasks.core.dicom.tags import dictionary_vr
from deidflow.tasks.local.editing.actions import Action
from deidflow.tasks.local.editing.path_nodes import step_into

if TYPE_CHECKING:
    from deidflow.tasks.core.request.edits import Item, Value
    from deidflow.tasks.local.editing.path_nodes import PathNode
    from deidflow.tasks.local.editing.references import Subject
    from deidflow.tasks.local.editing.rules import Rules


def treated_items(
    tag: int, items: tuple[Item, ...], rules: Rules, subject: Subject, nodes: tuple[PathNode, ...]
) -> tuple[Item, ...]:
    """Return the items as they are to be written.

    Args:
        tag: The sequence.
        items: Its items as the request gives them.
        rules: The compiled request.
        subject: The instance.
        nodes: Of the paths that lead to the sequence.

    """
    return tuple(_item(item, rules, subject, step_into(nodes, tag, index)) for index, item in enumerate(items))


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


def _item(item: Item, rules: Rules, subject: Subject, nodes: tuple[PathNode, ...]) -> Item:
    elements: dict[int, Value] = {}
    for tag, value in item:
        action = rules.nested.get(tag) or rules.default_action(tag, nested=True)
        if any(tag in node.keep for node in nodes):
            action = Action.KEEP
        if action is Action.DROP or any(tag in node.remove for node in nodes):
            continue
        elements[tag] = _value(tag, value, action, rules, subject, nodes)
    for node in nodes:
        elements.update(node.replace)
    return tuple(sorted(elements.items()))


def _value(
    tag: int, value: Value, action: Action | None, rules: Rules, subject: Subject, nodes: tuple[PathNode, ...]
) -> Value:
    if action is Action.EMPTY:
        return () if dictionary_vr(tag) == "SQ" else ""
    if isinstance(value, tuple):
        return value if action is Action.KEEP else treated_items(tag, value, rules, subject, nodes)
    if action is Action.MAP_UID:
        return subject.references.map_uid_value(value.encode("latin-1", "replace")).decode("latin-1")
    # Names that the request itself gives are no patient's: hardening leaves them.
    return subject.map_patient_id(value.rstrip(" ")) if action is Action.MAP_PATIENT_ID else value
