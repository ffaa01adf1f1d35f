"""What a profile of an Orthanc does to each attribute, read from its table for the verifier.

The tables are data; what reads them for the editor is not used.

Public names: ``ProfileTable``, ``profile_table``.
"""

from __future__ import annotations

import csv
from functools import lru_cache
from importlib.resources import files
from typing import Final, NamedTuple

from deidflow.tasks.verification.fates import Fate

_FATES: Final = {"X": Fate.REMOVED, "Z": Fate.EMPTIED, "U": Fate.UID}
"""By what the tables' columns ``action`` and ``nested_action`` say; whatever else they say, the attribute stays."""


class ProfileTable(NamedTuple):
    """One profile.

    Attributes:
        top: By tag, at top level.
        nested: By tag, inside items.
        drops_nested_curves_and_overlays: Whether groups 50xx, and the data and comments of 60xx, go inside items.

    """

    top: dict[int, Fate]
    nested: dict[int, Fate]
    drops_nested_curves_and_overlays: bool


@lru_cache
def profile_table(version: str) -> ProfileTable:
    """Read the table of a ``DicomVersion``.

    Raises:
        FileNotFoundError: There is none.

    """
    folder = files("deidflow.tasks").joinpath("local", "deidentification", "profiles")
    text = folder.joinpath(f"orthanc-{version}.csv").read_text("utf-8")
    top: dict[int, Fate] = {}
    nested: dict[int, Fate] = {}
    drops_nested = False
    for row in csv.DictReader(text.splitlines()):
        inside = _FATES.get(row["nested_action"] or row["action"])
        if "x" in row["tag"]:
            drops_nested = drops_nested or inside is Fate.REMOVED
            continue
        tag = int(row["tag"].replace(",", ""), 16)
        outside = _FATES.get(row["action"])
        if outside is not None:
            top[tag] = outside
        if inside is not None:
            nested[tag] = inside
    return ProfileTable(top, nested, drops_nested)
