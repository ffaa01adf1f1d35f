"""Every PatientName of a result goes with its new PatientID: a name that no source of the row has is found, too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from deidflow.tasks.core.outcomes import ReasonCode
from tests.dicom_files import EXPLICIT, Element, Item, instance
from tests.verification.test_series_memory import COUNT, FIXED, STANDARD, one_of_series, series_of, with_value

if TYPE_CHECKING:
    from pathlib import Path

OTHER: Final = b"Featherstone^Percival "


@pytest.mark.parametrize("mode", ["2023b", STANDARD, "kept"])
def test_the_name_of_somebody_else(tmp_path: Path, mode: str) -> None:
    """At top level."""
    series = series_of(tmp_path, [one_of_series(number, EXPLICIT) for number in range(1, COUNT + 1)], mode)
    path = series.result(4)
    path.write_bytes(with_value(0x00100010, b"PN", OTHER)(path.read_bytes()))

    wrong = [(one.id, one.code) for one in series.together() if one.code is not None]
    assert [(series.plan[4].id, ReasonCode.IDENTIFIER_LEFT)] == wrong


@pytest.mark.parametrize("mode", ["2023b", STANDARD])
def test_in_an_item(tmp_path: Path, mode: str) -> None:
    """Whoever is named there is called by the new name; nobody stays nobody."""
    people = [b"Kowalczyk^Bronislaw ", b"Xanthopoulos^Ioannis", b"", b" \t"]
    files = [
        instance(
            Element(0x00540220, "SQ", (Item((Element(0x00100010, "PN", name),)),)),
            SOPInstanceUID=f"1.2.9.{number}",
            **FIXED,
        )
        for number, name in enumerate(people)
    ]
    series = series_of(tmp_path, files, mode)
    assert [None] * len(people) == [one.code for one in series.together()]

    data = series.result(0).read_bytes()
    end = data.rindex(b"Anonymized^")
    series.result(0).write_bytes(data[:end] + OTHER[:20] + data[end + 20 :])
    assert [series.plan[0].id] == [one.id for one in series.together() if one.code is ReasonCode.IDENTIFIER_LEFT]
