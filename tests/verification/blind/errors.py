"""Errors that an engine could make, of kinds that the tests of the verifier had not thought of, drawn blindly.

Each is made in the dataset of a result, which is then written anew; ``nothing`` shows that writing alone is no error.

Public names: ``KINDS``, ``source_pair``, ``uids_of``, ``changed``.
"""

from __future__ import annotations

import copy
import io
import struct
import warnings
from typing import TYPE_CHECKING, Any, Final

from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

ROOT: Final = "1.2.826.0.1.3680043.94"
_CLASS: Final = UID("1.2.840.10008.5.1.4.1.1.7.2")


def _code(value: str, meaning: str, **more: Any) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "SCT", meaning
    for keyword, given in more.items():
        setattr(item, keyword, given)
    return item


def _reference(uid: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = _CLASS, UID(uid)
    return item


def uids_of(number: int) -> list[tuple[str, str, str, str]]:
    """Return PatientID, Study, Series and SOP Instance UID of both instances of a pair."""
    own = f"{ROOT}.{number + 1}"
    return [(f"ERR{number:04}", f"{own}.1", f"{own}.2", f"{own}.{last}") for last in (3, 4)]


def source_pair(number: int, draw: random.Random) -> list[bytes]:
    """Return two images of one series, each of which names both."""
    pair = uids_of(number)
    return [_source(one, [other[3] for other in pair], draw) for one in pair]


def _source(own: tuple[str, str, str, str], both: list[str], draw: random.Random) -> bytes:
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID, made.SOPClassUID = ExplicitVRLittleEndian, _CLASS
    made.PatientID, made.StudyInstanceUID, made.SeriesInstanceUID, made.SOPInstanceUID = own
    made.file_meta.MediaStorageSOPClassUID, made.file_meta.MediaStorageSOPInstanceUID = _CLASS, UID(own[3])
    made.SpecificCharacterSet, made.PatientName, made.PatientBirthDate = "ISO_IR 100", "Quartermain^Ottilie", "19510428"
    made.Modality, made.ConversionType, made.ImageType = "OT", "WSD", ["DERIVED", "SECONDARY", "AXIAL", "NORM"]
    made.PresentationIntentType, made.WindowCenter, made.WindowWidth = "", ["40.0", "50.5"], ["80", "100"]
    made.SliceThickness, made.ImagePositionPatient, made.PixelSpacing = "2.50", ["1", "2", "-3.0"], ["0.5", "0.75"]
    made.Rows, made.Columns, made.NumberOfFrames = 8, 6, 3
    made.BitsAllocated, made.BitsStored, made.HighBit, made.SamplesPerPixel, made.PixelRepresentation = 16, 12, 11, 1, 0
    made.PhotometricInterpretation, made.SmallestImagePixelValue = "MONOCHROME2", 7
    made.DerivationCodeSequence = [
        _code("113076", "Segmentation"),
        _code("113091", "Spatially-related frames"),
        Dataset(),
    ]
    made.AnatomicRegionSequence = [
        _code("39607008", "Lung", AnatomicRegionModifierSequence=[_code("7771000", "Left"), _code("24028007", "Right")])
    ]
    made.ReferencedImageSequence = [_reference(uid) for uid in both]
    made.PurposeOfReferenceCodeSequence = []
    lut = Dataset()
    lut.LUTDescriptor, lut.LUTExplanation = [4, 0, 16], "TO_MED"
    lut.add_new(0x00283006, "OW", draw.randbytes(8))
    made.ModalityLUTSequence = [lut]
    made.add_new(0x00190010, "LO", "BLIND KEPT")
    made.add_new(0x00191001, "LO", "inner value")
    made.add_new(0x00191002, "OB", draw.randbytes(12))
    made.add_new(0x00190011, "LO", "BLIND OTHER")
    made.add_new(0x00191101, "DS", ["1.0", "2.0"])
    made.PixelData = b"".join(struct.pack("<H", draw.randrange(4096)) for _ in range(8 * 6 * 3))
    return _written(made, is_new=True)


def _written(dataset: Dataset, *, is_new: bool) -> bytes:
    output = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset.save_as(output, enforce_file_format=is_new)
    return output.getvalue()


def _swap(items: Any, one: int, other: int) -> None:
    items[one], items[other] = items[other], items[one]


def _pixels(dataset: Dataset, change: Callable[[bytearray], None]) -> None:
    data = bytearray(dataset.PixelData)
    change(data)
    dataset.PixelData = bytes(data)


def _frames(data: bytearray, draw: random.Random) -> None:
    one, other = draw.sample(range(3), 2)
    size = 96
    data[one * size : one * size + size], data[other * size : other * size + size] = (
        data[other * size : other * size + size],
        data[one * size : one * size + size],
    )


def _rows(data: bytearray, draw: random.Random) -> None:
    first = draw.randrange(20) * 12
    data[first : first + 24] = data[first + 12 : first + 24] + data[first : first + 12]


def _set(dataset: Dataset, **values: Any) -> None:
    for keyword, value in values.items():
        setattr(dataset, keyword, value)


def _again(dataset: Dataset, tag: int, vr: str, value: Any) -> None:
    if tag in dataset:
        del dataset[tag]
    dataset.add_new(tag, vr, value)


def _private_block_moved(dataset: Dataset) -> None:
    """Give a private block another number; where there is none, bring one."""
    value = dataset[0x00191101].value if 0x00191101 in dataset else "1.0"
    for tag in (0x00191101, 0x00190011):
        dataset.pop(tag, None)
    dataset.add_new(0x00190012, "LO", "BLIND OTHER")
    dataset.add_new(0x00191201, "DS", value)


def _private_creator_lost(dataset: Dataset) -> None:
    """Leave private elements without their creator; where there are none, bring one."""
    dataset.pop(0x00190010, None)
    if 0x00191001 not in dataset:
        dataset.add_new(0x00191001, "LO", "x")


def _of_another_class(dataset: Dataset) -> None:
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = UID("1.2.840.10008.5.1.4.1.1.7")


KINDS: Final[dict[str, Callable[[Dataset, Dataset, random.Random], Any]]] = {
    "frames swapped": lambda of, _, draw: _pixels(of, lambda data: _frames(data, draw)),
    "rows swapped": lambda of, _, draw: _pixels(of, lambda data: _rows(data, draw)),
    "bytes of a pixel swapped": lambda of, *_: _pixels(of, lambda data: data.__setitem__(slice(0, 2), data[1::-1])),
    "a frame repeated": lambda of, *_: _pixels(of, lambda data: data.__setitem__(slice(0, 96), data[96:192])),
    "a frame less": lambda of, *_: _set(of, NumberOfFrames=2, PixelData=of.PixelData[:192]),
    "another number of frames": lambda of, *_: _set(of, NumberOfFrames=1, Rows=24),
    "rows for columns": lambda of, *_: _set(of, Rows=6, Columns=8),
    "another VR of the pixels": lambda of, *_: setattr(of["PixelData"], "VR", "OB"),
    "pixels of the other image": lambda of, other, _: _set(of, PixelData=other.PixelData),
    "an item lost": lambda of, _, draw: of.DerivationCodeSequence.pop(draw.randrange(2)),
    "an empty item lost": lambda of, *_: of.DerivationCodeSequence.pop(2),
    "an empty sequence lost": lambda of, *_: delattr(of, "PurposeOfReferenceCodeSequence"),
    "an empty element lost": lambda of, *_: delattr(of, "PresentationIntentType"),
    "an item twice": lambda of, *_: of.DerivationCodeSequence.insert(0, copy.deepcopy(of.DerivationCodeSequence[0])),
    "items in another order": lambda of, *_: _swap(of.DerivationCodeSequence, 0, 1),
    "deep items in another order": lambda of, *_: _swap(
        of.AnatomicRegionSequence[0].AnatomicRegionModifierSequence, 0, 1
    ),
    "an item in the other sequence": lambda of, *_: of.AnatomicRegionSequence.append(of.DerivationCodeSequence.pop(1)),
    "an element of the item's neighbour": lambda of, *_: _set(of.DerivationCodeSequence[0], CodeValue="113091"),
    "an empty item filled": lambda of, *_: _set(of.DerivationCodeSequence[2], CodeValue="113091"),
    "an element lost deep inside": lambda of, *_: delattr(
        of.AnatomicRegionSequence[0].AnatomicRegionModifierSequence[0], "CodeValue"
    ),
    "an element up a level": lambda of, *_: _set(of, LUTExplanation="TO_MED"),
    "a text cut": lambda of, *_: _set(of.AnatomicRegionSequence[0], CodeMeaning="Lun"),
    "values in another order": lambda of, *_: _set(of, WindowCenter=["50.5", "40.0"]),
    "a value less": lambda of, *_: _set(of, ImageType=["DERIVED", "SECONDARY", "AXIAL"]),
    "an empty value more": lambda of, *_: _set(of, ImageType=["DERIVED", "SECONDARY", "AXIAL", "NORM", ""]),
    "a number written otherwise": lambda of, *_: _set(of, SliceThickness="2.5"),
    "a sign lost": lambda of, *_: _set(of, ImagePositionPatient=["1", "2", "3.0"]),
    "a small number off by one": lambda of, *_: _set(of, SmallestImagePixelValue=8),
    "an element emptied": lambda of, *_: _set(of, PixelSpacing=None),
    "another LUT": lambda of, *_: of.ModalityLUTSequence[0].__setitem__(
        0x00283006, _element(0x00283006, "OW", of.ModalityLUTSequence[0][0x00283006].value[::-1])
    ),
    "another character set": lambda of, *_: _again(of, 0x00080005, "CS", "ISO_IR 101"),
    "no character set": lambda of, *_: of.__delitem__(0x00080005),
    "another value representation": lambda of, *_: _again(of, 0x00280004, "LO", "MONOCHROME2"),
    "a reference to the other image": lambda of, *_: _swap(of.ReferencedImageSequence, 0, 1),
    "a reference to nobody": lambda of, *_: _set(
        of.ReferencedImageSequence[0], ReferencedSOPInstanceUID="2.25.1234567"
    ),
    "two references to one": lambda of, *_: _set(
        of.ReferencedImageSequence[0], ReferencedSOPInstanceUID=of.ReferencedImageSequence[1].ReferencedSOPInstanceUID
    ),
    "another class in a reference": lambda of, *_: _set(
        of.ReferencedImageSequence[0], ReferencedSOPClassUID="1.2.840.10008.5.1.4.1.1.7"
    ),
    "the SOP class": lambda of, *_: _of_another_class(of),
    "the modality": lambda of, *_: _set(of, Modality="MR"),
    "a private value": lambda of, *_: _again(of, 0x00191001, "LO", "inner valve"),
    "private bytes": lambda of, _, draw: _again(of, 0x00191002, "OB", draw.randbytes(12)),
    "a private creator renamed": lambda of, *_: _again(of, 0x00190011, "LO", "BLIND OTHRE"),
    "a private creator lost": lambda of, *_: _private_creator_lost(of),
    "a private block moved": lambda of, *_: _private_block_moved(of),
    "an element more in an item": lambda of, *_: _set(of.DerivationCodeSequence[1], Manufacturer="Maker"),
    "the patient of another": lambda of, *_: _set(of, PatientID="9f3c1d52-0000-8000-8000-000000000000"),
    "the study of another": lambda of, *_: _set(of, StudyInstanceUID="2.25.7777"),
    "the series of another": lambda of, *_: _set(of, SeriesInstanceUID="2.25.7778"),
    "the other image under this name": lambda of, other, _: _become(of, other),
}
"""What is done to one image of a pair; the other is given as well."""


def _element(tag: int, vr: str, value: Any) -> Any:
    made = Dataset()
    made.add_new(tag, vr, value)
    return made[tag]


def _become(of: Dataset, other: Dataset) -> None:
    of.clear()
    of.update(copy.deepcopy(other))
    of.file_meta.MediaStorageSOPInstanceUID = other.SOPInstanceUID


def changed(kind: str, data: bytes, other: bytes, draw: random.Random) -> bytes:
    """Return a result with an error.

    Args:
        kind: Of ``KINDS``, or "" to write it anew as it is.
        data: The result.
        other: That of the other image of its series.
        draw: Where chance comes from.

    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = dcmread(io.BytesIO(data))
        if kind:
            KINDS[kind](dataset, dcmread(io.BytesIO(other)), draw)
        return _written(dataset, is_new=False)
