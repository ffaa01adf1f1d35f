"""What a request asks for and what an element holds, as the conditions of accepted differences ask it.

Public names: ``is_anonymize``, ``text_of``, ``at_top``, ``texts_of``, ``replaced_texts``, ``declared_charset``,
``NUMBER_VRS``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.dicom.tags import SPECIFIC_CHARACTER_SET, Path
from deidflow.tasks.core.request.request import Operation
from deidflow.tasks.local.dicom_file.values import choose_vr
from tests.contract.parity.reader import dataset_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.contract.parity.differences import Case, Difference
    from tests.contract.parity.reader import Element

NUMBER_VRS: Final = frozenset({"US", "SS", "UL", "SL", "FL", "FD", "AT"})


def is_anonymize(case: Case) -> bool:
    """Whether the request is a de-identification."""
    return case.operation is Operation.ANONYMIZE


def text_of(element: Element | None) -> str:
    """Return the value as Latin-1 without its padding, "" for an absent element."""
    return element.value.decode("latin-1").strip(" \0") if element is not None else ""


def at_top(case: Case, tag: int, member: str) -> bool:
    """Whether the request names a top-level tag in a list."""
    return case.request is not None and Path((), tag) in getattr(case.request.edits, member)


def texts_of(pairs: Iterable[tuple[Path | int, object]]) -> Iterator[tuple[int, str]]:
    """Yield tags and texts of new values, of those in items, too."""
    for key, value in pairs:
        tag = key if isinstance(key, int) else key.tag
        if isinstance(value, str):
            yield tag, value
        elif isinstance(value, tuple):
            for item in value:
                yield from texts_of(item)


def replaced_texts(case: Case, vrs: Iterable[str]) -> list[str]:
    """Return the new values of elements of some VRs, at any depth of the request."""
    assert case.request is not None
    return [text for tag, text in texts_of(case.request.edits.replace.items()) if choose_vr(tag) in vrs]


def declared_charset(found: Difference) -> Element | None:
    """Return the SpecificCharacterSet that counts for an element of the engine's result."""
    assert found.files is not None
    declared = None
    for depth in range(len(found.where) + 1):
        declared = dataset_at(found.files[2], found.where[:depth]).get(SPECIFIC_CHARACTER_SET, declared)
    return declared
