"""Some frames of an open file, decoded by pydicom's codecs one at a time, for looking at them.

Public name: ``PixelFrames``.
"""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Self

import numpy as np
from pydicom import DataElement, Dataset, dcmread
from pydicom.pixels.processing import apply_color_lut
from pydicom.pixels.utils import iter_pixels
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.local.viewing.native_frames import are_native, in_red_green_blue, native_frames

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from deidflow.tasks.local.dicom_file.source_file import SourceFile

    Frame = np.ndarray[Any, np.dtype[Any]]

_UNREADABLE: Final = (
    "the pixels cannot be decoded here to look for text in them; install the extra codecs: pip install "
    "'deidflow[codecs]'; where they are installed, the frames are damaged: fetch the file again, or leave it out"
)
_PALETTE: Final = "PALETTE COLOR"
_COLOURS: Final = "YBR_FULL"
_DESCRIPTORS: Final = (0x00281101, 0x00281102, 0x00281103)


class PixelFrames:
    """The frames of one instance; use as a context manager.

    Attributes:
        header: Its image pixel module (PS3.3 section C.7.6.3, edition 2026d).
        count: How many frames it has.

    """

    def __init__(self, source: SourceFile) -> None:
        """Take an open file, which stays open.

        Raises:
            InstanceFailed: It has no pixels that can be decoded here.

        """
        self._source = source
        self._stream = _stream_of(source)
        self._syntax = source.layout.transfer_syntax
        self._is_deflated = source.layout.transfer_syntax == DeflatedExplicitVRLittleEndian
        self.header = Dataset()
        try:
            self.header = dcmread(self._stream, force=True, stop_before_pixels=not self._is_deflated)
            self.count = max(1, int(self.header.get("NumberOfFrames") or 1))
            _sign_palettes(self.header)
        except Exception:  # noqa: BLE001 (pydicom's own; their texts may hold values)
            self.close()
            raise InstanceFailed(ReasonCode.UNSUPPORTED, _UNREADABLE) from None

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close what it has opened."""
        self.close()

    def close(self) -> None:
        """Close what it has opened; a second call does nothing."""
        self._stream.close()

    def frames(self, indices: Iterable[int]) -> Iterator[Frame]:
        """Yield frames: rows x columns, or rows x columns x 3 in RGB.

        Grey ones hold stored values; no look-up table is applied but that of colours.

        Args:
            indices: Of the frames from 0, in this order.

        Raises:
            InstanceFailed: They cannot be decoded here.

        """
        if are_native(self._source, self.header):
            yield from self._native(indices)
            return
        source: Any = self.header if self._is_deflated else self._stream
        syntax: dict[str, Any] = {} if self._is_deflated else {"transfer_syntax_uid": self._syntax}
        if self.header.get("PlanarConfiguration") and not self._is_deflated and UID(self._syntax).is_encapsulated:
            syntax["planar_configuration"] = 0  # it says nothing of compressed frames, and pydicom would believe it
        is_wide = str(self.header.get("PhotometricInterpretation")) == _COLOURS and self.header.BitsAllocated > 8  # noqa: PLR2004
        try:
            for frame in iter_pixels(source, indices=list(indices), raw=is_wide, **syntax):
                yield in_red_green_blue(frame, int(self.header.BitsStored)) if is_wide else self._coloured(frame)
        except Exception:  # noqa: BLE001 (the codecs' own; their texts may hold values)
            raise InstanceFailed(ReasonCode.UNSUPPORTED, _UNREADABLE) from None

    def _native(self, indices: Iterable[int]) -> Iterator[Frame]:
        try:
            yield from native_frames(self._source, self.header, indices)
        except Exception:  # noqa: BLE001 (likewise)
            raise InstanceFailed(ReasonCode.UNSUPPORTED, _UNREADABLE) from None

    def _coloured(self, frame: Frame) -> Frame:
        if self.header.get("PhotometricInterpretation") != _PALETTE:
            return frame
        coloured = apply_color_lut(frame, self.header)
        return (coloured >> 8).astype(np.uint8) if coloured.dtype.itemsize > 1 else coloured


def _sign_palettes(header: Dataset) -> None:
    """Give the first index of a palette a sign where pixels have one: some write it as US (PS3.3 C.7.6.3.1.5)."""
    for tag in _DESCRIPTORS if header.get("PixelRepresentation") == 1 else ():
        if tag in header and header[tag].VR == "US" and header[tag].VM == 3:  # noqa: PLR2004 (entries, first, bits)
            count, first, bits = header[tag].value
            header[tag] = DataElement(tag, "SS", [count, first - (1 << 16) if first >= 1 << 15 else first, bits])


def _stream_of(source: SourceFile) -> BinaryIO:
    """Return a stream of the whole file, with a place of its own."""
    if source.descriptor < 0:
        return io.BytesIO(source.head)
    stream = os.fdopen(os.dup(source.descriptor), "rb")
    stream.seek(0)  # shared with the source, which reads by offsets of its own
    return stream
