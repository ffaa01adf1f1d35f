"""The first sentence of report.html: whether results may be given away, and never more than was looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from deidflow.tasks.core.outcomes import Outcome, Reason, ReasonCode
from deidflow.tasks.core.report.files import write_reports
from tests.core.ledgers import FACTS, Instance, Row, make_ledger

if TYPE_CHECKING:
    from pathlib import Path

LOST = Instance("7.7", outcome=Outcome.FAILED, reason=Reason(ReasonCode.DAMAGED, "truncated at byte 12"))
DONE = Instance("7.8", series=("Q", "2", "2.1"))
ALSO = Instance("7.9", series=("Q", "2", "2.1"))
REFUSED = Instance("7.6", outcome=Outcome.FAILED, reason=Reason(ReasonCode.BURNED_IN_TEXT))
TWICE = "UPDATE instance SET review = 'burned-in-text;unknown-words'"
NAMED = "UPDATE instance SET review = 'burned-in-text' WHERE outcome <> 'done'"
BEFORE = "UPDATE manifest_row SET done_before = 3"
FIRST = "UPDATE instance SET verified = iif(id = 1, 'full', '')"
FULL = "UPDATE instance SET verified = 'full'"
COUNTED = "UPDATE instance SET verified = 'identifiers'"
NEVER = "UPDATE instance SET verified = ''"
TO_LOOK_AT = "UPDATE instance SET review = 'burned-in-text' WHERE outcome = 'done'"


@pytest.mark.parametrize(
    ("rows", "changes", "checks", "answer"),
    [
        ([Row([DONE])], [FULL], "full", "Yes: everything is done, and every result was read back and searched."),
        ([Row([DONE])], [FULL, TO_LOOK_AT], "full", "Look first: review.csv lists 1 result to look at."),
        (
            [Row([DONE]), Row([LOST])],
            [FULL, TO_LOOK_AT],
            "full",
            "Look first: review.csv lists 1 result to look at; and not everything is done.",
        ),
        ([Row([DONE]), Row([LOST])], [FULL], "full", "What is done, yes; but it is not all that was asked for."),
        ([Row([DONE])], [NEVER], "full", "Not yet: not every result is verified."),
        ([Row([DONE])], [COUNTED, TO_LOOK_AT], "full", "Not yet: not every result is verified."),
        ([Row([DONE])], [COUNTED], "identifiers", "Not yet: nobody has searched the results. Run deidflow verify."),
        ([Row([DONE])], [FULL], "identifiers", "Yes: everything is done"),
        ([Row([DONE])], [FULL], "none", "Yes: everything is done"),
        ([Row([DONE]), Row([ALSO])], [FIRST], "none", "Not yet: not every result is verified."),
        ([Row([DONE])], [FULL, TWICE], "full", "Look first: review.csv lists 1 result to look at."),
        ([Row([DONE]), Row([REFUSED])], [FULL, NAMED], "full", "What is done, yes; but it is not all"),
        ([Row([DONE])], [FULL, BEFORE], "full", "It did not look at those of earlier runs."),
        ([], [BEFORE], "full", "No: there is no result."),
        (
            [Row([])],
            [BEFORE],
            "full",
            "No: this run has no result; what earlier runs have done",
        ),
        ([Row([DONE])], [NEVER], "none", "Not yet: nobody has searched the results."),
        ([Row([LOST])], [NEVER], "full", "No: there is no result."),
    ],
)
def test_the_answer(tmp_path: Path, rows: list[Row], changes: list[str], checks: str, answer: str) -> None:
    """Yes needs all of it: results, a search of each, nothing to look at, and nothing left undone."""
    config: dict[str, Any] = {**FACTS.config, "verify": checks}
    with make_ledger(rows, config=config) as ledger:
        for change in changes:
            ledger.execute(change)
        write_reports(ledger, tmp_path)
    page = (tmp_path / "report.html").read_text()

    assert answer in page
    assert (BEFORE in changes and bool(rows)) == ("Earlier runs have done 3 more instances" in page)
    assert ("no result was read back" in page) == (checks == "none" and FULL not in changes and FIRST not in changes)
    assert (not rows) == ("the manifest has no rows" in page)
    assert 1 == sum(page.count(start) for start in ("Yes: ", "Look first: ", "What is done, yes", "Not yet: ", "No: "))
