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
from deidflow.tasks.steps.run.served import beside_manifest

if TYPE_CHECKING:
    from deidflow.tasks.core.config.config import Config


@task(name="load", persist_result=False, retries=0)
def load(config: str, settings: tuple[str, ...] = (), manifest: str = "", *, is_beside: bool = False) -> Config:
    """Read and check a config file.

    Args:
        config: Its path.
        settings: ``KEY=VALUE``, as ``--set`` has it.
        manifest: Path of the manifest, "" for the config's own.
        is_beside: Whether that is no path, but the name of a file in the folder of the config's own manifest.

    """
    path = Path(manifest) if manifest else None
    try:
        if path is not None and is_beside:
            path = safely(beside_manifest)(safely(load_checked)(Path(config), settings), manifest)
        loaded = safely(load_checked)(Path(config), settings, manifest=path)
    except DeidflowError as error:
        return ended_by(error)  # type: ignore[no-any-return]  # the caller gets the error raised
    say(f"config {loaded.name} read")
    return loaded
