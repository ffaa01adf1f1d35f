"""What became of each manifest row, told by the ledger alone.

Rows are streamed in manifest order with one query per kind of detail; no more than one row's details are in memory.

Public names: ``RowResult``, ``row_results``, ``prepare_views``, ``reason_code``,
``most_frequent_first``, ``DONE_RANK``.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from deidflow.tasks.core.outcomes import SEVERITY, Outcome, ReasonCode, reason_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from deidflow.tasks.core.ledger.ledger import Ledger

DONE_RANK: Final = SEVERITY.index(Outcome.DONE)
"""In the view ``planned`` an outcome is its place in SEVERITY."""

_INTERRUPTED: Final = reason_text(ReasonCode.INTERRUPTED, "the run stopped before this instance")
_UNEXPLAINED: Final = reason_text(ReasonCode.INTERNAL_ERROR, "no reason was recorded")
_WITHOUT_INSTANCES: Final = reason_text(ReasonCode.INTERNAL_ERROR, "no instance was planned for this row")
_VERDICT_REASONS: Final = {
    Outcome.NOT_FOUND: reason_text(ReasonCode.NOT_FOUND),
    Outcome.INVALID: reason_text(ReasonCode.INVALID_ROW),
}

_RANKS: Final = " ".join(f"WHEN '{outcome}' THEN {rank}" for rank, outcome in enumerate(SEVERITY))
# The planned instances as reports show them: each has an outcome (by its rank, 0 is the worst), and a reason unless it
# is done. An outcome that nobody knows counts as the worst.
_PLANNED_VIEW: Final = f"""
CREATE TEMP VIEW IF NOT EXISTS planned AS
SELECT id, line, series, chunk, target, orthanc_id, sop_instance_uid, new_orthanc_id, new_sop_instance_uid, attempts,
    is_there, verified,
    CASE coalesce(nullif(outcome, ''), '{Outcome.CANCELLED}') {_RANKS} ELSE 0 END AS rank,
    CASE WHEN outcome = '{Outcome.DONE}' THEN '' WHEN outcome = '' THEN '{_INTERRUPTED}'
        WHEN reason = '' THEN '{_UNEXPLAINED}' ELSE reason END AS reason
FROM instance WHERE line IS NOT NULL
"""  # noqa: S608 (constants of this module only)

_ROWS: Final = "SELECT line, orthanc_id, level, operation, verdict, reason, free FROM manifest_row ORDER BY line"
_OUTCOMES: Final = """
SELECT line, rank, reason, count(*), max(attempts) FROM planned
GROUP BY line, rank, reason ORDER BY line, rank, min(orthanc_id)
"""
_CHUNKS: Final = """
SELECT DISTINCT p.line, c.key, c.number FROM planned p JOIN chunk c ON c.number = p.chunk ORDER BY p.line, c.number
"""
_NEW_IDS: Final = """
SELECT DISTINCT i.line, CASE r.level WHEN 'patient' THEN t.patient WHEN 'study' THEN t.study WHEN 'series' THEN t.series
    ELSE i.new_orthanc_id END AS new
FROM instance i JOIN manifest_row r ON r.line = i.line LEFT JOIN target t ON t.id = i.target
WHERE i.outcome = 'done' OR i.is_there ORDER BY i.line, new
"""


@dataclass(frozen=True, slots=True)
class RowResult:
    """What became of one manifest row.

    Attributes:
        line: In the manifest, from 1.
        orthanc_id: As the manifest gives it.
        level: What the source holds under it, "" when unknown.
        operation: ``anonymize`` or ``modify``, "" when the row does not say it rightly.
        outcome: The row's own, or the worst of its instances'.
        reason: ``<code>: <text>``, "" when done. When its instances have several reasons: that of the worst (the first
            by identifier), then how many are not done and why.
        new_orthanc_ids: Results at the row's own level, sorted; empty until one instance is done. What could not be
            removed although it is not done is named, too.
        instances_expected: How many were planned; those done and those failed together.
        instances_done: How many are done.
        chunks: Keys of the chunks that they are in.
        attempts: The highest of its instances'.
        free: The free cells, unchanged.

    """

    line: int
    orthanc_id: str
    level: str
    operation: str
    outcome: Outcome
    reason: str
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
    prepare_views(ledger)
    outcomes = _Details(ledger.stream(_OUTCOMES))
    chunks = _Details(ledger.stream(_CHUNKS))
    new_ids = _Details(ledger.stream(_NEW_IDS))
    for line, orthanc_id, level, operation, own_verdict, own_reason, free in ledger.stream(_ROWS):
        tally = _Tally()
        for _, rank, reason, count, attempts in outcomes.of(line):
            tally.add(rank, reason, count, attempts)
        outcome, reason = tally.outcome, tally.reason
        if own_verdict:
            outcome = Outcome(own_verdict)
            reason = own_reason or _VERDICT_REASONS[outcome]
        yield RowResult(
            line=line,
            orthanc_id=orthanc_id,
            level=level,
            operation=operation,
            outcome=outcome,
            reason=reason,
            new_orthanc_ids=tuple(new for _, new in new_ids.of(line) if new),
            instances_expected=tally.expected,
            instances_done=tally.done,
            chunks=tuple(key for _, key, _ in chunks.of(line)),
            attempts=tally.attempts,
            free=tuple(json.loads(free)),
        )


def prepare_views(ledger: Ledger) -> None:
    """Make what the queries of reports stand on, in this connection only; the file is not changed."""
    ledger.execute(_PLANNED_VIEW)


def reason_code(reason: str) -> ReasonCode:
    """Return the code of a reason; ``internal-error`` for anything else, so that no text ever passes for a code.

    >>> reason_code("damaged: truncated at byte 12")
    <ReasonCode.DAMAGED: 'damaged'>
    """
    try:
        return ReasonCode(reason.partition(":")[0])
    except ValueError:
        return ReasonCode.INTERNAL_ERROR


class _Tally:
    """The instances of one row, added up by equal outcome and reason, the worst first."""

    def __init__(self) -> None:
        self.expected = self.done = self.attempts = 0
        self._worst = -1
        self._reason = ""
        self._texts = 0
        self._codes: Counter[ReasonCode] = Counter()

    def add(self, rank: int, reason: str, count: int, attempts: int) -> None:
        """Add some instances."""
        if self._worst < 0:
            self._worst, self._reason = rank, reason
        self.expected += count
        self.attempts = max(self.attempts, attempts)
        if rank == DONE_RANK:
            self.done += count
        else:
            self._texts += 1
            self._codes[reason_code(reason)] += count

    @property
    def outcome(self) -> Outcome:
        """The worst; a row that nothing was planned for is not done, but failed."""
        return Outcome.FAILED if self._worst < 0 else SEVERITY[self._worst]

    @property
    def reason(self) -> str:
        """That of the worst; where there are others, a summary of all stands behind it."""
        if self._worst < 0:
            return _WITHOUT_INSTANCES
        if self._texts <= 1:
            return self._reason
        codes = ", ".join(f"{count} {code}" for code, count in most_frequent_first(self._codes).items())
        return f"{self._reason} ({self.expected - self.done} of {self.expected} instances are not done: {codes})"


class _Details:
    """A stream of details in the order of their lines, read along with the rows."""

    def __init__(self, stream: Iterator[tuple[Any, ...]]) -> None:
        self._groups = groupby(stream, key=itemgetter(0))
        self._next = next(self._groups, None)

    def of(self, line: int) -> Iterator[tuple[Any, ...]]:
        """Yield the details of a line, which must not be lower than the one before."""
        while self._next is not None and self._next[0] < line:
            self._next = next(self._groups, None)
        if self._next is not None and self._next[0] == line:
            yield from self._next[1]


def most_frequent_first(counts: Mapping[ReasonCode, int]) -> dict[ReasonCode, int]:
    """Return the same counts in an order that depends on them alone."""
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
