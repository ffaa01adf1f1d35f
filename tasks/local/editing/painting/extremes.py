"""The smallest and largest values that an image says it has, made true again where something was painted.

Source: DICOM PS3.3 section C.7.6.3 (edition 2026d).

Public names: ``Extremes``, ``EXTREME_TAGS``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from deidflow.tasks.local.dicom_file.elements import Element
    from deidflow.tasks.local.dicom_file.source_file import SourceFile
    from deidflow.tasks.local.editing.painting.image_layout import ImageLayout

_OF_IMAGE: Final = (0x00280106, 0x00280107)
_OF_SERIES: Final = (0x00280108, 0x00280109)
EXTREME_TAGS: Final = frozenset({*_OF_IMAGE, *_OF_SERIES})
"""SmallestImagePixelValue, LargestImagePixelValue, and those of the series."""


class Extremes:
    """The values of one image.

    Of the image they are found out; of the series, and of an image whose pixels are not decoded, what was painted is
    counted in, and nothing out.
    """

    def __init__(self, source: SourceFile, elements: Iterable[Element], layout: ImageLayout, black: int) -> None:
        """Take the open source with all elements of its top level, and the value that was painted."""
        self._source, self._layout, self._black = source, layout, black
        self._stated = [
            one
            for one in elements
            if one[0] in EXTREME_TAGS and one[4] - one[3] == 2  # noqa: PLR2004 (US, SS)
        ]
        self._least: int | None = None
        self._most: int | None = None

    @property
    def asks(self) -> bool:
        """Whether anything depends on the pixels."""
        return any(element[0] in _OF_IMAGE for element in self._stated) and self._layout.samples == 1

    def add(self, words: np.ndarray[Any, np.dtype[Any]]) -> None:
        """Take pixels of the result: stored words, or values with a sign of their own."""
        if not len(words):
            return
        layout = self._layout
        if words.dtype.kind == "u":
            wide = words.astype("u8") >> np.uint64(layout.shift) & np.uint64((1 << layout.stored) - 1)
            if layout.signed:  # with its highest bit turned round a number with a sign is in the order of its value
                half = 1 << layout.stored - 1
                turned = wide ^ np.uint64(half)
                least, most = int(turned.min()) - half, int(turned.max()) - half
            else:
                least, most = int(wide.min()), int(wide.max())
        else:
            least, most = int(words.min()), int(words.max())
        self._least = least if self._least is None else min(self._least, least)
        self._most = most if self._most is None else max(self._most, most)

    def changes(self) -> Iterator[tuple[int, int, bytes]]:
        """Yield where in the body a value stands that is another one now, and its new bytes."""
        order = "little" if self._source.layout.encoding.little else "big"
        signed = self._layout.signed
        for tag, _, _, start, end, _ in self._stated:
            stated = int.from_bytes(self._source.read(start, end), order, signed=signed)  # type: ignore[arg-type]
            is_least = tag in (_OF_IMAGE[0], _OF_SERIES[0])
            known = self._least if is_least else self._most
            if tag in _OF_SERIES or known is None:
                known = min(stated, self._black) if is_least else max(stated, self._black)
            low, high = (-0x8000, 0x7FFF) if signed else (0, 0xFFFF)
            if known != stated and low <= known <= high:
                yield start, end, known.to_bytes(2, order, signed=signed)  # type: ignore[arg-type]
