"""How the IOD of an instance asks for an attribute: what decides the combined codes of Table E.1-1.

Public names: ``type_of``, ``typed_paths``.
"""

from __future__ import annotations

import csv
import gzip
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from deidflow.tasks.local.deidentification.standard.codes import AttributeType

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_TABLES: Final = "deidflow.tasks.local.deidentification.tables"
_CONTENT: Final = "ContentSequence"


@lru_cache
def _types() -> Mapping[str, Mapping[str, AttributeType]]:
    packed = files(_TABLES).joinpath("types.csv.gz").read_bytes()
    types: dict[str, dict[str, AttributeType]] = {}
    by_name = {kind.value: kind for kind in AttributeType}
    for sop_class, path, kind in csv.reader(gzip.decompress(packed).decode("ascii").splitlines()[1:]):
        types.setdefault(sop_class, {})[path] = by_name[kind]
    return types


def typed_paths(sop_class_uid: str) -> list[tuple[str, ...]]:
    """Return the paths of which the table says something for a SOP class; none where it is not known."""
    return [tuple(path.split(".")) for path in _types().get(sop_class_uid, ())]


def type_of(sop_class_uid: str, path: Sequence[str]) -> AttributeType | None:
    """Return how strictly an IOD asks for an attribute.

    Args:
        sop_class_uid: Of the instance, without padding.
        path: Keywords from the top level down to the attribute: ``("ReferencedSeriesSequence", "InstitutionName")``.
            A sequence that is nested in itself, such as Content Sequence, counts once, however deep.

    Returns:
        The strictest type that any of the IOD's modules and macros gives it there; None where the IOD does not have it
        at this path, where the SOP class is not known, and where no code of Table E.1-1 depends on the answer.

    """
    types = _types().get(sop_class_uid)
    if types is None:
        return None
    found = types.get(".".join(path))
    if found is None:
        plain = _unrolled(path)
        # An item of Content Sequence is a content item as the document itself is (PS3.3 section C.17.3).
        found = types.get(".".join(plain)) or types.get(".".join(plain[plain[0] == _CONTENT :]))
    return found


def _unrolled(path: Sequence[str]) -> list[str]:
    """Take each loop out of a path: what stands between two times the same sequence."""
    plain: list[str] = []
    for keyword in path[:-1]:
        if keyword in plain:
            del plain[plain.index(keyword) :]
        plain.append(keyword)
    return [*plain, *path[-1:]]
