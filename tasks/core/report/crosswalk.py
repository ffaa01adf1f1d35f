"""From original to new identifiers: every patient, study, series and instance that the run planned.

Public names: ``CrosswalkLine``, ``crosswalk``, ``COLUMNS``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from deidflow.tasks.core.dicom.identifiers import Level
from deidflow.tasks.core.outcomes import SEVERITY
from deidflow.tasks.core.report.reconciliation import DONE_RANK, prepare_views

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from deidflow.tasks.core.ledger.ledger import Ledger

# Instances of one series with one fate and one row are alike as far as their parents are concerned. SQLite takes the
# bare column `reason` from the entry that min() found.
_GROUPS: Final = """
CREATE TEMP TABLE crosswalk_group AS
SELECT series, target, line, rank, min(orthanc_id) AS first, reason, sum(is_there) AS is_there
FROM planned GROUP BY series, target, line, rank
"""
_PARENTS: Final = {
    Level.PATIENT: """
        SELECT s.patient, s.patient_id, coalesce(t.patient, ''), coalesce(t.patient_id, ''),
            g.line, g.rank, g.first, g.reason, g.is_there
        FROM crosswalk_group g JOIN series s ON s.id = g.series LEFT JOIN target t ON t.id = g.target
        ORDER BY s.patient
    """,
    Level.STUDY: """
        SELECT s.study, s.study_instance_uid, coalesce(t.study, ''), coalesce(t.study_instance_uid, ''),
            g.line, g.rank, g.first, g.reason, g.is_there
        FROM crosswalk_group g JOIN series s ON s.id = g.series LEFT JOIN target t ON t.id = g.target
        ORDER BY s.study
    """,
    Level.SERIES: """
        SELECT s.series, s.series_instance_uid, coalesce(t.series, ''), coalesce(t.series_instance_uid, ''),
            g.line, g.rank, g.first, g.reason, g.is_there
        FROM crosswalk_group g JOIN series s ON s.id = g.series LEFT JOIN target t ON t.id = g.target
        ORDER BY s.series
    """,
}
_INSTANCES: Final = """
SELECT orthanc_id, sop_instance_uid, new_orthanc_id, new_sop_instance_uid, rank, reason, line, is_there
FROM planned ORDER BY orthanc_id, id
"""


class CrosswalkLine(NamedTuple):
    """One line of ``crosswalk.csv``; the members are its columns.

    Attributes:
        level: Of both objects.
        original_orthanc_id: Of the source.
        new_orthanc_id: Of the result, "" while there is none; what exists is named, whatever its outcome.
        original_dicom_id: PatientID, StudyInstanceUID, SeriesInstanceUID or SOPInstanceUID.
        new_dicom_id: The same of the result, "" while there is none.
        outcome: The worst of its instances' in this run.
        reason: That of its worst instance, the first by identifier.
        line: The manifest lines that touched it, joined by ``;``.

    """

    level: str
    original_orthanc_id: str
    new_orthanc_id: str
    original_dicom_id: str
    new_dicom_id: str
    outcome: str
    reason: str
    line: str


COLUMNS: Final = CrosswalkLine._fields


def crosswalk(ledger: Ledger) -> Iterator[CrosswalkLine]:
    """Yield all lines: patients, studies, series, instances, each in the order of the original Orthanc identifiers."""
    prepare_views(ledger)
    ledger.execute("DROP TABLE IF EXISTS temp.crosswalk_group")
    ledger.execute(_GROUPS)
    for level, query in _PARENTS.items():
        for _, entries in groupby(ledger.stream(query), key=itemgetter(0)):
            yield from _parent_lines(level, [_Entry(*entry) for entry in entries])
    ledger.execute("DROP TABLE temp.crosswalk_group")
    for original, uid, new, new_uid, rank, reason, line, is_there in ledger.stream(_INSTANCES):
        done = rank == DONE_RANK
        names = (new, new_uid) if done or is_there else ("", "")
        outcome = (SEVERITY[rank], "" if done else reason)
        yield CrosswalkLine(Level.INSTANCE, original, names[0], uid, names[1], *outcome, str(line))


class _Entry(NamedTuple):
    """Some instances below a parent: of one row, with one outcome and one target."""

    original: str
    original_dicom_id: str
    new: str
    new_dicom_id: str
    line: int
    rank: int
    first: str
    reason: str
    is_there: int


@dataclass(slots=True)
class _Pair:
    """What goes from one original to one new parent."""

    new_dicom_id: str = ""
    is_there: bool = False
    worst: tuple[Any, ...] = (DONE_RANK, "", "")
    lines: set[int] = field(default_factory=set)

    def add(self, entry: _Entry) -> None:
        """Add some of its instances."""
        self.new_dicom_id = self.new_dicom_id or entry.new_dicom_id
        self.is_there = self.is_there or entry.rank == DONE_RANK or bool(entry.is_there)
        self.lines.add(entry.line)
        if entry.rank != DONE_RANK:
            self.worst = min(self.worst, (entry.rank, entry.first, entry.reason))

    def merge(self, other: _Pair) -> None:
        """Add the instances of another pair."""
        self.lines |= other.lines
        self.worst = min(self.worst, other.worst)


def _parent_lines(level: Level, entries: list[_Entry]) -> Iterator[CrosswalkLine]:
    """Yield the lines of one original: one for each new one that is there, and one for what came to nothing."""
    pairs: dict[str, _Pair] = {}
    homes = _homes(entries)
    for entry in entries:
        pairs.setdefault(homes.get(entry.line, homes[0]) if not entry.new else entry.new, _Pair()).add(entry)
    nothing = _Pair()
    for new in [new for new, pair in pairs.items() if not (new and pair.is_there)]:
        nothing.merge(pairs.pop(new))
    if nothing.lines:
        pairs[""] = nothing
    for new, pair in sorted(pairs.items()):
        rank, _, reason = pair.worst
        yield CrosswalkLine(
            level=level,
            original_orthanc_id=entries[0].original,
            new_orthanc_id=new,
            original_dicom_id=entries[0].original_dicom_id,
            new_dicom_id=pair.new_dicom_id,
            outcome=SEVERITY[rank],
            reason=reason,
            line=";".join(map(str, sorted(pair.lines))),
        )


def _homes(entries: Iterable[_Entry]) -> dict[int, str]:
    """Return for each manifest line the new parent that its instances without a known one count under.

    A server tells the new parents of what it made, not of what failed. A failed instance belongs to the parent that its
    row's others have got, or to the only one there is (entry 0); otherwise to none.
    """
    known: dict[int, str] = {}
    for entry in entries:
        if entry.new:
            known[entry.line] = min(known.get(entry.line, entry.new), entry.new)
    all_new = {entry.new for entry in entries if entry.new}
    return {**known, 0: all_new.pop() if len(all_new) == 1 else ""}
