"""The index of an export takes every result as it is, however its values break the rules of their VR."""

from __future__ import annotations

import io
import struct

from hypothesis import example, given
from hypothesis import strategies as st

from deidflow.tasks.export.index import INDEX_COLUMNS, describe
from tests.dicom_files import instance

LONG = {"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"}
SHORT = {"AE", "AS", "AT", "CS", "DA", "DS", "DT", "FD", "FL", "IS", "LO", "LT", "PN", "SH", "SL", "SS", "ST", "TM"}
NO_VR = "ZZ"


def _element(vr: str, value: bytes) -> bytes:
    """Return an InstanceNumber of any VR in explicit little endian."""
    head = struct.pack("<HH2s", 0x0020, 0x0013, vr.encode())
    return head + (struct.pack("<HI", 0, len(value)) if vr in LONG else struct.pack("<H", len(value))) + value


@given(
    st.sampled_from(sorted(LONG | SHORT | {"UI", "UL", "US", NO_VR})),
    st.one_of(st.binary(max_size=12), st.sampled_from([b"inf", b"1E999", b"1.5", b"abc", b"\x1b$B", b"1\\2"])),
)
@example("IS", b"inf ")
@example("SQ", b"abcd")
@example("US", b"1")
@example(NO_VR, b"1 ")
def test_whatever_stands_in_an_element(vr: str, value: bytes) -> None:
    """One line with all columns, and no bytes or items spelled out."""
    content = instance(PatientID="P", SOPInstanceUID="1.2.3", StudyInstanceUID="1.2", SeriesInstanceUID="1.2.1")
    entry = describe(io.BytesIO(content + _element(vr, value)), ["InstanceNumber"])

    assert len(INDEX_COLUMNS) == len(entry.values) + INDEX_COLUMNS.index("TransferSyntaxUID")
    columns = dict(zip(INDEX_COLUMNS[INDEX_COLUMNS.index("TransferSyntaxUID") :], entry.values, strict=True))
    assert ("P", "1.2.3") == (columns["PatientID"], columns["SOPInstanceUID"])
    assert columns["InstanceNumber"] == entry.others["InstanceNumber"]
    if vr in {"OB", "OW", "SQ"}:  # UN is read as the dictionary says
        assert "" == columns["InstanceNumber"]


def test_what_can_be_read() -> None:
    """Text as it stands, several values with backslashes between them."""
    content = instance(PatientID="P", ImageType="ORIGINAL\\PRIMARY", Rows=5)
    entry = describe(io.BytesIO(content), ["ImageType", "Rows", "KVP"])

    assert {"ImageType": "ORIGINAL\\PRIMARY", "Rows": "5", "KVP": ""} == entry.others
