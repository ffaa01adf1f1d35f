"""Files drawn so that readers may disagree about them, with names planted wherever some reader would see a name.

Nearly all is ordinary; one to four oddities are put into each file: of VR, length, nesting, order, duplicates, transfer
syntax, and meta information. The same seed and number always give the same file.

Public names: ``Drawn``, ``draw``, ``MARKER``, ``ODDITIES``.
"""

from __future__ import annotations

import random
import struct
import zlib
from typing import TYPE_CHECKING, Final, NamedTuple

from tests.dicom_files import (
    BIG,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    JPEG,
    Element,
    Item,
    Syntax,
    elements,
    encapsulated,
    encode,
    file_bytes,
)

if TYPE_CHECKING:
    from collections.abc import Callable

MARKER: Final = b"ZQX"
"""What every planted name begins with; nothing else holds these letters."""

_UNDEFINED: Final = 0xFFFFFFFF
_KEPT: Final = (0x00540016, 0x00400440, 0x00102202, 0x00189346)
"""Sequences that the profiles keep."""

_PRIVATE: Final = (0x00291010, 0x00291020)
_PLAIN: Final = ((0x00181030, "LO"), (0x00180015, "CS"), (0x00280030, "DS"), (0x00181151, "IS"))
_ODD_VRS: Final = (b"--", b"??", b"  ", b"\0\0", b"xs", b"ZZ", b"A?", b"Lo", b"QQ", b"\x80A")
_SYNTAXES: Final = (EXPLICIT, EXPLICIT, EXPLICIT, IMPLICIT, IMPLICIT, BIG, DEFLATED, JPEG)


class Drawn(NamedTuple):
    """One file.

    Attributes:
        data: Its bytes.
        oddities: What was put into it, by name.

    """

    data: bytes
    oddities: tuple[str, ...]


class _Draft:
    """A file in the making: pieces of a dataset, by the order in which they are written."""

    def __init__(self, rng: random.Random, number: int) -> None:
        self.rng = rng
        self.number = number
        self.syntax: Syntax = rng.choice(_SYNTAXES)
        self.declared = self.syntax
        self.pieces: list[tuple[int, bytes]] = []
        self.meta = b""
        self.tail = b""
        self._names = 0
        self.draw_base()

    def draw_base(self) -> None:
        """Write an ordinary image."""
        values = {
            "SOPClassUID": "1.2.840.10008.5.1.4.1.1.7",
            "SOPInstanceUID": f"1.2.3.{self.number}.1",
            "PatientName": self.name(),
            "PatientID": self.name(),
            "PatientBirthDate": "19470213",
            "ReferringPhysicianName": self.name(),
            "StudyInstanceUID": f"1.2.3.{self.number}",
            "SeriesInstanceUID": f"1.2.3.{self.number}.9",
            "ProtocolName": "brain",
            "Rows": 4,
            "Columns": 4,
        }
        for element in elements(values, self.syntax):
            self.put(element)
        pixels = encapsulated(bytes(8)) if self.syntax is JPEG else Element(0x7FE00010, "OW", bytes(range(32)))
        self.put(pixels)

    def name(self) -> str:
        """Return a new planted name, of even length."""
        self._names += 1
        return f"ZQX{self._names:03}^{'N' * self.rng.choice((1, 3, 9))}"

    def put(self, element: Element) -> None:
        """Add an ordinary element."""
        self.pieces.append((element.tag, encode([element], self.syntax)))

    def put_raw(self, tag: int, data: bytes) -> None:
        """Add any bytes where a tag belongs."""
        self.pieces.append((tag, data))

    def header(self, tag: int, vr: bytes, length: int, syntax: Syntax | None = None) -> bytes:
        """Write a header with any VR and length."""
        syntax = syntax or self.syntax
        start = struct.pack(f"{syntax.prefix}HH", tag >> 16, tag & 0xFFFF)
        if not syntax.explicit:
            return start + struct.pack(f"{syntax.prefix}L", length)
        if vr in (b"OB", b"OW", b"OF", b"SQ", b"UN", b"UT"):
            return start + vr + struct.pack(f"{syntax.prefix}HL", 0, length)
        return start + vr + struct.pack(f"{syntax.prefix}H", length & 0xFFFF)

    def inner(self) -> tuple[Element, ...]:
        """Return elements with names for an item."""
        found = [Element(0x00100010, "PN", self.name().encode()), Element(0x00100020, "LO", self.name().encode())]
        if self.rng.random() < 0.3:
            found.insert(0, Element(0x00080100, "SH", b"CODE"))
        if self.rng.random() < 0.3:
            deeper = Item(self.inner_plain(), self.rng.random() < 0.5)
            found.append(Element(0x00400440, "SQ", (deeper,), self.rng.random() < 0.5))
        return tuple(found)

    def inner_plain(self) -> tuple[Element, ...]:
        """Return elements with names and nothing nested."""
        return (Element(0x00100010, "PN", self.name().encode()), Element(0x00100020, "LO", self.name().encode()))

    def private(self) -> int:
        """Return a private tag, its creator written."""
        self.put(Element(0x00290010, "LO", b"SOME VENDOR "))
        return self.rng.choice(_PRIVATE)

    def sequence_tag(self) -> int:
        """Return a tag that the profile keeps, or a private one."""
        return self.rng.choice(_KEPT) if self.rng.random() < 0.6 else self.private()

    def item(self, content: bytes, syntax: Syntax, *, undefined: bool) -> bytes:
        """Write an item."""
        pack = f"{syntax.prefix}HHL"
        if undefined:
            return struct.pack(pack, 0xFFFE, 0xE000, _UNDEFINED) + content + struct.pack(pack, 0xFFFE, 0xE00D, 0)
        return struct.pack(pack, 0xFFFE, 0xE000, len(content)) + content

    def file(self) -> bytes:
        """Write the whole file."""
        dataset = b"".join(data for _, data in self.pieces) + self.tail
        if self.declared.deflated:
            deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
            dataset = deflater.compress(dataset) + deflater.flush()
        return file_bytes((), Syntax(self.declared.uid)) + self.meta + dataset


def _odd_vr(draft: _Draft) -> None:
    """An element whose VR is none."""
    if not draft.syntax.explicit:
        return
    tag, _ = draft.rng.choice(_PLAIN)
    if draft.rng.random() < 0.3:
        tag = draft.rng.choice((0x001021B0, 0x00100010, 0x00080080, 0x00101040))
    value = draft.name().encode() if tag in (0x001021B0, 0x00100010, 0x00080080, 0x00101040) else b"PLAIN1"
    vr = draft.rng.choice(_ODD_VRS)
    if vr in (b"ZZ", b"QQ") and draft.rng.random() < 0.7:
        header = draft.header(tag, vr, 0) + struct.pack(f"{draft.syntax.prefix}L", len(value))
    else:
        header = draft.header(tag, vr, len(value))
    draft.put_raw(tag, header + value)


def _odd_vr_of_sequence(draft: _Draft) -> None:
    """A sequence whose VR is none, or that of bytes or text."""
    tag = draft.sequence_tag()
    vr = draft.rng.choice((*_ODD_VRS, b"UN", b"UN"))
    content = draft.item(encode(draft.inner(), draft.syntax), draft.syntax, undefined=draft.rng.random() < 0.5)
    draft.put_raw(tag, draft.header(tag, vr, len(content)) + content)


def _sequence(draft: _Draft) -> None:
    """A sequence: its VR, the encoding of its items, and all lengths drawn."""
    rng = draft.rng
    tag = draft.sequence_tag()
    vr = rng.choice((b"SQ", b"UN", b"UN", b"OB", b"OW")) if draft.syntax.explicit else b"SQ"
    inner = rng.choice((EXPLICIT, IMPLICIT, draft.syntax))
    items = [
        draft.item(encode(draft.inner(), inner), inner, undefined=rng.random() < 0.5)
        for _ in range(rng.choice((1, 1, 2)))
    ]
    content = b"".join(items)
    undefined = rng.random() < 0.5 or vr in (b"OB", b"OW")
    length = _UNDEFINED if undefined else len(content)
    if undefined:
        content += struct.pack(f"{inner.prefix}HHL", 0xFFFE, 0xE0DD, rng.choice((0, 0, 0, 8)))
    draft.put_raw(tag, draft.header(tag, vr, length) + content)


def _needless_delimiter(draft: _Draft) -> None:
    """A sequence or item of defined length that ends with a delimiter."""
    syntax, rng = draft.syntax, draft.rng
    pack = f"{syntax.prefix}HHL"
    content = encode(draft.inner(), syntax)
    if rng.random() < 0.5:
        content += struct.pack(pack, 0xFFFE, 0xE00D, 0)
    whole = draft.item(content, syntax, undefined=False)
    if rng.random() < 0.5:
        whole += struct.pack(pack, 0xFFFE, 0xE0DD, 0)
    tag = draft.sequence_tag()
    draft.put_raw(tag, draft.header(tag, b"SQ", len(whole)) + whole)


def _two_readings(draft: _Draft) -> None:
    """An item that reads as implicit and as explicit VR, the names in the explicit reading alone."""
    if not (draft.syntax.explicit and draft.syntax.little):
        return  # where nobody has two readings of it
    letters = draft.rng.choice((b"SH", b"LO", b"ZZ", b"OB"))
    hidden = encode(draft.inner_plain(), EXPLICIT)
    total = int.from_bytes(letters + b"\0\0", "little")
    rest = total - len(hidden) - 12
    hidden += struct.pack("<HH2sHL", 0x5400, 0x1010, b"OB", 0, rest) + bytes(rest)
    item = draft.item(b"\x08\0\0\1" + letters + b"\0\0" + hidden, IMPLICIT, undefined=draft.rng.random() < 0.5)
    tag = draft.sequence_tag()
    undefined = draft.rng.random() < 0.5
    content = item + (b"\xfe\xff\xdd\xe0\0\0\0\0" if undefined else b"")
    draft.put_raw(tag, draft.header(tag, b"UN", _UNDEFINED if undefined else len(content)) + content)


def _jump(draft: _Draft) -> None:
    """An element of unknown VR whose length, read with 32 bits, leads into bytes that hold elements with names."""
    if draft.syntax is not EXPLICIT:
        return
    vr = draft.rng.choice((b"--", b"\0\0", b"  "))
    value = b"V" * draft.rng.choice((2, 4))
    far = int.from_bytes(vr, "little") | len(value) << 16
    hidden = encode(draft.inner_plain(), draft.rng.choice((EXPLICIT, IMPLICIT)))
    filler = far - len(value) - 12
    blob = bytes(filler) + hidden + bytes(64)
    first = draft.header(0x00181030, vr, len(value)) + value
    draft.put_raw(0x00181030, first + draft.header(0x00181801, b"OB", len(blob)) + blob)


def _wrong_length(draft: _Draft) -> None:
    """A length that is a little more or less than the value's."""
    tag, vr = draft.rng.choice(_PLAIN)
    value = b"12345678"
    length = max(0, len(value) + draft.rng.choice((-8, -4, -2, -1, 1, 2, 4, 8)))
    draft.put_raw(tag, draft.header(tag, vr.encode(), length) + value)


def _twice(draft: _Draft) -> None:
    """An element that identifies, once more."""
    tag, vr = draft.rng.choice(((0x00100010, "PN"), (0x00100020, "LO"), (0x00080090, "PN"), (0x00080080, "LO")))
    draft.put(Element(tag, vr, draft.name().encode()))


def _behind(draft: _Draft) -> None:
    """Elements behind the pixel data, and other places where they do not belong."""
    draft.tail += encode(draft.inner(), draft.syntax)


def _shuffled(draft: _Draft) -> None:
    """Any order of elements."""
    draft.rng.shuffle(draft.pieces)


def _meta_inside(draft: _Draft) -> None:
    """Group 0002 inside the dataset, or behind its end."""
    inside = [Element(0x00020016, "AE", draft.name().encode()), Element(0x00020010, "UI", b"1.2.840.10008.1.2\0")]
    data = encode(inside, draft.syntax)
    if draft.rng.random() < 0.5:
        draft.tail += data
    else:
        draft.pieces.insert(draft.rng.randrange(len(draft.pieces)), (0x00020016, data))


def _meta_twice(draft: _Draft) -> None:
    """Meta information twice, the second one with another transfer syntax."""
    syntax = draft.rng.choice((b"1.2.840.10008.1.2\0", b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.4.50"))
    draft.meta += encode(
        [Element(0x00020010, "UI", syntax), Element(0x00020016, "AE", draft.name().encode())], EXPLICIT
    )


def _other_syntax(draft: _Draft) -> None:
    """A transfer syntax that is not the dataset's."""
    draft.declared = draft.rng.choice((EXPLICIT, IMPLICIT, BIG, JPEG))


def _padding(draft: _Draft) -> None:
    """Bytes behind the dataset."""
    draft.tail += draft.rng.choice(
        (bytes(1), bytes(2), bytes(8), bytes(64), b"\xfe\xff\x0d\xe0\0\0\0\0", b"\xfe\xff\xdd\xe0\0\0\0\0" + bytes(16))
    )


def _second_dataset(draft: _Draft) -> None:
    """A second dataset behind the first one."""
    draft.tail += encode(elements({"PatientName": draft.name(), "PatientID": draft.name()}), draft.syntax)


ODDITIES: Final[dict[str, Callable[[_Draft], None]]] = {
    "unknown VR": _odd_vr,
    "unknown VR of a sequence": _odd_vr_of_sequence,
    "sequence": _sequence,
    "needless delimiter": _needless_delimiter,
    "two readings": _two_readings,
    "jump": _jump,
    "wrong length": _wrong_length,
    "twice": _twice,
    "behind the pixels": _behind,
    "order": _shuffled,
    "meta inside": _meta_inside,
    "meta twice": _meta_twice,
    "other syntax": _other_syntax,
    "padding": _padding,
    "second dataset": _second_dataset,
}
"""By name, in the order in which they are applied."""


def draw(seed: int, number: int) -> Drawn:
    """Draw a file.

    Args:
        seed: Of the whole run.
        number: Of the file in it, from 0 on.

    """
    rng = random.Random(f"{seed} {number}")  # noqa: S311 (test data)
    draft = _Draft(rng, number)
    chosen = set(rng.sample(sorted(ODDITIES), rng.choice((1, 1, 2, 2, 3, 4))))
    applied = [name for name in ODDITIES if name in chosen]
    for name in applied:
        if name == "order":
            continue
        ODDITIES[name](draft)
    draft.pieces.sort(key=lambda piece: piece[0])
    if "order" in chosen:
        _shuffled(draft)
    return Drawn(draft.file(), tuple(applied))
