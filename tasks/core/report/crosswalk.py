"""From original to new identifiers: every patient, study, series and instance that the run planned.

Public names: ``CrosswalkLine``, ``crosswalk``, ``has_files``, ``COLUMNS``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from deidflow.tasks.core.dicom.identifiers import Level
from deidflow.tasks.core.engine.result_paths import relative_path
from deidflow.tasks.core.ledger.report_queries import DONE_RANK, group_entries, instance_entries
from deidflow.tasks.core.ledger.run_facts import read_facts
from deidflow.tasks.core.outcomes import SEVERITY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from deidflow.tasks.core.ledger.ledger import Ledger
    from deidflow.tasks.core.ledger.report_queries import GroupEntry
    from deidflow.tasks.core.ledger.run_facts import RunFacts
    from deidflow.tasks.core.outcomes import Reason


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
        file: Of an instance in a destination folder the name of its result there, "" while there is none.

    """

    level: str
    original_orthanc_id: str
    new_orthanc_id: str
    original_dicom_id: str
    new_dicom_id: str
    outcome: str
    reason: str
    line: str
    file: str = ""


COLUMNS: Final = CrosswalkLine._fields


def crosswalk(ledger: Ledger) -> Iterator[CrosswalkLine]:
    """Yield all lines: patients, studies, series, instances, each in the order of the original Orthanc identifiers."""
    for level, groups in group_entries(ledger):
        for _, entries in groupby(groups, key=itemgetter(0)):
            yield from _parent_lines(level, list(entries))
    are_files = has_files(read_facts(ledger))
    for entry in instance_entries(ledger):
        done = entry.rank == DONE_RANK
        file = relative_path(entry.names) if are_files and entry.names and (done or entry.is_there) else ""
        new, new_uid = (entry.new, entry.new_uid) if done or entry.is_there else ("", "")
        outcome = (SEVERITY[entry.rank], _written(None if done else entry.reason))
        yield CrosswalkLine(Level.INSTANCE, entry.original, new, entry.uid, new_uid, *outcome, str(entry.line), file)


def has_files(facts: RunFacts) -> bool:
    """Whether the results of a run are files of a folder."""
    return bool((facts.config.get("destination") or {}).get("folder"))


def _written(reason: Reason | None) -> str:
    return "" if reason is None else str(reason)


@dataclass(slots=True)
class _Pair:
    """What goes from one original to one new parent."""

    new_dicom_id: str = ""
    is_there: bool = False
    worst: tuple[Any, ...] = (DONE_RANK, "", None)
    lines: set[int] = field(default_factory=set)

    def add(self, entry: GroupEntry) -> None:
        """Add some of its instances."""
        self.new_dicom_id = self.new_dicom_id or entry.new_dicom_id
        self.is_there = self.is_there or entry.rank == DONE_RANK or entry.is_there
        self.lines.add(entry.line)
        if entry.rank != DONE_RANK:
            self.worst = min(self.worst, (entry.rank, entry.first, entry.reason))

    def merge(self, other: _Pair) -> None:
        """Add the instances of another pair."""
        self.lines |= other.lines
        self.worst = min(self.worst, other.worst)


def _parent_lines(level: Level, entries: list[GroupEntry]) -> Iterator[CrosswalkLine]:
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
            reason=_written(reason),
            line=";".join(map(str, sorted(pair.lines))),
        )


def _homes(entries: Iterable[GroupEntry]) -> dict[int, str]:
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
