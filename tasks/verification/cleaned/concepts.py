"""What kind of concept a content item has, of those whose values an option keeps or that name somebody.

Source: DICOM PS3.16 (edition 2026c), as listed in ``content_concepts.csv``.

Public names: ``kind_of_concept``.
"""

from __future__ import annotations

import csv
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from deidflow.tasks.verification.reader import Item, Read

_CONCEPT_NAME: Final = 0x0040A043
_CODE_VALUE: Final = 0x00080100
_DESIGNATOR: Final = 0x00080102


@lru_cache
def _kinds() -> dict[str, str]:
    folder = files("deidflow.tasks").joinpath("local", "deidentification", "content")
    rows = csv.DictReader(folder.joinpath("content_concepts.csv").read_text("utf-8").splitlines())
    return {row["code"]: row["kind"] for row in rows}


def kind_of_concept(read: Read, elements: Item) -> str:
    """Return the kind of the concept of an item; "" where it has none, or one of no kind."""
    for tag, _, _, _, items in elements:
        if tag == _CONCEPT_NAME and items:
            values = {one[0]: read.value(one[2], one[3]).strip(b" \0") for one in items[0]}
            if values.get(_DESIGNATOR) == b"DCM":
                return _kinds().get(values.get(_CODE_VALUE, b"").decode("latin-1"), "")
    return ""
