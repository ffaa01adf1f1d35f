"""Results that are taken back: which there are, and that they were.

Public names: ``pages_there``, ``note_withdrawn``, ``withdrawn_results``, ``rows_done_elsewhere``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from deidflow.tasks.core.ledger.results import expected_results
from deidflow.tasks.core.outcomes import Outcome, ReasonCode

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from deidflow.tasks.core.ledger.ledger import Ledger
    from deidflow.tasks.core.ledger.results import ExpectedResult

_OF_ROWS = "(?1 = '' OR i.line IN (SELECT value FROM json_each(?1)))"


def pages_there(ledger: Ledger, lines: Collection[int], size: int) -> Iterator[list[ExpectedResult]]:
    """Yield what stands in the destination of some rows, so many at a time: the ledger may change meanwhile.

    Args:
        ledger: Of a run.
        lines: Of its rows; none for all.
        size: Of a page.

    """
    last = 0
    chosen = json.dumps(sorted(lines)) if lines else ""
    while numbers := ledger.select(
        f"SELECT i.id FROM instance i WHERE i.id > ?2 AND i.is_there AND {_OF_ROWS} ORDER BY i.id LIMIT ?3",  # noqa: S608
        (chosen, last, size),
    ):
        last = numbers[-1][0]
        yield expected_results(ledger, [number for (number,) in numbers])


def note_withdrawn(ledger: Ledger, numbers: Sequence[int]) -> None:
    """Note that results are taken back; no later attempt at the run makes them again."""
    ledger.execute_many(
        "UPDATE instance SET outcome = ?, code = ?, text = '', is_there = 0, verified = '', evidence = '', review = '',"
        " chunk = NULL, call = NULL WHERE id = ?",
        [(Outcome.CANCELLED, ReasonCode.WITHDRAWN, number) for number in numbers],
    )


def withdrawn_results(ledger: Ledger, lines: Collection[int]) -> dict[str, int]:
    """Return what was taken back of some rows (none for all): the line, by the Orthanc identifier of the result."""
    return dict(
        ledger.select(
            "SELECT i.new_orthanc_id, i.line FROM instance i"  # noqa: S608 (constants)
            f" WHERE i.code = ?2 AND i.new_orthanc_id <> '' AND {_OF_ROWS}",
            (json.dumps(sorted(lines)) if lines else "", ReasonCode.WITHDRAWN),
        )
    )


def rows_done_elsewhere(ledger: Ledger, lines: Collection[int]) -> list[int]:
    """Return those of some rows (none for all) of which earlier runs have done something."""
    rows = ledger.select(
        f"SELECT i.line FROM manifest_row i WHERE i.done_before > 0 AND {_OF_ROWS} ORDER BY i.line",  # noqa: S608
        (json.dumps(sorted(lines)) if lines else "",),
    )
    return [line for (line,) in rows]
