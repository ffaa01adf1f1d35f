"""What reports are made from: rows and instances with their outcomes, streamed.

Reports see the planned instances through the view ``planned``: each has an outcome, by its place in ``SEVERITY`` (its
rank; an outcome that nobody knows counts as the worst), and a reason unless it is done. It is made in the connection
only; the file is not changed.

Public names: ``DONE_RANK``, ``RowEntry``, ``OutcomeCount``, ``GroupEntry``, ``InstanceEntry``, ``ReviewEntry``,
``row_entries``, ``outcome_counts``, ``chunk_keys``, ``new_identifiers``, ``group_entries``, ``instance_entries``,
``DeliveredEntry``, ``delivered_entries``,
``instances_not_done``, ``InstanceCount``, ``instance_counts``, ``count_not_compared``, ``count_chunks``,
``review_counts``, ``review_entries``, ``count_removed``.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers, Level
from deidflow.tasks.core.engine.review import ReviewCode
from deidflow.tasks.core.ledger.chunks import parents_of
from deidflow.tasks.core.outcomes import SEVERITY, Outcome, Reason, ReasonCode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deidflow.tasks.core.ledger.ledger import Ledger

DONE_RANK: Final = SEVERITY.index(Outcome.DONE)
"""The rank of ``done``, the highest."""

_INTERRUPTED: Final = Reason(ReasonCode.INTERRUPTED, "the run stopped before this instance")
_UNEXPLAINED: Final = Reason(ReasonCode.INTERNAL_ERROR, "no reason was recorded")
_SEPARATOR: Final = ";"
UNKNOWN_WORD: Final = "unknown-word"
"""Before a word in a list of what to look at."""


_RANKS: Final = " ".join(f"WHEN '{outcome}' THEN {rank}" for rank, outcome in enumerate(SEVERITY))
_PLANNED_VIEW: Final = f"""
CREATE TEMP VIEW IF NOT EXISTS planned AS
SELECT id, line, series, chunk, target, orthanc_id, sop_instance_uid, new_orthanc_id, new_sop_instance_uid, attempts,
    is_there, verified,
    CASE coalesce(nullif(outcome, ''), '{Outcome.CANCELLED}') {_RANKS} ELSE 0 END AS rank,
    CASE WHEN outcome = '{Outcome.DONE}' THEN '' WHEN outcome = '' THEN '{_INTERRUPTED.code}'
        WHEN code = '' THEN '{_UNEXPLAINED.code}' ELSE code END AS code,
    CASE WHEN outcome = '{Outcome.DONE}' THEN '' WHEN outcome = '' THEN '{_INTERRUPTED.text}'
        WHEN code = '' THEN '{_UNEXPLAINED.text}' ELSE text END AS text
FROM instance WHERE line IS NOT NULL
"""  # noqa: S608 (constants of this project only)

# Instances of one series with one fate and one row are alike as far as their parents are concerned. SQLite takes the
# bare columns `code` and `text` from the entry that min() found.
_GROUPS: Final = """
CREATE TEMP TABLE crosswalk_group AS
SELECT series, target, line, rank, min(orthanc_id) AS first, code, text, sum(is_there) AS is_there
FROM planned GROUP BY series, target, line, rank
"""
_PARENT_COLUMNS: Final = {
    Level.PATIENT: ("patient", "patient_id"),
    Level.STUDY: ("study", "study_instance_uid"),
    Level.SERIES: ("series", "series_instance_uid"),
}


def _prepare(ledger: Ledger) -> None:
    ledger.execute(_PLANNED_VIEW)


def _reason(code: str, text: str) -> Reason | None:
    """Return the reason that an entry has; a code that is none of ours never reaches a report as one."""
    if not code:
        return None
    try:
        return Reason(ReasonCode(code), text)
    except ValueError:
        return Reason(ReasonCode.INTERNAL_ERROR, text)


class RowEntry(NamedTuple):
    """A row of the manifest.

    Attributes:
        line: From 1.
        orthanc_id: As the manifest gives it.
        level: What the source holds under it, "" when unknown.
        operation: "" when the row does not say it rightly.
        outcome: The row's own, None when its instances decide.
        reason: The row's own.
        free: Its free cells.
        done_before: How many of its instances earlier runs have done.
        new_before: Their results at the row's own level.

    """

    line: int
    orthanc_id: str
    level: str
    operation: str
    outcome: Outcome | None
    reason: Reason | None
    free: tuple[str, ...]
    done_before: int
    new_before: tuple[str, ...]


def row_entries(ledger: Ledger) -> Iterator[RowEntry]:
    """Yield all rows in manifest order."""
    for line, name, level, operation, outcome, code, text, free, before, new_before in ledger.stream(
        "SELECT line, orthanc_id, level, operation, outcome, code, text, free, done_before, new_before"
        " FROM manifest_row ORDER BY line"
    ):
        own = Outcome(outcome) if outcome else None
        reason, cells, names = _reason(code, text), tuple(json.loads(free)), tuple(json.loads(new_before))
        yield RowEntry(line, name, level, operation, own, reason, cells, before, names)


class OutcomeCount(NamedTuple):
    """Instances of one row with one outcome and reason: how many, and the highest number of attempts."""

    line: int
    rank: int
    reason: Reason | None
    instances: int
    attempts: int


def outcome_counts(ledger: Ledger) -> Iterator[OutcomeCount]:
    """Yield what became of each row's instances, by row, the worst first, then by their first identifier."""
    _prepare(ledger)
    for line, rank, code, text, count, attempts in ledger.stream(
        "SELECT line, rank, code, text, count(*), max(attempts) FROM planned"
        " GROUP BY line, rank, code, text ORDER BY line, rank, min(orthanc_id)"
    ):
        yield OutcomeCount(line, rank, _reason(code, text), count, attempts)


def chunk_keys(ledger: Ledger) -> Iterator[tuple[int, str]]:
    """Yield the chunks of each row, by row, then in their order: line and key."""
    _prepare(ledger)
    for line, key, _ in ledger.stream(
        "SELECT DISTINCT p.line, c.key, c.number FROM planned p JOIN chunk c ON c.number = p.chunk"
        " ORDER BY p.line, c.number"
    ):
        yield line, key


def new_identifiers(ledger: Ledger) -> Iterator[tuple[int, str]]:
    """Yield the results of each row that are there, at the row's own level, sorted: line and Orthanc identifier."""
    there = "(i.outcome = 'done' OR i.is_there)"
    # Above the instance what few series became of few rows tells it.
    for line, name in ledger.stream(
        "SELECT p.line, CASE r.level WHEN 'patient' THEN t.patient WHEN 'study' THEN t.study ELSE t.series END AS new"  # noqa: S608 (constants)
        f" FROM (SELECT DISTINCT i.line, i.target FROM instance i WHERE {there}) p"
        " JOIN manifest_row r ON r.line = p.line JOIN target t ON t.id = p.target"
        " WHERE r.level IN ('patient', 'study', 'series')"
        " UNION SELECT i.line, i.new_orthanc_id FROM manifest_row r JOIN instance i ON i.line = r.line"
        f" WHERE r.level NOT IN ('patient', 'study', 'series') AND {there} ORDER BY 1, 2"
    ):
        if name:
            yield line, name


class GroupEntry(NamedTuple):
    """Some instances below a parent: of one row, with one outcome, reason and target.

    Attributes:
        original: Orthanc's identifier of the original parent.
        original_dicom_id: Its PatientID, StudyInstanceUID or SeriesInstanceUID.
        new: Orthanc's identifier of the new parent, "" while it is not known.
        new_dicom_id: The new PatientID or UID.
        line: Of the row.
        rank: Of their outcome.
        first: The lowest of their Orthanc identifiers.
        reason: Of the same, None when they are done.
        is_there: Whether something of them stands in the destination.

    """

    original: str
    original_dicom_id: str
    new: str
    new_dicom_id: str
    line: int
    rank: int
    first: str
    reason: Reason | None
    is_there: bool


def group_entries(ledger: Ledger) -> Iterator[tuple[Level, Iterator[GroupEntry]]]:
    """Yield patients, studies and series, each with its groups in the order of the originals' Orthanc identifiers."""
    _prepare(ledger)
    ledger.execute("DROP TABLE IF EXISTS temp.crosswalk_group")
    ledger.execute(_GROUPS)
    for level, (name, identifier) in _PARENT_COLUMNS.items():
        yield level, _groups(ledger, name, identifier)
    ledger.execute("DROP TABLE temp.crosswalk_group")


def _groups(ledger: Ledger, name: str, identifier: str) -> Iterator[GroupEntry]:
    for *names, line, rank, first, code, text, is_there in ledger.stream(
        f"SELECT s.{name}, s.{identifier}, coalesce(t.{name}, ''), coalesce(t.{identifier}, ''), g.line, g.rank,"  # noqa: S608
        " g.first, g.code, g.text, g.is_there FROM crosswalk_group g JOIN series s ON s.id = g.series"
        f" LEFT JOIN target t ON t.id = g.target ORDER BY s.{name}"
    ):
        original, original_id, new, new_id = names
        yield GroupEntry(original, original_id, new, new_id, line, rank, first, _reason(code, text), bool(is_there))


class InstanceEntry(NamedTuple):
    """An instance: its identifiers before and after, and what became of it; ``new`` and ``new_uid`` may be unknown.

    ``names`` are the identifiers of its result, None while they are unknown.
    """

    original: str
    uid: str
    new: str
    new_uid: str
    rank: int
    reason: Reason | None
    line: int
    is_there: bool
    names: DicomIdentifiers | None


def instance_entries(ledger: Ledger) -> Iterator[InstanceEntry]:
    """Yield all planned instances in the order of their Orthanc identifiers."""
    _prepare(ledger)
    for page in ledger.pages(
        "SELECT orthanc_id, sop_instance_uid, new_orthanc_id, new_sop_instance_uid, rank, code, text, line, is_there,"
        " target FROM planned ORDER BY orthanc_id, id"
    ):
        parents = parents_of(ledger, "target", {row[-1] for row in page})
        for original, uid, new, new_uid, rank, code, text, line, is_there, target in page:
            reason = _reason(code, text) if code else None
            above = parents.get(target)
            names = None if above is None else DicomIdentifiers(*above, new_uid)
            yield InstanceEntry(original, uid, new, new_uid, rank, reason, line, bool(is_there), names)


class DeliveredEntry(NamedTuple):
    """A result that is done: its identifiers, Orthanc's form of the last, the original's Modality, its request."""

    names: DicomIdentifiers
    orthanc_id: str
    modality: str
    request: int | None


def delivered_entries(ledger: Ledger) -> Iterator[DeliveredEntry]:
    """Yield the results of a run that are done, in the order of their identifiers."""
    # Targets are put in order first, so that to sort instances takes a number instead of three texts.
    for page in ledger.pages(
        "SELECT i.target, i.new_sop_instance_uid, i.new_orthanc_id, i.modality, m.request FROM instance i JOIN (SELECT"
        " id, row_number() OVER (ORDER BY patient_id, study_instance_uid, series_instance_uid) AS place FROM target) t"
        " ON t.id = i.target JOIN manifest_row m ON m.line = i.line WHERE i.outcome = ? ORDER BY t.place, 2",
        (Outcome.DONE,),
    ):
        parents = parents_of(ledger, "target", {row[0] for row in page})
        for target, uid, name, modality, request in page:
            yield DeliveredEntry(DicomIdentifiers(*parents[target], uid), name, modality, request)


def instances_not_done(ledger: Ledger, line: int) -> list[str]:
    """Return the Orthanc identifiers of a row's instances that are not done."""
    _prepare(ledger)
    rows = ledger.select(
        "SELECT orthanc_id FROM planned WHERE line = ? AND rank <> ? ORDER BY orthanc_id", (line, DONE_RANK)
    )
    return [name for (name,) in rows]


class InstanceCount(NamedTuple):
    """Planned instances of one outcome, code and verification: how many there are."""

    outcome: Outcome
    code: ReasonCode | None
    verified: str
    instances: int


def instance_counts(ledger: Ledger) -> list[InstanceCount]:
    """Count the planned instances; a code that is none of ours counts as ``internal-error``.

    How they were verified is "", ``identifiers`` or ``full``.
    """
    _prepare(ledger)
    rows = ledger.select("SELECT rank, code, verified, count(*) FROM planned GROUP BY rank, code, verified")
    return [
        InstanceCount(SEVERITY[rank], reason and reason.code, verified, count)
        for rank, code, verified, count in rows
        for reason in [_reason(code, "")]
    ]


def count_not_compared(ledger: Ledger) -> int:
    """Count the instances that are done and whose results were not compared with their sources in full."""
    return int(ledger.scalar("SELECT count(*) FROM instance WHERE outcome = 'done' AND verified <> 'full'"))


def count_chunks(ledger: Ledger) -> int:
    """Count the chunks."""
    return int(ledger.scalar("SELECT count(*) FROM chunk"))


def review_counts(ledger: Ledger, *, done: bool) -> dict[str, int]:
    """Count the instances that a person should look at, by code.

    Args:
        ledger: Of a plan or run.
        done: Only those whose results are there, and those that were refused for text in their pixels; otherwise those
            that are still to be done.

    """
    counts: Counter[str] = Counter()
    for codes, count in ledger.select(
        "SELECT review, count(*) FROM instance WHERE review <> '' AND (outcome = ? OR code = ?) GROUP BY review",
        (Outcome.DONE if done else "", ReasonCode.BURNED_IN_TEXT if done else None),
    ):
        for code in codes.split(_SEPARATOR):
            counts[code] += count
    return dict(sorted(counts.items()))


class ReviewEntry(NamedTuple):
    """An instance that a person should look at: its line, its new identifiers, and a code or an unknown word."""

    line: int
    patient_id: str
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    orthanc_id: str
    code: str


def review_entries(ledger: Ledger) -> Iterator[ReviewEntry]:
    """Yield what should be looked at, once for each code, by line, then by new identifier.

    It is done, or was refused for text in its pixels. Behind them each word that stayed although nothing vouches for
    it, once, with the first instance that has it; without identifiers where that one has no result, since others that
    have one may have the word, too. Then what was taken out of the destination since something
    identifying was left in it: others may be like it.
    """
    for line, patient_id, study_uid, series_uid, uid, name, codes in ledger.stream(
        "SELECT i.line, t.patient_id, t.study_instance_uid, t.series_instance_uid, i.new_sop_instance_uid,"
        " i.new_orthanc_id, i.review FROM instance i JOIN target t ON t.id = i.target WHERE i.review <> ''"
        " AND (i.outcome = ? OR i.code = ?) ORDER BY i.line, i.new_orthanc_id",
        (Outcome.DONE, ReasonCode.BURNED_IN_TEXT),
    ):
        for code in codes.split(_SEPARATOR):
            yield ReviewEntry(line, patient_id, study_uid, series_uid, uid, name, code)
    for row in ledger.stream(
        "SELECT i.line, coalesce(t.patient_id, ''), coalesce(t.study_instance_uid, ''),"
        " coalesce(t.series_instance_uid, ''), iif(t.id, i.new_sop_instance_uid, ''), iif(t.id, i.new_orthanc_id, ''),"
        " ?3 || u.word FROM unknown_word u JOIN instance i ON i.id = u.instance"
        " LEFT JOIN target t ON t.id = i.target AND i.outcome = ?1 WHERE EXISTS"
        " (SELECT 1 FROM instance WHERE outcome = ?1 AND instr(review, ?2)) ORDER BY u.word",
        (Outcome.DONE, ReviewCode.UNKNOWN_WORDS, f"{UNKNOWN_WORD}: "),
    ):
        yield ReviewEntry(*row)
    for row in ledger.stream(
        "SELECT i.line, coalesce(t.patient_id, ''), coalesce(t.study_instance_uid, ''),"
        " coalesce(t.series_instance_uid, ''), i.new_sop_instance_uid, i.new_orthanc_id, i.code FROM instance i"
        " LEFT JOIN target t ON t.id = i.target WHERE i.code = ? ORDER BY i.line, i.new_orthanc_id, i.id",
        (ReasonCode.IDENTIFIER_LEFT,),
    ):
        yield ReviewEntry(*row)


def count_removed(ledger: Ledger) -> int:
    """Count the words, numbers and other stretches that went from the texts of what is done, or were moved."""
    return int(ledger.scalar("SELECT coalesce(sum(removed), 0) FROM instance WHERE outcome = ?", (Outcome.DONE,)))
