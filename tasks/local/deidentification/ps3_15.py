"""The profile ``ps3.15-2026d`` as tables: Table E.1-1 with the chosen options, for each SOP class.

Of an attribute whose code leaves a choice its type in the instance's IOD decides, at the place where it stands; so the
items of some sequences have rules of their own. Sequences that stay are looked into like any other.

Public names: ``Ps315``, ``profile_sha256``.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from pydicom.datadict import tag_for_keyword

from deidflow.tasks.core.dicom.tags import (
    DATA_SET_TRAILING_PADDING,
    ENCAPSULATED_DOCUMENT,
    PATIENT_ID,
    PATIENT_NAME,
    SIGNATURES,
)
from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.core.request.profile_choice import PROFILE_NAME, Option
from deidflow.tasks.local.deidentification.cleaned_items import ItemRules, text_rules
from deidflow.tasks.local.deidentification.cleaning_rules import CleaningRules
from deidflow.tasks.local.deidentification.content.documents_of_classes import document_rules
from deidflow.tasks.local.deidentification.content.frames import frame_blanks
from deidflow.tasks.local.deidentification.content.recordings import recording_rules
from deidflow.tasks.local.deidentification.mapped_patients import new_patient_id
from deidflow.tasks.local.deidentification.naming import naming_of
from deidflow.tasks.local.deidentification.private_rules import SafePrivateRules
from deidflow.tasks.local.deidentification.profile_rules import Policy, clean_icc_profile, dummy
from deidflow.tasks.local.deidentification.standard.attribute_types import type_of, typed_paths
from deidflow.tasks.local.deidentification.standard.date_shift import DateShift, ShiftRange
from deidflow.tasks.local.deidentification.standard.known_attributes import known_vrs
from deidflow.tasks.local.deidentification.standard.profile import load_profile
from deidflow.tasks.local.deidentification.text.cleaner import TextCleaner, Unknown
from deidflow.tasks.local.deidentification.text.vocabulary import load_vocabulary
from deidflow.tasks.local.editing.actions import Action, Rule
from deidflow.tasks.local.editing.table import RepeatingGroup, Scope, Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deidflow.tasks.core.pseudonyms.pseudonyms import Key
    from deidflow.tasks.core.request.profile_choice import ProfileChoice, TextChoice
    from deidflow.tasks.core.request.request import Request
    from deidflow.tasks.local.deidentification.standard.codes import AttributeType
    from deidflow.tasks.local.deidentification.standard.profile import Row
    from deidflow.tasks.local.editing.actions import Original
    from deidflow.tasks.local.editing.references import InstanceIdentifiers

_TABLES: Final = "deidflow.tasks.local.deidentification.tables"
_DATA: Final = ("profile.csv", "additional.csv", "types.csv.gz", "terms.csv.gz", "vr_additions.csv")
_DIRECTORY: Final = "1.2.840.10008.1.3.10"
_DIRECTORY_RECORDS: Final = 0x00041220
_NO_DIRECTORY: Final = "a DICOMDIR names other files and their patients; leave it out of the source"
_ICC_PROFILE: Final = 0x00282000
_UNFORMATTED_TEXT: Final = 0x00700006
_CODING_SCHEME_URL: Final = 0x0008010E
_CONTENT: Final = "ContentSequence"
_ANY_GROUP: Final = 0xFF000000
_FIRST_CURVE: Final = 0x50000000
_FIRST_OVERLAY: Final = 0x60000000

_MAPPED: Final = Rule(Action.REPLACE, f"{PROFILE_NAME}: mapped", new_patient_id)
_PRIVATE: Final = Rule(Action.REMOVE, f"{PROFILE_NAME}: X, private")
_OVERLAY: Final = Rule(Action.REMOVE, f"{PROFILE_NAME}: X, curves and overlays")
_SIGNATURE: Final = Rule(Action.REMOVE, f"{PROFILE_NAME}: X, signatures and padding")
_MISFIT: Final = Rule(Action.REMOVE, f"{PROFILE_NAME}: X, not in the edition's dictionary, or of another VR")
_ADDRESS: Final = Rule(Action.REMOVE, f"{PROFILE_NAME}: X, an address")
_DOCUMENT: Final = Rule(Action.REMOVE, f"{PROFILE_NAME}: X, a document in an item, where no IOD has one")
_ICC: Final = Rule(Action.CLEAN, f"{PROFILE_NAME}: C, text in an ICC profile", new_bytes=clean_icc_profile)
_KNOWN_UIDS: Final = Rule(Action.REPLACE_UID, "UIDs of the run's own objects", of_the_run=True)
_CLEANING: Final = frozenset(
    {
        *(Option.CLEAN_DESCRIPTORS, Option.CLEAN_STRUCTURED_CONTENT, Option.CLEAN_GRAPHICS),
        *(Option.RETAIN_DEVICE_IDENTITY, Option.RETAIN_PATIENT_CHARACTERISTICS, Option.RETAIN_SAFE_PRIVATE),
    }
)
"""Options with texts among what they clean."""

_GROUPS: Final = tuple(RepeatingGroup(_ANY_GROUP, group, _OVERLAY) for group in (_FIRST_CURVE, _FIRST_OVERLAY))


def profile_sha256() -> str:
    """Return the hash of the profile's tables in hex, for provenance."""
    folder = files(_TABLES)
    return sha256(b"".join(folder.joinpath(name).read_bytes() for name in _DATA)).hexdigest()


def _cleaner(choice: TextChoice) -> TextCleaner:
    vocabulary = load_vocabulary().with_more(choice.words) if choice.words else None
    return TextCleaner(vocabulary, unknown=Unknown.REVIEW if choice.reviews_unknown else Unknown.REMOVE)


def _refuse_directory(_: Original, __: InstanceIdentifiers) -> None:
    raise InstanceFailed(ReasonCode.UNSAFE_CONTENT, _NO_DIRECTORY)


def _new_patient_name(original: Original, identifiers: InstanceIdentifiers) -> str | None:
    """Return the new name of the instance for one that stands in an item; where that has none, a dummy."""
    if original.is_given or not original.text.strip():
        return None
    return "Removed^" if identifiers.patient_name is None else identifiers.patient_name


@lru_cache
def _rows_by_keyword() -> Mapping[str, Row]:
    return {row.keyword: row for row in load_profile() if row.keyword}


class Ps315:
    """The profile under one choice of options, key and scope."""

    def __init__(self, choice: ProfileChoice, key: Key, scope: str) -> None:
        """Prepare what all requests share.

        Args:
            choice: Options and dates.
            key: Secret of generated identifiers, and of the shift of dates.
            scope: Their scope.

        """
        self.options: Final = frozenset(map(Option, choice.options))
        self.pixels = choice.pixels if Option.CLEAN_PIXEL_DATA in self.options else None
        shift = DateShift(key, scope, ShiftRange(*choice.shift_days, choice.whole_weeks))

        def days_of(identifiers: InstanceIdentifiers) -> int:
            if identifiers.shift_days is not None:
                return identifiers.shift_days
            original = identifiers.original
            return shift.days(original.patient_id or original.study_instance_uid)

        cleaning = CleaningRules(_cleaner(choice.texts), dummy, days_of, Option.RETAIN_MODIFIED_DATES in self.options)
        self._policy = Policy(self.options, cleaning)
        rows = (row for row in load_profile() if row.number is not None and not row.stays(self.options))
        self._strictest = {row.number: self._policy.rule(row, None) for row in rows if row.number is not None}
        self._cleans_texts = not self.options.isdisjoint(_CLEANING)
        self._cleaned = frozenset(tag for tag, rule in self._strictest.items() if rule.cleans_items)
        self._texts = text_rules(cleaning, self.options)
        self._choose = ItemRules(self.options, cleaning)
        self._private = (
            SafePrivateRules(self.options, cleaning, dummy, choice.private)
            if Option.RETAIN_SAFE_PRIVATE in self.options
            else None
        )
        self._naming = naming_of(lambda row: self._policy.rule(row, None))
        self._scopes = lru_cache(maxsize=256)(self._scopes_of)

    def departs(self, request: Request) -> bool:
        """Whether a request keeps something that the profile with its options does not."""
        if request.settings.keep_private_tags:
            return True
        for path in request.edits.keep:
            row = load_profile().row_of(path.tag & 0xFFFFFFFF)
            # Private elements, curves and overlays have one row for all, and stay by nobody's word but the request's.
            if row is not None and (row.number is None or not self._policy.rule(row, None).leaves_value):
                return True
        return False

    def table(self, request: Request, sop_class: str, *, known_uids: bool) -> Table:
        """Return what happens to objects of a SOP class, before the request's own lists are laid over it."""
        top, nested = self._scopes(sop_class, known_uids=known_uids)
        private = None if request.settings.keep_private_tags else _PRIVATE
        if request.edits.remove or private is None:
            copies: dict[int, Scope] = {}
            nested = _copied(nested, private, copies)
            items: Mapping[int, Scope] = {tag: _copied(scope, private, copies) for tag, scope in top.items.items()}
        else:
            items = dict(top.items)
        top = replace(top, by_tag=dict(top.by_tag), private=private, items=items)
        table = Table(
            anonymizes=True,
            top=top,
            nested=nested,
            shielded=nested,
            clears_overlay_bits=True,
            frame_blanks=frame_blanks,
            naming=self._naming if self._cleans_texts else None,
            private=self._private,
        )
        if sop_class == _DIRECTORY:
            table.problem = InstanceFailed(ReasonCode.UNSAFE_CONTENT, _NO_DIRECTORY)
        if not sop_class:  # a directory says what it is in its file meta information alone
            top.by_tag[_DIRECTORY_RECORDS] = Rule(Action.DUMMY, _MISFIT.origin, _refuse_directory)
        return table

    def _scopes_of(self, sop_class: str, *, known_uids: bool) -> tuple[Scope, Scope]:
        """Return the rules at top level, and those inside items of which the IOD says nothing else."""
        nested = self._scope({}, known_uids=known_uids)
        cleaned = self._scope({}, known_uids=known_uids, cleaned=True)
        cleaned.others = cleaned
        nested.items = in_cleaned = dict.fromkeys(self._cleaned, cleaned)
        nodes: dict[tuple[str, ...], dict[str, AttributeType]] = {(): {}}
        for path in typed_paths(sop_class):
            for length in range(1, len(path)):
                nodes.setdefault(path[:length], {})
            needed = type_of(sop_class, path)
            if needed is not None:
                nodes[path[:-1]][path[-1]] = needed
        if (_CONTENT,) in nodes:  # a content item is as the document itself is
            nodes[_CONTENT,] = {**nodes[()], **nodes[_CONTENT,]}
        scopes: dict[tuple[str, ...], Scope] = {}
        for place, types in nodes.items():
            is_cleaned = any(tag_for_keyword(keyword) in self._cleaned for keyword in place)
            scopes[place] = scope = self._scope(types, known_uids=known_uids, cleaned=is_cleaned)
            scope.items, scope.others = in_cleaned, cleaned if is_cleaned else None
        for place, scope in scopes.items():
            if place:
                tag = tag_for_keyword(place[-1])
                parent = scopes[place[:-1]]
                if tag is not None:
                    parent.items = {**parent.items, tag: scope}
        for place, scope in scopes.items():
            self._close_loop(place, scope, scopes, cleaned)
        top = scopes[()]
        top.by_tag.pop(PATIENT_NAME, None)
        top.by_tag.update(document_rules(sop_class))
        for tag, rules in recording_rules(sop_class).items():
            inside = top.items.get(tag, nested)
            top.items = {**top.items, tag: replace(inside, by_tag={**inside.by_tag, **rules})}
        return top, nested

    @staticmethod
    def _close_loop(
        place: tuple[str, ...], scope: Scope, scopes: Mapping[tuple[str, ...], Scope], cleaned: Scope
    ) -> None:
        """A sequence inside itself has the same items, however deep."""
        for index, keyword in enumerate(place):
            tag = tag_for_keyword(keyword)
            if tag is not None and scope.items.get(tag, cleaned) is cleaned:
                scope.items = {**scope.items, tag: scopes[place[: index + 1]]}

    def _scope(self, types: Mapping[str, AttributeType], *, known_uids: bool, cleaned: bool = False) -> Scope:
        by_tag = {**self._texts, **self._strictest} if cleaned else dict(self._strictest)
        if cleaned and _UNFORMATTED_TEXT in self._texts:
            by_tag[_UNFORMATTED_TEXT] = self._texts[_UNFORMATTED_TEXT]
        for keyword, needed in types.items():
            row = _rows_by_keyword().get(keyword)
            if row is not None and row.number is not None:
                by_tag[row.number] = self._policy.rule(row, needed)
        by_tag.update(dict.fromkeys((*SIGNATURES, DATA_SET_TRAILING_PADDING), _SIGNATURE))
        by_tag |= {_ICC_PROFILE: _ICC, _CODING_SCHEME_URL: _ADDRESS, PATIENT_ID: _MAPPED}
        by_tag[ENCAPSULATED_DOCUMENT] = _DOCUMENT
        by_tag[PATIENT_NAME] = Rule(Action.REPLACE, _MAPPED.origin, _new_patient_name)
        by_vr = {"UI": _KNOWN_UIDS, "UN": _KNOWN_UIDS} if known_uids else {}
        scope = Scope(by_tag, _PRIVATE, _GROUPS, by_vr, known_vrs(), _MISFIT)
        scope.choose = self._choose if cleaned else None
        return scope


def _copied(scope: Scope, private: Rule | None, copies: dict[int, Scope]) -> Scope:
    """Return rules that can be changed for one request; sequences may stand in one another."""
    found = copies.get(id(scope))
    if found is None:
        found = copies[id(scope)] = replace(scope, by_tag=dict(scope.by_tag), private=private, items={})
        found.items = {tag: _copied(inside, private, copies) for tag, inside in scope.items.items()}
        found.others = _copied(scope.others, private, copies) if scope.others is not None else None
    return found
