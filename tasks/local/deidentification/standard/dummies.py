"""Dummy values: valid for their VR, the same for everybody, and without a trace of the original (Table E.1-1a, D).

Public names: ``DUMMY_DATE``, ``DUMMY_TIME``, ``DUMMY_TEXT``, ``dummy_value``, ``dummy_items``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from deidflow.tasks.local.deidentification.standard.code_items import CodeItem

if TYPE_CHECKING:
    from deidflow.tasks.core.request.edits import Item

DUMMY_DATE: Final = "20000101"
DUMMY_TIME: Final = "000000"
DUMMY_TEXT: Final = "REMOVED"

_BY_VR: Final[dict[str, str]] = {
    "AE": DUMMY_TEXT,
    "AS": "000Y",
    "AT": "00080000",
    "CS": DUMMY_TEXT,
    "DA": DUMMY_DATE,
    "DS": "0",
    "DT": DUMMY_DATE + DUMMY_TIME,
    "IS": "0",
    "LO": DUMMY_TEXT,
    "LT": DUMMY_TEXT,
    "PN": "Removed^",
    "SH": DUMMY_TEXT,
    "ST": DUMMY_TEXT,
    "TM": DUMMY_TIME,
    "UC": DUMMY_TEXT,
    "UR": "about:blank",
    "UT": DUMMY_TEXT,
} | dict.fromkeys(("FD", "FL", "SL", "SS", "SV", "UL", "US", "UV"), "0")

_OCTETS: Final = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
_OCTETS_OF_ONE_VALUE: Final = bytes(8)
"""One word of the widest VR, OD and OV; a multiple of every other's."""

# Where only certain terms are allowed (PS3.3, edition 2026d).
_BY_TAG: Final[dict[int, str]] = {
    0x00100040: "O",  # PatientSex, section C.7.1.1
    0x00102203: "UNALTERED",  # PatientSexNeutered, section C.7.1.1
    0x04000565: "CORRECT",  # ReasonForTheAttributeModification, section C.12.1.1.9
    0x00080201: "+0000",  # TimezoneOffsetFromUTC, section C.12.1: an SH of a fixed form
}

_REMOVED_CODE: Final = (CodeItem("REMOVED", "Removed", "99DEIDFLOW").as_item(),)
_COMMENT: Final = (CodeItem("121106", "Comment").as_item(),)
_NO_INSTANCE: Final = "2.25.0"

_ITEMS: Final[dict[int, tuple[Item, ...]]] = {
    # Code sequences: one code of our own scheme, which says that there was one.
    0x00080082: _REMOVED_CODE,  # InstitutionCodeSequence
    0x00401101: _REMOVED_CODE,  # PersonIdentificationCodeSequence
    0x0040A168: _REMOVED_CODE,  # ConceptCodeSequence
    0x0040A088: _REMOVED_CODE,  # VerifyingObserverIdentificationCodeSequence
    # OperatorIdentificationSequence: Person Identification Macro (PS3.3 table 10-1)
    0x00081072: (
        (
            (0x00080080, DUMMY_TEXT),
            (0x00401101, _REMOVED_CODE),
        ),
    ),
    # ReferencedPerformedProcedureStepSequence: SOP Instance Reference Macro (table 10-11)
    0x00081111: (
        (
            (0x00081150, "1.2.840.10008.3.1.2.3.3"),
            (0x00081155, _NO_INSTANCE),
        ),
    ),
    # VerifyingObserverSequence (PS3.3 section C.17.2)
    0x0040A073: (
        (
            (0x0040A027, DUMMY_TEXT),
            (0x0040A030, DUMMY_DATE + DUMMY_TIME),
            (0x0040A075, "Removed^"),
            (0x0040A088, ()),
        ),
    ),
    # ContentSequence: one comment (PS3.3 section C.17.3)
    0x0040A730: (
        (
            (0x0040A010, "CONTAINS"),
            (0x0040A040, "TEXT"),
            (0x0040A043, _COMMENT),
            (0x0040A160, DUMMY_TEXT),
        ),
    ),
    # WaveformAnnotationSequence (PS3.3 section C.10.10); channel 0 of group 1 stands for the whole group
    0x0040B020: (
        (
            (0x0040A0B0, "1\\0"),
            (0x00700006, DUMMY_TEXT),
        ),
    ),
    # GraphicLayerSequence (PS3.3 section C.10.7): the one layer of the dummies of GraphicAnnotationSequence
    0x00700060: (
        (
            (0x00700002, DUMMY_TEXT),
            (0x00700062, "0"),
        ),
    ),
    # GraphicAnnotationSequence (PS3.3 section C.10.5): one point
    0x00700001: (
        (
            (0x00700002, DUMMY_TEXT),
            (
                0x00700009,
                (
                    (
                        (0x00700005, "PIXEL"),
                        (0x00700020, "2"),
                        (0x00700021, "1"),
                        (0x00700022, "1\\1"),
                        (0x00700023, "POINT"),
                    ),
                ),
            ),
        ),
    ),
}


def dummy_value(tag: int, vr: str) -> str | bytes | None:
    """Return the dummy of an element.

    Args:
        tag: The plain tag.
        vr: Two characters.

    Returns:
        Text for VRs that are written as text or as numbers, octets for the others; None for UI, where the keyed UID
        is the dummy (it must be unique), for SQ (see ``dummy_items``), and for a VR that does not exist.

    """
    if tag in _BY_TAG:
        return _BY_TAG[tag]
    if vr in _OCTETS:
        return _OCTETS_OF_ONE_VALUE
    return _BY_VR.get(vr)


def dummy_items(tag: int) -> tuple[Item, ...]:
    """Return the items that stand for those of a sequence.

    Those of Table E.1-1 with D in their code have an item with all that its macro or module requires; for any other
    sequence one empty item, which is a value and says nothing.
    """
    return _ITEMS.get(tag, ((),))
