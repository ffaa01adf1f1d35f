"""What a run delivered, for whoever hands it over: nothing of it tells of an original.

Public names: ``delivered_lines``, ``DELIVERED_COLUMNS``.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.dicom.tags import MODALITY, Path
from deidflow.tasks.core.engine.result_paths import relative_path
from deidflow.tasks.core.ledger.report_queries import delivered_entries
from deidflow.tasks.core.ledger.run_facts import read_facts
from deidflow.tasks.core.report.crosswalk import has_files

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deidflow.tasks.core.ledger.ledger import Ledger

DELIVERED_COLUMNS: Final = (
    *("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "orthanc_id", "Modality", "file"),
)


def delivered_lines(ledger: Ledger) -> Iterator[tuple[str, ...]]:
    """Yield the results that are done, in the order of their identifiers.

    ``file`` is relative to the destination folder, and empty where results are on an Orthanc. Modality is that of the
    original, which every profile keeps, unless the row's request says otherwise.
    """
    are_files = has_files(read_facts(ledger))
    path = Path((), MODALITY)

    @cache
    def asked(request: int | None) -> str | None:
        if request is None:
            return None
        edits = ledger.requests.get(request).edits
        if path in edits.remove:
            return ""
        value = edits.replace.get(path)
        return value if isinstance(value, str) else None

    for entry in delivered_entries(ledger):
        said = asked(entry.request)
        modality = entry.modality if said is None else said
        yield (*entry.names, entry.orthanc_id, modality, relative_path(entry.names) if are_files else "")
