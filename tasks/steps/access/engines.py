"""The engine that a config asks for, and where its results are.

Public names: ``open_engine``, ``locked_destination``, ``destination_folder``, ``place_of``, ``results_place``.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from deidflow.tasks.core.errors import Unusable, os_error_text
from deidflow.tasks.core.files.locks import lock_folder, lock_server
from deidflow.tasks.core.ledger.journal import LedgerJournal
from deidflow.tasks.core.plan.planner import given_identifiers, original_uids
from deidflow.tasks.local.engine import LocalEngine
from deidflow.tasks.local.folder.store import clear_partial_results
from deidflow.tasks.local.worker import WorkerSettings
from deidflow.tasks.orthanc.engine import OrthancEngine, OrthancEngineSettings
from deidflow.tasks.steps.access.exchange import OrthancPlace
from deidflow.tasks.steps.access.journal import run_nonce
from deidflow.tasks.steps.access.replaced import Replaced
from deidflow.tasks.steps.access.servers import connect, server_identity, source_server
from deidflow.tasks.steps.run.settings import load_credentials

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from deidflow.tasks.core.config.config import Config
    from deidflow.tasks.core.engine.protocol import Engine
    from deidflow.tasks.steps.run.run_folder import Run


def destination_folder(config: Config) -> Path:
    """Return the folder that results go to."""
    assert config.destination is not None  # noqa: S101 (checked when the config was read)
    assert config.destination.folder is not None  # noqa: S101
    return config.destination.folder


@contextlib.contextmanager
def open_engine(run: Run) -> Iterator[Engine]:
    """Lock the destination and give the engine of a run.

    Raises:
        Unusable: The server cannot be used, the destination cannot be made or written, or another run writes to it.

    """
    if run.config.engine == "orthanc":
        with locked_destination(run.config), _orthanc_engine(run) as engine:
            yield engine
        return
    if run.config.destination is not None and run.config.destination.orthanc is not None:
        settings = _worker_settings(run, "")
        with locked_destination(run.config), connect(run.config.destination.orthanc, run.config.orthanc) as client:
            replaced = Replaced(str(run.folder))
            replaced.put_back(client)
            try:
                with LocalEngine(settings, *_workers(run.config)) as local_engine:
                    yield local_engine
            finally:
                replaced.put_back_if_possible(client)
        return
    folder = destination_folder(run.config)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"the destination {folder} cannot be made: {os_error_text(error)}"
        raise Unusable(message, error) from None
    with locked_destination(run.config):
        _clear(folder)
        try:
            with LocalEngine(_worker_settings(run, str(folder)), *_workers(run.config)) as local_engine:
                yield local_engine
        finally:
            _clear(folder)


def _clear(folder: Path) -> None:
    try:
        clear_partial_results(str(folder))
    except OSError as error:
        message = f"the destination {folder} cannot be written: {os_error_text(error)}"
        raise Unusable(message, error) from None


@contextlib.contextmanager
def locked_destination(config: Config) -> Iterator[None]:
    """Hold the place that results go to for this process alone; a folder that is not there yet is nobody's.

    Raises:
        Unusable: Another run writes to it.

    """
    server = config.source.orthanc if config.engine == "orthanc" else config.destination and config.destination.orthanc
    if server:
        with lock_server(server, server_identity(server, config.orthanc)):
            yield
    elif destination_folder(config).is_dir():
        with lock_folder(destination_folder(config), "the destination"):
            yield
    else:
        yield


def _workers(config: Config) -> tuple[int, str | None, float]:
    """Return how many processes do the work, or the address of the cluster that does, and how long a chunk may take."""
    execution = config.execution
    address = execution.dask_address if execution.runner == "dask" else None
    return execution.workers, address, execution.job_timeout_seconds


def _worker_settings(run: Run, folder: str) -> WorkerSettings:
    config = run.config
    destination = config.destination
    overwrite = destination is not None and destination.overwrite
    return WorkerSettings(
        source=os.fsencode(str(config.source.folder or "")),
        destination=folder,
        overwrite=overwrite,
        key=run.key,
        scope=config.scope,
        hardening=config.hardening,
        given=given_identifiers(run.ledger),
        originals=original_uids(run.ledger),
        remote_source=place_of(config, config.source.orthanc),
        remote_destination=place_of(
            config, destination.orthanc if destination else None, run_folder=str(run.folder) if overwrite else ""
        ),
        notes_content=not config.defaults.settings.keep_source,
    )


def place_of(config: Config, url: str | None, *, run_folder: str = "") -> OrthancPlace | None:
    """Return an Orthanc as worker processes get it, None without an address.

    Args:
        config: The effective one.
        url: The address.
        run_folder: Keeps what results replace; "" when nothing is to be replaced.

    """
    if url is None:
        return None
    return OrthancPlace(url, config.orthanc, load_credentials(config.orthanc), run_folder)


def results_place(config: Config) -> OrthancPlace | None:
    """Return the Orthanc that the results are on, None for a folder."""
    if config.engine == "orthanc":
        return place_of(config, config.source.orthanc)
    return place_of(config, config.destination.orthanc if config.destination else None)


@contextlib.contextmanager
def _orthanc_engine(run: Run) -> Iterator[Engine]:
    config = run.config
    assert config.source.orthanc is not None  # noqa: S101 (checked when the config was read)
    client = connect(config.source.orthanc, config.orthanc)
    with contextlib.closing(client):
        server = source_server(config, client)
        settings = OrthancEngineSettings(
            run_id=run.folder.name,
            nonce=run_nonce(run.ledger),
            hardening=config.hardening,
            reads_back=config.verify == "full",
            job_timeout_s=config.execution.job_timeout_seconds,
            parallel_jobs=config.orthanc.max_parallel_jobs,
        )
        yield OrthancEngine(client, server, LedgerJournal(run.ledger), settings)
