"""What excuses a value in a result: only what stands there by right, and only as far as that goes."""

from __future__ import annotations

import io
from typing import Any, Final

import pytest

from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.request.private_attributes import SiteAction, SiteAttribute
from deidflow.tasks.core.request.profile_choice import ProfileChoice, TextChoice
from deidflow.tasks.local.dicom_file.source_file import SourceFile
from deidflow.tasks.verification.leaks.search import LeakSearch
from deidflow.tasks.verification.reader import read_dicom
from tests.dicom_files import EXPLICIT, IMPLICIT, Element, Item, Syntax, instance, private_block
from tests.local.edits import Edit, anonymize, deidentify

STANDARD: Final = "ps3.15-2026d"
DATE, FRAME, SCAN = "19610303", "1.2.826.0.1.99.7", "20110911"
ID_IN_ITEM, IN_ITEM = "MRN-7719312", "PatientID of the source is left in ImageID"
NUMBERS: Final = {"AccessionNumber": "A123456", "RequestAttributesSequence": [{"AccessionNumber": "B654321"}]}
SUBJECT: Final = "JXD191021006"
NAMED: Final = {"PatientID": "xWroblewska-1", "PatientName": "Wroblewska^Zofia"}
STATIONS: Final = {"StationName": "STATIONAA", "ReferencedPatientSequence": [{"StationName": "STATIONBB"}]}
NUMBER: Final = "AccessionNumber of the source is left in ImageID"
SITE: Final = ProfileChoice(
    frozenset({"retain-safe-private"}), private=(SiteAttribute(0x0099, 1, "TEST BLOCK", "", SiteAction.KEEP),)
)


def edit_of(profile: str | ProfileChoice, body: dict[str, Any]) -> tuple[Edit, LeakSearch]:
    """Return what edits and what searches."""
    if isinstance(profile, str) and profile != STANDARD:
        return anonymize({"DicomVersion": profile, **body}), LeakSearch(None, written_by_server=False)
    choice = profile if isinstance(profile, ProfileChoice) else ProfileChoice(frozenset({"retain-device-identity"}))
    return deidentify(choice, body), LeakSearch(choice, written_by_server=False)


def said(
    text: str,
    values: dict[str, Any],
    body: dict[str, Any] | None = None,
    profile: str | ProfileChoice = STANDARD,
    *,
    private: Element | None = None,
    syntax: Syntax = EXPLICIT,
    charset: str = "latin-1",
) -> str:
    """Edit a file with a text in ImageID, which the profiles keep, and search the result; return what is said."""
    raw = text.encode(charset)
    extra = [Element(0x00540400, "SH", raw + b" " * (len(raw) % 2))]
    extra += [] if private is None else private_block(0x0099, private)
    data = instance(*extra, syntax=syntax, charset=charset, **values)
    edit, search = edit_of(profile, body or {})
    with SourceFile.of_bytes(data) as source:
        planned = edit.plan(source)
    result = edit(data)
    assert raw in result, "the profile keeps the place"
    try:
        search.check(edit.request, planned, read_dicom(io.BytesIO(data)), read_dicom(io.BytesIO(result)), None)
    except InstanceFailed as problem:
        return str(problem)
    return ""


@pytest.mark.parametrize(
    ("name", "maker", "text", "is_left"),
    [
        ("Philip^Zofia", "Philips Medical Systems", "knee of Philip", True),
        ("Edison^Zofia", "Samsung Medison", "Edison", True),
        ("Philip^Zofia", "Philips Medical Systems", "as Philips does", False),
        ("Siemens^Zofia", "SIEMENS", "on Siemens", False),
        ("Philips^Zofia", "PhilipsMedical", "on Philips", False),
    ],
)
def test_words_for_the_device(name: str, maker: str, text: str, *, is_left: bool) -> None:
    """A name is a word for the device where the search would find it there, not where letters go on."""
    assert is_left == bool(said(text, {"PatientName": name, "Manufacturer": maker}))


@pytest.mark.parametrize(
    ("given", "text", "is_left"),
    [
        ("Sleep study", "Lee", True),
        ("trial 201234", "no 20123", True),
        ("x1961030317", "born 19610303", True),
        ([{"CodeMeaning": "Sleep"}], "Lee", True),
        ("Lee study", "Lee", False),
        ("cohort 20123", "no 20123", False),
        ([{"CodeMeaning": "after Lee"}], "Lee", False),
    ],
)
def test_words_of_replace(given: object, text: str, *, is_left: bool) -> None:
    """What Replace brings is the request's word as a whole, and no letters or digits amid it."""
    values = {"PatientName": "Lee^Zofia", "PatientID": "20123", "PatientBirthDate": DATE}
    keyword = "StudyDescription" if isinstance(given, str) else "ProcedureCodeSequence"

    assert is_left == bool(said(text, values, {"Replace": {keyword: given}}))


@pytest.mark.parametrize("profile", [STANDARD, "2008"])
def test_words_of_a_document(profile: str) -> None:
    """The digits of a document that Replace brings hold any short name."""
    document = "data:application/pdf;base64,JVBERi0xLjQK+Lee/AAA"

    assert said("Lee", {"PatientName": "Lee^Zofia"}, {"Replace": {"EncapsulatedDocument": document}}, profile)


@pytest.mark.parametrize(
    ("keep", "values", "text", "profile", "expected"),
    [
        ("PatientID", {"OtherPatientIDsSequence": [{"PatientID": ID_IN_ITEM}]}, ID_IN_ITEM, STANDARD, IN_ITEM),
        ("PatientID", {"OtherPatientIDsSequence": [{"PatientID": ID_IN_ITEM}]}, ID_IN_ITEM, "2008", IN_ITEM),
        ("AccessionNumber", NUMBERS, "B654321", STANDARD, NUMBER),
        ("RequestAttributesSequence[0].AccessionNumber", NUMBERS, "A123456", STANDARD, NUMBER),
        ("RequestAttributesSequence[1].AccessionNumber", NUMBERS, "B654321", STANDARD, NUMBER),
        ("AccessionNumber", NUMBERS, "A123456", STANDARD, ""),
        ("RequestAttributesSequence[*].AccessionNumber", NUMBERS, "B654321", STANDARD, ""),
        ("StationName", STATIONS, "STATIONBB", "2008", ""),
        ("AccessionNumber", NUMBERS, "B654321", "2008", NUMBER),  # which removes the sequence
        ("PatientID", {"PatientID": SUBJECT, "PatientName": SUBJECT}, SUBJECT, STANDARD, ""),
        ("PatientID", {"PatientID": SUBJECT, "PatientName": SUBJECT}, SUBJECT, "2023b", ""),
        ("PatientID", NAMED, "nothing", STANDARD, ""),
        ("PatientID", NAMED, "Wroblewska", STANDARD, "PatientName of the source is left in ImageID"),
    ],
)
def test_values_of_keep(keep: str, values: dict[str, Any], text: str, profile: str, expected: str) -> None:
    """Keep excuses the value that stands where it says; not another one that the same attribute has elsewhere."""
    assert expected == said(text, values, {"Keep": [keep]}, profile)


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
@pytest.mark.parametrize(
    ("vr", "value", "text", "expected"),
    [
        ("DA", DATE, "nothing", "PatientBirthDate of the source is left in 0099,1001"),
        ("DA", SCAN, "nothing", ""),
        ("DA", SCAN, "on 11.09.2011", "StudyDate of the source is left in ImageID"),
        ("UI", FRAME, FRAME, "FrameOfReferenceUID of the source is left in ImageID"),
    ],
)
def test_private_dates_and_uids(syntax: Syntax, vr: str, value: str, text: str, expected: str) -> None:
    """What a private element holds may stay there, the birth date apart, and nowhere else, whatever VR it says."""
    values = {"PatientBirthDate": DATE, "StudyDate": SCAN, "FrameOfReferenceUID": FRAME}
    private = Element(0x00991001, vr, value.encode())

    assert expected == said(text, values, None, SITE, private=private, syntax=syntax)
    if vr == "DA":
        assert expected == said(text, values, {"KeepPrivateTags": True}, "2023b", private=private, syntax=syntax)


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
@pytest.mark.parametrize(
    ("vr", "value", "told", "expected"),
    [
        ("DA", SCAN, SCAN, ""),
        ("DA", f"{SCAN}\\20110912", SCAN, ""),
        ("LO", f"{SCAN}12", f"{SCAN}12", "SeriesDescription of the source is left in 0099,1001"),
        ("DA", DATE, DATE, "PatientBirthDate of the source is left in 0099,1001"),
        ("LO", "70004913", "70004913", "SeriesDescription of the source is left in 0099,1001"),
    ],
)
def test_private_dates_that_texts_tell(syntax: Syntax, vr: str, value: str, told: str, expected: str) -> None:
    """A date that may stay in a private element is no leak because a text tells it, too; the birth date still is."""
    values = {"PatientBirthDate": DATE, "StudyDate": "20110910", "SeriesDescription": f"Thorax of {told}"}
    private = Element(0x00991001, vr, value.encode() + b" " * (len(value) % 2))

    assert expected == said("nothing", values, None, SITE, private=private, syntax=syntax)
    assert expected == said("nothing", values, {"KeepPrivateTags": True}, "2023b", private=private, syntax=syntax)


@pytest.mark.parametrize(("vr", "value"), [("DA", DATE), ("LO", "born 3.3.1961")])
def test_private_dates_of_the_newborn(vr: str, value: str) -> None:
    """Who is examined on the day of birth has a birth date that is a study's date, too: it is looked for as that."""
    private = Element(0x00991001, vr, value.encode() + b" " * (len(value) % 2))
    values = {"PatientBirthDate": DATE, "StudyDate": DATE}
    expected = "PatientBirthDate of the source is left in 0099,1001"

    assert expected == said("nothing", values, None, SITE, private=private)
    assert expected == said("nothing", values, {"KeepPrivateTags": True}, "2023b", private=private)


@pytest.mark.parametrize("dates", [["retain-longitudinal-full-dates"], []])
@pytest.mark.parametrize("action", [SiteAction.CLEAN, SiteAction.KEEP])
def test_dates_in_private_sequences(action: SiteAction, dates: list[str]) -> None:
    """An option that keeps a date of the person keeps it in a private sequence that stays, too."""
    site = (SiteAttribute(0x0099, 1, "TEST BLOCK", "", action),)
    private = Element(0x00991001, "SQ", (Item((Element(0x001021D0, "DA", DATE.encode()),)),))

    profile = ProfileChoice(frozenset({"retain-safe-private", *dates}), private=site)

    assert not said("nothing", {}, None, profile, private=private)


@pytest.mark.parametrize(
    ("keyword", "value", "text", "is_left"),
    [
        ("SeriesDescription", "CT Thorax Tel. 28 34 59 84", "2834 5984", True),
        ("SeriesDescription", "TEL_28 34 59 14", "28345914", True),
        ("SeriesDescription", "knee 95883 62150", "9588362150", True),
        ("SeriesDescription", "knee 824-642 0315", "8246420315", True),
        ("SeriesDescription", "CT 28 34 59 84", "28345984", True),
        ("PerformedStationAETitle", "CHUV_PET", "at CHUV-PET", True),
        ("PerformedStationAETitle", "LEE_3T", "on Lee_3T", True),
        ("PerformedStationAETitle", "PET_CT1", "PET-CT1", False),
        ("PerformedStationAETitle", "KSW_ANGIO3", "KSW angio3", False),
    ],
)
def test_what_goes_from_cleaned_texts(keyword: str, value: str, text: str, *, is_left: bool) -> None:
    """It is looked for as far as cleaning takes it out: what cleaning leaves may stand elsewhere."""
    choice = ProfileChoice(frozenset({"clean-descriptors", "retain-device-identity"}))

    assert is_left == bool(said(text, {keyword: value}, profile=choice))


@pytest.mark.parametrize("texts", [TextChoice(frozenset({"Chuv", "Charité"})), TextChoice(reviews_unknown=True)])
@pytest.mark.parametrize("title", ["CHUV_PET", "CHARITE_MR1"])
def test_what_the_site_keeps_in_titles(title: str, texts: TextChoice) -> None:
    """It stays by right: nobody need know that a word of a text stays in an AE title, too."""
    choice = ProfileChoice(frozenset({"clean-descriptors", "retain-device-identity"}), texts=texts)

    assert not said(title, {"PerformedStationAETitle": title}, profile=choice)
