"""What a source folder holds, as the planner sees it.

Public names: ``read_source``, ``mark_ambiguous``, ``index_role``.
"""

from __future__ import annotations

import os
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.engine.sources import ProblemCode, SourceProblem
from deidflow.tasks.core.errors import InvalidInput, TransientError
from deidflow.tasks.core.files.plain_files import trouble_with
from deidflow.tasks.core.ledger.source_records import fail_source, paths_of, repeated_instances
from deidflow.tasks.core.outcomes import Reason, ReasonCode
from deidflow.tasks.core.processes.in_order import done_in_order
from deidflow.tasks.core.processes.workers import Role
from deidflow.tasks.local.folder.duplicates import are_equal
from deidflow.tasks.local.folder.index import find_files, read_index_entries

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from deidflow.tasks.core.engine.sources import SourceInstance
    from deidflow.tasks.core.ledger.ledger import Ledger
    from deidflow.tasks.core.processes.workers import Workers
    from deidflow.tasks.local.folder.source import FolderSource
    from deidflow.tasks.steps.run.progress import Progress

    Found = list[bytes | SourceProblem]
    Entry = SourceInstance | SourceProblem
    Entries = list[Entry]

_BATCH: Final = 500


def index_role(source: FolderSource) -> Role:
    """Return what workers are to be able to do to read the headers of a folder: they must see it."""
    return Role(_begin, source)


def _begin(source: FolderSource) -> None:
    del source  # every batch says what is to be read


def read_source(
    folder: str, workers: Workers, progress: Progress, *, with_attributes: bool = False, follow_links: bool = False
) -> Iterator[SourceInstance | SourceProblem]:
    """Read the identifiers of all files of a folder.

    Args:
        folder: The source folder.
        workers: Who reads; small folders are read here.
        progress: Counts files.
        with_attributes: Also decode what an inventory shows.
        follow_links: Whether symbolic links are followed.

    Raises:
        InvalidInput: There is no such folder, or it cannot be read.
        Unusable: Worker processes cannot be started, or die.

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
    read = partial(_read, root, with_attributes=with_attributes, follow_links=follow_links)
    first = list(islice(files, _BATCH))
    rest = next(files, None)
    if rest is None:
        yield from _entries([(first, read(first))], progress)
        return
    batches = _batches(chain(first, [rest], files))
    yield from _entries(done_in_order(workers, read, batches, stop=_go_on, doubts=_are_unseen), progress)


def _batches(files: Iterable[bytes | SourceProblem]) -> Iterator[Found]:
    iterator = iter(files)
    while batch := list(islice(iterator, _BATCH)):
        yield batch


def _read(root: bytes, batch: Found, *, with_attributes: bool, follow_links: bool) -> Entries:
    """Read what was found to be files."""
    paths = [item for item in batch if isinstance(item, bytes)]
    return read_index_entries(root, paths, with_attributes=with_attributes, follow_links=follow_links)


def _go_on() -> None:
    """Reading headers is stopped by an exception only."""


def _are_unseen(entries: Entries | TransientError) -> bool:
    """Whether another machine may not have seen a file yet that stands in a folder (attribute caches of NFS)."""
    return isinstance(entries, TransientError) or any(
        isinstance(one, SourceProblem) and one.code in {ProblemCode.UNREADABLE, ProblemCode.EMPTY} for one in entries
    )


def _entries(read_batches: Iterable[tuple[Found, Entries]], progress: Progress) -> Iterator[Entry]:
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
