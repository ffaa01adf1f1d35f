"""Policy: a request, and the profile that it names, compiled into the table that editing carries out.

What Orthanc does is in docs/orthanc.md; where deidflow decides otherwise (PatientName and PatientID, hardening,
references to kept and replaced UIDs) see docs/parity.md. A profile gives the rules to begin with; the request's lists
are laid over them, Remove first, Keep last, as Orthanc 1.10.1 applies them.

Public names: ``compile_request``.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.dicom.private_tags import creator_of, in_block, is_private_number
from deidflow.tasks.core.dicom.tags import (
    DEIDENTIFICATION_METHOD,
    IDENTIFIERS,
    PATIENT_IDENTITY_REMOVED,
    PATIENT_NAME,
    SIGNATURES,
    SPECIFIC_CHARACTER_SET,
    Path,
    is_computed,
    uid_tags,
)
from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.request.request import Operation
from deidflow.tasks.local.deidentification.embedded_documents import with_document
from deidflow.tasks.local.deidentification.orthanc_profiles import orthanc_table
from deidflow.tasks.local.deidentification.profile_record import APPENDED, profile_record, record_where_overruled
from deidflow.tasks.local.deidentification.record import IdentityRecord, with_earlier_methods, with_earlier_texts
from deidflow.tasks.local.dicom_file.character_sets import character_set
from deidflow.tasks.local.dicom_file.encoding import EXPLICIT_LITTLE
from deidflow.tasks.local.dicom_file.values import encode_element
from deidflow.tasks.local.editing.actions import Action, Rule
from deidflow.tasks.local.editing.path_nodes import PathNode
from deidflow.tasks.local.editing.table import PixelPolicy, Scope, Table, Tables

if TYPE_CHECKING:
    from deidflow.tasks.core.request.request import Request
    from deidflow.tasks.local.deidentification.ps3_15 import Ps315

_CLASSES: Final = 256
_KEEP: Final = Rule(Action.KEEP, "Keep", is_named=True)
_REMOVE: Final = Rule(Action.REMOVE, "Remove", is_named=True)
_REMOVE_EVERYWHERE: Final = Rule(Action.REMOVE, "Remove (at every depth)", is_named=True)
_REPLACE: Final = Rule(Action.REPLACE, "Replace", is_named=True)
_PSEUDONYM: Final = Rule(Action.REPLACE, "pseudonym")
_PRIVATE: Final = Rule(Action.REMOVE, "RemovePrivateTags")
_MARK: Final = Rule(Action.REPLACE, "mark of de-identification")
_SIGNATURE: Final = Rule(Action.REMOVE, "signature of an object that is changed")


def compile_request(
    request: Request, *, hardening: bool, known_uids: bool = True, profile: Ps315 | None = None
) -> Tables:
    """Compile a request.

    Args:
        request: Its edits normalised.
        hardening: Anonymize: also remove top-level curves and overlays, and map nested PatientName and PatientID.
        known_uids: Whether UIDs of objects of the run are known, so that they are looked for in all elements.
        profile: Anonymize: instead of the request's ``DicomVersion``.

    Raises:
        FileNotFoundError: There is no profile of the request's ``DicomVersion``.

    """
    request = with_document(request)
    if request.operation is Operation.ANONYMIZE and profile is not None:
        return _by_class(request, profile, known_uids=known_uids)
    if request.operation is Operation.ANONYMIZE:
        table = orthanc_table(request, hardening=hardening, known_uids=known_uids)
    else:
        table = _modify_table(request)
    _finish(table, request, hardening=hardening)
    return Tables(lambda _: table, table.given_identifiers)  # Orthanc's profiles do not ask for the IOD


def _by_class(request: Request, profile: Ps315, *, known_uids: bool) -> Tables:
    """Return one table for each SOP class: the types of attributes are a matter of the IOD."""

    @lru_cache(maxsize=_CLASSES)
    def of_class(sop_class: str) -> Table:
        table = _of_one_class(request, profile, sop_class, known_uids=known_uids)
        choice = profile.pixels
        if choice is not None:
            clean = _of_one_class(request, profile, sop_class, known_uids=known_uids, pixels_are_clean=True)
            refuses_loss = choice.lossy == "refuse"
            table.pixels = PixelPolicy(choice.rules.tags(), choice.decide, clean, refuses_loss=refuses_loss)
        return table

    return Tables(of_class, of_class("").given_identifiers)


def _of_one_class(
    request: Request, profile: Ps315, sop_class: str, *, known_uids: bool, pixels_are_clean: bool = False
) -> Table:
    table = profile.table(request, sop_class, known_uids=known_uids)
    table.top.by_tag[PATIENT_NAME] = _PSEUDONYM
    departs = profile.departs(request)
    record = profile_record(profile.options, departs=departs, pixels_are_clean=pixels_are_clean)
    table.values.update(record)
    table.top.by_tag.update(dict.fromkeys(record, _MARK))
    problem = table.problem
    _finish(table, request, hardening=True)
    table.problem = problem or table.problem
    table.given_sequences = ()  # the request's word, which the profile does not take back
    table.appends = frozenset(tag for tag, value in record.items() if table.values.get(tag) == value) & APPENDED
    other = record_where_overruled(profile.options, departs=departs, pixels_are_clean=pixels_are_clean)
    if other is not None:
        own = {tag: value for tag, value in other.values.items() if table.values.get(tag) == record.get(tag)}
        table.where_present = other._replace(values=own) if own else None
    if table.joins:
        table.joins = dict.fromkeys(table.joins, with_earlier_texts)
    return table


def _finish(table: Table, request: Request, *, hardening: bool) -> None:
    """Lay the request over a profile's table."""
    _lay_over(table, request)
    _identifiers_follow_the_instance(table, request)
    table.given_sequences = tuple(tag for tag, value in table.values.items() if value and isinstance(value, tuple))
    table.paths = _with_paths(table.paths, request)
    _name_creators(table, request, doubts_numbers=hardening and table.anonymizes and table.top.private is not None)
    table.problem = _problem_of_values(request)
    if table.anonymizes:
        _record(table, request)
    rule = table.top.by_tag.get(SPECIFIC_CHARACTER_SET)
    table.sets_character_set = rule is not None and rule.action in (Action.REPLACE, Action.REMOVE)
    _find_uids(table)


def _modify_table(request: Request) -> Table:
    # A signature does not fit an object that was changed (PS3.15 section 6.2, edition 2026c).
    signatures = dict.fromkeys(SIGNATURES, _SIGNATURE)
    private = _PRIVATE if request.settings.remove_private_tags else None
    return Table(anonymizes=False, top=Scope(dict(signatures), private), nested=Scope(signatures), shielded=Scope())


def _lay_over(table: Table, request: Request) -> None:
    """Let the request decide on elements at top level, and inside items where it does so, too."""
    edits, top, shielded = request.edits, table.top.by_tag, table.shielded.by_tag
    for path in edits.remove:
        if _is_plain_top(path):
            top[path.tag] = _REMOVE
            table.values.pop(path.tag, None)
            for scope in table.inner_scopes() if table.anonymizes else ():
                scope.by_tag[path.tag] = _REMOVE_EVERYWHERE
            if path.tag in shielded:
                shielded[path.tag] = _REMOVE_EVERYWHERE
    for path, value in edits.replace.items():
        if _is_plain_top(path) and not is_computed(path.tag):
            top[path.tag] = _REPLACE
            table.values[path.tag] = value
    for path in edits.keep:
        if _is_plain_top(path):
            known = top.get(path.tag)
            if known is None or not known.leaves_value:  # else the profile says itself why it stays
                top[path.tag] = _KEEP
            table.values.pop(path.tag, None)


def _find_uids(table: Table) -> None:
    """Have what is said of the VR UI hold for each attribute that has it by the dictionary, whatever a file says."""
    for scope in (table.top, *table.inner_scopes(), table.shielded):
        rule = scope.by_vr.get("UI")
        if rule is not None and scope.vrs is None:  # else what has another VR is a misfit
            scope.by_tag = {**dict.fromkeys(uid_tags(), rule), **scope.by_tag}


def _identifiers_follow_the_instance(table: Table, request: Request) -> None:
    """Leave it to each instance's new identifiers whether its own change."""
    table.given_identifiers = tuple(tag for tag in IDENTIFIERS if tag in table.values)
    for tag in IDENTIFIERS:
        named = table.top.by_tag[tag].origin if _names(request, tag) else ""
        table.top.by_tag[tag] = Rule(Action.REPLACE, named, is_named=True) if named else _PSEUDONYM
        table.values.pop(tag, None)


def _record(table: Table, request: Request) -> None:
    """Have each result say that it was de-identified, as far as the request leaves that to deidflow."""
    if not _names(request, DEIDENTIFICATION_METHOD):
        table.joins = {DEIDENTIFICATION_METHOD: with_earlier_methods}
    if not _names(request, PATIENT_IDENTITY_REMOVED):
        name = table.top.by_tag[PATIENT_NAME]
        table.late_values = IdentityRecord(keeps_name=name.action is Action.KEEP)


def _name_creators(table: Table, request: Request, *, doubts_numbers: bool) -> None:
    edits = request.edits
    table.names_creators |= any(path.names_creator for path in edits.paths())
    at_any_depth = {path.tag: _REMOVE_EVERYWHERE for path in edits.remove if not path.is_nested and path.names_creator}
    if table.anonymizes and at_any_depth:
        table.everywhere = (PathNode(rules=at_any_depth), *table.everywhere)
    if doubts_numbers:
        _doubt_numbers(table, request)


def _doubt_numbers(table: Table, request: Request) -> None:
    """Have each dataset asked whether a private element that is kept by its number is the one that was meant."""
    numbers = {path.tag for path in request.edits.keep if not path.is_nested and is_private_number(path.tag)}
    if numbers:
        table.paths = table.paths or PathNode()
        for tag in numbers:
            del table.top.by_tag[tag]
            table.paths.add(tag, _KEEP)
        table.names_creators = True


def _is_plain_top(path: Path) -> bool:
    """Whether an element's action at top level is the same in every file."""
    return not path.is_nested and not path.names_creator


def _names(request: Request, tag: int) -> bool:
    path = Path((), tag)
    return path in request.edits.replace or path in request.edits.remove or path in request.edits.keep


def _with_paths(profile: PathNode | None, request: Request) -> PathNode | None:
    root = profile or PathNode()
    for paths, rule in ((request.edits.keep, _KEEP), (request.edits.remove, _REMOVE)):
        for path in paths:
            if not _is_plain_top(path):
                root.step(path.parents).add(path.tag, rule)
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
