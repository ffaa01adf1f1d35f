"""Ordinary patients in the headers of real objects: nothing of them stands in what the profiles leave.

Each instance has the header of one of pydicom's files, with all its texts and codes; what identified there is taken out
or made anew: names that are words in some language, short and round numbers, places called after nobody.

Public names: ``patients``.
"""

from __future__ import annotations

import copy
import io
import random
import warnings
from functools import cache
from typing import TYPE_CHECKING, Final

from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_files
from pydicom.dataset import FileMetaDataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT: Final = "1.2.826.0.1.3680043.95"
FAMILY: Final = """
Lee Ng May Hall Young Foot Head Brain Chest White Long Short Hand Arm Shoulder Neck Back Body Heart Bone Vein
Cross Field Fast Slow Still Best Good Rich Small Little Major Minor Day Week Knight Street Lane Rhodes Moon
Star Sharp Flatt Plane Dial Case Box Page Kopf Herz Bauch Hals Bein Ohr Haupt Kurz Lang Gross Klein Jung Alt
Schnell Schwarz Weiss Braun Roth Stein Berg Thal Bach Winter Sommer Herbst Freitag Sonntag Kaiser Graf Rand
Kern Keil Korn Block Quer Seite Achse Linke Rechter Ober Unger Petit Legrand Court Blanc Noir Roux Brun
Leblanc Dos Bras Main Coeur Droit Gauche Poirier Plat Long Haut Bas Avant Series Image Blanco Moreno Rubio
Delgado Cabeza Calvo Izquierdo Plano Corona Vena Costilla Cuello Mano Palma Codo Bravo Leon Cruz Axial Kort
Jong Groot Hand Been Hoofd Vinger Visser Bakker Smit Vos Meer Dijk Veen Hart Lever Borst Buik Rib Bianchi
Rossi Longo Testa Costa Gamba Bruno Monte Serra Volpe Pinto Branco Prata Lobo Neves Pires Lund Dahl Holm
Strand Lind Falk Ek Ask Bo Moe Aas Li Wu Xu Ma He Hu An Bai Ran Tan Tong Wan Yin Long Chang Fang Tang Dong Min
Mo Ono Abe Mori Kato Sato Hara Seki Ito Ishi Doi Oka Ota Mita Noda Toda Kim Kang Yun Ahn Moon Sun Han Cho Do
Le Ho Vo Mai Singh Das Sen Rao Dey Nag Lal Jain Bose Reddy Khan Shah Mir Aziz Said Omar Bilal Nur Amin Pop Rus
Ban Nagy Kis Toth
""".split()  # noqa: SIM905 (lists of names)
GIVEN: Final = """
James Mary John Ann Paul Sue Art Pat Ray Joy Grace Faith Hope Rose Iris Lily Ivy Violet Hazel Amber Ruby Pearl
Dawn Eve June April May August Max Axel Cor Jan Mai Kai Finn Ella Emma Mona Cora Tim Tom Jim Sam Al Ed Bo Jo
Di Mo Lou Rob Mark Frank Victor Dean Heinz Horst Ernst Karl Uwe Ute Anke Inge Elke Jean Luc Guy Rene Marie
Claire Blanche Luna Sol Mar Cruz Angel Jesus Leon Pilar Piet Kees Joop Bas Wim Sven Per Odd Ask Stig Hui Wei
Li Jun Min Tao Ping Ming Ken Rei Jun Aoi Sora Yu Ji Soo Hyun Ali Said Omar Amin Nur Lal Dev Raj Sara Sita Eva
Ida Ana
""".split()  # noqa: SIM905 (lists of names)
PLACES: Final = (
    ("General Hospital", "1 Hospital Road"),
    ("City Clinic", "High Street 12, Newtown"),
    ("Radiology", "Main Street"),
    ("Klinik am Park", "Parkstr. 5, 10115 Berlin"),
    ("CHU Centre", "1 place de l'Hopital, Lyon"),
    ("St. Anna Ziekenhuis", "Dorpsstraat 1"),
    ("Hospital Central", "Avenida Central 100"),
    ("Imaging Center", "200 Park Avenue, New York"),
    ("MRI 1", ""),
    ("Chest Clinic", "3 Long Lane"),
    ("University Hospital", "Building 5, Floor 2"),
    ("SIEMENS", ""),
    ("Head and Neck Center", "10 South Street, White Plains"),
)
STATIONS: Final = (
    "CT1",
    "MR2",
    "CT01",
    "ROOM1",
    "AWP12345",
    "MRC20001",
    "US-1",
    "PHILIPS-1",
    "HOST",
    "DICOM",
    "PC",
    "WORKSTATION1",
    "3T",
)
COMMENTS: Final = (
    "",
    "",
    "no",
    "none",
    "see report",
    "Patient moved during scan",
    "No contrast given",
    "Left knee pain",
    "claustrophobic",
    "allergic to iodine",
    "follow up",
    "motion artifacts",
    "breath hold not possible",
)
PROTOCOLS: Final = (
    "t2_tse_sag_384",
    "t1_vibe_fs_tra_bh_dyn",
    "ep2d_diff_b0_500_1000",
    "MPRAGE ADNI",
    "Head Routine",
    "CHEST PA",
    "Abdomen 5.0 B30f",
    "Foot AP left",
    "Thorax p.a.",
    "LWS seitlich",
    "Schaedel nativ",
    "Becken Uebersicht",
    "CERVEAU SANS IV",
    "Genou droit face",
    "TORAX PA Y LATERAL",
    "Rodilla izquierda",
    "X-thorax",
    "MRI hersenen",
    "WK links",
    "LEFT FOOT 3 VIEWS",
    "Long leg standing",
    "WHITE MATTER T2",
    "AX T1 POST",
    "SAG STIR",
    "COR PD FS",
    "Lung 1.0 Bl57 3",
    "PERFUSION RAPID",
    "CTA HEAD NECK 0.625",
    "PET WB CTAC 2i 21s",
    "MIP 10mm",
    "Topogram 0.6 T80s",
    "Localizer",
    "Hand li. a.p.",
    "Knie bds. stehend",
    "Art. Phase 25s",
    "ven. Phase 70s",
    "MAY 2019 PROTOCOL",
    "Young adult screening",
    "Hall effect test",
)


@cache
def _headers() -> list[Dataset]:
    found: list[Dataset] = []
    for path in sorted(map(str, get_testdata_files("*.dcm"))):
        try:
            dataset = dcmread(path, stop_before_pixels=True)
            dataset.walk(lambda *_: None)
        except (InvalidDicomError, OSError, ValueError, TypeError, NotImplementedError, AttributeError):
            continue  # broken on purpose
        if "PatientID" in dataset and "SOPClassUID" in dataset:
            found.append(dataset)
    return found


def _number(draw: random.Random) -> str:
    return draw.choice(
        (
            f"{draw.randrange(10**5)}",
            f"{draw.randrange(10**6):06}",
            f"{draw.randrange(1, 400) * 1000}",
            f"A{draw.randrange(1000)}",
            f"P{draw.randrange(10**4):04}",
            f"{draw.randrange(2000, 2026)}-{draw.randrange(10**4):04}",
            f"{draw.randrange(10**8):08}",
            f"{draw.randrange(1, 29):02}{draw.randrange(1, 13):02}{draw.randrange(1925, 2020)}",
            "1",
            "12",
            "512",
            "TEST1",
            "1234567",
            f"{draw.randrange(1, 29):02}{draw.randrange(1, 13):02}{draw.randrange(100):02}-{draw.randrange(10**4):04}",
        )
    )


def _person(draw: random.Random) -> str:
    family = draw.choice(FAMILY)
    if draw.random() < 0.08:
        family += draw.choice((" ", "-")) + draw.choice(FAMILY)
    given = draw.choice(GIVEN) + (f" {draw.choice(GIVEN)}" if draw.random() < 0.1 else "")
    text = f"{family}^{given}" + draw.choice(
        ("", "", f"^{draw.choice(GIVEN)}", f"^{draw.choice('ABJM')}", "^^Dr.", "^^^Jr")
    )
    return text.upper() if draw.random() < 0.4 else text


_NUMBERED: Final = frozenset(
    "AccessionNumber StudyID PatientID OtherPatientIDs DeviceSerialNumber DetectorID PlateID".split()  # noqa: SIM905 (keywords)
)
_OF_PLACES: Final = frozenset({"InstitutionName", "InstitutionAddress", "InstitutionalDepartmentName"})
_TEXTS: Final = frozenset({"LO", "SH", "ST", "LT", "UT"})


def _day(draw: random.Random, first: int, last: int) -> str:
    return f"{draw.randrange(first, last)}{draw.randrange(1, 13):02}{draw.randrange(1, 29):02}"


def _made_anew(dataset: Dataset, draw: random.Random) -> None:
    """Give every identifying element of a header another value."""
    for element in list(dataset):
        if element.VR == "SQ":
            for item in element.value or []:
                _made_anew(item, draw)
        elif element.tag.is_private:
            del dataset[element.tag]
        elif element.value and (new := _new_value(element.keyword, element.VR, draw)) is not None:
            element.value = new


def _new_value(keyword: str, vr: str, draw: random.Random) -> str | None:
    by_vr: dict[str, Callable[[], str]] = {
        "PN": lambda: "Observer^One",
        "DA": lambda: _day(draw, 1995, 2026),
        "DT": lambda: _day(draw, 1995, 2026),
        "TM": lambda: f"{draw.randrange(24):02}{draw.randrange(60):02}{draw.randrange(60):02}",
        "AE": lambda: draw.choice(STATIONS),
    }
    if vr in by_vr:
        return by_vr[vr]()
    if keyword in _NUMBERED:
        return _number(draw)
    if keyword in _OF_PLACES:
        return draw.choice(PLACES)[keyword.endswith("Address")]
    if keyword.startswith("StationName"):
        return draw.choice(STATIONS)
    if vr in _TEXTS and keyword.endswith(("Comments", "History", "Address", "Residence")):
        return ""
    return f"{ROOT}.{draw.randrange(10**9)}.9" if vr == "UI" and keyword.endswith("InstanceUID") else None


def _one(draw: random.Random, number: int, run: int) -> Dataset:
    dataset = copy.deepcopy(draw.choice(_headers()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _made_anew(dataset, draw)
    own = f"{ROOT}.{run}.{number + 1}"
    dataset.SOPInstanceUID, dataset.StudyInstanceUID, dataset.SeriesInstanceUID = (
        UID(f"{own}.3"),
        f"{own}.1",
        f"{own}.2",
    )
    dataset.PatientName, dataset.PatientID = _person(draw), f"{_number(draw)}{draw.choice('XYZ')}{number}"
    if draw.random() < 0.5:
        dataset.PatientID = f"{number + 1000 * draw.randrange(1, 900)}{number:04}"
    dataset.PatientBirthDate = _day(draw, 1925, 2020)
    dataset.PatientAge, dataset.PatientSex = f"{draw.randrange(1, 99):03}Y", draw.choice("FM")
    dataset.ReferringPhysicianName, dataset.OperatorsName = (
        _person(draw),
        draw.choice((_person(draw), "MTRA", "RT", "Dr. A", draw.choice(GIVEN))),
    )
    dataset.InstitutionName, dataset.InstitutionAddress = draw.choice(PLACES)
    dataset.StationName, dataset.AccessionNumber, dataset.StudyID = (
        draw.choice(STATIONS),
        _number(draw),
        _number(draw)[:16],
    )
    dataset.PatientComments, dataset.ImageComments = draw.choice(COMMENTS), draw.choice((*COMMENTS, *PROTOCOLS[::2]))
    dataset.PatientTelephoneNumbers = draw.choice(
        (f"555-{draw.randrange(10**4):04}", f"0{draw.randrange(10**9)}", f"+49 {draw.randrange(10**9)}")
    )
    dataset.StudyDescription, dataset.SeriesDescription, dataset.ProtocolName = (
        draw.choice(PROTOCOLS) for _ in range(3)
    )
    dataset.DerivationDescription, dataset.SequenceName = (
        draw.choice(PROTOCOLS[1::2]),
        draw.choice(PROTOCOLS[1::2])[:16],
    )
    dataset.AcquisitionDeviceProcessingDescription = draw.choice(PROTOCOLS[1::2])
    meaning = Dataset()
    meaning.CodeValue, meaning.CodingSchemeDesignator, meaning.CodeMeaning = (
        f"{draw.randrange(10**6)}",
        "99X",
        draw.choice(PROTOCOLS[1::2]),
    )
    dataset.AnatomicRegionSequence = [meaning]
    dataset.SoftwareVersions = draw.choice(
        ("syngo CT VA48A", "R5.1.7.0", "27\\LX\\MR Software release:DV26.0_R03", "4.0.702.22172", "07.1.100")
    )
    return dataset


def patients(count: int, seed: int) -> Iterator[tuple[tuple[str, str, str, str], bytes]]:
    """Yield PatientID with the three UIDs, and the file, of one instance after another.

    Args:
        count: How many.
        seed: The same one gives the same patients.

    """
    draw = random.Random(f"ordinary {seed}")  # noqa: S311 (no secret)
    made = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        while made < count:
            dataset = _one(draw, made, seed)
            implicit = draw.random() < 0.3
            dataset.file_meta = FileMetaDataset()
            dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
            dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
            dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
            output = io.BytesIO()
            try:
                dataset.save_as(output, enforce_file_format=True, implicit_vr=implicit, little_endian=True)
            except (ValueError, TypeError, AttributeError, OverflowError):
                continue
            made += 1
            study, series, sop = map(str, (dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID))
            yield (str(dataset.PatientID), study, series, sop), output.getvalue()
