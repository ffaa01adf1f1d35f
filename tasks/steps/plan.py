"""From a config to a frozen plan: read the manifest, index the source, check both against each other. No Prefect.

Public names: ``Prepared``, ``prepare``, ``find_again``, ``manifest_sha256``.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING

from deidflow.tasks.core.errors import InvalidInput, Problem
from deidflow.tasks.core.files.plain_files import read_plain_file, trouble_with
from deidflow.tasks.core.ledger.ledger import Ledger
from deidflow.tasks.core.ledger.manifest_rows import count_rows, forget_counts, planned_lines, rows_by_operation
from deidflow.tasks.core.ledger.plan_changes import lacks_something
from deidflow.tasks.core.ledger.run_facts import change_facts, read_manifest, store_manifest
from deidflow.tasks.core.manifest.manifest import Manifest
from deidflow.tasks.core.plan.intake import add_rows
from deidflow.tasks.core.plan.planner import PlanOptions, make_plan
from deidflow.tasks.core.plan.replan import adopt
from deidflow.tasks.core.plan.server_abilities import deletion_notes, server_notes
from deidflow.tasks.core.plan.server_checks import check_destination_settings, check_settings_on_server
from deidflow.tasks.core.pseudonyms.pseudonyms import Key, new_key
from deidflow.tasks.core.request.engine_options import notes_of_operations
from deidflow.tasks.core.request.request import Operation
from deidflow.tasks.steps.access.choice import source_of, store_of
from deidflow.tasks.steps.emptied_content import mark_emptied_content
from deidflow.tasks.steps.load import check_before_planning
from deidflow.tasks.steps.run.earlier import changed_basis, earlier_runs
from deidflow.tasks.steps.run.run import now

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deidflow.tasks.core.config.config import Config
    from deidflow.tasks.core.ledger.state.before import Before
    from deidflow.tasks.core.plan.server_abilities import ServerAbilities
    from deidflow.tasks.steps.run.progress import Progress
    from deidflow.tasks.steps.run.run import Run


@dataclass(slots=True)
class Prepared:
    """An accepted plan that is not stored anywhere yet.

    Attributes:
        ledger: In a private temporary file.
        key: Secret of its generated identifiers.
        new_key_text: That key in hex when it was made for this run.
        set_aside: Problems of rows that are ``invalid`` (with --skip-invalid).

    """

    ledger: Ledger
    key: Key
    new_key_text: str | None
    set_aside: list[Problem]


def prepare(
    config: Config,
    progress: Progress,
    *,
    skip_invalid: bool = False,
    key_text: str | None = None,
    redo: bool = False,
    previews: bool = False,
) -> Prepared:
    """Read and check everything; nothing is changed anywhere, but for the state of earlier runs beside their folders.

    Args:
        config: Checked by ``load_config``.
        progress: Shows the steps.
        skip_invalid: Set rows with problems aside instead of refusing the manifest, whatever the config says.
        key_text: The key of an existing run, for a config that names none.
        redo: Do rows again whose options have changed since an earlier run did them.
        previews: Nothing at all may be written, not even the state.

    Raises:
        InvalidInput: With every problem of files, key, options, manifest and destination; then of the plan.
        Unusable: A server or the destination cannot be used.

    """
    skip_invalid = skip_invalid or config.skip_invalid
    if redo and not (config.incremental and config.destination is not None and config.destination.overwrite):
        text = "--redo needs incremental: true, engine local and destination.overwrite: true"
        raise InvalidInput([Problem(text, "--redo")])
    key = check_before_planning(config, skip_invalid=skip_invalid)
    new_key_text = None
    if key is None:
        new_key_text = key_text or new_key()
        key = Key.parse(new_key_text)
    moment, started = now(), time.monotonic()
    with earlier_runs(config, key.fingerprint, redo=redo, keeps=not previews) as before:
        content = _manifest_bytes(config)
        how = _How(skip_invalid=skip_invalid, before=before, has_key=new_key_text is None)
        ledger, set_aside = _plan(config, content, key, progress, how)
    seconds = time.monotonic() - started
    change_facts(ledger, lambda facts: replace(facts, started=moment, attempts=1).with_seconds("plan", seconds))
    return Prepared(ledger, key, new_key_text, set_aside)


def find_again(run: Run, progress: Progress) -> int:
    """Look once more for what a run did not find or found ambiguous, and add it to the run's plan.

    Returns:
        How many instances there are to do now that were not before.

    """
    if not lacks_something(run.ledger):
        return 0
    content = read_manifest(run.ledger)
    fingerprint = run.key.fingerprint
    with earlier_runs(run.config, fingerprint, exclude=run.folder.name) as before:
        how = _How(skip_invalid=True, before=before, planned=run.ledger)
        fresh, _ = _plan(run.config, content, run.key, progress, how)
    with fresh:
        chunk_size = run.config.execution.chunk_size
        return adopt(run.ledger, fresh, chunk_size, on_server=run.config.engine == "orthanc")


def manifest_sha256(config: Config) -> str:
    """Return the hash of the manifest as it is now.

    Raises:
        InvalidInput: It cannot be read.

    """
    return sha256(_manifest_bytes(config)).hexdigest()


def _manifest_bytes(config: Config) -> bytes:
    try:
        return read_plain_file(config.manifest)[0]
    except OSError as error:
        text, name = trouble_with(config.manifest, error), str(config.manifest)
        raise InvalidInput([Problem(text, name, key="manifest")]) from None


@dataclass(frozen=True, slots=True)
class _How:
    """How a plan is made.

    Attributes:
        skip_invalid: Whether rows with problems are set aside.
        before: Earlier runs, None when there are none.
        has_key: Whether the config names a key; None for a run that was held to its earlier runs when it was made.
        planned: The run that the plan is to be compared with: its rows were held to their number of instances before,
            and may have got one that could not be counted then.

    """

    skip_invalid: bool
    before: Before | None
    has_key: bool | None = None
    planned: Ledger | None = None


def _plan(config: Config, content: bytes, key: Key, progress: Progress, how: _How) -> tuple[Ledger, list[Problem]]:
    """Return a planned ledger, not stored anywhere, and the problems of rows that were set aside."""
    ledger = Ledger.prepare()
    try:
        progress.start("reading the manifest")
        manifest = Manifest(content, config.defaults, str(config.manifest))
        store_manifest(ledger, content, config.manifest.name, manifest.sha256)
        row_problems = add_rows(ledger, manifest)
        of_config: list[Problem] = []
        if how.has_key is not None:
            anonymizes = count_rows(ledger, Operation.ANONYMIZE) > 0
            of_config += changed_basis(config, how.before, has_key=how.has_key, anonymizes=anonymizes)
        if how.planned is not None:
            forget_counts(ledger, planned_lines(how.planned))
        source, store = source_of(config), store_of(config)
        target = store.abilities()
        server = source.read_into(ledger, config, progress)
        target = server if config.engine == "orthanc" else target
        notes = tuple(_notes(config, ledger, server, target))
        change_facts(ledger, lambda facts: replace(facts, notes=notes))
        progress.start("planning")
        options = PlanOptions(
            manifest_name=str(config.manifest),
            key=key,
            scope=config.scope,
            allow_merge=config.pseudonyms is not None and config.pseudonyms.allow_merge,
            chunk_size=config.execution.chunk_size,
            few_chunks=_shares_workers(config),
            skip_invalid=how.skip_invalid,
            server=server if config.engine == "orthanc" else None,
            writes_to_source=store.is_in(source),
            before=how.before,
        )
        of_config += _server_problems(config, ledger, target)
        set_aside = _checked_plan(ledger, row_problems, options, of_config)
        mark_emptied_content(ledger, config.profile_choice)
        progress.finish()
    except BaseException:
        ledger.close()
        raise
    return ledger, set_aside


def _checked_plan(
    ledger: Ledger, row_problems: list[Problem], options: PlanOptions, of_config: list[Problem]
) -> list[Problem]:
    """Make the plan; problems of the config come with those of the rows, and no row can be set aside for them."""
    try:
        set_aside = make_plan(ledger, row_problems, options)
    except InvalidInput as error:
        raise InvalidInput([*of_config, *error.problems]) from None
    if of_config:
        raise InvalidInput(of_config)
    return set_aside


def _server_problems(config: Config, ledger: Ledger, target: ServerAbilities | None) -> list[Problem]:
    """Return what the Orthanc that results go to cannot do, as the engine or as the destination."""
    if target is None:
        return []
    settings = config.defaults.settings
    if config.engine == "orthanc":
        operations = {operation for operation, _ in rows_by_operation(ledger)} or {config.operation}
        found = check_settings_on_server(settings, target, operations)
    else:
        found = check_destination_settings(settings, target)
    return [Problem(text, key=key) for key, text in found]


def _notes(
    config: Config, ledger: Ledger, source: ServerAbilities | None, target: ServerAbilities | None
) -> Iterator[str]:
    """Yield what people should know of the options, and of the Orthancs of originals and results."""
    settings = config.defaults.settings
    yield from notes_of_operations(settings, {Operation(operation) for operation, _ in rows_by_operation(ledger)})
    if source is not None:
        yield from deletion_notes(settings)
    if target is not None:
        yield from server_notes(target, settings, edits=config.engine == "orthanc")


def _shares_workers(config: Config) -> bool:
    """Whether all chunks share the same workers, and nobody has said how large they are to be."""
    return config.engine == "local" and "chunk_size" not in config.execution.model_fields_set
