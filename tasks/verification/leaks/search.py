"""Search a result for what identifies in its source.

Public names: ``LeakSearch``.
"""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from deidflow.tasks.core.dicom.private_tags import creator_of, in_block, is_private_number
from deidflow.tasks.core.dicom.tags import IDENTIFIERS, describe_tag
from deidflow.tasks.core.engine.result_paths import relative_path
from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.core.request.edits import Edits
from deidflow.tasks.verification.fates import Fate
from deidflow.tasks.verification.leaks.atoms import Sort, atoms_of
from deidflow.tasks.verification.leaks.decoded import FULL_WIDTH_LEADS, decoded_regions
from deidflow.tasks.verification.leaks.hits import Hit, is_left
from deidflow.tasks.verification.leaks.identifying import (
    Identifying,
    Treated,
    identifying_values,
    text_of,
)
from deidflow.tasks.verification.leaks.kinds import Kind
from deidflow.tasks.verification.leaks.patterns import FOLDED, Found, Pattern, Patterns, find, patterns_of
from deidflow.tasks.verification.leaks.regions import PIXELS, Leaf, Region, leaf_at, leaves_of, regions_of
from deidflow.tasks.verification.permitted import permitted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deidflow.tasks.core.engine.protocol import PlannedInstance
    from deidflow.tasks.core.request.profile_choice import ProfileChoice
    from deidflow.tasks.core.request.request import Request
    from deidflow.tasks.verification.leaks.atoms import Atom
    from deidflow.tasks.verification.reader import Read

_STUDIES: Final = 8
"""Whose patterns are kept: results come study by study."""
_MAX_VALUES: Final = 5000
_MAX_SINGLE: Final = 150
"""Patterns that are sooner looked for one by one than compiled."""
_MAX_NAMED: Final = 8
_FIRST_BLOCK: Final = 0x10
_AROUND_BYTES: Final = 16
_MAX_CONTEXT_BYTES: Final = 1 << 12
_LOOKED_AT_BYTES: Final = 256
_DERIVATION_DESCRIPTION: Final = (0x00082111,)
_OF_THE_CONVERSION: Final = re.compile(
    rb"(?:Lossless JPEG compression, selection value \d+, point transform \d+"
    rb"|Lossy compression with JPEG [a-z0-9 ]+, IJG quality factor \d+"
    rb"|near lossless JPEG-LS compression), (?:compression ratio|factor) [\d.]+(?: \(NEAR=\d+\))?"
)
"""What an Orthanc writes of itself when it compresses (1.10.1 and 1.13.0); an earlier text would follow in brackets."""
_WRITER: Final = (0x00020013,)
_OF_THE_WRITER: Final = re.compile(rb"OFFIS_DCMTK_\d+")
"""What every Orthanc calls itself in the file meta, by its toolkit; some sources name that toolkit's maker, too."""
_PADDING: Final = b" \0"
_OF_EVERY_OBJECT: Final = frozenset({Kind.DATE, Kind.DATE_TIME, Kind.TIME, Kind.UID, Kind.AGE})
"""What is not looked for in private elements: who keeps them as a whole has asked for their dates and UIDs."""
_OF_THE_PERSON: Final = frozenset({0x00100030, 0x00100032, 0x00100035, 0x001021D0})
"""Dates that are looked for there, too: PatientBirthDate, ...Time, ...InAlternativeCalendar, LastMenstrualDate."""


class _Scope(NamedTuple):
    """What a request means for the search.

    Attributes:
        treated: What its profile does.
        named: Paths of tags that it replaces or keeps: what stands there is its own word.
        kept: Tags of single elements that it keeps.
        shields: Sequences that it keeps.
        given: What its Replace brings, folded.

    """

    treated: Treated
    named: frozenset[tuple[int, ...]]
    kept: frozenset[int]
    shields: frozenset[int]
    given: bytes


class LeakSearch:
    """The search of one process, which keeps the patterns of the studies that it saw last."""

    def __init__(self, profile: ProfileChoice | None, *, written_by_server: bool) -> None:
        """Take what is the same for all instances.

        Args:
            profile: The PS3.15 profile of the run; None where requests name an Orthanc's.
            written_by_server: Whether attributes that were to go are looked for one by one, since nothing else does.

        """
        self._profile = profile
        self._written_by_server = written_by_server
        self._patterns: OrderedDict[tuple[int, str], Patterns] = OrderedDict()
        self._request: Request | None = None
        self._scope: _Scope | None = None

    def check(self, request: Request, instance: PlannedInstance, source: Read, result: Read) -> None:
        """Search a result.

        Args:
            request: An anonymization.
            instance: What was planned.
            source: As far as it was read.
            result: Likewise.

        Raises:
            InstanceFailed: ``identifier-left``, with the attributes of source and result, but no value.

        """
        scope = self._scope_of(request)
        found = identifying_values(source, scope.treated, scope.shields)
        patterns, single = self._patterns_for(instance, found)
        leaks: dict[str, None] = {}
        judge: _Judge | None = None
        in_ascii = not patterns.beyond_ascii and all(atom.text.isascii() for _, atom in single)
        regions = [*regions_of(result), _file_name(instance)]
        if not in_ascii or any(lead in region.data for region in regions for lead in FULL_WIDTH_LEADS):
            regions += decoded_regions(result)
        for region in regions:
            folded, hits = find(region.data, patterns, single)
            for hit in hits:
                judge = judge or _Judge(scope, instance, found, patterns, result)
                leaks.update(dict.fromkeys(judge.judge(region, folded, hit)))
        if self._written_by_server:
            judge = judge or _Judge(scope, instance, found, patterns, result)
            leaks.update(dict.fromkeys(judge.attributes_left(is_converted=source.syntax != result.syntax)))
        if leaks:
            raise InstanceFailed(ReasonCode.IDENTIFIER_LEFT, _text(list(leaks)))

    def treated(self, request: Request) -> Treated:
        """Return what the profile of a request does, whatever else the request names."""
        return self._scope_of(request).treated

    def _scope_of(self, request: Request) -> _Scope:
        if self._request is not request or self._scope is None:
            self._request, self._scope = request, _scope(request, self._profile)
        return self._scope

    def _patterns_for(
        self, instance: PlannedInstance, found: Identifying
    ) -> tuple[Patterns, list[tuple[Pattern, Atom]]]:
        """Return what the study has in common, compiled, and what only this instance has."""
        key = (id(self._scope), instance.original.study_instance_uid)
        patterns = self._patterns.get(key)
        if patterns is not None:
            self._patterns.move_to_end(key)
            new = found.values.keys() - patterns.values
            if not new:
                return patterns, []
            single = [
                (pattern, atom) for value in new for pattern, atom in patterns_of(value) if atom not in patterns.by_atom
            ]
            if len(single) <= _MAX_SINGLE:
                return patterns, single
        values = found.values.keys() | (patterns.values if patterns is not None else frozenset())
        patterns = Patterns(values if len(values) <= _MAX_VALUES else found.values.keys())
        self._patterns[key] = patterns
        if len(self._patterns) > _STUDIES:
            self._patterns.popitem(last=False)
        return patterns, []


def _scope(request: Request, profile: ProfileChoice | None) -> _Scope:
    edits = request.edits
    bare = permitted(replace(request, edits=Edits()), hardening=False, hidden_bits=False, profile=profile)
    named = (*edits.replace, *edits.keep)
    given = " ".join(
        value if isinstance(value, str) else json.dumps(value, ensure_ascii=False) for value in edits.replace.values()
    )
    return _Scope(
        Treated(bare),
        frozenset(tuple(map(_in_any_block, (*(parent for parent, _ in path.parents), path.tag))) for path in named),
        frozenset(path.tag for path in edits.keep),
        frozenset(path.tag for path in edits.keep if not path.is_nested) if profile is None else frozenset(),
        given.encode("utf-8", "surrogateescape").translate(FOLDED),
    )


def _in_any_block(tag: int) -> int:
    """Return a tag without the block that a private element has in one file."""
    plain = tag & 0xFFFFFFFF
    is_private = creator_of(tag) or is_private_number(plain)
    return in_block(plain, _FIRST_BLOCK) if is_private else plain


def _file_name(instance: PlannedInstance) -> Region:
    return Region(-1, relative_path(instance.new).encode("utf-8", "surrogateescape"), in_dataset=False)


def _text(leaks: list[str]) -> str:
    more = len(leaks) - _MAX_NAMED
    text = "; ".join(leaks[:_MAX_NAMED])
    return f"{text}; and {more} more" if more > 0 else text


class _Judge:
    """Tells for each hit in one result whether it is a leak; made only where there is a hit."""

    def __init__(
        self, scope: _Scope, instance: PlannedInstance, found: Identifying, patterns: Patterns, result: Read
    ) -> None:
        self._scope = scope
        self._instance = instance
        self._found = found
        self._patterns = patterns
        self._result = result
        self._places: tuple[list[Leaf], list[Leaf]] | None = None
        self._secrets: dict[Atom, list[tuple[int, Kind]]] = {}

    def _leaves(self) -> tuple[list[Leaf], list[Leaf]]:
        if self._places is None:
            self._places = leaves_of(self._result)
        return self._places

    def _attributes(self, atom: Atom) -> list[tuple[int, Kind]]:
        """Return the source's attributes that a part identifies by; none where it is no secret."""
        known = self._secrets.get(atom)
        if known is None:
            values = self._found.values
            common = self._patterns.by_atom.get(atom, ())
            own = [value for value in common if value in values] or [
                value for value in values if atom in atoms_of(value.kind, text_of(value))
            ]
            is_secret = not self._is_given(atom) and not self._is_kept(atom)
            known = self._secrets[atom] = [(values[value], value.kind) for value in own] if is_secret else []
        return known

    def _is_kept(self, atom: Atom) -> bool:
        """Whether the profile, the request or the plan leaves it in the result."""
        is_own = atom.sort is Sort.UID and atom.text in self._instance.original[1:]
        kept = [] if is_own else [*self._found.kept]
        kept += [value for value, tag in self._found.values.items() if tag in self._scope.kept]
        identifiers = zip(IDENTIFIERS, self._instance.original, self._instance.new, strict=True)
        for tag, old, new in identifiers:
            if old == new:
                kind = Kind.IDENTIFIER if tag == IDENTIFIERS[0] else Kind.UID
                if atom in atoms_of(kind, old):
                    return True
        return any(atom in atoms_of(value.kind, text_of(value)) for value in kept)

    def _is_given(self, atom: Atom) -> bool:
        """Whether the request gives it, or it is a word for the device."""
        raw = atom.text.encode("utf-8", "replace").translate(FOLDED)
        device = self._found.device
        return raw in self._scope.given or (atom.sort in {Sort.WORD, Sort.PHRASE} and raw in device)

    def judge(self, region: Region, folded: bytes, found: Found) -> Iterator[str]:
        """Yield what a hit gives away."""
        atoms = tuple(atom for atom in found.atoms if self._attributes(atom))
        if not atoms:
            return
        start, end = found.start, found.end
        leaf, fate = self._leaf(region, start, end), Fate.FREE
        low, high = 0, len(folded)
        if leaf is not None:
            is_nested_pixels = leaf.path[-1] in PIXELS and len(leaf.path) > 1  # of an icon, for example
            if is_nested_pixels or self._is_named(leaf.path) or _is_of_the_writer(region, leaf):
                return
            if region.leaf is None:
                low, high = max(0, leaf.start - region.base), min(high, leaf.end - region.base)
            if region.in_dataset:
                fate = self._scope.treated.fate(leaf.path[-1], len(leaf.path) - 1)
        hit = Hit(*_around(region.data, found, low, high), leaf)
        value = folded[low:high] if high - low <= _MAX_CONTEXT_BYTES else b""
        for atom in atoms:
            for tag, kind in self._attributes(atom):
                if self._passes_private(leaf, tag, kind):
                    continue
                if is_left(atom, hit, fate, value):
                    yield f"{describe_tag(tag)} of the source is left in {_place(region, leaf)}"
                    break

    def _leaf(self, region: Region, start: int, end: int) -> Leaf | None:
        if region.base < 0 or region.leaf is not None:
            return region.leaf
        return leaf_at(self._leaves()[region.in_dataset], region.base + start, region.base + end)

    def _is_named(self, path: tuple[int, ...]) -> bool:
        named = self._scope.named
        if not named:
            return False
        plain = tuple(map(_in_any_block, path))
        return any(plain[:length] in named for length in range(1, len(plain) + 1))

    @staticmethod
    def _passes_private(leaf: Leaf | None, tag: int, kind: Kind) -> bool:
        is_its_word = kind in _OF_EVERY_OBJECT and tag not in _OF_THE_PERSON
        return leaf is not None and is_its_word and any(above & 0x10000 for above in leaf.path)

    def attributes_left(self, *, is_converted: bool) -> Iterator[str]:
        """Yield the attributes that the profile removes or empties, and that are there with a value.

        Args:
            is_converted: Whether the result has another transfer syntax, so that the server's own word on that may
                stand there.

        """
        for leaf in self._leaves()[1]:
            fate = self._scope.treated.fate(leaf.path[-1], len(leaf.path) - 1)
            if fate not in {Fate.REMOVED, Fate.EMPTIED} or self._is_named(leaf.path):
                continue
            if any(tag in self._scope.shields for tag in leaf.path):
                continue
            value = self._result.value(leaf.start, min(leaf.end, leaf.start + _LOOKED_AT_BYTES)).strip(_PADDING)
            if is_converted and leaf.path == _DERIVATION_DESCRIPTION and _OF_THE_CONVERSION.fullmatch(value):
                continue
            if value:
                yield f"{describe_tag(leaf.path[-1])} of the source is left in {_path(leaf.path)}"


def _around(data: bytes, found: Found, low: int, high: int) -> tuple[bytes, bytes, bytes]:
    """Return the bytes of a hit, what stands before and behind it; of wide characters the bytes that are not zero."""
    start, end = found.start, found.end
    parts = data[start:end], data[max(low, start - _AROUND_BYTES) : start], data[end : min(high, end + _AROUND_BYTES)]
    if not found.wide:
        return parts
    own, before, after = (part.replace(b"\0", b"") for part in parts)
    return own, before, after


def _is_of_the_writer(region: Region, leaf: Leaf) -> bool:
    if leaf.path != _WRITER or region.in_dataset:
        return False
    return bool(
        _OF_THE_WRITER.fullmatch(region.data[leaf.start - region.base : leaf.end - region.base].strip(_PADDING))
    )


def _place(region: Region, leaf: Leaf | None) -> str:
    if region.base < 0:
        return "the file name"
    if leaf is not None:
        return _path(leaf.path)
    return "bytes between or behind the elements" if region.in_dataset else "the preamble"


def _path(path: tuple[int, ...]) -> str:
    return " > ".join(describe_tag(tag) for tag in path)
