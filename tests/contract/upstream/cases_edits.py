"""Orthanc's tests of modifying elements: values, sequences, paths, private elements, pixels, originals, labels.

Public names: ``CASES``.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final

from pydicom.uid import UID

from tests.contract.upstream.case import Case
from tests.contract.upstream.cases_levels import IN_PLACE, KEEP_ALL, STUDY
from tests.contract.upstream.checks import all_of, became, gone, joined, kept, left, renewed
from tests.contract.upstream.material import ROOT, image, item, one, two_patients, with_private

if TYPE_CHECKING:
    from pydicom import Dataset

    from tests.contract.upstream.case import Check, Results

RADIO: Final = {"Dictionary": {"4321,1012": ["LO", "RadioButton3", 1, 1, "RadioLogic"]}}
JPEG_BASELINE: Final = "1.2.840.10008.1.2.4.50"
JPEG_LOSSLESS: Final = "1.2.840.10008.1.2.4.70"
NO_CREATOR: Final = "PrivateCreator, an option that it would pass over"
NO_ENCODER: Final = "lossy JPEG, which no codec here writes"


def _radio() -> list[Dataset]:
    made = image()
    made.private_block(0x4321, "RadioLogic", create=True).add_new(0x12, "LO", "jklmopq")
    return [made]


def enhanced() -> list[Dataset]:
    """An image with sequences in sequences, of several items."""
    references = [
        item(ReferencedSOPClassUID="1.2.840.10008.5.1.4.1.1.4", ReferencedSOPInstanceUID=f"{ROOT}.50.{number}")
        for number in range(3)
    ]
    return [
        image(
            DimensionIndexSequence=[
                item(DimensionDescriptionLabel=label, DimensionOrganizationUID=f"{ROOT}.60")
                for label in ("Stack ID", "In-Stack Position Number", "Temporal Position")
            ],
            DimensionOrganizationSequence=[item(DimensionOrganizationUID=f"{ROOT}.60")],
            ReferencedImageEvidenceSequence=[
                item(
                    StudyInstanceUID=f"{ROOT}.53",
                    ReferencedSeriesSequence=[
                        item(
                            SeriesInstanceUID=f"{ROOT}.53.{number}",
                            ReferencedSOPSequence=[
                                item(ReferencedSOPClassUID="1.2.3", ReferencedSOPInstanceUID=f"{ROOT}.51.{number}")
                            ],
                        )
                    ],
                )
                for number in range(1, 4)
            ],
            ReferencedPerformedProcedureStepSequence=[
                item(ReferencedSOPClassUID="1.2.3", ReferencedSOPInstanceUID=f"{ROOT}.52")
            ],
            PerformedProtocolCodeSequence=[
                item(CodeValue="P7", CodingSchemeDesignator="99ACME", CodeMeaning="protocol")
            ],
            SharedFunctionalGroupsSequence=[item(ReferencedImageSequence=references)],
        )
    ]


_LABEL: Final = "DimensionIndexSequence[{}].DimensionDescriptionLabel"
_EVIDENCE: Final = (
    "ReferencedImageEvidenceSequence[{}].ReferencedSeriesSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID"
)
_SHARED: Final = "SharedFunctionalGroupsSequence[0].ReferencedImageSequence[{}].{}"
_ORGANIZATION: Final = "DimensionOrganizationSequence[0].DimensionOrganizationUID"
_SUBSEQUENCES = Case(
    test="test_modify_subsequences",
    step="modify",
    holds="Replace and Remove of paths with [0], [1] and [*]; what the paths do not name stays",
    files=enhanced,
    options={
        "Replace": {
            _LABEL.format(1): "Hello2",
            "DimensionIndexSequence[*].PatientName": "Hello3",
            _EVIDENCE.format(2): "1.2.3.5",
            _ORGANIZATION: "1.2.3.4",
        },
        "Remove": [
            "ReferencedPerformedProcedureStepSequence",
            "PerformedProtocolCodeSequence[0].CodeValue",
            "SharedFunctionalGroupsSequence[*].ReferencedImageSequence[*].ReferencedSOPInstanceUID",
            "SharedFunctionalGroupsSequence[*].ReferencedImageSequence[1].ReferencedSOPClassUID",
            "SharedFunctionalGroupsSequence[2].ReferencedImageSequence",
        ],
    },
    check=all_of(
        kept(_LABEL.format(0), _LABEL.format(2), _EVIDENCE.format(0), _EVIDENCE.format(1)),
        became(_LABEL.format(1), "Hello2"),
        *(became(f"DimensionIndexSequence[{number}].PatientName", "Hello3") for number in range(3)),
        became(_EVIDENCE.format(2), "1.2.3.5"),
        became(_ORGANIZATION, "1.2.3.4"),
        gone("ReferencedPerformedProcedureStepSequence", "PerformedProtocolCodeSequence[0].CodeValue"),
        *(gone(_SHARED.format(number, "ReferencedSOPInstanceUID")) for number in range(3)),
        gone(_SHARED.format(1, "ReferencedSOPClassUID")),
        kept(_SHARED.format(0, "ReferencedSOPClassUID"), _SHARED.format(2, "ReferencedSOPClassUID")),
        renewed(*STUDY),
    ),
    quick=True,
)


def _syntax(expected: str) -> Check:
    def check(results: Results) -> None:
        assert {expected} == {str(result.file_meta.TransferSyntaxUID) for _, result in results.pairs}
        if UID(expected).is_encapsulated is False:
            kept("PixelData")(results)

    return check


_TRANSCODINGS = tuple(
    Case(
        test="test_modify_transcode_instance",
        step=syntax,
        holds="the result has the transfer syntax that is asked for, with its pixels where it has no codec",
        files=one,
        options={"Transcode": syntax},
        check=_syntax(syntax),
        resources=(("instance", 0),),
        route="instance",
        since=since,
        local=NO_ENCODER if syntax in {JPEG_BASELINE, "1.2.840.10008.1.2.4.51"} else "",
    )
    for syntax, since in (
        ("1.2.840.10008.1.2", ()),
        ("1.2.840.10008.1.2.1", ()),
        ("1.2.840.10008.1.2.2", ()),
        ("1.2.840.10008.1.2.1.99", ()),
        (JPEG_BASELINE, ()),
        ("1.2.840.10008.1.2.4.51", ()),
        ("1.2.840.10008.1.2.4.57", ()),
        (JPEG_LOSSLESS, ()),
        ("1.2.840.10008.1.2.4.80", ()),
        ("1.2.840.10008.1.2.4.81", ()),
        ("1.2.840.10008.1.2.4.90", (99,)),
    )
)


def _goes(test: str, step: str, operation: str, keep: bool | None, *, route: str = "level") -> Case:
    """The originals stay by default and with KeepSource, and go without it."""
    options: dict[str, Any] = {} if keep is None else {"KeepSource": keep}
    if route == "bulk" and operation == "modify":
        options["Level"] = "Study"
    name = {None: "left out", True: "true", False: "false"}[keep]
    return Case(
        test=test,
        step=f"{step}, KeepSource {name}",
        holds=f"{operation} of a study by the {route} route: the original {'goes' if keep is False else 'stays'}",
        files=one,
        operation=operation,
        options=options,
        check=all_of(renewed(*STUDY), left(0 if keep is False else 1)),
        route=route,
    )


_KEEP_SOURCE = tuple(
    _goes("test_modify_keep_source", f"{operation} {route}", operation, keep, route=route)
    for operation in ("modify", "anonymize")
    for route in ("level", "bulk")
    for keep in (None, True, False)
)


def _linked(*levels: str, origin: str) -> Check:
    """What is new on these levels names what it was made from."""

    def check(results: Results) -> None:
        if results.server is None:
            return
        for level in levels:
            found = [entry.get(origin) for entry in results.server.get(f"{level}?expand")]
            assert len(results.pairs) == len([name for name in found if name]), level

    return check


CASES: Final = (
    Case(
        test="test_modify_instance",
        holds="Replace of the name, Remove of StationName, RemovePrivateTags",
        files=with_private,
        options={"Replace": {"PatientName": "hello"}, "Remove": ["StationName"], "RemovePrivateTags": True},
        check=all_of(became("PatientName", "hello"), gone("StationName", "00e1,10c2"), kept("PatientID", *STUDY[:2])),
        resources=(("instance", 0),),
        route="instance",
    ),
    Case(
        test="test_anonymize_instance",
        step="modify, private removed",
        holds="Replace of name and PatientID, Remove of InstitutionName, RemovePrivateTags",
        files=with_private,
        options={
            "Replace": {"PatientName": "hello", "PatientID": "world"},
            "Remove": ["InstitutionName"],
            "RemovePrivateTags": True,
            "Force": True,
        },
        check=all_of(
            became("PatientName", "hello"),
            became("PatientID", "world"),
            kept("StudyDescription", "SeriesDescription"),
            gone("00e1,10c2", "InstitutionName"),
        ),
        resources=(("instance", 0),),
        route="instance",
    ),
    Case(
        test="test_anonymize_instance",
        step="modify, private kept",
        holds="Replace of name and PatientID leaves everything else",
        files=with_private,
        options={"Replace": {"PatientName": "hello", "PatientID": "world"}, "Force": True},
        check=all_of(
            became("PatientName", "hello"),
            became("PatientID", "world"),
            kept("00e1,10c2", "StudyDescription", "SeriesDescription", "InstitutionName"),
        ),
        resources=(("instance", 0),),
        route="instance",
    ),
    Case(
        test="test_modify_sequence",
        holds="a sequence in Replace, with a sequence in it and text outside of ASCII",
        files=one,
        options={
            "Replace": {
                "PatientName": "hello",
                "ReferencedStudySequence": [
                    {
                        "StudyDescription": "Hello^",
                        "ReferencedStudySequence": [{"StudyDescription": "Toto"}, {"StudyDescription": "Tata"}],
                    },
                    {"StudyDescription": "Sébastien^", "StudyDate": "19700202"},
                ],
            }
        },
        check=all_of(
            became("PatientName", "hello"),
            became("ReferencedStudySequence[0].StudyDescription", "Hello^"),
            became("ReferencedStudySequence[0].ReferencedStudySequence[1].StudyDescription", "Tata"),
            became("ReferencedStudySequence[1].StudyDescription", "Sébastien^"),
            became("ReferencedStudySequence[1].StudyDate", "19700202"),
        ),
        resources=(("instance", 0),),
        route="instance",
    ),
    *_TRANSCODINGS,
    Case(
        test="test_transcode_lossy_compression_ratio",
        holds="LossyQuality decides on the size; it is not read by jobs, so that deidflow refuses it",
        files=one,
        options={"Transcode": JPEG_BASELINE, "LossyQuality": 40},
        check=_syntax(JPEG_BASELINE),
        resources=(("instance", 0),),
        route="instance",
        refused="LossyQuality has no effect in jobs",
    ),
    Case(
        test="test_modify_transcode_study",
        holds="a study is converted, its original goes",
        files=one,
        options={"Transcode": JPEG_BASELINE, "KeepSource": False},
        check=all_of(_syntax(JPEG_BASELINE), left(0)),
        local=NO_ENCODER,
    ),
    *_KEEP_SOURCE,
    Case(
        test="test_modify_attribute",
        holds="an element with VR AT gets a tag as its value",
        files=one,
        options={"Replace": {"0020,9165": "0020,9056"}},
        check=became("0020,9165", "(0020,9056)"),
    ),
    _SUBSEQUENCES,
    Case(
        test="test_bitbucket_issue_94",
        step="modify",
        holds="FrameOfReferenceUID stays",
        files=one,
        options={"Replace": {"PatientID": "toto"}, "Force": True},
        check=kept("FrameOfReferenceUID"),
        resources=(("instance", 0),),
        route="instance",
    ),
    Case(
        test="test_bitbucket_issue_140",
        holds="a private element of the server's Dictionary keeps its VR when it is replaced with its PrivateCreator",
        files=_radio,
        options={"Replace": {"4321,1012": "aaabbbccc"}, "PrivateCreator": "RadioLogic"},
        check=all_of(became("4321,1012", "aaabbbccc"), kept("4321,0010")),
        resources=(("series", 0),),
        settings=RADIO,
        local=NO_CREATOR,
    ),
    *(
        Case(
            test=f"test_find_patient_name_with_brackets_{kind}",
            holds="brackets in a name are text",
            files=one,
            options={"Replace": {"PatientName": name, "PatientID": "test_brackets"}, "Force": True},
            check=all_of(became("PatientName", name), became("PatientID", "test_brackets")),
            resources=(("instance", 0),),
            route="instance",
        )
        for kind, name in (("and_star", "MyName[*]"), ("only", "MyName[A]"))
    ),
    Case(
        test="test_od_of_ol_array",
        holds="several numbers for elements with VR OF, OD and OL",
        files=one,
        options={
            "Replace": {
                "0066,0016": "101.1\\102.2\\103.3",
                "0070,150d": "110.1\\120.2\\130.3",
                "0066,0041": "20\\30\\42",
            }
        },
        check=lambda results: _assert_arrays(results.pairs[0][1]),
        resources=(("instance", 0),),
        route="instance",
        since=(1, 12, 5),
    ),
    *(
        Case(
            test="test_bulk_modify",
            step=step,
            holds=f"{operation}: {what}",
            files=two_patients,
            operation=operation,
            check=check,
            resources=tuple(("instance", number) for number in range(count)),
            route="bulk",
            quick=step == "anonymize two",
        )
        for operation, count, step, what, check in (
            ("modify", 1, "modify one", "new instance, same parents", kept("PatientID", *STUDY[:2])),
            ("anonymize", 1, "anonymize one", "all four levels are new", renewed("PatientID", *STUDY)),
            (
                "modify",
                2,
                "modify two",
                "two new instances, same parents, each names its original",
                all_of(
                    kept("PatientID", *STUDY[:2]),
                    renewed(STUDY[2]),
                    joined(STUDY[2]),
                    _linked("instances", origin="ModifiedFrom"),
                ),
            ),
            (
                "anonymize",
                2,
                "anonymize two",
                "all four levels are new, twice, each names its original",
                all_of(
                    renewed("PatientID", *STUDY),
                    joined("PatientID", *STUDY),
                    _linked("patients", "studies", "series", "instances", origin="AnonymizedFrom"),
                ),
            ),
        )
    ),
    Case(
        test="test_modify_with_labels",
        step="in place",
        holds="an edit in place loses the labels",
        files=one,
        options={"Replace": {"PatientName": "modified"}, **KEEP_ALL},
        check=all_of(became("PatientName", "modified"), kept(*STUDY)),
        server=IN_PLACE,
    ),
    Case(
        test="test_modify_with_labels",
        step="in place, KeepLabels",
        holds="an edit in place with KeepLabels has them still",
        files=one,
        options={"Replace": {"PatientName": "modified"}, **KEEP_ALL, "KeepLabels": True},
        check=all_of(became("PatientName", "modified"), kept(*STUDY)),
        server=IN_PLACE,
        local="KeepLabels, an option that it would pass over",
    ),
)


def _assert_arrays(result: Dataset) -> None:
    floats = struct.unpack("<3f", result[0x00660016].value)
    assert [101.1, 102.2, 103.3] == [round(number, 4) for number in floats]
    assert (110.1, 120.2, 130.3) == struct.unpack("<3d", result[0x0070150D].value)
    assert (20, 30, 42) == struct.unpack("<3L", result[0x00660041].value)
