"""Which attributes say who or what an instance is of: the values that no text of it may repeat.

They are those that the profile removes or replaces, as far as they name persons, places, devices or numbers; not
descriptions, which are cleaned themselves, nor categories such as an ethnic group, whose words say who nobody is.

Public names: ``naming_of``.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from pydicom._dicom_dict import DicomDictionary
from pydicom.datadict import keyword_for_tag

from deidflow.tasks.core.request.profile_choice import Option
from deidflow.tasks.local.deidentification.standard.profile import load_profile
from deidflow.tasks.local.deidentification.text.own_values import OwnValues
from deidflow.tasks.local.editing.actions import Action
from deidflow.tasks.local.editing.table import Naming

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from deidflow.tasks.local.deidentification.standard.profile import Row
    from deidflow.tasks.local.editing.actions import Rule
    from deidflow.tasks.local.editing.table import NamedValue

_NAMES: Final = frozenset({"AE", "LO", "LT", "SH", "ST", "UC", "UT"})
_OF_CONTENT: Final = (Option.CLEAN_DESCRIPTORS, Option.CLEAN_STRUCTURED_CONTENT, Option.CLEAN_GRAPHICS)
_CODE_VALUES: Final = frozenset({0x00080100, 0x00080104, 0x00080119})
"""CodeValue, CodeMeaning, LongCodeValue."""

_PERSONS: Final = frozenset(
    {
        *("CameraOwnerName", "TopicAuthor", "NameToUse"),
        *("ReferringPhysicianIdentificationSequence", "ConsultingPhysicianIdentificationSequence"),
        *("PhysiciansOfRecordIdentificationSequence", "PerformingPhysicianIdentificationSequence"),
        *("PhysiciansReadingStudyIdentificationSequence", "OperatorIdentificationSequence"),
        *("ScheduledPerformingPhysicianIdentificationSequence", "PersonIdentificationCodeSequence"),
        *("IntendedRecipientsOfResultsIdentificationSequence", "VerifyingObserverIdentificationCodeSequence"),
        *("ContentCreatorIdentificationCodeSequence", "VerbalSourceIdentifierCodeSequenceTrial"),
    }
)
"""Attributes without VR PN whose words are names, and sequences whose codes are persons."""

_PLACES: Final = frozenset(
    {
        *("InstitutionCodeSequence", "InstitutionalDepartmentTypeCodeSequence", "CustodialOrganizationSequence"),
        *("ScheduledStationNameCodeSequence", "ScheduledStationGeographicLocationCodeSequence"),
        *("PerformedStationNameCodeSequence", "PerformedStationGeographicLocationCodeSequence"),
    }
)
"""Sequences whose codes are places and devices."""

_NO_NAMES: Final = frozenset(
    {
        *("EthnicGroup", "EthnicGroups", "MilitaryRank", "BranchOfService", "PatientReligiousPreference"),
        *("PatientTransportArrangements", "ModifiedImageDescription", "DeviceDescription", "TopicTitle"),
        *("TopicSubject", "TopicKeywords", "TextString", "TextComments", "OverlayComments", "Arbitrary"),
        *("ImagePresentationComments", "NameToUseComment", "ConfidentialityConstraintOnPatientDataDescription"),
        *("LensMake", "LensModel", "GPSSatellites", "GPSMapDatum", "TimezoneOffsetFromUTC", "XRayDetectorLabel"),
        *("SourceManufacturer", "BarcodeValue", "CodingSchemeResponsibleOrganization"),
    }
)
"""Categories and descriptions: their words are anybody's."""

_COUNTED: Final = frozenset(
    {"StudyID", "RequestedProcedureID", "ScheduledProcedureStepID", "PerformedProcedureStepID", "DeviceLabel"}
    | {"ClinicalTrialTimePointID", "ClinicalTrialSiteID", "RTAccessoryHolderSlotID", "RTAccessoryDeviceSlotID"}
)
"""Numbers that begin at 1 in every place: with fewer than three characters they are anybody's, too."""

_FEWEST_COUNTED: Final = 3
_BIRTH_DATE: Final = 0x00100030
_ANONYMOUS: Final = frozenset({"", "ANONYMOUS", "ANONYMIZED", "NONE", "UNKNOWN", "REMOVED", "N/A", "NA", "OTHER"})
"""What stands where nobody is named."""
_AROUND_NAMES: Final = " \t\r\n\f^="
"""Of a PN without some of its components."""


def naming_of(rule_of: Callable[[Row], Rule]) -> Naming:
    """Return which attributes identify under one choice of options.

    Args:
        rule_of: What happens to an attribute: one that an option keeps, or cleans, names nobody who must not be named.

    """
    persons = {tag for tag, (vr, *_) in DicomDictionary.items() if vr == "PN"}
    others: set[int] = set()
    counted: set[int] = set()
    in_items: dict[int, frozenset[int]] = {}
    for row in load_profile():
        if row.number is None or row.keyword in _NO_NAMES or any(option in row.options for option in _OF_CONTENT):
            continue
        if rule_of(row).action in (Action.KEEP, Action.CLEAN):
            continue
        if row.keyword in _PERSONS | _PLACES and row.vr == "SQ":
            in_items[row.number] = _CODE_VALUES
        elif row.keyword in _PERSONS:
            persons.add(row.number)
        elif row.vr[:2] in _NAMES:
            (counted if row.keyword in _COUNTED else others).add(row.number)
    tags = frozenset({_BIRTH_DATE} | persons | others | counted)
    places = frozenset(others | counted) | {tag for tag in in_items if keyword_for_tag(tag) in _PLACES}

    @lru_cache(maxsize=4096)
    def own(values: frozenset[NamedValue]) -> OwnValues:
        named = [one for one in values if one.text.strip(_AROUND_NAMES).upper() not in _ANONYMOUS]
        return OwnValues.of(
            persons=_texts(one for one in named if one.tag not in places and one.tag != _BIRTH_DATE),
            others=_texts(
                one
                for one in named
                if one.tag in places and not (one.tag in counted and len(one.text) < _FEWEST_COUNTED)
            ),
            births=[one.text.replace(".", "") for one in named if one.tag == _BIRTH_DATE],
        )

    return Naming(tags, in_items, own)


def _texts(values: Iterable[NamedValue]) -> list[str]:
    return sorted({one.text for one in values})
