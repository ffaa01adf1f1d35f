"""``review.csv``: what a person should look at before the results are given away.

Public names: ``review_lines``, ``REVIEW_COLUMNS``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.ledger.report_queries import review_entries

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deidflow.tasks.core.ledger.ledger import Ledger

REVIEW_COLUMNS: Final = (
    "line",
    "new_patient_id",
    "new_study_instance_uid",
    "new_series_instance_uid",
    "new_sop_instance_uid",
    "new_orthanc_id",
    "reason",
)
"""Of ``review.csv``: one line per instance and reason, nothing of the originals."""


def review_lines(ledger: Ledger) -> Iterator[tuple[str, ...]]:
    """Yield what ``review.csv`` holds, in the order of ``REVIEW_COLUMNS``."""
    for line, *names in review_entries(ledger):
        yield str(line), *map(str, names)
