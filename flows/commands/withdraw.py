"""``withdraw``: take results of a run back.

Public names: ``withdraw_run``, ``WithdrawAnswer``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from deidflow.flows.answers.answer import Answer, counted, export_line, give
from deidflow.flows.opened_run import opened
from deidflow.tasks.core.errors import InvalidInput, Problem
from deidflow.tasks.core.ledger.manifest_rows import all_lines
from deidflow.tasks.core.ledger.state.withdrawals import rows_done_elsewhere, withdrawn_results
from deidflow.tasks.core.report.files import PAGE
from deidflow.tasks.steps.access.choice import store_of
from deidflow.tasks.steps.publish import publish_reports
from deidflow.tasks.steps.replaced_results import delivered_elsewhere
from deidflow.tasks.steps.run.earlier import hold_config
from deidflow.tasks.steps.run.progress import make_progress
from deidflow.tasks.steps.withdraw import withdraw_results

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from deidflow.tasks.steps.run.run import Run


@dataclass(frozen=True, slots=True)
class WithdrawAnswer(Answer):
    """What was taken back.

    Attributes:
        withdrawn: How many results are gone.
        missing: How many of these were gone before, and may be wherever somebody has moved them to.
        left: How many stay, since something else stands there, or they could not be removed.
        elsewhere: Lines of the manifest that other runs have done, too.
        exports: Names of exports that were packed of the run, and that may hold other results than are done now.
        report: The run's report, written again.

    """

    withdrawn: int
    missing: int
    left: int
    elsewhere: tuple[int, ...]
    exports: tuple[str, ...]
    report: Path

    def lines(self) -> Iterator[str]:
        """Yield what people read."""
        yield f"withdrawn: {counted(self.withdrawn, 'result')}"
        if self.missing:
            yield f"missing:   {self.missing} of these had gone before; where somebody has moved them they are still"
        if self.left:
            yield f"left:      {self.left}, since something else stands there, or they could not be removed"
        if self.withdrawn:
            yield "next:      take the rows out of the manifest, too; a new run with them would make the results again"
        if self.elsewhere:
            lines = ", ".join(map(str, self.elsewhere[:20])) + (", ..." if self.elsewhere[20:] else "")
            remedy = "withdraw them there (deidflow crosswalk names the runs)"
            yield f"elsewhere: line {lines}: other runs have done these rows, too; {remedy}"
        if self.exports:
            yield export_line(self.exports)
        yield f"report:    {self.report}"


def withdraw_run(folder: Path, rows: tuple[int, ...], overrides: tuple[str, ...] = ()) -> int:
    """Take results out of the destination, and report again; return 0 when nothing is left or counts as done.

    Args:
        folder: Of the run.
        rows: Lines of its manifest; none for all.
        overrides: ``KEY=VALUE`` of each ``--set``, see ``open_run``.

    Raises:
        InvalidInput: It is no run folder, or has no such row.
        Unusable: The destination cannot be used.

    """
    with opened(folder, overrides) as run:
        unknown = sorted(set(rows) - set(all_lines(run.ledger)))
        if unknown:
            text = f"must be a line of the run's manifest with a row in it; there is none in line {unknown[0]}"
            raise InvalidInput([Problem(text, "--row")])
        with hold_config(run.config), store_of(run.config).prepared(run), make_progress() as progress:
            found = withdraw_results(run, rows, progress)
            exports = publish_reports(run, progress, ends=False).other_exports
        before = rows_done_elsewhere(run.ledger, rows)
        same = _lines_of_same_results(run, rows)
        counts_as_done = bool(before or (same and run.config.incremental))
    elsewhere = tuple(sorted(same.union(before)))
    give(WithdrawAnswer(found.gone, found.missing, found.stay, elsewhere, exports, run.folder / PAGE))
    return 1 if found.stay or counts_as_done else 0


def _lines_of_same_results(run: Run, rows: tuple[int, ...]) -> set[int]:
    """Return the lines of rows whose results other runs have delivered as well: increments would leave them out."""
    withdrawn = withdrawn_results(run.ledger, rows)
    return {withdrawn[name] for name in delivered_elsewhere(run, withdrawn)}
