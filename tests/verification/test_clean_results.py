"""Clean results of real files: verifying raises no alarm, whatever made them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Final

import pytest
from pydicom import dcmread

from deidflow.tasks.core.engine.sources import SourceInstance
from tests.dicom_files import EXPLICIT, JPEG, Element, encapsulated, grey, instance
from tests.local.edits import PACKAGE
from tests.local.folder.test_index import index
from tests.steps.steps import Steps

DEMO: Final = Path(__file__).parents[2] / "configs" / "demo-data"
_STANDARD: Final[dict[str, Any]] = {"options": {}, "profile": "ps3.15-2026d"}
CONFIGS: Final[dict[str, dict[str, Any]]] = {
    "ps3.15-2026d": _STANDARD,
    "research-tcia": _STANDARD
    | {
        "profile_options": [
            "retain-longitudinal-modified-dates",
            "retain-patient-characteristics",
            "retain-device-identity",
            "retain-safe-private",
            "clean-descriptors",
        ],
        "options": {"Remove": ["StationName"]},
        "dates": {"shift_days": [1, 3650]},
    },
    **{version: {"options": {"DicomVersion": version}} for version in ("2008", "2017c", "2021b", "2023b")},
    "modify": {
        "operation": "modify",
        "options": {"Replace": {"StudyDescription": "Trial 7"}, "Remove": ["PatientSex"]},
    },
}
"""What configs/research-tcia.yaml asks for, the profiles with hardening, and an edit."""


def failed(root: Path, folder: Path, **changes: Any) -> tuple[int, list[str]]:
    """Run on a folder; return how many results there are, and the reasons of those that verifying failed."""
    shutil.copytree(folder, root / "source")
    found = [entry for entry in index(root / "source").values() if isinstance(entry, SourceInstance)]
    steps = Steps(root)
    steps.plan(sorted({entry.identifiers.orthanc_ids()[1] for entry in found}), skip_invalid=True, **changes)
    steps.edit()
    done = len(list((root / "results").rglob("*.dcm")))
    wrong = steps.verify()
    steps.report()
    reasons = [line["reason"] for line in steps.crosswalk() if line["reason"]]
    return done, [reason for reason in reasons if reason.startswith(("identifier-left", "result-", "pixel-data"))][
        :wrong
    ]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("config", ["ps3.15-2026d", "2008", "modify"])
def test_the_demo(tmp_path: Path, config: str) -> None:
    """Its results are sound under a profile of each family, and edited."""
    done, wrong = failed(tmp_path, DEMO, **CONFIGS[config])

    assert done > 0
    assert [] == wrong


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("config", ["ps3.15-2026d", "research-tcia"])
def test_results_as_sources(tmp_path: Path, config: str) -> None:
    """Reports, annotations of a waveform, documents: dummies of sequences that are dummies already are no leak."""
    (tmp_path / "files").mkdir()
    for name in ("test-SR.dcm", "reportsi.dcm", "waveform_ecg.dcm", "CT_small.dcm"):
        (file,) = PACKAGE.rglob(name)
        shutil.copy(file, tmp_path / "files" / name)
    for number, kind in ((1, "application/pdf"), (2, "text/xml")):
        values: dict[str, Any] = {
            **dict.fromkeys(("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"), f"1.2.5.{number}"),
            "SOPClassUID": f"1.2.840.10008.5.1.4.1.1.104.{number}",
            "EncapsulatedDocument": b"of Doe",
            "MIMETypeOfEncapsulatedDocument": kind,
        }
        data = instance(**values)
        (tmp_path / "files" / str(number)).write_bytes(data)
    (tmp_path / "once").mkdir()
    (tmp_path / "twice").mkdir()

    assert (6, []) == failed(tmp_path / "once", tmp_path / "files", **CONFIGS[config])
    assert (6, []) == failed(tmp_path / "twice", tmp_path / "once" / "results", **CONFIGS[config])


TEXTS: Final = (
    *("CT 5.0/2.5/120/40", "AX T1 0.9 0.9 0.9 256", "b 0 50 400 800", "kV 80/100/120/140", "TR 2000/30/90"),
    *("center=114.516/width=255.0623", "Thorax @ 3 mm", "PET @60min", "Tumor @osirix", "DLP 1234.567"),
    *("angles 30 40 50 60", "TE 4000 5000", "matrix 1024 1024", "MP 1234 5678"),
)
TITLES: Final = ("MAMMO1", "PET_CT1", "MR_SCANNER1", "ACHIEVA_R2", "CT_SIEMENS_2")


def test_ordinary_texts_and_numbers(tmp_path: Path) -> None:
    """What cleaning and options leave is no telephone, address or place; a code is no number of the patient's."""
    (tmp_path / "files").mkdir()
    for number, text in enumerate((*TEXTS, *TITLES)):
        is_title = text in TITLES
        values: dict[str, Any] = {"PerformedStationAETitle": text} if is_title else {"SeriesDescription": text}
        values |= {"PlateID": f"SN98{number:03}", "DetectorDescription": f"SN98{number:03}, cold"}
        data = instance(PatientID="113105", PatientName="dcm^1", SOPInstanceUID=f"1.2.3.1.1.{number}", **values)
        (tmp_path / "files" / str(number)).write_bytes(data)

    assert (len(TEXTS + TITLES), []) == failed(tmp_path, tmp_path / "files", **CONFIGS["research-tcia"])


_IMAGES: Final = [{"ReferencedSOPClassUID": "1.2.840.10008.5.1.4.1.1.2", "ReferencedSOPInstanceUID": "1.2.9"}]
_MARKS: Final[dict[str, Any]] = {
    "GraphicAnnotationSequence": [
        {
            "ReferencedImageSequence": _IMAGES,
            "GraphicLayer": "LAYER1",
            "TextObjectSequence": [{"UnformattedTextValue": "Node 5 mm"}],
            "GraphicObjectSequence": [{"TrackingID": "Node 5 mm", "GraphicType": "POINT"}],
        }
    ]
}
_REMARKS: Final[dict[str, Any]] = {"WaveformAnnotationSequence": [{"UnformattedTextValue": "PR interval 160 ms"}]}
_FINDINGS: Final[dict[str, Any]] = {
    "ContentSequence": [{"ObservationDateTime": "20240301", "ValueType": "TEXT", "TextValue": "Node 5 mm"}]
}


@pytest.mark.parametrize("options", [(), ("graphics", "structured-content"), ("graphics", "descriptors")])
def test_what_people_note_beside_images(tmp_path: Path, options: tuple[str, ...]) -> None:
    """One note that becomes a dummy lacks what the note had; a note that is cleaned may stay as it is."""
    (tmp_path / "in").mkdir()
    for number, (kind, values) in enumerate((("11.1", _MARKS), ("9.1.1", _REMARKS), ("88.33", _FINDINGS))):
        uids = {"SOPInstanceUID": f"1.2.3.{number}", "SOPClassUID": f"1.2.840.10008.5.1.4.1.1.{kind}"}
        (tmp_path / "in" / str(number)).write_bytes(instance(**{**uids, **values}))

    chosen = [f"clean-{option}" for option in options]
    assert (3, []) == failed(tmp_path, tmp_path / "in", **_STANDARD, profile_options=chosen)
    results = [dcmread(path) for path in (tmp_path / "results").rglob("*.dcm")]
    (marks,) = (result.GraphicAnnotationSequence[0] for result in results if "GraphicAnnotationSequence" in result)
    assert ("TextObjectSequence" in marks) is bool(options)
    if options:
        assert "Node 5 mm" == marks.TextObjectSequence[0].UnformattedTextValue
        assert 1 == len(marks.ReferencedImageSequence)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("config", list(CONFIGS))
def test_every_file_of_pydicom(tmp_path: Path, config: str) -> None:
    """What can be planned and edited is sound."""
    done, wrong = failed(tmp_path, PACKAGE, **CONFIGS[config])

    assert done > 100
    assert [] == wrong


@pytest.mark.parametrize("option", ["retain-device-identity", "retain-institution-identity"])
def test_what_an_option_keeps_is_no_leak_of_places_called_alike(tmp_path: Path, option: str) -> None:
    """AE titles are names of stations, who verified works in the institution; persons are called by nothing kept."""
    place = {"StationName": "CTPF731", "InstitutionName": "Klinikum Pfefferberg"}
    places: dict[str, dict[str, Any]] = {
        "retain-device-identity": {"StationAETitle": "CTPF731", "PerformedStationName": "CTPF731"},
        "retain-institution-identity": {
            "RequestingService": "Klinikum Pfefferberg",
            "IssuerOfPatientID": "Klinikum Pfefferberg",
            "VerifyingObserverSequence": [{"VerifyingOrganization": "Klinikum Pfefferberg"}],
        },
    }
    alike = places[option]
    named = {"OperatorsName": "Pfefferberg^A", "OtherPatientIDs": "CTPF731"}
    device = {"StationName": "Klinikum Pfefferberg"}
    (tmp_path / "in").mkdir()
    series: list[tuple[int, dict[str, Any]]] = [(0, alike)] * 4  # the later ones of one are compared with the first
    for number, (study, values) in enumerate([*series, (1, named), (2, device)]):
        uids: dict[str, Any] = {
            "StudyInstanceUID": f"1.2.{study}",
            "SeriesInstanceUID": f"1.2.{study}.1",
            "PatientID": f"P{study}",
        }
        data = instance(**{"SOPInstanceUID": f"1.2.3.{number}", **uids, **place, **values})
        (tmp_path / "in" / str(number)).write_bytes(data)

    done, reasons = failed(tmp_path, tmp_path / "in", **_STANDARD, profile_options=[option])

    left = {
        "retain-device-identity": [
            "identifier-left: InstitutionName of the source is left in StationName",
            "identifier-left: OtherPatientIDs of the source is left in StationName",
        ],
        "retain-institution-identity": ["identifier-left: OperatorsName of the source is left in InstitutionName"],
    }
    assert (6, left[option]) == (done, sorted(reasons))


@pytest.mark.parametrize("declared", [None, "ISO_IR 6", "ISO_IR 100"])
def test_names_in_utf_8_that_is_not_declared_so_are_read_as_such(tmp_path: Path, declared: str | None) -> None:
    """Both by cleaning and by the search, in other notations, too; of a text with such bytes nothing stays."""
    texts = ("MÜLLERHÄUSER thorax", "Muellerhaeuser thorax", "Mullerhauser thorax")
    (tmp_path / "in").mkdir()
    for number, text in enumerate(texts):
        given = (("PatientName", "Müllerhäuser^Jörg".encode()), ("ContentDescription", text.encode()))
        values: dict[str, Any] = {keyword: raw + b" " * (len(raw) % 2) for keyword, raw in given}
        uids: dict[str, Any] = {
            "StudyInstanceUID": f"1.2.{number}",
            "PatientID": f"P{number}",
            "SOPInstanceUID": f"1.2.3.{number}",
        }
        (tmp_path / "in" / str(number)).write_bytes(instance(SpecificCharacterSet=declared, **uids, **values))
    left = "identifier-left: PatientName of the source is left in ContentDescription"

    cases: tuple[tuple[str, list[str], list[str]], ...] = (
        ("basic", [], [left] * 3),
        ("cleaned", ["clean-descriptors"], []),
    )
    for name, options, reasons in cases:
        root = tmp_path / name
        root.mkdir()
        assert (3, reasons) == failed(root, tmp_path / "in", **_STANDARD, profile_options=options)
    after = [dcmread(path).ContentDescription for path in (tmp_path / "cleaned" / "results").rglob("*.dcm")]
    assert ["REMOVED", "thorax", "thorax"] == sorted(after)


def test_a_day_that_is_also_a_number_further_on(tmp_path: Path) -> None:
    """A date in a text moves to a day that the text has further on for something else; all other words stay."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "0").write_bytes(instance(StudyDescription="Chest Mar 22, 2024 with contrast, 15 mm"))
    options = ["retain-longitudinal-modified-dates", "clean-descriptors"]

    found = failed(tmp_path, tmp_path / "in", **_STANDARD, profile_options=options, dates={"shift_days": [7, 7]})

    assert (1, []) == found
    (result,) = (tmp_path / "results").rglob("*.dcm")
    assert "Chest Mar 15, 2024 with contrast, 15 mm" == dcmread(result).StudyDescription


def test_of_kept_pixels_the_image_stays(tmp_path: Path) -> None:
    """What stands beside the frames goes all the same, and the verifier knows it."""
    (tmp_path / "in").mkdir()
    comment = b"\xff\xd8\xff\xfe\0\x0cSomething!\xff\xda\0\x0a" + bytes(8) + b"\x11\x22\xff\xd9"
    pixels = [Element(0x7FE00010, "OB", bytes(range(64)) + b"Something!"), encapsulated(comment)]
    for number, (one, syntax) in enumerate(zip(pixels, (EXPLICIT, JPEG), strict=True)):
        data = instance(one, syntax=syntax, SOPInstanceUID=f"1.2.9.{number}", **grey())
        (tmp_path / "in" / str(number)).write_bytes(data)

    assert (2, []) == failed(tmp_path, tmp_path / "in", **_STANDARD | {"options": {"Keep": ["PixelData"]}})
    after = [dcmread(path).PixelData for path in (tmp_path / "results").rglob("*.dcm")]
    assert not any(b"Something!" in data for data in after)
    assert any(data.startswith(bytes(range(64))) for data in after)


def test_numbers_of_pixels_with_two_values_raise_no_alarm(tmp_path: Path) -> None:
    """Each should have one; of such a file nothing is wrong that is not wrong in its source."""
    (tmp_path / "in").mkdir()
    for number, keyword in enumerate(("BitsAllocated", "BitsStored", "HighBit", "Rows")):
        values = grey() | {keyword: b"\x08\0\x08\0", "SOPInstanceUID": f"1.2.9.{number}"}
        data = instance(Element(0x7FE00010, "OB", bytes(64)), **values)
        (tmp_path / "in" / str(number)).write_bytes(data)

    assert (4, []) == failed(tmp_path, tmp_path / "in", **_STANDARD)
