"""What kind of identifying value an attribute holds, by its value representation and its name in the dictionary.

Source: DICOM PS3.5 section 6.2 and PS3.6 (edition 2026c).

Public names: ``Kind``, ``kind_of``, ``names_somebody``, ``STRUCTURED``, ``NUMERIC``.
"""

from __future__ import annotations

import re
from enum import IntEnum, auto
from functools import lru_cache
from typing import Final

from pydicom.datadict import keyword_for_tag

from deidflow.tasks.core.dicom.tags import dictionary_vr


class Kind(IntEnum):
    """What a value tells somebody by."""

    PERSON = auto()
    IDENTIFIER = auto()
    """Numbers and short texts that were given to one person, visit, order or device."""
    PLACE = auto()
    """Institutions, departments, addresses."""
    PHONE = auto()
    TEXT = auto()
    """Comments, histories, remarks: what somebody wrote of this patient."""
    DESCRIPTOR = auto()
    """Names of studies, series and protocols, which many patients share; what they hold of one is looked for."""
    CLEANED = auto()
    """Texts of which the profile leaves the words that tell nobody."""
    CLEANED_PLACE = auto()
    """Likewise: titles of applications, which are often called by what they do and a number (MAMMO1)."""
    DATE = auto()
    TIME = auto()
    DATE_TIME = auto()
    AGE = auto()
    UID = auto()


STRUCTURED: Final = frozenset({"AS", "AT", "DA", "DT", "TM", "UI"})
"""Value representations that say what a value is: a date that the profile keeps as a date is no secret."""
NUMERIC: Final = frozenset("DS FD FL IS OB OD OF OL OV OW SL SS SV UL US UV".split())  # noqa: SIM905 (a list of codes)
"""Those of measured values, in which a number stands by chance."""

_BY_VR: Final = {
    "PN": Kind.PERSON,
    "DA": Kind.DATE,
    "DT": Kind.DATE_TIME,
    "TM": Kind.TIME,
    "AS": Kind.AGE,
    "UI": Kind.UID,
    "AE": Kind.PLACE,
    "UR": Kind.TEXT,
}
_TEXTS: Final = frozenset({"LO", "LT", "SH", "ST", "UC", "UT"})
_IDENTIFIER: Final = re.compile(r"(?:IDs?|Numbers?|Identifiers?|UDI|Value)$|Identifier|OrderNumber|Locator$")
_NUMBER_OF: Final = re.compile(r"(?:IDs?|Number|Identifier)$")
"""Also of what issued it, or of a place."""
_PLACE: Final = re.compile(
    r"Institution|Address|Location|Residence|Department|StationName|Facility|(?<!SchemeResponsible)Organization"
    r"|Issuer|Sponsor|SiteName|CoordinatingCenter|InsurancePlan|TopicAuthor|ReligiousPreference|Occupation"
)
_DESCRIPTOR: Final = re.compile(
    r"(?:Description|Protocol|Meaning|Label|Agent|Purpose\w*|Route|Technique|Text|Title|TopicSubject|TopicKeywords"
    r"|Status\w*|SchemeResponsibleOrganization"
    r"|(?:Protocol|ROI|Set|Plan|Template|Model|Machine|Montage|Entity)Name|Lens\w*|GPS\w*|Manufacturer|UTC"
    r"|Sites?)$"
)
_PHONE: Final = re.compile(r"Telephone|Telecom|CallbackPhone")
_BY_NAME: Final = (
    (_PHONE, Kind.PHONE),
    (_NUMBER_OF, Kind.IDENTIFIER),
    (_PLACE, Kind.PLACE),
    (_IDENTIFIER, Kind.IDENTIFIER),
    (_DESCRIPTOR, Kind.DESCRIPTOR),
)
_CODED_WHO: Final = re.compile(r"(?:PersonIdentification|InstitutionCode|DepartmentType|InsurancePlan)")


@lru_cache(maxsize=8192)
def kind_of(tag: int, vr: str) -> Kind | None:
    """Return the kind of an attribute's values; None for codes, measured values, pixels and what else tells nobody.

    Args:
        tag: Of the element.
        vr: As the file has it; "" or ``UN`` where it does not say.

    """
    if vr in {"", "UN"}:
        vr = (dictionary_vr(tag) or "").split(" or ")[0]
    if vr in _BY_VR:
        return _BY_VR[vr]
    if vr not in _TEXTS or tag & 0x10000:
        return None
    keyword = keyword_for_tag(tag)
    return next((kind for pattern, kind in _BY_NAME if pattern.search(keyword)), Kind.TEXT)


@lru_cache(maxsize=1024)
def names_somebody(tag: int) -> bool:
    """Whether the codes in a sequence stand for a person or an institution."""
    return bool(_CODED_WHO.search(keyword_for_tag(tag)))
