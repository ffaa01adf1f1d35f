"""How often the search for leaks raises a false alarm: patients with ordinary names, objects with typical descriptors.

    python -m benchmarks.leak_alarms                      # 2,000 patients, the figures of docs/verification.md
    python -m benchmarks.leak_alarms --count 10000 --seed 7

Each patient has one instance. Names are among the most frequent of English, Chinese, Korean and German, many of them
words of radiology, too; identifiers, dates, places and telephones are as hospitals write them. Descriptors are names of
protocols that sites wrote (``protocol_names.txt``). They stand in attributes that the profiles keep, so that all
of them are searched; nothing of the patient stands there, so that each alarm is a false one.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Final

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

COUNT: Final = 2000
SEED: Final = 15
CLEANED: Final = "clean-descriptors"
"""The PS3.15 profile with descriptions and comments cleaned rather than removed."""
PROFILES: Final = ("2008", "2017c", "2021b", "2023b", "ps3.15-2026d", CLEANED)
HERE: Final = Path(__file__).parent

FAMILY: Final = """
Lee Ng May Hall Young Foot Head Brain Chest Hand Neck Back Bone Shin Palm Hip Long Short White Black Gray Brown Green
Smith Johnson Williams Jones Garcia Miller Davis Martinez Wilson Anderson Thomas Taylor Moore Jackson Martin Thompson
Harris Clark Lewis Robinson Walker Allen King Wright Scott Hill Adams Baker Nelson Carter Mitchell Roberts Turner
Phillips Parker Evans Edwards Collins Stewart Morris Cook Rogers Reed Bell Cooper Ward Cox Price Wood Ross Foster Power
West North Field Stone Rose Day Winter Frost Cross Banks Mason Knight Fox Wolf Rice Bush Love Marsh Low Dean Frank
Kim Park Choi Jung Kang Cho Lim Han Oh Seo Kwon Li Wang Zhang Liu Chen Yang Zhao Huang Zhou Wu Xu Sun Ma Zhu Hu Lin He
Tan Wong Lim Chan Ong Teo Koh Nguyen Tran Le Pham Vo Do Ho Singh Kaur Khan Ali Shah Das Roy Sen Rao
Mueller Schmidt Fischer Weber Meyer Wagner Becker Schulz Hoffmann Koch Richter Klein Gross Lang Kurz Jung Sommer
""".split()  # noqa: SIM905 (lists of names)
GIVEN: Final = """
James John Robert Michael William David Richard Joseph Thomas Charles Mary Patricia Jennifer Linda Elizabeth Barbara
Susan Jessica Sarah Karen Mark Paul Steven Andrew Kenneth George Joshua Kevin Brian Edward Ronald Timothy Jason Jeffrey
Ann Amy Eva Mia Ida Ray Art Pat Max Tim Jim Tom Ian Roy Sue Joy Faith Grace Hope Dawn June April May Rose Lily Victor
Wei Jun Min Li Hui Ying Jing Yan Mei Ji Soo Young Hyun Jae An Bo Chi Hans Karl Anna Lena Jan Kai Sven
""".split()  # noqa: SIM905
PLACES: Final = (
    ("St. Mary Hospital", "1 Main Street, Springfield"),
    ("General Hospital", "200 High Street, Oxford"),
    ("University Medical Center", "5 Park Avenue, New York, NY 10016"),
    ("Radiology Associates", "77 Lake Road, Rochester"),
    ("Klinikum Nord", "Am Wald 3, 90419 Nuernberg"),
    ("IMAGING CENTER", "12 Church Lane, Leeds LS1 4AB"),
    ("HEAD AND NECK INSTITUTE", "9 Chest Street"),
)
STATIONS: Final = ("CT01", "MR1", "CT99", "AWP45557", "MRC25326", "DX-ROOM-2", "XA1")
DEVICES: Final = (
    ("SIEMENS", "Prisma"),
    ("GE MEDICAL SYSTEMS", "LightSpeed VCT"),
    ("Philips", "Ingenia"),
    ("TOSHIBA", "Aquilion"),
)


def patient(draw: random.Random, number: int, protocols: list[str]) -> Dataset:
    """Return the object of one patient."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = UID("1.2.840.10008.5.1.4.1.1.2")
    root = f"1.2.826.0.1.3680043.8.498.{draw.randrange(10**12)}.{number}"
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = UID(f"{root}.3")
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = f"{root}.1", f"{root}.2"
    dataset.PatientName = f"{draw.choice(FAMILY)}^{draw.choice(GIVEN)}^{draw.choice((*GIVEN, '', 'J', 'M'))}"
    dataset.PatientID = draw.choice(
        (f"{draw.randrange(10**3):03}{number:05}", f"MRN{number:06}", f"P{number:03}", str(number))
    )
    born, seen = (
        f"{draw.randrange(first, last)}{draw.randrange(1, 13):02}{draw.randrange(1, 29):02}"
        for first, last in ((1925, 2015), (2000, 2026))
    )
    dataset.PatientBirthDate, dataset.PatientSex, dataset.PatientAge = (
        born,
        draw.choice("FMO"),
        f"{draw.randrange(100):03}Y",
    )
    dataset.PatientWeight, dataset.PatientSize = str(draw.randrange(3, 140)), f"1.{draw.randrange(40, 99)}"
    dataset.PatientAddress = f"{draw.randrange(1, 300)} {draw.choice(FAMILY)} Street"
    dataset.PatientTelephoneNumbers = f"+1 555 {draw.randrange(1000):03} {draw.randrange(10000):04}"
    dataset.AccessionNumber = draw.choice(
        (f"A{draw.randrange(10**8):08}", str(draw.randrange(10**7)), str(draw.randrange(100)))
    )
    dataset.StudyID = draw.choice((str(draw.randrange(1, 30)), f"{draw.randrange(10**5):05}", "CT1"))
    for prefix in ("Study", "Series", "Acquisition", "Content"):
        setattr(dataset, f"{prefix}Date", seen)
        setattr(dataset, f"{prefix}Time", f"{draw.randrange(24):02}{draw.randrange(60):02}{draw.randrange(60):02}")
    for keyword in ("ReferringPhysicianName", "PerformingPhysicianName", "OperatorsName", "PhysiciansOfRecord"):
        setattr(
            dataset,
            keyword,
            draw.choice((f"{draw.choice(FAMILY)}^{draw.choice(GIVEN)}^^Dr", draw.choice(FAMILY), "RT", "")),
        )
    dataset.InstitutionName, dataset.InstitutionAddress = draw.choice(PLACES)
    dataset.StationName = draw.choice(STATIONS)
    dataset.DeviceSerialNumber = str(draw.randrange(10**5))
    dataset.Manufacturer, dataset.ManufacturerModelName = draw.choice(DEVICES)
    dataset.Modality, dataset.BodyPartExamined = (
        draw.choice(("CT", "MR", "DX")),
        draw.choice(("HEAD", "CHEST", "BRAIN", "FOOT", "HAND")),
    )
    dataset.PatientComments = draw.choice(("", "no contrast", "claustrophobic", "walks with a stick"))
    dataset.SeriesNumber, dataset.InstanceNumber = str(draw.randrange(900)), str(draw.randrange(900))
    dataset.StudyDescription, dataset.SeriesDescription, dataset.ProtocolName = (
        draw.choice(protocols)[:64] for _ in range(3)
    )
    _keep_descriptors(dataset, draw, protocols)
    return dataset


def _keep_descriptors(dataset: Dataset, draw: random.Random, protocols: list[str]) -> None:
    """Add texts that the profiles keep, and numbers as devices write them."""
    dataset.SequenceName, dataset.StageName, dataset.ImageType = (
        draw.choice(protocols)[:16],
        draw.choice(protocols)[:16],
        ["ORIGINAL", "PRIMARY", "AXIAL"],
    )
    dataset.ConvolutionKernel = draw.choice(("B30f", "Br40d\\3", "STANDARD", "FC13"))
    dataset.SoftwareVersions = draw.choice(("syngo CT 2012B", "VA20A_SP3", "R5.4.1.2\\5.4.1", "12HW28.9"))
    dataset.AcquisitionNumber = str(draw.randrange(10**5))
    dataset.ImageComments = ""
    meaning = Dataset()
    meaning.CodeValue, meaning.CodingSchemeDesignator = f"{draw.randrange(10**5)}", "99SITE"
    meaning.CodeMeaning = draw.choice(protocols)[:64]
    dataset.ProcedureCodeSequence = [meaning]
    dataset.AnatomicRegionSequence = [meaning]
    step = Dataset()
    step.ScheduledProcedureStepDescription = step.RequestedProcedureDescription = draw.choice(protocols)[:64]
    dataset.RequestAttributesSequence = [step]
    dataset.PerformedProcedureStepDescription = dataset.SeriesDescription
    dataset.Rows = dataset.Columns = 8
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.SamplesPerPixel, dataset.PixelRepresentation = 7, 1, 0
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.PixelData = draw.randbytes(64)


def alarms(folder: Path, profile: str) -> list[str]:
    """De-identify a folder with one profile; return the reasons of the instances that failed."""
    chosen = f"options: {{DicomVersion: '{profile}'}}" if profile[0] == "2" else f"profile: {profile}"
    if profile == CLEANED:
        chosen = f"profile: ps3.15-2026d\nprofile_options: [{CLEANED}]"
    config = folder.parent / f"{profile}.yaml"
    config.write_text(
        f"name: alarms\nmanifest: all.csv\noperation: anonymize\nengine: local\nsource: {{folder: {folder.name}}}\n"
        f"destination: {{folder: 'out-{profile}'}}\nreport: {{runs_dir: 'runs-{profile}'}}\n"
        f"pseudonyms: {{key_env: DEIDFLOW_KEY}}\n{chosen}\n"
    )
    command = [sys.executable, "-m", "deidflow.flows", "run", str(config), "--run-id", "r"]
    ended = subprocess.run(
        command, env=os.environ | {"DEIDFLOW_KEY": "ab" * 32}, capture_output=True, text=True, check=False
    )
    path = folder.parent / f"runs-{profile}" / "r" / "crosswalk.csv"
    if not path.exists():
        raise SystemExit(ended.stderr)
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return [
            line["reason"]
            for line in csv.DictReader(stream)
            if line["level"] == "instance" and line["outcome"] != "done"
        ]


def main() -> None:
    """Print how many alarms each profile had."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=COUNT)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--profile", action="append", choices=PROFILES)
    given = parser.parse_args()
    draw = random.Random(given.seed)
    protocols = [
        line
        for line in (HERE / "protocol_names.txt").read_text("utf-8").splitlines()
        if line.isascii() and line[:1] != "#"
    ]
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as root:  # noqa: PTH112, S108
        folder = Path(root) / "in"
        folder.mkdir()
        for number in range(given.count):
            patient(draw, number, protocols).save_as(folder / f"{number:05}", enforce_file_format=True)
        inventory = [
            sys.executable,
            "-m",
            "deidflow.flows",
            "inventory",
            str(folder),
            "-o",
            str(Path(root) / "all.csv"),
        ]
        subprocess.run(inventory, check=True, capture_output=True)
        for profile in given.profile or PROFILES:
            reasons = alarms(folder, profile)
            rate = 100 * len(reasons) / given.count
            print(f"{profile}: {len(reasons)} alarms in {given.count} instances ({rate:.2f} %)")
            for reason, count in Counter(reasons).most_common(20):
                print(f"  {count} {reason}")


if __name__ == "__main__":
    main()
