"""What stands before a de-identified dataset is told by that and by deidflow: anything else is found."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

import pytest

from deidflow.tasks.core.outcomes import ReasonCode
from tests.dicom_files import EXPLICIT, Element, encode
from tests.verification.test_series_memory import COUNT, STANDARD, one_of_series, series_of

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
