"""The Prefect task that reads a config.

Public names: ``load``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from prefect import task

from deidflow.tasks.core.errors import DeidflowError
from deidflow.tasks.retries import ended_by
from deidflow.tasks.shown import say
from deidflow.tasks.steps.load import load_checked
from deidflow.tasks.steps.run.safe_errors import safely

if TYPE_CHECKING:
    from deidflow.tasks.core.config.config import Config


@task(name="load", persist_result=False)
def load(config: str, settings: tuple[str, ...] = (), manifest: str = "") -> Config:
    """Read and check a config file.

    Args:
        config: Its path.
        settings: ``KEY=VALUE``, as ``--set`` has it.
        manifest: Path of the manifest, "" for the config's own.

    """
    try:
        loaded = safely(load_checked)(Path(config), settings, manifest=Path(manifest) if manifest else None)
    except DeidflowError as error:
        return ended_by(error)  # type: ignore[no-any-return]  # the caller gets the error raised
    say(f"config {loaded.name} read")
    return loaded
