"""``verify``: read the results of a run back.

Public names: ``verify_run``, ``VerifyAnswer``.
"""

from __future__ import annotations

import filecmp
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from deidflow.flows.answers.answer import Answer, export_line, give
from deidflow.flows.opened_run import opened
from deidflow.tasks.core.ledger.report_queries import count_not_compared
from deidflow.tasks.core.ledger.run_facts import read_facts
from deidflow.tasks.core.outcomes import Outcome
from deidflow.tasks.core.report.files import (
    CROSSWALK,
    DELIVERED,
    FAILURES,
    RECONCILIATION,
    SOURCE_PROBLEMS,
    SUMMARY,
    write_reports,
)
from deidflow.tasks.core.report.totals import totals_of
from deidflow.tasks.steps.publish import publish_reports
from deidflow.tasks.steps.run.progress import make_progress
from deidflow.tasks.steps.run.run_folder import SCRATCH_PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from deidflow.tasks.core.ledger.ledger import Ledger
    from deidflow.tasks.core.outcomes import ReasonCode
    from deidflow.tasks.steps.run.run import Run

_COMPARED: Final = (RECONCILIATION, CROSSWALK, DELIVERED, FAILURES, SOURCE_PROBLEMS)

_HOW_TO_MEND: Final = (
    "put back what is gone; in a destination folder deidflow resume makes anew what came from a file that has changed"
)


@dataclass(frozen=True, slots=True)
class VerifyAnswer(Answer):
    """What was found when everything was read back.

    Attributes:
        run_dir: Of the run.
        right: How many results are as they should be.
        wrong: How many are not; they were taken out of the destination.
        replaced: How many of these another run has replaced since; they stay, and are that run's.
        not_verified: How many could not be compared, since their sources are not there as they were, or since verifying
            itself failed.
        reasons: How many instances are not done, by the code of their reason.
        differing_files: Report files that are not what the ledger says.
        rewritten: Whether the report was written again, since it would have said otherwise than what was found.
        exports: Names of exports that were packed of the run, and that may hold other results than are done now.
        next: The command that mends it, null when nothing is to be mended.

    """

    run_dir: Path
    right: int
    wrong: int
    replaced: int
    not_verified: int
    reasons: Mapping[ReasonCode, int]
    differing_files: tuple[str, ...]
    rewritten: bool
    exports: tuple[str, ...]
    next: str | None

    def lines(self) -> Iterator[str]:
        """Yield what people read."""
        yield f"results:  {self.right} as they should be, {self.wrong} not"
        if self.replaced:
            yield f"          {self.replaced} replaced by another run since, and left there"
        if self.not_verified:
            why = f"their sources are not there as they were, or verifying them failed; {_HOW_TO_MEND}"
            yield f"          {self.not_verified} not verified: {why}"
        for code, count in self.reasons.items():
            yield f"          {count} {code}"
        if self.differing_files:
            yield f"report:   {'differed' if self.rewritten else 'differs'}: {', '.join(self.differing_files)}"
        else:
            yield f"report:   {'written again, with what was found' if self.rewritten else 'agrees with the ledger'}"
        if self.exports:
            yield export_line(self.exports)
        if self.next:
            yield f"mend it:  {self.next}"


def verify_run(folder: Path, overrides: tuple[str, ...] = (), *, deep: bool = False) -> int:
    """Read all results of a run back; return 0 when they and the report are what they should be, else 1.

    What is found to be wrong is noted in the ledger and taken out of the destination, so that ``resume`` mends it; what
    is back and right is done again. A report that would say otherwise is written again.

    Args:
        folder: Of the run.
        overrides: ``KEY=VALUE`` of each ``--set``, see ``open_run``.
        deep: Have pydicom read every result, too.

    """
    from deidflow.tasks.steps.access.engines import verifying_workers  # noqa: PLC0415 (a report needs no verifier)
    from deidflow.tasks.steps.verify import verify_results  # noqa: PLC0415 (likewise)

    with opened(folder, overrides) as run, verifying_workers(run, "deep" if deep else "full") as workers:
        folder = run.folder
        workers.prepare()
        stale = _stale_reports(run.ledger, folder) if _is_reported(run) else []
        before = run.ledger.changes
        with make_progress() as progress:
            try:
                failed, replaced = verify_results(run, workers, progress, full=True, again=True)
            finally:  # a list of what was delivered must not name what was just taken out of the destination
                if is_rewritten := _is_reported(run) and run.ledger.changes > before:
                    publish_reports(run, progress, ends=False)
        result = totals_of(run.ledger)
        unverified = count_not_compared(run.ledger)
    command = "resume" if failed > replaced else "report" if stale and not is_rewritten else ""
    give(
        VerifyAnswer(
            run_dir=folder,
            right=result.instances[Outcome.DONE] - unverified,
            wrong=failed,
            replaced=replaced,
            not_verified=unverified,
            reasons=result.instance_reasons,
            differing_files=tuple(stale),
            rewritten=is_rewritten,
            exports=result.other_exports,
            next=f"deidflow {command} {folder}" if command else None,
        )
    )
    return 1 if failed or stale or unverified or not result.reconciled else 0


def _is_reported(run: Run) -> bool:
    return read_facts(run.ledger).ended is not None or (run.folder / SUMMARY).exists()


def _stale_reports(ledger: Ledger, folder: Path) -> list[str]:
    """Return the names of report files that are not what the ledger says."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=SCRATCH_PREFIX) as scratch:
        write_reports(ledger, Path(scratch))
        return [name for name in _COMPARED if not _same(folder / name, Path(scratch) / name)]


def _same(one: Path, other: Path) -> bool:
    if not one.exists() or not other.exists():
        return one.exists() == other.exists()
    return filecmp.cmp(one, other, shallow=False)
