"""Text burnt into the images of the set, and the rules that hide it.

Public names: ``burned``, ``pixel_choice``.
"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, RLELossless

from deidflow.tasks.core.pixels.choice import PixelChoice
from deidflow.tasks.core.pixels.conditions import All
from deidflow.tasks.core.pixels.conditions import Test as Asks
from deidflow.tasks.core.pixels.decision import PixelRule, PixelRules
from deidflow.tasks.core.pixels.regions import Region
from tests.local.editing.painting.images import frames_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydicom import Dataset

Pixels = np.ndarray[Any, np.dtype[Any]]

_ROWS, _COLUMNS, _BURNED_IN = 0x00280010, 0x00280011, 0x00280301
_LETTERS: Final = (
    ("1110", "1001", "1110", "1000"),
    ("1001", "1001", "1001", "0110"),
    ("0111", "1000", "0110", "1110"),
)
"""Patterns that are text as far as pixels are concerned."""
_SYNTAXES: Final = (ExplicitVRLittleEndian, RLELossless, JPEG2000Lossless)
_ALLOCATED: Final = (8, 16)
_SMALLEST_COMPRESSED: Final = 64
"""Rows and columns of the smallest image that OpenJPEG takes with its usual number of resolutions."""


def burned(data: bytes, number: int) -> tuple[bytes, Region | None]:
    """Burn a line of letters into each frame of an image, and say so in BurnedInAnnotation; each fourth stays as it is.

    Args:
        data: An instance.
        number: Its number in the set; the syntax goes by it.

    Returns:
        The image and the region around the letters; the same bytes and None for what cannot be decoded.

    """
    dataset = dcmread(io.BytesIO(data), force=True)
    turn = number % (len(_SYNTAXES) + 1)
    if turn == len(_SYNTAXES) or "PixelData" not in dataset or dataset.BitsAllocated not in _ALLOCATED:
        return data, None
    values = _decoded(dataset)
    if values is None:
        return data, None
    is_plain = values.shape[3] == 1 and min(values.shape[1:3]) >= _SMALLEST_COMPRESSED
    region = _region(*values.shape[1:3])
    _draw(values, region, (1 << dataset.BitsStored - 1) - 1)
    dataset.BurnedInAnnotation = "YES"
    return _written(dataset, values, _SYNTAXES[turn] if is_plain else ExplicitVRLittleEndian), region


def _region(rows: int, columns: int) -> Region:
    return Region(columns // 8, rows // 8, min(48, columns // 2), 6)


def _draw(values: Pixels, region: Region, bright: int) -> None:
    for place in range(region.width // 5):
        for y, line in enumerate(_LETTERS[place % len(_LETTERS)]):
            for x, dot in enumerate(line):
                values[:, region.y + 1 + y, region.x + 1 + 5 * place + x] = bright if dot == "1" else 0


def _decoded(dataset: Dataset) -> Pixels | None:
    if dataset.PhotometricInterpretation == "YBR_FULL_422":
        return None
    try:
        target = io.BytesIO()
        dataset.save_as(target, enforce_file_format=False)
        return frames_of(target.getvalue())
    except Exception:  # noqa: BLE001 (a truncated file)
        return None


def _written(dataset: Dataset, values: Pixels, syntax: str) -> bytes:
    kind = "i" if dataset.PixelRepresentation else "u"
    data = values.astype(f"<{kind}{dataset.BitsAllocated // 8}").tobytes()
    dataset.PixelData = data + b"\0" * (len(data) % 2)
    dataset["PixelData"].is_undefined_length = False
    dataset["PixelData"].VR = "OW"
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    if values.shape[3] > 1:
        dataset.PlanarConfiguration = 0
    if dataset.PhotometricInterpretation in {"YBR_RCT", "YBR_ICT"}:
        dataset.PhotometricInterpretation = "RGB"
    if syntax != ExplicitVRLittleEndian:
        dataset.compress(syntax, generate_instance_uid=False)
    target = io.BytesIO()
    dataset.save_as(target, implicit_vr=False, little_endian=True, enforce_file_format=False)
    return target.getvalue()


def pixel_choice(images: Iterable[bytes]) -> PixelChoice:
    """Return a rule for each size of images that say that text is burnt into them, as a site would write it."""
    sizes = set()
    for data in images:
        dataset = dcmread(io.BytesIO(data), force=True, stop_before_pixels=True)
        sizes.add((dataset.Rows, dataset.Columns))
    rules = tuple(
        PixelRule(f"{rows} x {columns}", All(_asks(rows, columns)), regions=(_region(rows, columns),))
        for rows, columns in sorted(sizes)
    )
    return PixelChoice(PixelRules(rules, ()))


def _asks(rows: int, columns: int) -> tuple[Asks, ...]:
    asked = ((_ROWS, str(rows)), (_COLUMNS, str(columns)), (_BURNED_IN, "YES"))
    return tuple(Asks(tag, (re.compile(value),)) for tag, value in asked)
