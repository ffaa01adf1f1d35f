"""The requests that are always compared: each argument alone with every kind of value, and pairs of arguments.

Public names: ``selection``, ``plain_cases``, ``transcode_cases``, ``text_cases``, ``pair_cases``, ``bad_cases``,
``ANONYMIZE``, ``MODIFY``, ``TARGETS``.
"""

from __future__ import annotations

import base64
from itertools import combinations
from typing import TYPE_CHECKING, Any, Final

from deidflow.tasks.core.request.request import Operation

if TYPE_CHECKING:
    from collections.abc import Iterator

Body = dict[str, Any]
ANONYMIZE, MODIFY = Operation.ANONYMIZE, Operation.MODIFY
_FORCE: Final = {"Force": True}
_SERIES: Final = "ReferencedSeriesSequence"
_IMAGES: Final = "ReferencedImageSequence"


def data(raw: bytes) -> str:
    """Return bytes as Orthanc takes them in ``Replace``."""
    return "data:application/octet-stream;base64," + base64.b64encode(raw).decode()


_VALUES: Final[dict[str, tuple[Any, ...]]] = {
    "PatientName": ("Doe^Jane", "", None, "Ä", "東京", "a\0b", data(b"ab\0c")),
    "StudyDescription": ("  a b  ", "É", "日本語", "a\\b", data(b"abc "), data(b"\xe9")[:-1], "x" * 70_000),
    "PatientComments": ("line\r\nline", "\t", ""),
    "Modality": ("lower case", ""),
    "StudyDate": ("not a date", "20200101"),
    "PatientAge": ("042Y",),
    "AccessionNumber": ("longer than sixteen characters",),
    "PatientWeight": ("3.5", "abc"),
    "SeriesNumber": ("7", "1\\2"),
    "RetrieveAETitle": (" AE ",),
    "Rows": ("12", "-5", "65536", "abc", "1.5", "", " 7", "0x10", "1\\2", data(b"9"), data(b"")),
    "0018,9219": ("-5", "40000", ""),
    "SmallestImagePixelValue": ("5", "-5", "1\\2"),
    "LUTDescriptor": ("1\\2\\3",),
    "0018,6016": ("5", "4294967296", "-1"),
    "0018,6020": ("-5",),
    "0008,9459": ("1.5", "nan", "1e400", "x", ""),
    "0018,6028": ("2.5", "1e3"),
    "FrameIncrementPointer": ("0018,1063", "00181063", "PatientID", "nothing", "", "0018,1063\\0018,1065"),
    "0042,0011": ("", "text", data(b"bytes")),
    "RedPaletteColorLookupTableData": (data(b"ab"), data(b"abc"), "text", ""),
    "0066,0016": ("1.5", "x", ""),
    "0028,3006": ("", data(b"ab"), "5"),
    "5400,1010": (data(b"abc"), "text"),
    "PixelData": (data(b"abcd"), data(b"abc"), "text", ""),
    "OverlayData": (data(b"ab"), data(b"a"), ""),
    "0008,0120": ("http://a/b ",),
    "0008,0119": ("long code",),
    "0040,A160": ("text " * 20_000,),
    "0040,A13A": ("20200101",),
    "FrameOfReferenceUID": ("1.2.77.3", " 1.2 .77", "", "not a uid"),
    "SOPClassUID": ("1.2.3.4", " 1.2 .3 "),
    "0009,1001": ("abc", "", data(b"abc"), "é"),
    "0009,0010": ("ACME",),
    "0009,1003": ([], [{"PatientName": "q"}]),
    "SpecificCharacterSet": ("ISO_IR 192", "ISO_IR 100", "", "\\ISO 2022 IR 87"),
    "DeidentificationMethod": ("mine", "é"),
    "PatientIdentityRemoved": ("NO",),
    "0008,0000": ("4",),
    "0002,0010": ("1.2.840.10008.1.2",),
    "0000,0002": ("1.2",),
    "ImageComments": ("new",),
    _IMAGES: (
        [],
        "",
        [{}],
        [{"ReferencedSOPInstanceUID": "1.2.77", "ReferencedSOPClassUID": "1.2"}, {}],
        [{"PatientName": "é", "0009,1001": "p", "InstitutionName": "I", "StudyDate": "20200101", "0008,0000": "5"}],
        [{_IMAGES: [{"StudyInstanceUID": "1.2.78", "Rows": "3"}], "0060,3000": ""}],
        None,
        "text",
        {},
        ["text"],
        [{"Rows": "x"}],
    ),
    f"{_SERIES}[0].PatientName": ("X^Y", "É"),
    f"{_SERIES}[*].PatientID": ("Z",),
    f"{_SERIES}[*].{_SERIES}[*].ReferencedSOPInstanceUID": ("1.2.79",),
    f"{_SERIES}[1].0040,0275": ([{"0040,0009": "a"}],),
    f"{_IMAGES}[0].ReferencedSOPClassUID": ("1.9.9",),
    "RequestAttributesSequence[*].ScheduledProcedureStepID": ("x",),
}

_REMOVE: Final[tuple[list[str], ...]] = (
    ["PatientName"], ["Rows", "ImageType"], ["PixelData"], ["SpecificCharacterSet"], ["SOPClassUID"],
    [_IMAGES], ["FrameOfReferenceUID"], ["0009,0010"], ["0009,1003"], ["60003000", "60004000", "50003000"],
    ["CodeValue"], ["ReferencedSOPClassUID"], [f"{_SERIES}[*].PatientName"], [f"{_SERIES}[*].{_SERIES}"],
    [f"{_SERIES}[0].PatientID", f"{_SERIES}[*].{_SERIES}[0].PatientID"],
    [f"{_SERIES}[9].PatientID", "PatientName[0].PatientID", "0009,1003[*].PatientID"],
    ["PatientIdentityRemoved", "DeidentificationMethod"], ["0008,0000", "0002,0016"],
)  # fmt: skip

_KEEP: Final[tuple[list[str], ...]] = (
    ["PatientName"], ["StudyDescription", "StudyDate"], [_IMAGES], ["FrameOfReferenceUID"], ["ContentSequence"],
    ["0009,0010", "0009,1001"], ["0009,1003"], ["ReferencedSOPInstanceUID"], ["60003000"], ["SpecificCharacterSet"],
    [f"{_SERIES}[*].PatientID"], [f"{_SERIES}[0].{_SERIES}"], [f"{_SERIES}[0].0009,1001", f"{_SERIES}[0].0009,0010"],
    [f"{_SERIES}[*].{_SERIES}[*].ReferencedSOPInstanceUID"], ["PatientIdentityRemoved"], ["DeidentificationMethod"],
)  # fmt: skip

_IDENTIFIERS: Final[tuple[Body, ...]] = (
    {"Replace": {"PatientID": "NEW", "PatientName": "N"}},
    {"Replace": {"PatientID": "", "PatientName": ""}},
    {"Replace": {"PatientID": "  X "}},
    {"Replace": {"PatientID": "P1"}},
    {"Replace": {"PatientID": data(b"ABC"), "StudyInstanceUID": data(b"1.2.3")}},
    {"Replace": {"StudyInstanceUID": " 1.2. 3"}},
    {"Replace": {"SeriesInstanceUID": "1.2.3"}},
    {"Replace": {"SOPInstanceUID": "1.2.3"}},
    {"Replace": {"StudyInstanceUID": ""}},
    {"Keep": ["StudyInstanceUID"]},
    {"Keep": ["SeriesInstanceUID"]},
    {"Keep": ["SOPInstanceUID"]},
    {"Keep": ["PatientID"]},
    {"Keep": ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"], "Replace": {"PatientID": "NEW"}},
    {"Remove": ["StudyInstanceUID"]},
)

_MIXED: Final[tuple[Body, ...]] = (
    {"Remove": ["StudyDescription"], "Replace": {"StudyDescription": "x"}},
    {"Keep": ["StudyDescription"], "Replace": {"StudyDescription": "x"}},
    {"Keep": ["StudyDescription"], "Remove": ["StudyDescription"]},
    {"Replace": {_SERIES: [{"PatientName": "A"}], f"{_SERIES}[0].PatientID": "C"}, "Remove": [f"{_SERIES}[0].Rows"]},
    {"Remove": [_SERIES], "Replace": {f"{_SERIES}[0].PatientName": "B"}},
    {"Keep": [_SERIES], "Replace": {f"{_SERIES}[0].PatientName": "B"}},
    {"Keep": [_SERIES], "Remove": [f"{_SERIES}[0].PatientName"]},
    {"Replace": {"SpecificCharacterSet": "ISO_IR 192", "PatientName": "Ä", "StudyDescription": "東"}},
    {"Replace": {"0009,1001": "x"}, "PrivateCreator": "ACME"},
    {"KeepPrivateTags": True},
    {"KeepPrivateTags": True, "Remove": ["0009,1001"]},
    {"RemovePrivateTags": True},
    {"RemovePrivateTags": True, "Remove": ["0009,1001"], "Keep": ["0009,1002"]},
    {"Replace": {"PatientID": "X"}},
)

_FORGOTTEN: Final[tuple[Body, ...]] = (
    {"Replace": {_IMAGES: [{"RequestAttributesSequence": [{"Rows": "x"}]}]}},
    {"Replace": {"RequestAttributesSequence[0].ReferencedStudySequence": [{"Rows": "x"}]}},
    {"Replace": {_IMAGES: [{"PatientName": "q", "0009,1003": [{"Rows": "x"}]}]}},
    {"Replace": {"RequestAttributesSequence[*].Rows": "x"}, "Remove": ["RequestAttributesSequence"]},
)
"""A bad number that would not be written, since profile or request remove what holds it: refused all the same."""

_SPELLINGS: Final[tuple[Body, ...]] = (
    {"Replace": {"StudyDescription": "x", "0008,1030": "y"}},
    {"Replace": {_IMAGES: [{"(0010,0010)": "x"}]}},
    {"Replace": {_IMAGES: [{"Rows": "", "PatientName": "x"}]}},
    {"Replace": {"0012,0022": "x"}},
    {"Replace": {"IssuerOfClinicalTrialProtocolID": "x"}},
)
"""An element twice, a tag in parentheses and an empty number in an item, and an attribute of 2022 by its
number and by its keyword."""

_OTHERS: Final[tuple[Body, ...]] = (
    {"Force": True}, {"Force": False}, {"KeepSource": True}, {"Permissive": True},
    {"KeepLabels": True}, {"LossyQuality": 50}, {"Priority": 3}, {"Priority": -1}, {"PrivateCreator": "ACME"},
    {"KeepPrivateTags": False}, {"RemovePrivateTags": False}, {"Transcode": ""},
)  # fmt: skip

IMPLICIT, EXPLICIT, BIG_ENDIAN, DEFLATED, RLE, JPEG_2000 = TARGETS = (
    "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99",
    "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.90",
)  # fmt: skip
"""What the engine writes: the uncompressed ones Orthanc, too; for the others it leaves the file's syntax."""

_BAD: Final[tuple[Body, ...]] = (
    {"Level": "x"}, {"Level": 1}, {"Force": "yes"}, {"Replace": []}, {"Replace": {"PatientName": 1}},
    {"Replace": {"PatientName": ["a"]}}, {"Replace": {"PatientName": {"a": 1}}}, {"Remove": "PatientName"},
    {"Remove": [1]}, {"Keep": {}}, {"Replace": {_IMAGES: [{"x": "y"}]}}, {"Replace": {_IMAGES: [{"PatientName": 1}]}},
    *({"Remove": [name]} for name in (
        "nope", "patientname", "Patient's Name", "0010:0010", "0010 0010", "(0010,0010)", " PatientName ", "10,10",
        f"{_SERIES}[0]", f"{_SERIES}.PatientName", f"{_SERIES}[-1].PatientName", f"{_SERIES}[x].PatientName",
        f"{_SERIES}[].PatientName", f"{_SERIES}[0].nope", "", ".", "OtherPatientIds", "00100010", "((0010,0010))",
        "(0010,0010", "( 0010,0010 )", "001000100", "PatientName.", ".PatientName", "60xx,3000", "OverlayData",
        f"{_SERIES}[0][1].PatientName", f"{_SERIES}[1.5].PatientName",
    )),
    {"KeepPrivateTags": 1}, {"RemovePrivateTags": "x"}, {"PrivateCreator": 1}, {"Transcode": 1}, {"Transcode": "1.2.3"},
    {"Permissive": "x"}, {"Priority": "x"}, {"DicomVersion": "2022"}, {"DicomVersion": 1}, {"Unknown": 1},
)  # fmt: skip


def _alone() -> Iterator[Body]:
    yield {}
    for name, values in _VALUES.items():
        for value in values:
            yield {"Replace": {name: value}}
    yield from ({"Remove": names} for names in _REMOVE)
    yield from ({"Keep": names} for names in _KEEP)
    yield from (body | _FORCE for body in _IDENTIFIERS)
    yield from _MIXED
    yield from _FORGOTTEN
    yield from _SPELLINGS
    yield from _OTHERS


def _levels() -> Iterator[Body]:
    for level in ("Patient", "Study", "Series", "Instance", "series"):
        for body in ({}, *_IDENTIFIERS):
            yield {"Level": level, **body, **_FORCE}


def selection(versions: tuple[str, ...]) -> list[tuple[Operation, Body]]:
    """Return every request, anonymize with the profiles by turns."""
    cases: list[tuple[Operation, Body]] = [(MODIFY, body) for body in (*_alone(), *_levels())]
    for number, body in enumerate(_alone()):
        cases.append((ANONYMIZE, {"DicomVersion": versions[number % len(versions)], **body}))
    return cases


def plain_cases(versions: tuple[str, ...]) -> list[tuple[Operation, Body]]:
    """Return the requests that name no element, with each of the profiles."""
    bodies: tuple[Body, ...] = ({}, {"KeepPrivateTags": True})
    cases: list[tuple[Operation, Body]] = [
        (ANONYMIZE, {"DicomVersion": version, **body}) for version in versions for body in bodies
    ]
    levels = ({"Level": level} for level in ("Instance", "Series", "Study"))
    return [*cases, (MODIFY, {}), (MODIFY, {"RemovePrivateTags": True}), *((MODIFY, body) for body in levels)]


def transcode_cases(versions: tuple[str, ...]) -> list[tuple[Operation, Body]]:
    """Return requests for each transfer syntax that the engine writes, and for one that it has no codec for."""
    edits: Body = {
        "Replace": {"StudyDescription": "odd", "0020,0011": "6", _IMAGES: [{"SmallestImagePixelValue": "3"}]}
    }
    cases: list[tuple[Operation, Body]] = [(MODIFY, {"Transcode": target}) for target in TARGETS]
    cases += [
        (ANONYMIZE, {"DicomVersion": version, "KeepPrivateTags": True, "Transcode": target})
        for version, target in zip(versions, (EXPLICIT, IMPLICIT, BIG_ENDIAN, DEFLATED), strict=False)
    ]
    cases += [(MODIFY, {"Transcode": target, **edits}) for target in (IMPLICIT, BIG_ENDIAN)]
    return [*cases, (MODIFY, {"Transcode": "1.2.840.10008.1.2.4.50"})]


def text_cases() -> list[tuple[Operation, Body]]:
    """Return requests with text of many scripts, of which each character set has some."""
    texts = (
        "é",
        "Wałęsa^Lech",
        "Люк",
        "Γειά",
        "سلام",
        "שלום",
        "ğ",
        "ไทย",
        "ﾔﾏﾀﾞ",
        "山田^太郎",
        "김희중",
        "小东",
        "€",
        "é山",
    )
    return [(MODIFY, {"Replace": {"PatientName": text, "StudyDescription": text}}) for text in texts]


def pair_cases(versions: tuple[str, ...]) -> list[tuple[Operation, Body]]:
    """Return requests in which each two of the kinds of arguments meet, with values by turns (a covering design)."""
    kinds: list[list[Body]] = [
        [{"Replace": {name: values[0]}} for name, values in _VALUES.items()],
        [{"Remove": names} for names in _REMOVE],
        [{"Keep": names} for names in _KEEP],
        [body | _FORCE for body in _IDENTIFIERS],
        [{"KeepPrivateTags": True}, {"RemovePrivateTags": True}],
        [{"Transcode": target} for target in (IMPLICIT, EXPLICIT, BIG_ENDIAN, DEFLATED)],
        [{"Level": level, **_FORCE} for level in ("Patient", "Study", "Series", "Instance")],
    ]
    cases: list[tuple[Operation, Body]] = []
    for one, other in combinations(kinds, 2):
        for number in range(max(len(one), len(other))):
            body = merged(one[number % len(one)], other[number * 7 % len(other)])
            cases.append((MODIFY, body))
            if "Level" not in body:
                cases.append((ANONYMIZE, {"DicomVersion": versions[number % len(versions)], **body}))
    return cases


def merged(one: Body, other: Body) -> Body:
    """Return a body with the lists of both."""
    body = dict(one)
    for key, value in other.items():
        if isinstance(value, dict):
            body[key] = {**value, **body.get(key, {})}
        elif isinstance(value, list):
            body[key] = [*body.get(key, []), *value]
        else:
            body[key] = value
    return body


def bad_cases() -> list[tuple[Operation, Body]]:
    """Return requests that are wrong, or look so."""
    return [(MODIFY, body) for body in _BAD] + [(ANONYMIZE, {"DicomVersion": "2021b", **body}) for body in _BAD]
