"""``plan``: show what a run would do, on standard output. Changes nothing anywhere.

Public names: ``show_plan``.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.dicom.tags import PATIENT_ID, PATIENT_NAME, describe_tag
from deidflow.tasks.core.engine.review import REVIEW_TEXTS
from deidflow.tasks.core.errors import InvalidInput, Problem, printable
from deidflow.tasks.core.ledger.manifest_rows import request_uses, rows_by_outcome
from deidflow.tasks.core.ledger.overview import chunk_overviews, plan_totals, planned_failures
from deidflow.tasks.core.ledger.report_queries import review_counts
from deidflow.tasks.core.ledger.run_facts import read_facts
from deidflow.tasks.core.ledger.source_records import count_source_problems
from deidflow.tasks.core.ledger.state.before import count_done_before
from deidflow.tasks.core.request.request import Operation
from deidflow.tasks.steps.access.choice import source_of, store_of
from deidflow.tasks.steps.access.own_results import additions
from deidflow.tasks.steps.load import load_checked
from deidflow.tasks.steps.pixel_groups import find_pixel_groups
from deidflow.tasks.steps.plan import prepare
from deidflow.tasks.steps.preview import Sample, sample_differences
from deidflow.tasks.steps.run.progress import make_progress
from deidflow.tasks.steps.run.run_folder import check_run_id

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from deidflow.tasks.core.config.config import Config
    from deidflow.tasks.core.ledger.ledger import Ledger
    from deidflow.tasks.core.request.request import Request
    from deidflow.tasks.steps.pixel_groups import FoundGroup

_SHOWN_CHUNKS = 20


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
    """Check everything and print the plan.

    Raises:
        InvalidInput: With every problem.

    """
    config = load_checked(config_file, overrides, manifest=manifest, runs_dir=runs_dir)
    if run_id is not None:
        check_run_id(run_id)
    if diff and config.engine == "orthanc":
        text = "shows what the local engine does; with engine orthanc the server decides"
        raise InvalidInput([Problem(text, "--diff")])
    with make_progress() as progress:
        prepared = prepare(config, progress, skip_invalid=skip_invalid, redo=redo, previews=True)
        choice = config.profile_choice and config.profile_choice.pixels
        pixels = find_pixel_groups(prepared.ledger, source_of(config).instances, choice, progress) if choice else []
    with prepared.ledger as ledger:
        for problem in prepared.set_aside:
            _print(f"set aside: {problem}")
        _show_totals(ledger, config)
        _show_pixels(pixels)
        _show_requests(ledger, config)
        _show_chunks(ledger)
        if prepared.new_key_text:
            _print("\nno key is configured: the run would make its own, and identifiers of other runs would not match")
        if diff:
            _show_samples(sample_differences(ledger, config, prepared.key, diff, show_values=show_values))


_PIXELS: Final = {"paint": "painted", "clean": "known to be clean", "refuse": "REFUSED (burned-in-text)"}


def _show_pixels(groups: list[FoundGroup]) -> None:
    """Print what happens to pixels, by rule and kind; of the first, middle and last instance of each series."""
    looked_at = sum(group.instances for group in groups)
    if looked_at:
        _print(f"pixels:           {_counted(looked_at, 'instance')} looked at, at most three of each series")
    for group in groups:
        what = _PIXELS.get(group.decision.action, "accepted as they are" if group.decision.reason else "not at risk")
        why = f", {group.name}" if group.decision.rule else f", no rule for: {group.name}" if group.name else ""
        _print(f"                  {group.instances} {what}{why}")


def _show_samples(samples: Iterator[Sample]) -> None:
    """Print each sample element by element, and at the end, where the eye is, what the samples were."""
    overview = []
    for number, sample in enumerate(samples, 1):
        _print(f"\nsample {number}: line {sample.line} of the manifest")
        for line in sample.lines():
            _print(f"  {line}")
        result = sample.problem or f"{sample.changed} of {len(sample.rows)} elements change"
        overview.append(f"  sample, line {sample.line}: {result}")
    _print("\nshown above:")
    for line in overview:
        _print(line)


def _show_totals(ledger: Ledger, config: Config) -> None:
    facts, rows = read_facts(ledger), rows_by_outcome(ledger)
    planned = rows.pop("", 0)
    others = "".join(f", {count} {outcome}" for outcome, count in sorted(rows.items()))
    if facts.server_version:
        _print(f"server:           Orthanc {facts.server_version}")
    if facts.server_makes_room:
        text = "the server deletes its oldest patients when it is full (MaximumPatientCount, MaximumStorageSize)"
        _print(f"WARNING:          {text}: sources and results may vanish while a run works")
    _print(f"rows:             {planned} planned{others}")
    done_rows, done_instances = count_done_before(ledger)
    if done_instances:
        text = f"{_counted(done_instances, 'instance')} by earlier runs, {_counted(done_rows, 'row')} in full"
        _print(f"done before:      {text}")
    to_edit = plan_totals(ledger)
    studies = f"{to_edit.studies} stud{'y' if to_edit.studies == 1 else 'ies'}"
    above = f"{to_edit.series} series, {studies}, {_counted(to_edit.patients, 'patient')}"
    _print(f"to edit:          {_counted(to_edit.instances, 'instance')}, {above}")
    _print(f"                  {to_edit.size / 1e6:,.1f} MB to {store_of(config).describe()}")
    for note in facts.notes:
        _print(f"note:             {note}")
    for reason, count in planned_failures(ledger):
        _print(f"will fail:        {_counted(count, 'instance')}, {reason}")
    for code, count in review_counts(ledger, done=False).items():
        _print(f"to look at:       {count} {code}: {REVIEW_TEXTS.get(code, '')}")
    for code, count in count_source_problems(ledger).items():
        _print(f"source problems:  {count} {code}")


def _show_requests(ledger: Ledger, config: Config) -> None:
    requests = ledger.requests
    used = request_uses(ledger)
    _print(f"requests:         {len(used)} different")
    alike: dict[str, tuple[int, int]] = {}
    for number, rows, instances in used:
        request = requests.get(number)
        text = f"{request.operation}: {_changes(request, config)}"
        before = alike.get(text, (0, 0))
        alike[text] = before[0] + rows, before[1] + instances
    for text, (rows, instances) in islice(alike.items(), _SHOWN_CHUNKS):
        _print(f"  {_counted(rows, 'row')}, {_counted(instances, 'instance')}, {text}")
    if len(alike) > _SHOWN_CHUNKS:
        _print(f"  ... and {len(alike) - _SHOWN_CHUNKS} more")
    numbers = dict.fromkeys(
        path.describe() for number, _, _ in used for path in requests.get(number).edits.private_numbers()
    )
    if numbers:
        named = ", ".join(list(numbers)[:_SHOWN_CHUNKS])
        more = f" and {len(numbers) - _SHOWN_CHUNKS} more" if len(numbers) > _SHOWN_CHUNKS else ""
        remedy = ' with engine: local name the creator, as in 0029,"SIEMENS CSA HEADER",10'
        _print(f"WARNING:          {named}{more}: the number may belong to another creator in another file;{remedy}")


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


def _show_chunks(ledger: Ledger) -> None:
    chunks = chunk_overviews(ledger)
    _print(f"chunks:           {len(chunks)}")
    for key, instances, rows, first, last, size in chunks[:_SHOWN_CHUNKS]:
        lines = f"line {first}" if first == last else f"lines {first} to {last}"
        what = f"{_counted(instances, 'instance')} of {_counted(rows, 'row')}"
        _print(f"  {key}  {what} ({lines}), {size / 1e6:,.1f} MB")
    if len(chunks) > _SHOWN_CHUNKS:
        _print(f"  ... and {len(chunks) - _SHOWN_CHUNKS} more")


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _print(text: str) -> None:
    print(printable(text))  # noqa: T201 (the command's output)
