"""Delete the sources of rows that are done in full, for ``KeepSource: false``; the last step of a run.

Public names: ``delete_sources``.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tasks.core.outcomes import Outcome
from tasks.orthanc.mapping import delete_instances
from tasks.servers import connect

if TYPE_CHECKING:
    from tasks.progress import Progress
    from tasks.run_folder import Run


def delete_sources(run: Run, progress: Progress) -> int:
    """Delete the planned files of rows that are done in full and verified, with their identical copies.

    A file that changed after the plan was frozen stays.

    Returns:
        How many instances' files were deleted.

    """
    if run.config.verify != "full":
        return 0
    rows = run.ledger.select(
        "SELECT m.line, m.request FROM manifest_row m WHERE m.verdict = ''"
        " AND NOT EXISTS (SELECT 1 FROM instance i WHERE i.line = m.line AND i.outcome <> ?)",
        (Outcome.DONE,),
    )
    lines = [line for line, request in rows if not run.requests.get(request).settings.keep_source]
    if not lines:
        return 0
    deleted = 0
    progress.start("deleting sources")
    if run.config.source.orthanc is not None:
        deleted = _delete_on_server(run, run.config.source.orthanc, lines)
        lines = []
    folder = os.fsencode(str(run.config.source.folder or ""))
    for line in lines:
        for number, path, size, mtime_ns in run.ledger.select(
            "SELECT id, path, size, mtime_ns FROM instance WHERE line = ?", (line,)
        ):
            gone = _delete(folder, path, size, mtime_ns)
            for (copy,) in run.ledger.select("SELECT path FROM copy WHERE instance = ?", (number,)):
                _delete(folder, copy, size, None)
            deleted += gone
            progress.advance()
    progress.finish()
    run.ledger.set_meta("sources_deleted", run.ledger.meta("sources_deleted", 0) + deleted)
    return deleted


def _delete_on_server(run: Run, url: str, lines: list[int]) -> int:
    names = [
        name
        for line in lines
        for (name,) in run.ledger.select("SELECT orthanc_id FROM instance WHERE line = ?", (line,))
    ]
    with connect(url, run.config.orthanc) as client:
        delete_instances(client, names)
    return len(names)


def _delete(folder: bytes, path: bytes, size: int, mtime_ns: int | None) -> bool:
    full = os.path.join(folder, path)  # noqa: PTH118 (bytes)
    try:
        status = os.lstat(full)
        if status.st_size != size or (mtime_ns is not None and status.st_mtime_ns != mtime_ns):
            return False
        os.unlink(full)  # noqa: PTH108 (bytes)
    except OSError:
        return False
    return True
