"""What stands in the place of an encapsulated document, by the SOP class of the object that holds it.

Public names: ``document_rules``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.dicom.tags import ENCAPSULATED_DOCUMENT
from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.core.request.profile_choice import PROFILE_NAME
from deidflow.tasks.local.deidentification.content.documents import EMPTY_CDA, empty_pdf
from deidflow.tasks.local.editing.actions import Action, Rule

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deidflow.tasks.core.request.edits import Value
    from deidflow.tasks.local.editing.actions import Original
    from deidflow.tasks.local.editing.references import InstanceIdentifiers

_LENGTH: Final = 0x00420015
_EMPTY: Final = {
    "1.2.840.10008.5.1.4.1.1.104.1": empty_pdf(),
    "1.2.840.10008.5.1.4.1.1.104.2": EMPTY_CDA,
}
"""Classes whose documents are replaced as a whole (PS3.4 annex B.5)."""


def document_rules(sop_class: str) -> Mapping[int, Rule]:
    """Return the rules for EncapsulatedDocument and its length; objects of other classes that have one are refused."""
    origin = f"{PROFILE_NAME}: D, a document without content"
    empty = _EMPTY.get(sop_class)
    if empty is None:
        return {ENCAPSULATED_DOCUMENT: Rule(Action.DUMMY, origin, _refuse)}
    content = empty.decode("ascii")

    def document(original: Original, _: InstanceIdentifiers) -> Value | None:
        return None if original.is_given else content

    def length(original: Original, _: InstanceIdentifiers) -> Value | None:
        return None if original.is_given else str(len(content))

    return {
        ENCAPSULATED_DOCUMENT: Rule(Action.DUMMY, origin, document),
        _LENGTH: Rule(Action.DUMMY, origin, length),
    }


def _refuse(original: Original, _: InstanceIdentifiers) -> Value | None:
    if original.is_given:
        return None
    text = (
        "an encapsulated document that is neither PDF nor CDA: name EncapsulatedDocument in Keep, if it may stay as it "
        "is, or in Remove, which leaves an object without one"
    )
    raise InstanceFailed(ReasonCode.UNSAFE_CONTENT, text)
