"""The plan: which instance belongs to which row, what it becomes, and in which chunk it is done; frozen in the ledger.

Public names: ``PlanOptions``, ``make_plan``, ``chunk_of``, ``planned_instance``, ``Parents``.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers, Level, orthanc_id
from deidflow.tasks.core.engine.protocol import Call, Chunk, PlannedInstance
from deidflow.tasks.core.errors import InvalidInput, Problem
from deidflow.tasks.core.ledger.ledger import PLAN_INDEXES, ROW_INDEXES
from deidflow.tasks.core.outcomes import Outcome, ReasonCode, reason_text
from deidflow.tasks.core.plan.calls import cut_calls
from deidflow.tasks.core.plan.checks import (
    Finding,
    check_identity_given_back,
    check_merges,
    check_patients,
    check_persons,
    check_rows_against_source,
)
from deidflow.tasks.core.plan.in_place import check_in_place
from deidflow.tasks.core.plan.intake import RequestCache
from deidflow.tasks.core.plan.server_checks import check_patients_on_server, check_request_on_server
from deidflow.tasks.core.pseudonyms.kept_identifiers import GivenIdentifiers
from deidflow.tasks.core.pseudonyms.new_identifiers import new_parents, sop_instance_uids
from deidflow.tasks.core.pseudonyms.pseudonyms import Key, Pseudonyms
from deidflow.tasks.core.request.engine_options import check_request_on_local_engine
from deidflow.tasks.core.request.request import Operation

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from deidflow.tasks.core.ledger.ledger import Ledger
    from deidflow.tasks.core.plan.server_abilities import ServerAbilities
    from deidflow.tasks.core.request.request import Request

_MAX_CHUNKS: Final = 800
"""Prefect's server drops events above some 1,000 task runs per flow run."""

_FEW_CHUNKS: Final = 10
"""A chunk is one Prefect task, which costs as much as editing hundreds of instances."""

_LARGE_CHUNK: Final = 5000
"""Chunks under way are held in memory, which must not grow with the run."""

Parents = dict[tuple[str, str, str], tuple[str, str, str]]
"""PatientID, StudyInstanceUID and SeriesInstanceUID, each list of them once."""

_PAGE: Final = 5000


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """What the config says about planning.

    Attributes:
        manifest_name: For problems.
        key: Secret of generated identifiers.
        scope: Their scope.
        allow_merge: Two source patients may get one PatientID, and two persons may share one.
        chunk_size: Instances per chunk, at least.
        few_chunks: Cut into 10 chunks, or chunks of 5,000 instances where that makes more; for the local engine, whose
            processes all chunks share.
        skip_invalid: Rows with problems get the outcome ``invalid`` instead of stopping everything.
        server: The Orthanc that is the engine, None for the local engine.
        writes_to_source: Whether results go to the server that the originals are on, by whatever engine.

    """

    manifest_name: str
    key: Key
    scope: str
    allow_merge: bool = False
    chunk_size: int = 500
    few_chunks: bool = False
    skip_invalid: bool = False
    server: ServerAbilities | None = None
    writes_to_source: bool = False


def make_plan(ledger: Ledger, problems: list[Problem], options: PlanOptions) -> list[Problem]:
    """Plan all rows of a prepared ledger that holds the manifest's rows and the source's instances.

    Args:
        ledger: Prepared, in one go; nothing else reads it yet.
        problems: Those of the rows themselves.
        options: From the config.

    Returns:
        The problems of rows that were set aside (with skip_invalid), in the order of lines.

    Raises:
        InvalidInput: With every problem, unless skip_invalid is set.

    """
    requests = RequestCache(ledger)
    found = [*problems]
    with ledger.transaction():
        _join_copies(ledger)
        _claim(ledger)
        checks = [
            check_rows_against_source(ledger),
            check_patients(ledger, requests),
            _check_requests(ledger, requests, options.server),
        ]
        if not options.allow_merge:
            checks.append(check_persons(ledger))
        if options.server is not None:
            checks.append(check_patients_on_server(ledger, requests))
        for findings in checks:
            found += _set_aside(ledger, list(findings), options.manifest_name)
        _assign(ledger)
        ledger.create_indexes(ROW_INDEXES)
        _compute_targets(ledger, requests, options)
        found += _set_aside(ledger, list(check_identity_given_back(ledger, requests)), options.manifest_name)
        if options.writes_to_source:
            found += _set_aside(ledger, list(check_in_place(ledger)), options.manifest_name)
        merges = list(check_merges(ledger, requests, allow_merge=options.allow_merge))
        found += _set_aside(ledger, merges, options.manifest_name)
        found.sort(key=lambda problem: problem.line)
        if found and not options.skip_invalid:
            raise InvalidInput(found)
        _drop_unplanned(ledger)
        _fail_collisions(ledger)
        if options.server is None:
            _cut_chunks(ledger, options)
        else:
            _forget_targets(ledger)
            cut_calls(ledger, requests, options.chunk_size, _MAX_CHUNKS)
        ledger.create_indexes(PLAN_INDEXES)
    return found


def _check_requests(ledger: Ledger, requests: RequestCache, server: ServerAbilities | None) -> Iterator[Finding]:
    """Find rows whose request the engine cannot do: this server, or the local one."""
    for number, lines in ledger.select(
        "SELECT request, group_concat(line) FROM manifest_row WHERE verdict = '' GROUP BY request ORDER BY min(line)"
    ):
        request = requests.get(number)
        found = check_request_on_server(request, server) if server else check_request_on_local_engine(request)
        for option, text in found:
            yield Finding(tuple(sorted(map(int, lines.split(",")))), option, text)


def _forget_targets(ledger: Ledger) -> None:
    """Drop the identifiers that were computed for the checks: on an Orthanc the server makes its own."""
    ledger.execute("UPDATE instance SET target = NULL, new_sop_instance_uid = '', new_orthanc_id = ''")
    ledger.execute("DELETE FROM target")


def _join_copies(ledger: Ledger) -> None:
    """Make one entry of files with one Orthanc identifier: the first path; whether they are equal was marked before."""
    # In two steps: which identifiers repeat, the index alone tells.
    ledger.execute(
        "CREATE TEMP TABLE first AS SELECT orthanc_id, min(path) AS path FROM instance WHERE orthanc_id IN"
        " (SELECT orthanc_id FROM instance GROUP BY orthanc_id HAVING count(*) > 1) GROUP BY orthanc_id"
    )
    ledger.execute(
        "INSERT INTO copy SELECT k.id, i.path FROM instance i JOIN first f USING (orthanc_id)"
        " JOIN instance k ON k.orthanc_id = f.orthanc_id AND k.path = f.path WHERE i.path <> f.path"
    )
    ledger.execute(
        "DELETE FROM instance WHERE id IN (SELECT i.id FROM instance i JOIN first f USING (orthanc_id)"
        " WHERE i.path <> f.path)"
    )
    ledger.execute("DROP TABLE first")


def _claim(ledger: Ledger) -> None:
    """Find what each row names, at whatever level; rows that name nothing are ``not_found``."""
    ledger.execute("CREATE TEMP TABLE claim (line INTEGER, instance INTEGER, level TEXT)")
    claim = "INSERT INTO claim SELECT m.line, i.id, '{}' FROM manifest_row m JOIN {} WHERE m.verdict = ''"
    ledger.execute(claim.format(Level.INSTANCE, "instance i ON i.orthanc_id = m.orthanc_id"))
    for level in (Level.SERIES, Level.STUDY, Level.PATIENT):
        ledger.execute(claim.format(level, f"series s ON s.{level} = m.orthanc_id JOIN instance i ON i.series = s.id"))
    ledger.execute("CREATE INDEX temp.claim_line ON claim (line)")
    ledger.execute("CREATE INDEX temp.claim_instance ON claim (instance)")
    ledger.execute(
        "UPDATE manifest_row SET verdict = ?, reason = ? WHERE verdict = '' AND line NOT IN (SELECT line FROM claim)",
        (Outcome.NOT_FOUND, reason_text(ReasonCode.NOT_FOUND, "the source holds nothing under this identifier")),
    )
    ledger.execute(
        "UPDATE manifest_row SET level = c.level FROM (SELECT line, min(level) AS level FROM claim GROUP BY line) c"
        " WHERE c.line = manifest_row.line AND manifest_row.level = ''"
    )


def _set_aside(ledger: Ledger, findings: list[Finding], name: str) -> list[Problem]:
    """Mark the rows of findings as invalid and return them as problems."""
    problems = []
    for lines, column, text in findings:
        others = f" (lines {', '.join(map(str, lines))})" if len(lines) > 1 else ""
        problems.append(Problem(f"{text}{others}", name, lines[0], column))
        reason = reason_text(ReasonCode.INVALID_ROW, text)
        for line in lines:
            ledger.execute(
                "UPDATE manifest_row SET verdict = ?, reason = ? WHERE line = ?", (Outcome.INVALID, reason, line)
            )
            ledger.execute("DELETE FROM claim WHERE line = ?", (line,))
            ledger.execute("UPDATE instance SET line = NULL, target = NULL WHERE line = ?", (line,))
    return problems


def _assign(ledger: Ledger) -> None:
    ledger.execute("UPDATE instance SET line = c.line FROM claim c WHERE c.instance = instance.id")


def _planned_pages(ledger: Ledger) -> Iterator[list[tuple[Any, ...]]]:
    """Yield the planned instances page by page, in the order of lines, so that they may be changed meanwhile.

    Each is (id, line, request, four original identifiers).
    """
    line = number = 0
    while True:
        page = ledger.select(
            "SELECT i.id, i.line, m.request, s.patient_id, s.study_instance_uid, s.series_instance_uid,"
            " i.sop_instance_uid FROM instance i JOIN manifest_row m ON m.line = i.line"
            " JOIN series s ON s.id = i.series WHERE (i.line, i.id) > (?, ?) ORDER BY i.line, i.id LIMIT ?",
            (line, number, _PAGE),
        )
        if not page:
            return
        number, line = page[-1][:2]
        yield page


def _compute_targets(ledger: Ledger, requests: RequestCache, options: PlanOptions) -> None:
    """Compute the identifiers of every result."""
    generators = _Generators(options.key, options.scope)
    targets: dict[tuple[str, str, str], int] = {}
    for page in _planned_pages(ledger):
        new_targets = []
        updates = []
        # The neighbours of an instance are of its series.
        for (request_number, patient_id, study_uid, series_uid), instances in groupby(page, key=itemgetter(2, 3, 4, 5)):
            request = requests.get(request_number)
            pseudonyms = generators.of(request)
            new_uid = sop_instance_uids(request, pseudonyms)
            parents = new_parents(patient_id, study_uid, series_uid, request, pseudonyms)
            target = targets.get(parents)
            if target is None:
                target = targets[parents] = len(targets) + 1
                new_targets.append((target, *parents, *(orthanc_id(*parents[: depth + 1]) for depth in range(3))))
            for number, *_, original in instances:
                uid = new_uid(original)
                updates.append((target, uid, orthanc_id(*parents, uid), number))
        ledger.execute_many("INSERT INTO target VALUES (?, ?, ?, ?, ?, ?, ?)", new_targets)
        ledger.execute_many(
            "UPDATE instance SET target = ?, new_sop_instance_uid = ?, new_orthanc_id = ? WHERE id = ?", updates
        )


class _Generators:
    """Generators of identifiers by request; anonymize has one, modify one per set of options."""

    def __init__(self, key: Key, scope: str) -> None:
        self._key, self._scope = key, scope
        self._known: dict[str | None, Pseudonyms] = {}

    def of(self, request: Request) -> Pseudonyms:
        options = request.content_hash() if request.operation is Operation.MODIFY else None
        known = self._known.get(options)
        if known is None:
            if len(self._known) > 64:  # noqa: PLR2004 (rows come in the order of their requests)
                self._known.clear()
            known = self._known[options] = Pseudonyms(self._key, self._scope, options)
        return known


def _drop_unplanned(ledger: Ledger) -> None:
    ledger.execute("DELETE FROM copy WHERE instance IN (SELECT id FROM instance WHERE line IS NULL)")
    ledger.execute("DELETE FROM instance WHERE line IS NULL")
    ledger.execute("DELETE FROM series WHERE id NOT IN (SELECT series FROM instance)")
    ledger.execute("DELETE FROM target WHERE id NOT IN (SELECT target FROM instance WHERE target IS NOT NULL)")
    ledger.execute("DROP TABLE claim")


def _fail_collisions(ledger: Ledger) -> None:
    """Fail all instances that would get one identifier: which of them would survive must not depend on chance."""
    text = reason_text(ReasonCode.IDENTIFIER_COLLISION, "several instances of this run would get the same identifiers")
    ledger.execute(
        "UPDATE instance SET outcome = ?, reason = ? WHERE new_orthanc_id IN"
        " (SELECT new_orthanc_id FROM instance WHERE outcome = '' GROUP BY new_orthanc_id HAVING count(*) > 1)"
        " AND outcome = ''",
        (Outcome.FAILED, text),
    )


def _cut_chunks(ledger: Ledger, options: PlanOptions) -> None:
    """Cut the planned instances, ordered by request and row, into chunks of one size."""
    total = ledger.scalar("SELECT count(*) FROM instance WHERE outcome = ''")
    few = min(-(-total // _FEW_CHUNKS), _LARGE_CHUNK) if options.few_chunks else 0
    size = max(options.chunk_size, few, -(-total // _MAX_CHUNKS))
    ledger.execute("CREATE TEMP TABLE series_place (id INTEGER PRIMARY KEY, place INTEGER NOT NULL)")
    ledger.execute(
        "INSERT INTO series_place SELECT id, row_number() OVER (ORDER BY patient, study, series, id) FROM series"
    )
    ledger.execute("CREATE TEMP TABLE place (id INTEGER PRIMARY KEY, chunk INTEGER NOT NULL)")
    ledger.execute(
        "INSERT INTO place SELECT i.id, (row_number() OVER (ORDER BY m.request, i.line, s.place, i.orthanc_id) - 1) / ?"
        " + 1 FROM instance i JOIN series_place s ON s.id = i.series JOIN manifest_row m ON m.line = i.line"
        " WHERE i.outcome = ''",
        (size,),
    )
    ledger.execute(
        "INSERT INTO chunk SELECT chunk, printf('c%04d', chunk), count(*) FROM place GROUP BY chunk ORDER BY chunk"
    )
    ledger.execute("UPDATE instance SET chunk = p.chunk FROM place p WHERE p.id = instance.id")
    ledger.execute("DROP TABLE series_place")
    ledger.execute("DROP TABLE place")


def given_identifiers(ledger: Ledger) -> GivenIdentifiers:
    """Collect the identifiers that requests of the run keep or replace."""
    given = GivenIdentifiers()
    requests = RequestCache(ledger)
    if not any(_gives(requests.get(number)) for (number,) in ledger.select("SELECT id FROM request")):
        return given
    rows = ledger.stream(
        "SELECT m.request, s.frame_of_reference_uid, s.patient_id, s.study_instance_uid, s.series_instance_uid,"
        " i.sop_instance_uid, t.patient_id, t.study_instance_uid, t.series_instance_uid, i.new_sop_instance_uid"
        " FROM instance i JOIN series s ON s.id = i.series JOIN target t ON t.id = i.target"
        " JOIN manifest_row m ON m.line = i.line ORDER BY m.request"
    )
    for number, frame_of_reference, *names in rows:
        given.add(DicomIdentifiers(*names[:4]), frame_of_reference, requests.get(number), DicomIdentifiers(*names[4:]))
    return given


def _gives(request: Request) -> bool:
    return request.operation is Operation.ANONYMIZE and bool(request.edits.keep or request.edits.replace)


def chunk_of(ledger: Ledger, requests: RequestCache, number: int) -> Chunk:
    """Return what is still to be done of a chunk: instances whose outcome is not known."""
    ((key,),) = ledger.select("SELECT key FROM chunk WHERE number = ?", (number,))
    rows = ledger.select(
        "SELECT coalesce(i.call, 0), m.request, i.id, i.path, i.size, i.mtime_ns, i.orthanc_id, s.patient_id,"
        " s.study_instance_uid, s.series_instance_uid, i.sop_instance_uid, coalesce(t.patient_id, ''),"
        " coalesce(t.study_instance_uid, ''), coalesce(t.series_instance_uid, ''), i.new_sop_instance_uid"
        " FROM instance i JOIN manifest_row m ON m.line = i.line JOIN series s ON s.id = i.series"
        " LEFT JOIN target t ON t.id = i.target WHERE i.chunk = ? AND i.outcome = ''"
        " ORDER BY i.call, m.request, i.line, i.series, i.id",
        (number,),
    )
    parents: Parents = {}
    calls = [
        Call(requests.get(request), [planned_instance(row[2:], parents) for row in group], call)
        for (call, request), group in groupby(rows, key=lambda row: row[:2])
    ]
    return Chunk(key, calls)


def planned_instance(row: Sequence[Any], parents: Parents) -> PlannedInstance:
    """Make a planned instance of what the ledger holds.

    Args:
        row: id, path, size, mtime_ns, orthanc_id, the four original identifiers, the four new ones.
        parents: Shared by instances that travel together: those of a series share the texts above them.

    """
    number, path, size, mtime_ns, orthanc_id, *names = row
    above, below = (names[0], names[1], names[2]), (names[4], names[5], names[6])
    original = DicomIdentifiers(*parents.setdefault(above, above), names[3])
    new = DicomIdentifiers(*parents.setdefault(below, below), names[7])
    return PlannedInstance(number, path, size, mtime_ns, original, new, orthanc_id)
