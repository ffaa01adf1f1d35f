"""``withdraw``: take results of a run back.

Public names: ``withdraw_run``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deidflow.flows.commands.opened import opened
from deidflow.tasks.core.errors import InvalidInput, Problem
from deidflow.tasks.core.ledger.manifest_rows import all_lines
from deidflow.tasks.core.ledger.state.withdrawals import rows_done_elsewhere
from deidflow.tasks.steps.access.choice import store_of
from deidflow.tasks.steps.publish import publish_reports
from deidflow.tasks.steps.run.earlier import hold_config
from deidflow.tasks.steps.run.progress import make_progress
from deidflow.tasks.steps.withdraw import withdraw_results

if TYPE_CHECKING:
    from pathlib import Path


def withdraw_run(folder: Path, rows: tuple[int, ...], overrides: tuple[str, ...] = ()) -> int:
    """Take results out of the destination, and report again; return 0 when nothing of the rows is left, else 1.

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
            publish_reports(run, progress)
        elsewhere = rows_done_elsewhere(run.ledger, rows)
    print(f"withdrawn: {found.gone} results")  # noqa: T201
    if found.stay:
        print(f"left:      {found.stay}, since something else stands there, or they could not be removed")  # noqa: T201
    if elsewhere:
        lines = ", ".join(map(str, elsewhere[:20])) + (", ..." if elsewhere[20:] else "")
        text = "earlier runs have results of these rows, too; withdraw them there (deidflow crosswalk names the runs)"
        print(f"elsewhere: line {lines}: {text}")  # noqa: T201
    print(f"report:    {run.folder / 'report.html'}")  # noqa: T201
    return 1 if found.stay or elsewhere else 0
