"""Write realistic synthetic DICOM sets: the same bytes for the same arguments, on any machine.

python -m benchmarks.generate FOLDER --count 1000 --size 512K --patients 10 --seed 1

- generate: one set, as a function.
- Shape: how its instances are spread over patients, studies and series.
- KINDS: `ct` (some 200 elements, private blocks, nested sequences), `enhanced-mr` (thousands of nested items in one
  header), `multiframe` (a small header and any number of frames, written in pieces so that memory stays flat).

Every file has exactly the size asked for. Nobody's data is in it; the UIDs stand under 2.999, the root for examples.
"""

import argparse
import io
import random
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
)

FAMILY_NAMES: Final = ("Peeters", "Janssens", "Müller", "García", "Rossi", "Núñez", "O'Brien", "Lefèvre", "Kim")
GIVEN_NAMES: Final = ("Anna", "Bram", "Chloé", "David", "Elif", "Femke", "Günther", "Hana", "Ivo", "Jana")
STUDIES: Final = ("CT thorax met contrast", "CT abdomen/bekken", "CT schedel blanco", "CT wervelzuil LWK")
SERIES: Final = ("Thorax 1.0 Br40 S3", "Abdomen 3.0 B30f", "Topogram 0.6 T20f", "Long 1.0 Bl57 S3")

# Group and creator of the private blocks, as scanners write them.
PRIVATE_BLOCKS: Final = (
    (0x0009, "GEMS_IDEN_01"),
    (0x0019, "GEMS_ACQU_01"),
    (0x0021, "GEMS_RELA_01"),
    (0x0029, "SIEMENS CSA HEADER"),
    (0x0043, "GEMS_PARM_01"),
)

# What differs between the instances of a series stands in its template as a mark that nothing else contains. The first
# is the end of a UID; the others are the whole value of an element and give way to values of different lengths.
SOP_MARK: Final = ".999999"
NUMBER_MARK: Final = "-88888"
LOCATION_MARK: Final = "-77777.7"
POSITION_MARK: Final = f"-250.5\\-250.5\\{LOCATION_MARK}"
TIME_MARK: Final = "235959.999999 "
CURRENT_MARK: Final = "-66666"
EXPOSURE_MARK: Final = "-55555"
TABLE_MARK: Final = "-44444.4"

PIECE_BYTES: Final = 4 << 20  # pixel data is written in pieces of at most this
NOISE_BYTES: Final = PIECE_BYTES + (1 << 16)  # so that each instance starts elsewhere in the noise
NOISE_STEP_BYTES: Final = 7918
LONG_HEADER_BYTES: Final = 12  # of an element of VR OB or OW in explicit VR
MAX_VALUE_BYTES: Final = 0xFFFFFFFE
MAX_ROWS: Final = 0xFFFF
SLACK_BYTES: Final = 64  # by which an instance's own values are longer than their marks at most


@dataclass(frozen=True)
class Shape:
    """How the instances are spread: evenly and in order over all series of all studies of all patients."""

    patients: int = 10
    studies_per_patient: int = 1
    series_per_study: int = 2

    def series(self) -> Iterator[tuple[int, int, int]]:
        """Yield the numbers of patient, study and series of each series, from 1."""
        for patient in range(1, self.patients + 1):
            for study in range(1, self.studies_per_patient + 1):
                for series in range(1, self.series_per_study + 1):
                    yield patient, study, series


def generate(
    folder: Path,
    count: int,
    size: int,
    *,
    kind: str = "ct",
    shape: Shape | None = None,
    frames: int = 1000,
    seed: int = 1,
) -> None:
    """Write `count` files of exactly `size` bytes into a new or empty folder.

    `frames` counts for `enhanced-mr` only. Raises ValueError for a folder that is not empty
    and for a size that is odd, or too small or too large for the kind.
    """
    if folder.exists() and any(folder.iterdir()):
        raise ValueError(f"{folder} is not empty")
    noise = (np.frombuffer(random.Random(seed).randbytes(NOISE_BYTES), "<u2") & 0x0FFF).tobytes()
    series = list((shape or Shape()).series())
    for at, numbers in enumerate(series):
        instances = (at + 1) * count // len(series) - at * count // len(series)
        if not instances:
            continue
        template = Template(KINDS[kind](Origin(seed, *numbers), frames), size)
        home = folder / "PAT{:05}/ST{:03}/SE{:03}".format(*numbers)
        home.mkdir(parents=True)
        for number in range(1, instances + 1):
            start = (at + number) * NOISE_STEP_BYTES % (NOISE_BYTES - PIECE_BYTES)
            template.write(home / f"IM{number:06}.dcm", number, memoryview(noise)[start:])


class Template:
    """One series' header, encoded once with marks in it, and the lay-out of the pixel data behind it."""

    def __init__(self, dataset: Dataset, size: int) -> None:
        """Choose as many rows (frames, where the rows are given) as fit into `size`; padding takes up the rest."""
        free = "NumberOfFrames" if dataset.Rows else "Rows"
        unit = 2 * dataset.Columns * int(dataset.Rows or dataset.get("NumberOfFrames") or 1)
        header = encode(dataset)
        # The header of the padding is always there, and the marks are about as long as what they stand for.
        cells = (size - len(header) - 2 * LONG_HEADER_BYTES - SLACK_BYTES) // unit
        if cells < 1 or size % 2:
            raise ValueError(f"size is {size}: it must be even and hold the header and {unit} bytes of pixels")
        if cells * unit > MAX_VALUE_BYTES or (free == "Rows" and cells > MAX_ROWS):
            raise ValueError(f"size is {size}: too large for this kind; multiframe goes up to 4G")
        setattr(dataset, free, cells)
        marks = b"|".join(re.escape(padded(mark)) for mark in values_of(1))
        pattern = b"(" + re.escape(SOP_MARK.encode()) + b")|..(" + marks + b")"
        self.parts = [part for part in re.split(pattern, encode(dataset), flags=re.DOTALL) if part is not None]
        self.size = size
        self.pixel_bytes = cells * unit
        self.pixel_header = long_header(0x7FE0, 0x0010, b"OW", self.pixel_bytes)

    def write(self, path: Path, number: int, noise: memoryview) -> None:
        """Write the series' instance of that number, with pixel data taken from the noise over and over."""
        marks = {SOP_MARK.encode(): f".{100_000 + number}".encode()}
        for mark, value in values_of(number).items():
            marks[padded(mark)] = struct.pack("<H", len(padded(value))) + padded(value)
        header = b"".join([marks.get(part, part) for part in self.parts]) + self.pixel_header
        padding = self.size - len(header) - self.pixel_bytes - LONG_HEADER_BYTES
        with path.open("xb") as file:
            file.write(header)
            left = self.pixel_bytes
            while left:
                left -= file.write(noise[: min(left, PIECE_BYTES)])
            file.write(long_header(0xFFFC, 0xFFFC, b"OB", padding) + bytes(padding))


def values_of(number: int) -> dict[str, str]:
    """Return what stands in the place of each mark but the first, in the instance of that number."""
    location = f"{(number * 1250 % 900_000) / 1000 - 300:g}"
    seconds = number * 0.137 % 60
    return {
        NUMBER_MARK: str(number),
        POSITION_MARK: f"-250.5\\-250.5\\{location}",
        LOCATION_MARK: location,
        TIME_MARK: f"1030{seconds:06.3f}" if number % 7 else f"1030{seconds:02.0f}",
        CURRENT_MARK: str(60 + number * 7 % 400),
        EXPOSURE_MARK: str(20 + number * 3 % 150),
        TABLE_MARK: f"{number * 0.6:g}",
    }


def padded(value: str) -> bytes:
    """Return a text value with an even length."""
    data = value.encode("ascii")
    return data + b" " * (len(data) % 2)


def long_header(group: int, element: int, vr: bytes, length: int) -> bytes:
    """Return the header of an element of VR OB or OW."""
    return struct.pack("<HH2sHI", group, element, vr, 0, length)


def encode(dataset: Dataset) -> bytes:
    """Return the file up to its pixel data."""
    buffer = io.BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


@dataclass(frozen=True)
class Origin:
    """Which series of the set a header is for."""

    seed: int
    patient: int
    study: int
    series: int

    @property
    def uid(self) -> str:
        """The series' UID; those of its instances begin with it."""
        return f"{self.study_uid}.{self.series}"

    @property
    def study_uid(self) -> str:
        """The study's UID."""
        return f"2.999.{self.seed}.{self.patient}.{self.study}"

    def rng(self, level: str) -> random.Random:
        """Return the random numbers of this series or of what stands above it, alike for all that share it."""
        shared = {"patient": (), "study": (self.study,), "series": (self.study, self.series)}[level]
        return random.Random(f"{self.seed} {self.patient} {shared}")


def make(**values: Any) -> Dataset:
    """Return a data set with these attributes."""
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


def code(value: str, scheme: str, meaning: str) -> list[Dataset]:
    """Return the one item of a code sequence."""
    return [make(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)]


def reference(sop_class: str, uid: str) -> Dataset:
    """Return the item of a sequence that refers to an object."""
    return make(ReferencedSOPClassUID=sop_class, ReferencedSOPInstanceUID=uid)


def patient_and_study(origin: Origin) -> Dataset:
    """Return what all series of a study have in common."""
    rng = origin.rng("patient")
    given, family = rng.choice(GIVEN_NAMES), rng.choice(FAMILY_NAMES)
    number = f"{rng.randrange(10**7):07}"
    birth = date(1930, 1, 1) + timedelta(days=rng.randrange(30_000))
    dataset = make(
        SpecificCharacterSet="ISO_IR 100",
        PatientName=f"{family}^{given}",
        PatientID=number,
        IssuerOfPatientID="AZ Voorbeeld",
        PatientBirthDate=f"{birth:%Y%m%d}",
        PatientSex=rng.choice("MF"),
        OtherPatientIDsSequence=[make(PatientID=f"RR{number}", IssuerOfPatientID="RRN", TypeOfPatientID="TEXT")],
        PatientAddress=f"Kerkstraat {rng.randrange(1, 200)}, 9000 Gent",
        PatientTelephoneNumbers=f"+32 9 {rng.randrange(10**6):06}",
        EthnicGroup="",
        PatientComments="",
        PatientIdentityRemoved="NO",
    )
    rng = origin.rng("study")
    day = date(2015, 1, 1) + timedelta(days=rng.randrange(3_600))
    accession = f"ACC{rng.randrange(10**8):08}"
    description = rng.choice(STUDIES)
    dataset.update(
        make(
            StudyInstanceUID=origin.study_uid,
            StudyID=f"{origin.study:04}",
            StudyDate=f"{day:%Y%m%d}",
            StudyTime=f"{rng.randrange(8, 18):02}{rng.randrange(60):02}12.345",
            StudyDescription=description,
            AccessionNumber=accession,
            InstitutionName="AZ Voorbeeld",
            InstitutionAddress="Voorbeeldlaan 1, 9000 Gent",
            InstitutionalDepartmentName="Radiologie",
            ReferringPhysicianName=f"{rng.choice(FAMILY_NAMES)}^Dr",
            PerformingPhysicianName=f"{rng.choice(FAMILY_NAMES)}^Dr",
            OperatorsName=f"{rng.choice(FAMILY_NAMES)}^Op",
            PatientAge=f"{(day - birth).days // 365:03}Y",
            PatientSize="1.74",
            PatientWeight=f"{rng.randrange(45, 120)}",
            AdditionalPatientHistory="",
            ProcedureCodeSequence=code("CTTHOR", "99AZV", description),
            ReferencedStudySequence=[reference("1.2.840.10008.3.1.2.3.1", origin.study_uid)],
            RequestedProcedureDescription=description,
            RequestedProcedureCodeSequence=code("CTTHOR", "99AZV", description),
            RequestingService="Pneumologie",
            RequestAttributesSequence=[
                make(
                    AccessionNumber=accession,
                    RequestedProcedureID=accession,
                    RequestedProcedureDescription=description,
                    ScheduledProcedureStepID=f"{accession}-1",
                    ScheduledProcedureStepDescription=description,
                    ScheduledProtocolCodeSequence=code("P1", "99AZV", "Protocol 1"),
                )
            ],
        )
    )
    return dataset


def new_series(origin: Origin, modality: str, sop_class: str) -> Dataset:
    """Return the data set of a series with its file meta, equipment, geometry of the pixels and private blocks."""
    rng = origin.rng("series")
    dataset = patient_and_study(origin)
    moment = {"Date": dataset.StudyDate, "Time": f"{rng.randrange(8, 18):02}{rng.randrange(60):02}30.5"}
    for event in ("Series", "Acquisition", "Content", "InstanceCreation", "PerformedProcedureStepStart"):
        for part, value in moment.items():
            setattr(dataset, event + part, value)
    for event in ("Acquisition", "Content", "InstanceCreation"):
        setattr(dataset, f"{event}Time", TIME_MARK.strip())
    dataset.update(
        make(
            SOPClassUID=sop_class,
            SOPInstanceUID=origin.uid + SOP_MARK,
            SeriesInstanceUID=origin.uid,
            FrameOfReferenceUID=f"{origin.study_uid}.0",
            Modality=modality,
            SeriesNumber=origin.series,
            SeriesDescription=rng.choice(SERIES),
            InstanceNumber=NUMBER_MARK,
            Manufacturer="Voorbeeld Medical",
            ManufacturerModelName="Model 64",
            DeviceSerialNumber=f"{rng.randrange(10**5):05}",
            StationName=f"{modality}01",
            SoftwareVersions=["VA48A", "VB10"],
            ProtocolName=dataset.StudyDescription,
            BodyPartExamined="CHEST",
            PatientPosition="HFS",
            PositionReferenceIndicator="",
            PerformedProcedureStepID=f"PPS{rng.randrange(10**6):06}",
            PerformedProcedureStepDescription=dataset.StudyDescription,
            PerformedProtocolCodeSequence=code("P1", "99AZV", "Protocol 1"),
            ReferencedPerformedProcedureStepSequence=[reference("1.2.840.10008.3.1.2.3.3", f"{origin.uid}.3")],
            ImageComments="",
            BurnedInAnnotation="NO",
            SamplesPerPixel=1,
            PhotometricInterpretation="MONOCHROME2",
            Rows=0,
            Columns=256,
            BitsAllocated=16,
            BitsStored=12,
            HighBit=11,
            PixelRepresentation=0,
        )
    )
    for group, creator in PRIVATE_BLOCKS:
        add_private_block(dataset, group, creator, rng)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


def add_private_block(dataset: Dataset, group: int, creator: str, rng: random.Random) -> None:
    """Add a private block of fifteen elements, a sequence and a binary value among them."""
    block = dataset.private_block(group, creator, create=True)
    for offset in range(4):
        block.add_new(offset, "LO", f"{creator[:4]} value {rng.randrange(1000)}")
        block.add_new(0x10 + offset, "DS", f"{rng.uniform(0, 500):.3f}")
        block.add_new(0x20 + offset, "SL", rng.randrange(-1000, 1000))
    block.add_new(0x1F, "DS", TABLE_MARK)
    block.add_new(0xF0, "UN", rng.randbytes(96))
    block.add_new(0xF1, "SQ", [make(ReferencedFrameNumber=1, PatientComments="private item")])


def ct(origin: Origin, _frames: int) -> Dataset:
    """Return the header of a CT series."""
    rng = origin.rng("series")
    dataset = new_series(origin, "CT", CTImageStorage)
    first = reference(CTImageStorage, f"{origin.uid}.100001")
    dataset.update(
        make(
            ImageType=["ORIGINAL", "PRIMARY", "AXIAL", "CT_SOM5 SPI"],
            AcquisitionNumber=1,
            ImagePositionPatient=POSITION_MARK.split("\\"),
            ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
            SliceLocation=LOCATION_MARK,
            SliceThickness="1.25",
            SpacingBetweenSlices="1.25",
            PixelSpacing=["0.9765625", "0.9765625"],
            ReferencedImageSequence=[first, first],
            SourceImageSequence=[first],
            KVP="120",
            XRayTubeCurrent=CURRENT_MARK,
            ExposureTime=500,
            Exposure=EXPOSURE_MARK,
            ExposureModulationType="XYZ_EC",
            FilterType="WEDGE_3",
            GeneratorPower=42,
            FocalSpots="1.2",
            ConvolutionKernel=["Br40d", "3"],
            DataCollectionDiameter="500",
            ReconstructionDiameter="500",
            DistanceSourceToDetector="1085.6",
            DistanceSourceToPatient="595",
            GantryDetectorTilt="0",
            TableHeight="160",
            RotationDirection="CW",
            ScanOptions="SPIRAL",
            SpiralPitchFactor=0.6,
            SingleCollimationWidth=0.6,
            TotalCollimationWidth=38.4,
            TableFeedPerRotation=23.0,
            CTDIvol=rng.uniform(2, 12),
            CTDIPhantomTypeCodeSequence=code("113691", "DCM", "IEC Body Dosimetry Phantom"),
            ContrastBolusAgent="Iomeron 350",
            ContrastBolusRoute="IV",
            WindowCenter=["50", "-600"],
            WindowWidth=["350", "1200"],
            WindowCenterWidthExplanation=["WINDOW1", "WINDOW2"],
            RescaleIntercept="-1024",
            RescaleSlope="1",
            RescaleType="HU",
            IrradiationEventUID=f"{origin.uid}.2",
            DateOfLastCalibration=dataset.StudyDate,
            TimeOfLastCalibration="070000",
        )
    )
    return dataset


def enhanced_mr(origin: Origin, frames: int) -> Dataset:
    """Return the header of an Enhanced MR image; each frame has seven nested items, two of them three levels deep."""
    dataset = new_series(origin, "MR", EnhancedMRImageStorage)
    dataset.Columns = 16
    dataset.NumberOfFrames = frames
    dataset.SharedFunctionalGroupsSequence = [
        make(
            PixelMeasuresSequence=[make(SliceThickness="2", PixelSpacing=["1.5", "1.5"])],
            PlaneOrientationSequence=[make(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])],
        )
    ]
    dataset.PerFrameFunctionalGroupsSequence = [enhanced_mr_frame(origin, frame) for frame in range(1, frames + 1)]
    return dataset


def enhanced_mr_frame(origin: Origin, frame: int) -> Dataset:
    """Return the functional groups of one frame."""
    source = reference(EnhancedMRImageStorage, f"{origin.uid}.1.{frame}")
    source.PurposeOfReferenceCodeSequence = code("121322", "DCM", "Source image for image processing operation")
    return make(
        FrameContentSequence=[
            make(StackID="1", InStackPositionNumber=frame, DimensionIndexValues=[1, frame], FrameComments="")
        ],
        PlanePositionSequence=[make(ImagePositionPatient=["-120", "-120", f"{2 * frame}"])],
        MREchoSequence=[make(EffectiveEchoTime=30.0 + frame % 4)],
        FrameVOILUTSequence=[make(WindowCenter="600", WindowWidth="1200")],
        DerivationImageSequence=[make(DerivationDescription="", SourceImageSequence=[source])],
    )


def multiframe(origin: Origin, _frames: int) -> Dataset:
    """Return the header of a multi-frame secondary capture; the size decides the number of frames."""
    dataset = new_series(origin, "OT", MultiFrameGrayscaleWordSecondaryCaptureImageStorage)
    dataset.Rows = dataset.Columns = 512
    dataset.NumberOfFrames = 1
    dataset.ConversionType = "WSD"
    return dataset


KINDS: Final[dict[str, Callable[[Origin, int], Dataset]]] = {
    "ct": ct,
    "enhanced-mr": enhanced_mr,
    "multiframe": multiframe,
}


def parse_size(text: str) -> int:
    """Return the bytes that `65536`, `64K`, `512M` or `1G` stands for."""
    match = re.fullmatch(r"(\d+)([KMG]?)", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no size; good ones are 65536, 64K, 512M, 1G")
    return int(match[1]) << {"": 0, "K": 10, "M": 20, "G": 30}[match[2]]


def main() -> None:
    """Write the set that the command line describes."""
    parser = argparse.ArgumentParser(description="Write a realistic synthetic DICOM set.")
    parser.add_argument("folder", type=Path, help="where to write; new or empty")
    parser.add_argument("--count", type=int, default=1000, help="number of files (%(default)s)")
    parser.add_argument(
        "--size", type=parse_size, default="512K", help="of each file: bytes, or with K, M, G (%(default)s)"
    )
    parser.add_argument("--patients", type=int, default=10, help="(%(default)s)")
    parser.add_argument("--studies-per-patient", type=int, default=1, help="(%(default)s)")
    parser.add_argument("--series-per-study", type=int, default=2, help="(%(default)s)")
    parser.add_argument("--kind", choices=sorted(KINDS), default="ct", help="(%(default)s)")
    parser.add_argument("--frames", type=int, default=1000, help="of an enhanced-mr file (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="another seed gives other patients (%(default)s)")
    args = parser.parse_args()
    shape = Shape(args.patients, args.studies_per_patient, args.series_per_study)
    try:
        generate(args.folder, args.count, args.size, kind=args.kind, shape=shape, frames=args.frames, seed=args.seed)
    except ValueError as error:
        parser.error(str(error))
    print(f"{args.count} files of {args.size} bytes in {args.folder}")


if __name__ == "__main__":
    main()
