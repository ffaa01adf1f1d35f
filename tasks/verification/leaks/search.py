"""Search a result for what identifies in its source.

Public names: ``LeakSearch``, ``name_to_search``.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes

from deidflow.tasks.core.engine.result_paths import relative_path
from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.verification.leaks.decoded import decoded_regions
from deidflow.tasks.verification.leaks.identifying import Identifying, Treated, identifying_values
from deidflow.tasks.verification.leaks.judge import Judge, Scope, scope_of
from deidflow.tasks.verification.leaks.patterns import Pattern, Patterns, find, patterns_of
from deidflow.tasks.verification.leaks.regions import Region, regions_of

if TYPE_CHECKING:
    from deidflow.tasks.core.engine.protocol import PlannedInstance
    from deidflow.tasks.core.ledger.uid_map import Uids
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


class LeakSearch:
    """The search of one process, which keeps the patterns of the studies that it saw last.

    Attributes:
        written_by_server: See ``__init__``.

    """

    def __init__(self, profile: ProfileChoice | None, *, written_by_server: bool, hardens: bool = True) -> None:
        """Take what is the same for all instances.

        Args:
            profile: The PS3.15 profile of the run; None where requests name an Orthanc's.
            written_by_server: Whether attributes that were to go are looked for one by one, since nothing else does.
            hardens: Whether nested PatientIDs go even where PatientID is kept.

        """
        self._profile, self._hardens = profile, hardens
        self.written_by_server = written_by_server
        self._patterns: OrderedDict[tuple[int, str], Patterns] = OrderedDict()
        self._request: Request | None = None
        self._scope: Scope | None = None

    def check(self, request: Request, instance: PlannedInstance, source: Read, result: Read, uids: Uids | None) -> None:
        """Search a result.

        Args:
            request: An anonymization.
            instance: What was planned.
            source: As far as it was read.
            result: Likewise.
            uids: Of the run; None where none are mapped.

        Raises:
            InstanceFailed: ``identifier-left``, with the attributes of source and result, but no value.

        """
        scope = self.scope(request)
        found, _ = identifying_values(source, scope.treated, scope.shields, scope.kept)
        patterns, single = self.patterns_for(instance, found)
        leaks: dict[str, tuple[int, int]] = {}
        judge: Judge | None = None
        name = Region(-1, name_to_search(instance), in_dataset=False)
        regions = [*regions_of(result), name, *decoded_regions(result)]
        for number, region in enumerate(regions):
            folded, hits = find(region.data, patterns, single)
            for hit in hits:
                judge = judge or Judge(scope, instance, found, patterns, result, uids)
                for leak in judge.judge(region, folded, hit):
                    leaks[leak] = min(leaks.get(leak, (number, hit.start)), (number, hit.start))
        # Which of several comes first must not depend on what was compiled before.
        told = sorted(leaks, key=lambda leak: (leaks[leak], leak))
        if self.written_by_server:
            judge = judge or Judge(scope, instance, found, patterns, result, uids)
            told += judge.attributes_left(is_converted=source.syntax != result.syntax)
        if told:
            raise InstanceFailed(ReasonCode.IDENTIFIER_LEFT, _text(list(dict.fromkeys(told))))

    def treated(self, request: Request) -> Treated:
        """Return what the profile of a request does, whatever else the request names."""
        return self.scope(request).treated

    def scope(self, request: Request) -> Scope:
        """Return what a request means for the search."""
        if self._request is not request or self._scope is None:
            self._request, self._scope = request, scope_of(request, self._profile, hardens=self._hardens)
        return self._scope

    def patterns_for(
        self, instance: PlannedInstance, found: Identifying
    ) -> tuple[Patterns, list[tuple[Pattern, Atom]]]:
        """Return what the study has in common, compiled, and what only this instance has.

        Args:
            instance: What was planned, of the request whose scope was asked for last.
            found: What identifies its source.

        """
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


def name_to_search(instance: PlannedInstance) -> bytes:
    """Return the name of a result as bytes to search, as it is written and with each %XX as the byte that it means."""
    name = relative_path(instance.new).encode("utf-8", "surrogateescape")
    plain = unquote_to_bytes(name) if b"%" in name else b""
    return b"\n".join((name, plain)) if plain else name


def _text(leaks: list[str]) -> str:
    more = len(leaks) - _MAX_NAMED
    text = "; ".join(leaks[:_MAX_NAMED])
    return f"{text}; and {more} more" if more > 0 else text
