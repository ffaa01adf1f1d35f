"""``plan``: show what a run would do. Changes nothing anywhere.

Public names: ``show_plan``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deidflow.flows.answers.answer import give, warn
from deidflow.flows.answers.plan import (
    Objects,
    PixelGroup,
    PlanAnswer,
    PlannedChunk,
    RequestGroup,
    ToLookAt,
    WillFail,
)
from deidflow.tasks.core.dicom.tags import PATIENT_ID, PATIENT_NAME, describe_tag
from deidflow.tasks.core.engine.review import REVIEW_TEXTS
from deidflow.tasks.core.errors import InvalidInput, Problem
from deidflow.tasks.core.ledger.ledger import FILE_NAME
from deidflow.tasks.core.ledger.manifest_rows import request_uses, rows_by_outcome
from deidflow.tasks.core.ledger.overview import chunk_overviews, plan_totals, planned_failures
from deidflow.tasks.core.ledger.report_queries import review_counts
from deidflow.tasks.core.ledger.run_facts import read_facts
from deidflow.tasks.core.ledger.source_records import count_source_problems
from deidflow.tasks.core.ledger.state.before import count_done_before
from deidflow.tasks.core.request.request import Operation
from deidflow.tasks.steps.access.choice import source_of, store_of
from deidflow.tasks.steps.access.mounts import empty_source
from deidflow.tasks.steps.load import load_checked
from deidflow.tasks.steps.pixels.groups import find_pixel_groups
from deidflow.tasks.steps.plan import prepare
from deidflow.tasks.steps.run.progress import make_progress
from deidflow.tasks.steps.run.run_folder import check_run_id

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from deidflow.tasks.core.config.config import Config
    from deidflow.tasks.core.ledger.manifest_rows import RequestUse
    from deidflow.tasks.core.request.request import Request
    from deidflow.tasks.steps.pixels.groups import FoundGroup
    from deidflow.tasks.steps.plan import Prepared
    from deidflow.tasks.steps.preview import Sample


def show_plan(  # noqa: PLR0913 (the command's options)
    config_file: Path,
    overrides: tuple[str, ...],
    *,
    manifest: Path | None,
    run_id: str | None,
    runs_dir: Path | None,
    skip_invalid: bool,
    redo: bool,
    diff: int | None,
    show_values: bool,
) -> None:
    """Check everything and answer with the plan.

    Raises:
        InvalidInput: With every problem.

    """
    config = load_checked(config_file, overrides, manifest=manifest, runs_dir=runs_dir)
    if run_id is not None:
        check_run_id(run_id)
        if (config.report.runs_dir / run_id / FILE_NAME).exists():
            warn("a run of this ID exists already: run finishes it by its own plan; this is what a new one would do")
    if diff and config.engine == "orthanc":
        text = "shows what the local engine does; with engine orthanc the server decides"
        raise InvalidInput([Problem(text, "--diff")])
    with make_progress() as progress:
        prepared = prepare(config, progress, skip_invalid=skip_invalid, redo=redo, previews=True)
        choice = config.profile_choice and config.profile_choice.pixels
        pixels = find_pixel_groups(prepared.ledger, source_of(config).instances, choice, progress) if choice else []
    if text := empty_source(config):
        warn(text)
    with prepared.ledger:
        samples = _samples(prepared, config, diff, show_values=show_values) if diff else ()
        give(_answer(prepared, config, pixels, samples))


def _samples(prepared: Prepared, config: Config, count: int, *, show_values: bool) -> tuple[Sample, ...]:
    from deidflow.tasks.steps.preview import sample_differences  # noqa: PLC0415 (imports the editor)

    return tuple(sample_differences(prepared.ledger, config, prepared.key, count, show_values=show_values))


def _answer(
    prepared: Prepared, config: Config, pixels: Sequence[FoundGroup], samples: tuple[Sample, ...]
) -> PlanAnswer:
    ledger = prepared.ledger
    facts, rows = read_facts(ledger), rows_by_outcome(ledger)
    used = request_uses(ledger)
    review = review_counts(ledger, done=False)
    numbers = dict.fromkeys(
        path.describe() for use in used for path in ledger.requests.get(use.number).edits.private_numbers()
    )
    return PlanAnswer(
        server_version=facts.server_version or None,
        server_makes_room=bool(facts.server_makes_room),
        rows={"planned": rows.pop("", 0), **rows},
        done_before=count_done_before(ledger),
        changed_before=facts.changed_before,
        to_edit=Objects(*plan_totals(ledger)),
        destination=store_of(config).describe(),
        notes=tuple(facts.notes),
        will_fail=tuple(WillFail(reason.code, reason.text, count) for reason, count in planned_failures(ledger)),
        to_look_at=tuple(ToLookAt(code, REVIEW_TEXTS.get(code, ""), count) for code, count in review.items()),
        source_problems=count_source_problems(ledger),
        pixels=tuple(map(_pixels, pixels)),
        different_requests=len(used),
        requests=_alike(prepared, config, used),
        private_numbers=tuple(numbers),
        chunks=tuple(PlannedChunk(*chunk) for chunk in chunk_overviews(ledger)),
        makes_own_key=bool(prepared.new_key_text) and config.engine == "local",
        set_aside=tuple(prepared.set_aside),
        samples=samples,
    )


def _pixels(group: FoundGroup) -> PixelGroup:
    decision = group.decision
    return PixelGroup(decision.action, group.name, bool(decision.rule), bool(decision.reason), group.instances)


def _alike(prepared: Prepared, config: Config, used: Sequence[RequestUse]) -> tuple[RequestGroup, ...]:
    """Return what requests do; those that name the same elements together."""
    alike: dict[tuple[str, str], tuple[int, int]] = {}
    for number, rows, instances in used:
        request = prepared.ledger.requests.get(number)
        what = str(request.operation), _changes(request, config)
        before = alike.get(what, (0, 0))
        alike[what] = before[0] + rows, before[1] + instances
    return tuple(RequestGroup(*what, *counts) for what, counts in alike.items())


def _changes(request: Request, config: Config) -> str:
    """Say which identifiers change and which elements the request names; never a value."""
    if request.operation is Operation.ANONYMIZE:
        choice = config.profile_choice
        parts = [f"profile {choice.describe() if choice else request.settings.dicom_version}", "all identifiers new"]
        parts.append(f"hardening {'on' if config.hardens else 'off'}")
    else:
        level = request.level()
        parts = [f"identifiers new from {level} down"]
    if config.engine == "orthanc":
        from deidflow.tasks.steps.access.own_results import additions  # noqa: PLC0415 (imports httpx)

        parts += [f"{name} by deidflow" for name in additions(request)]
    edits = request.edits
    identifying = {path.tag for path in edits.keep if not path.is_nested} & {PATIENT_ID, PATIENT_NAME}
    if identifying and request.operation is Operation.ANONYMIZE:
        names = " and ".join(sorted(describe_tag(tag) for tag in identifying))
        claim = "PatientIdentityRemoved says NO" if config.engine == "local" else "the server says the opposite"
        parts.append(f"PATIENTS REMAIN IDENTIFIED by {names} ({claim})")
    if request.operation is Operation.MODIFY and config.engine == "local":
        parts.append("digital signatures, which no longer fit, are removed")
    for name, paths in (("replace", edits.replace), ("remove", edits.remove), ("keep", edits.keep)):
        if paths:
            parts.append(f"{name} {', '.join(path.describe() for path in paths)}")
    if request.settings.transcode:
        parts.append(f"transcode to {request.settings.transcode}")
    if not request.settings.keep_source:
        parts.append("SOURCES ARE DELETED afterwards")
    return "; ".join(parts)
