"""Whether the items of a sequence say nothing of anybody: those that an earlier de-identification left.

A sequence that the profile replaces by a dummy may hold one already, and the result then has the very same bytes.

Public names: ``are_dummies``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.dicom.tags import dictionary_vr
from deidflow.tasks.verification.standard.profile import is_dummy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deidflow.tasks.verification.reader import Element, Item, Read

_TERMS: Final = frozenset(
    b"CONTAINS|TEXT|121106|DCM|Comment|PIXEL|POINT|1.2.840.10008.3.1.2.3.3|2.25.0".split(b"|"),
)
"""Of a content item that is a comment, of a graphic object that is a point, and of no instance."""
_COUNTS: Final = frozenset({"FL", "US"})
_MAX_BYTES_OF_COUNTS: Final = 8
"""Channels, dimensions and the place of one point."""


def are_dummies(read: Read, items: Sequence[Item]) -> bool:
    """Whether no value in any of the items, at any depth, is somebody's.

    Args:
        read: The file that they stand in.
        items: Of a sequence.

    """
    return all(_is_nobodys(read, element) for item in items for element in item)


def _is_nobodys(read: Read, element: Element) -> bool:
    tag, vr, start, end, items = element
    if items is not None:
        return are_dummies(read, items)
    if (vr.decode("latin-1") or dictionary_vr(tag)) in _COUNTS:
        return end - start <= _MAX_BYTES_OF_COUNTS
    value = read.value(start, end)
    return is_dummy(value) or value.strip(b" \0") in _TERMS
