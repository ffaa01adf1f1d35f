"""Whether a result still has what its IOD asks for: attributes of type 1 with a value, those of type 2.

Only what the edit took is reported: what the source itself lacks is not held against its result. The types are data
that the editor has, too (``types.csv.gz``: of the attributes for which Table E.1-1 leaves a choice); what reads them
there is not used. Source: DICOM PS3.5 section 7.4, PS3.15 table E.1-1a (edition 2026d).

Public names: ``check_required``, ``required``, ``Required``.
"""

from __future__ import annotations

import csv
import gzip
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final, NamedTuple

from pydicom.datadict import tag_for_keyword

from deidflow.tasks.core.dicom.tags import SOP_CLASS_UID, describe_tag
from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.verification.standard.dummy_items import are_dummies

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deidflow.tasks.core.request.request import Request
    from deidflow.tasks.verification.reader import Element, Item, Read

_ALWAYS: Final = "1"
_MUST_HAVE_VALUES: Final = (_ALWAYS, "1C")
_MUST_BE_THERE: Final = (*_MUST_HAVE_VALUES, "2", "2C")


@dataclass(slots=True)
class _Asked:
    """What an IOD asks for in one dataset, by tag.

    Attributes:
        values: Attributes that must have a value.
        there: Attributes that must be there.
        always: Those of type 1, which no condition takes away: an item that became a dummy has them, too.
        items: What is asked for in the items of sequences.

    """

    values: set[int] = field(default_factory=set)
    there: set[int] = field(default_factory=set)
    always: set[int] = field(default_factory=set)
    items: dict[int, _Asked] = field(default_factory=dict)


@lru_cache
def _lines() -> dict[str, list[tuple[str, str]]]:
    folder = files("deidflow.tasks").joinpath("local", "deidentification", "tables")
    text = gzip.decompress(folder.joinpath("types.csv.gz").read_bytes()).decode("ascii")
    by_class: dict[str, list[tuple[str, str]]] = {}
    for row in csv.DictReader(text.splitlines()):
        by_class.setdefault(row["sop_class"], []).append((row["path"], row["type"]))
    return by_class


@lru_cache
def _asked_of(sop_class: str) -> _Asked:
    """Return what the IOD of a SOP class asks for; nothing where it is not known."""
    asked = _Asked()
    for path, kind in _lines().get(sop_class, ()):
        tags = [tag_for_keyword(keyword) for keyword in path.split(".")]
        if kind not in _MUST_BE_THERE or None in tags:
            continue
        *parents, tag = (int(one) for one in tags if one is not None)
        node = asked
        for parent in parents:
            node = node.items.setdefault(parent, _Asked())
        node.there.add(tag)
        if kind in _MUST_HAVE_VALUES:
            node.values.add(tag)
        if kind == _ALWAYS:
            node.always.add(tag)
    return asked


class Required(NamedTuple):
    """What the IOD asks for and the source has.

    Attributes:
        before: The element of the source.
        after: What stands in its place in the result; None for nothing.
        needs_value: Whether that must have a value where the source has one.
        has_dummies: Whether the items of a sequence of the result say nothing of anybody: less is asked of them.

    """

    before: Element
    after: Element | None
    needs_value: bool = False
    has_dummies: bool = False


def check_required(request: Request, source: Read, result: Read) -> None:
    """Look for what the IOD asks for and the source has.

    Args:
        request: An anonymization; what it names itself, at whichever depth, is its own word.
        source: Read to its end.
        result: Likewise.

    Raises:
        InstanceFailed: ``result-differs``: an attribute of type 1 or 2 that the source has is not in the result, or one
            of type 1 that has a value in the source has none in the result.

    """
    for before, after, needs_value, _ in required(request, source, result):
        _check_one(before, after, needs_value=needs_value)


def required(request: Request, source: Read, result: Read) -> Iterator[Required]:
    """Return what ``check_required`` looks at."""
    named = frozenset(path.tag for path in (*request.edits.remove, *request.edits.replace))
    sop_class = (source.first(SOP_CLASS_UID) or b"").strip(b" \0").decode("ascii", "replace")
    yield from _required(_asked_of(sop_class), source.elements, result.elements, named, result)


def _required(
    asked: _Asked, before: Item, after: Item, named: frozenset[int], result: Read, *, dummy: bool = False
) -> Iterator[Required]:
    there = {element[0]: element for element in after}
    must_be_there = asked.always if dummy else asked.there
    for element in before:
        tag = element[0]
        if tag in named:
            continue
        other = there.get(tag)
        if tag in must_be_there:
            yield Required(element, other, tag in asked.values)
        below = asked.items.get(tag)
        if below is None or other is None:
            continue
        items, others = element[4] or (), other[4] or ()
        if len(items) == len(others):  # others are items of the editor's own
            is_dummy = dummy or (any(others) and are_dummies(result, others))
            if is_dummy:
                yield Required(element, other, has_dummies=True)
            for one, two in zip(items, others, strict=True):
                yield from _required(below, one, two, named, result, dummy=is_dummy)


def _check_one(element: Element, other: Element | None, *, needs_value: bool) -> None:
    if other is None:
        text = f"{describe_tag(element[0])} must be there, since the IOD asks for it and the source has it"
        raise InstanceFailed(ReasonCode.RESULT_DIFFERS, text)
    if needs_value and _has_value(element) and not _has_value(other):
        text = f"{describe_tag(element[0])} must have a value, since the IOD asks for one and the source has one"
        raise InstanceFailed(ReasonCode.RESULT_DIFFERS, text)


def _has_value(element: Element) -> bool:
    return bool(element[4]) if element[4] is not None else element[3] > element[2]
