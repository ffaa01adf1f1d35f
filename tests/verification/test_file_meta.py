"""What stands before a de-identified dataset is told by that and by deidflow: anything else is found."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

import pytest

from deidflow.tasks.core.outcomes import ReasonCode
from tests.dicom_files import EXPLICIT, Element, encode
from tests.verification.test_series_memory import COUNT, STANDARD, noted, one_of_series, series_of

if TYPE_CHECKING:
    from pathlib import Path

_GROUP: Final = 140
"""Where the length of the group stands."""


def with_meta(data: bytes, tag: int, vr: str, value: bytes) -> bytes:
    """Return a file with another value in its file meta information, whose length is right."""
    end = _GROUP + 4 + struct.unpack_from("<L", data, _GROUP)[0]
    start = data.index(struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode()), _GROUP, end)
    wide = 12 if vr == "OB" else 8
    length = struct.unpack_from("<L" if wide == 12 else "<H", data, start + (8 if wide == 12 else 6))[0]
    head = data[_GROUP + 4 : start] + encode([Element(tag, vr, value)], EXPLICIT) + data[start + wide + length : end]
    return data[:_GROUP] + struct.pack("<L", len(head)) + head + data[end:]


@pytest.mark.parametrize("mode", ["2023b", STANDARD])
@pytest.mark.parametrize(
    ("tag", "vr", "value"),
    [
        (0x00020001, "OB", b"19"),
        (0x00020001, "OB", b"\0\1x9"),
        (0x00020002, "UI", b"19470213"),
        (0x00020002, "UI", b"1.2.840.10008.5.1.4.1.1.4\0"),
        (0x00020003, "UI", b""),
        (0x00020012, "UI", b"19470213"),
        (0x00020012, "UI", b"1.2.3.4\0"),
    ],
)
def test_another_value(tmp_path: Path, mode: str, tag: int, vr: str, value: bytes) -> None:
    """Also where digits look like a UID."""
    series = series_of(tmp_path, [one_of_series(number, EXPLICIT) for number in range(1, COUNT + 1)], mode)
    path = series.result(4)
    path.write_bytes(with_meta(path.read_bytes(), tag, vr, value))

    wrong = [(one.id, one.code) for one in series.together() if one.code is not None]
    assert [(series.plan[4].id, ReasonCode.RESULT_DIFFERS)] == wrong


@pytest.mark.parametrize("mode", ["2023b", STANDARD, "modify"])
@pytest.mark.parametrize("first", [True, False], ids=["alone", "amid its series"])
def test_a_length_that_is_not_true(tmp_path: Path, mode: str, *, first: bool) -> None:
    """The group is as long as it says, whether its values are compared with those of a series or not."""
    series = series_of(tmp_path, [one_of_series(number, EXPLICIT) for number in range(1, COUNT + 1)], mode)
    number = 0 if first else 4
    data = series.result(number).read_bytes()
    assert [None] * COUNT == [one.code for one in series.together()]

    for wrong in (data[:_GROUP] + bytes(4) + data[_GROUP + 4 :], data[:_GROUP] + b"\x01" + data[_GROUP + 1 :]):
        series.result(number).write_bytes(wrong)
        results = series.together()
        assert noted(series.one_by_one()) == noted(results)
        assert [series.plan[number].id] == [one.id for one in results if one.code is ReasonCode.RESULT_DIFFERS]


def with_more_meta(data: bytes, *more: Element) -> bytes:
    """Return a file with further elements behind its file meta information, whose length is right."""
    end = _GROUP + 4 + struct.unpack_from("<L", data, _GROUP)[0]
    head = data[_GROUP + 4 : end] + encode(more, EXPLICIT)
    return data[:_GROUP] + struct.pack("<L", len(head)) + head + data[end:]


@pytest.mark.parametrize("number", [0, 4], ids=["alone", "amid its series"])
def test_what_a_copy_keeps(tmp_path: Path, number: int) -> None:
    """What stands before a modified dataset, and is as true of it, is its source's."""
    files = [one_of_series(number, EXPLICIT) for number in range(1, COUNT + 1)]
    files = [with_more_meta(data, Element(0x00020016, "AE", b"WARD_7")) for data in files]
    series = series_of(tmp_path, files, "modify")
    path = series.result(number)
    path.write_bytes(with_meta(path.read_bytes(), 0x00020016, "AE", b"WARD_8"))

    assert [series.plan[number].id] == [one.id for one in series.together() if one.code is ReasonCode.RESULT_DIFFERS]


def test_the_class_of_a_copy(tmp_path: Path) -> None:
    """What stands before a modified dataset names its class, whatever stood there before."""
    series = series_of(tmp_path, [one_of_series(number, EXPLICIT) for number in range(1, COUNT + 1)], "modify")
    path = series.result(4)
    path.write_bytes(with_meta(path.read_bytes(), 0x00020002, "UI", b"Featherstone^Percival "))

    assert [series.plan[4].id] == [one.id for one in series.together() if one.code is ReasonCode.RESULT_DIFFERS]
