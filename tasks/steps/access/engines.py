"""Who edits and verifies a run: its engine, and the workers that this shares with the verification.

Public names: ``Work``, ``open_work``, ``verifying_workers``.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, NamedTuple

from deidflow.tasks.core.ledger.journal import LedgerJournal
from deidflow.tasks.core.ledger.manifest_rows import count_rows
from deidflow.tasks.core.ledger.run_facts import run_nonce
from deidflow.tasks.core.plan.planner import given_identifiers, original_uids
from deidflow.tasks.core.processes.workers import HereWorkers, Role
from deidflow.tasks.core.request.request import Operation
from deidflow.tasks.local.engine import LocalEngine
from deidflow.tasks.local.worker import WorkerSettings, start_worker
from deidflow.tasks.orthanc.engine import OrthancEngine, OrthancEngineSettings
from deidflow.tasks.steps.access.choice import source_of, store_of
from deidflow.tasks.steps.access.servers import connect, source_server
from deidflow.tasks.steps.access.workers import opened_workers
from deidflow.tasks.steps.run.uid_map import MAP_FILE, uid_map_bytes
from deidflow.tasks.verification.in_worker import start_verifier
from deidflow.tasks.verification.verifier import ThirdJudge, VerifierSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deidflow.tasks.core.engine.protocol import Engine
    from deidflow.tasks.core.processes.workers import Workers
    from deidflow.tasks.steps.run.run import Run


class Work(NamedTuple):
    """What a run is done with.

    Attributes:
        engine: Edits.
        workers: Verify as the config asks; where the engine is local, they edit, too.

    """

    engine: Engine
    workers: Workers


@contextlib.contextmanager
def open_work(run: Run) -> Iterator[Work]:
    """Lock the destination and give what a run is done with.

    Raises:
        Unusable: The server cannot be used, the destination cannot be made or written, another run writes to it, or
            the cluster cannot be used.

    """
    verify = run.config.verify
    with store_of(run.config).prepared(run):
        if run.config.engine == "orthanc":
            with _orthanc_engine(run) as engine, verifying_workers(run, verify) as workers:
                yield Work(engine, workers)
            return
        roles = (Role(start_worker, _worker_settings(run)), *_verifying_roles(run, verify))
        with opened_workers(run.config, roles) as workers:
            yield Work(LocalEngine(workers, run.config.execution.job_timeout_seconds), workers)


@contextlib.contextmanager
def verifying_workers(run: Run, verify: str) -> Iterator[Workers]:
    """Give the workers of a verification by itself.

    Args:
        run: Open.
        verify: ``full``, ``deep`` (full, and pydicom reads each), ``identifiers`` or ``none``.

    Raises:
        Unusable: The cluster cannot be used.

    """
    roles = _verifying_roles(run, verify)
    if verify == "none" or (verify == "identifiers" and store_of(run.config).presence.only_waits):
        yield HereWorkers(roles)
        return
    with opened_workers(run.config, roles) as workers:
        yield workers


def _verifying_roles(run: Run, verify: str) -> tuple[Role, ...]:
    if verify == "none":
        return ()
    store = store_of(run.config)
    if verify == "identifiers":
        return (Role(store.presence.start, store.presence.settings),)
    anonymizes = bool(count_rows(run.ledger, Operation.ANONYMIZE))
    is_far = run.config.execution.runner == "dask"
    settings = VerifierSettings(
        source=source_of(run.config).instances,
        results=store.results(run),
        hardening=run.config.hardens,
        profile=run.config.profile_choice,
        written_by_server=run.config.engine == "orthanc",
        # Other machines do not see the run folder; for those of this one the file is written when it is needed.
        uid_map=(uid_map_bytes(run) if is_far else str(run.folder / MAP_FILE)) if anonymizes else None,
        pydicom=ThirdJudge.ALL if verify == "deep" else ThirdJudge.SAMPLE,
    )
    return (Role(start_verifier, settings),)


def _worker_settings(run: Run) -> WorkerSettings:
    config = run.config
    return WorkerSettings(
        source=source_of(config).instances,
        store=store_of(config).results(run),
        key=run.key,
        scope=config.scope,
        hardening=config.hardening,
        profile=config.profile_choice,
        given=given_identifiers(run.ledger),
        originals=original_uids(run.ledger),
        notes_content=not config.defaults.settings.keep_source,
    )


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
