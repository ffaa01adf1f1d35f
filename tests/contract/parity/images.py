"""Images of every kind that a codec can be asked for, and files that only claim a transfer syntax.

Public names: ``image_files``, ``syntax_files``.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final

import numpy as np
from pydicom import dcmread
from pydicom.uid import UID, AllTransferSyntaxes

from tests.contract.parity.built import base
from tests.contract.parity.writer import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT, RLE, Fragments, Value, write_file

if TYPE_CHECKING:
    from collections.abc import Iterator

JPEG_2000: Final = "1.2.840.10008.1.2.4.90"
_NATIVE: Final = {"explicit": EXPLICIT, "implicit": IMPLICIT, "big": BIG_ENDIAN, "deflated": DEFLATED}
_ROWS, _COLUMNS = 35, 33  # OpenJPEG writes none with less than 32
_FIRST_NUMBER: Final = 1000
_WORD_BITS: Final = 16


def _image(
    number: int, bits: int, *, frames: int = 1, signed: bool = False, planes: int | None = None
) -> tuple[dict[str, Value], bytes]:
    """Return the attributes of an image and its pixels as little endian bytes.

    Args:
        number: Seeds the pixels.
        bits: Of a pixel, 1, 8, 16 or 32.
        frames: How many.
        signed: Whether pixels may be negative.
        planes: PlanarConfiguration of a colour image, None for one without colours.

    """
    samples = 1 if planes is None else 3
    size = frames * samples * _ROWS * _COLUMNS * max(bits, 8) // 8
    pixels = np.random.default_rng(number).integers(0, 256, size, np.uint8).tobytes()
    if bits == 1:
        pixels = pixels[: (frames * _ROWS * _COLUMNS + 7) // 8]
    attributes: dict[str, Value] = {
        "x00280002US": (samples,),
        "x00280004CS": "MONOCHROME2" if samples == 1 else "RGB",
        "x00280006US": None if planes is None else (planes,),
        "x00280008IS": str(frames) if frames > 1 else None,
        "x00280010US": (_ROWS,),
        "x00280011US": (_COLUMNS,),
        "x00280100US": (bits,),
        "x00280101US": (bits,),
        "x00280102US": (bits - 1,),
        "x00280103US": (int(signed),),
        "x00280106SS" if signed else "x00280106US": (-9 if signed else 9,),
    }
    return attributes, pixels + b"\0" * (len(pixels) % 2)


_KINDS: Final[dict[str, dict[str, int]]] = {
    "8 bits": {"bits": 8},
    "16 bits signed frames": {"bits": 16, "signed": 1, "frames": 3},
    "32 bits": {"bits": 32},
    "1 bit": {"bits": 1},
    "colour": {"bits": 8, "planes": 0},
    "colour planes frames": {"bits": 8, "planes": 1, "frames": 2},
    "colour planes 16 bits": {"bits": 16, "planes": 1},
}


def image_files() -> list[tuple[str, bytes]]:
    """Return images of every kind in each uncompressed syntax, and as RLE and JPEG 2000 as pydicom writes them."""
    files: list[tuple[str, bytes]] = []
    for kind, options in _KINDS.items():
        for name, syntax in _NATIVE.items():
            number = _FIRST_NUMBER + len(files)
            attributes, pixels = _image(number, **options)  # type: ignore[arg-type]  # 0 and 1 are booleans
            words = np.frombuffer(pixels, "<u2")
            one_byte = options["bits"] == 8 and name == "explicit"
            key = "x7FE00010OB" if one_byte else "x7FE00010OW"
            value: Value = pixels if one_byte else tuple(words.tolist())
            tree = base(number, **{"x7FE00010OB": None, **attributes, key: value})
            files.append((f"image of {kind} {name}", write_file(tree, syntax)))
    by_pixel = ("8 bits", "16 bits signed frames", "colour")
    for kind in by_pixel:
        plain = dict(files)[f"image of {kind} explicit"]
        for syntax in (RLE, JPEG_2000):
            files.append((f"image of {kind} {syntax}", _compressed(plain, syntax, _FIRST_NUMBER + len(files))))
    return files


def _compressed(plain: bytes, syntax: str, number: int) -> bytes:
    dataset = dcmread(io.BytesIO(plain))
    dataset.compress(UID(syntax), generate_instance_uid=False)
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = UID(
        f"1.2.826.0.1.3680043.10.543.4.{number}"
    )
    output = io.BytesIO()
    dataset.save_as(output)
    return output.getvalue()


def syntax_files() -> Iterator[tuple[str, bytes]]:
    """Yield a file in every other transfer syntax that pydicom writes; fragments are not looked into."""
    for number, uid in enumerate(AllTransferSyntaxes, 2 * _FIRST_NUMBER):
        if uid not in _NATIVE.values():
            tree = base(number, x00280004CS="MONOCHROME2", x7FE00010OB=Fragments([b"", b"none"]))
            yield f"syntax {uid}", write_file(tree, uid)
