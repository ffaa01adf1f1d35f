"""A request compiled into tables: for each tag, at top level and inside items, what happens to the element.

What Orthanc does is in reference 2.2 (order), 3.1 to 3.3 (anonymization); where deidflow decides otherwise (PatientName
and PatientID, hardening, references to kept and replaced UIDs) see ``docs/parity.md``.

Public names: ``Rules``, ``compile_rules``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.dicom.private_tags import creator_of, in_block, is_private_number
from deidflow.tasks.core.dicom.tags import (
    DATA_SET_TRAILING_PADDING,
    DEIDENTIFICATION_METHOD,
    FRAME_OF_REFERENCE_UID,
    IDENTIFIERS,
    PATIENT_ID,
    PATIENT_IDENTITY_REMOVED,
    PATIENT_NAME,
    SERIES_INSTANCE_UID,
    SIGNATURES,
    SOP_INSTANCE_UID,
    SPECIFIC_CHARACTER_SET,
    STUDY_INSTANCE_UID,
    Path,
    is_computed,
)
from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.request.request import Operation
from deidflow.tasks.local.deidentification.orthanc_profiles import load_profile
from deidflow.tasks.local.dicom_file.character_sets import character_set
from deidflow.tasks.local.dicom_file.encoding import EXPLICIT_LITTLE
from deidflow.tasks.local.dicom_file.values import encode_element
from deidflow.tasks.local.editing.actions import Action
from deidflow.tasks.local.editing.embedded_documents import with_document
from deidflow.tasks.local.editing.path_nodes import PathNode
from deidflow.tasks.local.editing.private_blocks import with_plain_tags

if TYPE_CHECKING:
    from collections.abc import Collection

    from deidflow.tasks.core.request.edits import Value
    from deidflow.tasks.core.request.request import Request
    from deidflow.tasks.local.dicom_file.character_sets import CharacterSet
    from deidflow.tasks.local.dicom_file.elements import Element, Read

REFERENCED_UIDS: Final = frozenset({STUDY_INSTANCE_UID, SERIES_INSTANCE_UID, SOP_INSTANCE_UID, FRAME_OF_REFERENCE_UID})
"""UIDs whose kept or replaced values are known to the whole run, so that references to them follow."""

_FIRST_CURVE_GROUP: Final = 0x5000
_FIRST_OVERLAY_GROUP: Final = 0x6000
_OVERLAY_ELEMENTS: Final = frozenset({0x3000, 0x4000})


@dataclass(slots=True)
class Rules:
    """The compiled request.

    Attributes:
        request: What was compiled.
        top: Actions at top level.
        nested: Actions inside items; for modify inside those in which a path ends.
        shielded: Actions inside items of a kept sequence: what hardening does.
        values: New values of the top-level elements with the action SET, but for the identifiers and the PatientName,
            which differ from instance to instance.
        drop_private_top: Remove private elements at top level.
        drop_private_nested: Remove private elements inside items.
        drop_top_curves_and_overlays: Hardening.
        drop_nested_curves_and_overlays: As the profile has it.
        visits_items: Whether items are looked into even where no path leads.
        given_identifiers: Identifiers in Replace: written even where they are absent or equal already.
        given_sequences: Sequences in Replace with items, which are treated like those of the file.
        paths: The nested paths of the request, and those at top level that name a creator; or None.
        problem: A value that no file takes; Orthanc fails each instance, also where the value would not be written.
        sets_character_set: Whether SpecificCharacterSet itself is replaced or removed.
        names_creators: Whether a path depends on the private creators of a dataset, so that each one is asked.
        everywhere: Anonymize: elements named by creator that are removed at every depth, as plain tags are.
        added_method: What DeidentificationMethod gets beside the values of earlier steps; "" when the request names it.
        claims_identity_removed: Whether PatientIdentityRemoved is for the engine to say.

    """

    request: Request
    top: dict[int, Action]
    nested: dict[int, Action] = field(default_factory=dict)
    shielded: dict[int, Action] = field(default_factory=dict)
    values: dict[int, Value] = field(default_factory=dict)
    drop_private_top: bool = False
    drop_private_nested: bool = False
    drop_top_curves_and_overlays: bool = False
    drop_nested_curves_and_overlays: bool = False
    visits_items: bool = False
    given_identifiers: tuple[int, ...] = ()
    given_sequences: tuple[int, ...] = ()
    paths: PathNode | None = None
    problem: InstanceFailed | None = None
    sets_character_set: bool = False
    names_creators: bool = False
    everywhere: tuple[PathNode, ...] = ()
    added_method: str = ""
    claims_identity_removed: bool = False

    @property
    def anonymizes(self) -> bool:
        """Whether the request is a de-identification."""
        return self.request.operation is Operation.ANONYMIZE

    def read_paths(
        self, nodes: tuple[PathNode, ...], elements: Collection[Element], read: Read, charset: CharacterSet
    ) -> tuple[PathNode, ...]:
        """Return paths as they read in one dataset, whose private blocks are its own; see ``with_plain_tags``."""
        return with_plain_tags(nodes, elements, read, charset) if self.names_creators and nodes else nodes

    def default_action(self, tag: int, *, nested: bool, shielded: bool = False) -> Action | None:
        """Return what happens to an element that no table names: private ones, curves and overlays."""
        if shielded:
            return None
        if tag & 0x10000:
            drops = self.drop_private_nested if nested else self.drop_private_top
            return Action.DROP if drops else None
        group = tag >> 16
        is_curve = group & 0xFF00 == _FIRST_CURVE_GROUP
        if not is_curve and group & 0xFF00 != _FIRST_OVERLAY_GROUP:
            return None
        if not nested:
            return Action.DROP if self.drop_top_curves_and_overlays else None
        if self.drop_nested_curves_and_overlays and (is_curve or tag & 0xFFFF in _OVERLAY_ELEMENTS):
            return Action.DROP
        return None


def deidentification_method(version: str) -> str:
    """Return the value of DeidentificationMethod that anonymize writes."""
    return f"deidflow - PS 3.15-{version} Table E.1-1 Basic Profile"


def compile_rules(request: Request, *, hardening: bool) -> Rules:
    """Compile a request.

    Args:
        request: Its edits normalised.
        hardening: Anonymize: also remove top-level curves and overlays, and map nested PatientName and PatientID.

    """
    request = with_document(request)
    if request.operation is Operation.ANONYMIZE:
        rules = _compile_anonymize(request, hardening=hardening)
    else:
        # A signature does not fit an object that was changed (PS3.15 section 6.2, edition 2026c).
        signatures = dict.fromkeys(SIGNATURES, Action.DROP)
        rules = Rules(
            request, dict(signatures), dict(signatures), drop_private_top=request.settings.remove_private_tags
        )
    edits = request.edits
    for path in edits.remove:
        if _is_plain_top(path):
            rules.top[path.tag] = Action.DROP
            rules.values.pop(path.tag, None)
            if rules.anonymizes:
                rules.nested[path.tag] = Action.DROP
            if path.tag in rules.shielded:
                rules.shielded[path.tag] = Action.DROP
    for path, value in edits.replace.items():
        if _is_plain_top(path) and not is_computed(path.tag):
            rules.top[path.tag] = Action.SET
            rules.values[path.tag] = value
    for path in edits.keep:
        if _is_plain_top(path):
            rules.top[path.tag] = Action.KEEP
            rules.values.pop(path.tag, None)
    rules.given_identifiers = tuple(tag for tag in IDENTIFIERS if tag in rules.values)
    for tag in IDENTIFIERS:
        # Whether they change is in the instance's new identifiers.
        rules.top[tag] = Action.SET
        rules.values.pop(tag, None)
    rules.given_sequences = tuple(tag for tag, value in rules.values.items() if value and isinstance(value, tuple))
    rules.paths = _compile_paths(request)
    _name_creators(rules, doubts_numbers=hardening and rules.anonymizes and rules.drop_private_top)
    rules.problem = _problem_of_values(request)
    method = rules.values.get(DEIDENTIFICATION_METHOD)
    if rules.anonymizes and not _names(request, DEIDENTIFICATION_METHOD) and isinstance(method, str):
        rules.added_method = method
    rules.claims_identity_removed = rules.anonymizes and not _names(request, PATIENT_IDENTITY_REMOVED)
    rules.sets_character_set = rules.top.get(SPECIFIC_CHARACTER_SET) in (Action.SET, Action.DROP)
    return rules


def _name_creators(rules: Rules, *, doubts_numbers: bool) -> None:
    edits = rules.request.edits
    rules.names_creators = any(path.names_creator for path in edits.paths())
    at_any_depth = {path.tag for path in edits.remove if not path.is_nested and path.names_creator}
    if rules.anonymizes and at_any_depth:
        rules.everywhere = (PathNode(remove=at_any_depth),)
    if doubts_numbers:
        _doubt_numbers(rules)


def _doubt_numbers(rules: Rules) -> None:
    """Have each dataset asked whether a private element that is kept by its number is the one that was meant."""
    numbers = {path.tag for path in rules.request.edits.keep if not path.is_nested and is_private_number(path.tag)}
    if numbers:
        for tag in numbers:
            del rules.top[tag]
        rules.paths = rules.paths or PathNode()
        rules.paths.keep |= numbers
        rules.names_creators = True


def _is_plain_top(path: Path) -> bool:
    """Whether an element's action at top level is the same in every file."""
    return not path.is_nested and not path.names_creator


def _names(request: Request, tag: int) -> bool:
    path = Path((), tag)
    return path in request.edits.replace or path in request.edits.remove or path in request.edits.keep


def _compile_anonymize(request: Request, *, hardening: bool) -> Rules:
    profile = load_profile(request.settings.dicom_version)
    keeps_private = request.settings.keep_private_tags
    top, nested = dict(profile.top), dict(profile.nested)
    shielded: dict[int, Action] = {}
    if hardening:
        for actions in (top, nested, shielded):
            actions.update(dict.fromkeys((*SIGNATURES, DATA_SET_TRAILING_PADDING), Action.DROP))
    named = {path.tag for path in (*request.edits.replace, *request.edits.keep) if not path.is_nested}
    for tag in named:
        # Orthanc takes a tag that the user names out of the recursive rules. References must stay true, though: nested
        # UIDs follow the kept or replaced ones, and whatever else stands there is mapped.
        if tag not in REFERENCED_UIDS:
            nested.pop(tag, None)
    for tag in (PATIENT_NAME, PATIENT_IDENTITY_REMOVED, DEIDENTIFICATION_METHOD):
        top[tag] = Action.SET
        nested.pop(tag, None)
    nested.pop(PATIENT_ID, None)
    if hardening:
        shielded[PATIENT_ID] = nested[PATIENT_ID] = Action.MAP_PATIENT_ID
        if Path((), PATIENT_NAME) not in request.edits.keep:
            shielded[PATIENT_NAME] = nested[PATIENT_NAME] = Action.MAP_PATIENT_NAME
    elif PATIENT_ID not in named:
        nested[PATIENT_ID] = Action.MAP_PATIENT_ID
    return Rules(
        request,
        top,
        nested,
        shielded,
        values={
            PATIENT_IDENTITY_REMOVED: "YES",
            DEIDENTIFICATION_METHOD: deidentification_method(profile.version),
        },
        drop_private_top=not keeps_private,
        drop_private_nested=not keeps_private,
        drop_top_curves_and_overlays=hardening,
        drop_nested_curves_and_overlays=profile.drops_nested_curves_and_overlays,
        visits_items=True,
    )


def _compile_paths(request: Request) -> PathNode | None:
    root = PathNode()
    for path in request.edits.keep:
        if not _is_plain_top(path):
            root.step(path.parents).keep.add(path.tag)
    for path in request.edits.remove:
        if not _is_plain_top(path):
            root.step(path.parents).remove.add(path.tag)
    for path, value in request.edits.replace.items():
        if not _is_plain_top(path) and not is_computed(path.tag):
            root.step(path.parents).replace[path.tag] = value
    return None if root == PathNode() else root


def _problem_of_values(request: Request) -> InstanceFailed | None:
    charset = character_set(b"ISO_IR 192")
    for path, value in request.edits.replace.items():
        if (not _is_plain_top(path) or isinstance(value, tuple)) and not is_computed(path.tag):
            tag = in_block(path.tag, 0x10) if creator_of(path.tag) else path.tag
            try:
                encode_element(tag, value, charset, EXPLICIT_LITTLE)
            except InstanceFailed as problem:
                return problem
    return None
