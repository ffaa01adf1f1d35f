"""What the profile and the request permit to differ between a source and its result, element by element.

Read from the profile's table, the request, and what docs/parity.md says of the engine: compiled apart from the editor's
rules, so that a fault there is seen here.

Public names: ``Permitted``, ``Place``, ``permitted``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from deidflow.tasks.core.dicom.private_tags import creator_of, in_block, is_creator, is_private_number
from deidflow.tasks.core.dicom.tags import (
    BURNED_IN_ANNOTATION,
    DATA_SET_TRAILING_PADDING,
    DEIDENTIFICATION_METHOD,
    ENCAPSULATED_DOCUMENT,
    FRAME_OF_REFERENCE_UID,
    IDENTIFIERS,
    PATIENT_ID,
    PATIENT_IDENTITY_REMOVED,
    PATIENT_NAME,
    PIXEL_DATA,
    SERIES_INSTANCE_UID,
    SIGNATURES,
    SOP_CLASS_UID,
    SOP_INSTANCE_UID,
    STUDY_INSTANCE_UID,
    Path,
    is_computed,
    uid_tags,
)
from deidflow.tasks.core.pixels.facts import PIXEL_ELEMENTS
from deidflow.tasks.core.request.data_uris import parse_embedded
from deidflow.tasks.core.request.profile_choice import Option
from deidflow.tasks.core.request.request import Operation
from deidflow.tasks.verification.fates import Fate
from deidflow.tasks.verification.private_elements import SafePrivate, safe_private
from deidflow.tasks.verification.profile_table import profile_table
from deidflow.tasks.verification.standard.profile import standard_profile

if TYPE_CHECKING:
    from deidflow.tasks.core.request.profile_choice import ProfileChoice
    from deidflow.tasks.core.request.request import Request

_CURVES: Final = 0x5000
_OVERLAYS: Final = 0x6000
_REPEATING: Final = frozenset({_CURVES, _OVERLAYS})
_OVERLAY_CONTENT: Final = frozenset({0x3000, 0x4000})
_FOREIGN_GROUPS: Final = frozenset({0x0000, 0x0002})
"""Commands and file meta information, which stand in no dataset (PS3.7 annex E, PS3.10 section 7.1)."""
_FIRST_BLOCK: Final = 0x10
_FOLLOWED: Final = frozenset({STUDY_INSTANCE_UID, SERIES_INSTANCE_UID, SOP_INSTANCE_UID, FRAME_OF_REFERENCE_UID})
"""References to these are mapped inside items even where the request keeps or replaces them at top level."""
_WITH_A_DOCUMENT: Final = (SOP_CLASS_UID, 0x00080064, ENCAPSULATED_DOCUMENT, 0x00420012, PIXEL_DATA)
"""SOPClassUID, ConversionType and MIMETypeOfEncapsulatedDocument go with a new document."""
_RETAINED_KINDS: Final = {
    "device": {"retain-device-identity"},
    "location": {"retain-device-identity", "retain-institution-identity"},
    "organization": {"retain-institution-identity"},
    "characteristic": {"retain-patient-characteristics"},
    "product": set[str](),
}
_OF_TRANSCODING: Final = (0x00280004, 0x00280006, 0x00280008, 0x7FE00001, 0x7FE00002, PIXEL_DATA)
"""PhotometricInterpretation, PlanarConfiguration, NumberOfFrames, offset tables."""


@dataclass(slots=True)
class _Node:
    """What the request's paths name in one dataset, and where they go on."""

    fates: dict[int, Fate] = field(default_factory=dict)
    children: dict[int, list[tuple[int, _Node]]] = field(default_factory=dict)

    def add(self, path: Path, fate: Fate) -> None:
        node = self
        for tag, index in path.parents:
            branches = node.children.setdefault(_key(tag), [])
            found = next((below for number, below in branches if number == index), None)
            if found is None:
                found = _Node()
                branches.append((index, found))
            node = found
        node.fates[_key(path.tag)] = Fate.FREE if is_private_number(path.tag) or creator_of(path.tag) else fate


class Place(NamedTuple):
    """Where a dataset stands.

    Attributes:
        depth: 0 at top level.
        shielded: Whether the request keeps a sequence around it.
        nodes: Of the request's paths that lead here.
        cleaned: Whether all texts of a sequence around it are cleaned.

    """

    depth: int = 0
    shielded: bool = False
    nodes: tuple[_Node, ...] = ()
    cleaned: bool = False

    def item(self, tag: int, index: int, *, kept: bool, cleaned: bool = False) -> Place:
        """Return where an item of a sequence here stands."""
        key = _key(tag)
        below = [node for above in self.nodes for number, node in above.children.get(key, ()) if number in {-1, index}]
        return Place(self.depth + 1, self.shielded or kept, tuple(below), self.cleaned or cleaned)


@dataclass(slots=True)
class Permitted:
    """What a request permits.

    Attributes:
        anonymizes: Whether the request is a de-identification.
        top: By tag, at top level.
        nested: By tag, inside items.
        shielded: By tag, inside items of sequences that the request keeps.
        root: Of its nested paths.
        named: Tags that it keeps or replaces: UIDs in them are its own word at every depth.
        named_private: Private elements that it names, at whichever depth, as in block 10.
        drops_private_top: Whether private elements go.
        drops_private_nested: Whether they go inside items.
        drops_curves_and_overlays: Whether those at top level go.
        drops_nested_curves_and_overlays: Whether they go inside items.
        drops_opaque: Whether values go of which nobody knows what they hold.
        recodes: Whether the result has another transfer syntax.
        known: Public attributes of the profile's edition, without which none stays; None where nobody asks.
        cleaned: By tag, inside items of sequences that are cleaned.
        cleans_texts: Whether there is any ``Fate.CLEANED``.
        moves_dates: Whether dates in cleaned texts are other ones.
        keeps: Attributes that an option keeps.
        private: Which private elements may stay; None where nobody asks.
        retained_kinds: Kinds of concepts whose values an option keeps.

    """

    anonymizes: bool
    top: dict[int, Fate]
    nested: dict[int, Fate]
    shielded: dict[int, Fate] = field(default_factory=dict)
    root: _Node = field(default_factory=_Node)
    named: frozenset[int] = frozenset()
    named_private: frozenset[int] = frozenset()
    drops_private_top: bool = False
    drops_private_nested: bool = False
    drops_curves_and_overlays: bool = False
    drops_nested_curves_and_overlays: bool = False
    drops_opaque: bool = False
    recodes: bool = False
    known: frozenset[int] | None = None
    cleaned: dict[int, Fate] = field(default_factory=dict)
    cleans_texts: bool = False
    moves_dates: bool = False
    keeps: frozenset[int] = frozenset()
    private: SafePrivate | None = None
    retained_kinds: frozenset[str] = frozenset()

    def table(self, place: Place) -> dict[int, Fate]:
        """Return the fates of most elements of a dataset; of one that is not in it ``fate`` tells."""
        if not place.depth:
            return self.top
        if place.cleaned:
            return self.cleaned
        return self.shielded if place.shielded else self.nested

    def start(self) -> Place:
        """Return the place of a file's own dataset."""
        return Place(nodes=(self.root,) if self.root.children else ())

    def fate(self, tag: int, place: Place) -> Fate:
        """Return what an element may become."""
        if tag >> 16 in _FOREIGN_GROUPS:
            return Fate.REMOVED
        if not tag & 0xFFFF:
            return Fate.FREE  # a group's length
        if tag & 0x10000:
            return self._private_fate(tag, place)
        for node in place.nodes:
            if tag in node.fates:
                return node.fates[tag]
        found = self.table(place).get(tag)
        if found is None and tag >> 16 & 0xFF00 in _REPEATING and not (place.shielded and self.known is None):
            found = self._repeating_fate(tag, place)
        is_unknown = self.known is not None and tag not in self.known
        return found or (Fate.REMOVED if is_unknown else Fate.SAME)

    def _repeating_fate(self, tag: int, place: Place) -> Fate:
        """Return what curves and overlays may become."""
        if not place.depth:
            return Fate.REMOVED if self.drops_curves_and_overlays else Fate.SAME
        kind = tag >> 16 & 0xFF00
        goes = kind == _CURVES or (kind == _OVERLAYS and (tag & 0xFFFF in _OVERLAY_CONTENT or self.known is not None))
        return Fate.REMOVED if self.drops_nested_curves_and_overlays and goes else Fate.SAME

    def _private_fate(self, tag: int, place: Place) -> Fate:
        named = self.named_private
        if named and (_key(tag) in named or (is_creator(tag) and any(tag >> 16 == key >> 16 for key in named))):
            return Fate.FREE
        if place.shielded and self.known is None:
            return Fate.SAME
        return Fate.REMOVED if (self.drops_private_nested if place.depth else self.drops_private_top) else Fate.SAME


def permitted(
    request: Request, *, hardening: bool, hidden_bits: bool, profile: ProfileChoice | None = None
) -> Permitted:
    """Compile what a request permits on engine local.

    Args:
        request: Of the row.
        hardening: Whether anonymize also removes curves, overlays, signatures and trailing padding, and maps nested
            names and IDs.
        hidden_bits: Whether bits of the pixels that hold overlays are cleared.
        profile: The PS3.15 profile of the run; None where the request names an Orthanc's.

    """
    if request.operation is not Operation.ANONYMIZE:
        allowed = _modified(request)
    elif profile is not None:
        allowed = _by_standard(request, profile)
    else:
        allowed = _anonymized(request, hardening=hardening)
    edits, private = request.edits, set()
    for path, fate in (
        *((path, Fate.REMOVED) for path in edits.remove),
        *((path, Fate.FREE) for path in edits.replace if not is_computed(path.tag)),
        # Of kept pixels the image stays: comments and octets beside the frames go all the same.
        *((path, Fate.KEPT) for path in edits.keep if allowed.top.get(path.tag) is not Fate.FRAMES),
    ):
        private |= {_key(tag) for tag in (path.tag, *(parent for parent, _ in path.parents)) if _is_private(tag)}
        if path.is_nested:
            allowed.root.add(path, fate)
        elif not _is_private(path.tag):
            allowed.top[path.tag] = fate
            if fate is Fate.REMOVED and allowed.anonymizes:
                allowed.nested[path.tag] = allowed.cleaned[path.tag] = fate
            if fate is Fate.REMOVED and path.tag in allowed.shielded:
                allowed.shielded[path.tag] = fate
    allowed.top.update(dict.fromkeys(IDENTIFIERS, Fate.FREE))
    _look_at_uids(allowed)
    allowed.named = frozenset(path.tag for path in (*edits.keep, *edits.replace))
    allowed.named_private = frozenset(private)
    if any(isinstance(value, str) and parse_embedded(value) is not None for value in edits.replace.values()):
        allowed.top.update(dict.fromkeys(_WITH_A_DOCUMENT, Fate.FREE))
    if hidden_bits:
        allowed.top[PIXEL_DATA] = Fate.FREE
    if request.settings.transcode:
        allowed.recodes = True
        for table in (allowed.top, allowed.nested, allowed.shielded, allowed.cleaned):
            table.update(dict.fromkeys(_OF_TRANSCODING, Fate.FREE))
    return allowed


def _look_at_uids(allowed: Permitted) -> None:
    """Name what holds UIDs by the dictionary, so that it is looked at whatever VR it is sent with."""
    for table in (allowed.top, allowed.nested, allowed.shielded, allowed.cleaned) if allowed.anonymizes else ():
        table.update(dict.fromkeys(uid_tags() - table.keys(), Fate.SAME))


def _modified(request: Request) -> Permitted:
    return Permitted(
        anonymizes=False,
        top=dict.fromkeys(SIGNATURES, Fate.REMOVED),
        nested=dict.fromkeys(SIGNATURES, Fate.MAY_GO),
        shielded=dict.fromkeys(SIGNATURES, Fate.MAY_GO),
        drops_private_top=request.settings.remove_private_tags,
    )


def _by_standard(request: Request, profile: ProfileChoice) -> Permitted:
    """Return what PS3.15 permits: in every sequence, kept or not."""
    table = standard_profile(profile.options)
    drops_private = not request.settings.keep_private_tags
    top, nested, cleaned = dict(table.top), dict(table.nested), dict(table.cleaned)
    for fates in (top, nested, cleaned):
        fates.update(dict.fromkeys((*SIGNATURES, DATA_SET_TRAILING_PADDING), Fate.REMOVED))
        fates[PATIENT_NAME] = fates[PATIENT_ID] = Fate.FREE
    top.update(dict.fromkeys(PIXEL_ELEMENTS, Fate.FRAMES))
    if Option.CLEAN_PIXEL_DATA in profile.options:
        top[BURNED_IN_ANNOTATION] = Fate.FREE  # looked up with the pixels
    return Permitted(
        anonymizes=True,
        top=top,
        nested=nested,
        shielded=nested,
        drops_private_top=drops_private,
        drops_private_nested=drops_private,
        drops_curves_and_overlays=True,
        drops_nested_curves_and_overlays=True,
        drops_opaque=True,
        known=table.known,
        cleaned=cleaned,
        cleans_texts=Fate.CLEANED in nested.values() or Option.RETAIN_SAFE_PRIVATE in profile.options,
        private=safe_private(profile) if Option.RETAIN_SAFE_PRIVATE in profile.options else None,
        moves_dates=Option.RETAIN_MODIFIED_DATES in profile.options,
        keeps=frozenset(tag for tag, fate in nested.items() if fate is Fate.SAME),
        retained_kinds=frozenset(kind for kind, asked in _RETAINED_KINDS.items() if asked <= profile.options),
    )


def _anonymized(request: Request, *, hardening: bool) -> Permitted:
    profile = profile_table(request.settings.dicom_version)
    drops_private = not request.settings.keep_private_tags
    allowed = Permitted(
        anonymizes=True,
        top=dict(profile.top),
        nested=dict(profile.nested),
        drops_private_top=drops_private,
        drops_private_nested=drops_private,
        drops_curves_and_overlays=hardening,
        drops_nested_curves_and_overlays=profile.drops_nested_curves_and_overlays,
        drops_opaque=True,
    )
    if hardening:
        for table in (allowed.top, allowed.nested, allowed.shielded):
            table.update(dict.fromkeys((*SIGNATURES, DATA_SET_TRAILING_PADDING), Fate.REMOVED))
    named = {path.tag for path in (*request.edits.replace, *request.edits.keep) if not path.is_nested}
    for tag in (*(named - _FOLLOWED), PATIENT_NAME, PATIENT_ID, PATIENT_IDENTITY_REMOVED, DEIDENTIFICATION_METHOD):
        allowed.nested.pop(tag, None)
    allowed.top.update(dict.fromkeys((PATIENT_NAME, PATIENT_IDENTITY_REMOVED, DEIDENTIFICATION_METHOD), Fate.FREE))
    if hardening:
        allowed.shielded[PATIENT_ID] = allowed.nested[PATIENT_ID] = Fate.FREE
        if Path((), PATIENT_NAME) not in request.edits.keep:
            allowed.shielded[PATIENT_NAME] = allowed.nested[PATIENT_NAME] = Fate.FREE
    elif PATIENT_ID not in named:
        allowed.nested[PATIENT_ID] = Fate.FREE
    return allowed


def _is_private(tag: int) -> bool:
    return bool(creator_of(tag)) or bool(tag & 0x10000)


def _key(tag: int) -> int:
    """Return the tag by which the request's names are looked up: a private element's as in block 10."""
    plain = tag & 0xFFFFFFFF
    if not plain & 0x10000:
        return plain
    return plain if is_creator(plain) and not creator_of(tag) else in_block(plain, _FIRST_BLOCK)
