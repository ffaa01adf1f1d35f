"""Free text for people that Table E.1-1 does not list: chosen by a rule, cleaned with descriptors, else left alone."""

from __future__ import annotations

import re
from typing import Final

import pytest
from pydicom.datadict import DicomDictionary  # type: ignore[attr-defined]  # it imports it without saying so

from deidflow.tasks.core.request.profile_choice import Option, ProfileChoice
from deidflow.tasks.local.deidentification.standard.codes import Code
from deidflow.tasks.local.deidentification.standard.profile import Row, load_profile
from tests.dicom_files import Element, Item, instance
from tests.local.edits import deidentify, read

TEXTS: Final = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
SAYS_SO: Final = re.compile(
    "Comment|Note|Description|Explanation|Label|Title|Purpose|Rationale|Reason|Instruction|Summary|Guidance|"
    "Detail|Diagnos|History|Complaint|Remark|Narrative|Finding|Impression|Message|Definition|Annotation"
)
"""Of an attribute whose value somebody writes for somebody else to read."""

NAMES: Final = frozenset(
    {
        *("AcquisitionProtocolName", "ApplicationSetupName", "BeamName", "BlockName", "ContactDisplayName"),
        *(
            "CodingSchemeName",
            "DataSetName",
            "EnergyWindowName",
            "HangingProtocolCreator",
            "HangingProtocolName",
            "RTImageName",
        ),
        *("HangingProtocolUserGroupName", "ImplantAssemblyTemplateName", "ImplantTemplateGroupName", "StageName"),
        *("InterventionDrugName", "PatientAdditionalPosition", "ProtocolElementName", "ProtocolPlanningInformation"),
        *("StrainAdditionalInformation", "SurgicalTechnique", "TemplateName", "TrackingID", "TreatmentProtocols"),
        "ViewName",
    }
)
"""What people call plans, protocols, views and codes, or write about them, although the keyword has no such word."""

NO_TEXT: Final = frozenset(
    {
        *("CompressionDescription", "CompressionLabel", "DCTLabel", "LUTExplanation", "LUTLabel", "TransformLabel"),
        *("DisplayWindowLabelVector", "FrameLabelVector"),
    }
)
"""What software calls its own tables, and numbers that point to labels."""

FREE: Final = [row for row in load_profile() if row.reason == "free text for people"]
CLEANED: Final = ProfileChoice(frozenset({Option.CLEAN_DESCRIPTORS}))


def test_every_free_text_has_a_row() -> None:
    """By its VR and its keyword: each is listed by the standard or here, and here is nothing else."""
    listed = {row.number for row in load_profile() if row not in FREE}
    wanted = {
        keyword
        for tag, (vr, *_, keyword) in DicomDictionary.items()
        if vr in TEXTS and tag not in listed and 0x0008 <= tag >> 16 < 0x5000
        if (SAYS_SO.search(keyword) or keyword in NAMES) and keyword not in NO_TEXT
    }

    assert wanted == {row.keyword for row in FREE}
    assert {Code.K} == {row.basic for row in FREE}
    assert all({Option.CLEAN_DESCRIPTORS: Code.C} == dict(row.options) for row in FREE)


@pytest.mark.parametrize("row", FREE, ids=lambda row: row.keyword)
def test_free_text_loses_what_identifies(row: Row) -> None:
    """At top level and in items; what is left of nothing is a dummy, since the IOD may need a value."""
    number, vr = row.number, row.vr
    assert number is not None
    text, name = (Element(number, vr, value) for value in (b"liver of Kowalski ", b"Kowalski"))
    items = Element(0x00081115, "SQ", (Item((text,)), Item((name,))))
    data = instance(text, items, PatientName="Kowalski^Jan")
    after = read(deidentify(CLEANED)(data))

    assert "Kowalski" not in str(after)
    assert "liver of" == after[number].value
    assert ["liver of", "REMOVED"] == [item[number].value for item in after.ReferencedSeriesSequence]


def test_the_basic_profile_leaves_what_the_standard_does_not_list() -> None:
    """Byte for byte; in a sequence that is cleaned every text is cleaned all the same."""
    label = Element(0x00700081, "LO", b"liver of Kowalski ")
    data = instance(label, Element(0x0040A730, "SQ", (Item((label,)),)))
    basic = read(deidentify(ProfileChoice())(data))
    content = read(deidentify(ProfileChoice(frozenset({Option.CLEAN_STRUCTURED_CONTENT})))(data))

    assert "liver of Kowalski" == basic.ContentDescription == content.ContentDescription
    assert "liver of" == content.ContentSequence[0].ContentDescription
