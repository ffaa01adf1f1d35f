"""Whether the original name or ID is left anywhere in a result, and overlays and curves at top level.

Public names: ``check_nothing_left``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pydicom.tag import BaseTag

from deidflow.tasks.core.dicom.tags import PATIENT_ID, PATIENT_NAME, Path, describe_tag
from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.verification.by_pydicom.raw import value_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from pydicom import Dataset

    from deidflow.tasks.core.request.request import Request
    from deidflow.tasks.verification.by_pydicom.references import Found, Identity

_CURVES_AND_OVERLAYS: Final = (0x50, 0x60)
_SEARCHED: Final = ((Path((), PATIENT_NAME), "PatientName"), (Path((), PATIENT_ID), "PatientID"))


def check_nothing_left(request: Request, source: Dataset, result: Dataset, identity: Collection[Found]) -> None:
    """Look for the original name and ID at any depth, and for overlays and curves at top level.

    Args:
        request: An anonymization with hardening.
        source: As pydicom reads it.
        result: Likewise.
        identity: What ``walk_identity`` finds in the result.

    Raises:
        InstanceFailed: ``identifier-left``, with the keyword or tag.

    """
    kept = {path.tag for path in request.edits.keep}
    for path_of_it, keyword in _SEARCHED:
        tag = path_of_it.tag
        original = str(value_of(source, BaseTag(tag)) or "").strip()
        if not original or tag in kept or str(request.edits.replace.get(path_of_it, "")).strip() == original:
            continue
        for path, element in identity:
            if path[-1] == tag and _text(element).strip() == original:
                raise InstanceFailed(ReasonCode.IDENTIFIER_LEFT, f"the original {keyword} is left in the result")
    named = {path.tag for path in (*request.edits.keep, *request.edits.replace)}
    for tag in result.keys():  # noqa: SIM118 (a Dataset iterates over elements)
        if tag >> 24 in _CURVES_AND_OVERLAYS and not tag.is_private and int(tag) not in named:
            raise InstanceFailed(ReasonCode.IDENTIFIER_LEFT, f"{describe_tag(int(tag))} is left in the result")


def _text(element: Identity) -> str:
    if isinstance(element, str):
        return element
    return "" if isinstance(element, tuple) else str(element.value or "")
