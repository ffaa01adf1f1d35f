"""Every attribute is treated as the profile's table says, at top level and inside items."""

from __future__ import annotations

import csv
import io
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from pydicom import dcmread

import deidflow.tasks.local.deidentification
from deidflow.tasks.core.dicom.tags import IDENTIFIERS, dictionary_vr
from deidflow.tasks.core.request.request import DICOM_VERSIONS
from tests.dicom_files import UNCOMPRESSED, Element, Item, Syntax, instance, private_block
from tests.local.edits import PSEUDONYMS, anonymize, anonymized, modified, read

if TYPE_CHECKING:
    from pydicom import Dataset

PROFILES: Final = Path(deidflow.tasks.local.deidentification.__file__).parent / "profiles"
KEPT_SEQUENCE: Final = 0x00081115
"""ReferencedSeriesSequence, which every profile keeps."""

SAMPLES: Final = {
    "AE": b"AETITLE1", "AS": b"042Y", "AT": b"\x08\0\x18\0", "CS": b"CODE", "DA": b"20240131", "DS": b"1.5 ",
    "DT": b"20240131", "FD": struct.pack("<d", 1.5), "FL": struct.pack("<f", 1.5), "IS": b"12", "LO": b"SECRET",
    "LT": b"SECRET", "OB": b"\1\2", "OD": bytes(8), "OF": bytes(4), "OW": b"\1\2", "PN": b"Doe^John", "SH": b"SECRET",
    "SL": b"\1\0\0\0", "SS": b"\1\0", "ST": b"SECRET", "SV": bytes(8), "TM": b"1530", "UC": b"SECRET",
    "UI": b"1.2.3.4\0",
    "UL": b"\1\0\0\0", "UN": b"\1\2", "UR": b"http://example.org", "US": b"\1\0", "UT": b"SECRET", "UV": bytes(8),
}  # fmt: skip


def rows(version: str) -> dict[int, tuple[str, str]]:
    """Return the actions of a profile at top level and inside items, by tag; wildcards and file meta left out."""
    with (PROFILES / f"orthanc-{version}.csv").open(encoding="ascii", newline="") as lines:
        table = {row["tag"]: (row["action"], row["nested_action"] or row["action"]) for row in csv.DictReader(lines)}
    numbers = {int(tag.replace(",", ""), 16): actions for tag, actions in table.items() if "x" not in tag}
    return {tag: actions for tag, actions in numbers.items() if tag >> 16 >= 8 and actions[0] != "D"}


def sample(tag: int) -> Element:
    """Return an element of the tag's VR with a value."""
    vr = (dictionary_vr(tag) or "UN").split(" or ")[0]
    if vr == "SQ":
        return Element(tag, vr, (Item((Element(0x00080100, "SH", b"CODE"),)),))
    return Element(tag, vr, SAMPLES[vr])


def expected(action: str, element: Element) -> Any:
    """Return what becomes of a sample: None when it is removed, b"" when it is emptied."""
    if action == "X":
        return None
    if action == "Z":
        return b""
    if action == "U" and element.vr == "UI":
        return PSEUDONYMS.uid("1.2.3.4").encode()
    return "SQ" if element.vr == "SQ" else element.value


def found(dataset: Dataset, tag: int) -> Any:
    """Return the bytes of an element, "SQ" for a sequence with its item, None for one that is not there."""
    element: Any = dataset.get_item(tag)
    if element is None:
        return None
    if element.VR == "SQ":
        return "SQ" if element.value else b""
    value = element.value or b""
    assert isinstance(value, bytes)
    return value.rstrip(b"\0") if element.VR == "UI" and value.startswith(b"2.25") else value


@pytest.mark.parametrize("version", DICOM_VERSIONS)
@pytest.mark.parametrize("hardening", [True, False], ids=["hardened", "plain"])
def test_every_attribute_of_the_table(version: str, hardening: bool) -> None:
    """Each attribute is removed, emptied, mapped or kept, with the nested rule inside items."""
    actions = {tag: action for tag, action in rows(version).items() if tag not in IDENTIFIERS}
    samples = [sample(tag) for tag in sorted(actions) if tag != KEPT_SEQUENCE]
    nested = Element(KEPT_SEQUENCE, "SQ", (Item(()), Item(tuple(samples), undefined=True)))
    data = anonymize({"DicomVersion": version}, hardening=hardening)(instance(nested, *samples))
    result = raw(data)
    inside = result[KEPT_SEQUENCE].value[1]

    assert {e.tag: expected(actions[e.tag][0], e) for e in samples} == {e.tag: found(result, e.tag) for e in samples}
    assert {e.tag: expected(actions[e.tag][1], e) for e in samples} == {e.tag: found(inside, e.tag) for e in samples}


def raw(data: bytes) -> Dataset:
    """Read a file, values undecoded."""
    return dcmread(io.BytesIO(data))


@pytest.mark.parametrize("version", DICOM_VERSIONS)
def test_attributes_that_are_not_listed_stay(version: str) -> None:
    """What no table names is the source's, and nothing is added but the marks of de-identification."""
    kept: dict[str, Any] = {
        "Modality": "CT",
        "Rows": 2,
        "ImageType": "ORIGINAL\\PRIMARY",
        "CodeValue": "X",
        "SOPClassUID": "1.2.3",
    }
    before, after = read(instance(**kept)), anonymized(instance(**kept), {"DicomVersion": version})

    assert {keyword: before[keyword] for keyword in kept} == {keyword: after[keyword] for keyword in kept}
    added = {"PatientIdentityRemoved", "DeidentificationMethod"}
    assert {element.keyword for element in before} | added == {element.keyword for element in after}


@pytest.mark.parametrize("version", DICOM_VERSIONS)
def test_marks_of_deidentification(version: str) -> None:
    """Every result says that it was de-identified and by what; the methods of earlier steps stay, once each."""
    after = anonymized(
        instance(PatientIdentityRemoved="NO", DeidentificationMethod="by hand"),
        {"DicomVersion": version, "Replace": {"StudyDescription": "Trial 7"}},
    )

    assert "YES" == after.PatientIdentityRemoved
    own = f"deidflow - PS 3.15-{version} Table E.1-1 Basic Profile"
    assert ["by hand", own] == list(after.DeidentificationMethod)
    for earlier, expected in (
        ("", own),
        (f"{own} ", own),
        (f"{own}\\by hand", [own, "by hand"]),
        ("a\\b", ["a", "b", own]),
    ):
        again = anonymized(instance(DeidentificationMethod=earlier), {"DicomVersion": version})
        assert expected == again.DeidentificationMethod


@pytest.mark.parametrize(
    ("body", "claim"),
    [
        ({}, "YES"),
        ({"Keep": ["PatientID"]}, "NO"),
        ({"Keep": ["PatientName"]}, "NO"),
        ({"Replace": {"PatientID": "P-1"}}, "NO"),
        ({"Replace": {"PatientName": "Doe^Jane"}}, "NO"),
        ({"Replace": {"PatientName": "Doe^Jane^^ "}}, "NO"),
        ({"Replace": {"PatientName": "Doe^John", "PatientID": "P-2"}}, "YES"),
        ({"Replace": {"PatientIdentityRemoved": "YES"}, "Keep": ["PatientID"]}, "YES"),
        ({"Remove": ["PatientName"]}, "YES"),
    ],
    ids=str,
)
def test_the_claim_is_true(body: dict[str, Any], claim: str) -> None:
    """PatientIdentityRemoved does not say YES where the request brings the original name or ID into the result."""
    assert claim == anonymized(instance(PatientIdentityRemoved="YES"), body).PatientIdentityRemoved


def test_nobody_without_name_and_id_is_identified() -> None:
    """Empty identifiers that are kept identify nobody."""
    data = instance(PatientID="", PatientName="")

    assert "YES" == anonymized(data, {"Keep": ["PatientName"]}).PatientIdentityRemoved


SIGNATURE = Element(0xFFFAFFFA, "SQ", (Item((Element(0x04000115, "OB", b"CERTIFICATE OF DR DOE"),)),))
MAC_PARAMETERS = Element(0x4FFE0001, "SQ", (Item((Element(0x04000015, "CS", b"SHA256"),)),))
PADDING = Element(0xFFFCFFFC, "OB", b"PADDING OF DR DOE ")


@pytest.mark.parametrize("version", DICOM_VERSIONS)
@pytest.mark.parametrize("body", [{}, {"Keep": ["0054,0220"]}], ids=str)
def test_nothing_of_a_signer_is_left(version: str, body: dict[str, Any]) -> None:
    """Anonymize removes digital signatures and trailing padding at every depth, from kept sequences, too."""
    inside = Element(KEPT_SEQUENCE, "SQ", (Item((MAC_PARAMETERS, PADDING, SIGNATURE)),))
    kept = Element(0x00540220, "SQ", (Item((MAC_PARAMETERS, PADDING, SIGNATURE)),))
    result = anonymize({**body, "DicomVersion": version})(instance(inside, kept, MAC_PARAMETERS, PADDING, SIGNATURE))

    assert b"OF DR DOE" not in result
    assert b"SHA256" not in result


def test_modify_removes_signatures_that_no_longer_fit() -> None:
    """The object's signature goes with any edit, an item's with an edit of that item; others and named ones stay."""
    one = Element(0x00081140, "SQ", (Item((MAC_PARAMETERS, SIGNATURE)),))
    other = Element(0x00082112, "SQ", (Item((MAC_PARAMETERS, SIGNATURE)),))
    data = instance(one, other, MAC_PARAMETERS, SIGNATURE)
    after = modified(data, {"Replace": {"ReferencedImageSequence[*].ReferencedSOPInstanceUID": "1.2.3"}})

    tags = {0x4FFE0001, 0xFFFAFFFA}
    assert not tags & {int(tag) for tag in after.keys()}  # noqa: SIM118 (a Dataset iterates over elements)
    assert not tags & {int(tag) for tag in after.ReferencedImageSequence[0].keys()}  # noqa: SIM118
    assert tags == {int(tag) for tag in after.SourceImageSequence[0].keys()}  # noqa: SIM118
    kept = modified(data, {"Keep": ["DigitalSignaturesSequence", "MACParametersSequence"]})
    assert tags <= {int(tag) for tag in kept.keys()}  # noqa: SIM118


def test_given_marks_win() -> None:
    """Who names the method in Replace gets that method."""
    after = anonymized(instance(), {"Replace": {"DeidentificationMethod": "Trial 7"}})

    assert "Trial 7" == after.DeidentificationMethod


@pytest.mark.parametrize("syntax", UNCOMPRESSED, ids=lambda syntax: syntax.uid)
def test_private_elements(syntax: Syntax) -> None:
    """Private elements go at every depth, unless KeepPrivateTags keeps all of them."""
    block = private_block(0x0009, Element(0x00091001, "LO", b"SECRET"))
    data = instance(*block, Element(KEPT_SEQUENCE, "SQ", (Item(tuple(block)),)), syntax=syntax)
    without, kept = anonymized(data), anonymized(data, {"KeepPrivateTags": True})

    for dataset in (without, without[KEPT_SEQUENCE].value[0]):
        assert [] == [element.tag for element in dataset if element.tag.is_private]
    for dataset in (kept, kept[KEPT_SEQUENCE].value[0]):
        assert [0x00090010, 0x00091001] == [element.tag for element in dataset if element.tag.is_private]


def test_private_element_that_is_kept_by_name() -> None:
    """Keep of a private element keeps that one alone: its creator has to be named too."""
    block = private_block(0x0009, Element(0x00091001, "LO", b"KEEP"), Element(0x00091002, "LO", b"GO"))
    after = anonymized(instance(*block), {"Keep": ["0009,0010", "0009,1001"]})

    assert [0x00090010, 0x00091001] == [element.tag for element in after if element.tag.is_private]


def test_a_sequence_that_is_emptied_has_no_items() -> None:
    """ContentSequence, which 2023b clears, is there with zero length in all forms."""
    inner = (Item((Element(0x00080100, "SH", b"CODE"),)),)
    for vr, undefined in (("SQ", False), ("SQ", True), ("UN", True)):
        after = anonymized(instance(Element(0x0040A730, vr, inner, undefined)))
        assert [] == list(after.ContentSequence)
