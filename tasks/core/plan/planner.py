"""The plan: which instance belongs to which row, what it becomes, and in which chunk it is done; frozen in the ledger.

Public names: ``PlanOptions``, ``make_plan``, ``chunk_of``, ``given_identifiers``, ``original_uids``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.dicom.identifiers import orthanc_id
from deidflow.tasks.core.engine.protocol import Call, Chunk
from deidflow.tasks.core.errors import InvalidInput, Problem
from deidflow.tasks.core.ledger.chunks import (
    chunk_key,
    chunk_rows,
    identifier_changes,
    instances_without_outcome,
    names_of_patients,
)
from deidflow.tasks.core.ledger.chunks import original_uids as all_original_uids
from deidflow.tasks.core.ledger.manifest_rows import count_rows, request_numbers, rows_by_request
from deidflow.tasks.core.ledger.planning import (
    NewIdentifiers,
    TargetRecord,
    add_targets,
    assign_claims,
    claim_sources,
    cut_chunks,
    drop_unplanned,
    fail_collisions,
    forget_targets,
    join_duplicates,
    leave_edited_copies,
    note_what_rows_name,
    plan_is_complete,
    planned_pages,
    set_row_aside,
)
from deidflow.tasks.core.ledger.run_facts import change_facts
from deidflow.tasks.core.ledger.state.before import leave_results, looking_back
from deidflow.tasks.core.outcomes import Reason, ReasonCode
from deidflow.tasks.core.plan.calls import cut_calls, note_separate_calls
from deidflow.tasks.core.plan.checks import (
    check_identity_given_back,
    check_merges,
    check_patients,
    check_persons,
    check_rows_against_source,
)
from deidflow.tasks.core.plan.in_place import check_in_place
from deidflow.tasks.core.plan.increments import check_against_earlier_runs, fail_what_does_not_fit, take_over
from deidflow.tasks.core.plan.server_checks import check_patients_on_server, check_request_on_server
from deidflow.tasks.core.pseudonyms.kept_identifiers import GivenIdentifiers
from deidflow.tasks.core.pseudonyms.new_identifiers import new_parents, sop_instance_uids
from deidflow.tasks.core.pseudonyms.original_uids import OriginalUids
from deidflow.tasks.core.pseudonyms.pseudonyms import Key, Pseudonyms
from deidflow.tasks.core.request.engine_options import check_request_on_local_engine
from deidflow.tasks.core.request.request import Operation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from deidflow.tasks.core.ledger.ledger import Ledger
    from deidflow.tasks.core.ledger.manifest_rows import RequestCache
    from deidflow.tasks.core.ledger.state.before import Before
    from deidflow.tasks.core.plan.server_abilities import ServerAbilities
    from deidflow.tasks.core.request.request import Request

_MAX_CHUNKS: Final = 800
"""Prefect's server drops events above some 1,000 task runs per flow run."""

_FEW_CHUNKS: Final = 10
"""A chunk is one Prefect task, which costs as much as editing hundreds of instances."""

_LARGE_CHUNK: Final = 5000
"""Chunks under way are held in memory, which must not grow with the run."""

_NOTHING_HELD: Final = Reason(ReasonCode.NOT_FOUND, "the source holds nothing under this identifier")
_COLLISION: Final = Reason(
    ReasonCode.IDENTIFIER_COLLISION, "several instances of this run would get the same identifiers"
)


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
        before: Earlier runs with the same destination and scope; None when there are none.

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
    before: Before | None = None


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
    requests = ledger.requests
    found = [*problems]
    with looking_back(ledger, options.before), ledger.transaction():
        join_duplicates(ledger)
        claim_sources(ledger)
        _note_copies(ledger, leave_edited_copies(ledger))
        if options.before is not None and options.writes_to_source:
            leave_results(ledger)
        note_what_rows_name(ledger, _NOTHING_HELD)
        checks = [
            check_rows_against_source(ledger),
            check_patients(ledger, requests),
            _check_requests(ledger, requests, options.server),
        ]
        if not options.allow_merge:
            checks.append(check_persons(ledger))
        if options.server is not None:
            checks.append(check_patients_on_server(ledger, requests))
        for problems_of_rows in checks:
            found += _set_aside(ledger, problems_of_rows, options.manifest_name)
        assign_claims(ledger)
        _compute_targets(ledger, requests, options)
        given = {"allow_merge": options.allow_merge, "on_server": options.server is not None}
        if options.before is not None:
            earlier = check_against_earlier_runs(ledger, options.before, **given)
            found += _set_aside(ledger, earlier, options.manifest_name)
        take_over(ledger, options.before)
        found += _set_aside(ledger, check_identity_given_back(ledger, requests), options.manifest_name)
        if options.writes_to_source:
            found += _set_aside(ledger, check_in_place(ledger), options.manifest_name)
        merges = check_merges(ledger, requests, allow_merge=options.allow_merge)
        found += _set_aside(ledger, merges, options.manifest_name)
        found.sort(key=lambda problem: problem.line)
        if found and not options.skip_invalid:
            raise InvalidInput(found)
        drop_unplanned(ledger)
        fail_what_does_not_fit(ledger, options.before, **given)
        fail_collisions(ledger, _COLLISION)
        _cut(ledger, options)
        plan_is_complete(ledger)
    return found


def _note_copies(ledger: Ledger, copies: int) -> None:
    if copies:
        text = (
            f"{copies} instances are left out: they are edited copies of others in the same rows, which mean the "
            "originals; name copies by instance (`deidflow inventory --level instance --include-results`)"
        )
        change_facts(ledger, lambda facts: replace(facts, notes=(*facts.notes, text)))


def _check_requests(ledger: Ledger, requests: RequestCache, server: ServerAbilities | None) -> Iterator[Problem]:
    """Find rows whose request the engine cannot do: this server, or the local one."""
    for number, lines in rows_by_request(ledger):
        request = requests.get(number)
        found = check_request_on_server(request, server) if server else check_request_on_local_engine(request)
        for option, text in found:
            yield Problem.of_rows(lines, text, option)


def _set_aside(ledger: Ledger, problems: Iterable[Problem], name: str) -> list[Problem]:
    """Mark the rows of problems as invalid; return the problems with the manifest's name."""
    found = [replace(problem, file=name) for problem in problems]
    for problem in found:
        for line in problem.lines:
            set_row_aside(ledger, line, Reason(ReasonCode.INVALID_ROW, problem.text))
    return found


def _compute_targets(ledger: Ledger, requests: RequestCache, options: PlanOptions) -> None:
    """Compute the identifiers of every result."""
    generators = _Generators(options.key, options.scope)
    targets: dict[tuple[str, str, str], int] = {}
    for page in planned_pages(ledger):
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
                names = (orthanc_id(*parents[: depth + 1]) for depth in range(3))
                new_targets.append(TargetRecord(target, *parents, *names))
            for number, *_, original in instances:
                uid = new_uid(original)
                updates.append(NewIdentifiers(target, uid, orthanc_id(*parents, uid), number))
        add_targets(ledger, new_targets, updates)


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


def _cut(ledger: Ledger, options: PlanOptions) -> None:
    """Cut the planned instances into calls to the server; without one by request and row into chunks of one size."""
    if options.server is not None:
        forget_targets(ledger)
        note_separate_calls(ledger, ledger.requests)
        cut_calls(ledger, ledger.requests, options.chunk_size, _MAX_CHUNKS)
        return
    total = instances_without_outcome(ledger)
    few = min(-(-total // _FEW_CHUNKS), _LARGE_CHUNK) if options.few_chunks else 0
    cut_chunks(ledger, max(options.chunk_size, few, -(-total // _MAX_CHUNKS)))


def given_identifiers(ledger: Ledger) -> GivenIdentifiers:
    """Collect the identifiers that requests of the run keep or replace, and the names of patients that have several."""
    given = GivenIdentifiers()
    for patient, pairs in groupby(names_of_patients(ledger), key=itemgetter(0)):
        names = {name for _, name in pairs}
        if len(names) > 1:
            given.names[patient] = tuple(sorted(names - {""}))
    requests = ledger.requests
    if any(_gives(requests.get(number)) for number in request_numbers(ledger)):
        for number, frame_of_reference, original, new in identifier_changes(ledger):
            given.add(original, frame_of_reference, requests.get(number), new)
    return given


def _gives(request: Request) -> bool:
    return request.operation is Operation.ANONYMIZE and bool(request.edits.keep or request.edits.replace)


def original_uids(ledger: Ledger) -> OriginalUids:
    """Return the original UIDs of everything in a plan; none when it anonymizes nothing, since modify maps none."""
    return OriginalUids(all_original_uids(ledger) if count_rows(ledger, Operation.ANONYMIZE) else ())


def chunk_of(ledger: Ledger, requests: RequestCache, number: int) -> Chunk:
    """Return what is still to be done of a chunk: instances whose outcome is not known."""
    calls = [
        Call(requests.get(request), [row.instance for row in rows], call)
        for (call, request), rows in groupby(chunk_rows(ledger, number), key=itemgetter(0, 1))
    ]
    return Chunk(chunk_key(ledger, number), calls)
