"""What a source folder holds, as the planner sees it.

Public names: ``read_source``, ``mark_ambiguous``.
"""

from __future__ import annotations

import os
from collections import deque
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.engine.sources import SourceProblem
from deidflow.tasks.core.errors import InvalidInput
from deidflow.tasks.core.files.plain_files import trouble_with
from deidflow.tasks.core.ledger.source_records import fail_source, paths_of, repeated_instances
from deidflow.tasks.core.outcomes import Reason, ReasonCode
from deidflow.tasks.core.processes.pool import working_pool
from deidflow.tasks.local.folder.duplicates import are_equal
from deidflow.tasks.local.folder.index import find_files, read_index_entries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future, ProcessPoolExecutor

    from deidflow.tasks.core.engine.sources import SourceInstance
    from deidflow.tasks.core.ledger.ledger import Ledger
    from deidflow.tasks.steps.run.progress import Progress

    Found = list[bytes | SourceProblem]
    Entry = SourceInstance | SourceProblem
    Entries = list[Entry]
    Reader = Callable[[list[bytes]], Entries]

_BATCH: Final = 500
_BATCHES_AHEAD: Final = 8


def read_source(
    folder: str, workers: int, progress: Progress, *, with_attributes: bool = False, follow_links: bool = False
) -> Iterator[SourceInstance | SourceProblem]:
    """Read the identifiers of all files of a folder.

    Args:
        folder: The source folder.
        workers: Processes that read; small folders are read in this one.
        progress: Counts files.
        with_attributes: Also decode what an inventory shows.
        follow_links: Whether symbolic links are followed.

    Raises:
        InvalidInput: There is no such folder, or it cannot be read.

    """
    try:
        os.scandir(os.path.join(folder, ".")).close()  # noqa: PTH118 (the dot asks for the right to enter)
    except NotADirectoryError:
        raise InvalidInput(f"must be a folder: {folder}") from None
    except OSError as error:
        raise InvalidInput(trouble_with(Path(folder), error)) from None
    root = os.fsencode(folder)
    progress.start("reading headers")
    files = find_files(root, follow_links=follow_links)
    read = partial(read_index_entries, root, with_attributes=with_attributes, follow_links=follow_links)
    first = list(islice(files, _BATCH))
    rest = next(files, None)
    batches = _batches(first if rest is None else chain(first, [rest], files))
    if rest is None:
        yield from _in_order(((batch, read(_paths(batch))) for batch in batches), progress)
        return
    with working_pool(workers) as pool:
        yield from _in_order(_ahead(pool, read, batches), progress)


def _batches(files: Iterable[bytes | SourceProblem]) -> Iterator[Found]:
    iterator = iter(files)
    while batch := list(islice(iterator, _BATCH)):
        yield batch


def _paths(batch: Found) -> list[bytes]:
    return [item for item in batch if isinstance(item, bytes)]


def _ahead(pool: ProcessPoolExecutor, read: Reader, batches: Iterator[Found]) -> Iterator[tuple[Found, Entries]]:
    """Keep the workers busy without reading the whole folder ahead."""
    waiting: deque[tuple[Found, Future[Entries]]] = deque()
    for batch in batches:
        waiting.append((batch, pool.submit(read, _paths(batch))))
        if len(waiting) >= _BATCHES_AHEAD:
            done, future = waiting.popleft()
            yield done, future.result()
    for done, future in waiting:
        yield done, future.result()


def _in_order(read_batches: Iterable[tuple[Found, Entries]], progress: Progress) -> Iterator[Entry]:
    for batch, entries in read_batches:
        progress.advance(len(batch))
        yield from entries
        yield from (item for item in batch if isinstance(item, SourceProblem))


def mark_ambiguous(ledger: Ledger, folder: str) -> None:
    """Compare files that claim to be one instance; where they differ the instance is ``failed``.

    Called before the planner joins equal ones.
    """
    root = os.fsencode(folder)
    for orthanc_id in repeated_instances(ledger):
        paths = paths_of(ledger, orthanc_id)
        if not are_equal(root, paths):
            text = f"{len(paths)} different files claim to be this instance"
            fail_source(ledger, orthanc_id, Reason(ReasonCode.AMBIGUOUS_SOURCE, text))
