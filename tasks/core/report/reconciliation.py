"""What became of each manifest row, told by the ledger alone.

Rows are streamed in manifest order with one query per kind of detail; no more than one row's details are in memory.

Public names: ``RowResult``, ``row_results``, ``most_frequent_first``.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from deidflow.tasks.core.ledger.report_queries import (
    DONE_RANK,
    chunk_keys,
    new_identifiers,
    outcome_counts,
    row_entries,
)
from deidflow.tasks.core.outcomes import REMEDIES, SEVERITY, Outcome, Reason, ReasonCode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from deidflow.tasks.core.ledger.ledger import Ledger
    from deidflow.tasks.core.ledger.report_queries import OutcomeCount

_UNEXPLAINED: Final = Reason(ReasonCode.INTERNAL_ERROR, "no reason was recorded")
_WITHOUT_INSTANCES: Final = Reason(ReasonCode.INTERNAL_ERROR, "no instance was planned for this row")
_OWN_REASONS: Final = {
    Outcome.NOT_FOUND: Reason(ReasonCode.NOT_FOUND),
    Outcome.INVALID: Reason(ReasonCode.INVALID_ROW),
}

_T = TypeVar("_T", bound=tuple[object, ...])


@dataclass(frozen=True, slots=True)
class RowResult:
    """What became of one manifest row.

    Attributes:
        line: In the manifest, from 1.
        orthanc_id: As the manifest gives it.
        level: What the source holds under it, "" when unknown.
        operation: ``anonymize`` or ``modify``, "" when the row does not say it rightly.
        outcome: The row's own, or the worst of its instances'.
        reason: Why, None when done. When its instances have several reasons: that of the worst (the first by
            identifier), and in its text how many are not done and why.
        new_orthanc_ids: Results at the row's own level, sorted; empty until one instance is done. What could not be
            removed although it is not done is named, too.
        instances_expected: How many the source held when the plan was frozen; those done and those failed together.
        instances_done: How many are done, by this run or by earlier ones.
        chunks: Keys of the chunks that they are in.
        attempts: The highest of its instances'.
        free: The free cells, unchanged.

    """

    line: int
    orthanc_id: str
    level: str
    operation: str
    outcome: Outcome
    reason: Reason | None
    new_orthanc_ids: tuple[str, ...]
    instances_expected: int
    instances_done: int
    chunks: tuple[str, ...]
    attempts: int
    free: tuple[str, ...]

    @property
    def instances_failed(self) -> int:
        """How many are not done, for whatever reason."""
        return self.instances_expected - self.instances_done

    @property
    def is_partly_done(self) -> bool:
        """Whether some of its instances are done, and some are not."""
        return 0 < self.instances_done < self.instances_expected


def row_results(ledger: Ledger) -> Iterator[RowResult]:
    """Yield one result per manifest row, in manifest order."""
    outcomes = _Details(outcome_counts(ledger))
    chunks = _Details(chunk_keys(ledger))
    new_ids = _Details(new_identifiers(ledger))
    for row in row_entries(ledger):
        tally = _Tally(row.done_before)
        for entry in outcomes.of(row.line):
            tally.add(entry)
        outcome, reason = tally.outcome, tally.reason
        if row.outcome is not None:
            outcome = row.outcome
            reason = row.reason or _OWN_REASONS[outcome]
        yield RowResult(
            line=row.line,
            orthanc_id=row.orthanc_id,
            level=row.level,
            operation=row.operation,
            outcome=outcome,
            reason=reason,
            new_orthanc_ids=tuple(sorted({*row.new_before, *(new for _, new in new_ids.of(row.line))})),
            instances_expected=tally.expected,
            instances_done=tally.done,
            chunks=tuple(key for _, key in chunks.of(row.line)),
            attempts=tally.attempts,
            free=row.free,
        )


class _Tally:
    """The instances of one row, added up by equal outcome and reason, the worst first."""

    def __init__(self, done_before: int) -> None:
        self.expected = self.done = done_before
        self.attempts = 0
        self._worst = DONE_RANK if done_before else -1
        self._reason: Reason | None = None
        self._reasons = 0
        self._codes: Counter[ReasonCode] = Counter()

    def add(self, entry: OutcomeCount) -> None:
        """Add some instances."""
        if self._worst < 0 or entry.rank < self._worst:
            self._worst, self._reason = entry.rank, entry.reason
        self.expected += entry.instances
        self.attempts = max(self.attempts, entry.attempts)
        if entry.rank == DONE_RANK:
            self.done += entry.instances
        else:
            self._reasons += 1
            self._codes[(entry.reason or _UNEXPLAINED).code] += entry.instances

    @property
    def outcome(self) -> Outcome:
        """The worst; a row that nothing was planned for is not done, but failed."""
        return Outcome.FAILED if self._worst < 0 else SEVERITY[self._worst]

    @property
    def reason(self) -> Reason | None:
        """That of the worst; where there are others, a summary of all stands behind its text."""
        if self._worst < 0:
            return _WITHOUT_INSTANCES
        if self._reason is None or self._reasons <= 1:
            return self._reason
        code, text = self._reason
        codes = ", ".join(f"{count} {code}" for code, count in most_frequent_first(self._codes).items())
        not_done = f"{self.expected - self.done} of {self.expected} instances are not done: {codes}"
        return Reason(code, f"{text or REMEDIES[code]} ({not_done})")


class _Details(Generic[_T]):
    """A stream of details in the order of their lines, which stand first in each; read along with the rows."""

    def __init__(self, stream: Iterator[_T]) -> None:
        self._groups = groupby(stream, key=itemgetter(0))
        self._next = next(self._groups, None)

    def of(self, line: int) -> Iterator[_T]:
        """Yield the details of a line, which must not be lower than the one before."""
        while self._next is not None and self._next[0] < line:
            self._next = next(self._groups, None)
        if self._next is not None and self._next[0] == line:
            yield from self._next[1]


def most_frequent_first(counts: Mapping[ReasonCode, int]) -> dict[ReasonCode, int]:
    """Return the same counts in an order that depends on them alone."""
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
