"""``run`` and ``resume``: prepare, give the run to the flow, and say how it ended.

Public names: ``run_config``, ``resume_run``.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from deidflow.flows.answers.answer import give, most_shown, say, warn
from deidflow.flows.answers.run import run_answer
from deidflow.flows.opened_run import existing
from deidflow.flows.own_server import own_server_ahead, use_own_server, what_to_look_at
from deidflow.flows.prefect_environment import (
    importing_prefect,
    prepare_prefect,
    prepare_temporary,
    refusal,
    say_lost_server_once,
)
from deidflow.flows.signals import was_pressed
from deidflow.tasks.core.errors import DeidflowError, Interrupted, InvalidInput, Unusable, listed_problems
from deidflow.tasks.core.files.locks import lock_folder
from deidflow.tasks.core.files.plain_files import read_plain_file
from deidflow.tasks.core.ledger.chunks import count_planned
from deidflow.tasks.core.ledger.ledger import FILE_NAME
from deidflow.tasks.core.ledger.run_facts import read_facts
from deidflow.tasks.core.processes.collector import relax_collector
from deidflow.tasks.core.report.files import SUMMARY
from deidflow.tasks.core.report.totals import totals_of
from deidflow.tasks.live import handing_over
from deidflow.tasks.steps.access.choice import store_of
from deidflow.tasks.steps.access.mounts import empty_source
from deidflow.tasks.steps.apply import reset_unfinished
from deidflow.tasks.steps.changed_sources import take_again
from deidflow.tasks.steps.delete_sources import deletion_is_due
from deidflow.tasks.steps.load import load_checked
from deidflow.tasks.steps.plan import find_again, manifest_sha256, prepare
from deidflow.tasks.steps.publish import begin_again, is_complete, note_complete, publish_reports
from deidflow.tasks.steps.run.earlier import hold_config
from deidflow.tasks.steps.run.identity import differences, other_identifiers, run_identity
from deidflow.tasks.steps.run.progress import make_progress
from deidflow.tasks.steps.run.run import KEY_FILE, Run, create_run, open_run, take_config
from deidflow.tasks.steps.run.run_folder import (
    check_run_id,
    clear_leftovers,
    make_folder,
    new_run_id,
    require_own_folder,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from deidflow.tasks.core.config.config import Config


def run_config(
    config_file: Path,
    overrides: tuple[str, ...],
    *,
    manifest: Path | None,
    run_id: str | None,
    runs_dir: Path | None,
    skip_invalid: bool,
    redo: bool = False,
) -> int:
    """Do a whole job; return the exit code.

    Raises:
        InvalidInput: Nothing was changed.
        Unusable: The run folder or the destination cannot be written.
        Interrupted: ``resume`` goes on from here.

    """
    relax_collector()
    config = load_checked(config_file, overrides, manifest=manifest, runs_dir=runs_dir)
    if run_id is not None:
        check_run_id(run_id)
    folder = config.report.runs_dir / (run_id or new_run_id(config.name))
    prepare_temporary(folder.parent)
    require_own_folder(folder)
    with _interruptible(folder), hold_config(config):
        if (folder / FILE_NAME).exists():
            with lock_folder(folder, "the run"):
                return _run_again(config, folder)
        # An increment often ends with nothing to do, before any server is there.
        with contextlib.nullcontext() if config.incremental else own_server_ahead(folder.parent):
            return _run_anew(config, folder, skip_invalid=skip_invalid, redo=redo)


def _run_anew(config: Config, folder: Path, *, skip_invalid: bool, redo: bool) -> int:
    with make_progress() as progress:
        key_text = _kept_key(folder)
        prepared = prepare(config, progress, skip_invalid=skip_invalid, key_text=key_text, redo=redo)
    if text := empty_source(config):
        warn(text)
    for line in listed_problems(prepared.set_aside, before="set aside: ", most=most_shown()):
        say(line)
    _require_free(config)
    make_folder(folder)
    with lock_folder(folder, "the run"):
        if (folder / FILE_NAME).exists():  # made by another process meanwhile
            prepared.ledger.close()
            return _run_again(config, folder)
        if prepared.new_key_text and config.engine == "local":  # an Orthanc makes its own identifiers
            say(
                "note: no key is configured, so this run makes its own (pseudonym.key in the run folder); "
                "identifiers of other runs will not match"
            )
        return _work(create_run(prepared.ledger, config, prepared.key, folder, prepared.new_key_text))


def resume_run(folder: Path, overrides: tuple[str, ...] = ()) -> int:
    """Finish a run; return the exit code.

    Args:
        folder: Of the run.
        overrides: ``KEY=VALUE`` of each ``--set``, see ``open_run``.

    Raises:
        InvalidInput: It is no run folder.
        Unusable: Another process works on it, or the destination cannot be written.
        Interrupted: Resume again.

    """
    folder = existing(folder)
    with (
        _interruptible(folder),
        lock_folder(folder, "the run"),
        contextlib.closing(open_run(folder, overrides)) as run,
        hold_config(run.config),
    ):
        return _resume(run)


@contextlib.contextmanager
def _interruptible(folder: Path) -> Iterator[None]:
    """Answer Ctrl-C and SIGTERM in plain words."""
    try:
        yield
    except BaseException as error:
        # Raised inside a library, the interruption may leave it as an exception of the library's own.
        if not isinstance(error, KeyboardInterrupt) and not was_pressed():
            raise
        begun = (folder / FILE_NAME).exists()
        how = f"finish it with: deidflow resume {folder}" if begun else "nothing was changed"
        text = f"interrupted; {how}"
        say(text)
        raise Interrupted(text) from None


def _require_free(config: Config) -> None:
    """Say that another run writes to the destination before anything is made or changed, unless it is to be waited for.

    Raises:
        Unusable: One does.

    """
    if not config.execution.lock_wait_seconds:
        with store_of(config).locked():
            pass


def _run_again(config: Config, folder: Path) -> int:
    run = open_run(folder)
    try:
        stored = read_facts(run.ledger).identity
        identity = run_identity(config, manifest_sha256(config), run.key.fingerprint)
        # Folders may have other names by now; go_on_with looks whether they hold the same.
        for name, place in (("source", config.source), ("destination", config.destination)):
            if place is not None and place.folder is not None and "folder" in (stored[name] or {}):
                identity[name] = stored[name]
        _require_same(run, identity)
        take_config(run, config)
    except BaseException:
        run.close()
        raise
    return _resume(run)


def _resume(run: Run) -> int:
    """Finish an open run, and close it."""
    try:
        reported = totals_of(run.ledger).reconciled and is_complete(run) and (run.folder / SUMMARY).exists()
        if reported and not deletion_is_due(run):
            give(run_answer(totals_of(run.ledger), run.folder))
            return 0
        if problems := other_identifiers(read_facts(run.ledger).identity):
            raise InvalidInput(problems)
        run.load_key()  # before anything is changed
        # What is left of an increment may be nothing, too.
        with contextlib.nullcontext() if run.config.incremental else own_server_ahead(run.folder.parent):
            _require_free(run.config)
            begin_again(run)
            clear_leftovers(run.folder)
            take_again(run)
            reset_unfinished(run.ledger)
            with make_progress() as progress:
                find_again(run, progress)
            return _work(run)
    finally:
        run.close()


def _work(run: Run) -> int:
    """Let the flow work on a frozen run, and close it; how it ended is read from the ledger, never from Prefect."""
    try:
        if run.config.incremental and not count_planned(run.ledger):
            return _nothing_to_do(run)
        prepare_prefect(run.folder.parent, attended=True)
        state: Any = None
        error: BaseException | None = None
        try:
            # A second, and must find the environment prepared.
            with importing_prefect():
                from deidflow.flows.bulk_edit import bulk_edit  # noqa: PLC0415
                from deidflow.tasks.shown import leave_unseen  # noqa: PLC0415

            say_lost_server_once()
            with handing_over(run), use_own_server() as url:
                leave_unseen(url)
                state = bulk_edit(return_state=True)
        except (KeyboardInterrupt, SystemExit):
            run = run.passed_on()
            _report(run)
            raise
        except BaseException as caught:  # noqa: BLE001 (Prefect's own; its signals are no Exception, its text may hold anything)
            error = caught
        run = run.passed_on()
        return _ended(run, state, error)
    finally:
        run.close()


def _nothing_to_do(run: Run) -> int:
    """Report a run for which earlier ones have left nothing, without Prefect; return the exit code."""
    with make_progress() as progress:
        publish_reports(run, progress)
    note_complete(run)
    return _ended(run, None, None, nothing_to_do=True)


def _ended(run: Run, state: Any, error: BaseException | None, *, nothing_to_do: bool = False) -> int:
    """Say how the flow ended; return the exit code."""
    folder = run.folder
    facts = read_facts(run.ledger)
    complete = is_complete(run)
    result = totals_of(run.ledger)
    if (was_pressed() or _was_cancelled(state)) and not complete:
        if facts.ended is None:
            _report(run)
        raise KeyboardInterrupt
    if facts.ended is None:
        raise Unusable(f"{_reason(state, error)}; finish the run with: deidflow resume {folder}") from error
    give(run_answer(result, folder, nothing_to_do=nothing_to_do))
    if not complete:
        what = facts.unusable or _reason(state, error)
        raise Unusable(f"{what}; then finish the run with: deidflow resume {folder}") from error
    if error is not None:
        say("note: Prefect's server did not answer in the end, and may show this run as running")
    return result.exit_code


def _was_cancelled(state: Any) -> bool:
    return state is not None and state.type.value == "CANCELLED"


def _reason(state: Any, error: BaseException | None) -> str:
    """Say why a flow ended before its time: in its own words, or that Prefect ended it."""
    if state is not None and state.type.value == "FAILED" and state.message:
        return str(state.message)
    if isinstance(error, Unusable):
        return str(error)
    return refusal(error) or f"Prefect ended the run before its time; {what_to_look_at()}"


def _report(run: Run) -> None:
    """Write the report of a run that was interrupted before it could do so itself."""
    # It can be written again, and what is said next matters more.
    with contextlib.suppress(DeidflowError), make_progress(quiet=True) as progress:
        publish_reports(run, progress)


def _require_same(run: Run, current: dict[str, object]) -> None:
    found = differences(read_facts(run.ledger).identity, current)
    if found:
        raise InvalidInput(found)


def _kept_key(folder: Path) -> str | None:
    """Return the key of a run that was interrupted before its plan was stored."""
    try:
        return read_plain_file(folder / KEY_FILE)[0].decode("ascii", "replace").strip()
    except OSError:
        return None
