"""The profiles that are tried, and which attributes each of them treats.

Public names: ``RUNS``, ``PROFILES``, ``RESEARCH``, ``attributes``, ``kept``.
"""

from __future__ import annotations

import csv
import re
from functools import cache
from pathlib import Path
from typing import Any, Final

from pydicom import datadict
from pydicom._dicom_dict import DicomDictionary

from deidflow import tasks
from deidflow.tasks.core.config.yaml import read_yaml
from tests.verification.blind import values

_TABLES: Final = Path(tasks.__path__[0]) / "local" / "deidentification"
_TEXTS: Final = ("LO", "SH", "ST", "LT", "UT", "UC")
_STANDARD: Final[dict[str, Any]] = {"options": {}, "profile": "ps3.15-2026d"}
RESEARCH: Final = "research-tcia"
_KEYS: Final = ("profile", "profile_options", "options", "dates")
_EXAMPLE: Final[Any] = read_yaml(
    (Path(__file__).parents[3] / "configs" / "research-tcia.yaml").read_text("utf-8"), "research-tcia.yaml"
).data
_RESEARCH: Final[dict[str, Any]] = {key: _EXAMPLE[key] for key in _KEYS}
_STRUCTURED: Final = _RESEARCH | {"profile_options": [*_RESEARCH["profile_options"], "clean-structured-content"]}
RUNS: Final[dict[str, tuple[dict[str, Any], dict[str, Any]]]] = {
    "2008": ({"options": {"DicomVersion": "2008"}}, {"options": {"DicomVersion": "2008", "KeepPrivateTags": True}}),
    "2023b": ({"options": {"DicomVersion": "2023b"}}, {"options": {"DicomVersion": "2023b", "KeepPrivateTags": True}}),
    "ps3.15-2026d": (_STANDARD, _STANDARD | {"profile_options": ["retain-safe-private"]}),
    RESEARCH: (_STRUCTURED, _STRUCTURED),
}
"""The config of each profile, and the one under which private elements stay."""
PROFILES: Final[dict[str, dict[str, Any]]] = {
    **{version: {"options": {"DicomVersion": version}} for version in ("2008", "2017c", "2021b", "2023b")},
    "ps3.15-2026d": _STANDARD,
    "clean-descriptors": _STANDARD
    | {
        "profile_options": ["clean-descriptors", "retain-longitudinal-modified-dates", "retain-patient-characteristics"]
    },
    RESEARCH: _RESEARCH,
}
"""Configs whose results are clean."""


def _listed(profile: str) -> list[dict[str, str]]:
    """Return the rows of a profile's tables."""
    standard = not profile.startswith("2")
    files = ["tables/profile.csv", "tables/additional.csv"] if standard else [f"profiles/orthanc-{profile}.csv"]
    return [row for name in files for row in csv.DictReader((_TABLES / name).read_text("utf-8").splitlines())]


def _treatment(row: dict[str, str], profile: str) -> str:
    """Return the code of a row: of the options, of which cleaning goes first, or of the basic profile."""
    if "action" in row:
        return row["action"]
    options = RUNS[profile][0].get("profile_options", [])
    codes = {row[option] for option in options}
    return next((code for code in "CK" if code in codes), row["basic"])


@cache
def attributes(profile: str) -> dict[str, list[tuple[str, str]]]:
    """Return keyword and VR of what a profile treats, by class; texts that it cleans are of the class ``cleaned``."""
    found: dict[str, list[tuple[str, str]]] = {}
    for row in _listed(profile):
        tag, vr, code = row["tag"].replace(",", ""), row["vr"], _treatment(row, profile)
        if not re.fullmatch("[0-9a-f]{8}", tag) or tag[:4] in {"0000", "0002", "0004"} or code == "K":
            continue
        if (code == "C" and vr == "TM") or ("reason" in row and profile != RESEARCH):
            continue  # times stay where dates move; what is treated beyond the standard is drawn for one profile
        if row["keyword"].startswith("Deidentification"):
            continue  # the run writes its own
        if datadict.keyword_for_tag(int(tag, 16)) == row["keyword"] and (kind := values.class_of(row["keyword"], vr)):
            cleaned = code == "C" and vr in {*_TEXTS, "AE"}
            found.setdefault("cleaned" if cleaned else kind, []).append((row["keyword"], vr))
    return found


@cache
def kept(profile: str) -> list[tuple[int, str]]:
    """Return texts of the dictionary that a profile's table does not list."""
    listed = {row["tag"].replace(",", "") for row in _listed(profile)}
    return [
        (tag, vr)
        for tag, (vr, _, _, retired, _) in sorted(DicomDictionary.items())
        if vr in _TEXTS
        and not retired
        and f"{tag:08x}" not in listed
        and 0x0008 < tag >> 16 < 0x6000
        and tag != 0x00080005
    ]
