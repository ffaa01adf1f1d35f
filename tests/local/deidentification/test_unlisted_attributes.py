"""What Table E.1-1 does not list and tells of the patient all the same (PS3.15 section E.1.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers, Level
from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.core.request.profile_choice import Option, ProfileChoice
from tests.dicom_files import Element, Item, elements, instance
from tests.local.edits import deidentify, read
from tests.steps.steps import Steps

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

RETAINING: Final = ProfileChoice(
    frozenset(one for one in Option if one.startswith("retain-") and "modified" not in one)
)
VOICE: Final = "1.2.840.10008.5.1.4.1.1.9.4.1"
SOUND: Final = "1.2.840.10008.5.1.4.1.1.9.4.2"
ECG: Final = "1.2.840.10008.5.1.4.1.1.9.1.1"


def sequence(tag: int, *inside: Element, **values: Any) -> Element:
    """Return a sequence of one item."""
    return Element(tag, "SQ", (Item(tuple(sorted((*inside, *elements(values)), key=lambda one: one.tag))),))


def issuer(tag: int, *inside: Element) -> Element:
    """Return who issued an identifier (PS3.3 table 10-17)."""
    return sequence(
        tag, *inside, LocalNamespaceEntityID="WESTKAPEL", UniversalEntityID="1.2.7.9", UniversalEntityIDType="ISO"
    )


@pytest.mark.parametrize("choice", [ProfileChoice(), RETAINING])
def test_who_issued_an_identifier_goes_with_it(choice: ProfileChoice) -> None:
    """Of patients, accessions and orders, at top level and in requests: a pseudonym was issued by none of them."""
    facility = issuer(0x00400036)
    issuers = (*map(issuer, (0x00080051, 0x00400026, 0x00400027)), issuer(0x00100024, facility))
    after = read(deidentify(choice)(instance(*issuers, sequence(0x00400275, *issuers), PatientID="P-471")))

    assert "WESTKAPEL" not in str(after)
    assert "1.2.7.9" not in str(after)
    assert "UniversalEntityIDType" not in [element.keyword for element in after.iterall()]


def test_a_machine_is_named_in_no_object_of_a_course() -> None:
    """As in the plan and its records, so in portal images, where the attribute has another name (type 2)."""
    plan = sequence(0x300A00B0, TreatmentMachineName="LINAC-7")
    data = instance(plan, RadiationMachineName="LINAC-7", SOPClassUID="1.2.840.10008.5.1.4.1.1.481.1")
    basic, retained = (read(deidentify(choice)(data)) for choice in (ProfileChoice(), RETAINING))

    assert "LINAC-7" not in str(basic)
    assert "" == basic.RadiationMachineName
    assert ["LINAC-7"] * 2 == [retained.RadiationMachineName, retained.BeamSequence[0].TreatmentMachineName]


@pytest.mark.parametrize("choice", [ProfileChoice(), RETAINING])
def test_dates_of_other_calendars_go(choice: ProfileChoice) -> None:
    """Birth and death as Japan, Thailand or Israel write them."""
    values: dict[str, Any] = {
        "PatientBirthDateInAlternativeCalendar": "S06.05.17",
        "PatientDeathDateInAlternativeCalendar": "H31.04.30",
    }
    after = read(deidentify(choice)(instance(PatientAlternativeCalendar="JAPANESE", **values)))

    assert not [element.keyword for element in after if "Alternative" in element.keyword]


def test_numbers_of_animals_documents_and_networks() -> None:
    """What the IOD requires is a dummy, the rest goes."""
    breed = sequence(0x00102294, BreedRegistrationNumber="NHSB 2887123")
    values: dict[str, Any] = {
        "HL7InstanceIdentifier": "2.16.840.1.113883.19.4^DOC-33811",
        "NTPSourceAddress": "10.44.2.17",
    }
    after = read(deidentify(ProfileChoice())(instance(breed, **values)))

    assert "REMOVED" == after.HL7InstanceIdentifier == after.BreedRegistrationSequence[0].BreedRegistrationNumber
    assert "NTPSourceAddress" not in after


def test_codes_do_not_say_whose_they_are() -> None:
    """The organization behind a scheme, who extended a group of codes, and the service that asked; options keep it."""
    values = {"CodingSchemeResponsibleOrganization": "Westkapelle", "ContextGroupExtensionCreatorUID": "1.2.7.9"}
    service = sequence(0x00321034, CodeValue="ER", CodingSchemeDesignator="99WKP", CodeMeaning="service Westkapelle")
    data = instance(sequence(0x00080110, **values), service)
    basic = deidentify(ProfileChoice())(data)
    kept = read(deidentify(RETAINING)(data)).CodingSchemeIdentificationSequence[0]
    cleaned = read(deidentify(ProfileChoice(frozenset({Option.CLEAN_DESCRIPTORS})))(data))

    assert b"Westkapelle" not in basic
    assert b"1.2.7.9" not in basic
    assert list(values.values()) == [kept[keyword].value for keyword in values]
    assert "service" == cleaned.RequestingServiceCodeSequence[0].CodeMeaning


def test_a_run_verifies_what_is_left(tmp_path: Path) -> None:
    """Who keeps a public vocabulary is no secret where something else names it."""
    scheme = sequence(0x00080110, CodingSchemeResponsibleOrganization="Regenstrief Institute")
    procedure = sequence(0x00081032, CodeValue="1", CodingSchemeDesignator="LN", CodeMeaning="chest, Regenstrief")
    facility = issuer(0x00100024, issuer(0x00400036))
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "1").write_bytes(instance(scheme, procedure, facility, PatientID="P-471"))
    steps = Steps(tmp_path)
    row = DicomIdentifiers("P-471", "", "", "").orthanc_id(Level.PATIENT)
    steps.plan([row], options=None, profile="ps3.15-2026d", profile_options=[Option.CLEAN_DESCRIPTORS])
    steps.edit()

    assert 0 == steps.verify()
    assert steps.report().reconciled


def test_texts_of_hanging_protocols_whatever_their_vr() -> None:
    """A UC like an LO or a UT: a dummy, and with Clean Descriptors what no name is."""
    selector = sequence(
        0x00720022, Element(0x0072006F, "UC", b"liver Kowalski"), Element(0x00720070, "UT", b"liver Kowalski")
    )
    data = instance(selector, PatientName="Kowalski^Jan")
    basic = read(deidentify(ProfileChoice())(data)).ImageSetSelectorSequence[0]
    cleaned = read(deidentify(ProfileChoice(frozenset({Option.CLEAN_DESCRIPTORS})))(data)).ImageSetSelectorSequence[0]

    assert "REMOVED" == basic.SelectorUCValue == basic.SelectorUTValue
    assert "liver" == cleaned.SelectorUCValue == cleaned.SelectorUTValue


def recording(sop_class: str) -> bytes:
    """Return an object with a waveform."""
    wave = sequence(0x54000100, Element(0x54001010, "OB", b"\x80\x81"), WaveformBitsAllocated=8)
    return instance(wave, SOPClassUID=sop_class)


@pytest.mark.parametrize("sop_class", [VOICE, SOUND])
def test_recordings_of_voices_are_refused(sop_class: str) -> None:
    """Nothing here can hear whose name is dictated."""
    with pytest.raises(InstanceFailed, match="somebody may speak") as failed:
        deidentify(RETAINING)(recording(sop_class))

    assert ReasonCode.UNSAFE_CONTENT is failed.value.code


def test_recordings_on_which_the_request_decides() -> None:
    """Somebody has heard them: they stay, or go; and waveforms of other classes are nobody's voice."""
    path = "WaveformSequence[*].WaveformData"
    kept, removed = (read(deidentify(ProfileChoice(), {word: [path]})(recording(VOICE))) for word in ("Keep", "Remove"))
    ecg = read(deidentify(ProfileChoice())(recording(ECG)))

    assert b"\x80\x81" == kept.WaveformSequence[0].WaveformData == ecg.WaveformSequence[0].WaveformData
    assert "WaveformData" not in removed.WaveformSequence[0]
