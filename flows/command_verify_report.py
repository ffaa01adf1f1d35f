"""``verify`` and ``report``: look at a run that has ended.

Public names: ``verify_run``, ``report_run``.
"""

from __future__ import annotations

import filecmp
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from deidflow.flows.commands.opened import opened
from deidflow.tasks.core.errors import Unusable, os_error_text
from deidflow.tasks.core.ledger.report_queries import count_not_compared
from deidflow.tasks.core.ledger.run_facts import read_facts
from deidflow.tasks.core.outcomes import Outcome
from deidflow.tasks.core.report.files import write_reports
from deidflow.tasks.core.report.mappings import write_mappings
from deidflow.tasks.core.report.totals import totals_of
from deidflow.tasks.steps.publish import publish_reports
from deidflow.tasks.steps.run.progress import make_progress
from deidflow.tasks.steps.run.run_folder import SCRATCH_PREFIX
from deidflow.tasks.steps.verify import verify_results

if TYPE_CHECKING:
    from deidflow.tasks.core.ledger.ledger import Ledger

_COMPARED = ("reconciliation.csv", "crosswalk.csv", "delivered.csv", "failures.csv", "source_problems.csv")

_HOW_TO_MEND: Final = (
    "put back what is gone; in a destination folder deidflow resume makes anew what came from a file that has changed"
)


def report_run(folder: Path, mappings: Path | None = None) -> int:
    """Write the report files of a run again; return the exit code of its totals.

    Args:
        folder: Of the run.
        mappings: A folder to make, for the pairs of identifiers that other programs read; None for none.

    Raises:
        Unusable: They cannot be written.

    """
    with opened(folder) as run:
        with make_progress() as progress:
            result = publish_reports(run, progress)
        pairs = _write_mappings(run.ledger, mappings) if mappings is not None else 0
    if mappings is not None:
        print(f"mappings: {pairs} pairs in {mappings}; they re-identify people")  # noqa: T201
    print(f"report: {run.folder / 'report.html'}")  # noqa: T201
    return result.exit_code


def _write_mappings(ledger: Ledger, folder: Path) -> int:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return write_mappings(ledger, folder)
    except OSError as error:
        message = f"the folder {folder} cannot be written: {os_error_text(error)}; make room or name another"
        raise Unusable(message, error) from None


def verify_run(folder: Path, overrides: tuple[str, ...] = (), *, deep: bool = False) -> int:
    """Read all results of a run back; return 0 when they and the report are what they should be, else 1.

    What is found to be wrong is noted in the ledger and taken out of the destination, so that ``resume`` mends it and
    ``report`` shows it; what is back and right is done again.

    Args:
        folder: Of the run.
        overrides: ``KEY=VALUE`` of each ``--set``, see ``open_run``.
        deep: Have pydicom read every result, too.

    """
    with opened(folder, overrides) as run:
        folder = run.folder
        stale = _stale_reports(run.ledger, folder) if read_facts(run.ledger).ended is not None else []
        with make_progress() as progress:
            failed = verify_results(run, progress, full=True, again=True, deep=deep)
        result = totals_of(run.ledger)
        unverified = count_not_compared(run.ledger)
    done = result.instances[Outcome.DONE] - unverified
    print(f"results:  {done} as they should be, {failed} not")  # noqa: T201
    if unverified:
        print(f"          {unverified} not verified: their sources are not there as they were; {_HOW_TO_MEND}")  # noqa: T201
    for code, count in result.instance_reasons.items():
        print(f"          {count} {code}")  # noqa: T201
    print(f"report:   {'agrees with the ledger' if not stale else 'differs: ' + ', '.join(stale)}")  # noqa: T201
    if failed:
        print(f"mend it:  deidflow resume {folder}")  # noqa: T201
    elif stale:
        print(f"mend it:  deidflow report {folder}")  # noqa: T201
    return 1 if failed or stale or unverified or not result.reconciled else 0


def _stale_reports(ledger: Ledger, folder: Path) -> list[str]:
    """Return the names of report files that are not what the ledger says."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=SCRATCH_PREFIX) as scratch:
        write_reports(ledger, Path(scratch))
        return [name for name in _COMPARED if not _same(folder / name, Path(scratch) / name)]


def _same(one: Path, other: Path) -> bool:
    if not one.exists() or not other.exists():
        return one.exists() == other.exists()
    return filecmp.cmp(one, other, shallow=False)
