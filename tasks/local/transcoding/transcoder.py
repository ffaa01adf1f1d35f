"""Convert a result to another transfer syntax; the only part of the engine that decodes pixel data.

Elements are written anew byte by byte (``recode``). pydicom and its codecs see the pixels alone, since they would
normalise everything else: escape sequences in text, padding, unknown VRs.

Public names: ``transcode``.
"""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING, Final

from pydicom import dcmread

from deidflow.tasks.core.dicom.tags import PIXEL_DATA, SOP_CLASS_UID, SOP_INSTANCE_UID, describe_tag
from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.local.dicom_file.character_sets import DEFAULT
from deidflow.tasks.local.dicom_file.encoding import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    GE_BIG_ENDIAN_PIXELS,
    UNDEFINED,
    Encoding,
    element_header,
    encoding_of,
    is_deflated,
)
from deidflow.tasks.local.dicom_file.source_file import SourceFile
from deidflow.tasks.local.dicom_file.values import encode_element
from deidflow.tasks.local.editing.references import padded_uid
from deidflow.tasks.local.editing.splice import deflate, meta_with, required_meta
from deidflow.tasks.local.transcoding.codecs import NATIVE, NOT_TAKEN, compress
from deidflow.tasks.local.transcoding.plain_frames import decode, expand
from deidflow.tasks.local.transcoding.recode import Recoder, swapped

if TYPE_CHECKING:
    from pydicom import Dataset

    from deidflow.tasks.local.dicom_file.elements import Element

_DELIMITER: Final = b"\xfe\xff\xdd\xe0\0\0\0\0"
_TRANSFER_SYNTAX_UID: Final = 0x00020010
_BITS_ALLOCATED: Final = 0x00280100
_FLOATS: Final = (0x7FE00008, 0x7FE00009)
"""FloatPixelData and DoubleFloatPixelData, which no transfer syntax compresses (PS3.5 section A.4)."""
_OFFSET_TABLES: Final = (0x7FE00001, 0x7FE00002)
_CHANGED_BY_CODECS: Final = (0x00280004, 0x00280006, 0x00280008)
"""PhotometricInterpretation, PlanarConfiguration, NumberOfFrames."""

_NEEDED_BY_CODECS: Final = tuple(
    0x00280000 | one for one in (0x0002, 0x0004, 0x0010, 0x0011, 0x0100, 0x0101, 0x0102, 0x0103)
)
_READ_BY_CODECS: Final = [
    *{*_CHANGED_BY_CODECS, *_NEEDED_BY_CODECS},
    *_OFFSET_TABLES,
    PIXEL_DATA,
]


def transcode(data: bytes, transfer_syntax: str) -> bytes:
    """Convert a whole file.

    Args:
        data: The file, with or without file meta information.
        transfer_syntax: UID of one that ``can_write`` accepts.

    Raises:
        InstanceFailed: ``transcoding-failed``: no installed codec can read or write the pixel data.

    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom warns about values that are none of our business here
            return _transcoded(SourceFile.of_bytes(data), transfer_syntax)
    except (KeyboardInterrupt, SystemExit):
        raise
    # Codecs raise anything, the Rust of the one for RLE a BaseException when it panics; the text may hold values.
    except BaseException as error:
        if isinstance(error, InstanceFailed) and error.code is ReasonCode.TRANSCODING_FAILED:
            raise
        text = f"no codec here converts the pixel data ({type(error).__name__})"
        raise InstanceFailed(ReasonCode.TRANSCODING_FAILED, text) from None


def _transcoded(source: SourceFile, transfer_syntax: str) -> bytes:
    elements = source.scan()
    target = encoding_of(transfer_syntax)
    was_native, is_native = not source.layout.is_compressed, transfer_syntax in NATIVE
    if not is_native and any(element[0] in _FLOATS for element in elements):
        raise InstanceFailed(ReasonCode.TRANSCODING_FAILED, NOT_TAKEN)
    replaced = _turned_pixels(source, elements, target)
    if any(element[0] == PIXEL_DATA for element in elements) and not (was_native and is_native):
        plain = source.head
        if was_native:
            turned = _turned_pixels(source, elements, encoding_of(EXPLICIT_VR_LITTLE_ENDIAN))
            plain = _written(source, elements, EXPLICIT_VR_LITTLE_ENDIAN, turned)
        replaced = _converted_pixels(plain, None if is_native else transfer_syntax, target, was_native=was_native)
    return _written(source, elements, transfer_syntax, replaced)


def _turned_pixels(source: SourceFile, elements: list[Element], target: Encoding) -> dict[int, bytes]:
    """Return the pixel data of GE's syntax, whose pixels are big endian and nothing else, written for the target."""
    if source.layout.transfer_syntax != GE_BIG_ENDIAN_PIXELS:
        return {}
    bits, turned = b"", {}
    for tag, _, _, value, end, _ in elements:
        if tag == _BITS_ALLOCATED:
            bits = source.read(value, end)
        elif tag == PIXEL_DATA:
            data = source.read(value, end)
            turned[tag] = element_header(tag, "OW", len(data), target) + (swapped(data, 2) if target.little else data)
    if turned and bits != b"\x10\0":
        # Whether bytes change their places within words is known for pixels of 16 bits alone.
        message = "pixels of 16 bits alone can be converted from this transfer syntax"
        raise InstanceFailed(ReasonCode.TRANSCODING_FAILED, message)
    return turned


def _written(source: SourceFile, elements: list[Element], transfer_syntax: str, replaced: dict[int, bytes]) -> bytes:
    """Return the whole file in a transfer syntax."""
    body = Recoder(source, encoding_of(transfer_syntax)).dataset(elements, replaced)
    return _meta(source, elements, transfer_syntax) + (deflate(body) if is_deflated(transfer_syntax) else body)


def _converted_pixels(data: bytes, compress_to: str | None, target: Encoding, *, was_native: bool) -> dict[int, bytes]:
    """Return what becomes of the pixel data and of the elements that describe it, written for the target."""
    dataset = dcmread(io.BytesIO(data), specific_tags=_READ_BY_CODECS)
    before = {tag: dataset[tag].value if tag in dataset else None for tag in _CHANGED_BY_CODECS}
    try:
        if not was_native:
            decode(dataset)
            for tag in _OFFSET_TABLES:
                if tag in dataset:
                    del dataset[tag]
        if compress_to:
            expand(dataset)
            compress(dataset, compress_to)
    except Exception:
        missing = [describe_tag(tag) for tag in _NEEDED_BY_CODECS if tag not in dataset]
        if not missing:
            raise
        text = f"the object does not say how its pixels are to be read: {', '.join(missing)} must be there"
        raise InstanceFailed(ReasonCode.TRANSCODING_FAILED, text) from None
    replaced = dict.fromkeys(_OFFSET_TABLES, b"")
    for tag, value in before.items():
        if tag in dataset and dataset[tag].value != value:
            replaced[tag] = encode_element(tag, str(dataset[tag].value), DEFAULT, target)
    replaced[PIXEL_DATA] = _pixel_data(dataset, target, compressed=bool(compress_to))
    for tag in _OFFSET_TABLES:
        if tag in dataset:
            value = bytes(dataset[tag].value)
            replaced[tag] = element_header(tag, "OV", len(value), target) + value
    return replaced


def _pixel_data(dataset: Dataset, target: Encoding, *, compressed: bool) -> bytes:
    data: bytes = dataset.PixelData
    if compressed:
        return element_header(PIXEL_DATA, "OB", UNDEFINED, target) + data + _DELIMITER
    # Always OW, as Orthanc writes it (PS3.5 A.1 demands it in implicit VR, A.2 allows it for 8 bits, too).
    if not target.little:
        data = swapped(data, max(2, dataset.BitsAllocated // 8))
    return element_header(PIXEL_DATA, "OW", len(data), target) + data


def _meta(source: SourceFile, elements: list[Element], transfer_syntax: str) -> bytes:
    """Return preamble and file meta information; a file without TransferSyntaxUID gets what PS3.10 requires."""
    if source.layout.transfer_syntax:
        return meta_with(source, {_TRANSFER_SYNTAX_UID: padded_uid(transfer_syntax)})
    uids = {
        tag: padded_uid(source.read(value, end).decode("latin-1").strip(" \0"))
        for tag, _, _, value, end, _ in elements
        if tag in (SOP_CLASS_UID, SOP_INSTANCE_UID)
    }
    return required_meta(uids.get(SOP_CLASS_UID, b""), uids.get(SOP_INSTANCE_UID, b""), transfer_syntax)
