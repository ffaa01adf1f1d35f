"""What ``run`` and ``resume`` answer.

Public names: ``RunAnswer``, ``NotDone``, ``run_answer``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from deidflow.flows.answers.answer import Answer, counted
from deidflow.tasks.core.outcomes import ANOTHER_RUN, REMEDIES, Outcome
from deidflow.tasks.core.report.files import PAGE
from deidflow.tasks.steps.run.leftovers import LEFTOVERS_FILE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from deidflow.tasks.core.ledger.state.before import DoneBefore
    from deidflow.tasks.core.report.totals import DeletedSources, Totals


@dataclass(frozen=True, slots=True)
class NotDone:
    """Rows and instances that are not done for one reason, and what to do about it."""

    code: str
    rows: int
    instances: int
    remedy: str

    def line(self) -> str:
        """Return what people read."""
        count, what = (self.instances, "instance") if self.instances else (self.rows, "row")
        return f"{counted(count, what)}, {self.code}: {self.remedy}"


@dataclass(frozen=True, slots=True)
class RunAnswer(Answer):
    """How a run stands.

    Attributes:
        run_id: Of the run.
        run_dir: Its folder.
        verdict: ``reconciled``, or what keeps the run from it.
        nothing_to_do: Whether earlier runs have left nothing.
        rows: How many rows of the manifest have each outcome.
        instances: The same for instances.
        done_before: What earlier runs have done: ``rows`` in full, and ``instances``.
        changed_before: How many instances were planned again, since their sources have changed since.
        not_verified: How many results that are done nobody has found right yet.
        sources: What became of sources that were to be deleted: ``deleted``, ``not_deleted``, ``changed``; null where
            none were.
        source_problems: How many files of the source were not used, by code.
        damaged: How many of them are damaged and might belong to a row.
        to_look_at: How many results a person should look at before they are given away, by code.
        not_done: By reason.
        leftovers: The file that lists what may be left over on an Orthanc, null when nothing is.
        next: The command that goes on with this run, null when there is none: see the remedies then.
        report: The page.

    """

    run_id: str
    run_dir: Path
    verdict: str
    nothing_to_do: bool
    rows: Mapping[Outcome, int]
    instances: Mapping[Outcome, int]
    done_before: DoneBefore
    changed_before: int
    not_verified: int
    sources: DeletedSources | None
    source_problems: Mapping[str, int]
    damaged: int
    to_look_at: Mapping[str, int]
    not_done: tuple[NotDone, ...]
    leftovers: Path | None
    next: str | None
    report: Path

    def lines(self) -> Iterator[str]:
        """Yield what people read: counts by outcome, source problems, where the report is."""
        if self.nothing_to_do:
            done = self.done_before.instances
            yield "nothing to do" + (": earlier runs have done all that can be done now" if done else "")
        if not sum(self.rows.values()):
            yield "nothing to do: the manifest has no rows"
        for what, counts in (("rows", self.rows), ("instances", self.instances)):
            parts = [f"{counts[outcome]} {outcome}" for outcome in Outcome if counts[outcome]]
            yield _line(what, ", ".join(parts) or "none")
        if self.done_before.instances:
            rows, instances = self.done_before
            text = f"{counted(instances, 'instance')} by earlier runs, {counted(rows, 'row')} in full"
            yield _line("done before", text)
        if self.changed_before:
            yield _line("changed since", f"{counted(self.changed_before, 'instance')}, planned again")
        if self.not_verified:
            yield _line("not verified", f"{self.not_verified} of {self.instances[Outcome.DONE]}")
        if self.sources is not None:
            yield _line("sources", _sources(self.sources))
        damaged = f", {self.damaged} of them damaged, which might belong to a row" if self.damaged else ""
        yield _line("source problems", f"{sum(self.source_problems.values())}{damaged}")
        for code, count in self.to_look_at.items():
            yield _line("to look at", f"{count} {code} (see review.csv)")
        for one in self.not_done:
            yield _line("not done", one.line())
        if self.next:
            yield _line("next", self.next)
        if self.leftovers is not None:
            yield f"{'left over?':<17}look at what {self.leftovers} names on the Orthanc; see the report"
        yield _line("report", str(self.report))


def run_answer(totals: Totals, folder: Path, *, nothing_to_do: bool = False) -> RunAnswer:
    """Return what to say of a run.

    Args:
        totals: Its counts.
        folder: Its folder.
        nothing_to_do: Whether earlier runs have left nothing.

    """
    rows, instances = totals.row_reasons, totals.instance_reasons
    codes = dict.fromkeys((*instances, *rows))
    # What is not done may be in need of another run, but what is to be verified or deleted is in need of this one.
    is_unfinished = totals.unverified or totals.undeleted or totals.due or totals.damaged
    goes_on = bool(is_unfinished or codes.keys() - ANOTHER_RUN)
    leftovers = folder / LEFTOVERS_FILE
    return RunAnswer(
        run_id=folder.name,
        run_dir=folder,
        verdict=totals.verdict,
        nothing_to_do=nothing_to_do,
        rows=totals.rows,
        instances=totals.instances,
        done_before=totals.done_before,
        changed_before=totals.changed_before,
        not_verified=totals.unverified,
        sources=totals.sources,
        source_problems=totals.source_problems,
        damaged=totals.damaged,
        to_look_at=totals.review,
        not_done=tuple(NotDone(code, rows.get(code, 0), instances.get(code, 0), REMEDIES[code]) for code in codes),
        leftovers=leftovers if leftovers.exists() else None,
        next=f"deidflow resume {folder}" if goes_on else None,
        report=folder / PAGE,
    )


def _line(what: str, text: str) -> str:
    return f"{what + ':':<17}{text}"


def _sources(sources: DeletedSources) -> str:
    """Say what became of sources that were to be deleted."""
    parts = [f"{sources.deleted} deleted"]
    if sources.changed:
        parts.append(f"{sources.changed} kept, since they are not what was read")
    if sources.not_deleted:
        parts.append(f"{sources.not_deleted} could not be deleted; deidflow resume tries again")
    return ", ".join(parts)
