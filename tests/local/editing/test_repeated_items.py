"""Remembering how items are written, and what becomes of them, changes nothing but the time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings

from benchmarks.generate import Shape, generate
from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.local.dicom_file.item_shapes import ItemShapes, RepeatedElements
from deidflow.tasks.local.dicom_file.source_file import SourceFile
from deidflow.tasks.local.editing.items.recipes import Recipe
from deidflow.tasks.local.editing.items.shared_items import SharedItems
from deidflow.tasks.local.editing.series.shared_header import SharedHeaders
from deidflow.tasks.local.worker import Compiled, edit_source
from tests.dicom_files import EXPLICIT, IMPLICIT, Element, Item, Syntax, encode, instance
from tests.local.editing.repeated import EDITS, Repeating, repeating_files
from tests.local.edits import Edit, all_files
from tests.local.strategies import PROPERTY, series_of_files

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from deidflow.tasks.local.dicom_file.elements import Element as ScannedElement


FEW = settings(PROPERTY, max_examples=12)


def _result(data: bytes, edit: Edit, compiled: Compiled) -> object:
    """Return all that comes of a file, or what is wrong with it."""
    try:
        with SourceFile.of_bytes(data) as source:
            assembly = edit_source(source, edit.plan(source), compiled)
            return assembly.to_bytes(), assembly.notes, assembly.burned_in, assembly.pixels
    except InstanceFailed as problem:
        return f"{problem.code}: {problem}"


def _compare(files: Iterable[bytes], edit: Edit) -> None:
    """Every file gives the same with a memory of those before as without any."""
    remembering: Compiled | None = None
    for data in files:
        try:
            with SourceFile.of_bytes(data) as source:
                alone = edit.compiled(source)._replace(items=None)
        except InstanceFailed:
            continue
        remembering = (remembering or alone._replace(items=SharedItems()))._replace(references=alone.references)
        expected = _result(data, edit, alone)

        assert expected == _result(data, edit, remembering._replace(headers=SharedHeaders()))
        assert expected == _result(data, edit, remembering)


@pytest.mark.parametrize("name", EDITS)
@FEW
@given(made=repeating_files())
def test_items_that_are_alike(name: str, made: Repeating) -> None:
    """Images, structure sets and reports, whatever differs from item to item: same result, or same reason for none."""
    _compare(made.files, EDITS[name])


@pytest.mark.parametrize("name", ["paths", "2023b", "ps3.15, cleaned"])
@FEW
@given(files=series_of_files())
def test_any_files(name: str, files: list[bytes]) -> None:
    """Likewise where anything stands in a file."""
    _compare([*files, *files], EDITS[name])


@pytest.mark.parametrize("name", ["2023b", "ps3.15"])
def test_real_files(name: str) -> None:
    """Likewise for every file of pydicom's package."""
    _compare((path.read_bytes() for path in all_files()), EDITS[name])


def _plain(elements: Iterable[ScannedElement]) -> list[Any]:
    return [
        (*element[:5], element[5] and (element[5][0], [(*item[:4], _plain(item[4])) for item in element[5][1]]))
        for element in elements
    ]


def _scan(data: bytes, shapes: ItemShapes | None) -> object:
    try:
        with SourceFile.of_bytes(data) as source:
            source.shapes = shapes
            elements = source.scan()
            return _plain(elements), source.findings
    except InstanceFailed as problem:
        return str(problem)


@FEW
@given(made=repeating_files())
def test_what_a_scan_finds(made: Repeating) -> None:
    """A scan that knows items finds the same elements, and notes the same."""
    shapes = ItemShapes()
    for data in (*made.files, *made.files):
        assert _scan(data, None) == _scan(data, shapes)


def _frames(folder: Path, count: int = 2, frames: int = 40) -> list[bytes]:
    generate(folder, count, 1 << 18, kind="enhanced-mr", shape=Shape(1, 1, 1), frames=frames)
    return [path.read_bytes() for path in sorted(folder.rglob("*.dcm"))]


def test_most_items_are_not_scanned(tmp_path: Path) -> None:
    """Of the frames of an image nearly all are told by their headers."""
    first, second = _frames(tmp_path / "frames")
    shapes = ItemShapes()
    _scan(first, shapes)
    with SourceFile.of_bytes(second) as source:
        source.shapes = shapes
        frames = next(element[5][1] for element in source.scan() if element[0] == 0x52009230 and element[5])

    assert all(isinstance(item[4], RepeatedElements) for item in frames)


def test_most_items_are_decided_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For seven hundred items of ninety frames a few decisions are made."""
    made: list[Recipe] = []
    really = Recipe.__init__

    def counted(recipe: Recipe, *arguments: Any) -> None:
        made.append(recipe)
        really(recipe, *arguments)

    monkeypatch.setattr(Recipe, "__init__", counted)
    (data,) = _frames(tmp_path / "frames", 1, 90)
    EDITS["2023b"](data)

    assert 0 < len(made) < 10


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT], ids=["explicit", "implicit"])
def test_a_value_of_unknown_vr_that_is_a_sequence(syntax: Syntax) -> None:
    """Values of one length, of which some begin like items: what stands in those is edited, too."""
    name = encode([Element(0x00100010, "PN", b"Peeters^Anna")], IMPLICIT)
    hidden = b"\xfe\xff\x00\xe0" + len(name).to_bytes(4, "little") + name
    values = [bytes(len(hidden)), bytes(len(hidden)), hidden, bytes(len(hidden)), hidden]
    items = tuple(
        Item((Element(0x00270010, "LO", b"MAKER "), Element(0x00271001, "UN", value), Element(0x00281050, "DS", b"1 ")))
        for value in values
    )
    data = instance(Element(0x00289110, "SQ", items), syntax=syntax)
    edit = EDITS["2008"]
    _compare([data, data], edit)
    shapes = ItemShapes()

    assert _scan(data, None) == _scan(data, shapes) == _scan(data, shapes)
    assert b"Peeters" not in edit(data)
