"""The totals of a run: how many rows and instances have which outcome, and why.

Public names: ``Totals``, ``DeletedSources``, ``LastStep``, ``TotalsCounter``, ``totals_of``.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.engine.sources import ProblemCode
from deidflow.tasks.core.ledger.report_queries import instance_counts, review_counts
from deidflow.tasks.core.ledger.run_facts import read_facts
from deidflow.tasks.core.ledger.source_records import count_source_problems
from deidflow.tasks.core.ledger.state.before import DoneBefore, count_done_before
from deidflow.tasks.core.ledger.state.exports import count_to_export, other_exports
from deidflow.tasks.core.outcomes import Outcome, ReasonCode
from deidflow.tasks.core.report.reconciliation import most_frequent_first, row_results

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from deidflow.tasks.core.ledger.ledger import Ledger
    from deidflow.tasks.core.ledger.run_facts import RunFacts
    from deidflow.tasks.core.report.reconciliation import RowResult

_ENOUGH: Final = {"full": ("full",), "identifiers": ("full", "identifiers"), "none": ()}
"""Which verifications are worth as much as the one that the config asks for."""


_NOTHING: Final = DoneBefore(0, 0)


class LastStep(StrEnum):
    """What a run does when all instances have been looked at, where that is asked for."""

    VERIFICATION = "verify"
    """Compare the results with one another, and look whether any has gone since."""
    DELETION = "delete-sources"
    EXPORT = "export"


_RECONCILED: Final = "reconciled"
_DUE: Final = {
    LastStep.VERIFICATION: "the verification did not come to its end",
    LastStep.DELETION: "the sources are still to be deleted",
    LastStep.EXPORT: "the results are still to be packed",
}


@dataclass(frozen=True, slots=True)
class DeletedSources:
    """What became of the instances whose sources were to be deleted in the end.

    Attributes:
        deleted: How many have no file and no identical copy of it any more.
        not_deleted: How many the system kept from being looked at or deleted; ``resume`` tries them again.
        changed: How many stay, since something else stands in their place than what was read.

    """

    deleted: int = 0
    not_deleted: int = 0
    changed: int = 0


@dataclass(frozen=True, slots=True)
class Totals:
    """The result of a run in numbers; nothing in it identifies anybody.

    Attributes:
        rows: How many manifest rows have each outcome; every outcome is a key.
        instances: The same for instances.
        rows_by_level: The same for the rows of each level, "unknown" when the source does not hold them.
        row_reasons: How many rows are not done, by the code of their reason.
        instance_reasons: The same for instances.
        source_problems: How many files of the source were not used, by code.
        review: How many results a person should look at before they are given away, by code.
        to_look_at: How many results these are: one may have several codes, and what was refused is none.
        checks: What the config asks for: ``full``, ``identifiers`` or ``none``.
        verified: How many of the instances that are done were found right by such a check, as they are now.
        read_back: How many of them were read back in full, whatever the config asks for.
        ignores_damaged: Whether files that are damaged and belong to nobody known do not count.
        sources: What became of sources that were to be deleted, None where none were or that step has not begun.
        due: Last steps that are asked for, for results that there are, and have not come to their end.
        other_exports: Names of exports of the run that may hold other results than are done now.
        done_before: What earlier runs have done of an incremental run's rows.
        changed_before: How many instances it did again, since their sources have changed since earlier runs did them.

    """

    rows: Mapping[Outcome, int]
    instances: Mapping[Outcome, int]
    rows_by_level: Mapping[str, Mapping[Outcome, int]]
    row_reasons: Mapping[ReasonCode, int]
    instance_reasons: Mapping[ReasonCode, int]
    source_problems: Mapping[str, int]
    checks: str = "none"
    verified: int = 0
    read_back: int = 0
    ignores_damaged: bool = False
    review: Mapping[str, int] = field(default_factory=dict)
    to_look_at: int = 0
    sources: DeletedSources | None = None
    due: tuple[LastStep, ...] = ()
    other_exports: tuple[str, ...] = ()
    done_before: DoneBefore = _NOTHING
    changed_before: int = 0

    @property
    def unverified(self) -> int:
        """How many instances count as done, although nobody has found their results right yet; 0 without checks."""
        return 0 if self.checks == "none" else self.instances[Outcome.DONE] - self.verified

    @property
    def damaged(self) -> int:
        """How many damaged files, which might belong to a row, keep the run from being reconciled."""
        return 0 if self.ignores_damaged else self.source_problems.get(ProblemCode.DAMAGED, 0)

    @property
    def undeleted(self) -> int:
        """How many instances' sources are still to be deleted, since that was not possible so far."""
        return self.sources.not_deleted if self.sources else 0

    @property
    def all_done(self) -> bool:
        """Whether every row and every instance is done."""
        return all(
            count == 0
            for counts in (self.rows, self.instances)
            for outcome, count in counts.items()
            if outcome is not Outcome.DONE
        )

    @property
    def verdict(self) -> str:
        """``reconciled``, or what keeps the run from it, in a few words; the worst of several."""
        if not self.all_done:
            return "some rows are not done"
        if self.unverified:
            return "some results are not verified"
        if self.undeleted:
            return "some sources could not be deleted"
        if self.due:
            return _DUE[self.due[0]]
        return "the source holds damaged files" if self.damaged else _RECONCILED

    @property
    def reconciled(self) -> bool:
        """Whether all is done and verified, down to the last step, and no damaged file might be one more."""
        return self.verdict == _RECONCILED

    @property
    def exit_code(self) -> int:
        """0 when everything is reconciled, else 1."""
        return 0 if self.reconciled else 1


@dataclass(slots=True)
class TotalsCounter:
    """Counts row results as they pass by, so that one pass serves a file and the totals."""

    rows: Counter[Outcome] = field(default_factory=Counter)
    by_level: dict[str, Counter[Outcome]] = field(default_factory=dict)
    reasons: Counter[ReasonCode] = field(default_factory=Counter)

    def count(self, results: Iterable[RowResult]) -> Iterator[RowResult]:
        """Yield what is given, counted."""
        for result in results:
            self.rows[result.outcome] += 1
            self.by_level.setdefault(result.level or "unknown", Counter())[result.outcome] += 1
            if result.reason is not None:
                self.reasons[result.reason.code] += 1
            yield result

    def totals(self, ledger: Ledger) -> Totals:
        """Return the totals, once all rows have passed by."""
        instances: Counter[Outcome] = Counter()
        reasons: Counter[ReasonCode] = Counter()
        facts = read_facts(ledger)
        config = facts.config
        checks = str(config.get("verify", "none"))
        verified = read_back = 0
        for outcome, code, how, count in instance_counts(ledger):
            instances[outcome] += count
            if outcome is not Outcome.DONE:
                reasons[code or ReasonCode.INTERNAL_ERROR] += count
                continue
            verified += count if how in _ENOUGH[checks] else 0
            read_back += count if how == "full" else 0
        return Totals(
            rows=_all_outcomes(self.rows),
            instances=_all_outcomes(instances),
            rows_by_level={level: _all_outcomes(counts) for level, counts in sorted(self.by_level.items())},
            row_reasons=most_frequent_first(self.reasons),
            instance_reasons=most_frequent_first(reasons),
            source_problems=count_source_problems(ledger),
            review=review_counts(ledger, done=True),
            to_look_at=count_to_export(ledger).to_review,
            checks=checks,
            verified=verified,
            read_back=read_back,
            ignores_damaged=bool((config.get("source") or {}).get("ignore_damaged")),
            done_before=count_done_before(ledger),
            changed_before=facts.changed_before,
            sources=None if facts.deleted_sources is None else DeletedSources(**facts.deleted_sources),
            other_exports=other_exports(ledger),
            due=_due(facts) if instances[Outcome.DONE] else (),
        )


def totals_of(ledger: Ledger) -> Totals:
    """Count what became of all rows and instances; what nothing is known about yet counts as cancelled."""
    counter = TotalsCounter()
    for _ in counter.count(row_results(ledger)):
        pass
    return counter.totals(ledger)


def _due(facts: RunFacts) -> tuple[LastStep, ...]:
    keeps_sources = (facts.config.get("options") or {}).get("KeepSource", True)
    checks = str(facts.config.get("verify", "none"))
    is_due = {
        LastStep.VERIFICATION: checks != "none" and not (facts.verification_ended or facts.complete),
        LastStep.DELETION: not keeps_sources and not facts.deletion_ended,
        LastStep.EXPORT: bool(facts.config.get("export")) and not (facts.export_ended or facts.complete),
    }
    return tuple(step for step in LastStep if is_due[step])


def _all_outcomes(counts: Mapping[Outcome, int]) -> dict[Outcome, int]:
    return {outcome: counts.get(outcome, 0) for outcome in Outcome}
