"""Finds text in pictures, with the extra ``ocr``: one network finds lines, another reads them, so that texture is none.

What was read is never given out. Both networks are PP-OCRv4 in the package rapidocr-onnxruntime, which asks no server.
One thread works, so that the sums, and so the answers, do not depend on how many cores there are.

Public names: ``TextDetector``, ``can_detect``, ``HOW_TO_INSTALL``.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import logging
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

import numpy as np

from deidflow.tasks.core.pixels.regions import Region

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from deidflow.tasks.local.viewing.rendering import Picture

HOW_TO_INSTALL: Final = "pip install 'deidflow[ocr]' (Python 3.11 or 3.12)"
_PACKAGES: Final = ("rapidocr_onnxruntime", "cv2")

_TILE: Final = 1024
"""Pixels of a side that the network is shown at a time."""

_OVERLAP: Final = 128
"""Of tiles, so that a line of text up to 64 pixels high lies whole in one of them or is long enough in both."""

_LARGEST_SCALE: Final = 2.0
"""Smaller pictures are shown as large as a tile, but no more than so much enlarged: small letters are found better."""

_LEAST_SIDE: Final = 32
_LEAST_CONFIDENCE: Final = 0.7
_LEAST_CHARACTERS: Final = 2


class _Reader(Protocol):
    def __call__(self, picture: Picture) -> tuple[list[tuple[Any, str, float]] | None, Any]: ...


def can_detect() -> bool:
    """Whether the extra ``ocr`` is installed."""
    return all(importlib.util.find_spec(name) is not None for name in _PACKAGES)


class TextDetector:
    """Finds lines of text; not for several threads at a time."""

    def __init__(self) -> None:
        """Load the networks (half a second).

        Raises:
            ImportError: The extra ``ocr`` is not installed.

        """
        self._cv2 = importlib.import_module("cv2")
        self._cv2.setNumThreads(1)
        # It writes to the log of the whole program, and prints.
        with contextlib.redirect_stdout(io.StringIO()):
            package = importlib.import_module("rapidocr_onnxruntime")
            logging.getLogger("RapidOCR").setLevel(logging.CRITICAL)
            self._read = cast(
                "_Reader",
                package.RapidOCR(
                    intra_op_num_threads=1,
                    inter_op_num_threads=1,
                    use_cls=False,
                    text_score=_LEAST_CONFIDENCE,
                    det_limit_side_len=_LEAST_SIDE,
                    det_limit_type="min",
                ),
            )

    def find(self, picture: Picture) -> list[Region]:
        """Return where lines of text are, in pixels of the picture; boxes of one line may overlap.

        Args:
            picture: Rows x columns x 3, RGB, eight bits.

        """
        rows, columns, _ = picture.shape
        scale = min(_LARGEST_SCALE, max(1.0, _TILE / max(rows, columns)))
        shown = self._enlarged(picture, scale)
        found = []
        for x, y, tile in _tiles(shown):
            lines, _ = self._read(tile)
            for box, text, _ in lines or ():
                if sum(character.isalnum() for character in text) >= _LEAST_CHARACTERS:
                    found.append(_region(box, x, y, scale))
        return found

    def _enlarged(self, picture: Picture, scale: float) -> Picture:
        rows, columns, _ = picture.shape
        if scale > 1:
            size = (round(columns * scale), round(rows * scale))
            picture = self._cv2.resize(picture, size, interpolation=self._cv2.INTER_CUBIC)
        rows, columns, _ = picture.shape
        padded = np.zeros((max(rows, _LEAST_SIDE), max(columns, _LEAST_SIDE), 3), np.uint8)
        padded[:rows, :columns] = picture
        return padded


def _tiles(picture: Picture) -> Iterator[tuple[int, int, Picture]]:
    """Yield parts of a picture with the column and row of their upper left pixel."""
    rows, columns, _ = picture.shape
    for y in _starts(rows):
        for x in _starts(columns):
            yield x, y, np.ascontiguousarray(picture[y : y + _TILE, x : x + _TILE])


def _starts(length: int) -> Sequence[int]:
    """Return where tiles begin: as few as cover the length with their overlap, evenly spread."""
    if length <= _TILE:
        return (0,)
    count = -(-(length - _OVERLAP) // (_TILE - _OVERLAP))
    return [round(number * (length - _TILE) / (count - 1)) for number in range(count)]


def _region(box: Any, x: int, y: int, scale: float) -> Region:
    corners = np.asarray(box, np.float64)
    (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
    first_x, first_y = int((left + x) // scale), int((top + y) // scale)
    return Region(
        *(max(0, first_x), max(0, first_y)),
        *(max(1, int(-(-(right + x) // scale)) - first_x), max(1, int(-(-(bottom + y) // scale)) - first_y)),
    )
