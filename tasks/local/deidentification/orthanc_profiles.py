"""Orthanc's anonymization profiles, as measured on real servers (package data, see ``profiles/README.md``).

Public names: ``Profile``, ``load_profile``, ``profile_sha256``.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files
from typing import Final

from deidflow.tasks.local.editing.actions import Action

_ACTIONS: Final = {"remove": Action.DROP, "clear": Action.EMPTY, "replace-uid": Action.MAP_UID}


@dataclass(frozen=True, slots=True)
class Profile:
    """What one ``DicomVersion`` does to each attribute; attributes that are not listed are kept.

    Attributes:
        version: Orthanc's name of it: 2008, 2017c, 2021b, 2023b.
        top: Actions at top level by tag.
        nested: Actions inside sequence items by tag.
        drops_nested_curves_and_overlays: Whether 50xx,xxxx, 60xx,3000 and 60xx,4000 are removed inside items (at top
            level no profile of Orthanc removes them).

    """

    version: str
    top: dict[int, Action]
    nested: dict[int, Action]
    drops_nested_curves_and_overlays: bool


def _table(version: str) -> bytes:
    return files("deidflow.tasks.local.deidentification").joinpath("profiles", f"orthanc-{version}.csv").read_bytes()


def profile_sha256(version: str) -> str:
    """Return the hash of a profile's table in hex, for provenance.

    Raises:
        FileNotFoundError: There is no such profile.

    """
    return sha256(_table(version)).hexdigest()


@lru_cache
def load_profile(version: str) -> Profile:
    """Read one profile from the package's data.

    Args:
        version: 2008, 2017c, 2021b or 2023b.

    Raises:
        FileNotFoundError: There is no such profile.

    """
    text = _table(version).decode("utf-8")
    top: dict[int, Action] = {}
    nested: dict[int, Action] = {}
    drops_nested = False
    for row in csv.DictReader(text.splitlines()):
        if "x" in row["tag"]:
            drops_nested = drops_nested or row["nested_action"] == "remove"
            continue
        tag = int(row["tag"].replace(",", ""), 16)
        action = _ACTIONS.get(row["action"])
        if action is not None:
            top[tag] = action
        # Attributes that were only read in Orthanc's source are treated alike at every depth.
        nested_action = _ACTIONS.get(row["nested_action"] or row["action"])
        if nested_action is not None:
            nested[tag] = nested_action
    return Profile(version, top, nested, drops_nested)
