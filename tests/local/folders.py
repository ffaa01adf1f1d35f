"""Folders of generated instances, planned as the planner plans them.

Public names: ``write_instances``, ``planned``, ``settings_for``, ``engine_with``, ``processes_of``, ``contents``.
"""

from __future__ import annotations

import contextlib
import math
import os
from typing import TYPE_CHECKING

from deidflow.tasks.core.engine.protocol import PlannedInstance
from deidflow.tasks.core.engine.sources import SourceInstance
from deidflow.tasks.core.processes.workers import LocalWorkers, Role
from deidflow.tasks.core.pseudonyms.kept_identifiers import GivenIdentifiers
from deidflow.tasks.core.pseudonyms.new_identifiers import new_identifiers
from deidflow.tasks.core.pseudonyms.pseudonyms import Pseudonyms
from deidflow.tasks.core.request.request import Operation
from deidflow.tasks.local.engine import LocalEngine
from deidflow.tasks.local.folder.index import find_files, read_index_entries
from deidflow.tasks.local.folder.source import FolderSource
from deidflow.tasks.local.folder.store import PARTIAL_FOLDER, FolderStore
from deidflow.tasks.local.worker import WorkerSettings, start_worker
from tests.dicom_files import Element, instance
from tests.local.edits import KEY, SCOPE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import ProcessPoolExecutor
    from pathlib import Path

    from deidflow.tasks.core.request.request import Request


def write_instances(folder: Path, count: int) -> None:
    """Write so many instances of one series."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        data = Element(0x7FE00010, "OW", number.to_bytes(2, "little") * 100)
        file = instance(data, SOPInstanceUID=f"1.2.3.1.1.{number}", InstanceNumber=str(number))
        (folder / f"{number:04}").write_bytes(file)


def planned(folder: Path, request: Request) -> tuple[list[PlannedInstance], GivenIdentifiers]:
    """Plan every instance of a folder, and note what the request gives."""
    modify = request.operation is Operation.MODIFY
    pseudonyms = Pseudonyms(KEY, SCOPE, request.content_hash() if modify else None)
    root = os.fsencode(folder)
    paths = [path for path in find_files(root) if isinstance(path, bytes)]
    given = GivenIdentifiers()
    plan = []
    for number, entry in enumerate(read_index_entries(root, paths), 1):
        assert isinstance(entry, SourceInstance)
        new = new_identifiers(entry.identifiers, request, pseudonyms)
        given.add(entry.identifiers, entry.frame_of_reference_uid, request, new)
        plan.append(PlannedInstance(number, entry.path, entry.size, entry.mtime_ns, entry.identifiers, new))
    return plan, given


def settings_for(source: Path, destination: Path, given: GivenIdentifiers | None = None) -> WorkerSettings:
    """Return the settings of a run with the tests' key; the destination is made."""
    destination.mkdir(parents=True, exist_ok=True)
    return WorkerSettings(
        source=FolderSource(os.fsencode(source)),
        store=FolderStore(str(destination)),
        key=KEY,
        scope=SCOPE,
        hardening=True,
        given=given or GivenIdentifiers(),
    )


@contextlib.contextmanager
def engine_with(settings: WorkerSettings, count: int, chunk_timeout_s: float = math.inf) -> Iterator[LocalEngine]:
    """Give an engine with so many processes of its own."""
    with LocalWorkers(count, [Role(start_worker, settings)]) as workers:
        yield LocalEngine(workers, chunk_timeout_s)


def processes_of(engine: LocalEngine) -> ProcessPoolExecutor:
    """Return the pool of an engine whose processes have started."""
    workers = engine._workers
    assert isinstance(workers, LocalWorkers)
    assert workers._pool is not None
    return workers._pool


def contents(folder: Path) -> dict[str, bytes]:
    """Return every result of a destination by name."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and PARTIAL_FOLDER not in path.parts
    }
