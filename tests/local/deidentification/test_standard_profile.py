"""The profile ps3.15-2026d: nothing of what Table E.1-1 names is left, and what it does not name stays."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import pydicom.config
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset, dcmread
from pydicom.dataelem import DataElement
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, MRImageStorage

from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.core.request.profile_choice import Option, ProfileChoice
from deidflow.tasks.local.deidentification.standard.codes import Code
from deidflow.tasks.local.deidentification.standard.profile import Row, load_profile
from deidflow.tasks.local.dicom_file.source_file import SourceFile
from deidflow.tasks.local.editing.differences import differences
from deidflow.tasks.local.worker import edit_source
from deidflow.tasks.verification.comparison import compare
from deidflow.tasks.verification.permitted import permitted
from deidflow.tasks.verification.reader import read_dicom
from tests.dicom_files import JPEG, Element, Item, encapsulated, instance
from tests.local.edits import KEY, SCOPE, all_files, deidentify, read
from tests.local.strategies import PROPERTY

if TYPE_CHECKING:
    from pathlib import Path

BASIC = ProfileChoice()
CLEANING = ProfileChoice(frozenset({Option.CLEAN_DESCRIPTORS, Option.CLEAN_STRUCTURED_CONTENT, Option.CLEAN_GRAPHICS}))
FILES = (
    *("CT_small.dcm", "MR_small.dcm", "MR_small_bigendian.dcm", "rtplan.dcm", "rtdose.dcm", "rtstruct.dcm"),
    *("examples_ybr_color.dcm", "JPEG2000.dcm", "test-SR.dcm", "waveform_ecg.dcm", "image_dfl.dcm", "liver_1frame.dcm"),
)
"""CT, MR, RT Plan, RT Dose, RT Structure Set, US, NM, SR, ECG, secondary capture, segmentation."""

NESTED = ("ReferencedSeriesSequence", "ConceptNameCodeSequence", "PurposeOfReferenceCodeSequence")
"""Sequences that the table does not name."""

_DATES = {"DA": "19330717", "DT": "19330717091147.123456", "TM": "091147.123456", "AS": "077Y"}


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Markers fit no CS."""
    monkeypatch.setattr(pydicom.config.settings, "writing_validation_mode", pydicom.config.IGNORE)


def marker(row: Row, number: int, place: str) -> str | bytes | list[Dataset] | int:
    """Return a value that says where it was planted."""
    text, vr = f"QQ{number}{place}", (row.vr or "LO")[:2]
    item = Dataset()
    item.CodeValue = item.PatientComments = text
    item.RetrieveURL = f"http://{text}"
    values: dict[str, str | bytes | list[Dataset] | int] = {
        **_DATES,
        **dict.fromkeys(("IS", "DS"), "77077"),
        **dict.fromkeys(("OB", "UN"), text.encode().ljust(16, b"Q")),
        "UI": f"1.2.777.{number}.{len(place)}",
        "SQ": [item],
        "US": 777,
    }
    return values.get(vr, text)


def planted(dataset: Dataset, place: str, choice: ProfileChoice = BASIC) -> None:
    """Put a marker into every attribute of the table, but for free text that no option cleans."""
    for number, row in enumerate(load_profile()):
        tag = row.number
        if (
            tag is None
            or row.stays(frozenset(map(Option, choice.options)))
            or tag >> 16 < 8
            or row.keyword in KEPT_FOR_READING
        ):
            continue
        vr = (row.vr or "LO")[:2]
        dataset[tag] = DataElement(tag, vr, marker(row, number, place))
    block = dataset.private_block(0x0099, "MARKER", create=True)
    block.add_new(1, "LO", f"QQprivate{place}")
    inside = Dataset()
    inside.PatientName = f"QQ^private{place}"
    block.add_new(2, "SQ", [inside])
    dataset[0x00091001 + 0x10000] = DataElement(0x000A1001, "LO", f"QQunknown{place}")
    hidden(dataset, place)


def hidden(dataset: Dataset, place: str) -> None:
    """Put a marker where the table has no row: directories, signatures, icons, profiles, overlays, padding."""
    text = f"QQhidden{place}"
    octets = text.encode().ljust(16, b"Q")
    for tag, vr in ((0x00041130, "CS"), (0x00203100, "CS"), (0x60004000, "LT"), (0x60001500, "LO"), (0x50002500, "LO")):
        dataset.add_new(tag, vr, text)
    for tag in (0x60003000, 0x50003000, 0xFFFCFFFC):
        dataset.add_new(tag, "OB", octets)
    encrypted, mac, icon = Dataset(), Dataset(), Dataset()
    encrypted.EncryptedContent, mac.MACAlgorithm = octets, text
    icon.Rows = icon.Columns = 4
    icon.add_new(0x7FE00010, "OB", octets)
    dataset.EncryptedAttributesSequence, dataset.MACParametersSequence = [encrypted], [mac]
    dataset.IconImageSequence = [icon]
    body = struct.pack(">4sII", b"cprt", 144, 32) + b"text\0\0\0\0" + octets.ljust(24)
    dataset.ICCProfile = bytes(36) + b"acsp" + bytes(88) + struct.pack(">I", 1) + body


KEPT_FOR_READING = frozenset(
    {"SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "EncapsulatedDocument", "PatientID"}
)


@lru_cache
def files() -> dict[str, Path]:
    """Return pydicom's files by name."""
    return {path.name: path for path in all_files()}


def with_markers(path: Path, choice: ProfileChoice = BASIC) -> bytes:
    """Return a file with markers at top level and three levels deep."""
    dataset = dcmread(path, force=True)
    planted(dataset, "top", choice)
    inner: Dataset = Dataset()
    planted(inner, "deep", choice)
    for keyword in reversed(NESTED):
        outer = Dataset()
        setattr(outer, keyword, [inner])
        inner = outer
    dataset.update(inner)
    dataset.preamble = b"QQ" * 64
    meta = dataset.file_meta
    meta.SourceApplicationEntityTitle = meta.ImplementationVersionName = meta.ReceivingApplicationEntityTitle = "QQ"
    meta.PrivateInformationCreatorUID, meta.PrivateInformation = UID("1.2.777.1"), b"QQ"
    target = io.BytesIO()
    dataset.save_as(target, enforce_file_format=False)
    return target.getvalue()


def leaves(dataset: Dataset) -> list[tuple[int, Any]]:
    """Return all elements that are no sequences, at any depth."""
    return [(int(element.tag), element.value) for element in dataset.iterall() if element.VR != "SQ"]


@pytest.mark.parametrize("choice", [BASIC, CLEANING], ids=["basic", "cleaning"])
@pytest.mark.parametrize("name", FILES)
def test_no_marker_survives(name: str, choice: ProfileChoice) -> None:
    """At the top, three levels deep in sequences that stay, in private sequences and unknown attributes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = with_markers(files()[name], choice)
    result = deidentify(choice)(data)
    after = read(result)

    assert any("QQ" in str(value) for _, value in leaves(read(data)))
    start = 144 + after.file_meta.FileMetaInformationGroupLength
    is_deflated = after.file_meta.TransferSyntaxUID.is_deflated  # any two bytes stand in what is compressed
    assert b"QQ" not in result[:start] + (zlib.decompress(result[start:], -15) if is_deflated else result[start:])
    for tag, value in leaves(after):
        assert not any(text in str(value) for text in ("QQ", "1.2.777.")), hex(tag)
        if str(value) in ("77077", "777", *_DATES.values()):
            pytest.fail(hex(tag))


@pytest.mark.parametrize("name", FILES)
def test_what_is_not_named_stays_byte_for_byte(name: str) -> None:
    """Elements at top level that neither table nor rule names have the same bytes, pixel data too."""
    data = files()[name].read_bytes()
    before, after = (dcmread(io.BytesIO(one), force=True) for one in (data, deidentify(BASIC)(data)))
    named = {row.number for row in load_profile() if not row.stays(())} | {
        0x00120062,
        0x00120063,
        0x00120064,
        0x00280303,
        0x0018A001,
    }
    compared = 0
    for element in before:
        tag = int(element.tag)
        if tag & 0x10000 or not tag & 0xFFFF or tag in named or element.VR == "SQ" or tag >> 16 >= 0xFFFC:
            continue
        if 0x5000 <= tag >> 16 < 0x7000 or not element.keyword or element.VR == "UI":
            continue
        assert after[tag].value == element.value, hex(tag)
        compared += 1
    assert compared > 5
    assert ("PixelData" in before) is ("PixelData" in after)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian])
def test_every_encoding(syntax: Any) -> None:
    """The same in all encodings of a dataset, also for attributes that pydicom does not know."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = MRImageStorage
    dataset.SOPInstanceUID, dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3.3", "1.2.3.1", "1.2.3.2"
    dataset.PatientID, dataset.Modality = "QQ1", "MR"
    planted(dataset, "top")
    target = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset.save_as(target, implicit_vr=syntax.is_implicit_VR, little_endian=syntax.is_little_endian)
    result = deidentify(BASIC)(target.getvalue())

    assert b"QQ" not in result
    assert read(result).Modality == "MR"


def test_combined_codes_follow_the_iod() -> None:
    """X/Z/D and its like: a dummy for type 1, empty for type 2, removal for type 3."""
    ct, enhanced = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1"
    row = next(row for row in load_profile() if row.keyword == "ContentDate")
    assert row.basic is Code.Z_D
    plain = read(deidentify(BASIC)(instance(SOPClassUID=ct, ContentDate="19330717", AcquisitionDateTime="19330717")))
    strict = read(
        deidentify(BASIC)(instance(SOPClassUID=enhanced, ContentDate="19330717", AcquisitionDateTime="19330717"))
    )

    assert plain.ContentDate == ""
    assert strict.ContentDate == "20000101"
    assert "AcquisitionDateTime" not in plain


def test_sequence_sent_as_un_is_looked_into() -> None:
    """With and without length, also inside a private sequence that the request keeps."""
    for undefined in (True, False):
        item = Item((Element(0x00100010, "PN", b"QQ^A"), Element(0x00081155, "UI", b"1.2.777.1\0")))
        data = instance(Element(0x00081115, "UN", (item,), undefined=undefined))
        after = read(deidentify(BASIC)(data))
        assert b"QQ" not in deidentify(BASIC)(data)
        assert after.ReferencedSeriesSequence[0].ReferencedSOPInstanceUID.startswith("2.25.")


def test_values_of_another_vr_go() -> None:
    """A known attribute that says something else than it can say, and one that nobody knows."""
    data = instance(
        Element(0x00280010, "LO", b"QQ Smith"), Element(0x0008FFF0, "LO", b"QQ"), Element(0x00041130, "CS", b"QQ")
    )
    assert b"QQ" not in deidentify(BASIC)(data)


def test_the_record_says_what_was_done_and_no_more() -> None:
    """Codes of CID 7050, dates, equipment; earlier items stay, and doing it again changes none of them."""
    earlier = Dataset()
    earlier.CodeValue, earlier.CodingSchemeDesignator, earlier.CodeMeaning = "113105", "DCM", "Clean Descriptors Option"
    dataset = dcmread(io.BytesIO(instance()), force=True)
    dataset.DeidentificationMethodCodeSequence = [earlier]
    dataset.DeidentificationMethod = "an earlier step"
    target = io.BytesIO()
    dataset.save_as(target)
    choice = ProfileChoice(frozenset({Option.RETAIN_FULL_DATES, "retain-device-identity"}))
    once = read(deidentify(choice)(target.getvalue()))
    again = io.BytesIO()
    once.save_as(again)
    twice = read(deidentify(choice)(again.getvalue()))

    for result in (once, twice):
        codes = [item.CodeValue for item in result.DeidentificationMethodCodeSequence]
        assert codes == ["113105", "113100", "113106", "113109"]
        assert result.LongitudinalTemporalInformationModified == "UNMODIFIED"
        assert result.PatientIdentityRemoved == "YES"
        assert len(result.ContributingEquipmentSequence) == 1
        assert result.ContributingEquipmentSequence[0].PurposeOfReferenceCodeSequence[0].CodeValue == "109104"
        assert list(result.DeidentificationMethod)[:2] == [
            "an earlier step",
            "deidflow - PS 3.15-2026d Table E.1-1 Basic Profile",
        ]
        assert len(result.DeidentificationMethod) == 4


def test_what_the_request_keeps_is_kept_and_not_claimed() -> None:
    """Keep, Replace and Remove are laid over the profile; 113100 is claimed only where nothing was kept against it."""
    body = {"Keep": ["StudyDescription"], "Remove": ["Modality"], "Replace": {"SeriesDescription": "Trial 7"}}
    data = instance(StudyDescription="Head", SeriesDescription="QQ", Modality="CT")
    after = read(deidentify(BASIC, body)(data))

    assert (after.StudyDescription, after.SeriesDescription) == ("Head", "Trial 7")
    assert "Modality" not in after
    assert "DeidentificationMethodCodeSequence" not in after
    assert "adapted" in str(after.DeidentificationMethod)


def options_of(option: str) -> list[Row]:
    """Return the rows that an option keeps."""
    return [row for row in load_profile() if row.options.get(Option(option)) is Code.K and row.number is not None]


@pytest.mark.parametrize("option", [option for option in Option if options_of(option)])
def test_an_option_keeps_its_own_and_the_rest_is_cleaned(option: str) -> None:
    """K at top level and below; every other marker goes."""
    data = with_markers(files()["CT_small.dcm"])
    result = deidentify(ProfileChoice(frozenset({option})))(data)
    before, after = read(data), read(result)
    kept = [row for row in options_of(option) if row.number is not None and row.number in before]

    assert kept
    for row in kept:
        assert row.number is not None
        if row.vr != "SQ":
            assert after[row.number].value == before[row.number].value, row.keyword
        else:
            assert len(after[row.number].value) == 1, row.keyword
    keeps = {row.number for row in kept}
    for tag, value in leaves(after):
        assert tag in keeps or ("QQ" not in str(value) and "1.2.777." not in str(value)) or tag == 0x00080100, hex(tag)


_COMBINATIONS = st.sets(st.sampled_from(Option)).filter(
    lambda chosen: not {Option.RETAIN_FULL_DATES, Option.RETAIN_MODIFIED_DATES} <= chosen
)
_MARKED_BY_VR = {**_DATES, "IS": "77077", "DS": "77077", "US": "777", "UI": "1.2.777."}


@lru_cache
def marked() -> bytes:
    """Return a CT with markers, made once."""
    return with_markers(files()["CT_small.dcm"])


@settings(PROPERTY, max_examples=12)
@given(_COMBINATIONS)
def test_any_options_together(chosen: set[str]) -> None:
    """What one of them keeps and none cleans stays, at every depth; no other marker does; the verifier agrees."""
    choice, options = ProfileChoice(frozenset(chosen)), frozenset(map(Option, chosen))
    edit = deidentify(choice)
    result = edit(marked())
    before, after = (read_dicom(io.BytesIO(one)) for one in (marked(), result))
    compare(before, after, permitted(edit.request, hardening=True, hidden_bits=False, profile=choice), None)
    old, new = read(marked()), read(result)
    inside = [one.ReferencedSeriesSequence[0].ConceptNameCodeSequence[0] for one in (old, new)]
    deep = [one.PurposeOfReferenceCodeSequence[0] for one in inside]
    for source, target in ((old, new), (deep[0], deep[1])):
        for row in load_profile():
            tag, codes = row.number, {row.options[option] for option in options if option in row.options}
            if tag is None or tag not in source or row.vr == "SQ" or row.keyword in KEPT_FOR_READING:
                continue
            if codes == {Code.K}:
                assert target[tag].value == source[tag].value, row.keyword
            elif tag in target and source[tag].VR not in (("TM", "DS", "IS", "US") if Code.C in codes else ()):
                left = _MARKED_BY_VR.get(source[tag].VR, "QQ")
                assert left not in str(target[tag].value), row.keyword
    assert b"QQprivate" not in result
    assert b"QQunknown" not in result


def test_dates_move_by_the_same_days_everywhere() -> None:
    """DA, DT with offset and several values, nested; intervals stay, times stay, partial and impossible dates go."""
    nested = Item((Element(0x00080022, "DA", b"20240301"), Element(0x00080020, "DA", b"202402  ")))
    data = instance(
        Element(0x00081115, "SQ", (nested,)),
        StudyDate="20240229",
        SeriesDate="20240230",
        AcquisitionDateTime="20240301235959.5+0100",
        StudyTime="101112",
        PatientBirthDate="18990704",
    )
    choice = ProfileChoice(frozenset({Option.RETAIN_MODIFIED_DATES}), (10, 400), whole_weeks=True)
    after = read(deidentify(choice)(data))

    def days(one: str, two: str) -> int:
        return (datetime.strptime(two[:8], "%Y%m%d") - datetime.strptime(one[:8], "%Y%m%d")).days  # noqa: DTZ007

    moved = days("20240229", after.StudyDate)
    assert -400 <= moved <= -10
    assert moved % 7 == 0
    assert days("20240301", after.AcquisitionDateTime) == moved
    assert after.AcquisitionDateTime.endswith("235959.5+0100")
    assert days("20240301", after.ReferencedSeriesSequence[0].AcquisitionDate) == moved
    assert after.ReferencedSeriesSequence[0].StudyDate == ""
    assert after.SeriesDate == ""
    assert after.StudyTime == "101112"
    assert after.PatientBirthDate == ""
    assert after.LongitudinalTemporalInformationModified == "MODIFIED"
    assert (KEY.fingerprint, SCOPE, moved) == ("48f3dcb4", "tests", -189)


def cut_off(path: Path) -> bytes:
    """Return a JPEG file whose frame has no end."""
    dataset = dcmread(path)
    frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
    dataset.PixelData = encapsulate([frame[: len(frame) // 2]])
    target = io.BytesIO()
    dataset.save_as(target)
    return target.getvalue()


def test_unsafe_content_is_refused() -> None:
    """A JPEG that is cut off, video, a document that is neither PDF nor CDA, a directory."""
    stl = instance(SOPClassUID="1.2.840.10008.5.1.4.1.1.104.3", EncapsulatedDocument=b"solid Smith")
    video = JPEG._replace(uid="1.2.840.10008.1.2.4.102")
    unsafe = [
        cut_off(files()["SC_rgb_jpeg_gdcm.dcm"]),
        instance(encapsulated(b"", b"\0\0\1\xb3"), syntax=video),
        stl,
        instance(SOPClassUID="1.2.840.10008.1.3.10"),
        files()["DICOMDIR-implicit"].read_bytes(),
    ]
    for data in unsafe:
        with pytest.raises(InstanceFailed) as caught:
            deidentify(BASIC)(data)
        assert caught.value.code is ReasonCode.UNSAFE_CONTENT
    with pytest.raises(InstanceFailed, match="EncapsulatedDocument in Keep"):
        deidentify(BASIC)(stl)
    kept = read(deidentify(BASIC, {"Keep": ["EncapsulatedDocument"]})(stl))
    assert (kept.EncapsulatedDocument.strip(), "DeidentificationMethodCodeSequence" in kept) == (b"solid Smith", False)
    assert "PixelData" in read(deidentify(BASIC)(files()["SC_rgb_jpeg_gdcm.dcm"].read_bytes()))


def test_documents_become_dummies() -> None:
    """A PDF is replaced by an empty page, and its length is true."""
    data = instance(
        SOPClassUID="1.2.840.10008.5.1.4.1.1.104.1", EncapsulatedDocument=b"%PDF QQ ", EncapsulatedDocumentLength=7
    )
    after = read(deidentify(BASIC)(data))

    assert after.EncapsulatedDocument.startswith(b"%PDF-1.4")
    assert b"QQ" not in after.EncapsulatedDocument
    assert after.EncapsulatedDocument[: after.EncapsulatedDocumentLength].rstrip().endswith(b"%%EOF")


def test_a_document_in_an_item_goes() -> None:
    """No IOD has one there, so the object stays valid without; what is around it stays."""
    item = Item((Element(0x0020000E, "UI", b"1.2.777.1\0"), Element(0x00420011, "OB", b"%PDF QQ ")))
    after = read(deidentify(BASIC)(instance(Element(0x00081115, "SQ", (item,)))))

    assert "EncapsulatedDocument" not in after.ReferencedSeriesSequence[0]
    assert after.ReferencedSeriesSequence[0].SeriesInstanceUID.startswith("2.25.")


def test_profile_is_told_by_plan_in_the_words_of_the_table() -> None:
    """What ``plan --diff`` prints as the rule."""
    edit = deidentify(BASIC)
    data = instance(SOPClassUID="1.2.840.10008.5.1.4.1.1.2.1", ContentDate="19330717", StudyID="7", PatientWeight="70")
    with SourceFile.of_bytes(data) as source:
        rows = {row.path.tag: row.rule for row in differences(source, edit(data), edit.compiled(source).tables)}
    assert rows[0x00080023] == "ps3.15-2026d: Z/D -> D (type 1)"
    assert rows[0x00101030] == "ps3.15-2026d: X"
    assert rows[0x00200010] == "ps3.15-2026d: Z"


def test_what_no_rule_names_is_told_by_plan_with_its_cause() -> None:
    """Octets behind a frame, far from the beginning of the value; what was in a sequence that got a dummy."""
    frame = b"\xff\xd8\xff\xda\0\x08\1\1\0\0\x3f\0" + bytes(60) + b"\xff\xd9"
    data = instance(
        encapsulated(frame + b"QQQQ"),
        syntax=JPEG,
        SOPClassUID="1.2.840.10008.5.1.4.1.1.9.1.1",
        WaveformAnnotationSequence=[{"UnformattedTextValue": "QQ", "AnnotationGroupNumber": "1"}],
    )
    edit = deidentify(BASIC)
    with SourceFile.of_bytes(data) as source:
        rows = {row.path.describe(): row for row in differences(source, edit(data), edit.compiled(source).tables)}
    assert ("cleared of what is no image", False) == (rows["PixelData"].rule, rows["PixelData"].is_kept)
    whole = rows["WaveformAnnotationSequence"].rule
    assert whole.startswith("ps3.15-2026d: X/D")
    assert whole == rows["WaveformAnnotationSequence[0].AnnotationGroupNumber"].rule


@pytest.mark.parametrize("options", [(), tuple(option for option in Option if option != Option.RETAIN_FULL_DATES)])
def test_same_bytes_in_any_order(options: tuple[str, ...]) -> None:
    """What a worker remembers of a series changes no byte: all instances one after the other, and each by itself."""
    names = ("17106", "17136", "17166", "17196", "4558", "4588")
    edit = deidentify(ProfileChoice(frozenset(options)))
    alone = {name: edit(files()[name].read_bytes()) for name in names}
    for order in (names, names[::-1]):
        compiled = None
        for name in order:
            with SourceFile.of_bytes(files()[name].read_bytes()) as source:
                own = edit.compiled(source)
                compiled = compiled or own
                result = edit_source(source, edit.plan(source), compiled._replace(references=own.references))
                assert result.to_bytes() == alone[name], name


def test_numbers_of_studies_go_with_their_ids() -> None:
    """A retired IS that no option of the standard lets stay, and that tells the order of all studies of a site."""
    after = read(deidentify(ProfileChoice())(instance(StudyID="4711", OtherStudyNumbers="4711")))

    assert ("", False) == (after.StudyID, "OtherStudyNumbers" in after)


def test_options_that_overrule_one_another_are_not_claimed() -> None:
    """Dates of calibration are kept by one option and moved by the other: neither code of the profile would be true."""
    choice = ProfileChoice(frozenset({Option.RETAIN_MODIFIED_DATES, "retain-device-identity"}))
    after = read(deidentify(choice)(instance(DateOfLastCalibration="20240229", DeviceSerialNumber="77")))

    assert [item.CodeValue for item in after.DeidentificationMethodCodeSequence] == ["113107"]
    assert after.DeviceSerialNumber == "77"
    assert after.DateOfLastCalibration not in ("", "20240229")
    assert "adapted" in str(after.DeidentificationMethod)
