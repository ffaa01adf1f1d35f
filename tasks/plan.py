"""The Prefect task that freezes a plan in a new run folder.

Public names: ``plan``.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from prefect import task

from deidflow.tasks.core.errors import DeidflowError
from deidflow.tasks.live import leave_open
from deidflow.tasks.retries import ended_by
from deidflow.tasks.steps.plan import prepare
from deidflow.tasks.steps.run.earlier import hold_config
from deidflow.tasks.steps.run.progress import make_progress
from deidflow.tasks.steps.run.run_folder import create_run, new_run_id
from deidflow.tasks.steps.run.safe_errors import safely

if TYPE_CHECKING:
    from deidflow.tasks.core.config.config import Config


@task(name="plan", persist_result=False)
def plan(config: Config) -> str:
    """Check manifest and source and freeze the plan; return what the new run is found by, see ``take_open``."""
    try:
        return safely(_plan)(config)
    except DeidflowError as error:
        return ended_by(error)  # type: ignore[no-any-return]  # the caller gets the error raised


def _plan(config: Config) -> str:
    folder = config.report.runs_dir / new_run_id(config.name)
    with contextlib.ExitStack() as held:
        held.enter_context(hold_config(config))
        with make_progress() as progress:
            prepared = prepare(config, progress)
        run = create_run(prepared.ledger, config, prepared.key, folder, prepared.new_key_text)
        run.held = held.pop_all()
    return leave_open(run)
