"""Which runs have delivered a result, and with what evidence.

Public names: ``runs_that_delivered``, ``delivered_evidence``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from deidflow.tasks.core.outcomes import Outcome

if TYPE_CHECKING:
    from collections.abc import Collection

    from deidflow.tasks.core.ledger.ledger import Ledger
    from deidflow.tasks.core.ledger.state.state import State


def runs_that_delivered(state: State, results: Collection[str], place: str = "") -> dict[str, list[str]]:
    """Return which of some results each run has delivered, by its ID; last runs first.

    Args:
        state: Brought up to date.
        results: Their Orthanc identifiers.
        place: Where they went (``RunPlace``), "" for wherever.

    """
    found: dict[str, list[str]] = {}
    for run_id, name in state.stream(
        "SELECT r.run_id, d.new_orthanc_id FROM delivered d JOIN pair p ON p.id = d.pair JOIN run r ON r.number = p.run"
        " WHERE d.new_orthanc_id IN (SELECT value FROM json_each(?1)) AND (?2 = '' OR r.place = ?2)"
        " ORDER BY r.moment DESC, d.new_orthanc_id",
        (json.dumps(sorted(results)), place),
    ):
        found.setdefault(str(run_id), []).append(str(name))
    return found


def delivered_evidence(ledger: Ledger, results: Collection[str]) -> dict[str, str]:
    """Return the evidence of those of some results that a run has done, by their Orthanc identifiers."""
    return dict(
        ledger.select(
            "SELECT new_orthanc_id, evidence FROM instance WHERE outcome = ? AND evidence <> ''"
            " AND new_orthanc_id IN (SELECT value FROM json_each(?))",
            (Outcome.DONE, json.dumps(sorted(results))),
        )
    )
