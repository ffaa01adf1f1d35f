"""What `plan --diff` says about each element is what the edit does to it, and values show only when asked for."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from deidflow.tasks.core.dicom.tags import describe_tag
from deidflow.tasks.local.dicom_file.source_file import SourceFile
from deidflow.tasks.local.editing.differences import Difference, differences
from tests.dicom_files import BIG, IMPLICIT, Element, Item, Syntax, instance, private_block
from tests.local.edits import Edit, anonymize, modify


def compared(data: bytes, edit: Edit) -> dict[str, Difference]:
    """Return the differences by the path's description."""
    with SourceFile.of_bytes(data) as source:
        rows = differences(source, edit.apply(source), edit.compiled(source).tables)
    assert len(rows) == len({row.path for row in rows})
    return {row.path.describe(): row for row in rows}


def lengths(row: Difference) -> tuple[int | None, int | None]:
    """Return the lengths before and after."""
    return row.old_length, row.new_length


IMAGE = instance(
    *private_block(0x0009, Element(0x00091001, "LO", b"TEXT")),
    Element(0x60003000, "OW", b"\1\2"),
    StudyDescription="Thorax",
    Modality="CT",
    InstitutionName="Ward 7",
    SeriesDescription="Long",
    ReferencedImageSequence=[
        {"ReferencedSOPInstanceUID": "1.2.3.9", "PatientName": "Doe^Jane", "StudyDescription": "nested"}
    ],
    RequestAttributesSequence=[{"ScheduledProcedureStepID": "S1"}],
)


def test_rule_and_lengths_of_every_element() -> None:
    """Each element of source and result has one line with what decided on it."""
    body: dict[str, Any] = {
        "Replace": {"SeriesDescription": "new", "PatientComments": "added"},
        "Keep": ["StudyDescription"],
        "Remove": ["InstitutionName"],
    }
    rows = compared(IMAGE, anonymize(body))

    assert {
        "StudyDescription": ("Keep", (6, 6)),
        "SeriesDescription": ("Replace", (4, 4)),
        "PatientComments": ("Replace", (None, 6)),
        "InstitutionName": ("Remove", (6, None)),
        "Modality": ("kept", (2, 2)),
        "PatientIdentityRemoved": ("mark of de-identification", (None, 4)),
        "0009,0010": ("private elements", (10, None)),
        "0009,1001": ("private elements", (4, None)),
        "OverlayData": ("hardening: curves and overlays", (2, None)),
        "PatientName": ("pseudonym", (8, 20)),
        "RequestAttributesSequence": ("profile 2023b: X (remove)", (18, None)),
        "ReferencedImageSequence[0].PatientName": ("hardening: mapped", (8, 20)),
    } == {name: (rows[name].rule, lengths(rows[name])) for name in rows if name in EXPECTED}
    assert "profile 2023b: U (replace_uid)" == rows["ReferencedImageSequence[0].ReferencedSOPInstanceUID"].rule
    assert {"pseudonym"} == {rows[name].rule for name in ("PatientID", "StudyInstanceUID", "SOPInstanceUID")}
    # What went with its sequence has no line of its own.
    assert "RequestAttributesSequence[0].ScheduledProcedureStepID" not in rows


EXPECTED = (
    "StudyDescription", "SeriesDescription", "PatientComments", "InstitutionName", "Modality", "PatientIdentityRemoved",
    "0009,0010", "0009,1001", "OverlayData", "PatientName", "RequestAttributesSequence",
    "ReferencedImageSequence[0].PatientName",
)  # fmt: skip


def test_modify_by_path() -> None:
    """A path's edit is named at the element, a changed length at the sequence around it."""
    rows = compared(IMAGE, modify({"Replace": {"ReferencedImageSequence[*].StudyDescription": "longer than before"}}))

    assert "Replace" == rows["ReferencedImageSequence[0].StudyDescription"].rule
    assert "length mended" == rows["ReferencedImageSequence"].rule
    assert "kept" == rows["ReferencedImageSequence[0].PatientName"].rule
    assert "kept" == rows["StudyDescription"].rule


def test_rules_beside_the_profile() -> None:
    """What the request keeps, what goes with a change, and what follows other objects of the run is named as such."""
    data = instance(
        Element(0x00090010, "LO", b"TEST BLOCK"),
        Element(0x00091001, "UI", b"1.2.3.1\0"),
        DigitalSignaturesSequence=[{"MACIDNumber": 1}],
        ReferencedImageSequence=[{"PatientID": "P-1", "StudyDescription": "kept"}],
    )
    kept = anonymize({"Keep": ["StudyInstanceUID", "ReferencedImageSequence"], "KeepPrivateTags": True, "Force": True})
    rows = compared(data, kept)

    assert {
        "StudyInstanceUID": "Keep",
        "SeriesInstanceUID": "pseudonym",
        "ReferencedImageSequence": "Keep",
        "ReferencedImageSequence[0].PatientID": "hardening: mapped",
        "ReferencedImageSequence[0].StudyDescription": "kept",
        "DigitalSignaturesSequence": "hardening: signatures and padding",
    } == {name: rows[name].rule for name in rows if name in NAMED}
    mapped = compared(data, anonymize({"KeepPrivateTags": True}, hardening=False))
    assert "UIDs of the run's own objects" == mapped["0009,1001"].rule
    assert "pseudonym" == mapped["ReferencedImageSequence[0].PatientID"].rule
    signed = compared(data, modify({"Replace": {"StudyDescription": "new"}}))
    assert "signature of an object that is changed" == signed["DigitalSignaturesSequence"].rule


NAMED = (
    "StudyInstanceUID", "SeriesInstanceUID", "ReferencedImageSequence", "ReferencedImageSequence[0].PatientID",
    "ReferencedImageSequence[0].StudyDescription", "DigitalSignaturesSequence",
)  # fmt: skip


def test_order_is_that_of_the_file() -> None:
    """Lines stand in the order of tags, items under their sequence."""
    with SourceFile.of_bytes(IMAGE) as source:
        edit = anonymize({})
        rows = differences(source, edit.apply(source), edit.compiled(source).tables)
    top = [row.path.tag for row in rows if not row.path.is_nested]
    names = [describe_tag(row.path.tag) for row in rows]

    assert sorted(top) == top
    at = names.index("ReferencedImageSequence")
    assert all(row.path.is_nested for row in rows[at + 1 : at + 3])


def test_values_only_when_asked_for() -> None:
    """A line holds tag, keyword, VR, lengths and rule; values behind it on demand, and no control characters."""
    data = instance(Element(0x00081140, "SQ", (Item(()),)), PatientName="Doe^\x1b[31mJane", StudyDescription="x" * 100)
    for row in compared(data, anonymize({})).values():
        plain, shown = row.line(show_values=False), row.line(show_values=True)
        assert shown.startswith(plain)
        assert "Doe" not in plain
        assert "xxx" not in plain
        assert shown.isprintable()
    name = compared(data, anonymize({}))["PatientName"]
    assert "0010,0010 PatientName" in name.line(show_values=False)
    assert "[Doe^.[31mJane] -> [Anonymized^" in name.line(show_values=True)
    assert "absent" in compared(data, anonymize({}))["PatientIdentityRemoved"].line(show_values=False)


@pytest.mark.parametrize("syntax", [IMPLICIT, BIG], ids=["implicit", "big-endian"])
def test_values_are_shown_as_people_read_them(syntax: Syntax) -> None:
    """Numbers as numbers, names in their character set; of long values the beginning."""
    order = ">" if syntax is BIG else "<"
    data = instance(
        Element(0x00280106, "US", struct.pack(f"{order}H", 65000)),
        Element(0x00081161, "UL", struct.pack(f"{order}2L", 123456789, 7)),
        syntax=syntax,
        SpecificCharacterSet="ISO_IR 192",
        PatientName="Müller^Jörg".encode(),
        Rows=512,
        ImageComments="x" * 99,
    )
    rows = compared(data, modify({"Replace": {"PatientName": "Doe", "Rows": "64"}}))

    assert ("Müller^Jörg", "Doe") == (rows["PatientName"].old_value, rows["PatientName"].new_value)
    assert ("512", "64") == (rows["Rows"].old_value, rows["Rows"].new_value)
    assert "65000" == rows["SmallestImagePixelValue"].old_value
    assert "123456789\\7" == rows["SimpleFrameList"].old_value
    assert "x" * 64 == rows["ImageComments"].old_value
