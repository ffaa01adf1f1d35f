"""Delete the sources of rows that are done in full, for ``KeepSource: false``; the last step of a run.

Doing it again is safe, and leads to the same end: what is gone is gone, and counts as deleted.

Public names: ``delete_sources``, ``deletion_is_due``.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from deidflow.tasks.core.dicom.identifiers import Level
from deidflow.tasks.core.files.beneath import delete_plain_file, open_folder, open_plain_file
from deidflow.tasks.core.files.plain_files import NotPlainError
from deidflow.tasks.core.ledger.results import (
    duplicates_of,
    result_names,
    rows_done_in_full,
    shares_a_torn_patient,
    sources_of_row,
)
from deidflow.tasks.core.ledger.run_facts import change_facts, read_facts
from deidflow.tasks.core.report.totals import DeletedSources
from deidflow.tasks.orthanc.resources.bulk_content import read_content
from deidflow.tasks.orthanc.resources.results import delete_instances
from deidflow.tasks.steps.access.servers import connect
from deidflow.tasks.verification.structure import content_hash

if TYPE_CHECKING:
    from deidflow.tasks.steps.run.progress import Progress
    from deidflow.tasks.steps.run.run_folder import Run


def deletion_is_due(run: Run) -> bool:
    """Whether sources are to be deleted and that step has not come to its end."""
    return not run.config.defaults.settings.keep_source and not read_facts(run.ledger).deletion_ended


def delete_sources(run: Run, progress: Progress) -> DeletedSources | None:
    """Delete the planned instances of rows that are done in full and verified; of files also their identical copies.

    What is deleted is what was read, byte for byte; anything else in its place stays. So do rows of a patient whom an
    Orthanc has to do again as a whole since another row of the same call is not done: without their sources their
    results could not be made again.

    Returns:
        What became of them, noted in the ledger, too; None when nothing is to be deleted, or not yet.

    Raises:
        DeidflowError: The server cannot be used; some sources may be deleted.

    """
    if run.config.verify != "full" or run.stop.is_set() or not deletion_is_due(run):
        return None
    lines = [line for line, request in rows_done_in_full(run.ledger) if _may_go(run, line, request)]
    progress.start("deleting sources")
    url = run.config.source.orthanc
    sources = _delete_files(run, lines, progress) if url is None else _delete_on_server(run, url, lines)
    progress.finish()
    ended = not (run.stop.is_set() or sources.not_deleted)  # else `resume` goes on
    change_facts(
        run.ledger,
        lambda facts: replace(facts, deleted_sources=asdict(sources), deletion_ended=ended or facts.deletion_ended),
    )
    return sources


def _may_go(run: Run, line: int, request: int) -> bool:
    if run.ledger.requests.get(request).settings.keep_source:
        return False
    on_its_own = run.config.engine == "local" or run.ledger.requests.get(request).level() is Level.INSTANCE
    return on_its_own or not shares_a_torn_patient(run.ledger, line)


def _delete_on_server(run: Run, url: str, lines: list[int]) -> DeletedSources:
    """Delete instances whose stored file is the one that was planned, and that are no result of this run.

    A later version under the same identifiers has another FileUuid, and stays.
    """
    results = result_names(run.ledger)
    planned = {
        one.orthanc_id: one.content
        for line in lines
        for one in sources_of_row(run.ledger, line)
        if one.orthanc_id not in results
    }
    with connect(url, run.config.orthanc) as client:
        there = {one.id: one.file_uuid for one in read_content(client, planned)}
        same = [name for name, content in there.items() if content and content == planned[name]]
        delete_instances(client, same)
    changed = len(there) - len(same)
    return DeletedSources(len(planned) - changed, changed=changed)


def _delete_files(run: Run, lines: list[int], progress: Progress) -> DeletedSources:
    """Delete files that hold what was read when their results were made; links are not followed."""
    folder = str(run.config.source.folder or "")
    # A link in its place, or another folder: what is in it was not planned.
    is_planned = os.path.realpath(folder) == read_facts(run.ledger).source_folder
    ends: Counter[bool | None] = Counter()
    for line in lines:
        if run.stop.is_set():
            break
        for one in sources_of_row(run.ledger, line):
            paths = [one.path, *duplicates_of(run.ledger, one.id)]
            of_all = [is_planned and _delete(folder, path, one.size, one.content) for path in paths]
            ends[None if None in of_all else all(of_all)] += 1
            progress.advance()
    return DeletedSources(ends[True], ends[None], ends[False])


def _delete(folder: str, path: bytes, size: int, content: str) -> bool | None:
    """Delete a file that holds what was read; return whether it is gone, None when the system let nobody look."""
    above, _, name = path.rpartition(b"/")
    try:
        with open_folder(folder, above) as parent:
            descriptor = open_plain_file(parent, name)
            with os.fdopen(descriptor, "rb") as file:
                same = bool(content) and os.fstat(descriptor).st_size == size and content_hash(file) == content
                return same and delete_plain_file(parent, name, descriptor)
    except FileNotFoundError:
        return True if os.path.isdir(folder) else None  # noqa: PTH112 (not when the whole folder is away)
    except NotPlainError:
        return False
    except OSError:
        return None
