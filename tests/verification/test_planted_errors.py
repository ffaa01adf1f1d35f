"""One run, each of whose results is then changed in one way: verifying names each, and none of those left alone.

The first verification of a run has nothing but sources, request and results to judge by.
"""

from __future__ import annotations

import io
import struct
import warnings
from typing import TYPE_CHECKING, Any, Final

import pytest
from pydicom import Dataset, dcmread

from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers, Level
from tests.dicom_files import Element, Item, elements, grey, instance
from tests.steps.steps import Steps

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    Change = Callable[[bytes], bytes]

IMAGE: Final[dict[str, Any]] = {
    **grey(),
    "PatientBirthDate": "19470213",
    "PatientSex": "F",
    "SOPClassUID": "1.2.840.10008.5.1.4.1.1.7",
}
PIXELS: Final = Element(0x7FE00010, "OB", bytes(range(64)))
WAVEFORM: Final = Element(
    0x54000100, "SQ", (Item((Element(0x003A0005, "US", b"\1\0"), Element(0x54001010, "OW", bytes(range(200))))),)
)
POINTS: Final = Element(0x30060050, "DS", b"1\\2\\3\\4\\5\\6 ")
CONTOUR: Final = Element(0x30060039, "SQ", (Item((Element(0x30060040, "SQ", (Item((POINTS,)),)),)),))
DERIVATION: Final = Element(
    0x00089215, "SQ", (Item((Element(0x00080100, "SH", b"113076"), Element(0x00080104, "LO", b"Segmentation"))),)
)
SERIES: Final = Element(0x00081115, "SQ", (Item((Element(0x0020000E, "UI", b"1.2.99.7"),)),))
PRIVATE: Final = (Element(0x00090010, "LO", b"MAKER "), Element(0x00091001, "LO", b"secret"))
REFERENCE: Final = Element(
    0x00081140,
    "SQ",
    (Item((Element(0x00081150, "UI", b"1.2.840.10008.5.1.4.1.1.7\0"), Element(0x00081155, "UI", b"1.2.99.5\0"))),),
)
SENDER: Final = Element(0x00081115, "SQ", (Item((Element(0x00020016, "AE", b"DOES_PC "),)),))
TEXT_UID: Final = Element(0x00200242, "LO", b"1.2.4.0.1 ")
OCTETS_UID: Final = Element(0x00200242, "OB", b"1.2.3\\1.2.4.0.2\0\0")
"""SOPInstanceUIDOfConcatenationSource names a study and a series of the first kind, in VRs that it has not."""


def add(tag: int, vr: str, value: object) -> Change:
    """Return a change that puts an element in its place."""

    def change(data: bytes) -> bytes:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = dcmread(io.BytesIO(data))
            dataset.add_new(tag, vr, value)
            output = io.BytesIO()
            dataset.save_as(output, enforce_file_format=True)
        return output.getvalue()

    return change


def drop(tag: int) -> Change:
    """Return a change that takes an element out."""

    def change(data: bytes) -> bytes:
        dataset = dcmread(io.BytesIO(data))
        del dataset[tag]
        output = io.BytesIO()
        dataset.save_as(output, enforce_file_format=True)
        return output.getvalue()

    return change


def swap(old: bytes, new: bytes) -> Change:
    """Return a change of bytes, each time they stand there."""

    def change(data: bytes) -> bytes:
        assert old in data
        return data.replace(old, new)

    return change


def number(tag: int, value: int) -> bytes:
    """Return an element with one number of 16 bits."""
    return struct.pack("<HH2sHH", tag >> 16, tag & 0xFFFF, b"US", 2, value)


def meta(tag: int, vr: bytes, value: bytes) -> Change:
    """Return a change that puts an element at the end of the file meta information."""

    def change(data: bytes) -> bytes:
        length = struct.unpack_from("<L", data, 140)[0]
        own = struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, len(value)) + value
        end = 144 + length
        return data[:140] + struct.pack("<L", length + len(own)) + data[144:end] + own + data[end:]

    return change


def _saved(dataset: Dataset) -> bytes:
    output = io.BytesIO()
    dataset.save_as(output, enforce_file_format=True)
    return output.getvalue()


def _with_reference(data: bytes, uid: str) -> bytes:
    dataset = dcmread(io.BytesIO(data))
    dataset.ReferencedImageSequence[0].ReferencedSOPInstanceUID = uid
    return _saved(dataset)


def _with_series(data: bytes, **values: str) -> bytes:
    dataset = dcmread(io.BytesIO(data))
    for keyword, value in values.items():
        setattr(dataset.ReferencedSeriesSequence[0], keyword, value)
    return _saved(dataset)


def _exchanged(data: bytes) -> bytes:
    one, other = number(0x280010, 8), number(0x280011, 8)
    at = data.index(one + other)
    return data[:at] + other + one + data[at + len(one + other) :]


DIFFERS, LEFT, PIXEL = "result-differs", "identifier-left", "pixel-data-differs"
KINDS: Final[dict[str, tuple[Sequence[Element], Change, str]]] = {
    "nothing": ((PIXELS,), lambda data: data, ""),
    "cut off from an element on": ((WAVEFORM,), lambda data: data[: data.rindex(b"\0\x54\0\1")], DIFFERS),
    "cut off within a value": ((WAVEFORM,), lambda data: data[:-50], DIFFERS),
    "cut off within the pixels": ((PIXELS,), lambda data: data[:-6], PIXEL),
    "other samples of a waveform": ((WAVEFORM,), swap(bytes(range(50, 100)), bytes(50)), DIFFERS),
    "other points of a contour": ((CONTOUR,), swap(b"1\\2\\3\\4", b"9\\9\\9\\9"), DIFFERS),
    "other values of a spectrum": ((Element(0x56000020, "OF", bytes(range(64))),), swap(b"\x14\x15", b"\0\0"), DIFFERS),
    "one pixel": ((PIXELS,), lambda data: data[:-3] + b"\xff" + data[-2:], PIXEL),
    "no pixels": ((PIXELS,), drop(0x7FE00010), PIXEL),
    "other pixels as real numbers": ((Element(0x7FE00008, "OF", bytes(range(64))),), swap(b"\x14\x15", b"\0\0"), PIXEL),
    "rows and columns": (
        (PIXELS,),
        lambda data: swap(number(0x280010, 8), number(0x280010, 4))(
            swap(number(0x280011, 8), number(0x280011, 16))(data)
        ),
        DIFFERS,
    ),
    "one bit of a number": ((PIXELS,), swap(number(0x280101, 8), number(0x280101, 9)), DIFFERS),
    "a kept element is lost": ((PIXELS,), drop(0x00280004), DIFFERS),
    "a kept sequence is lost": ((DERIVATION, PIXELS), drop(0x00089215), DIFFERS),
    "a nested element changed": ((DERIVATION, PIXELS), swap(b"113076", b"113077"), DIFFERS),
    "another value representation": ((PIXELS,), swap(b"\x28\0\4\0CS", b"\x28\0\4\0SH"), DIFFERS),
    "an element nobody asked for": ((PIXELS,), add(0x00080070, "LO", "Maker"), DIFFERS),
    "the birth date is back": ((PIXELS,), add(0x00100030, "DA", "19470213"), LEFT),
    "another birth date": ((PIXELS,), add(0x00100030, "DA", "19470214"), LEFT),
    "the name as another attribute": ((PIXELS,), add(0x00101001, "PN", "Doe^Jane"), LEFT),
    "a private element is back": ((*PRIVATE, PIXELS), add(0x00091001, "LO", "secret"), LEFT),
    "a curve": ((PIXELS,), add(0x50003000, "OW", b"\1\2"), LEFT),
    "a signature": ((PIXELS,), add(0xFFFAFFFA, "SQ", []), DIFFERS),
    "bytes behind the pixels": ((PIXELS,), lambda data: data + b"\xfc\xff\xfc\xffOB\0\0\x08\0\0\0Doe^Jane", LEFT),
    "PatientIdentityRemoved says NO": ((PIXELS,), swap(b"YES ", b"NO  "), DIFFERS),
    "another method": ((PIXELS,), swap(b"PS 3.15-2023b", b"PS 3.15-2099z"), DIFFERS),
    "who sent it": ((PIXELS,), meta(0x00020016, b"AE", b"DOES_PC "), LEFT),
    "the preamble": ((PIXELS,), lambda data: b"Doe^Jane" + data[8:], LEFT),
    "who sent it, in an item": (
        (SENDER, PIXELS),
        lambda data: _with_series(data, SourceApplicationEntityTitle="DOES_PC"),
        LEFT,
    ),
    "another transfer syntax": (
        (PIXELS,),
        swap(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.5\0"),
        DIFFERS,
    ),
    "an original UID": ((REFERENCE, PIXELS), lambda data: _with_reference(data, "1.2.99.5"), LEFT),
    "an original UID sent as text": ((TEXT_UID, PIXELS), add(0x00200242, "LO", "1.2.4.0.1"), LEFT),
    "an original UID sent as octets": ((OCTETS_UID, PIXELS), add(0x00200242, "OB", b"1.2.3\\1.2.4.0.2\0"), LEFT),
    "a reference is lost": ((REFERENCE, PIXELS), lambda data: _with_reference(data, ""), DIFFERS),
    "text as the length of a group": ((PIXELS,), add(0x00280000, "UT", "Doe^Jane"), LEFT),
    "the elements in another order": ((PIXELS,), _exchanged, DIFFERS),
}


MODIFIED: Final[dict[str, tuple[Sequence[Element], Change, str]]] = {
    "nothing": ((*PRIVATE, REFERENCE, PIXELS), lambda data: data, ""),
    "a private element changed": ((*PRIVATE, PIXELS), swap(b"secret", b"sacred"), DIFFERS),
    "a private creator is lost": ((*PRIVATE, PIXELS), drop(0x00090010), DIFFERS),
    "another birth date": ((PIXELS,), swap(b"19470213", b"19470214"), DIFFERS),
    "no birth date": ((PIXELS,), drop(0x00100030), DIFFERS),
    "what was to go is back": ((PIXELS,), add(0x00100040, "CS", "F"), DIFFERS),
    "a signature": ((PIXELS,), add(0xFFFAFFFA, "SQ", []), DIFFERS),
    "who sent it, in an item": (
        (SENDER, PIXELS),
        lambda data: _with_series(data, SourceApplicationEntityTitle="DOES_PC"),
        DIFFERS,
    ),
    "another reference": ((REFERENCE, PIXELS), lambda data: _with_reference(data, "1.2.99.6"), DIFFERS),
    "one pixel": ((PIXELS,), lambda data: data[:-3] + b"\xff" + data[-2:], PIXEL),
    "who sent it": ((PIXELS,), meta(0x00020016, b"AE", b"DOES_PC "), DIFFERS),
    "the preamble": ((PIXELS,), lambda data: b"Doe^Jane" + data[8:], DIFFERS),
}
"""Beside what every request does, StudyDescription is new and PatientSex gone."""


STANDARD: Final[dict[str, tuple[Sequence[Element], Change, str]]] = {
    **{name: kind for name, kind in KINDS.items() if kind[0] != (REFERENCE, PIXELS) and name != "another method"},
    "an original UID": ((SERIES, PIXELS), lambda data: _with_series(data, SeriesInstanceUID="1.2.99.7"), LEFT),
    "a reference is lost": ((SERIES, PIXELS), lambda data: _with_series(data, SeriesInstanceUID=""), DIFFERS),
    "another method": ((PIXELS,), swap(b"PS 3.15-2026d", b"PS 3.15-2099z"), DIFFERS),
    "an option that was not applied": ((PIXELS,), swap(b"113100", b"113105"), DIFFERS),
    "a dummy of another value": ((PIXELS,), add(0x00100040, "CS", "M"), LEFT),
    "an attribute of type 2": ((PIXELS,), swap(b"\x10\0\x30\0DA\0\0", b""), DIFFERS),
    "an attribute that nobody knows": (
        (Element(0x0008FFF0, "LO", b"Smith "), PIXELS),
        add(0x0008FFF0, "LO", "Smith"),
        LEFT,
    ),
    "a nested description": (
        (Element(0x00081115, "SQ", (Item((Element(0x0008103E, "LO", b"of Jane Doe "),)),)), PIXELS),
        lambda data: _with_series(data, SeriesDescription="of Jane Doe"),
        LEFT,
    ),
}
"""What the PS3.15 profile does to the same files."""


def described(text: str, **values: Any) -> tuple[Element, ...]:
    """Return a description, and other texts by keyword."""
    return (*elements({"SeriesDescription": text, **values}), PIXELS)


def says(text: str) -> Change:
    """Return a change of the description alone, by its bytes."""

    def change(data: bytes) -> bytes:
        at = data.index(b"\x08\0\x3e\x10LO")
        end = at + 8 + struct.unpack_from("<H", data, at + 6)[0]
        new = text.encode() + b" " * (len(text) % 2)
        return data[: at + 6] + struct.pack("<H", len(new)) + new + data[end:] if text else data[:at] + data[end:]

    return change


IN_ITEM: Final = Element(
    0x00081084,
    "SQ",
    (Item(tuple(elements({"CodeValue": "39607008", "CodingSchemeDesignator": "SCT", "CodeMeaning": "Lung of Doe"}))),),
)
_OWN: Final[dict[str, Any]] = {"PatientName": "Thyroid^Jane", "AccessionNumber": "ACC 471"}
CLEANED: Final[dict[str, tuple[Sequence[Element], Change, str]]] = {
    "nothing": (described("MR head of Jane Doe 2024-03-01", PatientName="Doe^Jane"), lambda data: data, ""),
    "fewer words": (described("MR head routine"), says("head"), ""),
    "no description": (described("MR head routine"), says(""), ""),
    "a dummy": (described("MR head routine"), says("REMOVED"), ""),
    "the patient's name": (described("MR of Thyroid", **_OWN), says("MR of Thyroid"), LEFT),
    "the patient's name in another case": (described("MR of THYROID1", **_OWN), says("MR of THYROID1"), LEFT),
    "the patient's number": (described("MR ACC-471 head", **_OWN), says("MR ACC-471 head"), LEFT),
    "a long number": (described("MR 471234 head"), says("MR 471234 head"), LEFT),
    "an address": (described("MR j@example.org"), says("MR j@example.org"), LEFT),
    "another word": (described("MR head routine"), says("MR foot routine"), LEFT),
    "words in another order": (described("MR head routine"), says("routine head"), LEFT),
    "the date as it was": (described("head 20240301"), says("head 20240301"), LEFT),
    "a name in a code": ((IN_ITEM, PIXELS), swap(b"Lung of ", b"Lung Doe"), LEFT),
    "another code": ((IN_ITEM, PIXELS), swap(b"39607008", b"39607009"), LEFT),
    "a number of the description elsewhere": (
        (*elements({"SeriesDescription": "MR 7714882931 head"}), WAVEFORM),
        swap(bytes(range(50, 60)), b"7714882931"),
        LEFT,
    ),
    "an address of the description elsewhere": (
        (*elements({"SeriesDescription": "MR j@spital.example"}), WAVEFORM),
        swap(bytes(range(50, 66)), b"j@spital.example"),
        LEFT,
    ),
}
"""What cleaning does to descriptions."""


def write(folder: Path, kinds: Mapping[str, tuple[Sequence[Element], Change, str]]) -> list[str]:
    """Write a source for each kind; return the Orthanc identifiers of their studies."""
    folder.mkdir()
    rows = []
    for at, (extra, *_) in enumerate(kinds.values()):
        named = DicomIdentifiers(f"P-{at}", f"1.2.4.{at}.1", f"1.2.4.{at}.2", f"1.2.4.{at}.3")
        own = dict(zip(("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"), named, strict=True))
        (folder / f"{at:02}").write_bytes(instance(*extra, **IMAGE | own))
        rows.append(named.orthanc_id(Level.STUDY))
    return rows


def crosswalk(steps: Steps, names: Sequence[str]) -> dict[str, dict[str, str]]:
    """Report; return the line of each instance by what is done to its result."""
    steps.report()
    return {names[int(line["original_dicom_id"].split(".")[3])]: line for line in steps.crosswalk()}


@pytest.mark.parametrize(
    ("kinds", "changes"),
    [
        (KINDS, {}),
        (STANDARD, {"options": {}, "profile": "ps3.15-2026d"}),
        (CLEANED, {"options": {}, "profile": "ps3.15-2026d", "profile_options": ["clean-descriptors"]}),
        (
            MODIFIED,
            {
                "operation": "modify",
                "options": {"Replace": {"StudyDescription": "new"}, "Remove": ["PatientSex"]},
            },
        ),
    ],
    ids=["anonymize", "profile", "texts", "modify"],
)
def test_each_error_is_found_by_its_name(
    tmp_path: Path, kinds: Mapping[str, tuple[Sequence[Element], Change, str]], changes: dict[str, Any]
) -> None:
    """What is changed, lost, added or left over in a result fails it, and nothing else does."""
    steps = Steps(tmp_path)
    steps.plan(write(tmp_path / "source", kinds), **changes)
    steps.edit()
    results = {path.stem: path for path in (tmp_path / "results").rglob("*.dcm")}
    for name, row in crosswalk(steps, list(kinds)).items():
        path = results[row["new_dicom_id"]]
        path.write_bytes(kinds[name][1](path.read_bytes()))
    steps.verify()

    found = {name: row["reason"].partition(":")[0] for name, row in crosswalk(steps, list(kinds)).items()}
    assert {name: code for name, (_, _, code) in kinds.items()} == found
