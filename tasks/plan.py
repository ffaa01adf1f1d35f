"""The Prefect task that freezes a plan in a new run folder.

Public names: ``plan``.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Final

from prefect import task

from deidflow.tasks.core.errors import DeidflowError
from deidflow.tasks.core.files.locks import patience
from deidflow.tasks.core.ledger.chunks import instances_to_do, open_chunks
from deidflow.tasks.core.ledger.manifest_rows import rows_by_outcome
from deidflow.tasks.live import leave_open
from deidflow.tasks.retries import ended_by
from deidflow.tasks.shown import say
from deidflow.tasks.steps.access.mounts import empty_source
from deidflow.tasks.steps.plan import prepare
from deidflow.tasks.steps.run.earlier import hold_config
from deidflow.tasks.steps.run.progress import make_progress
from deidflow.tasks.steps.run.run import create_run
from deidflow.tasks.steps.run.run_folder import new_run_id
from deidflow.tasks.steps.run.safe_errors import safely

if TYPE_CHECKING:
    from deidflow.tasks.core.config.config import Config


_SERVED_WAIT_S: Final = 3600
"""Nobody sits beside a scheduled run: two of one hour that deliver into one folder are both to be done."""


@task(name="plan", persist_result=False, retries=0)
def plan(config: Config, *, skip_invalid: bool = False) -> str:
    """Check manifest and source and freeze the plan; return what the new run is found by, see ``take_open``.

    Args:
        config: Read and checked.
        skip_invalid: Whether rows with problems are set aside instead of refusing the manifest.

    """
    try:
        return safely(_plan)(config, skip_invalid=skip_invalid)
    except DeidflowError as error:
        return ended_by(error)  # type: ignore[no-any-return]  # the caller gets the error raised


def _plan(config: Config, *, skip_invalid: bool) -> str:
    folder = config.report.runs_dir / new_run_id(config.name)
    with contextlib.ExitStack() as held:
        wait = config.execution.lock_wait_seconds
        wait_s = _SERVED_WAIT_S if wait is None else wait
        held.enter_context(hold_config(config, patience(wait_s, threading.Event())))
        with make_progress() as progress:
            prepared = prepare(config, progress, skip_invalid=skip_invalid)
        if text := empty_source(config):
            say(f"warning: {text}")
        rows, aside = sum(rows_by_outcome(prepared.ledger).values()), len(prepared.set_aside)
        instances, chunks = instances_to_do(prepared.ledger), len(open_chunks(prepared.ledger))
        said = f"rows: {rows}, instances: {instances}, chunks: {chunks}, problems set aside: {aside}"
        say(f"run {folder.name} planned: {said}")
        run = create_run(prepared.ledger, config, prepared.key, folder, prepared.new_key_text)
        run.held, run.lock_wait_s = held.pop_all(), wait_s
    return leave_open(run)
