"""Reports, acquisition context, waveform annotations and presentations: cleaned by value type and concept, in place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
from pydicom import dcmread

from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers, Level
from deidflow.tasks.core.request.profile_choice import Option, ProfileChoice
from tests.dicom_files import Element, Item, elements, instance
from tests.local.edits import deidentify, read
from tests.steps.steps import Steps

if TYPE_CHECKING:
    from pathlib import Path

    from pydicom import Dataset

COMPREHENSIVE: Final = "1.2.840.10008.5.1.4.1.1.88.33"
PRESENTATION: Final = "1.2.840.10008.5.1.4.1.1.11.1"
REPORT: Final[dict[str, Any]] = {
    "SOPClassUID": COMPREHENSIVE,
    "PatientName": "Head^Jane",
    "PatientID": "P-471",
    "ContentDate": "20240301",
    "ValueType": "CONTAINER",
}
OPTIONS: Final = ("retain-device-identity", "retain-institution-identity", "retain-patient-characteristics")


def code(value: str, meaning: str, scheme: str = "DCM") -> Item:
    """Return an item of a code sequence."""
    return Item(
        tuple(elements({"CodeValue": value, "CodingSchemeDesignator": scheme, "CodeMeaning": meaning}))
    )  # fmt: skip


def content(kind: str, concept: tuple[str, ...], *inside: Element, **values: Any) -> Item:
    """Return a content item."""
    own = (Element(0x0040A040, "CS", kind.encode()), Element(0x0040A043, "SQ", (code(*concept),)), *inside)
    return Item(tuple(sorted((*own, *elements(values)), key=lambda element: element.tag)))


def number(value: str, unit: str = "") -> Element:
    """Return a measured value."""
    units = (Element(0x004008EA, "SQ", (code(unit, unit, "UCUM"),)),) if unit else ()
    return Element(0x0040A300, "SQ", (Item((*units, *elements({"NumericValue": value}))),))


FINDING: Final = ("121071", "Finding")
ITEMS: Final = (
    content("TEXT", FINDING, TextValue="Head normal, seen by Dr. Mueller 2024-03-01; 2 cm nodule"),
    content("TEXT", ("121008", "Person Observer Name"), TextValue="liver"),
    content("PNAME", ("121008", "Person Observer Name"), PersonName="Mueller^A"),
    content("TEXT", ("121013", "Device Observer Name"), TextValue="Scanner 123456"),
    content("TEXT", ("121009", "Person Observer's Organization Name"), TextValue="liver"),
    content("NUM", ("121033", "Subject Age"), number("47")),
    content("NUM", ("121206", "Distance"), number("4.7")),
    content("CODE", FINDING, Element(0x0040A168, "SQ", (code("39607008", "Lung", "SCT"),))),
    content("CODE", ("121032", "Subject Sex"), Element(0x0040A168, "SQ", (code("F", "Female"),))),
    content("DATE", FINDING, Date="20240301"),
    content("UIDREF", FINDING, UID="1.2.777.1"),
    content(
        "CONTAINER",
        ("121070", "Findings of Mueller"),
        Element(0x0040A730, "SQ", (content("TEXT", ("X7", "ours", "99X"), TextValue="Jane"),)),
    ),
    content("NUM", ("30525-0", "Age", "LN"), number("93", "a")),
)  # fmt: skip
DATA: Final = instance(Element(0x0040A730, "SQ", ITEMS), **REPORT)


def report(*options: str, data: bytes = DATA) -> list[Dataset]:
    """Return the content items of the cleaned report."""
    after = read(deidentify(ProfileChoice(frozenset({Option.CLEAN_STRUCTURED_CONTENT, *options})))(data))
    return list(after.ContentSequence)


def texts(items: list[Dataset]) -> list[str]:
    """Return the text of each of the first items."""
    return [str(item.get("TextValue") or item.get("PersonName")) for item in items[:5]]


def test_a_report_is_cleaned_by_value_type_and_concept() -> None:
    """Findings stay without who and when; observers, devices and subjects give way, known words or not."""
    items = report()

    assert texts(items) == ["normal, seen by 2 cm nodule", "REMOVED", "Removed^", "REMOVED", "REMOVED"]
    assert len(items[5].MeasuredValueSequence) == 0
    assert items[6].MeasuredValueSequence[0].NumericValue == 4.7
    assert items[7].ConceptCodeSequence[0].CodeMeaning == "Lung"
    assert items[8].ConceptCodeSequence[0].CodeValue == "REMOVED"
    assert items[9].Date == "20000101"
    assert items[10].UID.startswith("2.25.")
    assert items[11].ConceptNameCodeSequence[0].CodeMeaning == "Findings of"
    assert items[11].ContentSequence[0].TextValue == "REMOVED"


def test_options_keep_what_their_concepts_say() -> None:
    """Devices, organizations, characteristics; ages over 89 all the same go, and dates move with the others."""
    items = report(*OPTIONS, Option.RETAIN_MODIFIED_DATES)
    old = instance(
        Element(0x0040A730, "SQ", (content("NUM", ("121033", "Subject Age"), number("93")),)), **REPORT
    )  # fmt: skip

    assert texts(items)[3:] == ["Scanner 123456", "liver"]
    assert items[5].MeasuredValueSequence[0].NumericValue == 47
    assert items[8].ConceptCodeSequence[0].CodeMeaning == "Female"
    assert items[9].Date not in ("20240301", "20000101")
    assert f"{items[9].Date[:4]}-{items[9].Date[4:6]}-{items[9].Date[6:]}" in items[0].TextValue
    assert len(report(*OPTIONS, data=old)[0].MeasuredValueSequence) == 0


@pytest.mark.parametrize(
    ("concept", "value", "unit", "stays"),
    [
        (("121033", "Subject Age"), "89", "a", True),
        (("121033", "Subject Age"), "95", "d", True),
        (("121033", "Subject Age"), "1100", "mo", False),
        (("121033", "Subject Age"), "93", "", False),
        (("397669002", "Age", "SCT"), "93", "a", False),
        (("30525-0", "Age", "LN"), "4.8E3", "wk", False),
        (("30525-0", "Age", "LN"), "33000", "d", False),
        (("30525-0", "Age", "LN"), "4.7E+01", "a", True),
        (("121206", "Distance"), "93", "mm", True),
    ],
)
def test_ages_over_89_go_whatever_their_concept_is_called(
    concept: tuple[str, ...], value: str, unit: str, stays: bool
) -> None:
    """What tells that a number is an age is its unit; a young child's is in days, weeks or months."""
    data = instance(Element(0x0040A730, "SQ", (content("NUM", concept, number(value, unit)),)), **REPORT)

    assert len(report(*OPTIONS, data=data)[0].MeasuredValueSequence) == int(stays)


@pytest.mark.parametrize("tag", [0x00400555, 0x0040B020])
def test_context_and_annotations_are_cleaned_likewise(tag: int) -> None:
    """Acquisition context, and what is written at a waveform."""
    item = Item((Element(0x0040A040, "CS", b"TEXT"), Element(0x0040A160, "UT", b"head of Smith ")))
    note = Item((Element(0x00700006, "ST", b"head of Smith "), Element(0x0040A0B0, "US", b"\1\0\0\0")))
    data = instance(Element(tag, "SQ", (item if tag == 0x00400555 else note,)), PatientName="Doe")
    after = read(deidentify(ProfileChoice(frozenset({Option.CLEAN_STRUCTURED_CONTENT})))(data))[tag][0]

    assert "head of" == (after.get("TextValue") or after.UnformattedTextValue)


@pytest.mark.parametrize("tag", [0x00400440, 0x00400441, 0x00400620, 0x00409220, 0x00741210, 0x00741212])
def test_content_items_are_cleaned_wherever_they_stand(tag: int) -> None:
    """Localizations of specimens, protocols and parameters, too, which Table E.1-1 does not list."""
    items = (
        content("TEXT", FINDING, TextValue="head of Smith"),
        content("TEXT", ("121041", "Specimen Identifier"), TextValue="liver"),
        content("TEXT", ("X7", "ours", "99X"), TextValue="liver"),
    )
    data = instance(Element(tag, "SQ", items), PatientName="Doe")
    after = read(deidentify(ProfileChoice(frozenset({Option.CLEAN_STRUCTURED_CONTENT})))(data))[tag].value

    assert ["head of", "REMOVED", "liver"] == [item.TextValue for item in after]


@pytest.mark.parametrize("concept", ["110190", "113511", "113516", "121020", "121021", "121435"])
def test_numbers_of_orders_and_who_gave_them_are_dummies(concept: str) -> None:
    """Short ones, too, in which no form tells a number of somebody (PS3.16 TID 1005, 10022)."""
    item = content("TEXT", (concept, "of somebody"), TextValue="4711")
    (after,) = report(data=instance(Element(0x0040A730, "SQ", (item,)), **REPORT))

    assert "REMOVED" == after.TextValue


TEXT: Final = Item((Element(0x00700006, "ST", b"nodule, Dr. Smith"),))
POINT: Final = Item((Element(0x00700022, "FL", bytes(8)), Element(0x00700023, "CS", b"POINT ")))
LAYERS: Final = (b"LAYER1", b"MARKS OF SMITH")
GRAPHICS: Final = tuple(
    Item((Element(0x00700002, "CS", layer), Element(0x00700008, "SQ", (TEXT,)), Element(0x00700009, "SQ", (POINT,))))
    for layer in LAYERS
)
SHOWN: Final = instance(
    Element(0x00700001, "SQ", GRAPHICS),
    Element(0x00700060, "SQ", tuple(Item((Element(0x00700002, "CS", layer),)) for layer in LAYERS)),
    Element(0x00700080, "CS", b"SMITH "),
    Element(0x60003000, "OW", b"QQQQ"),
    Element(0x60000010, "US", b"\1\0"),
    SOPClassUID=PRESENTATION,
    PatientName="Smith^John",
    PatientID="P-472",
    StudyInstanceUID="1.2.5",
    SeriesInstanceUID="1.2.5.1",
    SOPInstanceUID="1.2.5.1.1",
)


def test_texts_of_a_presentation_are_cleaned() -> None:
    """Graphics stay; overlays and curves go, since nobody can look into them; without the option all is a dummy."""
    with_option = deidentify(ProfileChoice(frozenset({Option.CLEAN_GRAPHICS})))(SHOWN)
    without = read(deidentify(ProfileChoice())(SHOWN)).GraphicAnnotationSequence[0]
    after = read(with_option).GraphicAnnotationSequence[0]

    assert after.TextObjectSequence[0].UnformattedTextValue == "nodule"
    assert after.GraphicObjectSequence[0].GraphicType == "POINT"
    assert b"QQQQ" not in with_option
    assert "TextObjectSequence" not in without


def test_graphics_lie_in_layers_that_there_are() -> None:
    """A dummy, too; names in what layers and contents are called go with the texts of their kind."""
    found = []
    for options in ((), (Option.CLEAN_GRAPHICS, Option.CLEAN_DESCRIPTORS)):
        after = read(deidentify(ProfileChoice(frozenset(options)))(SHOWN))
        layers = [
            [item.GraphicLayer for item in one] for one in (after.GraphicLayerSequence, after.GraphicAnnotationSequence)
        ]
        found.append((*layers, after.ContentLabel))

    cleaned = ["LAYER1", "OF"]
    assert found == [(["REMOVED"], ["REMOVED"], "SMITH"), (cleaned, cleaned, "REMOVED")]


def test_where_a_device_stands_names_no_institution_that_nobody_keeps(tmp_path: Path) -> None:
    """Its place and name are cleaned with retain-device-identity, and stay with both options; its model always does."""
    text = "scanner 3 of Pfefferberg"
    model = content("TEXT", ("121015", "Device Observer Model Name"), TextValue="Azurion 7 M20")
    place = content("TEXT", ("121017", "Device Observer Physical Location"), TextValue=text)
    device = content("TEXT", ("121013", "Device Observer Name"), TextValue=text)
    data = instance(Element(0x0040A730, "SQ", (place, device, model)), InstitutionName="Pfefferberg", **REPORT)
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "1").write_bytes(data)
    for asked, left in ((0, "REMOVED"), (1, "scanner 3 of"), (2, "scanner 3 of Pfefferberg")):
        steps, options = Steps(tmp_path), [Option.CLEAN_STRUCTURED_CONTENT, *OPTIONS[:asked]]
        changes: dict[str, Any] = {
            "profile_options": options,
            "destination": {"folder": f"results{asked}"},
            "name": f"n{asked}",
        }
        row = DicomIdentifiers("P-471", "", "", "").orthanc_id(Level.PATIENT)
        steps.plan([row], run_id=str(asked), options=None, profile="ps3.15-2026d", **changes)
        steps.edit()
        (path,) = (tmp_path / f"results{asked}").rglob("*.dcm")

        expected = [0, left, left, "Azurion 7 M20"]
        assert expected == [steps.verify(), *(item.TextValue for item in dcmread(path).ContentSequence)]
    assert "REMOVED" == report(OPTIONS[1], data=data)[0].TextValue


def test_what_the_standard_itself_calls_a_code_stays() -> None:
    """Known words or not, with an older value and in the scheme of ECGs, too, unless the instance names somebody so."""
    terms = (
        ("112065", "Reticulonodular pattern", "DCM"),
        ("112065", "Reticulonodular pattern of Mueller", "DCM"),
        ("C-81560", "nitroglycerin", "SRT"),
        ("82676003", "Wolf", "SCT"),
        ("82676003", "Wolf", "99ACME"),
        ("422996005", "Wolf", "SCT"),
        ("5.10.2.1-3", "ECG", "SCPECG"),
        ("de", "German", "RFC5646"),
        ("de", "German of Mueller", "RFC5646"),
    )
    items = tuple(content("CODE", FINDING, Element(0x0040A168, "SQ", (code(*term),))) for term in terms)
    codes = []
    for name in ("Mueller^Jane", "Wolf^Jane"):
        data = instance(Element(0x0040A730, "SQ", items), **{**REPORT, "PatientName": name})
        codes.append([item.ConceptCodeSequence[0] for item in report(data=data)])

    first, second = codes
    stays = ["Reticulonodular pattern", "pattern of", "nitroglycerin", "Wolf", *["REMOVED"] * 2, "ECG"]
    assert [one.CodeMeaning for one in first] == [*stays, "German", "of"]
    assert second[3].CodeMeaning == "REMOVED"
    assert (first[6].CodeValue, first[6].CodingSchemeDesignator) == ("5.10.2.1-3", "SCPECG")


@pytest.mark.parametrize("options", [(), OPTIONS, (Option.RETAIN_UIDS,)])
def test_a_run_verifies_cleaned_content(tmp_path: Path, options: tuple[str, ...]) -> None:
    """Results are found right, codes of the options are claimed, and drawn lines are to be looked at."""
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "1").write_bytes(DATA)
    (tmp_path / "source" / "2").write_bytes(SHOWN)
    rows = [DicomIdentifiers(name, "", "", "").orthanc_id(Level.PATIENT) for name in ("P-471", "P-472")]
    steps = Steps(tmp_path)
    chosen = [Option.CLEAN_STRUCTURED_CONTENT, Option.CLEAN_GRAPHICS, Option.CLEAN_DESCRIPTORS, *options]
    steps.plan(rows, options=None, profile="ps3.15-2026d", profile_options=chosen)
    steps.edit()
    wrong, totals = steps.verify(), steps.report()

    assert (wrong, totals.reconciled, dict(totals.review)) == (0, True, {"drawn-graphics": 1})
    for path in (tmp_path / "results").rglob("*.dcm"):
        codes = {item.CodeValue for item in dcmread(path).DeidentificationMethodCodeSequence}
        assert {"113103", "113104"} <= codes
        assert not any(name in path.read_bytes() for name in (b"Mueller", b"Smith", b"Jane"))
