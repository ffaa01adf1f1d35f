"""The search for leaks in instances of a series: what all of them have in common is searched once.

Where a result is the same bytes as another one that was searched, but for the values of some elements (slots), and so
is its source, three things are left to look for: what identifies all of them, in the slots and over their edges; what
identifies only this instance, in the slots; and that in what all have in common.

A hit that goes over the edge of a slot begins or ends in the bytes around it. A pattern without NUL does not go over a
NUL; in characters of 16 bits every second byte of it is one. So how far such a hit can go is told by the bytes there.

Public names: ``SharedSearch``, ``make_shared_search``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from deidflow.tasks.verification.fates import Fate
from deidflow.tasks.verification.leaks.atoms import Sort, atoms_of
from deidflow.tasks.verification.leaks.decoded import decoded_regions, has_full_width, holds_more_than_ascii, is_text
from deidflow.tasks.verification.leaks.identifying import (
    MAX_VALUE_BYTES,
    Value,
    identifying_without,
    text_of,
    value_of,
)
from deidflow.tasks.verification.leaks.judge import Judge, is_kept_uid
from deidflow.tasks.verification.leaks.kinds import Kind
from deidflow.tasks.verification.leaks.notations import Gap
from deidflow.tasks.verification.leaks.patterns import (
    FOLDED,
    Patterns,
    find,
    patterns_of,
    patterns_of_part,
    squeezed,
)
from deidflow.tasks.verification.leaks.regions import PIXELS, regions_of
from deidflow.tasks.verification.leaks.search import file_name
from deidflow.tasks.verification.leaks.segments import beside_pixels, native_length
from deidflow.tasks.verification.reader import Read
from deidflow.tasks.verification.series.edges import make_edges

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deidflow.tasks.core.engine.protocol import PlannedInstance
    from deidflow.tasks.core.ledger.uid_map import Uids
    from deidflow.tasks.core.request.request import Request
    from deidflow.tasks.verification.leaks.atoms import Atom
    from deidflow.tasks.verification.leaks.identifying import Use
    from deidflow.tasks.verification.leaks.judge import Scope
    from deidflow.tasks.verification.leaks.search import LeakSearch
    from deidflow.tasks.verification.series.edges import Edges
    from deidflow.tasks.verification.series.layout import Cut, Sample

_PADDING: Final = b" \0"
_BETWEEN: Final = b"\0\xff\x01\xff\0"
"""Between bytes that do not stand side by side, in letters and digits alone, too."""
_ITEM: Final = b"\xfe\xff\x00\xe0"
_MAX_ABSENT: Final = 5000


class _Identifier(NamedTuple):
    """A slot of the source whose value identifies."""

    slot: int
    kind: Kind
    character_set: bytes
    is_kept: bool


class _Window(NamedTuple):
    """A slot of the result, and how far around it a hit can reach that is in it."""

    slot: int
    left: int
    right: int
    is_pixels: bool
    is_text: bool


@dataclass(slots=True)
class SharedSearch:
    """What a series has in common for the search.

    Attributes:
        patterns: Of all values that all sources have, and of others.
        secret: The parts of these that may not stand in a result.
        values: These values.
        identifiers: What each source has of its own.
        excuses: Slots of the sources whose values the profile leaves in attributes of their own sort, with their kinds.
        excused: Parts of such values that all sources have.
        constant: What all results have in common, folded, without NUL bytes.
        windows: What each result has of its own.
        edges: Where phrases may go over the edges of that.
        native_bytes: How long pixel data is that is not compressed; 0 where that is not told.
        letters: Of what is constant, letters and digits alone.
        has_nul: Whether patterns have NUL bytes.
        uids: Of the run; None where none are mapped.
        absent: Parts of which it is known that they do not stand in what is common.

    """

    patterns: tuple[Patterns, ...]
    secret: frozenset[Atom]
    values: frozenset[Value]
    identifiers: tuple[_Identifier, ...]
    excuses: tuple[tuple[int, Kind], ...]
    excused: frozenset[Atom]
    constant: bytes
    windows: tuple[_Window, ...]
    edges: Edges
    native_bytes: int
    letters: bytes
    has_nul: bool
    uids: Uids | None
    absent: set[tuple[Atom, bytes]] = field(default_factory=set)

    def finds_nothing(self, instance: PlannedInstance, source: Cut, result: Cut) -> bool:
        """Whether certainly nothing identifying is left in a result; where not, it is to be searched as a whole.

        Args:
            instance: What was planned.
            source: With the bytes that all sources have in common.
            result: Likewise.

        """
        pieces = self._pieces(result)
        if pieces is None:
            return False
        folded = _BETWEEN.join([*pieces, file_name(instance).data]).translate(FOLDED)
        if has_full_width(folded) or self._holds_other_letters(result):
            return False
        narrow = folded.replace(b"\0", b"")
        letters, secret = squeezed(narrow), self.secret
        for patterns in self.patterns:
            for atoms in patterns.candidates(folded if self.has_nul else narrow, narrow, letters):
                if not secret.isdisjoint(atoms):
                    return False
        over_edges = self.edges.letters(result)
        for patterns in self.patterns:
            if any(not secret.isdisjoint(atoms) for atoms in patterns.loose_candidates(over_edges)):
                return False
        return not any(
            self._may_stand(atom, character_set, narrow, letters) and not self._is_excused(atom, instance, source)
            for atom, character_set in self._own(instance, source)
        )

    def _holds_other_letters(self, result: Cut) -> bool:
        """Whether a result has a text of its own that has to be decoded."""
        if all(patterns.in_ascii for patterns in self.patterns):
            return False
        data, slots = result
        return any(one.is_text and holds_more_than_ascii(data[slice(*slots[one.slot])]) for one in self.windows)

    def _pieces(self, result: Cut) -> list[bytes] | None:
        """Return what a result has of its own, with what is around it; None where that is too unlike the others."""
        data, slots = result
        pieces: list[bytes] = []
        begin, stop = 0, -1
        for number, left, right, is_pixels, _ in self.windows:
            start, end = slots[number]
            first = start - left if start > left else 0
            if first > stop:
                if stop >= 0:
                    pieces.append(data[begin:stop])
                begin = first
            stop = start if is_pixels else max(stop, end + right)
            if is_pixels and data.startswith(_ITEM, start):
                read = Read(little=True, _data=data)
                pieces += [data[one:other] for one, other in beside_pixels(read, (0, b"", start, end, None))]
            elif is_pixels and self.native_bytes and start + self.native_bytes + 1 < end:
                return None
        if stop >= 0:
            pieces.append(data[begin:stop])
        return pieces

    def _own(self, instance: PlannedInstance, source: Cut) -> Iterator[tuple[Atom, bytes]]:
        """Yield the parts of what only this source has, each with a character set."""
        data, slots = source
        own: dict[Value, bool] = {}
        for number, kind, character_set, is_kept in self.identifiers:
            start, end = slots[number]
            if 0 < end - start <= MAX_VALUE_BYTES:
                value = value_of(kind, data[start:end], character_set)
                if value is not None and value not in self.values:
                    own.setdefault(value, is_kept)  # of equal values the first counts, as in the whole search
        uid = instance.original.sop_instance_uid
        kept = set(atoms_of(Kind.UID, uid)) if uid == instance.new.sop_instance_uid else set()
        for value, is_kept in own.items():
            if is_kept:
                kept |= atoms_of(value.kind, text_of(value))
        for value in own:
            for atom in atoms_of(value.kind, text_of(value)):
                if atom not in kept:
                    yield atom, value.character_set

    def _is_excused(self, atom: Atom, instance: PlannedInstance, source: Cut) -> bool:
        """Whether the profile leaves a part in an attribute of its own sort, or the request a UID: it is no secret."""
        if is_kept_uid(atom, self.uids):
            return True
        if atom.sort is Sort.UID and atom.text in instance.original[1:]:
            return False
        data, slots = source
        values = (
            Value(kind, data[start:end].strip(_PADDING))
            for number, kind in self.excuses
            for start, end in [slots[number]]
            if end - start <= MAX_VALUE_BYTES
        )
        return atom in self.excused or any(atom in atoms_of(value.kind, text_of(value)) for value in values)

    def _may_stand(self, atom: Atom, character_set: bytes, narrow: bytes, letters: bytes) -> bool:
        """Whether a part may stand in what a result has of its own, or in what is common."""
        if not atom.text.isascii():
            return True  # what is common would have to be decoded
        patterns = patterns_of_part(atom, character_set)
        if any(key in (narrow if gap is Gap.NONE else letters) or b"\0" in key for key, _, gap in patterns):
            return True
        # A phrase over the edge of a slot has each of its words on one side of it, or in what is around the slot.
        if any(
            gap is Gap.TEXT and all(word in narrow or word in self.constant for word in groups)
            for _, groups, gap in patterns
        ):
            return True
        if (atom, character_set) in self.absent:
            return False
        if any(key in (self.constant if gap is Gap.NONE else self.letters) for key, _, gap in patterns):
            return True
        if len(self.absent) >= _MAX_ABSENT:
            self.absent.clear()
        self.absent.add((atom, character_set))
        return False


def make_shared_search(
    search: LeakSearch,
    request: Request,
    instance: PlannedInstance,
    source: Sample,
    result: Sample,
    uids: Uids | None,
) -> SharedSearch | None:
    """Search what all instances have in common.

    Args:
        search: Of the process.
        request: An anonymization.
        instance: One whose result was searched as a whole, and nothing was found.
        source: Of that instance.
        result: Likewise.
        uids: Of the run; None where none are mapped.

    Returns:
        None where what is common does not tell enough by itself.

    """
    scope = search.scope(request)
    if search.written_by_server and _asks_for_values(result, scope):
        return None
    starts = frozenset(slot.start for slot in source.slots)
    found, uses = identifying_without(source.read, scope.treated, scope.shields, starts)
    identifiers = _identifiers(source, uses, scope.kept)
    if identifiers is None:
        return None
    patterns, single = search.patterns_for(instance, found)
    both = (patterns, Patterns(found.values.keys() - patterns.values)) if single else (patterns,)
    judge = Judge(scope, _of_all(instance), found, patterns, result.read, uids)
    if not all(_is_clean_around(result, judge, one) for one in both):
        return None
    parts = [(pattern, atom) for value in found.values for pattern, atom in patterns_of(value)]
    longest = max((len(pattern.key) for pattern, _ in parts if pattern.has_nul), default=0)
    windows = _windows(result, longest)
    phrases = frozenset().union(*(one.phrases() for one in both))
    edges = make_edges(result, {one.slot for one in windows if one.is_pixels}, phrases)
    if edges is None:
        return None
    constant = _BETWEEN.join(result.layout.runs).translate(FOLDED).replace(b"\0", b"")
    return SharedSearch(
        patterns=both,
        secret=frozenset(atom for atom in {atom for _, atom in parts} if judge.is_secret(atom)),
        values=frozenset(found.values),
        identifiers=identifiers,
        excuses=_excuses(source, uses),
        excused=frozenset(atom for value in found.kept for atom in atoms_of(value.kind, text_of(value))),
        constant=constant,
        letters=squeezed(constant),
        windows=windows,
        edges=edges,
        native_bytes=native_length(result.read),
        has_nul=bool(longest),
        uids=uids,
    )


def _of_all(instance: PlannedInstance) -> PlannedInstance:
    """Return what is planned of all instances: what is said to be its own UID is another one in each."""
    return instance._replace(
        original=instance.original._replace(sop_instance_uid=""), new=instance.new._replace(sop_instance_uid="")
    )


def _asks_for_values(result: Sample, scope: Scope) -> bool:
    """Whether it is told by the value of a slot if its attribute is left."""
    return any(
        scope.treated.fate(slot.leaf.tag, len(slot.leaf.path) // 2) in {Fate.REMOVED, Fate.EMPTIED}
        for slot in result.slots
        if not slot.leaf.is_meta
    )


def _identifiers(source: Sample, uses: dict[int, Use], kept: frozenset[int]) -> tuple[_Identifier, ...] | None:
    """Return the slots whose values identify; None where one decides what others mean."""
    found: list[_Identifier] = []
    for number, slot in enumerate(source.slots):
        if slot.leaf.is_meta:
            continue
        use = uses[slot.start]
        if use.decides:
            return None
        if isinstance(use.what, Kind):
            found.append(_Identifier(number, use.what, use.character_set, is_kept=slot.leaf.tag in kept))
    return tuple(found)


def _excuses(source: Sample, uses: dict[int, Use]) -> tuple[tuple[int, Kind], ...]:
    """Return the slots whose values the profile leaves, with what kind of value it is."""
    return tuple(
        (number, kind)
        for number, slot in enumerate(source.slots)
        if not slot.leaf.is_meta and (kind := uses[slot.start].kept) is not None
    )


def _is_clean_around(result: Sample, judge: Judge, patterns: Patterns) -> bool:
    """Whether nothing is left in what is common, whatever stands in the slots, and whatever else excuses it."""
    decoded = () if patterns.in_ascii else decoded_regions(result.read)
    for region in (*regions_of(result.read), *decoded):
        folded, hits = find(region.data, patterns, [])
        for hit in hits:
            begin, end = region.leaf[:2] if region.leaf else (region.base + hit.start, region.base + hit.end)
            if result.touches_slot(begin, end) or not any(map(judge.is_secret, hit.atoms)):
                continue
            if judge.leaf(region, hit.start, hit.end) is None:
                return False
            if any(judge.judge(region, folded, hit)):
                return False
    return True


def _windows(result: Sample, longest: int) -> tuple[_Window, ...]:
    runs = result.layout.runs
    return tuple(
        _Window(
            number,
            slot.start - slot.begins + max(_reach(runs[number][::-1]), longest),
            max(_reach(runs[number + 1]), longest),
            is_pixels=slot.leaf.tag in PIXELS and not slot.leaf.is_nested,
            is_text=is_text(slot.leaf.tag, slot.leaf.element[1]),
        )
        for number, slot in enumerate(result.slots)
    )


def _reach(run: bytes) -> int:
    """Return how far a hit can reach into a run from its beginning."""
    first = run.find(b"\0")
    reach, end = 1, len(run)
    while reach < end and (run[reach] == 0) != (run[reach - 1] == 0):
        reach += 1
    return max(min(reach, end), end if first < 0 else first)
