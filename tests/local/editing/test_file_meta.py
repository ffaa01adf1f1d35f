"""The meta information of an anonymized file says what the standard requires and who wrote it, nothing else."""

from __future__ import annotations

import struct

import pytest

from deidflow.tasks.local.editing.splice import IMPLEMENTATION_CLASS_UID
from tests.dicom_files import (
    BIG,
    CT_STORAGE,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    JPEG,
    Syntax,
    elements,
    encapsulated,
    file_bytes,
    instance,
)
from tests.dicom_files import IDENTIFIERS as USUAL
from tests.local.edits import anonymize, modify, read


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG, DEFLATED, JPEG], ids=lambda syntax: syntax.uid)
def test_required_elements_only(syntax: Syntax) -> None:
    """Whatever stood in the source: an empty preamble and the six elements that PS3.10 requires."""
    pixels = [encapsulated(b"\xff\xd8\xff\xd9")] if syntax is JPEG else []
    meta = {
        "ImplementationVersionName": "SCANNER_1",
        "SourceApplicationEntityTitle": "WARD7",
        "PrivateInformationCreatorUID": "1.2.3",
        "PrivateInformation": b"Doe^Jane",
    }
    result = anonymize({})(instance(*pixels, syntax=syntax, preamble=b"Doe^Jane" * 16, meta=meta))
    after = read(result)

    assert bytes(128) + b"DICM" == result[:132]
    assert {
        "FileMetaInformationGroupLength": len(result) - 144 - len_of_dataset(result),
        "FileMetaInformationVersion": b"\0\1",
        "MediaStorageSOPClassUID": CT_STORAGE,
        "MediaStorageSOPInstanceUID": after.SOPInstanceUID,
        "TransferSyntaxUID": syntax.uid,
        "ImplementationClassUID": IMPLEMENTATION_CLASS_UID,
    } == {element.keyword: element.value for element in after.file_meta}


def len_of_dataset(result: bytes) -> int:
    """Return the length of what stands behind the implementation class, the last element of the meta information."""
    name = IMPLEMENTATION_CLASS_UID.encode()
    return len(result) - result.index(name) - len(name) - len(name) % 2


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG], ids=lambda syntax: syntax.uid)
def test_bare_dataset_gets_meta_information(syntax: Syntax) -> None:
    """A file without preamble and meta information becomes a proper file with the syntax that it is written in."""
    bare = file_bytes(elements(USUAL, syntax), syntax, bare=True)
    after = read(anonymize({})(bare))

    assert (syntax.uid, CT_STORAGE) == (after.file_meta.TransferSyntaxUID, after.file_meta.MediaStorageSOPClassUID)
    assert after.SOPInstanceUID == after.file_meta.MediaStorageSOPInstanceUID


def test_class_of_the_dataset_counts() -> None:
    """Where meta information and dataset name different classes, the dataset is right."""
    after = read(anonymize({})(instance(meta={"MediaStorageSOPClassUID": "1.2.3"})))

    assert CT_STORAGE == after.file_meta.MediaStorageSOPClassUID


def test_class_of_the_meta_information_stands_in() -> None:
    """A dataset without SOPClassUID leaves the one of the meta information."""
    after = read(anonymize({})(instance(SOPClassUID=None, meta={"MediaStorageSOPClassUID": CT_STORAGE})))

    assert CT_STORAGE == after.file_meta.MediaStorageSOPClassUID


def test_implementation_class_is_a_fixed_uid() -> None:
    """Results do not depend on the release that wrote them."""
    assert "2.25.204752977782827029516074077606453405661" == IMPLEMENTATION_CLASS_UID


@pytest.mark.parametrize("tag", [0x00020001, 0x00020002, 0x00020003, 0x00020012])
def test_a_wrong_vr_in_the_meta_information(tag: int) -> None:
    """A copy has the same value there, with the VR that PS3.10 gives it."""
    data = instance(meta={"ImplementationClassUID": "1.2.3.45"})
    right, at = read(data).file_meta[tag], data.index(struct.pack("<HH", tag >> 16, tag & 0xFFFF)) + 4
    broken = data[:at] + (b"UN" if right.VR == "OB" else b"LO") + data[at + 2 :]
    after = read(modify({"Keep": ["SOPInstanceUID"], "Force": True})(broken)).file_meta[tag]

    assert (right.VR, right.value) == (after.VR, after.value)
