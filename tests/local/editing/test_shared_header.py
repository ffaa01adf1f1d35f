"""Remembering what a series has in common changes nothing but the time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given

from benchmarks.generate import Shape, generate
from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.local.dicom_file.findings import MAX_IN_ONE_DATASET
from deidflow.tasks.local.dicom_file.source_file import SourceFile
from deidflow.tasks.local.editing.instance import Editor
from deidflow.tasks.local.worker import Compiled, edit_source, identifiers_of
from tests.dicom_files import DEFLATED, EXPLICIT, IMPLICIT, RLE, Element, Item, Syntax, encode, instance
from tests.local.edits import Edit, anonymize, modify
from tests.local.strategies import PROPERTY, series_of_files

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from deidflow.tasks.local.editing.series.shared_header import SharedHeaders

EDITS = [
    anonymize({"DicomVersion": "2021b", "Keep": ["SeriesDescription", "(0008,1140)"]}),
    anonymize({"DicomVersion": "2008", "KeepPrivateTags": True, "Replace": {"PatientID": "S-1", "StudyID": "7"}}),
    modify({"Replace": {"InstitutionName": "Site", "(0040,0275)[*].(0040,0009)": "step"}, "Remove": ["StudyDate"]}),
    modify(
        {"Replace": {"SOPInstanceUID": "1.2.3.9"}, "Force": True, "Keep": ["SeriesInstanceUID", "StudyInstanceUID"]}
    ),
    modify({"Replace": {"SpecificCharacterSet": "ISO_IR 192"}}),
    anonymize(
        {"DicomVersion": "2023b", "Replace": {"DataSetTrailingPadding": "x", "SOPClassUID": "1.2.9"}, "Force": True}
    ),
]


def _result(data: bytes, edit: Edit, compiled: Compiled) -> bytes | str:
    """Edit a file with what was remembered of others; return the result, or what is wrong with it."""
    try:
        with SourceFile.of_bytes(data) as source:
            return edit_source(source, edit.plan(source), compiled).to_bytes()
    except InstanceFailed as problem:
        return f"{problem.code}: {problem}"


def _compiled(data: bytes, edit: Edit) -> Compiled:
    with SourceFile.of_bytes(data) as source:
        return edit.compiled(source)


def _fresh(data: bytes, edit: Edit) -> Compiled | None:
    try:
        return _compiled(data, edit)
    except InstanceFailed:
        return None


def compare_series(series: list[bytes], edit: Edit) -> None:
    """Every file gives the same with a memory of those before as without any."""
    remembering: Compiled | None = None
    for data in series:
        alone = _fresh(data, edit)
        if alone is None:
            continue
        if remembering is None:
            remembering = alone
            alone = _fresh(data, edit)
            assert alone is not None
        expected = _result(data, edit, alone)

        assert expected == _result(data, edit, remembering._replace(references=alone.references))


@pytest.mark.parametrize("edit", EDITS, ids=range(len(EDITS)))
@PROPERTY
@given(series=series_of_files())
def test_generated_series(edit: Edit, series: list[bytes]) -> None:
    """Whatever is in a series, and whatever differs in it: same result, or the same reason for none."""
    another = [data.replace(b"1.2.3.1.1\0", b"1.2.3.1.7\0") for data in series]
    compare_series([*series, *another], edit)


def _slices(syntax: Syntax = EXPLICIT, **changes: Any) -> list[bytes]:
    """Return eight slices whose own elements have values of different lengths."""
    items = (Item((Element(0x00081155, "UI", b"1.2.3.4\0"), Element(0x00081150, "UI", b"1.2\0"))),)
    return [
        instance(
            Element(0x00081140, "SQ", items, undefined=bool(number % 2)),
            Element(0x7FE00010, "OW", bytes(2 * number)),
            syntax=syntax,
            SOPInstanceUID=f"1.2.3.1.1.{10**number}",
            InstanceNumber=str(10**number),
            ContentTime="1200",
            SeriesDescription="axial",
            SpecificCharacterSet="ISO_IR 100",
            ImageComments="caf\u00e9"[: 1 + number],
            StudyDescription="chest" * (1 + number // 4),
            **changes,
        )
        for number in range(8)
    ]


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, DEFLATED])
@pytest.mark.parametrize("edit", EDITS, ids=range(len(EDITS)))
def test_slices(edit: Edit, syntax: Syntax) -> None:
    """A plain series gives the same with and without a memory."""
    compare_series(_slices(syntax), edit)


def test_two_series_by_turns() -> None:
    """What is remembered of one series, study or patient is not taken for another's."""
    for keyword, value in (("SeriesInstanceUID", "1.2.3.1.2"), ("StudyInstanceUID", "1.2.3.2"), ("PatientID", "P-2")):
        pairs = zip(_slices(), _slices(EXPLICIT, **dict[str, Any]({keyword: value})), strict=True)
        for edit in EDITS:
            compare_series([data for pair in pairs for data in pair], edit)


@pytest.mark.parametrize("edit", EDITS, ids=range(len(EDITS)))
@pytest.mark.parametrize("change", [{}, {"StationName": "a"}, {"PatientComments": "caf\u00e9"}])
def test_one_series_after_another(edit: Edit, change: dict[str, Any]) -> None:
    """What differed within a series is taken to differ within the next, and nothing depends on that being so."""
    first, second, third = (_slices(SeriesInstanceUID=f"1.2.3.1.{number}", **change) for number in range(3))
    odd = [data.replace(b"axial", b"coron") if place % 3 else data for place, data in enumerate(second)]
    compare_series([*first, *odd, *third], edit)


def test_an_identifier_behind_the_pixels() -> None:
    """A second PatientID at the end of one slice is found there, too."""
    again = [data + encode([Element(0x00100020, "LO", b"P-1 ")], EXPLICIT) for data in _slices()]
    for edit in EDITS:
        compare_series([*_slices()[:5], again[5], *_slices()[6:], again[7]], edit)


_PIXELS = b"\xe0\x7f\x10\x00OW"
_PADDING = Element(0xFFFCFFFC, "OB", bytes(6))
ENDINGS = {
    "another VR": lambda data: data.replace(_PIXELS, b"\xe0\x7f\x10\x00OB"),
    "a VR of text": lambda data: data.replace(_PIXELS, b"\xe0\x7f\x10\x00UT"),
    "a VR that is none": lambda data: data.replace(_PIXELS, b"\xe0\x7f\x10\x00\0\0"),
    "something reserved": lambda data: data.replace(_PIXELS + b"\0\0", _PIXELS + b"\1\0"),
    "cut off": lambda data: data[:-3],
    "cut off in the header": lambda data: data[: data.index(_PIXELS) + 10],
    "no pixels": lambda data: data[: data.index(_PIXELS)],
    "a byte behind": lambda data: data + b"\0",
    "zeros behind": lambda data: data + bytes(20),
    "a name behind": lambda data: data + b"Doe^Jane",
    "an element more": lambda data: data + encode([Element(0xFFFDFFFC, "OB", b"Doe^Jane")], EXPLICIT),
    "an element out of order": lambda data: data + encode([Element(0x00104000, "LT", b"Doe^Jane")], EXPLICIT),
    "padding twice": lambda data: data + encode([_PADDING], EXPLICIT),
    "fragments": lambda data: (
        data[: data.index(_PIXELS)]
        + b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0"
    ),
    "a private element in between": lambda data: data.replace(
        _PIXELS, encode([Element(0x7FDF0010, "LO", b"Doe^Jane")], EXPLICIT) + _PIXELS
    ),
}
"""What a slice may end with that ends otherwise than those before."""


@pytest.mark.parametrize("change", ENDINGS.values(), ids=ENDINGS)
@pytest.mark.parametrize("is_padded", [True, False], ids=["padded", "bare"])
@pytest.mark.parametrize("edit", EDITS, ids=range(len(EDITS)))
def test_another_ending(edit: Edit, *, is_padded: bool, change: Callable[[bytes], bytes]) -> None:
    """Two slices end otherwise than those of which it was learnt how they end."""
    series = [data + (encode([_PADDING], EXPLICIT) if is_padded else b"") for data in _slices()]
    compare_series([*series[:3], change(series[3]), *series[4:7], change(series[7])], edit)


@pytest.mark.parametrize("edit", EDITS, ids=range(len(EDITS)))
def test_native_pixels_in_a_compressed_series(edit: Edit) -> None:
    """Among compressed slices with empty pixel data, one whose pixels are not encapsulated fails."""
    empty = [instance(SOPInstanceUID=f"1.2.3.1.1.{number}", syntax=RLE) for number in range(8)]
    pixels = [data + encode([Element(0x7FE00010, "OW", b"")], RLE) for data in empty]
    native = empty[6] + encode([Element(0x7FE00010, "OW", bytes(8))], RLE)

    compare_series([*pixels[:6], native, pixels[7]], edit)


@pytest.mark.parametrize("edit", EDITS, ids=range(len(EDITS)))
def test_overlays_in_the_pixels_of_a_series(edit: Edit) -> None:
    """They are cleared in each instance, also where a file sends what tells their bit as bytes."""
    image: dict[str, Any] = {
        "BitsAllocated": 16,
        "BitsStored": 12,
        "HighBit": 11,
        "SamplesPerPixel": 1,
        "Rows": 2,
        "Columns": 2,
    }
    image |= {"PixelRepresentation": 0, "PhotometricInterpretation": "MONOCHROME2"}
    overlay = [Element(0x60000102, "OB", b"\x0f\0"), Element(0x7FE00010, "OW", b"\0\xff" * 4)]
    series = [instance(*overlay, SOPInstanceUID=f"1.2.3.1.1.{number}", **image) for number in range(8)]

    compare_series(series, edit)


def test_another_reading_that_only_some_pixels_have() -> None:
    """Items of explicit VR sent as UN, which another reader steps out of: in one slice it comes to a name."""
    item = encode([Element(0x00540400, "LO", b"text")], EXPLICIT)
    unknown = b"\xfe\xff\x00\xe0" + len(item).to_bytes(4, "little") + item
    private = (Element(0x00090010, "LO", b"MAKER "), Element(0x00091001, "UN", unknown))
    name = encode([Element(0x00100010, "PN", b"Doe^Jane")], IMPLICIT)
    series = []
    for number in range(8):
        uid = f"1.2.3.1.1.{number}"
        bare = instance(*private, Element(0x7FE00010, "OB", b""), SOPInstanceUID=uid)
        reached = bare.index(item) + 8 + int.from_bytes(item[4:8], "little") - len(bare)
        pixels = bytes(reached) + (name if number == 6 else bytes(len(name))) + bytes(100 + reached % 2)
        series.append(instance(*private, Element(0x7FE00010, "OB", pixels), SOPInstanceUID=uid))

    assert "ambiguous-encoding" in str(_result(series[6], EDITS[1], _compiled(series[6], EDITS[1])))
    for edit in EDITS:
        compare_series(series, edit)


def test_more_elements_than_a_real_object_has() -> None:
    """They are counted in the whole file, also where its first ones are not scanned."""
    edit, series = EDITS[2], _slices()
    many = encode([Element(0x00610000 | number, "LO", b"") for number in range(8, MAX_IN_ONE_DATASET)], EXPLICIT)
    compiled = _compiled(series[0], edit)
    for data in series[:3]:
        _result(data, edit, compiled)
    with SourceFile.of_bytes(series[3]) as planned:
        instance_planned = edit.plan(planned)

    data = series[3].replace(_PIXELS, many + _PIXELS)
    with SourceFile.of_bytes(data) as source, pytest.raises(InstanceFailed, match="more elements"):
        edit_source(source, instance_planned, compiled)


def test_a_source_that_is_not_what_was_planned() -> None:
    """A file with another SOPInstanceUID than planned is refused, also when it looks like its series."""
    edit, series = EDITS[0], _slices()
    with SourceFile.of_bytes(series[0]) as source:
        compiled = edit.compiled(source)
    for data in series[:4]:
        _result(data, edit, compiled)
    with SourceFile.of_bytes(series[2]) as planned:
        instance_planned = edit.plan(planned)._replace(path=b"2.dcm")

    with SourceFile.of_bytes(series[3]) as source, pytest.raises(InstanceFailed, match="another instance"):
        edit_source(source, instance_planned, compiled)


def test_most_of_a_real_series_is_remembered(tmp_path: Path) -> None:
    """Of 100 slices with thirteen elements of their own five are scanned in full: two, and one of each series more."""
    generate(tmp_path / "made", 100, 32 << 10, shape=Shape(patients=1, studies_per_patient=1, series_per_study=4))
    edit = EDITS[0]
    compiled: Compiled | None = None
    remembered = 0
    for path in sorted((tmp_path / "made").rglob("*.dcm")):
        with SourceFile.open(path) as source:
            compiled = compiled or edit.compiled(source)
            plan = edit.plan(source)
            identifiers = identifiers_of(edit.request, plan, compiled.references)
            editor = Editor(source, compiled.tables, identifiers)
            remembered += compiled.headers.edit(source, editor, identifiers) is not None
            edit_source(source, plan, compiled)

    assert 95 == remembered


def test_the_memory_is_bounded() -> None:
    """Many series and shapes later it holds a few of them only."""
    edit = EDITS[0]
    headers: SharedHeaders | None = None
    for number in range(60):
        data = instance(SeriesInstanceUID=f"1.2.3.{number}", SOPInstanceUID=f"1.2.3.{number}.1", InstanceNumber="1")
        with SourceFile.of_bytes(data) as source:
            compiled = edit.compiled(source)
            headers = headers or compiled.headers
            edit_source(source, edit.plan(source), compiled._replace(headers=headers))

    assert headers is not None
    assert 16 == len(headers._series)
