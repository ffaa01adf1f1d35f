"""Which source and store a config asks for: the one place that asks whether something is a folder or an Orthanc.

What speaks to a server is imported when there is one, since that takes a seventh of the time of a short command.

Public names: ``source_of``, ``store_of``, ``named_by``, ``inventory_of``.
"""

from __future__ import annotations

import os
import re
from contextlib import closing
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.config.types import is_address
from deidflow.tasks.core.errors import InvalidInput
from deidflow.tasks.core.processes.workers import LocalWorkers
from deidflow.tasks.steps.access.folder import FolderOfOriginals, FolderOfResults
from deidflow.tasks.steps.access.folder_contents import read_source

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from deidflow.tasks.core.config.config import Config
    from deidflow.tasks.core.dicom.identifiers import Level
    from deidflow.tasks.core.engine.sources import SourceInstance, SourceProblem
    from deidflow.tasks.core.manifest.conditions import Find
    from deidflow.tasks.steps.access.seams import RunSource, RunStore
    from deidflow.tasks.steps.run.progress import Progress

_LIKE_AN_ADDRESS: Final = re.compile(r"[A-Za-z][A-Za-z0-9+-]+:/.*|[\w.-]+:[0-9]{1,5}(?:/.*)?")
"""Another scheme, or host and port without one; no folder on a drive of Windows."""


def source_of(config: Config) -> RunSource:
    """Return where the originals are."""
    if config.source.orthanc is not None:
        from deidflow.tasks.steps.access.orthanc import OrthancOfOriginals  # noqa: PLC0415 (imports httpx)

        return OrthancOfOriginals(config.source.orthanc, config.orthanc)
    assert config.source.folder is not None  # noqa: S101 (checked when the config was read)
    return FolderOfOriginals(config.source.folder, follow_links=config.source.follow_links)


def store_of(config: Config) -> RunStore:
    """Return where the results go."""
    destination = config.destination
    if destination is None:  # engine orthanc
        assert config.source.orthanc is not None  # noqa: S101 (checked when the config was read)
        from deidflow.tasks.steps.access.orthanc import OrthancOfResults  # noqa: PLC0415 (imports httpx)

        return OrthancOfResults(config.source.orthanc, config.orthanc, overwrite=False, edits=True)
    if destination.orthanc is not None:
        from deidflow.tasks.steps.access.orthanc import OrthancOfResults  # noqa: PLC0415 (imports httpx)

        return OrthancOfResults(destination.orthanc, config.orthanc, overwrite=destination.overwrite, edits=False)
    assert destination.folder is not None  # noqa: S101
    mode = None if destination.mode is None else int(destination.mode, 8)
    return FolderOfResults(destination.folder, overwrite=destination.overwrite, mode=mode)


def named_by(config: Config) -> tuple[RunSource | None, RunStore | None]:
    """Return source and store of a config that may be unsound, each None where it names none."""
    source, destination = config.source, config.destination
    has_source = bool(source.orthanc or source.folder)
    has_store = bool(source.orthanc if destination is None else destination.orthanc or destination.folder)
    if destination is None and config.engine == "local":
        has_store = False
    return source_of(config) if has_source else None, store_of(config) if has_store else None


def inventory_of(
    source: str, level: Level, progress: Progress, finds: Iterable[Find] | None = None, *, follow_links: bool = False
) -> Iterator[SourceInstance | SourceProblem]:
    """Read what a folder or an Orthanc holds.

    Args:
        source: A path, or an ``http(s)://`` address; credentials come from ORTHANC_USERNAME and ORTHANC_PASSWORD.
        level: Whose attributes are wanted.
        progress: Counts files or instances.
        finds: Studies that are enough, each as a whole: an Orthanc is asked for them, a folder is read to its end. None
            for everything.
        follow_links: Whether symbolic links in a folder are followed.

    Raises:
        InvalidInput: There is no such folder, or the address is none, or lacks its ``http://``.
        DeidflowError: See ``deidflow.tasks.orthanc.connection.errors``.

    """
    if is_address(source):
        from deidflow.tasks.steps.access.servers import read_server_inventory  # noqa: PLC0415 (imports httpx)

        yield from read_server_inventory(source, level, progress, finds)
        return
    if _LIKE_AN_ADDRESS.fullmatch(source) and not os.path.lexists(source):
        text = "must be a folder, or the address of an Orthanc that begins with http:// or https://"
        raise InvalidInput(f"{text}: {source}")
    with closing(LocalWorkers(os.cpu_count() or 1, ())) as workers:
        yield from read_source(source, workers, progress, with_attributes=True, follow_links=follow_links)
