"""The engine that a config asks for, and where its results are.

Public names: ``open_engine``, ``locked_destination``, ``destination_folder``, ``source_of``, ``server_of``.
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
from deidflow.tasks.local.folder.source import FolderSource
from deidflow.tasks.local.folder.store import FolderStore, clear_partial_results
from deidflow.tasks.local.worker import WorkerSettings
from deidflow.tasks.orthanc.engine import OrthancEngine, OrthancEngineSettings
from deidflow.tasks.orthanc.replaced import Replaced
from deidflow.tasks.orthanc.store import OrthancServer, OrthancSource, OrthancStore
from deidflow.tasks.steps.access.journal import run_nonce
from deidflow.tasks.steps.access.servers import connect, server_identity, source_server
from deidflow.tasks.steps.run.settings import load_credentials

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from deidflow.tasks.core.config.config import Config
    from deidflow.tasks.core.engine.protocol import Engine
    from deidflow.tasks.core.engine.sources import InstanceSource
    from deidflow.tasks.core.engine.stores import ResultStore
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
    with contextlib.ExitStack() as stack:
        if run.config.destination is not None and run.config.destination.orthanc is not None:
            stack.enter_context(_prepared_server(run, run.config.destination.orthanc))
        else:
            stack.enter_context(_prepared_folder(run))
        yield stack.enter_context(LocalEngine(_worker_settings(run), *_workers(run.config)))


@contextlib.contextmanager
def _prepared_server(run: Run, url: str) -> Iterator[None]:
    """Put back, before and after, what an earlier attempt took from its place and did not replace."""
    with locked_destination(run.config), connect(url, run.config.orthanc) as client:
        replaced = Replaced(str(run.folder))
        replaced.put_back(client)
        try:
            yield
        finally:
            replaced.put_back_if_possible(client)


@contextlib.contextmanager
def _prepared_folder(run: Run) -> Iterator[None]:
    """Make the folder, and leave nothing half-written in it, before and after."""
    folder = destination_folder(run.config)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"the destination {folder} cannot be made: {os_error_text(error)}"
        raise Unusable(message, error) from None
    with locked_destination(run.config):
        _clear(folder)
        try:
            yield
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


def _worker_settings(run: Run) -> WorkerSettings:
    config = run.config
    return WorkerSettings(
        source=source_of(config),
        store=_store_of(run),
        key=run.key,
        scope=config.scope,
        hardening=config.hardening,
        profile=config.profile_choice,
        given=given_identifiers(run.ledger),
        originals=original_uids(run.ledger),
        notes_content=not config.defaults.settings.keep_source,
    )


def source_of(config: Config) -> InstanceSource:
    """Return where the originals are."""
    server = server_of(config, config.source.orthanc)
    return FolderSource(os.fsencode(str(config.source.folder))) if server is None else OrthancSource(server)


def _store_of(run: Run) -> ResultStore:
    destination = run.config.destination
    assert destination is not None  # noqa: S101 (checked when the config was read)
    server = server_of(run.config, destination.orthanc)
    if server is None:
        return FolderStore(str(destination_folder(run.config)), destination.overwrite)
    return OrthancStore(server, str(run.folder) if destination.overwrite else None)


def server_of(config: Config, url: str | None) -> OrthancServer | None:
    """Return an Orthanc as worker processes get it, None without an address."""
    if url is None:
        return None
    return OrthancServer(url, config.orthanc, load_credentials(config.orthanc))


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
