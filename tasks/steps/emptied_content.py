"""Which planned instances will lose their content to the profile: documents, reports and presentation states.

Public names: ``mark_emptied_content``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.dicom.tags import Path
from deidflow.tasks.core.engine.review import ReviewCode, content_of
from deidflow.tasks.core.ledger.planning import (
    forget_review,
    forget_review_code,
    kinds_of_objects,
    note_review,
)
from deidflow.tasks.core.request.profile_choice import Option
from deidflow.tasks.core.request.request import Operation
from deidflow.tasks.local.deidentification.orthanc_profiles import load_profile
from deidflow.tasks.local.editing.actions import Action

if TYPE_CHECKING:
    from deidflow.tasks.core.ledger.ledger import Ledger
    from deidflow.tasks.core.request.profile_choice import ProfileChoice
    from deidflow.tasks.core.request.request import Request


_KEPT_BY: Final = {Option.CLEAN_STRUCTURED_CONTENT: 0x0040A730, Option.CLEAN_GRAPHICS: 0x00700001}
"""ContentSequence and GraphicAnnotationSequence, whose items these options clean."""


def mark_emptied_content(ledger: Ledger, profile: ProfileChoice | None) -> None:
    """Note the code of review at each instance of a plan whose content the profile, or the request, empties.

    Args:
        ledger: With a plan.
        profile: The PS3.15 profile, which replaces all such content by a dummy unless an option cleans it; or None.

    """
    # What a modify makes still names its patient, and is not given away as de-identified.
    forget_review(ledger, Operation.ANONYMIZE)
    if profile is not None and profile.pixels is not None:
        # Each instance is decided on by the rules when it is read.
        forget_review_code(ledger, ReviewCode.BURNED_IN_TEXT, Operation.ANONYMIZE)
    requests = ledger.requests
    for number, sop_class_uid in kinds_of_objects(ledger, Operation.ANONYMIZE):
        tag = content_of(sop_class_uid)
        if tag is None:
            continue
        if profile is not None and tag == _KEPT_BY[Option.CLEAN_GRAPHICS] and Option.CLEAN_GRAPHICS in profile.options:
            note_review(ledger, ReviewCode.DRAWN_GRAPHICS, number, sop_class_uid)
        elif _is_emptied(tag, requests.get(number), profile):
            note_review(ledger, ReviewCode.CONTENT_EMPTIED, number, sop_class_uid)


def _is_emptied(tag: int, request: Request, profile: ProfileChoice | None) -> bool:
    path = Path((), tag)
    if path in request.edits.keep or path in request.edits.replace:
        return False
    if profile is not None:
        return all(tag != kept for option, kept in _KEPT_BY.items() if option in profile.options)
    rule = load_profile(request.settings.dicom_version).top.by_tag.get(tag)
    emptied = rule is not None and rule.action in (Action.EMPTY, Action.REMOVE)
    return emptied or path in request.edits.remove
