"""The Prefect task that reads a config.

Public names: ``load``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from prefect import task

from deidflow.tasks.core.errors import DeidflowError
from deidflow.tasks.retries import ended_by
from deidflow.tasks.steps.load import load_checked
from deidflow.tasks.steps.run.safe_errors import safely

if TYPE_CHECKING:
    from deidflow.tasks.core.config.config import Config


@task(name="load", persist_result=False)
def load(config: str) -> Config:
    """Read and check a config file; see ``deidflow.tasks.steps.run.settings.load_config``."""
    try:
        return safely(load_checked)(Path(config))
    except DeidflowError as error:
        return ended_by(error)  # type: ignore[no-any-return]  # the caller gets the error raised
