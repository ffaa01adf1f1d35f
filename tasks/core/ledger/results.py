"""Results in the destination: which are to be verified, what that found, and which sources may go after it.

Public names: ``ToVerify``, ``ExpectedResult``, ``UidPairs``, ``count_to_verify``, ``chunks_to_verify``,
``pages_to_verify``, ``expected_results``, ``uid_pairs``, ``call_uid_pairs``, ``planned_uids``, ``merged_results``,
``repeated_results``, ``frames_of_reference``, ``note_right``, ``note_wrong``, ``note_gone``, ``withdraw``,
``results_there``, ``result_names``, ``rows_done_in_full``, ``shares_a_torn_patient``, ``SourceContent``,
``sources_of_row``, ``duplicates_of``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers, Level
from deidflow.tasks.core.engine.protocol import Expected
from deidflow.tasks.core.ledger.chunks import INSTANCE_COLUMNS, planned_instances
from deidflow.tasks.core.outcomes import FOUND_BY_VERIFYING, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from deidflow.tasks.core.engine.protocol import InstanceResult
    from deidflow.tasks.core.ledger.ledger import Ledger
    from deidflow.tasks.core.outcomes import Reason
    from deidflow.tasks.core.request.request import Operation

_PAGE: Final = 5000
_ENDS_OF_SERIES: Final = (
    "SELECT (SELECT min(id) FROM instance WHERE series = s.value),"
    " (SELECT max(id) FROM instance WHERE series = s.value) FROM json_each(?) s"
)
_FORGET_NEW: Final = "target = NULL, new_sop_instance_uid = '', new_orthanc_id = '', evidence = ''"


@dataclass(frozen=True, slots=True)
class ToVerify:
    """Which results are to be looked at.

    Attributes:
        again: All that was ever done; otherwise what counts as done.
        verified: Also what was found right before; otherwise only what was not.
        full: Whether results are read back in full, so that a look at their identifiers is not enough.

    """

    again: bool
    verified: bool
    full: bool

    @property
    def condition(self) -> str:
        """The same for instances ``i`` of a query."""
        done = f"i.outcome = '{Outcome.DONE}'"
        if self.again:
            lost = ", ".join(f"'{code}'" for code in FOUND_BY_VERIFYING)
            return f"({done} OR (i.new_orthanc_id <> '' AND i.code IN ({lost})))"
        if self.verified:
            return done
        enough = "'full'" if self.full else "'full', 'identifiers'"
        return f"{done} AND i.verified NOT IN ({enough})"


class ExpectedResult(NamedTuple):
    """A result that is to be looked at.

    Attributes:
        call: The number of the call that made it, 0 for the local engine.
        request: The number of its request.
        expected: What it should be, in the order of the plan.

    """

    call: int
    request: int
    expected: Expected


def count_to_verify(ledger: Ledger, wanted: ToVerify) -> int:
    """Count the results that are to be looked at."""
    return int(ledger.scalar(f"SELECT count(*) FROM instance i WHERE {wanted.condition}"))  # noqa: S608 (constants)


def chunks_to_verify(ledger: Ledger, wanted: ToVerify) -> list[int]:
    """Return the numbers of the chunks with results that are to be looked at, in order."""
    rows = ledger.select(
        f"SELECT DISTINCT i.chunk FROM instance i WHERE i.chunk IS NOT NULL AND {wanted.condition} ORDER BY i.chunk"  # noqa: S608 (constants)
    )
    return [number for (number,) in rows]


def pages_to_verify(ledger: Ledger, wanted: ToVerify, chunk: int, size: int) -> Iterator[list[ExpectedResult]]:
    """Yield the results of a chunk that are to be looked at, so many at a time: the ledger may change meanwhile.

    Where results are read, those of a page are of one call to an Orthanc, which gave them UIDs of its own.
    """
    calls: list[tuple[object, ...]] = [()]
    of_call = ""
    if wanted.full:
        calls = ledger.select("SELECT DISTINCT coalesce(call, 0) FROM instance WHERE chunk = ? ORDER BY 1", (chunk,))
        of_call = " AND coalesce(i.call, 0) = ?"
    where = f"{wanted.condition} AND i.chunk = ?{of_call} AND i.id > ? ORDER BY i.id LIMIT ?"
    for call in calls:
        last = 0
        while page := _expected_results(ledger, where, (chunk, *call, last, size)):
            last = page[-1].expected.instance.id
            yield page


def expected_results(ledger: Ledger, numbers: Iterable[int]) -> list[ExpectedResult]:
    """Return the results of some instances."""
    return _expected_results(ledger, "i.id IN (SELECT value FROM json_each(?))", (json.dumps(list(numbers)),))


def _expected_results(ledger: Ledger, where: str, values: Sequence[object]) -> list[ExpectedResult]:
    rows = ledger.select(
        "SELECT coalesce(i.call, 0), m.request, i.evidence, i.new_orthanc_id, i.outcome = 'done', i.content,"  # noqa: S608 (constants)
        f" {INSTANCE_COLUMNS} FROM instance i JOIN manifest_row m ON m.line = i.line"
        f" WHERE i.target IS NOT NULL AND {where}",
        values,
    )
    # Asked once for each series, since for each instance it would cost as much as all else.
    of_all = ledger.select(_ENDS_OF_SERIES, (json.dumps(list({row[6] for row in rows})),))
    ends = {number for pair in of_all for number in pair}
    return [
        ExpectedResult(row[0], row[1], Expected(one, row[2], row[3], bool(row[4]), row[5], one.id in ends))
        for row, one in zip(rows, planned_instances(ledger, rows), strict=True)
    ]


class UidPairs(NamedTuple):
    """Original and new UIDs of one instance."""

    study: str
    new_study: str
    series: str
    new_series: str
    instance: str
    new_instance: str


def uid_pairs(ledger: Ledger, operation: Operation) -> Iterator[tuple[str, str]]:
    """Yield original and new UIDs of all instances of an operation whose results are known, in the order of the plan.

    Before those of an instance come those of its study and series, unless they are the same as of the one before.
    """
    before: tuple[int, int] | None = None
    for series, target, *uids in ledger.stream(
        "SELECT i.series, i.target, i.sop_instance_uid, i.new_sop_instance_uid FROM instance i"
        " JOIN manifest_row m ON m.line = i.line WHERE m.operation = ? AND i.target IS NOT NULL ORDER BY i.id",
        (operation,),
    ):
        if (series, target) != before:
            before = series, target
            ((study, new_study, of_series, new_series),) = ledger.select(
                "SELECT s.study_instance_uid, t.study_instance_uid, s.series_instance_uid, t.series_instance_uid"
                " FROM series s, target t WHERE s.id = ? AND t.id = ?",
                before,
            )
            yield study, new_study
            yield of_series, new_series
        yield uids[0], uids[1]


def call_uid_pairs(ledger: Ledger, call: int) -> list[UidPairs]:
    """Return the UIDs of all instances of a call to an Orthanc whose results are known."""
    rows = ledger.select(
        "SELECT DISTINCT s.study_instance_uid, t.study_instance_uid, s.series_instance_uid,"
        " t.series_instance_uid, i.sop_instance_uid, i.new_sop_instance_uid FROM instance i"
        " JOIN series s ON s.id = i.series JOIN target t ON t.id = i.target WHERE i.call = ? ORDER BY i.id",
        (call,),
    )
    return [UidPairs._make(row) for row in rows]


def planned_uids(ledger: Ledger, operation: Operation) -> Iterator[tuple[int, tuple[str, str, str]]]:
    """Yield the original UIDs of study, series and instance of an operation's instances, with the request's number."""
    for request, *uids in ledger.stream(
        "SELECT DISTINCT m.request, s.study_instance_uid, s.series_instance_uid, i.sop_instance_uid FROM instance i"
        " JOIN series s ON s.id = i.series JOIN manifest_row m ON m.line = i.line WHERE m.operation = ?",
        (operation,),
    ):
        yield request, (uids[0], uids[1], uids[2])


_MERGED_BY: Final = {
    Level.PATIENT: ("t.patient", "s.patient"),
    Level.STUDY: ("t.study", "s.study_instance_uid"),
    Level.SERIES: ("t.series", "s.series_instance_uid"),
}


def merged_results(ledger: Ledger, left: Mapping[Level, Iterable[int]]) -> dict[Level, list[int]]:
    """Return the instances whose result shares a patient, study or series with the result of another original one.

    Args:
        ledger: Of a run.
        left: For each of the three levels the numbers of the requests that leave its identifiers to the engine; studies
            and series are told apart by their UIDs alone.

    """
    # First what few series became of few others, since nearly always that is all.
    ledger.execute("DROP TABLE IF EXISTS temp.became")
    ledger.execute(
        "CREATE TEMP TABLE became AS SELECT DISTINCT i.series, i.target, m.request FROM instance i"
        " JOIN manifest_row m ON m.line = i.line WHERE i.outcome = 'done'"
    )
    found = {level: _merged(ledger, level, json.dumps(list(requests))) for level, requests in left.items()}
    ledger.execute("DROP TABLE temp.became")
    return found


def _merged(ledger: Ledger, level: Level, numbers: str) -> list[int]:
    """Return them for one level, and the requests of a JSON list."""
    new, original = _MERGED_BY[level]
    joined = "JOIN series s ON s.id = i.series JOIN target t ON t.id = i.target"
    names = ledger.select(
        f"SELECT {new} FROM became i {joined} WHERE i.request IN (SELECT value FROM json_each(?))"  # noqa: S608 (constants)
        f" GROUP BY 1 HAVING count(DISTINCT {original}) > 1",
        (numbers,),
    )
    if not names:
        return []
    rows = ledger.select(
        f"SELECT i.id FROM instance i JOIN manifest_row m ON m.line = i.line {joined} WHERE i.outcome = 'done'"  # noqa: S608 (constants)
        f" AND m.request IN (SELECT value FROM json_each(?)) AND {new} IN (SELECT value FROM json_each(?))",
        (numbers, json.dumps([name for (name,) in names])),
    )
    return [number for (number,) in rows]


def repeated_results(ledger: Ledger) -> list[int]:
    """Return the instances whose result counts as that of another instance, too."""
    rows = ledger.select(
        "SELECT id FROM instance WHERE outcome = 'done' AND new_orthanc_id IN (SELECT new_orthanc_id FROM instance"
        " WHERE outcome = 'done' GROUP BY new_orthanc_id HAVING count(*) > 1)"
    )
    return [number for (number,) in rows]


def frames_of_reference(ledger: Ledger, operation: Operation) -> list[str]:
    """Return the original FrameOfReferenceUIDs of all instances of an operation."""
    rows = ledger.select(
        "SELECT DISTINCT s.frame_of_reference_uid FROM series s JOIN instance i ON i.series = s.id"
        " JOIN manifest_row m ON m.line = i.line WHERE m.operation = ? AND s.frame_of_reference_uid <> ''",
        (operation,),
    )
    return [uid for (uid,) in rows]


def note_right(ledger: Ledger, how: str, evidence: Mapping[int, str]) -> None:
    """Make instances ``done`` and verified; those that are so already stay untouched.

    Args:
        ledger: Of the run.
        how: ``full`` or ``identifiers``.
        evidence: Of each result, "" when unknown; by the number of its instance.

    """
    ledger.execute(
        "UPDATE instance SET outcome = 'done', code = '', text = '', is_there = 1, verified = ?1, evidence = r.value"
        " FROM json_each(?2) r WHERE instance.id = CAST(r.key AS INTEGER)"
        " AND (outcome, code, text, is_there, verified, evidence) IS NOT ('done', '', '', 1, ?1, r.value)",
        (how, json.dumps(evidence)),
    )


def note_wrong(ledger: Ledger, results: Sequence[InstanceResult], uncompared: Sequence[int]) -> None:
    """Note results that are wrong or missing.

    Args:
        ledger: Of the run.
        results: With outcome and reason.
        uncompared: Numbers of instances whose results nobody can compare with their sources.

    """
    with ledger.transaction():
        ledger.execute_many("UPDATE instance SET verified = '' WHERE id = ?", [(number,) for number in uncompared])
        ledger.execute_many(
            "UPDATE instance SET outcome = ?1, code = ?2, text = ?3, verified = '', is_there = ?1 <> 'missing'"
            " WHERE id = ?4",
            [(one.outcome, one.code or "", one.text, one.id) for one in results],
        )


def note_gone(ledger: Ledger, numbers: Sequence[int], *, and_forget: bool = False) -> None:
    """Note that nothing of these instances is in the destination any more.

    Args:
        ledger: Of the run.
        numbers: Of instances.
        and_forget: Also forget their new identifiers, since a server will give them others.

    """
    gone = [(number,) for number in numbers]
    ledger.execute_many("UPDATE instance SET is_there = 0 WHERE id = ?", gone)
    if and_forget:
        ledger.execute_many(f"UPDATE instance SET {_FORGET_NEW} WHERE id = ?", gone)  # noqa: S608 (a constant)


def withdraw(ledger: Ledger, number: int, reason: Reason) -> None:
    """Make an instance ``failed`` although its result is still there."""
    ledger.execute(
        "UPDATE instance SET outcome = ?, code = ?, text = ?, verified = '', evidence = '' WHERE id = ?",
        (Outcome.FAILED, *reason, number),
    )


def results_there(ledger: Ledger) -> Iterator[DicomIdentifiers]:
    """Yield what stands in the destination, page by page, so that the ledger may change meanwhile."""
    last = 0
    while rows := ledger.select(
        "SELECT i.id, t.patient_id, t.study_instance_uid, t.series_instance_uid, i.new_sop_instance_uid"
        " FROM instance i JOIN target t ON t.id = i.target WHERE i.id > ? AND i.is_there ORDER BY i.id LIMIT ?",
        (last, _PAGE),
    ):
        last = rows[-1][0]
        for _, *names in rows:
            yield DicomIdentifiers(*names)


def result_names(ledger: Ledger) -> set[str]:
    """Return the Orthanc identifiers of all results."""
    return {name for (name,) in ledger.select("SELECT new_orthanc_id FROM instance WHERE new_orthanc_id <> ''")}


def rows_done_in_full(ledger: Ledger) -> list[tuple[int, int]]:
    """Return the rows whose results were all read back in full and found right, with the numbers of their requests."""
    # A result that was not read back in full and found right is no reason to delete anything.
    rows = ledger.select(
        "SELECT m.line, m.request FROM manifest_row m WHERE m.outcome = ''"
        " AND EXISTS (SELECT 1 FROM instance i WHERE i.line = m.line) AND NOT EXISTS (SELECT 1 FROM instance i"
        " WHERE i.line = m.line AND (i.outcome <> 'done' OR i.verified <> 'full')) ORDER BY m.line"
    )
    return [(line, request) for line, request in rows]


def shares_a_torn_patient(ledger: Ledger, line: int) -> bool:
    """Whether a row's patient has to be done again as a whole, in one call to an Orthanc."""
    return bool(
        ledger.scalar(
            "SELECT EXISTS (SELECT 1 FROM instance i JOIN series s ON s.id = i.series"
            " JOIN series t ON t.patient = s.patient JOIN instance j ON j.series = t.id AND j.call = i.call"
            " WHERE i.line = ? AND j.outcome <> 'done')",
            (line,),
        )
    )


class SourceContent(NamedTuple):
    """What a result was made from.

    Attributes:
        id: The instance's number.
        orthanc_id: Of the source.
        path: Of its file, relative to the source folder.
        size: In bytes.
        content: Its SHA-256 (of an excerpt where it is not to be deleted), or the FileUuid that an Orthanc gave it; ""
            when unknown.

    """

    id: int
    orthanc_id: str
    path: bytes
    size: int
    content: str


def sources_of_row(ledger: Ledger, line: int) -> list[SourceContent]:
    """Return the planned instances of a row."""
    rows = ledger.select("SELECT id, orthanc_id, path, size, content FROM instance WHERE line = ?", (line,))
    return [SourceContent(number, name, bytes(path), size, content) for number, name, path, size, content in rows]


def duplicates_of(ledger: Ledger, number: int) -> list[bytes]:
    """Return the further files that hold the same instance, relative to the source folder."""
    return [bytes(path) for (path,) in ledger.select("SELECT path FROM copy WHERE instance = ?", (number,))]
