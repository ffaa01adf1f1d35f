"""Images with known pixels, and what is left of them when regions are painted, told without the code under test.

Public names: ``Image``, ``rules``, ``painting``, ``pixels_of``, ``frames_of``.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID, JPEGLossless, JPEGLosslessSV1, RLELossless

from deidflow.tasks.core.pixels.choice import PixelChoice
from deidflow.tasks.core.pixels.conditions import All
from deidflow.tasks.core.pixels.decision import PixelRule, PixelRules
from deidflow.tasks.core.request.profile_choice import ProfileChoice
from tests.dicom_files import EXPLICIT, Element, Syntax, instance
from tests.local.edits import Edit, deidentify

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deidflow.tasks.core.pixels.choice import Lossy
    from deidflow.tasks.core.pixels.regions import Region

Pixels = np.ndarray[Any, np.dtype[Any]]

SAMPLES: Final = {"MONOCHROME1": 1, "MONOCHROME2": 1, "PALETTE COLOR": 1}
PIXEL_DATA: Final = 0x7FE00010


@dataclass(frozen=True)
class Image:
    """An image, uncompressed: whole numbers, frame by frame.

    Attributes:
        values: Frames, rows, columns, samples.
        photometric: PhotometricInterpretation.
        allocated: Bits of a stored sample.
        stored: Bits that count.
        high_bit: Which is the highest of them.
        signed: Whether samples are.
        planar: PlanarConfiguration.

    """

    values: Pixels
    photometric: str = "MONOCHROME2"
    allocated: int = 16
    stored: int = 16
    high_bit: int = 15
    signed: bool = False
    planar: int = 0

    @classmethod
    def random(cls, seed: int, frames: int, rows: int, columns: int, photometric: str, **keywords: Any) -> Image:
        """Return one of all values that its samples can have."""
        image = cls(np.zeros(0), photometric, **keywords)
        low = -(1 << image.stored - 1) if image.signed else 0
        shape = (frames, rows, columns, SAMPLES.get(photometric, 3))
        values = np.random.default_rng(seed).integers(low, low + (1 << image.stored), shape, "i8")
        if photometric == "YBR_FULL_422":  # two pixels have one colour
            values[:, :, 1::2, 1:] = values[:, :, 0 : columns // 2 * 2 : 2, 1:]
        return replace(image, values=values)

    def painted(self, black: Sequence[int], *regions: Region) -> Image:
        """Return the image with black in some regions."""
        values = self.values.copy()
        for one in regions:
            values[:, max(0, one.y) : max(0, one.y + one.height), max(0, one.x) : max(0, one.x + one.width)] = black
        return replace(self, values=values)

    def attributes(self, **more: Any) -> dict[str, Any]:
        """Return the elements of its Image Pixel module by keyword."""
        frames, rows, columns, samples = self.values.shape
        return {
            "SamplesPerPixel": samples,
            "PhotometricInterpretation": self.photometric,
            "PlanarConfiguration": self.planar if samples > 1 else None,
            "NumberOfFrames": str(frames) if frames > 1 else None,
            "Rows": rows,
            "Columns": columns,
            "BitsAllocated": self.allocated,
            "BitsStored": self.stored,
            "HighBit": self.high_bit,
            "PixelRepresentation": int(self.signed),
            **more,
        }

    def native(self, syntax: Syntax = EXPLICIT, vr: str = "OW") -> bytes:
        """Return its pixels as they stand in a file."""
        values = self.values
        if self.photometric == "YBR_FULL_422":
            luma, colour = values[..., 0], values[:, :, ::2, 1:]
            values = np.concatenate([luma[:, :, ::2, None], luma[:, :, 1::2, None], colour], axis=3)
        if self.planar:
            values = values.transpose(0, 3, 1, 2)
        words = values.ravel() << (self.high_bit + 1 - self.stored)
        if self.allocated == 1:
            data = np.packbits(words.astype("u1"), bitorder="little").tobytes()
        else:
            data = (words & (1 << self.allocated) - 1).astype(f"{syntax.prefix}u{self.allocated // 8}").tobytes()
        data += b"\0" * (len(data) % 2)
        if not syntax.little and vr == "OW" and self.allocated <= 8:
            data = np.frombuffer(data, "u2").byteswap().tobytes()
        return data

    def file(self, syntax: Syntax = EXPLICIT, vr: str = "OW", *extra: Element, **more: Any) -> bytes:
        """Return a file of it."""
        pixels = Element(PIXEL_DATA, vr, self.native(syntax, vr))
        return instance(*extra, pixels, syntax=syntax, **self.attributes(**more))

    def compressed(
        self, syntax: str, frames: Sequence[bytes], *extra: Element, table: bytes = b"", **more: Any
    ) -> bytes:
        """Return a file of its frames as a codec made them, one fragment each."""
        padded = [frame + b"\0" * (len(frame) % 2) for frame in frames]
        pixels = Element(PIXEL_DATA, "OB", (table, *padded))
        return instance(*extra, pixels, syntax=Syntax(syntax), **self.attributes(**more))


def rules(*regions: Region, lossy: Lossy = "lossless") -> PixelChoice:
    """Return a choice whose one rule paints regions of everything."""
    return PixelChoice(PixelRules((PixelRule("test", All(()), regions=regions),), ()), lossy=lossy)


def painting(*regions: Region, lossy: Lossy = "lossless", options: tuple[str, ...] = (), **keywords: Any) -> Edit:
    """Return the edit that paints regions of everything."""
    choice = ProfileChoice(frozenset({"clean-pixel-data", *options}), pixels=rules(*regions, lossy=lossy))
    return deidentify(choice, **keywords)


def pixels_of(data: bytes) -> bytes:
    """Return the value of PixelData."""
    value: bytes = dcmread(io.BytesIO(data)).PixelData
    return value


def frames_of(data: bytes, plugin: str = "", *, whole: bool = False) -> Pixels:
    """Return decoded frames, no colour converted: frames, rows, columns, samples; ``whole``: words as they are coded.

    By pydicom's codecs, but for what pydicom 3.0 does not take: frames of pixels of one bit that begin within a byte,
    several frames in which two pixels share a colour, lossless JPEG of a byte a sample where two are allocated,
    RLE of a byte a pixel where one bit is, and what PlanarConfiguration says of compressed frames.
    """
    dataset = dcmread(io.BytesIO(data))
    count, samples = int(dataset.get("NumberOfFrames") or 1), int(dataset.SamplesPerPixel)
    shape = (count, int(dataset.Rows), int(dataset.Columns), samples)
    syntax = UID(dataset.file_meta.TransferSyntaxUID)
    if dataset.BitsAllocated == 1 and not syntax.is_encapsulated:
        swaps = not dataset.original_encoding[1] and dataset["PixelData"].VR == "OW"
        order = np.frombuffer(dataset.PixelData, ">u2" if swaps else "<u2").astype("<u2")
        bits = np.unpackbits(order.view("u1"), bitorder="little")
        return bits[: math.prod(shape)].reshape(shape).astype("i8")
    if dataset.PhotometricInterpretation == "YBR_FULL_422" and not syntax.is_encapsulated:
        return _of_pairs(dataset, shape)
    said: dict[str, Any] = {"planar_configuration": 0} if syntax.is_encapsulated and samples > 1 else {}
    if syntax in (JPEGLossless, JPEGLosslessSV1) and dataset.PixelData[dataset.PixelData.index(b"\xff\xc3") + 4] <= 8:
        said["bits_allocated"] = 8
    if syntax == RLELossless and dataset.BitsAllocated == 1:
        said["bits_allocated"] = 8
    decoded = get_decoder(syntax).iter_array(
        dataset, raw=True, decoding_plugin=plugin, correct_unused_bits=not whole, **said
    )
    return np.array([frame for frame, _ in decoded], "i8").reshape(shape)


def _of_pairs(dataset: Dataset, shape: tuple[int, ...]) -> Pixels:
    little, width = dataset.original_encoding[1], int(dataset.BitsAllocated) // 8
    swaps = not little and width == 1 and dataset["PixelData"].VR == "OW"
    data = np.frombuffer(dataset.PixelData, "u2").byteswap().tobytes() if swaps else dataset.PixelData
    words = np.frombuffer(data, f"{'<' if little else '>'}u{width}").astype("i8")
    pairs = words[: math.prod(shape) * 2 // 3].reshape(-1, 4)
    return pairs[:, [0, 2, 3, 1, 2, 3]].reshape(shape)
