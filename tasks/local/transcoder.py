"""Convert a result to another transfer syntax; the only part of the engine that decodes pixel data.

Public names: ``transcode``, ``can_write``.
"""

from __future__ import annotations

import io
import warnings
from typing import Final

from pydicom import dcmread, dcmwrite
from pydicom.pixels.encoders.base import get_encoder
from pydicom.uid import UID

from tasks.core.errors import InstanceFailed
from tasks.core.outcomes import ReasonCode
from tasks.local.encoding import (
    DEFLATED,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    is_uncompressed,
)

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
            dataset = dcmread(io.BytesIO(data))
            source = dataset.file_meta.TransferSyntaxUID
            has_pixels = "PixelData" in dataset
            if has_pixels and not is_uncompressed(source):
                dataset.decompress(generate_instance_uid=False)
            if transfer_syntax not in _NATIVE and has_pixels:
                dataset.compress(UID(transfer_syntax), generate_instance_uid=False)
            dataset.file_meta.TransferSyntaxUID = UID(transfer_syntax)
            output = io.BytesIO()
            dcmwrite(
                output,
                dataset,
                implicit_vr=transfer_syntax == IMPLICIT_VR_LITTLE_ENDIAN,
                little_endian=transfer_syntax != EXPLICIT_VR_BIG_ENDIAN,
            )
    except Exception as error:  # noqa: BLE001 (codecs raise anything; the text may hold values)
        text = f"the pixel data cannot be converted ({type(error).__name__})"
        raise InstanceFailed(ReasonCode.TRANSCODING_FAILED, text) from None
    return output.getvalue()
