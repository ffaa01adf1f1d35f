"""The darkest entry of a palette.

Source: DICOM PS3.3 sections C.7.6.3.1.5, C.7.6.3.1.6 and C.7.9.2 (edition 2026d).

Public names: ``darkest_index``, ``PALETTE_TAGS``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from deidflow.tasks.local.editing.painting.image_layout import unpaintable

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from deidflow.tasks.local.dicom_file.elements import Element
    from deidflow.tasks.local.dicom_file.source_file import SourceFile

    Entries = np.ndarray[Any, np.dtype[Any]]

_DESCRIPTORS: Final = (0x00281101, 0x00281102, 0x00281103)
_PLAIN: Final = (0x00281201, 0x00281202, 0x00281203)
_SEGMENTED: Final = (0x00281221, 0x00281222, 0x00281223)
PALETTE_TAGS: Final = frozenset({*_DESCRIPTORS, *_PLAIN, *_SEGMENTED})
"""Elements of the top level that describe the palettes of red, green and blue."""

_FULL: Final = 65536
_BYTE: Final = 8
_MAX_BYTES: Final = 1 << 18


def darkest_index(source: SourceFile, elements: Iterable[Element], *, signed: bool) -> int:
    """Return the pixel value whose red, green and blue are least together; the first of several.

    Args:
        source: The open file.
        elements: Those of its top level, or as many as hold ``PALETTE_TAGS``.
        signed: Whether pixels, and so the first value that is mapped, are.

    Raises:
        InstanceFailed: ``unsafe-content``: a palette is missing, or is none.

    """
    values: dict[int, bytes] = {}
    for tag, _, _, value, end, _ in elements:
        if tag in PALETTE_TAGS and end - value <= _MAX_BYTES:
            values.setdefault(tag, source.read(value, end))
    order = source.layout.encoding.prefix
    total: Entries | None = None
    first = 0
    for descriptor, plain, segmented in zip(_DESCRIPTORS, _PLAIN, _SEGMENTED, strict=True):
        numbers = np.frombuffer(values.get(descriptor, b"")[:6], f"{order}u2")
        if len(numbers) != 3:  # noqa: PLR2004 (entries, first value, bits)
            raise unpaintable("the descriptors of its palettes must be there")
        count, bits = int(numbers[0]) or _FULL, int(numbers[2])
        first = int(numbers[1].astype("i2") if signed else numbers[1])
        if plain in values:
            entries = _plain(values[plain], order, count, bits)
        else:
            entries = _segmented(values.get(segmented, b""), order, bits)
        if len(entries) < count:
            raise unpaintable("its palettes must have as many entries as their descriptors say")
        # A palette of 8 bits beside others of 16 counts as much as these.
        scaled = entries[:count].astype("i8") << (16 - bits if bits in (_BYTE, 16) else 0)
        if total is not None and len(total) != len(scaled):
            raise unpaintable("its palettes must be of one length")
        total = scaled if total is None else total + scaled
    return first + int(np.argmin(total)) if total is not None else first


def _plain(data: bytes, order: str, count: int, bits: int) -> Entries:
    """Return the entries of a palette: 16 bits each, or two of 8 bits in a word, as older objects have it."""
    if bits == _BYTE and len(data) < 2 * count:
        packed = np.frombuffer(data, "u1")
        return packed if order == "<" else packed[: len(packed) // 2 * 2].reshape(-1, 2)[:, ::-1].ravel()
    return np.frombuffer(data[: len(data) // 2 * 2], f"{order}u2")


def _segmented(data: bytes, order: str, bits: int) -> Entries:
    """Return the entries that segments stand for: discrete (0), linear (1), and indirect (2) to earlier ones."""
    numbers = [int(one) for one in np.frombuffer(data[: len(data) // 2 * 2], f"{order}u2")]
    if bits == _BYTE:  # the words are pairs of bytes then
        numbers = [int(one) for one in np.frombuffer(data, "u1")]
    entries: list[int] = []
    at = 0
    while at + 2 <= len(numbers) and len(entries) <= _FULL:
        kind, length = numbers[at], numbers[at + 1]
        if kind == 0 and at + 2 + length <= len(numbers):
            entries += numbers[at + 2 : at + 2 + length]
            at += 2 + length
        elif kind == 1 and entries and at + 3 <= len(numbers):
            start, stop = entries[-1], numbers[at + 2]
            entries += [round(start + (stop - start) * step / max(length, 1)) for step in range(1, length + 1)]
            at += 3
        else:  # an indirect one, or none: what it repeats is not looked up
            raise unpaintable("a segmented palette must consist of discrete and linear segments")
    return np.array(entries, "u4")
