"""What Orthanc leaves in anonymized files is not left here: nested names and IDs, overlays and curves."""

from __future__ import annotations

from typing import Any

import pytest

from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers
from deidflow.tasks.core.request.profile_choice import ProfileChoice
from deidflow.tasks.core.request.request import DICOM_VERSIONS
from deidflow.tasks.local.dicom_file.encoding import EXPLICIT_LITTLE
from deidflow.tasks.local.dicom_file.source_file import SourceFile
from deidflow.tasks.local.editing.instance import Editor
from deidflow.tasks.local.editing.references import InstanceIdentifiers, References
from deidflow.tasks.local.editing.splice import Assembly
from tests.dicom_files import DEFLATED, UNCOMPRESSED, Element, Item, Syntax, elements, instance
from tests.local.edits import PSEUDONYMS, anonymize, anonymized, deidentify, modified, modify, read

SEQUENCES = (0x00081115, 0x0040A043, 0x00081199)
"""Sequences that every profile keeps: ReferencedSeries, ConceptNameCode, ReferencedSOP."""

NAMES = {"PatientName": "Doe^Jane", "PatientID": "P-1"}


def nested(depth: int, vr: str = "SQ", **keywords: Any) -> Element:
    """Return these elements inside so many sequences."""
    data = tuple(elements(keywords))
    for tag in SEQUENCES[:depth]:
        data = (Element(tag, vr, (Item(data, undefined=True),), undefined=True),)
    return data[0]


def innermost(dataset: Any, depth: int) -> Any:
    """Return the item at the bottom."""
    for tag in reversed(SEQUENCES[:depth]):
        dataset = dataset[tag].value[0]
    return dataset


@pytest.mark.parametrize("version", DICOM_VERSIONS)
@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("syntax", UNCOMPRESSED, ids=lambda syntax: syntax.uid)
def test_nested_name_and_id_become_the_new_ones(version: str, depth: int, syntax: Syntax) -> None:
    """At any depth, in any encoding, also below UN, the patient is the new patient."""
    for vr in ("SQ", "UN") if syntax.explicit and syntax.little else ("SQ",):
        after = anonymized(instance(nested(depth, vr, **NAMES), syntax=syntax), {"DicomVersion": version})
        item = innermost(after, depth)
        assert (after.PatientName, after.PatientID) == (item.PatientName, item.PatientID)
        assert PSEUDONYMS.patient_id("P-1") == after.PatientID


def test_given_name_and_id_reach_the_items() -> None:
    """PatientID and PatientName of Replace are those of nested ones, too."""
    after = anonymized(instance(nested(3, **NAMES)), {"Replace": {"PatientID": "S007", "PatientName": "S^007"}})
    item = innermost(after, 3)

    assert ("S007", "S^007") == (after.PatientID, after.PatientName) == (item.PatientID, item.PatientName)


def test_another_patient_inside_an_item_gets_his_own_id() -> None:
    """A nested PatientID is mapped by its value, so that it names the same new patient as elsewhere in the run."""
    stranger = instance(
        PatientID="P-2", StudyInstanceUID="1.2.4", SeriesInstanceUID="1.2.4.1", SOPInstanceUID="1.2.4.1.1"
    )
    data = instance(nested(1, PatientID="P-2 "))
    assert anonymized(stranger).PatientID == innermost(anonymized(data), 1).PatientID

    kept = anonymized(data, {"Keep": ["PatientID"]}, others=[stranger])
    assert ("P-1", "P-2") == (kept.PatientID, innermost(kept, 1).PatientID)


def test_two_new_ids_of_one_patient() -> None:
    """Where two rows give one patient different IDs, nested ones follow the row's own, not the other's."""
    data = instance(nested(1, PatientID="P-1"))
    references = References(PSEUDONYMS, patient_ids={"P-1": "AAA"})
    original = DicomIdentifiers("P-1", "1.2.3.1", "1.2.3.1.1", "1.2.3.1.1.1")
    identifiers = InstanceIdentifiers(original, original._replace(patient_id="BBB"), None, references)
    edit = anonymize({"Replace": {"PatientID": "BBB"}})

    with SourceFile.of_bytes(data) as source:
        editor, elements = Editor(source, edit.compiled(source).tables, identifiers), source.scan()
        spans = editor.edit(elements, EXPLICIT_LITTLE, len(data), editor.context(elements))
        result = Assembly(source, data[: source.layout.dataset_start], spans).to_bytes()
    assert "BBB" == innermost(read(result), 1).PatientID


def test_empty_nested_ids_and_names_stay_empty() -> None:
    """Nothing is made up for an item that names nobody."""
    item = innermost(anonymized(instance(nested(1, PatientName="", PatientID=""))), 1)

    assert ("", "") == (item.PatientName, item.PatientID)


def test_inside_a_kept_sequence() -> None:
    """Keep of a sequence keeps all of its content but the patient's name and ID."""
    sequence = nested(2, **NAMES, StudyDescription="text")
    after = anonymized(instance(sequence), {"Keep": ["0040,a043"]})
    item = innermost(after, 2)

    assert ("text", after.PatientName, after.PatientID) == (item.StudyDescription, item.PatientName, item.PatientID)


def test_removed_name_goes_at_every_depth() -> None:
    """Remove of PatientName leaves none anywhere."""
    after = anonymized(instance(nested(3, **NAMES)), {"Remove": ["PatientName"]})

    assert "PatientName" not in after
    assert "PatientName" not in innermost(after, 3)
    assert after.PatientID == innermost(after, 3).PatientID


def test_removed_name_goes_from_kept_sequences() -> None:
    """Remove of PatientName and PatientName's place in a kept sequence: Remove is the user's word on the name."""
    after = anonymized(instance(nested(2, **NAMES)), {"Remove": ["PatientName"], "Keep": ["0040,a043"]})

    assert "PatientName" not in innermost(after, 2)
    assert after.PatientID == innermost(after, 2).PatientID


def test_kept_name_stays_at_every_depth() -> None:
    """Keep of PatientName is the user's word, for nested ones as well."""
    after = anonymized(instance(nested(3, **NAMES)), {"Keep": ["PatientName"]})

    assert "Doe^Jane" == after.PatientName == innermost(after, 3).PatientName


def test_without_hardening_as_on_orthanc() -> None:
    """Nested names stay, nested IDs are mapped unless PatientID is replaced, overlays stay at top level."""
    data = instance(nested(3, **NAMES), Element(0x60003000, "OW", b"\1\2"))
    plain = anonymized(data, hardening=False)
    replaced = anonymized(data, {"Replace": {"PatientID": "S007"}}, hardening=False)

    assert "Doe^Jane" == innermost(plain, 3).PatientName
    assert plain.PatientID == innermost(plain, 3).PatientID
    assert "P-1" == innermost(replaced, 3).PatientID
    assert 0x60003000 in plain


OVERLAYS_AND_CURVES = (
    Element(0x50000005, "US", b"\1\0"),
    Element(0x50003000, "OW", b"\1\2"),
    Element(0x501E3000, "OW", b"\1\2"),
    Element(0x60000010, "US", b"\1\0"),
    Element(0x60003000, "OW", b"\1\2"),
    Element(0x60004000, "LT", b"SECRET"),
    Element(0x601E3000, "OW", b"\1\2"),
)


@pytest.mark.parametrize("version", DICOM_VERSIONS)
def test_overlays_and_curves_go_at_top_level(version: str) -> None:
    """Whole groups 50xx and 60xx are removed, and nothing between and behind them."""
    pixels = Element(0x7FE00010, "OW", b"\1\2\3\4")
    after = anonymized(instance(*OVERLAYS_AND_CURVES, pixels), {"DicomVersion": version})

    assert [] == [e.tag for e in after if e.tag.group >= 0x5000 and e.tag != 0x7FE00010]
    assert b"\1\2\3\4" == after.PixelData


def test_overlay_that_is_kept_by_name() -> None:
    """Keep wins over hardening for the element that it names."""
    after = anonymized(instance(*OVERLAYS_AND_CURVES), {"Keep": ["6000,3000"]})

    assert [0x60003000] == [e.tag for e in after if e.tag.group >= 0x5000]


def test_overlays_inside_items_follow_the_profile() -> None:
    """Every profile but the oldest removes nested curves, overlay data and comments; hardening adds nothing there."""
    sequence = Element(0x00081115, "SQ", (Item(OVERLAYS_AND_CURVES),))
    left = {
        (version, hardening): [
            int(e.tag)
            for e in anonymized(
                instance(sequence), {"DicomVersion": version}, hardening=hardening
            ).ReferencedSeriesSequence[0]
        ]
        for version in DICOM_VERSIONS
        for hardening in (False, True)
    }
    everything = [element.tag for element in OVERLAYS_AND_CURVES]

    assert {everything == tags for (version, _), tags in left.items() if version == "2008"} == {True}
    assert {[0x60000010] == tags for (version, _), tags in left.items() if version != "2008"} == {True}


def test_modify_hardens_nothing() -> None:
    """Modify is no de-identification: nested names and overlays stay."""
    after = modified(instance(nested(1, **NAMES), *OVERLAYS_AND_CURVES), {})

    assert "Doe^Jane" == innermost(after, 1).PatientName
    assert len(OVERLAYS_AND_CURVES) == len([e.tag for e in after if e.tag.group >= 0x5000])


def test_nothing_of_the_patient_is_left_in_the_bytes() -> None:
    """Name, ID and UIDs of the source are nowhere in the result's bytes, the preamble included."""
    data = instance(
        nested(3, **NAMES),
        *OVERLAYS_AND_CURVES,
        preamble=b"Doe^Jane".ljust(128, b"\0"),
        meta={"SourceApplicationEntityTitle": "Doe^Jane", "PrivateInformationCreatorUID": "1.2.3.1.1"},
    )
    result = anonymize({})(data)

    assert [] == [text for text in (b"Doe", b"P-1", b"1.2.3.1", b"SECRET") if text in result]


FOREIGN = (
    Element(0x00000002, "UI", b"1.2.3.1\0"),
    Element(0x00001000, "LO", b"DOE^JANE"),
    Element(0x00020000, "UL", b"DOE^"),
    Element(0x00020016, "AE", b"DOES_PC "),
    Element(0x00020099, "LO", b"DOE^JANE"),
    Element(0x00020102, "OB", b"DOE^JANE"),
)
"""Of commands and file meta information, which name who sent a file; one that the standard has not is among them."""


@pytest.mark.parametrize("version", [*DICOM_VERSIONS, "ps3.15", "modify"])
@pytest.mark.parametrize("syntax", UNCOMPRESSED, ids=lambda syntax: syntax.uid)
@pytest.mark.parametrize("keeps", [False, True])
def test_groups_that_belong_into_no_dataset_go(version: str, syntax: Syntax, *, keeps: bool) -> None:
    """Groups 0000 and 0002 stand before a dataset: none is left inside one, at any depth, also out of order."""
    data: tuple[Element, ...] = (Element(0x00200010, "SH", b"S1"), *FOREIGN)
    for tag in SEQUENCES:
        data = (Element(tag, "SQ", (Item((*FOREIGN, *data)), Item(FOREIGN), Item(()))),)
    body = {"Keep": [f"{tag >> 16:04x},{tag & 0xFFFF:04x}" for tag in SEQUENCES] if keeps else []}
    if version == "modify":
        edit = modify({"Replace": {"StudyDescription": "new"}})
    elif version == "ps3.15":
        edit = deidentify(ProfileChoice())
    else:
        edit = anonymize({"DicomVersion": version, **body}, hardening=keeps)
    result = edit(instance(*data, syntax=syntax))
    after = read(result)

    assert syntax is DEFLATED or b"DOE" not in result.replace(b"Doe^Jane", b"")
    assert not [element for element in after.iterall() if element.tag.group < 8]
    assert len(after[SEQUENCES[-1]].value) == 3 or version == "ps3.15"
