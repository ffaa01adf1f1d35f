"""Painted instances of a series are remembered like any others, and each gets what the rules say of it alone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.pixels.choice import PixelChoice
from deidflow.tasks.core.pixels.conditions import All
from deidflow.tasks.core.pixels.conditions import Test as Asks
from deidflow.tasks.core.pixels.decision import PixelRule, PixelRules, Risk
from deidflow.tasks.core.pixels.regions import Region
from deidflow.tasks.core.request.profile_choice import ProfileChoice
from deidflow.tasks.local.dicom_file.source_file import SourceFile
from deidflow.tasks.local.editing.series.shared_header import SharedHeaders
from deidflow.tasks.local.worker import edit_source
from tests.dicom_files import BIG, EXPLICIT, IMPLICIT, Element, Syntax
from tests.local.editing.painting.images import Image
from tests.local.edits import Edit, deidentify

if TYPE_CHECKING:
    from deidflow.tasks.local.worker import Compiled

STATION, ROWS = 0x00081010, 0x00280010


def _is(tag: int, text: str) -> Asks:
    return Asks(tag, (re.compile(text),))


RULES = PixelRules(
    (
        PixelRule("small", _is(ROWS, "9"), regions=(Region(1, 1, 3, 3),)),
        PixelRule("clean", _is(STATION, "clean"), is_clean=True),
        PixelRule("marked", All((_is(STATION, "marked"), _is(ROWS, "11"))), regions=(Region(0, 0, 50, 2),)),
    ),
    (Risk("stations", _is(STATION, "risky")),),
)
CHOICE = ProfileChoice(frozenset({"clean-pixel-data"}), pixels=PixelChoice(RULES))


def slices(syntax: Syntax = EXPLICIT, count: int = 8, **changes: Any) -> list[bytes]:
    """Return slices that differ in their pixels, their numbers, and in what is given as a list."""
    made = []
    for number in range(count):
        own = {key: value[number % len(value)] if isinstance(value, list) else value for key, value in changes.items()}
        extra = own.pop("extra", ())
        rows = own.pop("rows", 9)
        image = Image.random(number, 1, rows, 7, "MONOCHROME2", stored=12, high_bit=11)
        made.append(
            image.file(
                *(syntax, "OW", *extra),
                SOPInstanceUID=f"1.2.3.1.1.{10**number}",
                InstanceNumber=str(10**number),
                StationName=own.pop("StationName", "none"),
                SeriesDescription="axial",
                **own,
            )
        )
    return made


def results(series: list[bytes], edit: Edit, *, remembers: bool) -> tuple[list[bytes | str], Compiled | None]:
    """Return what each file becomes, or why it does not."""
    shared: Compiled | None = None
    found: list[bytes | str] = []
    for data in series:
        with SourceFile.of_bytes(data) as source:
            alone = edit.compiled(source)
            shared = shared or alone
            compiled = shared._replace(references=alone.references)
            if not remembers:
                compiled = compiled._replace(headers=SharedHeaders())
            try:
                found.append(edit_source(source, edit.plan(source), compiled).to_bytes())
            except InstanceFailed as problem:
                found.append(f"{problem.code}: {problem}")
    return found, shared


SMALLEST = [Element(0x00280106, "US", bytes([number, 0])) for number in range(8)]


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG], ids=lambda syntax: syntax.uid)
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"StationName": ["clean"]},
        {"StationName": ["none", "none", "none", "clean", "none", "risky", "marked"], "rows": 11},
        {"rows": [9, 9, 9, 9, 11, 9, 13]},
        {"BurnedInAnnotation": ["NO", "NO", "NO", "YES"]},
        {"extra": [(one,) for one in SMALLEST]},
        {"extra": [(SMALLEST[3],)]},
        {"SpecificCharacterSet": "ISO_IR 100", "PatientComments": ["a", "bb", "ccc"]},
    ],
    ids=range(8),
)
def test_a_memory_changes_nothing(changes: dict[str, Any], syntax: Syntax) -> None:
    """Where what the rules ask for differs, and where it does not."""
    series, edit = slices(syntax, **changes), deidentify(CHOICE)

    assert results(series, edit, remembers=False)[0] == results(series, edit, remembers=True)[0]


def test_painted_instances_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the series is known no header is scanned to its end any more."""
    scans: list[int] = []
    scan = SourceFile.scan

    def counted(self: SourceFile, *arguments: Any, **keywords: Any) -> Any:
        scans.append(keywords.get("start", -1))
        return scan(self, *arguments, **keywords)

    edit, series = deidentify(CHOICE), slices(count=9)
    _, shared = results(series[:8], edit, remembers=True)
    assert shared is not None
    with SourceFile.of_bytes(series[8]) as source:
        plan = edit.plan(source)
        monkeypatch.setattr(SourceFile, "scan", counted)
        assert edit_source(source, plan, shared).pixels is not None

    assert [start for start in scans if start < 0] == []
