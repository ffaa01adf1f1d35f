"""The search for leaks in instances of a series: what all of them have in common is searched once.

Where a result is the same bytes as another one that was searched, but for the values of some elements (slots), and so
is its source, three things are left to look for: what identifies all of them, in the slots and over their edges
(``windows.py``); what identifies only this instance, there; and that in what all have in common.

Public names: ``SharedSearch``, ``make_shared_search``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from deidflow.tasks.verification.fates import Fate
from deidflow.tasks.verification.leaks.atoms import Atom, Sort, atoms_of
from deidflow.tasks.verification.leaks.decoded import decoded_regions
from deidflow.tasks.verification.leaks.identifying import (
    MAX_VALUE_BYTES,
    Value,
    identifying_values,
    text_of,
    value_of,
)
from deidflow.tasks.verification.leaks.judge import Judge, is_kept_uid
from deidflow.tasks.verification.leaks.kinds import Kind
from deidflow.tasks.verification.leaks.notations import Gap, cores_in, cores_of
from deidflow.tasks.verification.leaks.patterns import (
    FOLDED,
    Patterns,
    find,
    patterns_of_part,
    squeezed,
)
from deidflow.tasks.verification.leaks.regions import regions_of
from deidflow.tasks.verification.leaks.search import name_to_search
from deidflow.tasks.verification.reader import Read
from deidflow.tasks.verification.series.windows import make_windows

if TYPE_CHECKING:
    from deidflow.tasks.core.engine.protocol import PlannedInstance
    from deidflow.tasks.core.ledger.uid_map import Uids
    from deidflow.tasks.core.request.request import Request
    from deidflow.tasks.verification.leaks.identifying import Use
    from deidflow.tasks.verification.leaks.judge import Scope
    from deidflow.tasks.verification.leaks.patterns import Pattern
    from deidflow.tasks.verification.leaks.regions import Region
    from deidflow.tasks.verification.leaks.search import LeakSearch
    from deidflow.tasks.verification.series.layout import Cut, Sample
    from deidflow.tasks.verification.series.windows import Windows

_PADDING: Final = b" \0"
_BETWEEN: Final = b"\0\xff\x01\xff\0"
"""Between bytes that do not stand side by side, in letters and digits alone, too."""
_MAX_ABSENT: Final = 5000

_WIDEST_DATE: Final = max(len(key) for key, _, _ in patterns_of_part(Atom(Sort.DATE, "20001231"), b"") if b"\0" in key)
"""Bytes of the longest pattern with NUL bytes that a date in ASCII has, as each instance may have one of its own."""

_Part = TypeVar("_Part")


class _Identifier(NamedTuple):
    """A slot of the source whose value identifies."""

    slot: int
    kind: Kind
    character_set: bytes
    is_kept: bool


@dataclass(slots=True)
class SharedSearch:
    """What a series has in common for the search.

    Attributes:
        patterns: Of all values that all sources have, and of others.
        judge: Tells which of their parts may not stand in a result.
        values: These values.
        identifiers: What each source has of its own.
        excuses: Slots of the sources whose values the profile leaves in attributes of their own sort, with their kinds.
        excused: Parts of such values that all sources have.
        constant: What all results have in common, folded, without NUL bytes; texts are decoded, too.
        windows: What each result has of its own.
        letters: Of what is constant, letters and digits alone.
        has_nul: Whether patterns have NUL bytes.
        uids: Of the run; None where none are mapped.
        absent: Parts of which it is known that they do not stand in what is common.
        absent_cores: Letters and digits of parts (``cores_of``) of which the same is known: times come again and again.

    """

    patterns: tuple[Patterns, ...]
    judge: Judge
    values: frozenset[Value]
    identifiers: tuple[_Identifier, ...]
    excuses: tuple[tuple[int, Kind], ...]
    excused: frozenset[Atom]
    constant: bytes
    windows: Windows
    letters: bytes
    has_nul: bool
    uids: Uids | None
    absent: set[tuple[Atom, bytes]] = field(default_factory=set)
    absent_cores: set[bytes] = field(default_factory=set)

    def finds_nothing(self, instance: PlannedInstance, source: Cut, result: Cut) -> bool:
        """Whether certainly nothing identifying is left in a result; where not, it is to be searched as a whole.

        Args:
            instance: What was planned.
            source: With the bytes that all sources have in common.
            result: Likewise.

        """
        pieces = self.windows.pieces(result)
        folded = _BETWEEN.join([*pieces, name_to_search(instance)]).translate(FOLDED)
        if self.windows.holds_other_letters(result):
            return False
        letters = squeezed(folded)
        patterns = [one for one in self.patterns if one.may_stand_in(letters)]
        own = self._own(instance, source, letters)
        if not (patterns or own):
            return True  # nearly all instances
        narrow = folded.replace(b"\0", b"")
        for one in patterns:
            for atoms in one.candidates(folded if self.has_nul else narrow, narrow, letters):
                if any(map(self.judge.is_secret, atoms)):
                    return False
        for atom, character_set in own:
            may_stand = self._may_stand(atom, character_set, narrow, letters)
            if may_stand and not self._is_excused(atom, instance, source):
                return False
        return True

    def _own(self, instance: PlannedInstance, source: Cut, letters: bytes) -> list[tuple[Atom, bytes]]:
        """Return the parts of what only this source has, each with a character set; not all of what stands nowhere."""
        data, slots = source
        own: dict[Value, bool] = {}
        nowhere: set[tuple[Kind, bytes]] = set()
        for number, kind, character_set, is_kept in self.identifiers:
            start, end = slots[number]
            if 0 < end - start <= MAX_VALUE_BYTES:
                raw = data[start:end]
                if (kind, raw) in nowhere:
                    continue
                cores = cores_in(kind, raw)
                if cores and not self._holds_one(cores, letters):
                    nowhere.add((kind, raw))
                    continue
                value = value_of(kind, raw, character_set)
                if value is not None and value not in self.values:
                    own[value] = is_kept or own.get(value, False)
        if not own:
            return []
        uid = instance.original.sop_instance_uid
        kept = set(atoms_of(Kind.UID, uid)) if uid == instance.new.sop_instance_uid else set()
        for value, is_kept in own.items():
            if is_kept:
                kept |= atoms_of(value.kind, text_of(value))
        return [
            (atom, value.character_set)
            for value in own
            for atom in atoms_of(value.kind, text_of(value))
            if atom not in kept
        ]

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
        cores = cores_of(atom)
        if cores and not self._holds_one(cores, letters):
            return False
        patterns = patterns_of_part(atom, character_set)
        if any(_stands(pattern, narrow, letters) for pattern in patterns):
            return True
        if (atom, character_set) in self.absent:
            return False
        if any(_stands(pattern, self.constant, self.letters) for pattern in patterns):
            return True
        _remember(self.absent, (atom, character_set))
        return False

    def _holds_one(self, cores: tuple[bytes, ...], letters: bytes) -> bool:
        """Whether letters and digits of a result hold one of some."""
        for core in cores:
            if core in letters:
                return True
            if core not in self.absent_cores:
                if core in self.letters:
                    return True
                _remember(self.absent_cores, core)
        return False


def _stands(pattern: Pattern, narrow: bytes, letters: bytes) -> bool:
    """Whether a pattern may stand in some bytes, of which these are without NUL, and letters and digits alone."""
    key, _, gap = pattern
    if gap is not Gap.NONE:
        return key in letters
    return squeezed(key) in letters if b"\0" in key else key in narrow


def _remember(absent: set[_Part], one: _Part) -> None:
    if len(absent) >= _MAX_ABSENT:
        absent.clear()
    absent.add(one)


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
    found, uses = identifying_values(source.read, scope.treated, scope.shields, scope.kept, starts)
    identifiers = _identifiers(source, uses)
    if identifiers is None:
        return None
    patterns, single = search.patterns_for(instance, found)
    both = (patterns, Patterns(found.values.keys() - patterns.values)) if single else (patterns,)
    judge = Judge(scope, _of_all(instance), found, patterns, result.read, uids)
    regions = list(regions_of(result.read))
    decoded = list(decoded_regions(result.read))
    if not all(_is_clean_around(result, judge, one, [*regions, *decoded]) for one in both):
        return None
    longest = max(one.longest_with_nul for one in both)
    texts = [one.data for one in decoded if one.leaf is not None and not result.touches_slot(*one.leaf[:2])]
    constant = _BETWEEN.join([*result.layout.runs, *texts]).translate(FOLDED).replace(b"\0", b"")
    return SharedSearch(
        patterns=both,
        # Not of the result, whose bytes it would hold.
        judge=Judge(scope, _of_all(instance), found, patterns, Read(), uids),
        values=frozenset(found.values),
        identifiers=identifiers,
        excuses=_excuses(source, uses),
        excused=frozenset(atom for value in found.kept for atom in atoms_of(value.kind, text_of(value))),
        constant=constant,
        letters=squeezed(constant),
        windows=make_windows(result, max(longest, _WIDEST_DATE)),
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


def _identifiers(source: Sample, uses: dict[int, Use]) -> tuple[_Identifier, ...] | None:
    """Return the slots whose values identify; None where one decides what others mean."""
    found: list[_Identifier] = []
    for number, slot in enumerate(source.slots):
        if slot.leaf.is_meta:
            continue
        use = uses[slot.start]
        if use.decides:
            return None
        if isinstance(use.what, Kind):
            found.append(_Identifier(number, use.what, use.character_set, is_kept=use.named))
    return tuple(found)


def _excuses(source: Sample, uses: dict[int, Use]) -> tuple[tuple[int, Kind], ...]:
    """Return the slots whose values the profile leaves, with what kind of value it is."""
    return tuple(
        (number, kind)
        for number, slot in enumerate(source.slots)
        if not slot.leaf.is_meta and (kind := uses[slot.start].kept) is not None
    )


def _is_clean_around(result: Sample, judge: Judge, patterns: Patterns, regions: list[Region]) -> bool:
    """Whether nothing is left in what is common, whatever stands in the slots, and whatever else excuses it."""
    for region in regions:
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
