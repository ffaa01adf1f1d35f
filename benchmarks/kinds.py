"""The headers of realistic synthetic objects, by kind; nobody's data is in them.

- Origin: which series of a set a header is for.
- KINDS: `ct` (some 200 elements, private blocks, nested sequences), `small-ct` (the same without private blocks),
  `enhanced-mr` (thousands of nested items in one header), `multiframe` (a small header and any number of frames).
- the marks: what differs between the instances of a series, and gives way to each one's own values.

The UIDs stand under 2.999, the root for examples.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from pydicom import Dataset
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
MOMENT_MARK: Final = "20991231235959.999999 "
CURRENT_MARK: Final = "-66666"
EXPOSURE_MARK: Final = "-55555"
TABLE_MARK: Final = "-44444.4"


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
    dataset, birth = _patient(origin)
    dataset.update(_study(origin, birth))
    return dataset


def _patient(origin: Origin) -> tuple[Dataset, date]:
    """Return what all studies of a patient have in common, and the date of birth."""
    rng = origin.rng("patient")
    given, family = rng.choice(GIVEN_NAMES), rng.choice(FAMILY_NAMES)
    # Two of some thousands that were drawn would be one person.
    number = f"{origin.patient % 10**4:04}{rng.randrange(10**7) % 10**3:03}"
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
    return dataset, birth


def _study(origin: Origin, birth: date) -> Dataset:
    """Return what all series of a study have in common beside their patient."""
    rng = origin.rng("study")
    day = date(2015, 1, 1) + timedelta(days=rng.randrange(3_600))
    accession = f"ACC{rng.randrange(10**8):08}"
    description = rng.choice(STUDIES)
    return make(
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
    dataset.AcquisitionDateTime = MOMENT_MARK.strip()
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


def small_ct(origin: Origin, frames: int) -> Dataset:
    """Return the header of a CT series without private blocks, which with a few rows of pixels makes 4 KiB."""
    dataset = ct(origin, frames)
    dataset.remove_private_tags()
    dataset.Columns = 32
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
    "small-ct": small_ct,
}
