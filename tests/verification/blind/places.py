"""Places in which something of a patient can be left, brought along by the source or put into the result.

Public names: ``PLACES``, ``PRIVATE_PLACES``, ``ELEMENT_PLACES``, ``FILE_PLACES``, ``IN_FRAMES``, ``SYNTAXES``,
``elements_of``, ``pixels``, ``frame``, ``nested``, ``holds``, ``put_into_result``.
"""

from __future__ import annotations

import struct
import zlib
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.encaps import generate_frames

from tests.dicom_files import BIG, DEFLATED, EXPLICIT, IMPLICIT, RLE, Element, Item, Syntax, encode

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

JPEG: Final = Syntax("1.2.840.10008.1.2.4.50")
JPEG2000: Final = Syntax("1.2.840.10008.1.2.4.90")
JPEG_LS: Final = Syntax("1.2.840.10008.1.2.4.80")
SYNTAXES: Final = (EXPLICIT, IMPLICIT, BIG, DEFLATED)
FRAMES: Final = {
    JPEG.uid: "SC_rgb_jpeg_dcmtk.dcm",
    JPEG2000.uid: "JPEG2000.dcm",
    JPEG_LS.uid: "JPEGLSNearLossless_08.dcm",
}
IN_FRAMES: Final[dict[str, Syntax]] = {
    "JPEG comment": JPEG,
    "JPEG APP1": JPEG,
    "JPEG APP13": JPEG,
    "JPEG comment before the scan": JPEG,
    "behind a JPEG": JPEG,
    "JPEG 2000 comment": JPEG2000,
    "behind a JPEG 2000": JPEG2000,
    "JPEG-LS comment": JPEG_LS,
    "JPEG-LS APP8": JPEG_LS,
    "RLE header": RLE,
    "behind an RLE frame": RLE,
    "offset table": RLE,
}
KEPT_SEQUENCES: Final = (0x00089215, 0x00082218, 0x00540220, 0x00189346, 0x52009229, 0x00289110, 0x00186011)
GOING_SEQUENCES: Final = (0x00400275, 0x00102202, 0x00081110, 0x00401101, 0x00321034, 0x00080096)
BLOBS: Final = {
    "segmented palette": (0x00281221, "OW"),
    "palette": (0x00281201, "OW"),
    "LUT": (0x00283006, "OW"),
    "points": (0x00660016, "OF"),
    "spectrum": (0x56000020, "OF"),
    "waveform": (0x54001010, "OW"),
    "zoom": (0x00660023, "OW"),
}
ELEMENT_PLACES: Final = (
    "text",
    "text",
    "text",
    "nested text",
    "nested text",
    "deep text",
    "deep text",
    "value of several",
    "long text",
    "behind NUL",
    "UN text",
    "UN sequence",
    "UN sequence, no length",
    "item with its own character set",
    "blob",
    "blob",
    "nested blob",
    "overlay label in an item",
    "overlay bits in an item",
    "unknown tag",
    "address in UR",
)
FILE_PLACES: Final = (
    "preamble",
    "meta AE",
    "meta private",
    "meta version",
    "trailing padding",
    "trailing bytes",
    "padding of the pixels",
)
PLACES: Final = (*ELEMENT_PLACES, *ELEMENT_PLACES, *FILE_PLACES, *IN_FRAMES)
PRIVATE_PLACES: Final = (
    "private text",
    "private UN",
    "private OB",
    "private in an item",
    "private sequence",
    "private UN sequence",
    "private creator",
    "private long text",
    "private OB table",
)


def nested(elements: tuple[Element, ...], sequences: tuple[int, ...], *, undefined: bool = False) -> Element:
    """Return elements inside sequences, the innermost first."""
    made = elements
    for tag in sequences:
        made = (Element(tag, "SQ", (Item(tuple(sorted(made)), undefined),), undefined),)
    return made[0]


class _Held(NamedTuple):
    """What stands in an element: the text padded, the text among other bytes, and where they go."""

    tag: int
    vr: str
    data: bytes
    even: bytes
    blind: bytes
    undefined: bool
    through: tuple[int, ...]
    draw: random.Random

    @property
    def own(self) -> Element:
        """Return the text in its attribute."""
        return Element(self.tag, self.vr, self.even)

    def inside(self, element: Element) -> Element:
        """Return an element at the depth that was drawn."""
        return nested((element,), self.through, undefined=self.undefined) if self.through else element

    def in_an_item(self, *elements: Element) -> Element:
        """Return elements in an item of a sequence that is kept."""
        return nested(elements, (self.draw.choice(KEPT_SEQUENCES),))

    def blob(self) -> Element:
        """Return an element of bytes."""
        return Element(*BLOBS[self.draw.choice(list(BLOBS))], self.blind)

    def as_unknown(self, *, undefined: bool) -> Element:
        """Return a sequence as UN."""
        return Element(self.draw.choice(KEPT_SEQUENCES), "UN", (Item((self.own,), undefined),), undefined)

    def several(self) -> Element:
        """Return a value between two others."""
        value = b"A\\" + self.data + b"\\B"
        return Element(self.tag, "SH" if self.vr == "SH" else "LO", value + b" " * (len(value) % 2))

    def table(self) -> Element:
        """Return names of 64 bytes with their values, as in the headers of a maker."""
        pairs = ((b"tPatientName", self.even[:64]), (b"lVersion", b"12"))
        cells = (name.ljust(64, b"\0") + struct.pack("<L", 7) + value.ljust(64, b"\0") for name, value in pairs)
        return Element(_OWN, "OB", b"".join(cells))


_OWN: Final = 0x00991001
_BLOCK: Final = Element(0x00990010, "LO", b"BLIND MAKER ")
_ELEMENTS: Final[dict[str, Callable[[_Held], Element | list[Element]]]] = {
    "value of several": _Held.several,
    "long text": lambda of: Element(of.tag, "UT", b"ok line\r\n" * 9000 + of.even),
    "behind NUL": lambda of: Element(of.tag, of.vr, b"AXIAL\0" + of.even),
    "UN text": lambda of: of.inside(Element(of.tag, "UN", of.even)),
    "UN sequence": lambda of: of.as_unknown(undefined=False),
    "UN sequence, no length": lambda of: of.as_unknown(undefined=True),
    "blob": _Held.blob,
    "nested blob": lambda of: nested((of.blob(),), (of.draw.choice(KEPT_SEQUENCES),), undefined=of.undefined),
    "overlay label in an item": lambda of: of.in_an_item(Element(0x60001500, "LO", of.even)),
    "overlay bits in an item": lambda of: of.in_an_item(Element(0x60003000, "OW", of.blind)),
    "unknown tag": lambda of: Element(0x00187F00 | of.draw.randrange(256), of.draw.choice(("LO", "UN", "OB")), of.even),
    "address in UR": lambda of: of.in_an_item(Element(0x00081190, "UR", of.even)),
    "private creator": lambda of: [Element(0x00990010, "LO", of.even), Element(_OWN, "LO", b"x ")],
    "private in an item": lambda of: of.in_an_item(_BLOCK, Element(_OWN, "LO", of.even)),
    "private sequence": lambda of: [
        _BLOCK,
        nested((Element(0x00080104, "LO", of.even),), (_OWN,), undefined=True),
    ],
    "private UN sequence": lambda of: [_BLOCK, Element(_OWN, "UN", (Item((Element(0x00080104, "LO", of.even),)),))],
    "private long text": lambda of: [_BLOCK, Element(_OWN, "UT", b"<p>ok</p>\n" * 7000 + of.even)],
    "private OB table": lambda of: [_BLOCK, of.table()],
    "private text": lambda of: [
        _BLOCK,
        Element(_OWN, of.draw.choice(("LO", "SH", "ST", "LT", "PN")), of.even),
    ],
    "private UN": lambda of: [_BLOCK, Element(_OWN, "UN", of.even)],
    "private OB": lambda of: [_BLOCK, Element(_OWN, "OB", of.blind)],
}


def elements_of(place: str, tag: int, vr: str, data: bytes, draw: random.Random) -> list[Element]:
    """Return what holds some bytes in a place of ``ELEMENT_PLACES`` or ``PRIVATE_PLACES``.

    Args:
        place: Where.
        tag: An attribute for text that the profile keeps.
        vr: Its VR.
        data: What it holds; padded here.
        draw: Where chance comes from.

    """
    blind = draw.randbytes(draw.randrange(3, 40)) + data
    blind += draw.randbytes(6 + len(blind) % 2)
    undefined = draw.random() < 0.5
    depth = {"nested text": 1, "UN text": draw.randrange(3), "deep text": draw.randrange(2, 7)}.get(place, 0)
    through = tuple(draw.choice(KEPT_SEQUENCES) for _ in range(depth))
    even = data + b" " * (len(data) % 2)
    held = _Held(tag, vr, data, even, blind + b"\0" * (-len(blind) % 4), undefined, through, draw)
    made = _ELEMENTS[place](held) if place in _ELEMENTS else held.inside(held.own)
    return made if isinstance(made, list) else [made]


@cache
def frame(syntax: str) -> tuple[bytes, dict[str, int | str]]:
    """Return a real frame in a transfer syntax, and the attributes of its image."""
    path = get_testdata_file(FRAMES[syntax])
    dataset = dcmread(str(path))
    names = ("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "SamplesPerPixel", "PixelRepresentation")
    image = {name: int(dataset[name].value) for name in names} | {
        "PhotometricInterpretation": str(dataset.PhotometricInterpretation)
    }
    if image["SamplesPerPixel"] != 1:
        image["PlanarConfiguration"] = 0
    return next(generate_frames(dataset.PixelData, number_of_frames=1)), image


def _segment(marker: bytes, data: bytes) -> bytes:
    return marker + struct.pack(">H", len(data) + 2) + data


def pixels(place: str, data: bytes) -> Element:
    """Return pixel data in fragments with some bytes in a place of ``IN_FRAMES``."""
    table = b""
    if IN_FRAMES[place] is RLE:
        image = bytes([63]) + bytes(range(64)) + b"\x80"
        head = struct.pack("<LL", 1, 64) + (data[:56] if place == "RLE header" else b"").ljust(56, b"\0")
        whole = head + image + (data if place == "behind an RLE frame" else b"")
        table = data + b"\0" * (-len(data) % 4) if place == "offset table" else b""
    else:
        clean = frame(IN_FRAMES[place].uid)[0].rstrip(b"\0")
        scan = clean.index(b"\xff\xda") if "scan" in place else 0
        at = {"JPEG 2000 comment": 4 + int.from_bytes(clean[4:6], "big"), "JPEG comment before the scan": scan}.get(
            place, 2
        )
        new = {
            "JPEG comment": _segment(b"\xff\xfe", data),
            "JPEG comment before the scan": _segment(b"\xff\xfe", data),
            "JPEG-LS comment": _segment(b"\xff\xfe", data),
            "JPEG APP1": _segment(b"\xff\xe1", b"Exif\0\0" + data),
            "JPEG APP13": _segment(b"\xff\xed", data),
            "JPEG-LS APP8": _segment(b"\xff\xe8", data),
            "JPEG 2000 comment": _segment(b"\xff\x64", b"\0\1" + data),
        }.get(place)
        whole = clean + data if new is None else clean[:at] + new + clean[at:]
    return Element(0x7FE00010, "OB", (table, whole + b"\0" * (len(whole) % 2)))


def _split(data: bytes, syntax: Syntax) -> tuple[bytes, bytes]:
    start = 144 + struct.unpack_from("<L", data, 140)[0]
    body = data[start:]
    return data[:start], zlib.decompress(body, -zlib.MAX_WBITS) if syntax.deflated else body


def _joined(head: bytes, body: bytes, syntax: Syntax) -> bytes:
    if syntax.deflated:
        deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        body = deflater.compress(body) + deflater.flush()
        body += b"\0" * (len(body) % 2)
    return head + body


def holds(data: bytes, left: bytes, syntax: Syntax) -> bool:
    """Tell whether a file holds some bytes."""
    head, body = _split(data, syntax)
    return left in head or left in body


def _end(body: bytes, at: int, syntax: Syntax) -> tuple[int, int]:
    """Return the tag of the element at an offset and where it ends; both by a walk of the headers."""
    mark = syntax.prefix
    group, element = struct.unpack_from(f"{mark}HH", body, at)
    tag = group << 16 | element
    if tag >> 16 == 0xFFFE or not syntax.explicit:
        length, start = struct.unpack_from(f"{mark}L", body, at + 4)[0], at + 8
    elif body[at + 4 : at + 6] in {
        b"OB",
        b"OW",
        b"OF",
        b"OD",
        b"OL",
        b"OV",
        b"SQ",
        b"UC",
        b"UN",
        b"UR",
        b"UT",
        b"SV",
        b"UV",
    }:
        length, start = struct.unpack_from(f"{mark}L", body, at + 8)[0], at + 12
    else:
        length, start = struct.unpack_from(f"{mark}H", body, at + 6)[0], at + 8
    if length != 0xFFFFFFFF:
        return tag, start + length
    inner = IMPLICIT if body[at + 4 : at + 6] == b"UN" and syntax.explicit and tag >> 16 != 0xFFFE else syntax
    while True:
        one, start = _end(body, start, inner)
        if one in {0xFFFEE00D, 0xFFFEE0DD}:
            return tag, start


def put_into_result(data: bytes, place: str, elements: list[Element], left: bytes, syntax: Syntax) -> bytes:
    """Return a result with some bytes in it.

    Args:
        data: The result.
        place: Of ``PLACES``.
        elements: What holds the bytes, for places that are elements.
        left: The bytes, for those that are not.
        syntax: Of the result.

    """
    head, body = _split(data, syntax)
    if place == "preamble":
        return left[:128].ljust(128, b"\0") + data[128:]
    if place.startswith("meta"):
        tag, vr = {
            "meta AE": (0x00020016, "AE"),
            "meta private": (0x00020102, "OB"),
            "meta version": (0x00020013, "SH"),
        }[place]
        even = left + b" " * (len(left) % 2)
        own = ([Element(0x00020100, "UI", b"1.2.3.4\0")] if tag == 0x00020102 else []) + [Element(tag, vr, even)]
        added = encode(own, EXPLICIT)
        length = struct.pack("<L", len(head) - 144 + len(added))
        return _joined(head[:140] + length + head[144:] + added, body, syntax)
    if place == "trailing bytes":
        return _joined(head, body + left + b" " * (len(left) % 2), syntax)
    if place == "padding of the pixels":
        return _joined(
            head,
            _replaced(body, Element(0x7FE00010, "OB", bytes(range(64)) + left + b" " * (len(left) % 2)), syntax),
            syntax,
        )
    for one in elements:
        body = _replaced(body, one, syntax)
    return _joined(head, body, syntax)


def _replaced(body: bytes, new: Element, syntax: Syntax) -> bytes:
    at, end = 0, len(body)
    while at < len(body):
        tag, end = _end(body, at, syntax)
        if tag >= new.tag:
            return body[:at] + encode([new], syntax) + body[end if tag == new.tag else at :]
        at = end
    return body + encode([new], syntax)
