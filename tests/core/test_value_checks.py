"""Values that fit or do not fit the VR of their element (PS3.5 table 6.2-1, edition 2026c)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.datadict import dictionary_VR

from deidflow.tasks.core.dicom.tags import parse_path, parse_tag
from deidflow.tasks.core.dicom.value_representations import VALUE_FORMATS
from deidflow.tasks.core.request.edits import parse_value
from deidflow.tasks.core.request.value_checks import check_path, check_value

OCTETS = "data:application/octet-stream;base64,"

GOOD = [
    ("StudyDate", ["20240131", "20240229"]),
    ("StudyTime", ["15", "1530", "153000", "153000.5", "235960", "153000.123456 "]),
    ("AcquisitionDateTime", ["2024", "202401", "20240131", "2024013115", "20240131153000.5", "20240131153000+0100"]),
    ("AcquisitionDateTime", ["20240131-0500"]),
    ("PatientSex", ["M", "O"]),
    ("Modality", ["CT", "A_B 1"]),
    ("ImageType", ["ORIGINAL\\PRIMARY", "DERIVED\\\\X"]),
    ("PatientAge", ["042Y", "001D"]),
    ("SeriesNumber", ["1", "-5", "+0012", " 7 ", "2147483647"]),
    ("SliceThickness", ["0.5", "-1E3", ".5", "5.", " 1 "]),
    ("PixelSpacing", ["0.5\\0.5"]),
    ("StudyDescription", ["a" * 64, "É東京", "{}"]),
    ("AccessionNumber", ["A" * 16]),
    ("ImageComments", ["line\r\nline\ttab \\ backslash", "a" * 10240]),
    ("InstitutionAddress", ["a" * 1024]),
    ("PatientName", ["Doe^John^^Dr^Jr", "Yamada^Tarou=山田^太郎=やまだ^たろう", "=".join(["a" * 64] * 3)]),
    ("StudyInstanceUID", ["1.2.840.10008", "2.25." + "1" * 59]),
    ("RetrieveURI", ["https://example.org/a%20b?c=d#e"]),
    ("Rows", ["0", "65535"]),
    ("PixelPaddingValue", ["-32768", "65535"]),
    ("ReferencePixelX0", ["-2147483648"]),
    ("TagAngleSecondAxis", ["-32768"]),
    ("RecommendedDisplayFrameRateInFloat", ["1.5", "-1e-3", "3.4e38"]),
    ("FrameTime", ["33.3"]),
    ("RealWorldValueSlope", ["1e300"]),
    ("FrameIncrementPointer", ["0018,1063", "0018,1063\\0018,1065", "FrameTime", "00181063", "0018-1063"]),
    ("FrameIncrementPointer", ["FrameTime\\FrameTimeVector"]),
    ("PointCoordinatesData", ["1.5", "1.5\\-2.5\\1e3"]),
    ("DoubleFloatPixelData", ["1e300\\0"]),
    ("LongPrimitivePointIndexList", ["7", "7\\4294967295"]),
    ("SelectorOVValue", ["18446744073709551615\\0"]),
    ("Rows", [f"{OCTETS}NQ=="]),
    ("EncapsulatedDocument", ["data:application/pdf;base64,JVBERi0xLjQ=", "data:model/stl;base64,AAAA"]),
    ("OverlayData", [f"{OCTETS}AAA="]),
    ("StationAETitle", ["STORE SCP"]),
    ("RetrieveAETitle", ["A\\B"]),
    ("PixelData", [f"{OCTETS}AAAA" + "AAAAAAAA", "data:image/png;base64,iVBORw0KGgo="]),
    ("LUTData", ["1\\2\\3", f"{OCTETS}AAA="]),
    ("0009,1001", ["anything \\ at \x01 all"]),
    ("0009,0010", ["ACME 1.0"]),
    ("PatientID", [f"{OCTETS}SGVsbG8="]),
]

BAD = [
    ("StudyDate", ["2024-01-31", "20240230", "20240131-20240201", "2024013", "20241301", "2024.01.31", "٢٠٢٤٠١٣١"]),
    ("StudyTime", ["24", "1560", "15:30", "153000.1234567", "153000-160000", "153061", "1"]),
    ("AcquisitionDateTime", ["20240230", "20240131-20240201", "2024-01-31T15:30", "20240131153000+2500"]),
    ("PatientSex", ["male", "M\\F"]),
    ("Modality", ["A" * 17, "A-B", "CT\n"]),
    ("PatientAge", ["42Y", "042", "42"]),
    ("SeriesNumber", ["1.0", "2147483648", "0000000000001", "one", "1\\2"]),
    ("SliceThickness", ["0,5", "1.23456789012345678", "nan", "1e"]),
    ("PixelSpacing", ["0.5", "1\\2\\3"]),
    ("StudyDescription", ["a" * 65, "a\nb", "a\x7fb", "a\\b", "a\x1bb", "a\x85b", "\ud800"]),
    ("AccessionNumber", ["A" * 17]),
    ("ImageComments", ["a" * 10241, "a\x00b", "a\x0bb"]),
    ("InstitutionAddress", ["a" * 1025]),
    ("PatientName", ["a" * 65, "a=b=c=d", "a^b^c^d^e^f", "a\\b", "a\tb"]),
    ("StudyInstanceUID", ["not a uid", "1..2", "1.2.", "1" * 65, "1.2\\1.3"]),
    ("RetrieveURI", ["a b", "a\\b"]),
    ("Rows", ["-1", "65536", "1.5", "0x10", "1\\2", "9" * 30]),
    ("PixelPaddingValue", ["65536", "-32769"]),
    ("ReferencePixelX0", ["2147483648"]),
    ("RecommendedDisplayFrameRateInFloat", ["1e39", "inf"]),
    ("RealWorldValueSlope", ["1e309", "x"]),
    ("FrameIncrementPointer", ["(0018,1063)", "frametime", "0018,1063\\", "7", f"{OCTETS}GAAYEA=="]),
    ("PointCoordinatesData", ["1.5\\", " 5", "one", "1e39", f"{OCTETS}AADAPw=="]),
    ("LongPrimitivePointIndexList", ["-1", "4294967296", "1.5", f"{OCTETS}BwAAAA=="]),
    ("Rows", [f"{OCTETS}BQA=", OCTETS]),
    ("SimpleFrameList", ["1\\", "\\"]),
    ("OverlayData", [f"{OCTETS}AA==", "text"]),
    ("StationAETitle", ["A" * 17, "  ", "É"]),
    ("PixelData", ["text", f"{OCTETS}????", "data:application/pdf;base64,JVBERi0xLjQ=", "data:image/gif;base64,AAAA"]),
    ("SelectorOWValue", [f"{OCTETS}AA=="]),
    (
        "EncapsulatedDocument",
        ["text", f"{OCTETS}JVBERi0xLjQ=", "data:application/pdf;base64,AAAA", "data:image/png;base64,AA=="],
    ),
    ("PatientID", [f"{OCTETS}?"]),
    ("0002,0010", ["1.2.840.10008.1.2", ""]),
    ("0010,0000", ["4"]),
]


def flat(table: list[tuple[str, list[str]]]) -> list[tuple[str, str]]:
    """Return one pair for each value."""
    return [(name, value) for name, values in table for value in values]


@pytest.mark.parametrize(("name", "value"), flat(GOOD))
def test_good_values_fit(name: str, value: str) -> None:
    """Nothing is said about a value that fits."""
    assert check_value(parse_tag(name), value) is None


@pytest.mark.parametrize(("name", "value"), flat(BAD))
def test_bad_values_do_not_fit(name: str, value: str) -> None:
    """Something is said about each."""
    assert check_value(parse_tag(name), value)


@pytest.mark.parametrize("vr", sorted(VALUE_FORMATS))
def test_empty_always_fits(vr: str) -> None:
    """A zero-length element is allowed by every VR; whether a UID may be empty is asked elsewhere."""
    assert not VALUE_FORMATS[vr].fits("\x01")
    assert check_value(parse_tag("StudyDate"), "") is None


@given(
    st.text(),
    st.sampled_from(["StudyDate", "StudyTime", "PatientAge", "Rows", "SliceThickness", "AcquisitionDateTime"]),
)
def test_the_content_never_shows(value: str, name: str) -> None:
    """A message is the same for all values that do not fit in the same way."""
    marked = f"<{value}>marker"
    problem = check_value(parse_tag(name), marked)

    assert problem is not None
    assert "marker" not in problem


def test_sequences_are_checked_at_any_depth() -> None:
    """The message leads to the item and the element."""
    tag = parse_tag("RequestAttributesSequence")
    value = parse_value(tag, [{}, {"ProcedureCodeSequence": [{"CodeValue": "x" * 17}]}])

    problem = check_value(tag, value)

    assert (
        problem
        == "item 2, ProcedureCodeSequence: item 1, CodeValue: must fit VR SH: up to 16 characters, no line breaks"
    )


def test_the_dictionary_decides() -> None:
    """Every text VR of the dictionary has a format."""
    names = ("Rows", "PatientID", "LUTData", "StudyDate", "ProcedureCodeSequence", "PixelData")
    vrs = {part for name in names for part in dictionary_VR(name).split(" or ")}

    assert vrs - VALUE_FORMATS.keys() == {"SQ", "OW", "OB"}


def test_steps_of_a_path_must_be_sequences() -> None:
    """Orthanc would do nothing and say nothing; private elements may be sequences."""
    said = check_path(parse_path("PatientID[0].StudyDate"))
    assert said == "a path must lead through sequences, and PatientID is none"
    assert check_path(parse_path("ProcedureCodeSequence[0].0009,1001[*].StudyDate")) is None
