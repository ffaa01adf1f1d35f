"""The index of an export: one line per instance, with what researchers filter by, from the results alone.

Public names: ``INDEX_COLUMNS``, ``INDEX_NUMBERS``, ``IndexEntry``, ``describe``.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple

from pydicom import config, dcmread
from pydicom.errors import BytesLengthException
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydicom.dataset import FileDataset

_KEYWORDS: Final = (
    *("PatientID", "PatientSex", "PatientAge", "StudyInstanceUID", "StudyDate", "StudyDescription"),
    *("SeriesInstanceUID", "SeriesNumber", "Modality", "SeriesDescription", "BodyPartExamined", "ProtocolName"),
    *("Manufacturer", "ManufacturerModelName", "SOPInstanceUID", "SOPClassUID", "InstanceNumber", "ImageType"),
    *("Rows", "Columns", "NumberOfFrames", "BitsStored", "PhotometricInterpretation", "PixelSpacing"),
    *("SliceThickness", "SpacingBetweenSlices", "KVP", "MagneticFieldStrength", "ContrastBolusAgent"),
    *("BurnedInAnnotation", "LossyImageCompression", "PatientIdentityRemoved"),
)
# A length that does not fit the VR, a VR that does not exist, an endless IS, a sequence that ends too early.
_UNDECODABLE: Final = (BytesLengthException, NotImplementedError, OverflowError, OSError)
INDEX_NUMBERS: Final = ("bytes",)
INDEX_COLUMNS: Final = ("file", "archive", "bytes", "sha256", "TransferSyntaxUID", *_KEYWORDS)


class IndexEntry(NamedTuple):
    """A result as its own attributes describe it.

    Attributes:
        values: Texts of ``INDEX_COLUMNS`` from ``TransferSyntaxUID`` on.
        others: Further attributes by keyword, "" when absent.

    """

    values: tuple[str, ...]
    others: dict[str, str]


def describe(result: BinaryIO, keywords: Iterable[str]) -> IndexEntry:
    """Read a result up to its pixel data.

    Args:
        result: Open at its start; where it is left does not matter.
        keywords: Further attributes that are wanted.

    """
    with _without_validation():
        wanted = list(dict.fromkeys([*_KEYWORDS, *keywords, "SpecificCharacterSet"]))
        dataset = dcmread(result, force=True, stop_before_pixels=True, specific_tags=list(wanted))
        syntax = str(dataset.file_meta.get("TransferSyntaxUID", "")) if hasattr(dataset, "file_meta") else ""
        values = (syntax, *(_text(dataset, keyword) for keyword in _KEYWORDS))
        return IndexEntry(values, {keyword: _text(dataset, keyword) for keyword in keywords})


def _text(dataset: FileDataset, keyword: str) -> str:
    """Return a value as text; bytes, items and what cannot be decoded are none that anybody could filter by."""
    try:
        value: Any = dataset.get(keyword)
    except _UNDECODABLE:
        return ""
    if value is None or isinstance(value, bytes | Sequence):
        return ""
    return "\\".join(map(str, value)) if isinstance(value, MultiValue | list | tuple) else str(value)


@contextlib.contextmanager
def _without_validation() -> Any:
    """Take values as they are: results are what they are, and are told apart by nothing else here."""
    before = config.settings.reading_validation_mode
    config.settings.reading_validation_mode = config.IGNORE
    try:
        yield
    finally:
        config.settings.reading_validation_mode = before
