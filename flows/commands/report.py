"""``report``: write the report of a run again.

Public names: ``report_run``, ``ReportAnswer``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from deidflow.flows.answers.answer import Answer, give
from deidflow.flows.opened_run import opened
from deidflow.flows.private_outputs import require_private_place
from deidflow.tasks.core.errors import Unusable, os_error_text
from deidflow.tasks.core.report.files import PAGE
from deidflow.tasks.core.report.mappings import write_mappings
from deidflow.tasks.steps.publish import publish_reports
from deidflow.tasks.steps.run.progress import make_progress

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from deidflow.tasks.core.ledger.ledger import Ledger


@dataclass(frozen=True, slots=True)
class ReportAnswer(Answer):
    """What was written.

    Attributes:
        run_dir: Of the run.
        report: The page.
        verdict: ``reconciled``, or what keeps the run from it.
        mappings: The folder with pairs of identifiers, null when none was asked for.
        pairs: How many pairs it holds.

    """

    run_dir: Path
    report: Path
    verdict: str
    mappings: Path | None
    pairs: int

    def lines(self) -> Iterator[str]:
        """Yield what people read."""
        if self.mappings is not None:
            yield f"mappings: {self.pairs} pairs in {self.mappings}; they re-identify people"
        yield f"report: {self.report}"


def report_run(folder: Path, mappings: Path | None = None) -> int:
    """Write the report files of a run again; return the exit code of its totals.

    Args:
        folder: Of the run.
        mappings: A folder to make, for the pairs of identifiers that other programs read; None for none.

    Raises:
        InvalidInput: The folder for the pairs is one that is given away, or the source.
        Unusable: They cannot be written.

    """
    with opened(folder) as run:
        if mappings is not None:
            require_private_place(run.config, mappings, "--mappings")
        with make_progress() as progress:
            result = publish_reports(run, progress, ends=False)
        pairs = _write_mappings(run.ledger, mappings) if mappings is not None else 0
    give(ReportAnswer(run.folder, run.folder / PAGE, result.verdict, mappings, pairs))
    return result.exit_code


def _write_mappings(ledger: Ledger, folder: Path) -> int:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return write_mappings(ledger, folder)
    except OSError as error:
        message = f"the folder {folder} cannot be written: {os_error_text(error)}; make room or name another"
        raise Unusable(message, error) from None
