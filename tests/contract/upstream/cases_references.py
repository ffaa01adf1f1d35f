"""Orthanc's tests of what an anonymization does inside sequences: references, nested elements, paths.

Public names: ``CASES``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.contract.upstream.case import Case, value_at
from tests.contract.upstream.cases_edits import enhanced
from tests.contract.upstream.cases_levels import STUDY
from tests.contract.upstream.checks import all_of, became, empty, follows, gone, joined, kept, renewed
from tests.contract.upstream.material import ROOT, image, item

if TYPE_CHECKING:
    from pydicom import Dataset

    from tests.contract.upstream.case import Results

ALL: Final = ("PatientID", *STUDY)


def _nested() -> list[Dataset]:
    inside = item(
        GPSLatitude="-12",
        StudyDescription="Hello",
        StudyDate="20210705",
        ReferencedStudySequence=[item(PatientID="HELLO")],
        CodeMeaning="MEANING1",
        EquivalentCodeSequence=[item(CodeMeaning="MEANING2")],
    )
    inside.private_block(0x0009, "Lunit", create=True).add_new(1, "DS", "-1234")
    return [image(MappingResourceIdentificationSequence=[inside])]


_MAPPING: Final = "MappingResourceIdentificationSequence[0]"


def _nested_left(results: Results) -> None:
    (_, result), *_ = results.pairs
    found = {element.keyword for element in result.MappingResourceIdentificationSequence[0]}
    assert {"StudyDate", "CodeMeaning", "EquivalentCodeSequence"} == found


def _references(keyword: str, count: int) -> list[Dataset]:
    named = [item(ReferencedSOPClassUID="1.2.3", ReferencedSOPInstanceUID=f"{ROOT}.70.{n}") for n in range(count)]
    return [image("1", "1", number, **{keyword: named}) for number in (1, 2)]


def _report() -> list[Dataset]:
    picture = image()
    report = image(
        "1",
        "2",
        Modality="SR",
        SOPClassUID="1.2.840.10008.5.1.4.1.1.88.33",
        CurrentRequestedProcedureEvidenceSequence=[
            item(
                StudyInstanceUID=picture.StudyInstanceUID,
                ReferencedSeriesSequence=[
                    item(
                        SeriesInstanceUID=picture.SeriesInstanceUID,
                        ReferencedSOPSequence=[
                            item(
                                ReferencedSOPClassUID=picture.SOPClassUID,
                                ReferencedSOPInstanceUID=picture.SOPInstanceUID,
                            )
                        ],
                    )
                ],
            )
        ],
        ContentSequence=[
            item(
                RelationshipType="CONTAINS",
                ValueType="IMAGE",
                ReferencedSOPSequence=[
                    item(ReferencedSOPClassUID=picture.SOPClassUID, ReferencedSOPInstanceUID=picture.SOPInstanceUID)
                ],
            )
        ],
    )
    return [picture, report]


_EVIDENCE: Final = "CurrentRequestedProcedureEvidenceSequence[0]"


def _presentation() -> list[Dataset]:
    picture = image(Modality="CR", SOPClassUID="1.2.840.10008.5.1.4.1.1.1")
    state = image(
        "1",
        "2",
        Modality="PR",
        SOPClassUID="1.2.840.10008.5.1.4.1.1.11.1",
        ReferencedSeriesSequence=[
            item(
                SeriesInstanceUID=picture.SeriesInstanceUID,
                ReferencedImageSequence=[
                    item(ReferencedSOPClassUID=picture.SOPClassUID, ReferencedSOPInstanceUID=picture.SOPInstanceUID)
                ],
            )
        ],
    )
    return [picture, state]


def _structures() -> list[Dataset]:
    picture = image(Modality="CT", SOPClassUID="1.2.840.10008.5.1.4.1.1.2")

    def named() -> list[Dataset]:
        return [item(ReferencedSOPClassUID=picture.SOPClassUID, ReferencedSOPInstanceUID=picture.SOPInstanceUID)]

    structures = image(
        "1",
        "2",
        Modality="RTSTRUCT",
        SOPClassUID="1.2.840.10008.5.1.4.1.1.481.3",
        FrameOfReferenceUID=None,
        ReferencedFrameOfReferenceSequence=[
            item(
                FrameOfReferenceUID=picture.FrameOfReferenceUID,
                RTReferencedStudySequence=[
                    item(
                        ReferencedSOPClassUID="1.2.840.10008.3.1.2.3.1",
                        ReferencedSOPInstanceUID=picture.StudyInstanceUID,
                        RTReferencedSeriesSequence=[
                            item(SeriesInstanceUID=picture.SeriesInstanceUID, ContourImageSequence=named())
                        ],
                    )
                ],
            )
        ],
        ROIContourSequence=[
            item(ContourSequence=[item(ContourImageSequence=named()), item(ContourImageSequence=named())])
        ],
    )
    return [picture, structures]


_FRAME: Final = "ReferencedFrameOfReferenceSequence[0]"
_RT_STUDY: Final = f"{_FRAME}.RTReferencedStudySequence[0]"
_RT_SERIES: Final = f"{_RT_STUDY}.RTReferencedSeriesSequence[0]"


def _related() -> list[Dataset]:
    return [
        image(RelatedSeriesSequence=[item(StudyInstanceUID=f"{ROOT}.80", SeriesInstanceUID=f"{ROOT}.80.1")]),
    ]


CASES: Final = (
    Case(
        test="test_anonymize_relationships_1",
        holds="FrameOfReferenceUID and ReferencedImageSequence of two instances still agree, with new values",
        files=lambda: _references("ReferencedImageSequence", 3),
        operation="anonymize",
        check=all_of(
            renewed("FrameOfReferenceUID"),
            joined("FrameOfReferenceUID"),
            *(renewed(f"ReferencedImageSequence[{n}].ReferencedSOPInstanceUID") for n in range(3)),
            *(joined(f"ReferencedImageSequence[{n}].ReferencedSOPInstanceUID") for n in range(3)),
            *(kept(f"ReferencedImageSequence[{n}].ReferencedSOPClassUID") for n in range(3)),
        ),
    ),
    Case(
        test="test_anonymize_relationships_2",
        holds="SourceImageSequence of two instances still agrees, with new values",
        files=lambda: _references("SourceImageSequence", 1),
        operation="anonymize",
        check=all_of(
            renewed("SourceImageSequence[0].ReferencedSOPInstanceUID"),
            joined("SourceImageSequence[0].ReferencedSOPInstanceUID"),
            kept("SourceImageSequence[0].ReferencedSOPClassUID"),
        ),
    ),
    Case(
        test="test_anonymize_relationships_3",
        holds="the evidence of a report names the new image, series and study; its content is kept on request",
        files=_report,
        operation="anonymize",
        options={"Keep": ["ContentSequence"]},
        check=all_of(
            kept("Modality"),
            follows(1, f"{_EVIDENCE}.StudyInstanceUID", 0, "StudyInstanceUID"),
            follows(1, f"{_EVIDENCE}.ReferencedSeriesSequence[0].SeriesInstanceUID", 0, "SeriesInstanceUID"),
            follows(
                1,
                f"{_EVIDENCE}.ReferencedSeriesSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID",
                0,
                "SOPInstanceUID",
            ),
            lambda results: _assert_same(
                results.pairs[1],
                f"{_EVIDENCE}.ReferencedSeriesSequence[0].ReferencedSOPSequence[0].ReferencedSOPClassUID",
            ),
        ),
    ),
    Case(
        test="test_anonymize_relationships_4",
        holds="a presentation state names the new image and series",
        files=_presentation,
        operation="anonymize",
        check=all_of(
            follows(1, "ReferencedSeriesSequence[0].SeriesInstanceUID", 0, "SeriesInstanceUID"),
            follows(
                1,
                "ReferencedSeriesSequence[0].ReferencedImageSequence[0].ReferencedSOPInstanceUID",
                0,
                "SOPInstanceUID",
            ),
        ),
        quick=True,
    ),
    Case(
        test="test_anonymize_relationships_5",
        holds="a structure set names the new frame of reference, study, series and image, in all its sequences",
        files=_structures,
        operation="anonymize",
        check=all_of(
            follows(1, f"{_FRAME}.FrameOfReferenceUID", 0, "FrameOfReferenceUID"),
            follows(1, f"{_RT_STUDY}.ReferencedSOPInstanceUID", 0, "StudyInstanceUID"),
            follows(1, f"{_RT_SERIES}.SeriesInstanceUID", 0, "SeriesInstanceUID"),
            follows(1, f"{_RT_SERIES}.ContourImageSequence[0].ReferencedSOPInstanceUID", 0, "SOPInstanceUID"),
            follows(
                1,
                "ROIContourSequence[0].ContourSequence[1].ContourImageSequence[0].ReferencedSOPInstanceUID",
                0,
                "SOPInstanceUID",
            ),
        ),
    ),
    Case(
        test="test_anonymize_relationships_5b",
        holds="the same with a StudyInstanceUID that is given",
        files=_structures,
        operation="anonymize",
        options={"Replace": {"StudyInstanceUID": "1.2.3.4"}, "Force": True},
        check=all_of(
            became("StudyInstanceUID", "1.2.3.4"),
            follows(1, f"{_RT_STUDY}.ReferencedSOPInstanceUID", 0, "StudyInstanceUID"),
        ),
    ),
    Case(
        test="test_anonymize_relationships_6",
        holds="RelatedSeriesSequence names neither the old study nor the old series",
        files=_related,
        operation="anonymize",
        check=renewed("RelatedSeriesSequence[0].StudyInstanceUID", "RelatedSeriesSequence[0].SeriesInstanceUID"),
    ),
    Case(
        test="test_anonymize_nested",
        holds="in items: X removed, Z emptied, private elements and sequences that the profile removes gone",
        files=_nested,
        operation="anonymize",
        check=all_of(
            empty(f"{_MAPPING}.StudyDate"),
            kept(f"{_MAPPING}.CodeMeaning", f"{_MAPPING}.EquivalentCodeSequence[0].CodeMeaning"),
            gone(f"{_MAPPING}.ReferencedStudySequence"),
            _nested_left,
        ),
    ),
    Case(
        test="test_modify_subsequences",
        step="anonymize",
        holds="Replace, Remove and Keep of paths in an anonymization; kept sequences keep everything in them",
        files=enhanced,
        operation="anonymize",
        options={
            "Replace": {
                "DimensionIndexSequence[1].DimensionDescriptionLabel": "Hello1",
                "DimensionOrganizationSequence[0].DimensionOrganizationUID": "1.2.3.4",
            },
            "Remove": ["SharedFunctionalGroupsSequence[*].ReferencedImageSequence[*].ReferencedSOPInstanceUID"],
            "Keep": ["ReferencedImageEvidenceSequence", "DimensionIndexSequence"],
        },
        check=all_of(
            renewed(*ALL),
            gone("SeriesDate", "SeriesTime", "StudyDescription", "ReferencedPerformedProcedureStepSequence"),
            empty("StudyDate", "StudyTime", "ContentDate"),
            became("DimensionIndexSequence[1].DimensionDescriptionLabel", "Hello1"),
            became("DimensionOrganizationSequence[0].DimensionOrganizationUID", "1.2.3.4"),
            *(kept(f"DimensionIndexSequence[{n}].DimensionOrganizationUID") for n in range(3)),
            kept("ReferencedImageEvidenceSequence"),
            *(
                gone(f"SharedFunctionalGroupsSequence[0].ReferencedImageSequence[{n}].ReferencedSOPInstanceUID")
                for n in range(3)
            ),
        ),
    ),
)


def _assert_same(pair: tuple[Dataset, Dataset], path: str) -> None:
    assert value_at(pair[0], path) == value_at(pair[1], path)
    assert value_at(pair[0], path) is not None
