"""A set in the form of the public MIDI-B benchmark, made of pydicom's own files: synthetic patients planted into them.

Public names: ``Planted``, ``made_set``, ``FILES``.
"""

from __future__ import annotations

import csv
import io
import random
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import pydicom.config
from pydicom import Dataset, dcmread
from pydicom.uid import CTImageStorage

from tests.local.edits import all_files
from tests.midi.burned import burned

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deidflow.tasks.core.pixels.regions import Region

BENCHMARKS: Final = Path(__file__).parents[2] / "benchmarks"
FILES: Final = (
    *("CT_small.dcm", "MR_small.dcm", "examples_ybr_color.dcm", "examples_palette.dcm", "JPEG2000.dcm", "rtplan.dcm"),
    *(
        "rtdose.dcm",
        "rtstruct.dcm",
        "waveform_ecg.dcm",
        "liver_1frame.dcm",
        "6154",
        "17106",
        "4950",
        "MR_truncated.dcm",
    ),
)
"""CT, MR, US, NM, RT, ECG, segmentation, CR, both with and without compression."""

_DESCRIPTORS: Final = ("StudyDescription", "SeriesDescription", "ProtocolName")
"""The file's own, or a protocol name as sites write them, of which the vocabulary has never seen anything."""
_PATIENTS: Final = 20
_SEED: Final = 2026


class Planted(NamedTuple):
    """One instance.

    Attributes:
        data: The file.
        patient: Its number.
        harmless: What is to stay of texts into which something was planted, by keyword.
        planted: What must be in no text, by keyword.
        region: Where text is burnt into each frame, if it is.

    """

    data: bytes
    patient: int
    harmless: dict[str, str]
    planted: dict[str, str]
    region: Region | None = None


def made_set(count: int) -> Iterator[Planted]:
    """Make as many instances, of up to 20 patients with two studies each."""
    draw = random.Random(_SEED)  # noqa: S311 (a test set)
    with (BENCHMARKS / "planted_names.csv").open(encoding="utf-8", newline="") as lines:
        names = [(row["family"], row["given"]) for row in csv.DictReader(lines) if row["language"] == "en"]
    lines_of = (BENCHMARKS / "protocol_names.txt").read_text("utf-8").splitlines()
    protocols = [line for line in lines_of if line and line[0] != "#" and line.isascii() and len(line) < 40]
    paths = {path.name: path for path in all_files()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number in range(count):
            dataset = dcmread(paths[FILES[number % len(FILES)]], force=True)
            dataset.remove_private_tags()
            patient = number % _PATIENTS
            harmless, planted = _plant(dataset, number, patient, names[patient % len(names)], protocols, draw)
            data, region = burned(_written(dataset), number)
            yield Planted(data, patient, harmless, planted, region)


def _plant(
    dataset: Dataset,
    number: int,
    patient: int,
    name: tuple[str, str],
    protocols: list[str],
    draw: random.Random,
) -> tuple[dict[str, str], dict[str, str]]:
    family, given = name
    study = number // _PATIENTS % 2
    root = f"1.2.826.0.1.3680043.99.{patient + 1}.{study + 1}"
    dates = [f"20{10 + patient % 10}{1 + study:02d}{day:02d}" for day in (3, 4)]
    texts = {keyword: str(dataset.get(keyword) or draw.choice(protocols)) for keyword in _DESCRIPTORS}
    record, phone = f"MB{patient:05d}", f"555-010-{4000 + patient}"
    notes = {"ImageComments": f"stable nodule, {phone}", "PatientComments": f"chest pain {record}"}
    plants = {"StudyDescription": f"{given} {family}", "ImageComments": phone, "PatientComments": record}
    people = {
        "PatientName": f"{family}^{given}",
        "PatientID": record,
        "PatientBirthDate": "19470213",
        "PatientSex": "F",
    }
    body = {"PatientAge": "067Y", "PatientWeight": "70", "PatientAddress": f"{number} Willowbrook Lane"}
    others = {"OtherPatientNames": f"{family}^X", "PatientTelephoneNumbers": phone, "AccessionNumber": f"A{number:07d}"}
    staff = {"ReferringPhysicianName": "Quill^Peregrine", "OperatorsName": "Fennimore^Ada", "StationName": "STN77"}
    place = {
        "InstitutionName": "Ashbourne General",
        "InstitutionAddress": "1 Alder Way",
        "DeviceSerialNumber": "SN4711",
    }
    uids = {"StudyInstanceUID": root, "SeriesInstanceUID": f"{root}.1", "SOPInstanceUID": f"{root}.1.{number + 1}"}
    days = {"StudyDate": dates[0], "SeriesDate": dates[0], "ContentDate": dates[1], "AcquisitionDate": dates[1]}
    times = {"StudyTime": "101112", "SeriesTime": "101500.25", "KVP": "120", "FrameOfReferenceUID": f"{root}.9"}
    numbers = {"StudyID": f"S{patient}", "SeriesNumber": "3", "InstanceNumber": str(number + 1)}
    values = people | body | others | staff | place | uids | days | times | numbers | texts | notes
    values["StudyDescription"] = f"{texts['StudyDescription']} {plants['StudyDescription']}"
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    image = Dataset()
    image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = CTImageStorage, f"{root}.1.{number + 1}"
    dataset.ReferencedImageSequence = [image]
    block = dataset.private_block(0x0019, ("SIEMENS MR HEADER", "GEMS_ACQU_01")[number % 2], create=True)
    block.add_new((0x0C, 0x23)[number % 2], ("IS", "DS")[number % 2], "1000")
    dataset.private_block(0x0029, "ACME SHUTTLE", create=True).add_new(0x10, "LO", f"{family} {given}")
    return {**texts, "ImageComments": "stable nodule", "PatientComments": "chest pain"}, plants


def _written(dataset: Dataset) -> bytes:
    target = io.BytesIO()
    before, pydicom.config.settings.writing_validation_mode = (
        pydicom.config.settings.writing_validation_mode,
        pydicom.config.IGNORE,
    )
    try:
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.save_as(target, enforce_file_format=False)
    finally:
        pydicom.config.settings.writing_validation_mode = before
    return target.getvalue()
