"""A new value is written as it was given, or the instance fails with the reason; nothing is lost on the way."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from pydicom.datadict import dictionary_VR, tag_for_keyword

from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.local.dicom_file.source_file import SourceFile
from tests.dicom_files import BIG, EXPLICIT, IMPLICIT, Element, Item, Syntax, encode, instance
from tests.local.edits import anonymized, modified, modify


def refusal(data: bytes, **replace: str) -> ReasonCode:
    """Return why a replacement fails."""
    with pytest.raises(InstanceFailed) as caught:
        modify({"Replace": replace})(data)
    assert not any(value and value in str(caught.value) for value in replace.values())
    return caught.value.code


@pytest.mark.parametrize(
    ("terms", "name"),
    [
        (None, "Müller^Jörg"),
        ("", "Müller^Jörg"),
        ("ISO_IR 100", "Müller^Jörg"),
        ("ISO_IR 6", "Mueller^Joerg"),
        ("ISO_IR 192", "Müller^Jörg=山田^太郎=やまだ^たろう"),
        ("ISO_IR 144", "Люкceмбypг"),  # noqa: RUF001 (Cyrillic on purpose, as the next)
        ("ISO_IR 13", "ﾔﾏﾀﾞ^ﾀﾛｳ"),
        ("GB18030", "Wang^XiaoDong=王^小东"),
        ("\\ISO 2022 IR 87", "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        ("ISO 2022 IR 6\\ISO 2022 IR 149", "Hong^Gildong=洪^吉洞=홍^길동"),
        ("ISO 2022 IR 100\\ISO 2022 IR 144", "Müller^Люкceмбypг"),  # noqa: RUF001
    ],
)
def test_text_that_the_character_set_has(terms: str | None, name: str) -> None:
    """A name in the file's own character set reads back as it was given."""
    after = modified(instance(SpecificCharacterSet=terms), {"Replace": {"PatientName": name, "PatientComments": name}})

    assert (name, name) == (str(after.PatientName), after.PatientComments)
    assert terms == (None if terms is None else "\\".join(listed(after.SpecificCharacterSet)))


def listed(value: Any) -> list[str]:
    """Return one or several values as a list."""
    return [value or ""] if isinstance(value, str) or value is None else [str(part) for part in value]


@pytest.mark.parametrize(
    ("terms", "name"),
    [
        (None, "山田^太郎"),
        ("ISO_IR 100", "É東京"),
        ("ISO_IR 6", "Müller"),
        ("ISO_IR 144", "Müller"),
        ("\\ISO 2022 IR 87", "홍^길동"),
        ("NO SUCH SET", "山田^太郎"),
    ],
)
def test_text_that_the_character_set_lacks(terms: str | None, name: str) -> None:
    """The instance fails by name instead of losing characters, as it would on Orthanc."""
    assert ReasonCode.CHARACTER_SET is refusal(instance(SpecificCharacterSet=terms), PatientName=name)


def test_item_with_its_own_character_set() -> None:
    """A value inside an item is written in the item's set."""
    sequence = Element(0x00400275, "SQ", (Item((Element(0x00080005, "CS", b"ISO_IR 192"),)), Item(())))
    data = instance(sequence, SpecificCharacterSet="ISO_IR 100")
    after = modified(data, {"Replace": {"RequestAttributesSequence[0].RequestedProcedureID": "東京"}})

    assert "東京" == after.RequestAttributesSequence[0].RequestedProcedureID
    path = "RequestAttributesSequence[1].RequestedProcedureID"
    assert ReasonCode.CHARACTER_SET is refusal(data, **{path: "東京"})


def test_new_character_set_over_plain_text() -> None:
    """Where all text that stays is ASCII, another set may be declared, and new text is written in it."""
    body = {"Replace": {"SpecificCharacterSet": "ISO_IR 192", "StudyDescription": "東京"}}
    after = modified(instance(SpecificCharacterSet="ISO_IR 100", StudyDescription="Köln"), body)

    assert ("ISO_IR 192", "東京", "Doe^Jane") == (after.SpecificCharacterSet, after.StudyDescription, after.PatientName)


@pytest.mark.parametrize("nested", [False, True], ids=["top", "nested"])
@pytest.mark.parametrize(
    "body", [{"Replace": {"SpecificCharacterSet": "ISO_IR 192"}}, {"Remove": ["SpecificCharacterSet"]}]
)
def test_new_character_set_that_would_garble(nested: bool, body: dict[str, Any]) -> None:
    """Text that stays in its old bytes must not be declared to be something else."""
    name = Element(0x00081070, "PN", "Żółć".encode("iso8859-2"))
    other = Element(0x00400275, "SQ", (Item((name,)),)) if nested else name
    data = instance(other, SpecificCharacterSet="ISO_IR 101")

    with pytest.raises(InstanceFailed) as caught:
        modify(body)(data)
    assert ReasonCode.CHARACTER_SET is caught.value.code


def test_character_set_that_stands_behind_other_elements() -> None:
    """It counts wherever it stands, as for an Orthanc: new values are written in it, old ones read."""
    later = Element(0x00120062, "CS", b"NO")
    data = instance(SpecificCharacterSet="ISO_IR 192", PatientID="Żółć-1", charset="utf-8")
    start = data.index(b"\x08\0\x05\0CS")
    data = data[:start] + encode([later], EXPLICIT) + data[start:]
    after = modified(data, {"Replace": {"StudyDescription": "東京"}})

    assert ("東京", "Żółć-1") == (after.StudyDescription, after.PatientID)


@pytest.mark.parametrize("vr", ["LO", "UN"])
def test_new_character_set_that_would_make_another_patient(vr: str) -> None:
    """A PatientID that stays is the same patient's under the new set, as an Orthanc reads it."""
    number = Element(0x00100020, vr, b"P\x1b(B7")
    data = instance(number, PatientID=None, SpecificCharacterSet="ISO_IR 192\\ISO_IR 100")

    with pytest.raises(InstanceFailed) as caught:
        modify({"Replace": {"SpecificCharacterSet": "ISO_IR 192"}})(data)
    assert ReasonCode.CHARACTER_SET is caught.value.code
    renamed = modified(data, {"Replace": {"SpecificCharacterSet": "ISO_IR 192", "PatientID": "P7"}, "Force": True})
    assert "P7" == renamed.PatientID


def test_item_with_its_own_character_set_is_not_garbled_by_a_new_one_above() -> None:
    """An item that declares its set reads the same under any set of the dataset."""
    inner = (Element(0x00080005, "CS", b"ISO_IR 101"), Element(0x00081070, "PN", "Żółć".encode("iso8859-2")))
    data = instance(Element(0x00400275, "SQ", (Item(inner),)), SpecificCharacterSet="ISO_IR 100")
    after = modified(data, {"Replace": {"SpecificCharacterSet": "ISO_IR 192"}})

    assert "Żółć" == after.RequestAttributesSequence[0].OperatorsName


def test_new_character_set_of_an_item() -> None:
    """A set that a path gives to an item is that of the item's new values, and must not garble its old ones."""
    inner = {"SpecificCharacterSet": "ISO_IR 100", "ScheduledProcedureStepID": "S1"}
    replace = {
        "RequestAttributesSequence[0].SpecificCharacterSet": "ISO_IR 192",
        "RequestAttributesSequence[0].RequestedProcedureID": "東京",
    }
    after = modified(instance(RequestAttributesSequence=[inner]), {"Replace": replace})
    assert "東京" == after.RequestAttributesSequence[0].RequestedProcedureID

    inner["OperatorsName"] = "Jörg"
    assert ReasonCode.CHARACTER_SET is refusal(instance(RequestAttributesSequence=[inner]), **replace)
    with pytest.raises(InstanceFailed):
        modify({"Remove": ["RequestAttributesSequence[*].SpecificCharacterSet"]})(
            instance(SpecificCharacterSet="ISO_IR 192", RequestAttributesSequence=[inner])
        )


def test_nested_patient_id_in_the_old_character_set() -> None:
    """A nested PatientID is read in the set in which it was written, also when the dataset gets another one."""
    sequence = Element(0x00081115, "SQ", (Item((Element(0x00100020, "LO", "Jörg-1".encode("latin-1")),)),))
    data = instance(sequence, SpecificCharacterSet="ISO_IR 100", PatientID="Jörg-1")
    after = anonymized(data, {"Replace": {"SpecificCharacterSet": "ISO_IR 192"}})

    assert after.PatientID == after.ReferencedSeriesSequence[0].PatientID


NUMBERS = [
    ("Rows", "US", "512", 512),
    ("Rows", "US", "65535", 65535),
    ("TagAngleSecondAxis", "SS", "-32768", -32768),
    ("SimpleFrameList", "UL", "1\\4294967295", [1, 4294967295]),
    ("ReferencePixelX0", "SL", "-2147483648", -2147483648),
    ("RecommendedDisplayFrameRateInFloat", "FL", "0.5", 0.5),
    ("EventTimeOffset", "FD", "-1e-3", -0.001),
    ("FileOffsetInContainer", "UV", "18446744073709551615", 18446744073709551615),
    ("FrameIncrementPointer", "AT", "0018,1063\\0018,1065", [0x00181063, 0x00181065]),
    ("FrameIncrementPointer", "AT", "FrameTime", 0x00181063),
    ("ExposureTime", "IS", "12", 12),
    ("SliceThickness", "DS", "1.50", 1.5),
]


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG], ids=lambda syntax: syntax.uid)
@pytest.mark.parametrize(("keyword", "vr", "text", "value"), NUMBERS)
def test_numbers(syntax: Syntax, keyword: str, vr: str, text: str, value: Any) -> None:
    """Decimal text becomes binary numbers of the VR in the file's byte order, one or several."""
    after = modified(instance(syntax=syntax), {"Replace": {keyword: text}})
    found = after[keyword].value

    if keyword != "FileOffsetInContainer" or keyword in after:
        assert (vr, value) == (after[keyword].VR, list(found) if isinstance(value, list) else found)


@pytest.mark.parametrize(
    ("keyword", "text"),
    [
        ("Rows", "65536"),
        ("Rows", "-65536"),
        ("Rows", "twelve"),
        ("Rows", "1.5"),
        ("TagAngleSecondAxis", "32768"),
        ("SimpleFrameList", "1\\"),
        ("EventTimeOffset", "1,5"),
        ("FrameIncrementPointer", "not a tag"),
        ("RecommendedDisplayFrameRateInFloat", "1e60"),
        ("PatientComments", "data:application/octet-stream;base64,%%%"),
        ("OverlayData", "odd"),
        ("PixelData", "text"),
    ],
)
def test_numbers_that_do_not_fit(keyword: str, text: str) -> None:
    """What cannot be written with the VR fails this instance as a bad value, without repeating it."""
    assert ReasonCode.BAD_VALUE is refusal(instance(), **{keyword: text})


@pytest.mark.parametrize("keyword", ["PatientComments", "InstitutionName"])
def test_values_too_long_for_a_length_of_16_bits(keyword: str) -> None:
    """VRs with a short length field take 65534 bytes; what is longer is written as UN (PS3.5 6.2.2 note 2)."""
    for count, vr in ((65_534, None), (65_536, "UN")):
        result = modify({"Replace": {keyword: "x" * count}})(instance())
        with SourceFile.of_bytes(result) as source:
            (found,) = [element for element in source.scan() if element[0] == tag_for_keyword(keyword)]
        assert count == found[4] - found[3]
        assert (vr or dictionary_VR(keyword)) == found[1]


def test_identifiers_too_long_for_a_length_of_16_bits() -> None:
    """The same holds for the PatientID, which takes another way into the file."""
    with pytest.raises(InstanceFailed) as caught:
        modify({"Replace": {"PatientID": "x" * 70_000}, "Force": True})(instance())
    assert ReasonCode.BAD_VALUE is caught.value.code


def test_anything_textual_is_taken_verbatim() -> None:
    """The engine accepts what Orthanc accepts: no check of dates, codes and lengths; leading blanks stay."""
    body = {
        "Replace": {"StudyDate": "yesterday", "Modality": "lower case", "PatientComments": "  a\\b", "PatientAge": ""}
    }
    after = modified(instance(StudyDate="20240131"), body)

    assert "yesterday" == after.StudyDate
    assert "lower case" == after.Modality
    assert "  a\\b" == after.PatientComments
    assert "" == after.PatientAge


def test_binary_values_by_data_uri() -> None:
    """Base64 is decoded for any element and padded as its VR is; words are in the file's byte order."""
    uri = "data:application/octet-stream;base64," + base64.b64encode(b"\1\2\3").decode()
    long_uri = "data:application/octet-stream;base64," + base64.b64encode(b"\1\2\3\4").decode()
    body = {"Replace": {"ICCProfile": uri, "PixelData": long_uri, "0009,1001": uri}}
    after = modified(instance(), body)

    assert b"\1\2\3\0" == after.ICCProfile
    assert b"\1\2\3\4" == after.PixelData
    assert b"\1\2\3\0" == after[0x00091001].value
    assert b"\2\1\4\3" == modified(instance(syntax=BIG), {"Replace": {"PixelData": long_uri}}).PixelData


def octets(data: bytes, mime: str = "application/octet-stream") -> str:
    """Return a data URI."""
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"


PDF_CLASS = "1.2.840.10008.5.1.4.1.1.104.1"


@pytest.mark.parametrize("edit", [modified, anonymized])
@pytest.mark.parametrize("mime", ["application/pdf", "APPLICATION/PDF"])
def test_pdf_makes_an_encapsulated_pdf(edit: Any, mime: str) -> None:
    """The document is written as bytes, and class, MIME type and kind of conversion go with it."""
    body: dict[str, Any] = {"Replace": {"EncapsulatedDocument": octets(b"%PDF-1.7 odd", mime)}}
    after = edit(instance(Modality="DOC"), body)

    assert b"%PDF-1.7 odd" == after.EncapsulatedDocument.rstrip(b"\0")
    assert (PDF_CLASS, PDF_CLASS) == (after.SOPClassUID, after.file_meta.MediaStorageSOPClassUID)
    assert ("application/pdf", "WSD") == (after.MIMETypeOfEncapsulatedDocument, after.ConversionType)


def test_own_words_beside_a_pdf() -> None:
    """What the request names itself is written, kept or removed as it says."""
    body = {
        "Replace": {"EncapsulatedDocument": octets(b"%PDF-", "application/pdf"), "ConversionType": "DV"},
        "Remove": ["MIMETypeOfEncapsulatedDocument"],
    }
    after = modified(instance(MIMETypeOfEncapsulatedDocument="x/y"), body)

    assert ("DV", False) == (after.ConversionType, "MIMETypeOfEncapsulatedDocument" in after)


@pytest.mark.parametrize(
    "value",
    [octets(b"no PDF", "application/pdf"), octets(b"%PDF-"), octets(b"%PDF-", "image/png"), octets(b"x", "a/b")],
)
def test_other_contents_are_no_document(value: str) -> None:
    """Orthanc refuses them, or makes pixels of them; here the instance fails."""
    assert ReasonCode.BAD_VALUE is refusal(instance(), EncapsulatedDocument=value)


@pytest.mark.parametrize("given", ["1.2.840.10008.5.1.4.1.1.7", octets(b"1.2.840.10008.5.1.4.1.1.7")])
@pytest.mark.parametrize("edit", [modified, anonymized])
def test_class_in_the_file_meta(edit: Any, given: str) -> None:
    """A new SOPClassUID is that of the file meta information, however it was written in the request."""
    after = edit(instance(), {"Replace": {"SOPClassUID": given}})

    expected = "1.2.840.10008.5.1.4.1.1.7"
    assert (expected, expected) == (after.SOPClassUID, after.file_meta.MediaStorageSOPClassUID)


def test_lookup_tables_as_numbers() -> None:
    """A table that may be US or OW takes numbers, which no Orthanc does, or the bytes of its words."""
    for value in ("5\\770\\65535", octets(b"\5\0\2\3\xff\xff")):
        after = modified(instance(), {"Replace": {"LUTData": value}})
        assert ("OW", b"\5\0\2\3\xff\xff") == (after["LUTData"].VR, after["LUTData"].value)
