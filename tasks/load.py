"""The Prefect task that reads a config.

Public names: ``load``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from prefect import task

from deidflow.tasks.safe_errors import safely
from deidflow.tasks.settings import load_config

if TYPE_CHECKING:
    from deidflow.tasks.core.config import Config


@task(name="load", persist_result=False)
@safely
def load(config: str) -> Config:
    """Read and check a config file; see ``deidflow.tasks.settings.load_config``."""
    return load_config(Path(config))
