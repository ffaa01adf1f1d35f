"""Amid a series, an instance of which more decides than the bytes that differ is judged as if it were alone."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import pytest

from deidflow.tasks.core.engine.protocol import VerifyWork
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.core.request.profile_choice import Option
from deidflow.tasks.core.request.request import Operation, parse_request
from deidflow.tasks.local.worker import Worker
from deidflow.tasks.verification.verifier import ThirdJudge, Verifier
from tests.dicom_files import EXPLICIT, RLE, Element, encapsulated, encode, grey, instance
from tests.local.folders import settings_for
from tests.verification.test_series_memory import (
    COUNT,
    FIXED,
    STANDARD,
    Series,
    element_of,
    noted,
    series_of,
    with_value,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WRONG: Final = 5
"""Number of the instance that differs; those before are learnt from."""


def made(number: int, *extra: Element, **values: Any) -> bytes:
    """Return an instance of a series."""
    own = {"SOPInstanceUID": f"1.2.9.{100 + number}", "InstanceNumber": str(number), **FIXED, **values}
    syntax = values.pop("syntax", EXPLICIT)
    pixels = () if syntax is RLE else (Element(0x7FE00010, "OB", bytes((number + k) % 251 for k in range(64))),)
    return instance(*extra, *pixels, **(own | {"syntax": syntax}))


def text(value: str) -> tuple[Element, ...]:
    """Return an element that the profiles keep (ImageID), and another one before the pixels."""
    data = value.encode()
    return Element(0x00540400, "SH", data + b" " * (len(data) % 2)), Element(0x20500020, "CS", b"IDENTITY")


def wide(value: str) -> str:
    """Return letters and digits in full width (U+FF01 and up)."""
    return "".join(chr(ord(one) + 0xFEE0) if one.isalnum() else one for one in value)


def changed(series: Series, old: bytes, new: bytes, *, in_result: bool = True) -> None:
    """Change bytes of the instance that differs, in its source and, if asked, in its result."""
    for path in (series.source(WRONG - 1), series.result(WRONG - 1))[: 1 + in_result]:
        data = path.read_bytes()
        assert 1 == data.count(old)
        path.write_bytes(data.replace(old, new))


def codes(series: Series) -> dict[int, ReasonCode | None]:
    """Return what is wrong with which instance, whatever came before it."""
    results = series.together()

    assert noted(series.one_by_one()) == noted(results)
    return {one.id: one.code for one in results if one.code is not None}


def rle(number: int, behind: bytes = b"") -> bytes:
    """Return a fragment with one segment of 64 octets, and what no decoder needs."""
    segment = b"\x3f" + bytes((number + k) % 251 for k in range(64)) + behind
    frame = struct.pack("<16L", 1, 64, *[0] * 14) + segment + b"\0" * (len(segment) % 2)
    return b"\xfe\xff\x00\xe0" + len(frame).to_bytes(4, "little") + frame


def test_a_text_behind_an_image_of_rle(tmp_path: Path) -> None:
    """How many octets of a frame are its image is told by rows and columns, which are no slots."""
    files = [made(number, encapsulated(rle(number)[8:]), syntax=RLE) for number in range(1, COUNT + 1)]
    series = series_of(tmp_path, files, STANDARD)
    assert {} == codes(series)

    changed(series, rle(WRONG), rle(WRONG, b"\x80Seen by somebody else"))
    assert {WRONG: ReasonCode.IDENTIFIER_LEFT} == codes(series)


def test_segments_of_rle_that_end_behind_their_frame(tmp_path: Path) -> None:
    """What cannot be judged by what a series has in common is judged in full, where a leak is told first."""
    files = [made(number, encapsulated(rle(number)[8:]), syntax=RLE) for number in range(1, COUNT + 1)]
    series = series_of(tmp_path, files, STANDARD)
    frame, name = rle(WRONG), b"Kowalczyk^Bronislaw"
    damaged = frame[:8] + struct.pack("<3L", 2, 64, 9999) + name.ljust(52, b"\0") + b"\x80" * (len(frame) - 72)

    changed(series, frame, damaged)
    assert {WRONG: ReasonCode.IDENTIFIER_LEFT} == codes(series)


def numbers(number: int, value: bytes | None = None, vr: str = "FD") -> list[Element]:
    """Return a private attribute of three numbers that the standard's list keeps, with some value."""
    raw = struct.pack("<3d", number, 2, 3) if value is None else value
    return [Element(0x00190010, "LO", b"SIEMENS MR HEADER "), Element(0x0019100E, vr, raw)]


@pytest.mark.parametrize("vr", ["FD", "UN"])
@pytest.mark.parametrize("value", [b"somebody else was here", b"Seen by somebody.." * 2], ids=["odd size", "too long"])
def test_a_private_number_of_another_size(tmp_path: Path, vr: str, value: bytes) -> None:
    """What is no number has to be emptied: that is told by its length."""
    files = [made(number, *numbers(number, vr=vr)) for number in range(1, COUNT + 1)]
    series = series_of(tmp_path, files, STANDARD, options=frozenset({Option.RETAIN_SAFE_PRIVATE}))
    assert {} == codes(series)

    changed(series, encode(numbers(WRONG, vr=vr), EXPLICIT), encode(numbers(WRONG, value, vr), EXPLICIT))
    assert {WRONG: ReasonCode.IDENTIFIER_LEFT} == codes(series)


def test_a_private_number_that_is_lost(tmp_path: Path) -> None:
    """Amid instances whose values are no numbers, and so emptied, one is and has to stay."""
    odd = [struct.pack("<2d", number, 2) + b"\0\0" for number in range(COUNT + 1)]
    files = [made(number, *numbers(number, odd[number])) for number in range(1, COUNT + 1)]
    series = series_of(tmp_path, files, STANDARD, options=frozenset({Option.RETAIN_SAFE_PRIVATE}))
    assert {} == codes(series)

    before, after = encode(numbers(WRONG, odd[WRONG]), EXPLICIT), encode(numbers(WRONG), EXPLICIT)
    changed(series, before, after, in_result=False)
    assert {WRONG: ReasonCode.RESULT_DIFFERS} == codes(series)


def overlay(number: int, *, position: int = 0, data: bytes | None = None) -> list[Element]:
    """Return an overlay of one instance, which has its bits by itself."""
    bits = bytes([number]) * 8 if data is None else data
    numbers = {0x60000010: 8, 0x60000011: 8, 0x60000100: 1, 0x60000102: position}
    return [Element(tag, "US", struct.pack("<H", value)) for tag, value in numbers.items()] + [
        Element(0x60003000, "OB", bits)
    ]


@pytest.mark.parametrize("mode", ["2023b", STANDARD])
@pytest.mark.parametrize(
    ("of_others", "wrong"),
    [
        (overlay, overlay(WRONG, position=2)),
        (lambda number: overlay(number, position=99 * (number % 2)), overlay(WRONG, position=2)),
        (
            lambda number: overlay(number, data=bytes([number]) * (6 + 2 * (number % 2))),
            overlay(WRONG, data=b""),
        ),
    ],
    ids=["another bit", "one of several bits", "no data"],
)
def test_an_overlay_in_bits_of_the_pixels(
    tmp_path: Path, mode: str, of_others: Callable[[int], list[Element]], wrong: list[Element]
) -> None:
    """Amid images whose overlays go with their data, one that has its own in the bits that the others do not use."""
    image = {**grey(stored=4), "HighBit": 7}
    files = [made(number, *of_others(number), **image) for number in range(1, COUNT + 1)]
    series = series_of(tmp_path, files, mode)
    assert {} == codes(series)

    changed(series, encode(of_others(WRONG), EXPLICIT), encode(wrong, EXPLICIT), in_result=False)
    assert {WRONG: ReasonCode.IDENTIFIER_LEFT} == codes(series)


def test_what_pydicom_cannot_read_beside_an_overlay(tmp_path: Path) -> None:
    """An overlay with data of its own makes pydicom no judge, whether others of the series were judged or not."""

    def number_as_uid(number: int) -> Element:
        return Element(0x00200242, "US", struct.pack("<H", 300 + number))

    files = [made(number, *overlay(number), number_as_uid(number)) for number in range(1, COUNT + 1)]
    series = series_of(tmp_path, files, "2023b")
    assert {} == codes(series)

    changed(series, encode([number_as_uid(WRONG)], EXPLICIT), encode([Element(0x00200242, "US", b"odd")], EXPLICIT))
    assert {} == codes(series)


@pytest.mark.parametrize("behind", [b"\0" * 10, b"Kowalczyk\0"], ids=["nothing", "a name"])
def test_what_stands_behind_the_pixels(tmp_path: Path, behind: bytes) -> None:
    """Octets behind the last pixel are searched in each instance, where a profile leaves them."""
    image = grey(rows=6)
    files = [made(number, **image) for number in range(1, COUNT + 1)]
    series = series_of(tmp_path, files, "2023b")
    assert {} == codes(series)

    octets = bytes((WRONG + k) % 251 for k in range(64))
    changed(series, octets, octets[:-10] + behind)
    assert ({WRONG: ReasonCode.IDENTIFIER_LEFT} if behind.strip(b"\0") else {}) == codes(series)


@pytest.mark.parametrize("rows", [6, 8], ids=["in all", "in one"])
def test_nothing_is_left_behind_the_pixels(tmp_path: Path, rows: int) -> None:
    """Under PS3.15's profile octets behind the last pixel are blank, or somebody left them."""
    files = [made(number, **grey(rows=rows)) for number in range(1, COUNT + 1)]
    if rows == 8:
        header = struct.Struct("<HH2sHL")
        before, after = [header.pack(0x7FE0, 0x0010, b"OB", 0, length) for length in (64, 72)]
        files[WRONG - 1] = files[WRONG - 1].replace(before, after) + b"Somebody"
    series = series_of(tmp_path, files, STANDARD)
    assert {} == codes(series)

    data = series.result(WRONG - 1).read_bytes()
    assert bytes(8) == data[-8:]
    series.result(WRONG - 1).write_bytes(data[:-8] + b"Somebody")
    assert {WRONG: ReasonCode.IDENTIFIER_LEFT} == codes(series)


@pytest.mark.parametrize(
    "says",
    [
        {"NumberOfFrames": "1.0"},
        {"NumberOfFrames": ""},
        {"NumberOfFrames": "1" + " " * 17},
        {"PhotometricInterpretation": "MONOCHROME2" + " " * 7},
        {"PhotometricInterpretation": "YBR_FULL_422", "Columns": 3},
    ],
)
def test_readers_agree_where_frames_end(tmp_path: Path, says: dict[str, Any]) -> None:
    """Where a result is right, no reader takes octets for others than the editor did; pydicom neither."""
    files = [made(number, **{**grey(rows=6), **says}) for number in range(1, 4)]
    series = series_of(tmp_path, files, STANDARD)

    assert {} == codes(series)
    assert {} == codes(series._replace(settings=replace(series.settings, pydicom=ThirdJudge.ALL)))


ULTRASOUND: Final = "1.2.840.10008.5.1.4.1.1.6.1"
"""AcquisitionDateTime is of type 1C there."""


@pytest.mark.parametrize("options", [frozenset(), frozenset({Option.RETAIN_MODIFIED_DATES})])
def test_a_value_that_the_iod_asks_for(tmp_path: Path, options: frozenset[str]) -> None:
    """What each instance has of its own may have become another value, and in none of them nothing."""
    files = [
        made(number, SOPClassUID=ULTRASOUND, AcquisitionDateTime=f"202404{number:02}101{number}07")
        for number in range(1, COUNT + 1)
    ]
    series = series_of(tmp_path, files, STANDARD, options=options)
    assert {} == codes(series)

    path = series.result(WRONG - 1)
    start, end = element_of(path.read_bytes(), 0x0008002A, b"DT")
    assert start < end
    path.write_bytes(with_value(0x0008002A, b"DT", b"")(path.read_bytes()))
    assert {WRONG: ReasonCode.RESULT_DIFFERS} == codes(series)


def test_a_value_that_the_iod_asks_for_where_others_have_none(tmp_path: Path) -> None:
    """In one series all have a value there, in the next none: of these, one whose source has one is found."""
    given = [{"SeriesInstanceUID": "1.2.9.1", "AcquisitionDateTime": f"202404{day:02}101507"} for day in range(1, 9)]
    empty = [{"SeriesInstanceUID": "1.2.9.2", "AcquisitionDateTime": ""}] * COUNT
    both = enumerate([*given, *empty], 1)
    series = series_of(tmp_path, [made(number, SOPClassUID=ULTRASOUND, **own) for number, own in both], STANDARD)
    for path in map(series.result, range(len(given), len(series.plan))):
        path.write_bytes(with_value(0x0008002A, b"DT", b"")(path.read_bytes()))
    assert {} == codes(series)

    path = series.source(len(given) + WRONG - 1)
    path.write_bytes(with_value(0x0008002A, b"DT", b"20240401101507")(path.read_bytes()))
    assert {len(given) + WRONG: ReasonCode.RESULT_DIFFERS} == codes(series)


def test_what_another_iod_asks_for(tmp_path: Path) -> None:
    """Where the request gives all the same SOP class, that of the source still tells what its result must have."""
    classes = ("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4")
    files = [
        made(number, SOPClassUID=classes[number % 2], AcquisitionDateTime=f"202404{number:02}101507")
        for number in range(1, COUNT + 1)
    ]
    series = series_of(tmp_path, files, STANDARD, SOPClassUID=classes[0])
    assert {} == codes(series)

    path = series.source(WRONG - 1)
    path.write_bytes(with_value(0x00080016, b"UI", ULTRASOUND.encode() + b"\0")(path.read_bytes()))
    assert {WRONG: ReasonCode.RESULT_DIFFERS} == codes(series)


def in_common(number: int) -> bytes:
    """All have a text in full width that tells the time of one of them."""
    times = {"ContentTime": f"1015{10 + number}", "AcquisitionTime": f"10{30 + number}07"}
    return made(number, *text(wide("10:15:15")), SpecificCharacterSet="ISO_IR 192", **times)


def in_its_own(number: int) -> bytes:
    """Since a text in full width has all texts decoded, the name with an accent is found in that of one instance."""
    common = Element(0x00180031, "LO", wide("CT").encode())
    return made(
        number,
        common,
        *text("Kowálczyk" if number == WRONG else f"ok {number}"),
        SpecificCharacterSet="ISO_IR 192",
    )


def in_other_capitals(number: int) -> bytes:
    """Of letters with accents, capitals are told apart from others in no bytes, but in decoded texts."""
    own = text("seen by šŤASTNÝ" if number == WRONG else f"ok {number}")
    return made(number, *own, PatientName="Šťastný^Věra ".encode(), SpecificCharacterSet="ISO_IR 192")


@pytest.mark.parametrize("file", [in_common, in_its_own, in_other_capitals])
@pytest.mark.parametrize("mode", ["2023b", "kept"])
def test_texts_that_have_to_be_decoded(tmp_path: Path, file: Callable[[int], bytes], mode: str) -> None:
    """What is searched in decoded texts is so in those that all have in common, too."""
    series = series_of(tmp_path, [file(number) for number in range(1, COUNT + 1)], mode)
    is_kept = mode == "kept" and file is in_common  # ContentTime

    assert ({} if is_kept else {WRONG: ReasonCode.IDENTIFIER_LEFT}) == codes(series)


def test_what_differs_in_one_series_is_given_in_the_next(tmp_path: Path) -> None:
    """What instances of one row may have of their own is looked up where Replace of the next row gives it to all."""
    files = [
        made(number, *text(f"{number:05}"), SeriesInstanceUID="1.2.9.1" if number <= COUNT else "1.2.9.2")
        for number in range(1, 2 * COUNT + 1)
    ]
    series = series_of(tmp_path, files, "2023b")
    first, second = series.expected()[:COUNT], series.expected()[COUNT:]
    gives = {"StudyDescription": "Trial 7", "ImageID": "given"}
    request = parse_request(Operation.ANONYMIZE, {"Replace": gives, "DicomVersion": "2023b"})
    for number in range(COUNT, 2 * COUNT):
        series.result(number).unlink()
    edited = settings_for(tmp_path / "source", tmp_path / "results")
    Worker(edited).edit([(request, [one.instance for one in second])])

    def wrong() -> list[int]:
        work = VerifyWork([(series.request, first), (request, second)])
        return [one.id for one in Verifier(series.settings).verify(work) if one.code is not None]

    assert [] == wrong()
    path = series.result(COUNT + WRONG)
    path.write_bytes(path.read_bytes().replace(b"given ", b"giver "))
    assert [COUNT + WRONG + 1] == wrong()


def test_a_kept_value_that_another_attribute_has_too(tmp_path: Path) -> None:
    """What Keep names is no leak, also where an attribute that goes stands before it with the same value."""
    files = [
        made(
            number,
            *text("at 10:15:15"),
            AcquisitionTime="101515" if number == WRONG else f"10{30 + number}07",
            ContentTime="101515",
        )
        for number in range(1, COUNT + 1)
    ]

    assert {} == codes(series_of(tmp_path / "kept", files, "kept"))
    assert set(range(1, COUNT + 1)) == set(codes(series_of(tmp_path / "gone", files, "2023b")))
