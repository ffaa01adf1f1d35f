"""What became of rows and instances, by outcome and by the code of the reason.

Public names: ``counted_by_outcome``.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from deidflow.tasks.core.ledger.report_queries import instance_counts
from deidflow.tasks.core.outcomes import Outcome, ReasonCode
from deidflow.tasks.core.report.reconciliation import row_results

if TYPE_CHECKING:
    from deidflow.tasks.core.ledger.ledger import Ledger


def counted_by_outcome(ledger: Ledger) -> dict[Outcome, dict[ReasonCode | None, tuple[int, int]]]:
    """Return for each outcome that there is how many rows and how many instances have it, by code; None where done."""
    rows = Counter((row.outcome, row.reason.code if row.reason else None) for row in row_results(ledger))
    instances: Counter[tuple[Outcome, ReasonCode | None]] = Counter()
    for outcome, code, _, count in instance_counts(ledger):
        instances[outcome, None if outcome is Outcome.DONE else code or ReasonCode.INTERNAL_ERROR] += count
    found: dict[Outcome, dict[ReasonCode | None, tuple[int, int]]] = {}
    for outcome, code in sorted({*rows, *instances}, key=lambda key: (list(Outcome).index(key[0]), key[1] or "")):
        found.setdefault(outcome, {})[code] = rows[outcome, code], instances[outcome, code]
    return found
