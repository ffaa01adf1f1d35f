"""Orthanc's unit tests of modification, and the items of the Orthanc Book's page on anonymization.

Public names: ``CASES``.
"""

from __future__ import annotations

import base64
import struct
import zlib
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from tests.contract.upstream.case import Case, Fault, Side, value_at
from tests.contract.upstream.cases_edits import JPEG_LOSSLESS, NO_CREATOR
from tests.contract.upstream.cases_levels import STUDY
from tests.contract.upstream.checks import all_of, became, gone, joined, kept, renewed
from tests.contract.upstream.material import ROOT, brainix, image, item, one, two_patients, with_private

if TYPE_CHECKING:
    from pydicom import Dataset

    from tests.contract.upstream.case import Check, Results

_INSTANCE: Final = (("instance", 0),)
_CT_AS_BASE64: Final = "data:application/octet-stream;base64,MS4yLjg0MC4xMDAwOC41LjEuNC4xLjEuMg=="
_CT: Final = "1.2.840.10008.5.1.4.1.1.2"

_DROPS: Final = "drops the characters that the object's character set lacks, in silence"


def _png() -> str:
    """Return a PNG of one red pixel as a data URI."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">L", len(data)) + kind + data + struct.pack(">L", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">2L5B", 1, 1, 8, 2, 0, 0, 0))
    image_data = chunk(b"IDAT", zlib.compress(bytes((0, 255, 0, 0))))
    content = b"\x89PNG\r\n\x1a\n" + header + image_data + chunk(b"IEND", b"")
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


def _sample() -> list[Dataset]:
    """Sequences as in the unit test of paths: two items with two elements, one item with a sequence."""
    references = [
        item(ReferencedSOPClassUID="1.2.840.10008.5.1.4.1.1.4", ReferencedSOPInstanceUID=f"{ROOT}.30.{number}")
        for number in range(2)
    ]
    purpose = item(CodeValue="122403", SeriesDescription="WORLD")
    related = item(StudyInstanceUID=f"{ROOT}.31", SeriesInstanceUID=f"{ROOT}.31.1")
    related.PurposeOfReferenceCodeSequence = [purpose]
    return [image(ReferencedImageSequence=references, RelatedSeriesSequence=[related])]


_CLASS: Final = "ReferencedImageSequence[{}].ReferencedSOPClassUID"
_NAMED: Final = "ReferencedImageSequence[{}].ReferencedSOPInstanceUID"
_PURPOSE: Final = "RelatedSeriesSequence[0].PurposeOfReferenceCodeSequence"
_CODE: Final = f"{_PURPOSE}[0].CodeValue"


def _path(step: str, options: dict[str, Any], *checks: Check, operation: str = "modify", **more: Any) -> Case:
    return Case(
        test="ParsedDicomFile.DicomPath",
        step=step,
        holds=f"paths into sequences: {step}",
        files=_sample,
        operation=operation,
        options=options,
        check=all_of(*checks),
        resources=_INSTANCE,
        route="instance",
        **more,
    )


_PATHS = (
    _path("remove in all items", {"Remove": [_CLASS.format("*")]}, gone(_CLASS.format(0), _CLASS.format(1))),
    _path("remove in the first", {"Remove": [_CLASS.format(0)]}, gone(_CLASS.format(0)), kept(_CLASS.format(1))),
    _path("remove in the second", {"Remove": [_CLASS.format(1)]}, gone(_CLASS.format(1)), kept(_CLASS.format(0))),
    _path("remove two deep", {"Remove": [_CODE]}, gone(_CODE), kept(f"{_PURPOSE}[0].SeriesDescription")),
    _path("remove a nested sequence", {"Remove": [_PURPOSE]}, gone(_PURPOSE)),
    _path("remove a sequence", {"Remove": ["RelatedSeriesSequence"]}, gone("RelatedSeriesSequence")),
    _path(
        "replace in all items, insert where absent",
        {
            "Replace": {
                _CLASS.format("*"): "1.2.3",
                "ReferencedImageSequence[*].PatientName": "Hello3",
                "RelatedSeriesSequence[*].PurposeOfReferenceCodeSequence[*].CodeValue": "Hello5",
            }
        },
        became(_CLASS.format(0), "1.2.3"),
        became(_CLASS.format(1), "1.2.3"),
        became("ReferencedImageSequence[1].PatientName", "Hello3"),
        became(_CODE, "Hello5"),
    ),
    _path(
        "replace in one item",
        {"Replace": {"PatientName": "Hello1", _CLASS.format(1): "1.2.3", _CODE: "Hello3"}},
        became("PatientName", "Hello1"),
        became(_CLASS.format(1), "1.2.3"),
        became(_CODE, "Hello3"),
        kept(_CLASS.format(0)),
    ),
    _path(
        "empty in one item",
        {"Replace": {_CLASS.format(1): "", _CODE: ""}},
        became(_CLASS.format(1), ""),
        became(_CODE, ""),
        kept(_CLASS.format(0), _NAMED.format(0), _NAMED.format(1)),
    ),
    _path(
        "a path that is nowhere",
        {"Remove": ["ReferencedImageSequence[7].ReferencedSOPClassUID", "SourceImageSequence[0].CodeValue"]},
        kept("ReferencedImageSequence", "RelatedSeriesSequence"),
    ),
    _path(
        "anonymize",
        {},
        renewed(_NAMED.format(0), _NAMED.format(1), "RelatedSeriesSequence[0].StudyInstanceUID"),
        kept(_CLASS.format(0), _CODE),
        gone(f"{_PURPOSE}[0].SeriesDescription"),
        operation="anonymize",
    ),
    _path(
        "anonymize, one item and one sequence kept",
        {"Keep": [_NAMED.format(1), "RelatedSeriesSequence"]},
        renewed(_NAMED.format(0)),
        kept(_NAMED.format(1), "RelatedSeriesSequence"),
        operation="anonymize",
    ),
)


def _spelled(path: str, removed: str) -> Case:
    return Case(
        test="DicomModification.DicomPath",
        step=path.strip(),
        holds=f"a path can be spelled `{path.strip()}`",
        files=_sample,
        options={"Remove": [path]},
        check=gone(removed),
        resources=_INSTANCE,
        route="instance",
    )


_SPELLINGS = (
    _spelled("(0008,103e)", "SeriesDescription"),
    _spelled("0008,1030", "StudyDescription"),
    _spelled("StudyDescription", "StudyDescription"),
    _spelled("(0008,1140)[0].ReferencedSOPClassUID", _CLASS.format(0)),
    _spelled("(0008,1250)[0].(0040,a170)[0].(0008,0100)", _CODE),
    _spelled("(0008,1250)[0].(0040,a170)[*].CodeValue", _CODE),
    _spelled("   ReferencedImageSequence    [  1   ]    .    ReferencedSOPClassUID   ", _CLASS.format(1)),
    *(
        Case(
            test="DicomModification.DicomPath",
            step=f"refused: {path}",
            holds=f"`{path}` is no path",
            files=_sample,
            options={"Remove": [path]},
            check=None,
            resources=_INSTANCE,
            route="instance",
        )
        for path in (
            "nope",
            "(0010,0010)[.PatientID",
            "(0010,0010)[].PatientID",
            "(0010,0010[].PatientID",
            "(0010,0010)0].PatientID",
            "(0010,0010)[-1].PatientID",
        )
    ),
)


def _in_set(charset: str | list[str], **more: str) -> list[Dataset]:
    return [image(SpecificCharacterSet=charset, **more)]


def _names(charset: str, name: str) -> Case:
    return Case(
        test="FromDcmtkBridge.Encodings3",
        step=charset.replace("\\", "+"),
        holds=f"text in Replace is written in the object's own character set: {charset or 'none'}",
        files=partial(_in_set, charset),
        options={"Replace": {"PatientName": name}},
        check=became("PatientName", name),
        resources=_INSTANCE,
        route="instance",
    )


_TEXTS = (
    _names("ISO_IR 100", "Müller^Jürgen"),
    _names("ISO_IR 101", "Wałęsa^Łucja"),
    _names("ISO_IR 144", "Иванов^Пётр"),
    _names("ISO_IR 126", "Διονυσιος"),
    _names("ISO_IR 192", "Wang^XiaoDong=王^小东"),
    _names("GB18030", "Wang^XiaoDong=王^小东"),
    *(
        Case(
            test="FromDcmtkBridge.Encodings3",
            step=f"outside of {charset}",
            holds=f"text that {charset} lacks is refused",
            files=partial(_in_set, charset),
            options={"Replace": {"PatientName": name}},
            check=None,
            resources=_INSTANCE,
            route="instance",
            faults=(Fault(Side.ROUTE, _DROPS),),
        )
        for charset, name in (("ISO_IR 100", "東京"), ("ISO_IR 6", "Müller^Jürgen"))
    ),
    *(
        Case(
            test=test,
            holds=f"names in {charset} are left as they are",
            files=partial(_in_set, charset, PatientName=name),
            options={"Replace": {"StudyDescription": "text"}},
            check=all_of(kept("PatientName", "PatientID"), became("StudyDescription", "text")),
            resources=_INSTANCE,
            route="instance",
        )
        for test, charset, name in (
            ("Toolbox.EncodingsJapaneseKanji", ["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎"),
            ("Toolbox.EncodingsKorean", ["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞"),
            ("Toolbox.EncodingsSimplifiedChinese2", "GB18030", "Zhang^XiaoDong=张^小东"),
            ("Toolbox.EncodingsChinese3", "GBK", "Wang^XiaoDong=王^小东"),
        )
    ),
)


def _meta(results: Results) -> None:
    """The file meta information names what the dataset is."""
    for _, result in results.pairs:
        assert result.SOPInstanceUID == result.file_meta.MediaStorageSOPInstanceUID
        assert result.SOPClassUID == result.file_meta.MediaStorageSOPClassUID


_FIVE: Final = {"CodeValue": "2", "CodingSchemeDesignator": "1", "CodeMeaning": "1"}
_UNITS = (
    Case(
        test="DicomModification.Basic",
        holds="instances of two series, one call: each series is one new series",
        files=brainix,
        operation="anonymize",
        options={"DicomVersion": "2008"},
        check=all_of(renewed("PatientID", *STUDY), joined("PatientID", *STUDY)),
        resources=tuple(("instance", number) for number in range(4)),
        route="bulk",
    ),
    Case(
        test="DicomModification.Anonymization",
        step="Keep",
        holds="one private element is kept on request, the others go, the name is another",
        files=with_private,
        operation="anonymize",
        options={"DicomVersion": "2008", "Keep": ["00e1,10c2"]},
        check=all_of(renewed("PatientName"), kept("00e1,10c2"), gone("00e1,1040")),
        resources=_INSTANCE,
        route="instance",
    ),
    Case(
        test="DicomModification.Anonymization",
        step="plain",
        holds="private elements go",
        files=with_private,
        operation="anonymize",
        options={"DicomVersion": "2008"},
        check=all_of(renewed("PatientName"), gone("00e1,10c2", "00e1,1040", "00e1,0010")),
        resources=_INSTANCE,
        route="instance",
    ),
    Case(
        test="DicomModification.Png",
        holds="a PNG as PixelData becomes the image",
        files=one,
        options={"Replace": {"PixelData": _png()}},
        check=all_of(became("Rows", "1"), became("Columns", "1")),
        resources=_INSTANCE,
        route="instance",
        local="an image makes another object of the one that is edited",
    ),
    *_SPELLINGS,
    *_PATHS,
    Case(
        test="ParsedDicomFile.InsertReplaceStrings",
        holds="a new SOPInstanceUID and SOPClassUID stand in the file meta information, too; absent elements come in",
        files=one,
        options={
            "Replace": {"SOPInstanceUID": f"{ROOT}.20", "SOPClassUID": _CT, "RequestingService": "Accession"},
            "Force": True,
        },
        check=all_of(
            became("SOPInstanceUID", f"{ROOT}.20"),
            became("SOPClassUID", _CT),
            became("RequestingService", "Accession"),
            _meta,
        ),
        resources=_INSTANCE,
        route="instance",
    ),
    Case(
        test="ParsedDicomFile.InsertReplaceJson",
        holds="a UID given as base64 is decoded, in the file meta information, too",
        files=one,
        options={"Replace": {"SOPClassUID": _CT_AS_BASE64}},
        check=all_of(became("SOPClassUID", _CT), _meta),
        resources=_INSTANCE,
        route="instance",
    ),
    Case(
        test="ParsedDicomFile.MultipleFloatValue",
        holds="several numbers in an element of a sequence's item",
        files=one,
        options={"Replace": {"4010,1001": [{"4010,1004": "30\\20\\10"}]}},
        check=became("4010,1001[0].4010,1004", "30.0\\20.0\\10.0"),
        resources=_INSTANCE,
        route="instance",
        since=(1, 12, 5),
    ),
    Case(
        test="FromDcmtkBridge.VisitorRemoveTag",
        holds="sequences and pixels are removed",
        files=_sample,
        options={"Remove": ["PixelData", "ReferencedImageSequence", _PURPOSE]},
        check=gone("PixelData", "ReferencedImageSequence", _PURPOSE),
        resources=_INSTANCE,
        route="instance",
    ),
    *_TEXTS,
)

_PAGE: Final = "Book"
_BOOK = (
    Case(
        test=_PAGE,
        step="anonymize an instance",
        holds="Replace, Keep, KeepPrivateTags and DicomVersion 2017c together",
        files=with_private,
        operation="anonymize",
        options={
            "Replace": {"PatientName": "Hello", "0010-1001": "World"},
            "Keep": ["StudyDescription", "SeriesDescription"],
            "KeepPrivateTags": True,
            "DicomVersion": "2017c",
        },
        check=all_of(
            became("PatientName", "Hello"),
            became("OtherPatientNames", "World"),
            kept("StudyDescription", "SeriesDescription", "00e1,10c2"),
            renewed("PatientID", *STUDY),
        ),
        resources=_INSTANCE,
        route="instance",
    ),
    Case(
        test=_PAGE,
        step="modify an instance",
        holds="Replace of name and PatientID, Remove, RemovePrivateTags, Force and Transcode together",
        files=with_private,
        options={
            "Replace": {"PatientName": "hello", "PatientID": "world"},
            "Remove": ["InstitutionName"],
            "RemovePrivateTags": True,
            "Force": True,
            "Transcode": JPEG_LOSSLESS,
        },
        check=all_of(
            became("PatientName", "hello"),
            became("PatientID", "world"),
            gone("InstitutionName", "00e1,10c2"),
            lambda results: _assert_syntax(results, JPEG_LOSSLESS),
        ),
        resources=_INSTANCE,
        route="instance",
    ),
    Case(
        test=_PAGE,
        step="replace a sequence",
        holds="a sequence as a list of objects",
        files=one,
        options={"Replace": {"ProcedureCodeSequence": [_FIVE]}},
        check=all_of(*(became(f"ProcedureCodeSequence[0].{keyword}", value) for keyword, value in _FIVE.items())),
        resources=_INSTANCE,
        route="instance",
    ),
    Case(
        test=_PAGE,
        step="replace a binary element",
        holds="a binary value as base64, in a sequence",
        files=one,
        options={
            "Replace": {
                "EncryptedAttributesSequence": [
                    {
                        "EncryptedContentTransferSyntaxUID": "1.2.840.10008.1.2",
                        "EncryptedContent": "data:application/octet-stream;base64,MTIzNA==",
                    }
                ]
            }
        },
        check=lambda results: _assert_bytes(results, "EncryptedAttributesSequence[0].EncryptedContent", b"1234"),
        resources=_INSTANCE,
        route="instance",
    ),
    Case(
        test=_PAGE,
        step="add a private element",
        holds="a private element of the server's Dictionary and its creator",
        files=one,
        options={"Replace": {"7001,0010": "MyCreator", "7001,1001": "HELLO"}, "PrivateCreator": "MyCreator"},
        check=became("7001,1001", "HELLO"),
        resources=_INSTANCE,
        route="instance",
        local=NO_CREATOR,
        settings={"Dictionary": {"7001,1001": ["CS", "MyPrivateTag", 1, 1, "MyCreator"]}},
    ),
    Case(
        test=_PAGE,
        step="modify a series",
        holds="InstitutionName in a series",
        files=brainix,
        options={"Replace": {"InstitutionName": "My own clinic"}},
        check=all_of(became("InstitutionName", "My own clinic"), kept("StudyInstanceUID"), renewed(*STUDY[1:])),
        resources=(("series", 0),),
    ),
    Case(
        test=_PAGE,
        step="modify a study",
        holds="InstitutionName in a study",
        files=brainix,
        options={"Replace": {"InstitutionName": "My own clinic"}},
        check=all_of(became("InstitutionName", "My own clinic"), kept("PatientID"), renewed(*STUDY)),
    ),
    Case(
        test=_PAGE,
        step="modify a patient without PatientID",
        holds="a patient's PatientID has to be given up to 1.11.2, and need not be later",
        files=brainix,
        options={"Replace": {"InstitutionName": "My own clinic"}},
        check=all_of(became("InstitutionName", "My own clinic"), kept("PatientID"), renewed(*STUDY)),
        resources=(("patient", 0),),
        since=(1, 11, 3),
    ),
    *(
        Case(
            test=_PAGE,
            step=f"anonymize a {level}",
            holds=f"a {level} by its own route: new identifiers on all levels",
            files=brainix,
            operation="anonymize",
            check=all_of(renewed("PatientID", *STUDY), joined("PatientID", *STUDY)),
            resources=((level, 0),),
        )
        for level in ("patient", "study", "series")
    ),
    Case(
        test=_PAGE,
        step="bulk-modify",
        holds="two instances of unrelated patients get a SeriesDescription",
        files=two_patients,
        options={"Replace": {"SeriesDescription": "HELLO"}},
        check=all_of(became("SeriesDescription", "HELLO"), kept("PatientID", *STUDY[:2]), renewed(STUDY[2])),
        resources=(("instance", 0), ("instance", 1)),
        route="bulk",
    ),
)

CASES: Final = (*_UNITS, *_BOOK)


def _assert_syntax(results: Results, uid: str) -> None:
    assert {uid} == {str(result.file_meta.TransferSyntaxUID) for _, result in results.pairs}


def _assert_bytes(results: Results, path: str, value: bytes) -> None:
    assert [value] == [value_at(result, path) for _, result in results.pairs]
