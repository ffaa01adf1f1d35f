"""Public attributes that edition 2026d does not know are to go from every group, also behind curves and overlays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers, Level
from deidflow.tasks.core.dicom.tags import PIXEL_DATA
from tests.dicom_files import EXPLICIT, IMPLICIT, Element, Item, Syntax, encode, grey, instance
from tests.steps.steps import Steps

if TYPE_CHECKING:
    from pathlib import Path

UNKNOWN: Final = tuple(
    Element(group << 16 | 0x0999, "LO", b"ward of Dr. No")
    for group in (0x0028, 0x4FFE, 0x5400, 0x6100, 0x6946, 0x7002, 0x7F02)
)
PIXELS: Final = Element(PIXEL_DATA, "OB", bytes(range(64)))
PATIENT: Final = DicomIdentifiers("P-1", "", "", "").orthanc_id(Level.PATIENT)


def _edited(folder: Path, syntax: Syntax) -> Steps:
    """Edit as many instances as there are attributes, each with all of them, at top level and in an item."""
    (folder / "source").mkdir()
    nested = Element(0x00082112, "SQ", (Item(UNKNOWN),))
    for number in range(len(UNKNOWN)):
        data = instance(nested, *UNKNOWN, PIXELS, syntax=syntax, SOPInstanceUID=f"1.2.3.1.1.{number}", **grey())
        (folder / "source" / f"{number}.dcm").write_bytes(data)
    steps = Steps(folder)
    steps.plan([PATIENT], options=None, profile="ps3.15-2026d")
    steps.edit()
    return steps


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT], ids=["explicit", "implicit"])
def test_unknown_attributes_go_and_nothing_else_is_said(tmp_path: Path, syntax: Syntax) -> None:
    """That they went is what the profile asks for; each that is left is found, though its words identify nobody."""
    steps = _edited(tmp_path, syntax)
    assert 0 == steps.verify()

    pixels = encode([PIXELS], syntax)
    for path, element in zip((tmp_path / "results").rglob("*.dcm"), UNKNOWN, strict=True):
        result = path.read_bytes()
        assert 1 == result.count(pixels)
        path.write_bytes(result.replace(pixels, encode([element], syntax) + pixels))
    assert len(UNKNOWN) == steps.verify(again=True)
