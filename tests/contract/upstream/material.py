"""Small files like those that Orthanc's tests use, made here: nothing of theirs is copied.

Public names: ``image``, ``item``, ``one``, ``brainix``, ``two_patients``, ``with_private``, and the patients.
"""

from __future__ import annotations

from typing import Any, Final

from pydicom import Dataset, Sequence
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from tests.dicom_files import grey

ROOT: Final = "1.2.826.0.1.3680043.10.777"
MR: Final = "1.2.840.10008.5.1.4.1.1.4"

BRAINIX: Final = {
    "PatientID": "5Yp0E",
    "PatientName": "BRAINIX",
    "PatientBirthDate": "19500102",
    "PatientSex": "O",
}
KNEE: Final = {"PatientID": "887", "PatientName": "KNEE", "PatientBirthDate": "19600203", "PatientSex": "F"}
TEST: Final = {"PatientID": "TEST_1", "PatientName": "Test", "PatientBirthDate": "19000101", "PatientSex": "M"}


def _as_sequence(value: Any) -> Any:
    return Sequence(value) if isinstance(value, list) and value and isinstance(value[0], Dataset) else value


def item(**values: Any) -> Dataset:
    """Return a dataset with these elements, by keyword; lists of datasets are sequences."""
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, _as_sequence(value))
    return made


def image(study: str = "1", series: str = "1", number: int = 1, /, **changes: Any) -> Dataset:
    """Return an MR image of 64 x 64 pixels; changes by keyword, None takes an element out."""
    made = item(
        SpecificCharacterSet="ISO_IR 100",
        SOPClassUID=MR,
        SOPInstanceUID=f"{ROOT}.{study}.{series}.{number}",
        StudyDate="20200102",
        SeriesDate="20200103",
        ContentDate="20200104",
        StudyTime="101112",
        SeriesTime="111213",
        AccessionNumber="A7000001",
        Modality="MR",
        Manufacturer="ACME",
        InstitutionName="General Hospital",
        StationName="STATION7",
        StudyDescription="Cerebrum",
        SeriesDescription="Sagittal T1",
        **BRAINIX,
        StudyInstanceUID=f"{ROOT}.{study}",
        SeriesInstanceUID=f"{ROOT}.{study}.{series}",
        FrameOfReferenceUID=f"{ROOT}.{study}.0",
        StudyID="S1",
        SeriesNumber=series,
        InstanceNumber=str(number),
        **grey(64, 64),
        PixelData=bytes(range(256)) * 16,
    )
    for keyword, value in changes.items():
        if value is None:
            delattr(made, keyword)
        else:
            setattr(made, keyword, _as_sequence(value))
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    return made


def one() -> list[Dataset]:
    """One image."""
    return [image()]


def brainix() -> list[Dataset]:
    """Two series of two images in one study."""
    return [image("1", series, number) for series in ("1", "2") for number in (1, 2)]


def two_patients() -> list[Dataset]:
    """One image of each of two patients."""
    return [image(), image("2", **KNEE)]


def with_private() -> list[Dataset]:
    """One image with a private block."""
    made = image()
    block = made.private_block(0x00E1, "ELSCINT1", create=True)
    block.add_new(0xC2, "LO", "private text")
    block.add_new(0x40, "LO", "more of it")
    return [made]
