"""Whether each original has a result of its own, over the whole run: what no chunk by itself can show.

Public names: ``shared_results``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.dicom.identifiers import Level
from deidflow.tasks.core.dicom.tags import PATIENT_ID, SERIES_INSTANCE_UID, STUDY_INSTANCE_UID
from deidflow.tasks.core.ledger.manifest_rows import request_numbers
from deidflow.tasks.core.ledger.results import merged_results, repeated_results

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deidflow.tasks.core.ledger.ledger import Ledger
    from deidflow.tasks.core.request.request import Request

_LEVELS: Final = (
    (Level.SERIES, SERIES_INSTANCE_UID),
    (Level.STUDY, STUDY_INSTANCE_UID),
    (Level.PATIENT, PATIENT_ID),
)


def shared_results(ledger: Ledger) -> Mapping[int, str]:
    """Find instances that count as done and whose results are not theirs alone.

    Two patients, studies or series of the source become two, unless the request itself gives their identifier.

    Args:
        ledger: Of a run whose results were looked at one by one.

    Returns:
        What is wrong, in words, by the instance's number.

    """
    requests = ledger.requests
    found: dict[int, str] = {}
    numbers = request_numbers(ledger)
    left = {level: [one for one in numbers if not _gives(requests.get(one), tag)] for level, tag in _LEVELS}
    for level, merged in merged_results(ledger, left).items():
        text = f"its new {level.value} holds results of another {level.value} as well"
        found.update(dict.fromkeys(merged, text))
    found.update(dict.fromkeys(repeated_results(ledger), "its result is that of another instance, too"))
    return found


def _gives(request: Request, tag: int) -> bool:
    """Whether a request names the new value of an identifier."""
    return any(not path.is_nested and path.tag == tag for path in request.edits.replace)
