"""What a plan comes to, for people: counts, chunks, and instances to show as samples.

Public names: ``PlanTotals``, ``ChunkOverview``, ``SampledInstance``, ``plan_totals``, ``planned_failures``,
``chunk_overviews``, ``spread_over_the_plan``, ``line_of_instances``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from deidflow.tasks.core.outcomes import Outcome, Reason, ReasonCode

if TYPE_CHECKING:
    from deidflow.tasks.core.ledger.ledger import Ledger


class PlanTotals(NamedTuple):
    """How many objects are planned, and how large their files are together, in bytes."""

    instances: int
    series: int
    studies: int
    patients: int
    size: int


class ChunkOverview(NamedTuple):
    """A chunk: its key, how many instances and rows, the first and last line, how large the files are, in bytes."""

    key: str
    instances: int
    rows: int
    first_line: int
    last_line: int
    size: int


class SampledInstance(NamedTuple):
    """An instance, its line and its chunk."""

    id: int
    line: int
    chunk: int


def plan_totals(ledger: Ledger) -> PlanTotals:
    """Return what is planned in all."""
    (counts,) = ledger.select(
        "SELECT count(*), count(DISTINCT s.series), count(DISTINCT s.study), count(DISTINCT s.patient),"
        " coalesce(sum(i.size), 0) FROM instance i JOIN series s ON s.id = i.series"
    )
    return PlanTotals(*counts)


def planned_failures(ledger: Ledger) -> list[tuple[Reason, int]]:
    """Count the instances that will fail whatever is done, by reason."""
    rows = ledger.select(
        "SELECT code, text, count(*) FROM instance WHERE outcome = ? GROUP BY code, text", (Outcome.FAILED,)
    )
    return [(Reason(ReasonCode(code), text), count) for code, text, count in rows]


def chunk_overviews(ledger: Ledger) -> list[ChunkOverview]:
    """Return all chunks of a plan, in order."""
    rows = ledger.select(
        "SELECT c.key, c.instances, count(DISTINCT i.line), min(i.line), max(i.line), sum(i.size) FROM chunk c"
        " JOIN instance i ON i.chunk = c.number GROUP BY c.number ORDER BY c.number"
    )
    return [ChunkOverview(*row) for row in rows]


def spread_over_the_plan(ledger: Ledger, count: int) -> list[SampledInstance]:
    """Take instances of different kinds (SOP classes, then requests, rows and series) first, spread over the plan.

    Returns:
        So many, or all there are, in the order of lines, then of numbers.

    """
    rows = ledger.select(
        "WITH ranked AS (SELECT i.id, i.line, i.chunk, i.orthanc_id, row_number() OVER (PARTITION BY i.sop_class_uid,"
        " m.request, i.line, i.series ORDER BY i.orthanc_id) AS of_series, row_number() OVER (PARTITION BY"
        " i.sop_class_uid ORDER BY i.line, i.orthanc_id) AS of_kind, row_number() OVER (PARTITION BY i.line ORDER BY"
        " i.orthanc_id) AS of_row FROM instance i JOIN manifest_row m ON m.line = i.line WHERE i.chunk IS NOT NULL),"
        " spread AS (SELECT *, row_number() OVER (PARTITION BY of_kind = 1, of_row = 1, of_series = 1"
        " ORDER BY line, orthanc_id) - 1 AS place, count(*) OVER (PARTITION BY of_kind = 1, of_row = 1, of_series = 1)"
        " AS alike FROM ranked)"
        " SELECT id, line, chunk FROM spread ORDER BY of_kind > 1, of_row > 1, of_series > 1,"
        " place % max(1, alike / ?1) > 0, line, orthanc_id LIMIT ?1",
        (count,),
    )
    return sorted((SampledInstance(*row) for row in rows), key=lambda one: (one.line, one.id))


def line_of_instances(ledger: Ledger) -> dict[int, int]:
    """Return the line of the manifest of each instance, by its number."""
    return dict(ledger.select("SELECT id, line FROM instance"))
