"""Uncompressed frames that pydicom 3.0 does not read one by one: pixels of one bit, and pairs that share a colour.

Source: DICOM PS3.3 section C.7.6.3.1.2, PS3.5 sections 7.3, 8.1.1 and D (edition 2026d).

Public names: ``are_native``, ``native_frames``, ``in_red_green_blue``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from pydicom.pixels.processing import convert_color_space

from deidflow.tasks.core.dicom.tags import PIXEL_DATA

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pydicom import Dataset

    from deidflow.tasks.local.dicom_file.source_file import SourceFile

    Frame = np.ndarray[Any, np.dtype[Any]]

_BYTE: Final = 8
_HALVED: Final = "YBR_FULL_422"


def are_native(source: SourceFile, header: Dataset) -> bool:
    """Whether frames are to be read here.

    Args:
        source: The open file.
        header: Its image pixel module.

    """
    return not source.layout.is_compressed and (
        header.get("BitsAllocated") == 1 or header.get("PhotometricInterpretation") == _HALVED
    )


def native_frames(source: SourceFile, header: Dataset, indices: Iterable[int]) -> Iterator[Frame]:
    """Yield frames: rows x columns of bits, or rows x columns x 3 of RGB in eight bits.

    Args:
        source: The open file.
        header: Its image pixel module.
        indices: Of the frames from 0, in this order.

    Raises:
        Exception: There is no such frame; of any kind, and the text may hold values.

    """
    _, vr, _, value, end, _ = next(element for element in source.scan() if element[0] == PIXEL_DATA)
    rows, columns, allocated = int(header.Rows), int(header.Columns), int(header.BitsAllocated)
    little = source.layout.encoding.little
    swaps = not little and allocated <= _BYTE and vr == "OW"

    def octets(first: int, last: int) -> bytes:
        begin, stop = first // 2 * 2, -(-last // 2) * 2
        data = source.read(value + begin, min(end, value + stop))
        if swaps:  # bytes of a word change places
            data = np.frombuffer(data[: len(data) // 2 * 2], "u2").byteswap().tobytes()
        return data[first - begin : last - begin]

    for index in indices:
        if allocated == 1:
            start = index * rows * columns
            data = octets(start // _BYTE, -(-(start + rows * columns) // _BYTE))
            bits = np.unpackbits(np.frombuffer(data, "u1"), bitorder="little")[start % _BYTE :]
            yield bits[: rows * columns].reshape(rows, columns)
        else:
            size = rows * columns * 2 * allocated // _BYTE
            words = np.frombuffer(
                octets(index * size, (index + 1) * size), f"{'<' if little else '>'}u{allocated // 8}"
            )
            samples = words.reshape(-1, 4)[:, [0, 2, 3, 1, 2, 3]].reshape(rows, columns, 3)
            yield in_red_green_blue(samples, int(header.BitsStored))


def in_red_green_blue(samples: Frame, stored: int) -> Frame:
    """Return samples of YBR_FULL, of any number of bits, as RGB in eight bits: pydicom converts no others.

    Args:
        samples: Rows x columns x 3, unsigned.
        stored: BitsStored.

    """
    shown = (samples >> max(0, stored - _BYTE)).astype(np.uint8)
    converted: Frame = convert_color_space(shown, "YBR_FULL", "RGB")
    return converted
