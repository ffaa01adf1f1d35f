"""Every form of pixels with every transfer syntax: which there are, by the standard, and why the others are not.

Source: DICOM PS3.3 sections C.7.6.3.1.2 and C.7.6.3.1.5, PS3.5 sections 8.1.1 and 8.2.1 to 8.2.4 (edition 2026d).

Public names: ``Form``, ``Bits``, ``Cell``, ``FORMS``, ``BITS``, ``SYNTAXES``, ``LOSSLESS``, ``NATIVE``, ``LOSSY_JPEG``,
``cells``, ``images``, ``one_of_each``, ``why_not``, ``is_held``, ``refusal``.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Final, NamedTuple

from tests.dicom_files import BIG, DEFLATED, EXPLICIT, IMPLICIT

if TYPE_CHECKING:
    from collections.abc import Iterator


class Form(NamedTuple):
    """What samples mean and how they stand: PhotometricInterpretation and PlanarConfiguration."""

    photometric: str
    planar: int = 0


class Bits(NamedTuple):
    """BitsAllocated, BitsStored, and whether PixelRepresentation is 1."""

    allocated: int
    stored: int
    signed: bool = False


class Cell(NamedTuple):
    """One of the matrix; ``syntax`` is one of the names of ``SYNTAXES``."""

    form: Form
    bits: Bits
    syntax: str

    def __str__(self) -> str:
        """Return its name in the report of the tests."""
        allocated, stored, signed = self.bits
        planes = " planes" if self.form.planar else ""
        return f"{self.form.photometric}{planes} {allocated}/{stored}{'s' if signed else 'u'} {self.syntax}"


FORMS: Final = (
    *(Form("MONOCHROME1"), Form("MONOCHROME2"), Form("PALETTE COLOR"), Form("RGB"), Form("RGB", 1), Form("YBR_FULL")),
    *(Form("YBR_FULL", 1), Form("YBR_FULL_422"), Form("YBR_RCT"), Form("YBR_ICT")),
)
BITS: Final = (
    *(Bits(1, 1), Bits(8, 8), Bits(8, 8, signed=True), Bits(16, 8), Bits(16, 12), Bits(16, 12, signed=True)),
    *(Bits(16, 16), Bits(16, 16, signed=True), Bits(32, 24), Bits(32, 24, signed=True), Bits(32, 32)),
    Bits(32, 32, signed=True),
)
_DICOM: Final = "1.2.840.10008.1.2"
SYNTAXES: Final = {
    "implicit": IMPLICIT.uid,
    "explicit": EXPLICIT.uid,
    "big endian": BIG.uid,
    "deflated": DEFLATED.uid,
    "RLE": f"{_DICOM}.5",
    "JPEG lossless": f"{_DICOM}.4.57",
    "JPEG lossless SV1": f"{_DICOM}.4.70",
    "JPEG-LS": f"{_DICOM}.4.80",
    "JPEG-LS near": f"{_DICOM}.4.81",
    "JPEG 2000 lossless": f"{_DICOM}.4.90",
    "JPEG 2000": f"{_DICOM}.4.91",
    "HTJ2K lossless": f"{_DICOM}.4.201",
    "HTJ2K lossless RPCL": f"{_DICOM}.4.202",
    "HTJ2K": f"{_DICOM}.4.203",
    "JPEG baseline": f"{_DICOM}.4.50",
    "JPEG extended": f"{_DICOM}.4.51",
}
NATIVE: Final = ("implicit", "explicit", "big endian", "deflated")
LOSSY_JPEG: Final = ("JPEG baseline", "JPEG extended")
LOSSY: Final = (*LOSSY_JPEG, "JPEG-LS near", "JPEG 2000", "HTJ2K")
_ONE_OF_EACH_KIND: Final = ("big endian", "RLE", "JPEG lossless SV1", "JPEG-LS", "JPEG 2000 lossless")
_TRANSFORM: Final = {
    "YBR_RCT": ("JPEG 2000 lossless", "HTJ2K lossless", "HTJ2K lossless RPCL"),
    "YBR_ICT": ("JPEG 2000",),
}
_JPEG_2000: Final = ("JPEG 2000 lossless", "JPEG 2000")
_HTJ2K: Final = ("HTJ2K lossless", "HTJ2K lossless RPCL", "HTJ2K")
_MOST_BITS: Final = {**dict.fromkeys(_JPEG_2000, 24), **dict.fromkeys(_HTJ2K, 16)}
_COLOURS: Final = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT")

# Why a cell is none.
SIGNED_COLOURS: Final = "colours and indexes of palettes that are compressed are unsigned (PS3.5 section 8.2)"
SIGNED_SAMPLES: Final = "samples of colours are unsigned (PS3.3 section C.7.6.3.1.2)"
ONE_BIT_OF_GREY: Final = "pixels of one bit are MONOCHROME1 or 2 (PS3.5 sections 8.1.1 and 8.2)"
NO_ONE_BIT: Final = "this codec takes 2 bits and more, or 8 allocated (PS3.5 tables 8.2.1-2 and 8.2.3-1)"
WIDE_INDEXES: Final = "indexes of a palette have 16 bits at most (PS3.3 section C.7.6.3.1.5)"
TOO_WIDE: Final = "this transfer syntax has 8 or 16 bits allocated (PS3.5 tables 8.2.1-1 to 8.2.3-1)"
EIGHT_BITS: Final = "YBR_FULL has 8 bits there (PS3.5 tables 8.2.2-1 and 8.2.3-1)"
OTHER_COLOURS: Final = "this transfer syntax has other colours (PS3.5 section 8.2)"
ONLY_THERE: Final = "transformed colours are those of the wavelet codecs (PS3.3 section C.7.6.3.1.2)"
NO_LOSS_OF_INDEXES: Final = "indexes of a palette cannot be compressed with loss (PS3.5 section 8.2)"
BASELINE_BITS: Final = "it has 8 bits, extended JPEG 12 of 16, too, unsigned (PS3.5 table 8.2.1-1)"
NO_ENCODER: Final = "no encoder at hand makes a source of so many bits"
REASONS: Final = (
    *(SIGNED_COLOURS, SIGNED_SAMPLES, ONE_BIT_OF_GREY, NO_ONE_BIT, WIDE_INDEXES, TOO_WIDE, EIGHT_BITS, OTHER_COLOURS),
    *(ONLY_THERE, NO_LOSS_OF_INDEXES, BASELINE_BITS, NO_ENCODER),
)


def cells() -> Iterator[Cell]:
    """Yield all of them, allowed or not."""
    for form, bits, syntax in product(FORMS, BITS, SYNTAXES):
        yield Cell(form, bits, syntax)


def images() -> list[Cell]:
    """Return those that there are."""
    return [cell for cell in cells() if not why_not(cell)]


def one_of_each() -> list[Cell]:
    """Return one cell of each form in each syntax, and one of each choice of bits in one syntax of each kind."""
    found: dict[tuple[object, str], Cell] = {}
    for cell in images():
        found.setdefault((cell.form, cell.syntax), cell)
        if cell.syntax in _ONE_OF_EACH_KIND:
            found.setdefault((cell.bits, cell.syntax), cell)
    return sorted(set(found.values()))


def why_not(cell: Cell) -> str:
    """Return why there is no such image, or none can be made here; "" where there is one."""
    form, bits, syntax = cell
    if form.photometric in _COLOURS and bits.signed:
        return SIGNED_SAMPLES
    if bits.allocated == 1 and not form.photometric.startswith("MONOCHROME"):
        return ONE_BIT_OF_GREY
    if form.photometric == "PALETTE COLOR" and bits.stored > 16:
        return WIDE_INDEXES
    if form.photometric in _TRANSFORM and syntax not in _TRANSFORM[form.photometric]:
        return ONLY_THERE
    return "" if syntax in NATIVE else _why_not_compressed(cell)


def _why_not_compressed(cell: Cell) -> str:
    (photometric, _), bits, syntax = cell
    if photometric == "PALETTE COLOR" and (syntax in LOSSY or bits.signed):
        return NO_LOSS_OF_INDEXES if syntax in LOSSY else SIGNED_COLOURS
    if photometric == "YBR_FULL_422" and syntax != "JPEG baseline":
        return OTHER_COLOURS
    if syntax in LOSSY_JPEG:
        return _why_not_sequential(cell)
    if syntax in _MOST_BITS:
        most = _MOST_BITS[syntax] - (photometric in _TRANSFORM and syntax in _JPEG_2000)
        return NO_ENCODER if bits.stored > most or (bits.allocated == 1 and syntax == "HTJ2K") else ""
    return _why_not_in_bytes(cell)


def _why_not_sequential(cell: Cell) -> str:
    """Return it of JPEG with loss; some write YBR_FULL of what is not halved."""
    form, bits, syntax = cell
    if syntax == "JPEG extended" and form.photometric in _COLOURS:
        return OTHER_COLOURS
    fits = bits == Bits(8, 8) or (syntax == "JPEG extended" and bits == Bits(16, 12))
    return "" if fits else BASELINE_BITS


def _why_not_in_bytes(cell: Cell) -> str:
    """Return it of RLE, lossless JPEG and JPEG-LS; RLE of 32 bits is not in its table, and doses are written so."""
    form, bits, syntax = cell
    if form.photometric == "YBR_FULL" and bits != Bits(8, 8) and not syntax.startswith("JPEG lossless"):
        return EIGHT_BITS
    if syntax == "RLE":
        return ""
    return NO_ONE_BIT if bits.allocated == 1 else TOO_WIDE if bits.allocated > 16 else ""


def refusal(cell: Cell) -> str:
    """Return what the reason says where an image is refused that there is; "" where it is painted."""
    (photometric, _), bits, syntax = cell
    if bits.allocated == 32 and syntax == "big endian" and photometric not in {"MONOCHROME2", "RGB"}:
        uniform = photometric == "MONOCHROME1" and bits == Bits(32, 32)
        return "" if uniform else "read in two ways"
    if bits.allocated == 32 and syntax == "big endian" and bits.signed:
        return "read in two ways"
    return ""


def is_held(form: Form, bits: Bits, syntax: str) -> bool:
    """Whether ``Transcode`` can write such pixels; YBR_FULL_422 and transformed colours as what they become."""
    if syntax in NATIVE:
        return True
    name = {"YBR_FULL_422": "YBR_FULL", "YBR_RCT": "RGB", "YBR_ICT": "RGB"}.get(form.photometric, form.photometric)
    if syntax == "RLE" and bits.allocated > 16:
        return False  # more than its table has is read, not written
    if name == "PALETTE COLOR" and bits.signed:
        return syntax.startswith("JPEG lossless")  # whose encoder does not ask
    return not why_not(Cell(Form(name), bits, syntax))
