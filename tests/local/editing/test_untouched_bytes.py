"""What nobody asked to change is the source's, byte for byte."""

from __future__ import annotations

import io
import warnings
import zlib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import assume, given
from pydicom import Dataset, dcmread

from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.local.dicom_file.source_file import SourceFile
from tests.dicom_files import BIG, DEFLATED, EXPLICIT, IMPLICIT, Element, Item, Syntax, encode, file_bytes, instance
from tests.local.edits import all_files, anonymize, modify, read
from tests.local.strategies import PROPERTY, File, files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

REFUSED = {
    "MR_truncated.dcm": (ReasonCode.DAMAGED, "the file ends inside PixelData"),
    "rtplan_truncated.dcm": (ReasonCode.DAMAGED, "the file ends inside BeamSequence"),
    "SC_rgb_jpeg.dcm": (
        ReasonCode.AMBIGUOUS_ENCODING,
        "the transfer syntax is compressed, and the dataset is not explicit VR little endian",
    ),
}
"""The files of pydicom's package that carry the three UIDs and are not accepted, with the reason."""

UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
ACCEPTED_AT_LEAST = 157
UNTOUCHED: dict[str, Any] = {
    "Keep": ["SOPInstanceUID", "MACParametersSequence", "DigitalSignaturesSequence"],
    "Force": True,
}
"""Modify at level instance, and the instance's own UID stays: nothing is left to change."""


def carries_three_uids(path: Path) -> bool:
    """Whether pydicom finds the UIDs of study, series and instance."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            dataset = dcmread(path, force=True, stop_before_pixels=True)
            found = [dataset.get(keyword) for keyword in UIDS]
        except Exception:  # noqa: BLE001 (pydicom raises anything on what is no DICOM)
            return False
    return all(found)


INSTANCES = [path for path in all_files() if carries_three_uids(path)]
ACCEPTED = [path for path in INSTANCES if path.name not in REFUSED]


def test_all_but_the_named_are_accepted() -> None:
    """Each instance of pydicom's package is edited, but for a few, each with its reason."""
    refused = {}
    for path in INSTANCES:
        try:
            modify({})(path.read_bytes())
        except InstanceFailed as problem:
            refused[path.name] = (problem.code, str(problem).rpartition(" at byte ")[0])

    assert refused == REFUSED
    assert len(INSTANCES) - len(refused) >= ACCEPTED_AT_LEAST


@pytest.mark.parametrize("path", ACCEPTED, ids=lambda path: path.name)
def test_edit_of_nothing_gives_the_identical_file(path: Path) -> None:
    """With every identifier kept the result is the source, also where a path makes the editor look into all items.

    Meta information that is missing, incomplete or untrue is mended; the dataset is the source's in any case.
    """
    data = path.read_bytes()
    everywhere = {"Remove": [f"{sequence}[*].0011,10fe" for sequence in sequences_of(path)], **UNTOUCHED}

    for body in (UNTOUCHED, everywhere):
        result = modify(body)(data)
        assert is_true_part_10(result)
        if is_true_part_10(data):
            assert data == result
        else:
            assert data[dataset_start(data) :] == result[dataset_start(result) :]


def is_true_part_10(data: bytes) -> bool:
    """Whether preamble and all that PS3.10 section 7.1 requires of the meta information are there and true."""
    dataset = read(data)
    meta, start = dataset.file_meta, dataset_start(data)
    required = ("FileMetaInformationVersion", "TransferSyntaxUID", "ImplementationClassUID")
    return (
        data[128:132] == b"DICM"
        and all(keyword in meta for keyword in required)
        and meta.get("FileMetaInformationGroupLength") == start - 144
        and dataset.get("SOPClassUID", meta.get("MediaStorageSOPClassUID")) == meta.get("MediaStorageSOPClassUID")
        and meta.get("MediaStorageSOPInstanceUID") == dataset.SOPInstanceUID
        and [element.tag for element in meta] == sorted(element.tag for element in meta)
    )


def sequences_of(path: Path) -> list[str]:
    """Return the tags of a file's public sequences."""
    return [f"{e.tag.group:04x},{e.tag.element:04x}" for e in read(path.read_bytes()) if e.VR == "SQ"]


@pytest.mark.parametrize("path", ACCEPTED, ids=lambda path: path.name)
def test_empty_modify_changes_the_instance_uid_alone(path: Path) -> None:
    """SOPInstanceUID, MediaStorageSOPInstanceUID and the group lengths around them change, and no other byte."""
    data = path.read_bytes()
    result = modify({})(data)
    new = read(result).SOPInstanceUID

    assert new.startswith("2.25.")
    assert is_true_part_10(result)
    expected, inflated = with_new_instance_uid(data, new), without_deflation(result)
    if is_true_part_10(data):
        assert expected == inflated
    else:
        assert expected[dataset_start(expected) :] == inflated[dataset_start(inflated) :]


def without_deflation(data: bytes) -> bytes:
    """Return a file with its dataset inflated, where it is deflated."""
    if b"UI\x16\x001.2.840.10008.1.2.1.99" not in data[:1024]:
        return data
    start = dataset_start(data)
    return data[:start] + zlib.decompress(data[start:], -zlib.MAX_WBITS)


def dataset_start(data: bytes) -> int:
    """Return where the file meta information ends: behind the last element of group 0002, whatever its length says."""
    if data[128:132] != b"DICM":
        return 0
    position = 132
    while data[position : position + 2] == b"\2\0":
        position = _next(data, position, EXPLICIT)
    return position


def _next(data: bytes, position: int, syntax: Syntax) -> int:
    """Return where an element ends that is no sequence."""
    order: Any = "little" if syntax.little else "big"
    if syntax.explicit and data[position + 4 : position + 6] not in (b"OB", b"UN"):
        return position + 8 + int.from_bytes(data[position + 6 : position + 8], order)
    value = position + (12 if syntax.explicit else 8)
    return value + int.from_bytes(data[value - 4 : value], order)


def with_new_instance_uid(data: bytes, new: str) -> bytes:
    """Write the new UID over the old one, in meta information and dataset, and mend the group lengths."""
    before = read(data)
    little = bool(before.original_encoding[1])
    data = without_deflation(data)
    start = dataset_start(data)
    # By what stands there, whatever is declared.
    syntax = Syntax("", explicit=data[start + 4 : start + 6].isalpha(), little=little)
    meta = _replaced(data[:start], 0x00020003, new, EXPLICIT) if start else b""
    if meta:
        meta = meta[:140] + (len(meta) - 144).to_bytes(4, "little") + meta[144:]
    dataset = _replaced(data[start:], 0x00080018, new, syntax)
    if 0x00080000 in before:
        size = _size_of_group_8(meta + dataset)
        dataset = dataset[:8] + size.to_bytes(4, "little" if little else "big") + dataset[12:]
    return meta + dataset


def _replaced(data: bytes, tag: int, new: str, syntax: Syntax) -> bytes:
    """Replace an element by one of VR UI, stepping from element to element; none of those before is a sequence."""
    wanted = encode([Element(tag, "UI", new.encode() + b"\0" * (len(new) % 2))], syntax)
    position = 132 if data[128:132] == b"DICM" else 0
    while data[position : position + 4] != wanted[:4]:
        position = _next(data, position, syntax)
    return data[:position] + wanted + data[_next(data, position, syntax) :]


def _size_of_group_8(data: bytes) -> int:
    """Return how far it is from behind (0008,0000) to the first element of the next group, as pydicom sees it."""
    dataset = dcmread(io.BytesIO(data), force=True)
    following: Any = dataset.get_item(min(tag for tag in dataset.keys() if tag.group > 8))  # noqa: SIM118
    return int(following.value_tell) - 8 - (dataset_start(data) + 12)


def test_group_lengths_follow_the_edit() -> None:
    """The lengths of meta information and of group 0008 grow by as much as the UID does."""
    for syntax in (IMPLICIT, EXPLICIT, BIG):
        size = (34 + 20).to_bytes(4, "little" if syntax.little else "big")
        data = instance(Element(0x00080000, "UL", size), syntax=syntax)
        result = modify({})(data)
        before, after = read(data), read(result)
        grown = even(after.SOPInstanceUID) - even(before.SOPInstanceUID)

        assert 34 + 20 + grown == after[0x00080000].value
        assert before.file_meta[0x00020000].value + grown == after.file_meta[0x00020000].value
        assert len(data) + 2 * grown == len(result)


def test_group_length_counts_what_is_added_behind_it() -> None:
    """An element that is inserted at the end of a group counts in the length of this group."""
    size = len(encode([Element(0x00100010, "PN", b"Doe^Jane")], EXPLICIT)).to_bytes(4, "little")
    data = instance(Element(0x00100000, "UL", size), PatientID=None)
    result = modify({"Replace": {"PatientID": "NEW1"}, "Keep": list(UIDS), "Level": "Patient", "Force": True})(data)

    assert 16 + 12 == read(result)[0x00100000].value


def even(uid: str) -> int:
    """Return the length of a UID in a file."""
    return len(uid) + len(uid) % 2


@PROPERTY
@given(files())
def test_generated_edit_of_nothing(file: File) -> None:
    """Whatever a dataset is made of, an edit of nothing gives the identical file."""
    looking_everywhere = {
        **UNTOUCHED,
        "Keep": [*UNTOUCHED["Keep"], *(f"{tag}[*].0011,10fe" for tag in top_sequences(file))],
    }

    assert file.data == modify(UNTOUCHED)(file.data)
    assert file.data == modify(looking_everywhere)(file.data)


def top_sequences(file: File) -> list[str]:
    """Return the tags of a generated file's sequences."""
    return [
        f"{e.tag >> 16:04x},{e.tag & 0xFFFF:04x}"
        for e in file.dataset
        if not isinstance(e.value, bytes) and e.tag < 0x7FE00000
    ]


@PROPERTY
@given(files(shuffled=True))
def test_generated_edit_of_nothing_in_odd_order(file: File) -> None:
    """Tags in a wrong order are read as they stand, and stay where they stand."""
    assert file.data == modify(UNTOUCHED)(file.data)


@PROPERTY
@given(files(shuffled=True))
def test_new_values_replace_the_old_ones_in_odd_order(file: File) -> None:
    """However the tags are ordered, a new value stands once in the result and the old one nowhere."""
    body = {"Replace": {"PatientID": "NEW-1", "StudyDescription": "new"}, "Force": True}
    with SourceFile.of_bytes(modify(body)(file.data)) as result:
        found = [(tag, result.read(value, end)) for tag, _, _, value, end, _ in result.scan()]

    assert [b"NEW-1 "] == [value for tag, value in found if tag == 0x00100020]
    assert [b"new "] == [value for tag, value in found if tag == 0x00081030]
    uids = [value for tag, value in found if tag in (0x00080018, 0x0020000D, 0x0020000E)]
    assert 3 == len(uids)
    assert all(value.startswith(b"2.25.") for value in uids)


def test_second_element_of_a_tag_does_not_bring_the_old_value_back() -> None:
    """A file that holds a PatientID twice has one, the new one, in the result."""
    data = instance(Element(0x00100020, "LO", b"P-1 "), Element(0x00100010, "PN", b"Doe^Jane"))
    result = anonymize({})(data)

    assert b"P-1" not in result
    assert b"Doe" not in result


@PROPERTY
@given(files())
def test_everything_else_reads_back_equal(file: File) -> None:
    """What pydicom reads from the result is what it read from the source, but for what was asked."""
    body: dict[str, Any] = {
        "Replace": {"PatientComments": "new comment", "StudyDescription": "", "PatientID": "NEW-1"},
        "Remove": ["SeriesDescription"],
        "Force": True,
    }
    assume(is_readable(file.data))
    before, after = read(file.data), read(modify(body)(file.data))
    changed = {"SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", *body["Replace"], "SeriesDescription"}
    changed |= {"DigitalSignaturesSequence", "MACParametersSequence"}  # which an edit makes untrue

    assert contents(before, changed) == contents(after, changed)
    assert ("new comment", "", "NEW-1") == (after.PatientComments, after.StudyDescription, after.PatientID)
    assert "SeriesDescription" not in after
    assert before.get("PixelData") == after.get("PixelData")


def is_readable(data: bytes) -> bool:
    """Whether pydicom reads a file fully; it does not know UN of undefined length in big endian."""
    try:
        read(data)
    except OSError:
        return False
    return True


def contents(dataset: Dataset, without: set[str]) -> dict[int, Any]:
    """Return the values of a dataset, but for some elements and for group lengths."""
    return {
        int(element.tag): (element.VR, element.value)
        for element in dataset
        if element.keyword not in without and element.tag.element != 0
    }


@PROPERTY
@given(files())
def test_lengths_of_groups_and_items_hold_after_anonymization(file: File) -> None:
    """After elements were dropped, emptied and mapped at all depths, every enclosing length is right."""
    result = anonymize({})(file.data)

    assert result == modify(UNTOUCHED)(result)
    dataset = without_deflation(result)[dataset_start(result) :]
    assert list(wrong_group_lengths(dataset, file.syntax)) == []


def wrong_group_lengths(dataset: bytes, syntax: Syntax) -> Iterator[int]:
    """Yield the groups whose length element does not reach exactly to the next group."""
    bare = file_bytes((), EXPLICIT if syntax.deflated else syntax) + dataset
    with SourceFile.of_bytes(bare) as source:
        found = source.scan()
        for tag, _, _, value, end, _ in found:
            if tag & 0xFFFF == 0:
                size = int.from_bytes(source.read(value, end), "little" if syntax.little else "big")
                group_end = max(stop for other, _, _, _, stop, _ in found if other >> 16 == tag >> 16)
                if end + size != group_end:
                    yield tag


def test_wrong_lengths_of_untouched_groups_stay() -> None:
    """A group length that was wrong before, of a group that is not edited, is none of the edit's business."""
    data = instance(Element(0x00280000, "UL", b"\x63\0\0\0"), Element(0x00280010, "US", b"\1\0"))

    assert 0x63 == read(modify({})(data))[0x00280000].value


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG], ids=lambda syntax: syntax.uid)
@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize(("vr", "value"), [("UL", b"ZQNAME^A"), ("LO", b"ZQNA"), ("UL", b"ZQNA"), ("UL", b"")])
def test_nothing_hides_in_the_length_of_a_group(syntax: Syntax, vr: str, value: bytes, *, nested: bool) -> None:
    """Anonymize drops what is no number of 32 bits, and writes the number that is true also where nothing changes."""
    length, rows = Element(0x00280000, vr, value), Element(0x00280010, "US", b"\1\1")
    extra = (Element(0x00089215, "SQ", (Item((length, rows)),)),) if nested else (length, rows)
    result = anonymize({})(instance(*extra, syntax=syntax))

    assert b"ZQNA" not in result
    inside = read(result)[0x00089215].value[0] if nested else read(result)
    assert 0x101 == inside.Rows
    if len(value) == 4 and (vr == "UL" or not syntax.explicit):
        assert len(encode([rows], syntax)) == inside[0x00280000].value
    else:
        assert 0x00280000 not in inside


def test_forms_of_sequences_stay() -> None:
    """A changed item keeps its form: defined and undefined lengths, and UN, come out as they went in."""
    inner = (Element(0x00081150, "UI", b"1.2.3\0"), Element(0x00081155, "UI", b"1.2.3.9\0"))
    for vr, of_sequence, of_item in (
        ("SQ", False, False),
        ("SQ", False, True),
        ("SQ", True, False),
        ("SQ", True, True),
        ("UN", True, False),
        ("UN", True, True),
        ("UN", False, False),
    ):
        sequence = Element(0x00081140, vr, (Item(inner, of_item), Item((), of_item), Item(inner, of_item)), of_sequence)
        new = Element(0x00081155, "UI", b"1.2.3.45")
        edited = (inner[0], new)
        wanted = sequence._replace(value=(Item(edited, of_item), Item((), of_item), Item(inner, of_item)))
        body = {"Replace": {"ReferencedImageSequence[0].ReferencedSOPInstanceUID": "1.2.3.45"}, **UNTOUCHED}
        for syntax in (EXPLICIT, IMPLICIT, BIG, DEFLATED):
            assert without_deflation(instance(wanted, syntax=syntax)) == without_deflation(
                modify(body)(instance(sequence, syntax=syntax))
            ), (vr, of_sequence, of_item, syntax)


def test_preamble_and_optional_meta_stay_in_modify() -> None:
    """A TIFF in the preamble, and what other software wrote into the meta information, survive a modify."""
    meta = {"SourceApplicationEntityTitle": "SCANNER1", "ImplementationVersionName": "OTHER_1"}
    data = instance(preamble=b"II*\0" + bytes(range(124)), meta=meta)
    result = modify({"Replace": {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}})(data)

    assert data[:132] == result[:132]
    after = read(result)
    assert meta == {keyword: after.file_meta[keyword].value.strip() for keyword in meta}
    assert "1.2.840.10008.5.1.4.1.1.7" == after.file_meta.MediaStorageSOPClassUID == after.SOPClassUID
    assert after.SOPInstanceUID == after.file_meta.MediaStorageSOPInstanceUID


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG], ids=lambda syntax: syntax.uid)
def test_bare_dataset_becomes_a_part_10_file(syntax: Syntax) -> None:
    """A bare dataset is edited by modify byte for byte, and gets the meta information of its real syntax."""
    dataset = instance(syntax=syntax)[dataset_start(instance(syntax=syntax)) :]
    result = modify({**UNTOUCHED, "Replace": {"PatientName": "New^Name"}})(dataset)

    assert is_true_part_10(result)
    assert syntax.uid == read(result).file_meta.TransferSyntaxUID
    assert dataset.replace(b"Doe^Jane", b"New^Name") == result[dataset_start(result) :]


@pytest.mark.parametrize(
    "meta",
    [
        {"MediaStorageSOPInstanceUID": "1.2.3.99"},
        {"MediaStorageSOPClassUID": "1.2.840.10008.5.1.4.1.1.7"},
        {"MediaStorageSOPInstanceUID": None, "MediaStorageSOPClassUID": None},
        {"FileMetaInformationVersion": None, "ImplementationClassUID": None},
        {"TransferSyntaxUID": IMPLICIT.uid},
        {"TransferSyntaxUID": None},
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("preamble", [bytes(128), None], ids=["preamble", "no preamble"])
def test_untrue_meta_information_becomes_true(meta: dict[str, Any], preamble: bytes | None) -> None:
    """Whatever the source's meta information claims or lacks, the result's is that of its dataset."""
    more = {"SourceApplicationEntityTitle": "SCANNER1"}
    for body in (UNTOUCHED, {}):
        result = modify(body)(instance(preamble=preamble, meta={**meta, **more}))

        assert is_true_part_10(result)
        assert (EXPLICIT.uid, "SCANNER1") == (
            read(result).file_meta.TransferSyntaxUID,
            read(result).file_meta.SourceApplicationEntityTitle,
        )
