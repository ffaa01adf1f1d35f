"""Orthanc's anonymization profiles, as measured on real servers (package data, see ``profiles/README.md``).

Public names: ``Profile``, ``load_profile``, ``orthanc_table``, ``profile_sha256``, ``REFERENCED_UIDS``.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.dicom.tags import (
    DATA_SET_TRAILING_PADDING,
    DEIDENTIFICATION_METHOD,
    FRAME_OF_REFERENCE_UID,
    PATIENT_ID,
    PATIENT_IDENTITY_REMOVED,
    PATIENT_NAME,
    SERIES_INSTANCE_UID,
    SIGNATURES,
    SOP_INSTANCE_UID,
    STUDY_INSTANCE_UID,
    Path,
)
from deidflow.tasks.local.deidentification.mapped_patients import new_patient_id, new_patient_name
from deidflow.tasks.local.deidentification.record import deidentification_method
from deidflow.tasks.local.editing.actions import Action, Rule
from deidflow.tasks.local.editing.table import RepeatingGroup, Scope, Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deidflow.tasks.core.request.edits import Value
    from deidflow.tasks.core.request.request import Request

REFERENCED_UIDS: Final = frozenset({STUDY_INSTANCE_UID, SERIES_INSTANCE_UID, SOP_INSTANCE_UID, FRAME_OF_REFERENCE_UID})
"""UIDs whose kept or replaced values are known to the whole run, so that references to them follow."""

_OF_THE_PROFILE: Final = (Action.REMOVE, Action.EMPTY, Action.REPLACE_UID)
"""What is taken from the tables; which dummies (D) stand for PatientID, PatientName and the marks is deidflow's own."""

_OWN: Final = (PATIENT_NAME, PATIENT_ID, PATIENT_IDENTITY_REMOVED, DEIDENTIFICATION_METHOD)
"""Attributes whose rules are deidflow's, not the profile's."""

_ANY_GROUP: Final = 0xFF000000
_FIRST_CURVE: Final = 0x50000000
_FIRST_OVERLAY: Final = 0x60000000

_PSEUDONYM: Final = Rule(Action.REPLACE, "pseudonym")
_MARK: Final = Rule(Action.REPLACE, "mark of de-identification")
_PRIVATE: Final = Rule(Action.REMOVE, "private elements")
_SIGNATURE: Final = Rule(Action.REMOVE, "hardening: signatures and padding")
_OVERLAY: Final = Rule(Action.REMOVE, "hardening: curves and overlays")
_KNOWN_UIDS: Final = Rule(Action.REPLACE_UID, "UIDs of the run's own objects", of_the_run=True)

_BY_VR: Final = {"UI": _KNOWN_UIDS, "UN": _KNOWN_UIDS}
"""What the file does not tell, and no dictionary, may be a UID, too (docs/decisions/0012)."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What one ``DicomVersion`` does to each attribute; attributes that are not listed are kept.

    Attributes:
        version: Orthanc's name of it: 2008, 2017c, 2021b, 2023b.
        top: Rules at top level.
        nested: Rules inside sequence items.

    """

    version: str
    top: Scope
    nested: Scope


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
    rows = list(csv.DictReader(_table(version).decode("utf-8").splitlines()))
    # Attributes that were only read in Orthanc's source are treated alike at every depth.
    nested = [(row["tag"], row["nested_action"] or row["action"]) for row in rows]
    return Profile(version, _scope(version, [(row["tag"], row["action"]) for row in rows]), _scope(version, nested))


def _scope(version: str, rows: list[tuple[str, str]]) -> Scope:
    rules = {
        action: Rule(action, f"profile {version}: {action.value} ({action.name.lower()})") for action in _OF_THE_PROFILE
    }
    named = [(tag.replace(",", ""), rules[Action(code)]) for tag, code in rows if Action(code) in rules]
    by_tag = {int(tag, 16): rule for tag, rule in named if "x" not in tag}
    return Scope(by_tag, groups=tuple(_groups(named)))


def _groups(named: list[tuple[str, Rule]]) -> Iterator[RepeatingGroup]:
    """Yield the rules for tags in which digits do not count, such as ``60xx3000``."""
    for tag, rule in named:
        if "x" in tag:
            mask = "".join("0" if digit == "x" else "f" for digit in tag)
            yield RepeatingGroup(int(mask, 16), int(tag.replace("x", "0"), 16), rule)


def orthanc_table(request: Request, *, hardening: bool, known_uids: bool) -> Table:
    """Return what an Orthanc's profile does, before the request's own lists are laid over it.

    Args:
        request: Of an anonymization, with a ``DicomVersion``.
        hardening: See ``compile_request``.
        known_uids: See ``compile_request``.

    Raises:
        FileNotFoundError: There is no profile of this version.

    """
    profile = load_profile(request.settings.dicom_version)
    private = None if request.settings.keep_private_tags else _PRIVATE
    by_vr = _BY_VR if known_uids else {}
    top = Scope(dict(profile.top.by_tag), private, profile.top.groups, by_vr)
    nested = Scope(dict(profile.nested.by_tag), private, profile.nested.groups, by_vr)
    shielded = Scope(by_vr=by_vr)
    if hardening:
        top.groups = tuple(RepeatingGroup(_ANY_GROUP, group, _OVERLAY) for group in (_FIRST_CURVE, _FIRST_OVERLAY))
        for scope in (top, nested, shielded):
            scope.by_tag.update(dict.fromkeys((*SIGNATURES, DATA_SET_TRAILING_PADDING), _SIGNATURE))
    named = {path.tag for path in (*request.edits.replace, *request.edits.keep) if not path.is_nested}
    # Orthanc takes a tag that the user names out of the recursive rules. References must stay true, though: nested UIDs
    # follow the kept or replaced ones, and whatever else stands there is mapped.
    for tag in (*(named - REFERENCED_UIDS), *_OWN):
        nested.by_tag.pop(tag, None)
    top.by_tag[PATIENT_NAME] = _PSEUDONYM
    top.by_tag[PATIENT_IDENTITY_REMOVED] = top.by_tag[DEIDENTIFICATION_METHOD] = _MARK
    if hardening:
        mapped = {PATIENT_ID: Rule(Action.REPLACE, "hardening: mapped", new_patient_id)}
        if Path((), PATIENT_NAME) not in request.edits.keep:
            mapped[PATIENT_NAME] = Rule(Action.REPLACE, "hardening: mapped", new_patient_name)
        nested.by_tag.update(mapped)
        shielded.by_tag.update(mapped)
    elif PATIENT_ID not in named:
        nested.by_tag[PATIENT_ID] = Rule(Action.REPLACE, "pseudonym", new_patient_id)
    values: dict[int, Value] = {
        PATIENT_IDENTITY_REMOVED: "YES",
        DEIDENTIFICATION_METHOD: deidentification_method(profile.version),
    }
    return Table(
        anonymizes=True, top=top, nested=nested, shielded=shielded, values=values, clears_overlay_bits=hardening
    )
