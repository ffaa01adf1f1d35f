"""The condition of one accepted difference: text that the engine refuses since its file's character set lacks it.

Public names: ``refused_text``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deidflow.tasks.core.dicom.tags import SPECIFIC_CHARACTER_SET
from tests.contract.parity.differences import decoded
from tests.contract.parity.reader import read_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.contract.parity.differences import Case, Difference
    from tests.contract.parity.reader import Dataset, Element


def refused_text(case: Case, found: Difference) -> bool:
    """Whether Orthanc's result shows the loss: new text with characters gone, or old text that reads otherwise."""
    if (found.kind, found.detail) != ("not-done", "character-set") or case.request is None:
        return False
    source, theirs = (read_file(data).dataset for data in found.raw[:2])
    before, after = source.get(SPECIFIC_CHARACTER_SET), theirs.get(SPECIFIC_CHARACTER_SET)
    given = case.request.edits.replace.items()
    return _garbles(source, theirs, before, after) or any(
        _loses(dataset, charset, path.tag, value)
        for path, value in given
        for dataset, charset in _places(theirs, after, path.parents)
    )


def _places(
    dataset: Dataset, charset: Element | None, parents: tuple[tuple[int, int], ...]
) -> Iterator[tuple[Dataset, Element | None]]:
    """Yield the datasets that a path leads to, with the character sets that hold there."""
    if not parents:
        yield dataset, charset
        return
    (tag, wanted), *rest = parents
    items = dataset[tag].items if tag in dataset else None
    for index, item in enumerate(items or []):
        if wanted in (-1, index):
            yield from _places(item, item.get(SPECIFIC_CHARACTER_SET, charset), tuple(rest))


def _loses(dataset: Dataset, charset: Element | None, tag: int, value: object) -> bool:
    """Whether a new value is not what stands in Orthanc's result."""
    element = dataset.get(tag)
    if element is None:
        return False
    if isinstance(value, str):
        return not value.isascii() and decoded(element, charset) != value.partition("\0")[0].rstrip(" ")
    assert isinstance(value, tuple)
    return any(
        _loses(item, item.get(SPECIFIC_CHARACTER_SET, charset), inner, text)
        for item, given in zip(element.items or [], value, strict=False)
        for inner, text in given
    )


def _garbles(source: Dataset, theirs: Dataset, before: Element | None, after: Element | None) -> bool:
    """Whether untouched bytes read otherwise in the character set that Orthanc's result declares."""
    for tag in source.keys() & theirs.keys():
        old, new = source[tag], theirs[tag]
        same = tag != SPECIFIC_CHARACTER_SET and old.value == new.value
        if same and (decoded(old, before) != decoded(new, after) or _is_undeclared(old.value, before, after)):
            return True
        for inner, other in zip(old.items or [], new.items or [], strict=False):
            declared = inner.get(SPECIFIC_CHARACTER_SET, before), other.get(SPECIFIC_CHARACTER_SET, after)
            if _garbles(inner, other, *declared):
                return True
    return False


def _is_undeclared(value: bytes, before: Element | None, after: Element | None) -> bool:
    """Whether bytes lost their meaning where pydicom reads on: escape sequences, and the upper half beside ASCII."""
    old, new = ((element.value.strip(b" \0") if element else b"") for element in (before, after))
    lost_escapes = b"\x1b" in value and b"\\" in old and b"\\" not in new
    is_ascii = b"\\" in new and new.partition(b"\\")[0] in (b"", b"ISO_IR 6", b"ISO 2022 IR 6")
    return lost_escapes or (is_ascii and b"\\" not in old and not value.partition(b"\x1b")[0].isascii())
