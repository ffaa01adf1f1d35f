"""Delete the sources of rows that are done in full, for ``KeepSource: false``; the last step of a run.

Doing it again is safe, and leads to the same end: what is gone is gone, and counts as deleted.

Public names: ``delete_sources``, ``deletion_is_due``.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.identifiers import Level
from deidflow.tasks.core.outcomes import Outcome
from deidflow.tasks.orthanc.content import read_content
from deidflow.tasks.orthanc.mapping import delete_instances
from deidflow.tasks.servers import connect

if TYPE_CHECKING:
    from deidflow.tasks.progress import Progress
    from deidflow.tasks.run_folder import Run

_ENDED: Final = "deletion_ended"

# Evidence is noted when a result was read back and found right: without it an interrupted run would delete too early.
_DONE_ROWS: Final = f"""
SELECT m.line, m.request FROM manifest_row m WHERE m.verdict = ''
AND EXISTS (SELECT 1 FROM instance i WHERE i.line = m.line)
AND NOT EXISTS (SELECT 1 FROM instance i WHERE i.line = m.line AND (i.outcome <> '{Outcome.DONE}' OR i.evidence = ''))
ORDER BY m.line
"""  # noqa: S608 (constants only)

# Rows of a patient who has to be done again as a whole, in one call to an Orthanc.
_TORN: Final = f"""
SELECT EXISTS (
    SELECT 1 FROM instance i JOIN series s ON s.id = i.series
    JOIN series t ON t.patient = s.patient JOIN instance j ON j.series = t.id AND j.call = i.call
    WHERE i.line = ? AND j.outcome <> '{Outcome.DONE}')
"""  # noqa: S608 (constants only)


def deletion_is_due(run: Run) -> bool:
    """Whether sources are to be deleted and that step has not come to its end."""
    return not run.config.defaults.settings.keep_source and run.ledger.meta(_ENDED) is None


def delete_sources(run: Run, progress: Progress) -> int:
    """Delete the planned instances of rows that are done in full and verified; of files also their identical copies.

    What changed after the plan was frozen stays, and so do rows of a patient whom an Orthanc has to do again as a whole
    since another row of the same call is not done: without their sources their results could not be made again.

    Returns:
        How many instances' sources are gone by now.

    Raises:
        DeidflowError: The server cannot be used; some sources may be deleted.

    """
    if run.config.verify != "full" or run.stop.is_set() or not deletion_is_due(run):
        return 0
    lines = [line for line, request in run.ledger.select(_DONE_ROWS) if _may_go(run, line, request)]
    progress.start("deleting sources")
    url = run.config.source.orthanc
    gone = _delete_files(run, lines, progress) if url is None else _delete_on_server(run, url, lines)
    progress.finish()
    if run.stop.is_set():
        return gone
    with run.ledger.transaction():
        run.ledger.set_meta("sources_deleted", gone)
        run.ledger.set_meta(_ENDED, True)
    return gone


def _may_go(run: Run, line: int, request: int) -> bool:
    if run.requests.get(request).settings.keep_source:
        return False
    on_its_own = run.config.engine == "local" or run.requests.get(request).level() is Level.INSTANCE
    return on_its_own or not run.ledger.scalar(_TORN, (line,))


def _delete_on_server(run: Run, url: str, lines: list[int]) -> int:
    """Delete instances that are of the size that they were planned with, and no result of this run."""
    results = {name for (name,) in run.ledger.select("SELECT new_orthanc_id FROM instance WHERE new_orthanc_id <> ''")}
    sizes: dict[str, int] = {
        name: size
        for line in lines
        for name, size in run.ledger.select("SELECT orthanc_id, size FROM instance WHERE line = ?", (line,))
        if name not in results
    }
    with connect(url, run.config.orthanc) as client:
        there = {one.id: one.size for one in read_content(client, sizes)}
        delete_instances(client, [name for name, size in there.items() if size == sizes[name]])
    return len(sizes) - sum(size != sizes[name] for name, size in there.items())


def _delete_files(run: Run, lines: list[int], progress: Progress) -> int:
    folder = os.fsencode(str(run.config.source.folder or ""))
    gone = 0
    for line in lines:
        if run.stop.is_set():
            break
        for number, path, size, mtime_ns in run.ledger.select(
            "SELECT id, path, size, mtime_ns FROM instance WHERE line = ?", (line,)
        ):
            gone += _delete(folder, path, size, mtime_ns)
            for (copy,) in run.ledger.select("SELECT path FROM copy WHERE instance = ?", (number,)):
                _delete(folder, copy, size, None)
            progress.advance()
    return gone


def _delete(folder: bytes, path: bytes, size: int, mtime_ns: int | None) -> bool:
    """Delete a file that is what it was; return whether it is gone."""
    full = os.path.join(folder, path)  # noqa: PTH118 (bytes)
    try:
        status = os.lstat(full)
        if status.st_size == size and mtime_ns in (None, status.st_mtime_ns):
            os.unlink(full)  # noqa: PTH108 (bytes)
    except OSError:
        pass
    with contextlib.suppress(OSError):
        os.lstat(full)
        return False
    return True
