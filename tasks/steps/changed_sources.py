"""Source files that were fetched again or corrected after the plan was frozen, taken by ``resume`` as they are now.

Public names: ``take_again``.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers
from deidflow.tasks.core.engine.result_paths import relative_path
from deidflow.tasks.core.engine.sources import SourceInstance
from deidflow.tasks.core.outcomes import Outcome, ReasonCode, reason_text
from deidflow.tasks.local.folder.index import read_index_entries
from deidflow.tasks.steps.access.engines import destination_folder, results_place
from deidflow.tasks.steps.findings import remove_result

if TYPE_CHECKING:
    from deidflow.tasks.steps.run.run_folder import Run

_FAILED: Final = f"i.outcome IN ('{Outcome.FAILED}', '{Outcome.MISSING}')"
_UNVERIFIED: Final = f"i.outcome = '{Outcome.DONE}' AND i.verified = ''"
_CANDIDATES: Final = """
SELECT i.id, i.path, i.size, i.mtime_ns, i.is_there, s.patient_id, s.study_instance_uid, s.series_instance_uid,
    i.sop_instance_uid, t.patient_id, t.study_instance_uid, t.series_instance_uid, i.new_sop_instance_uid
FROM instance i JOIN series s ON s.id = i.series LEFT JOIN target t ON t.id = i.target WHERE {}
"""


def take_again(run: Run) -> None:
    """Take source files of what failed as they are now, where they hold the instance that was planned.

    Called before that gets another try. The same is done with a file that changed after it was edited and before
    its result was verified in full: nothing could ever say whether that result is right, so it goes and is made anew.
    """
    folder = run.config.source.folder
    if folder is None:
        return
    wanted = _FAILED
    if run.config.verify == "full" and results_place(run.config) is None:
        wanted = f"({_FAILED} OR ({_UNVERIFIED}))"
    root = os.fsencode(str(folder))
    for number, path, size, mtime_ns, is_there, *names in run.ledger.select(_CANDIDATES.format(wanted)):
        if not _has_changed(os.path.join(root, bytes(path)), size, mtime_ns):  # noqa: PTH118 (bytes)
            continue
        (entry,) = read_index_entries(root, [bytes(path)])
        if not isinstance(entry, SourceInstance) or entry.identifiers != DicomIdentifiers(*names[:4]):
            continue
        if is_there and results_place(run.config) is None and not _withdrawn(run, number, DicomIdentifiers(*names[4:])):
            continue
        run.ledger.execute(
            "UPDATE instance SET size = ?, mtime_ns = ?, content = '' WHERE id = ?",
            (entry.size, entry.mtime_ns, number),
        )


def _has_changed(path: bytes, size: int, mtime_ns: int) -> bool:
    try:
        now = os.stat(path, follow_symlinks=False)  # noqa: PTH116 (bytes)
    except OSError:
        return False
    return (now.st_size, now.st_mtime_ns) != (size, mtime_ns)


def _withdrawn(run: Run, number: int, new: DicomIdentifiers) -> bool:
    """Take the result of a file as it was out of the destination; return whether it is gone."""
    # First that it does not count: a process that is killed in between is followed by one that finds it so.
    run.ledger.execute(
        "UPDATE instance SET outcome = ?, reason = ?, verified = '', evidence = '' WHERE id = ?",
        (Outcome.FAILED, reason_text(ReasonCode.SOURCE_CHANGED), number),
    )
    if not remove_result(str(destination_folder(run.config)), relative_path(new)):
        return False
    run.ledger.execute("UPDATE instance SET is_there = 0 WHERE id = ?", (number,))
    return True
