"""What referred to an object of the run before refers to what became of it."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.core.pseudonyms.pseudonyms import Pseudonyms
from deidflow.tasks.core.request.profile_choice import ProfileChoice
from tests.dicom_files import DEFLATED, IMPLICIT, UNCOMPRESSED, Element, Item, Syntax, elements, instance, private_block
from tests.local.edits import KEY, PSEUDONYMS, anonymize, anonymized, deidentify, modified, read

IMAGE: dict[str, Any] = {"SOPInstanceUID": "1.2.3.1.1.1", "FrameOfReferenceUID": "1.2.3.9"}
REFERENCES: dict[str, Any] = {
    "SOPInstanceUID": "1.2.3.1.2.1",
    "SeriesInstanceUID": "1.2.3.1.2",
    "FrameOfReferenceUID": "1.2.3.9",
    "ReferencedSeriesSequence": [
        {
            "SeriesInstanceUID": "1.2.3.1.1",
            "ReferencedInstanceSequence": [
                {"ReferencedSOPClassUID": "1.2.840.10008.5.1.4.1.1.2", "ReferencedSOPInstanceUID": "1.2.3.1.1.1"}
            ],
        }
    ],
    "CurrentRequestedProcedureEvidenceSequence": [
        {
            "StudyInstanceUID": "1.2.3.1",
            "ReferencedSeriesSequence": [
                {
                    "SeriesInstanceUID": "1.2.3.1.1",
                    "ReferencedSOPSequence": [{"ReferencedSOPInstanceUID": "1.2.3.1.1.1"}],
                }
            ],
        }
    ],
}
"""What a segmentation and a structured report say about their image."""


@pytest.mark.parametrize("syntax", UNCOMPRESSED, ids=lambda syntax: syntax.uid)
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"Keep": ["StudyInstanceUID"]},
        {"Keep": ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID"]},
        {"Replace": {"StudyInstanceUID": "1.2.77"}},
        {"Replace": {"FrameOfReferenceUID": "1.2.78"}},
        {"Keep": ["SOPInstanceUID"]},
    ],
    ids=str,
)
def test_a_report_still_refers_to_its_image(body: dict[str, Any], syntax: Syntax) -> None:
    """Study, series, instance and frame of reference are named alike by both results, however they were chosen."""
    image, report = instance(**IMAGE, syntax=syntax), instance(**REFERENCES, syntax=syntax)
    new_image = anonymized(image, body, others=[report])
    new_report = anonymized(report, body, others=[image])

    (series,) = new_report.ReferencedSeriesSequence
    (evidence,) = new_report.CurrentRequestedProcedureEvidenceSequence
    assert new_image.StudyInstanceUID == new_report.StudyInstanceUID == evidence.StudyInstanceUID
    assert new_image.FrameOfReferenceUID == new_report.FrameOfReferenceUID
    (same_series,) = evidence.ReferencedSeriesSequence
    assert new_image.SeriesInstanceUID == series.SeriesInstanceUID == same_series.SeriesInstanceUID
    (by_instance,), (by_sop,) = series.ReferencedInstanceSequence, same_series.ReferencedSOPSequence
    assert new_image.SOPInstanceUID == by_instance.ReferencedSOPInstanceUID == by_sop.ReferencedSOPInstanceUID
    assert "1.2.840.10008.5.1.4.1.1.2" == by_instance.ReferencedSOPClassUID


def test_references_follow_a_replaced_instance() -> None:
    """An instance whose UID one row gives is referred to by that UID from the other rows' results."""
    image = instance(**IMAGE)
    edit = anonymize({"Replace": {"SOPInstanceUID": "1.2.99", "SeriesInstanceUID": "1.2.98"}}, others=[image])
    report = read(edit(instance(**REFERENCES)))

    assert "1.2.98" == report.ReferencedSeriesSequence[0].SeriesInstanceUID
    assert "1.2.99" == report.ReferencedSeriesSequence[0].ReferencedInstanceSequence[0].ReferencedSOPInstanceUID


def test_modify_changes_no_reference() -> None:
    """Modify gives a new object; what refers to the old one still does, as on Orthanc."""
    before = read(instance(**REFERENCES))
    after = modified(instance(**REFERENCES), {"Level": "Study"})

    assert before.StudyInstanceUID != after.StudyInstanceUID
    assert before.FrameOfReferenceUID == after.FrameOfReferenceUID
    assert before.ReferencedSeriesSequence == after.ReferencedSeriesSequence
    assert before.CurrentRequestedProcedureEvidenceSequence == after.CurrentRequestedProcedureEvidenceSequence


@pytest.mark.parametrize("padding", [b"", b"\0", b" "])
def test_several_uids_are_mapped_one_by_one(padding: bytes) -> None:
    """A list of UIDs stays a list: each one gets its own new UID, an empty one stays empty."""
    value = b"1.2.3.7\\\\1.2.3.55\\1.2.3.7" + padding
    data = instance(Element(0x00080058, "UI", value + b"\0" * (len(value) % 2)))  # FailedSOPInstanceUIDList
    expected = [PSEUDONYMS.uid("1.2.3.7"), "", PSEUDONYMS.uid("1.2.3.55"), PSEUDONYMS.uid("1.2.3.7")]

    assert expected == list(anonymized(data, {"DicomVersion": "2021b"}).FailedSOPInstanceUIDList)


def test_empty_uids_stay_empty() -> None:
    """No object is made up where the source names none."""
    after = anonymized(instance(FrameOfReferenceUID="", ReferencedImageSequence=[{"ReferencedSOPInstanceUID": ""}]))

    assert "" == after.FrameOfReferenceUID
    assert "" == after.ReferencedImageSequence[0].ReferencedSOPInstanceUID


def test_padding_of_a_reference_does_not_matter() -> None:
    """A UID padded with a blank, which some software does, maps as the one that is padded with NUL."""
    items = tuple(Item((Element(0x00081155, "UI", b"1.2.3.9" + padding),)) for padding in (b"\0", b" "))
    first, second = anonymized(instance(Element(0x00081140, "SQ", items))).ReferencedImageSequence

    assert PSEUDONYMS.uid("1.2.3.9") == first.ReferencedSOPInstanceUID == second.ReferencedSOPInstanceUID


def test_new_identifiers_at_every_level() -> None:
    """Anonymize derives the four identifiers from the original ones, the key and the scope alone."""
    after = anonymized(instance(PatientID="P-1 "))

    assert PSEUDONYMS.patient_id("P-1") == after.PatientID
    assert f"Anonymized^{after.PatientID[:8]}" == after.PatientName
    assert PSEUDONYMS.uid("1.2.3.1") == after.StudyInstanceUID
    assert PSEUDONYMS.uid("1.2.3.1.1") == after.SeriesInstanceUID
    assert PSEUDONYMS.uid("1.2.3.1.1.1") == after.SOPInstanceUID == after.file_meta.MediaStorageSOPInstanceUID
    assert 8 == uuid.UUID(after.PatientID).version


@pytest.mark.parametrize("patient_id", [None, "", "   "])
def test_patient_without_an_id_is_keyed_by_the_study(patient_id: str | None) -> None:
    """Strangers without a PatientID do not become one patient; two series of one study do stay together."""
    first, second, stranger = (
        anonymized(instance(PatientID=patient_id, StudyInstanceUID=study, SeriesInstanceUID=series))
        for study, series in (("1.2.3.1", "1.2.3.1.1"), ("1.2.3.1", "1.2.3.1.2"), ("1.2.3.2", "1.2.3.2.1"))
    )

    assert PSEUDONYMS.patient_id("1.2.3.1") == first.PatientID == second.PatientID
    assert first.PatientID != stranger.PatientID


@pytest.mark.parametrize(
    ("body", "changed"),
    [
        ({}, {"SOPInstanceUID"}),
        ({"Level": "Series"}, {"SOPInstanceUID", "SeriesInstanceUID"}),
        ({"Level": "Study"}, {"SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"}),
        ({"Level": "Patient"}, {"SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"}),
        ({"Level": "Study", "Keep": ["SeriesInstanceUID"]}, {"SOPInstanceUID", "StudyInstanceUID"}),
        (
            {"Replace": {"PatientID": "NEW"}},
            {"PatientID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"},
        ),
        ({"Replace": {"PatientID": "NEW"}, "Level": "Instance"}, {"PatientID", "SOPInstanceUID"}),
        ({"Replace": {"StudyInstanceUID": "1.2.9"}}, {"StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"}),
        ({"Replace": {"SeriesInstanceUID": "1.2.9"}}, {"SeriesInstanceUID", "SOPInstanceUID"}),
        ({"Replace": {"SOPInstanceUID": "1.2.9"}}, {"SOPInstanceUID"}),
        ({"Keep": ["SOPInstanceUID"]}, set()),
        (
            {
                "Replace": {"PatientID": "NEW"},
                "Keep": ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"],
            },
            {"PatientID"},
        ),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_modify_regenerates_from_its_level_down(body: dict[str, Any], changed: set[str]) -> None:
    """Identifiers below the level are new, given ones are as given, and those above stay."""
    before, after = read(instance()), modified(instance(), {**body, "Force": True})
    identifiers = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")

    assert changed == {keyword for keyword in identifiers if before[keyword].value != after[keyword].value}
    assert all(after[keyword].value == value for keyword, value in body.get("Replace", {}).items())


def test_an_edited_copy_is_another_object() -> None:
    """Modify with other options gives other UIDs, with the same options the same; none is that of anonymize."""
    one, other, again = (
        modified(instance(), {"Replace": {"SeriesDescription": text}}).SOPInstanceUID for text in ("A", "B", "A")
    )

    assert one == again
    assert 3 == len({one, other, PSEUDONYMS.uid("1.2.3.1.1.1")})
    assert one != Pseudonyms(KEY, "other scope").uid("1.2.3.1.1.1")


EVERYWHERE = (0x00200242, 0x00081167, 0x00209312, 0x00209313, 0x0070031B, 0x00880140)
"""Elements of VR UI that may name objects of a run: in and outside of table E.1-1, of all its editions."""


@pytest.mark.parametrize("version", ["2008", "2017c", "2021b", "2023b"])
@pytest.mark.parametrize("syntax", UNCOMPRESSED, ids=lambda syntax: syntax.uid)
def test_every_uid_of_the_run_is_mapped(version: str, syntax: Syntax) -> None:
    """Whatever element of VR UI names an object of the run names what became of it, at any depth and in any list."""
    originals = ("1.2.3.1", "1.2.3.1.1", "1.2.3.1.1.1", "1.2.3.9")
    for original in originals:
        value = f"{original}\\1.2.840.10008.1.4.1.1\\{original}".encode()
        value += b"\0" * (len(value) % 2)
        mapped = [PSEUDONYMS.uid(original), "1.2.840.10008.1.4.1.1", PSEUDONYMS.uid(original)]
        for tag in EVERYWHERE:
            named = Element(tag, "UI", value)
            nested = Element(0x00081140, "SQ", (Item((Element(0x00081199, "SQ", (Item((named,)),)),)),))
            body = {"DicomVersion": version, "Keep": ["ReferencedImageSequence"]}
            after = anonymized(instance(named, nested, FrameOfReferenceUID="1.2.3.9", syntax=syntax), body)
            in_items = after.ReferencedImageSequence[0].ReferencedSOPSequence[0]

            for dataset in (after, in_items):
                if tag in dataset and dataset[tag].value and len(dataset[tag].value) > 1:
                    found = list(dataset[tag].value)
                    assert found[::2] == mapped[::2], (tag, original)


def test_uids_of_strangers_follow_the_profile() -> None:
    """A UID that names nothing in the run is left where the profile lists no such element, and so is the standard's."""
    for value in (b"1.2.3.77", b"1.2.840.10008.1.4.1.1\0", b""):
        after = anonymized(instance(Element(0x00200242, "UI", value)))

        assert value.rstrip(b"\0").decode() == after[0x00200242].value


def test_what_the_standard_registers_stays_under_its_profile() -> None:
    """Frames of reference of atlases, the clock of the world and palettes name nobody, at any depth and in any list."""
    values: dict[str, Any] = {
        "FrameOfReferenceUID": "1.2.840.10008.1.4.1.1",
        "SynchronizationFrameOfReferenceUID": "1.2.840.10008.15.1.1",
        "ReferencedColorPaletteInstanceUID": "1.2.840.10008.1.5.2",
    }
    failed = b"1.2.840.10008.1.5.2\\1.2.3.77\\1.2.840.10008.99"
    nested = Element(0x00081115, "SQ", (Item(tuple(elements(values))),))
    edit = deidentify(ProfileChoice())
    after = read(edit(instance(nested, Element(0x00080058, "UI", failed), **values)))

    for dataset in (after, after.ReferencedSeriesSequence[0]):
        assert list(values.values()) == [dataset[keyword].value for keyword in values]
    mapped = map(PSEUDONYMS.uid, ("1.2.3.77", "1.2.840.10008.99"))
    assert ["1.2.840.10008.1.5.2", *mapped] == after.FailedSOPInstanceUIDList


@pytest.mark.parametrize("vr", ["UI", "UN"])
@pytest.mark.parametrize("syntax", UNCOMPRESSED, ids=lambda syntax: syntax.uid)
def test_uids_in_private_elements_are_mapped(vr: str, syntax: Syntax) -> None:
    """Private elements that are kept, and those in private sequences, name what the objects of the run became."""
    value = b"1.2.3.1.1.1\0"
    uid = Element(0x00091001, vr, value)
    inside = Element(0x00091002, "SQ", (Item((Element(0x00090010, "LO", b"TEST BLOCK"), uid)),), undefined=True)
    result = anonymize({"KeepPrivateTags": True})(instance(*private_block(0x0009, uid, inside), syntax=syntax))
    after = read(result)

    new = PSEUDONYMS.uid("1.2.3.1.1.1")
    value = after[0x00091001].value
    assert new == (value if isinstance(value, str) else value.decode().rstrip("\0"))
    if syntax is not DEFLATED:
        assert b"1.2.3.1.1.1\0" not in result


OTHER_VRS = ("AE", "CS", "LO", "LT", "OB", "OW", "SH", "ST", "UC", "UN", "UR", "UT")
"""Which a UID may come with: those of text and of octets."""


@settings(max_examples=60)
@given(
    tag=st.sampled_from((*EVERYWHERE, 0x00089123, 0x00640003, 0x300600C2)),
    vr=st.sampled_from(OTHER_VRS),
    version=st.sampled_from(["2008", "2017c", "2021b", "2023b", "ps3.15"]),
    before=st.sampled_from(["", " ", "1.2.840.10008.1.2\\", "\\", "1.2.77\\1.2.3.1 \\"]),
    after=st.sampled_from(["", " ", "\0", "\r\n", "  ", "\\1.2.78", " \\ 1.2.3.1.1\0\0"]),
    keeps=st.booleans(),
)
def test_a_uid_with_another_vr_is_mapped(
    tag: int, vr: str, version: str, before: str, after: str, *, keeps: bool
) -> None:
    """What the dictionary says of an attribute counts, not the VR that a file sends it with; nothing else changes."""
    value = f"{before}1.2.3.1.1.1{after}".encode()
    value += (b"\0" if vr in ("OB", "OW", "UN") else b" ") * (len(value) % 2)
    sent = Element(tag, vr, value)
    inside = Element(0x00081140, "SQ", (Item((Element(0x00081199, "SQ", (Item((sent,)),)),)),))
    body = {"Keep": ["ReferencedImageSequence"] if keeps else []}
    edit = deidentify(ProfileChoice()) if version == "ps3.15" else anonymize({"DicomVersion": version, **body})
    result = read(edit(instance(sent, inside)))

    found = [element for element in result.iterall() if element.tag == tag and element.value]
    for element in found:
        text = element.value.decode() if isinstance(element.value, bytes) else element.value
        values = text.split("\\") if isinstance(text, str) else list(text)
        assert PSEUDONYMS.uid("1.2.3.1.1.1") in [one.strip("\0 ") for one in values]
        assert not {"1.2.3.1", "1.2.3.1.1", "1.2.3.1.1.1"} & {one.strip("\0\r\n ") for one in values}
    if version != "ps3.15" and tag == 0x00200242:
        assert 2 == len(found)


@pytest.mark.parametrize("vr", ["FD", "UL", "OF"])
def test_a_uid_that_is_sent_as_numbers_fails(vr: str) -> None:
    """A new UID has another length, so that the value would no longer be one of its VR."""
    with pytest.raises(InstanceFailed) as failed:
        anonymized(instance(Element(0x00200242, vr, b"1.2.3.1.1.1".ljust(16, b"\0"))))

    assert ReasonCode.BAD_VALUE is failed.value.code


def test_a_kept_uid_with_another_vr_stays() -> None:
    """What Keep names at top level is the request's own word, whatever VR it comes with."""
    result = anonymized(instance(Element(0x00200242, "LO", b"1.2.3.1.1.1 ")), {"Keep": ["0020,0242"]})

    assert "1.2.3.1.1.1" == result[0x00200242].value


@pytest.mark.parametrize("tag", [0x00081155, 0x00200242])
def test_a_uid_that_the_request_gives_in_an_item_is_its_own_word(tag: int) -> None:
    """Where UIDs stay but for those of the run, what Replace puts into a sequence is no reference of the source."""
    choice = ProfileChoice(options=frozenset({"retain-uids"}))
    given = {"ReferencedImageSequence": [{f"{tag >> 16:04x},{tag & 0xFFFF:04x}": "1.2.77"}]}
    after = read(deidentify(choice, {"Replace": given})(instance()))

    assert "1.2.77" == after.ReferencedImageSequence[0][tag].value


def test_long_lists_of_uids_are_mapped() -> None:
    """Implicit files hold more than 64 KiB of UIDs, which is no reason to leave them."""
    many = b"\\".join([b"1.2.3.1.1.1"] * 8000)
    result = read(anonymize({})(instance(Element(0x00200242, "UI", many + b"\0" * (len(many) % 2)), syntax=IMPLICIT)))

    assert {PSEUDONYMS.uid("1.2.3.1.1.1")} == set(result[0x00200242].value)


@pytest.mark.parametrize("profile", ["2023b", "ps3.15"])
def test_a_number_without_its_vr_is_no_reference(profile: str) -> None:
    """An object of the run may have a UID that a number is written like, as 1.1."""
    edit = deidentify(ProfileChoice()) if profile == "ps3.15" else anonymize({"DicomVersion": profile})
    said = Element(0x00189004, "UI", b"1.1\0")
    result = read(edit(instance(Element(0x00281053, "UN", b"1.1 "), said, FrameOfReferenceUID="1.1")))

    assert 1.1 == result.RescaleSlope
    assert "1.1" != result.get("ContentQualification"), "where the file says that it is one, it is"


def test_text_that_is_no_uid_stays() -> None:
    """Private elements without a known VR are looked at, and kept byte for byte where they hold no UID of the run."""
    for value in (b"1.2.3.1.1.1 and more", b"\x01\x02\x03\x04", b"1.2.3.1.1.12", b"9" * 200000, b"\\\\", b"1\\"):
        uid = Element(0x00091001, "UN", value)
        result = anonymize({"KeepPrivateTags": True})(instance(*private_block(0x0009, uid)))

        assert value == read(result)[0x00091001].value
