"""The engine that a config asks for, and where its results are.

Public names: ``open_engine``, ``prepare_destination``.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from tasks.core.errors import Unusable, os_error_text
from tasks.core.locks import lock_folder
from tasks.core.planner import given_identifiers
from tasks.local.engine import LocalEngine
from tasks.local.store import clear_partial_results
from tasks.local.worker import WorkerSettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tasks.core.config import Config
    from tasks.core.engine import Engine
    from tasks.run_folder import Run


def destination_folder(config: Config) -> Path:
    """Return the folder that results go to."""
    assert config.destination is not None  # noqa: S101 (checked when the config was read)
    assert config.destination.folder is not None  # noqa: S101
    return config.destination.folder


@contextlib.contextmanager
def open_engine(run: Run) -> Iterator[Engine]:
    """Lock the destination and give the engine of a run.

    Raises:
        Unusable: The destination cannot be made or written, or another run writes to it.

    """
    config = run.config
    folder = destination_folder(config)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"the destination {folder} cannot be made: {os_error_text(error)}"
        raise Unusable(message) from None
    with lock_folder(folder, "the destination"):
        try:
            clear_partial_results(str(folder))
        except OSError as error:
            message = f"the destination {folder} cannot be written: {os_error_text(error)}"
            raise Unusable(message) from None
        settings = WorkerSettings(
            source=os.fsencode(str(config.source.folder)),
            destination=str(folder),
            overwrite=config.destination is not None and config.destination.overwrite,
            key=run.key,
            scope=config.scope,
            hardening=config.hardening,
            given=given_identifiers(run.ledger),
        )
        with LocalEngine(settings, config.execution.workers) as engine:
            yield engine
        clear_partial_results(str(folder))
