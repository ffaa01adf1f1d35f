"""Convert a result to another transfer syntax; the only part of the engine that decodes pixel data.

Public names: ``transcode``, ``can_write``.
"""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING, Final

import numpy as np
from pydicom import dcmread, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.pixels.encoders.base import get_encoder
from pydicom.uid import PYDICOM_IMPLEMENTATION_UID, UID

from tasks.core.errors import InstanceFailed
from tasks.core.outcomes import ReasonCode
from tasks.core.tags import PIXEL_DATA
from tasks.local.encoding import (
    DEFLATED,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    is_uncompressed,
)

if TYPE_CHECKING:
    from pydicom import Dataset, FileDataset

_WORD_BYTES: Final = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}
_NATIVE: Final = frozenset({IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN, DEFLATED})


def can_write(transfer_syntax: str) -> bool:
    """Whether a transfer syntax can be written here: uncompressed, deflated, or by an installed encoder."""
    if transfer_syntax in _NATIVE:
        return True
    try:
        return bool(get_encoder(UID(transfer_syntax)).is_available)
    except NotImplementedError:
        return False


def transcode(data: bytes, transfer_syntax: str) -> bytes:
    """Convert a whole file.

    Args:
        data: The file, with file meta information.
        transfer_syntax: UID of one that ``can_write`` accepts.

    Raises:
        InstanceFailed: No installed codec can read or write the pixel data.

    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom warns about values that are none of our business here
            dataset = dcmread(io.BytesIO(data), force=True)
            if "TransferSyntaxUID" not in dataset.file_meta:
                _add_meta(dataset)
            source = dataset.file_meta.TransferSyntaxUID
            little = transfer_syntax != EXPLICIT_VR_BIG_ENDIAN
            has_pixels = "PixelData" in dataset
            if has_pixels and not is_uncompressed(source):
                dataset.decompress(generate_instance_uid=False)
            if (source != EXPLICIT_VR_BIG_ENDIAN) is not little:
                _swap_words(dataset, was_little=not little)
            if transfer_syntax not in _NATIVE and has_pixels:
                dataset.compress(UID(transfer_syntax), generate_instance_uid=False)
            dataset.file_meta.TransferSyntaxUID = UID(transfer_syntax)
            output = io.BytesIO()
            dcmwrite(
                output,
                dataset,
                implicit_vr=transfer_syntax == IMPLICIT_VR_LITTLE_ENDIAN,
                little_endian=little,
            )
    except Exception as error:  # noqa: BLE001 (codecs raise anything; the text may hold values)
        text = f"the pixel data cannot be converted ({type(error).__name__})"
        raise InstanceFailed(ReasonCode.TRANSCODING_FAILED, text) from None
    return output.getvalue()


def _add_meta(dataset: FileDataset) -> None:
    """Give a bare dataset the meta information without which it could be in one syntax only."""
    implicit, little = dataset.original_encoding
    explicit = EXPLICIT_VR_LITTLE_ENDIAN if little else EXPLICIT_VR_BIG_ENDIAN
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\0\1"
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = UID(IMPLICIT_VR_LITTLE_ENDIAN if implicit else explicit)
    meta.ImplementationClassUID = PYDICOM_IMPLEMENTATION_UID
    dataset.file_meta = meta
    dataset.preamble = bytes(128)


def _swap_words(dataset: Dataset, *, was_little: bool) -> None:
    """Bring the words of binary values into the other byte order, which pydicom leaves as they are.

    Pixels of 32 bits count as one word, as pydicom and the big endian files of its package have it.
    """
    dataset.set_original_encoding(is_implicit_vr=False, is_little_endian=not was_little)
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                _swap_words(item, was_little=was_little)
        width = _WORD_BYTES.get(element.VR, 1)
        if element.tag == PIXEL_DATA and width > 1:
            width = max(width, dataset.BitsAllocated // 8)
        if width > 1 and element.value:
            element.value = np.frombuffer(element.value, f"u{width}").byteswap().tobytes()
