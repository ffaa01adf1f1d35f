"""What config and manifest take as new values, a real Orthanc and the local engine write alike, or the plan says so."""

from __future__ import annotations

import base64
import random
import struct
from itertools import product
from typing import TYPE_CHECKING

import httpx
import pytest

from deidflow.tasks.core.dicom.tags import parse_tag
from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.plan.server_values import check_values
from deidflow.tasks.core.request.engine_options import check_request_on_local_engine
from deidflow.tasks.core.request.request import Operation, parse_request
from deidflow.tasks.core.request.value_checks import check_value
from deidflow.tasks.local.dicom_file.source_file import SourceFile
from tests.dicom_files import instance
from tests.local.edits import modify
from tests.orthanc_server import OrthancServer

if TYPE_CHECKING:
    from pathlib import Path

DRAWN = 400

SOURCE = instance(
    PatientID="p",
    StudyInstanceUID="1.2",
    SeriesInstanceUID="1.2.1",
    SOPInstanceUID="1.2.1.1",
    SOPClassUID="1.2.840.10008.5.1.4.1.1.2",
    Modality="CT",
)


def octets(data: bytes, mime: str = "application/octet-stream") -> str:
    """Return a data URI."""
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"


TAGS = [
    *("Rows", "SmallestImagePixelValue", "RedPaletteColorLookupTableDescriptor", "LUTDescriptor", "LUTData"),
    *("TagAngleSecondAxis", "SimpleFrameList", "ReferencePixelX0", "DisplayedAreaBottomRightHandCorner"),
    *("ExaminedBodyThickness", "GraphicData", "RealWorldValueSlope", "DiffusionGradientOrientation"),
    *("FrameIncrementPointer", "PointCoordinatesData", "SelectorODValue", "LongPrimitivePointIndexList"),
    *("SelectorOVValue", "SelectorSVValue", "SelectorUVValue", "SelectorOFValue", "SelectorOBValue", "SelectorOWValue"),
    *("RedPaletteColorLookupTableData", "OverlayData", "PixelData", "EncapsulatedDocument", "FloatPixelData"),
]
VALUES = [
    *(
        "5",
        "-5",
        "+5",
        " 5",
        "1\\2",
        "1\\2\\3",
        "5\\",
        "\\",
        "1.5",
        "-1.5\\2e3",
        "70000",
        "18446744073709551615",
        "nan",
    ),
    *("FrameTime", "0018,1063", "0018-1063", "00181063", "(0018,1063)", "0018,1063\\0018,1065", "FrameTime\\FrameTime"),
    *(octets(data) for data in (b"", b"5", b"1\\2", b"\1", b"\1\0\2\0", struct.pack("<ff", 1.5, 2.5))),
    octets(b"%PDF-1.4 it is", "application/pdf"),
    octets(b"it is none", "application/pdf"),
    octets(b"solid", "model/stl"),
]

Written = tuple[str, bytes] | None


def written(data: bytes, tag: int) -> Written:
    """Return VR and value of an element of a file."""
    with SourceFile.of_bytes(data) as source:
        return next((e[1], source.read(e[3], e[4])) for e in source.scan() if e[0] == tag)


def by_engine(name: str, value: str) -> Written:
    """Return what the local engine writes, None when it refuses."""
    try:
        return written(modify({"Replace": {name: value}})(SOURCE), parse_tag(name))
    except InstanceFailed:
        return None


def version_of(server: OrthancServer) -> tuple[int, int, int]:
    """Return its version as numbers."""
    first, second, third = map(int, server.version.split("."))
    return first, second, third


def test_drawn_values(orthanc_root: Path | None) -> None:
    """What the checks let through is written with the same VR and bytes by both; what they stop is not."""
    drawn = random.Random(12).sample(list(product(TAGS, VALUES)), DRAWN)  # noqa: S311 (a choice of tests)
    accepted = 0
    with OrthancServer(orthanc_root) as server, httpx.Client(base_url=server.url, timeout=30) as http:
        name_of_source = http.post("instances", content=SOURCE).json()["ID"]
        for name, value in drawn:
            tag = parse_tag(name)
            if check_value(tag, value):
                continue
            accepted += 1
            request = parse_request(Operation.MODIFY, {"Replace": {name: value}})
            ours = by_engine(name, value)
            answer = http.post(f"instances/{name_of_source}/modify", json={"Replace": {name: value}})
            theirs = written(answer.content, tag) if answer.is_success else None
            assert (ours is None) is any(check_request_on_local_engine(request)), (name, value)
            if list(check_values(request.edits, version_of(server))):
                assert theirs is None or ours is None or theirs != ours, (name, value)
            else:
                assert theirs is not None, (name, value, answer.text)
                assert ours is None or ours == theirs, (name, value)
    assert accepted > DRAWN // 8


def attributes(data: bytes) -> dict[str, Written]:
    """Return what makes an encapsulated PDF of an object."""
    names = ("SOPClassUID", "ConversionType", "MIMETypeOfEncapsulatedDocument", "EncapsulatedDocument", "Modality")
    return {name: written(data, parse_tag(name)) for name in names}


@pytest.mark.parametrize("given", [{}, {"MIMETypeOfEncapsulatedDocument": "text/plain"}, {"ConversionType": "DV"}])
def test_pdf_as_a_new_document(orthanc: OrthancServer, given: dict[str, str]) -> None:
    """A PDF makes the same encapsulated PDF of an object on the local engine and on an Orthanc 1.10.1."""
    body = {"Replace": {"EncapsulatedDocument": octets(b"%PDF-1.7\nodd", "application/pdf"), **given}}
    name = httpx.post(f"{orthanc.url}/instances", content=SOURCE, timeout=30).json()["ID"]
    theirs = httpx.post(f"{orthanc.url}/instances/{name}/modify", json=body, timeout=30)

    assert attributes(theirs.content) == attributes(modify(body)(SOURCE))
