"""What the marks of a run's results are made from.

Public names: ``run_nonce``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from deidflow.tasks.core.ledger.run_facts import change_facts

if TYPE_CHECKING:
    from deidflow.tasks.core.ledger.ledger import Ledger


def run_nonce(ledger: Ledger) -> str:
    """Return what the marks of a run's results are made from; made when it is first needed, then always the same."""
    from deidflow.tasks.orthanc.resources.marks import new_nonce  # noqa: PLC0415 (imports httpx)

    return (
        change_facts(ledger, lambda facts: replace(facts, mark_nonce=facts.mark_nonce or new_nonce())).mark_nonce or ""
    )
