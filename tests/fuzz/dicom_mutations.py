"""Ways to damage a DICOM file; each takes a generator of random numbers and a seed and returns bytes.

Public names: ``MUTATIONS``, ``mutated``.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Final

from deidflow.tasks.local.dicom_file.encoding import LONG_VRS, SHORT_VRS
from tests.dicom_files import DEFLATED, EXPLICIT, IMPLICIT, Element, elements, encode, file_bytes
from tests.fuzz.seeds import ITEM_HEADER, UNDEFINED, seeds

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from tests.fuzz.seeds import Header, Seed

_VRS: Final = sorted([*SHORT_VRS, *LONG_VRS])
_TAGS: Final = (
    0x00080000, 0x00080005, 0x00080016, 0x00080018, 0x00081140, 0x00081155, 0x00090010, 0x00091001, 0x00100010,
    0x00100020, 0x00100030, 0x00104000, 0x0020000D, 0x0020000E, 0x00200052, 0x00280010, 0x0040A730, 0x00020010,
    0x00000000, 0x00020000, 0x50000010, 0x60003000, 0x7FE00010, 0xFFFCFFFC, 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD,
    0xFFFFFFFF, 0x00189445, 0x00420011, 0x00081115, 0x00020002, 0x00020003, 0x00400275, 0x00120063,
)  # fmt: skip
_LENGTHS: Final = (0, 1, 2, 3, 7, 8, 9, 255, 0xFFFE, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, UNDEFINED)
_SYNTAXES: Final = (
    b"1.2.840.10008.1.2", b"1.2.840.10008.1.2.1", b"1.2.840.10008.1.2.2", b"1.2.840.10008.1.2.1.99", b"",
    b"1.2.840.10008.1.2.4.50", b"1.2.840.113619.5.2", b"1.2.840.10008.1.2.4.95", b"\xff\xfe", b"1.2.840.10008.1.2.5",
)  # fmt: skip
_CHARSETS: Final = (
    b"ISO_IR 192", b"\\ISO 2022 IR 87", b"ISO 2022 IR 6\\ISO 2022 IR 149", b"GB18030", b"\\" * 50, b"ISO_IR 13\\GBK",
    b"\xff\xfe", b"ISO 2022 IR 87\\ISO 2022 IR 159\\ISO 2022 IR 58", b"NO SUCH SET", b"ISO_IR 192\\ISO_IR 100",
    b"latin_1", b"utf-7", b"idna\\punycode", b"ISO-IR 100", b"ISO_2022-IR-87", b"zlib", b"rot13", b"unicode_escape",
)  # fmt: skip
_BOMB_BYTES: Final = (*(0, 1000, 100_000, 1 << 20, 8 << 20) * 6, 48 << 20, 48 << 20, 200 << 20)
_MOST_REPEATS: Final = 400
_MAX_BYTES: Final = 400_000


def mutated(random: Random, seed: Seed) -> tuple[str, bytes]:
    """Return the name of the first mutation and the file after one to three of them."""
    name = random.choice(_NAMES)
    data = MUTATIONS[name](random, seed, seed.data)
    for _ in range(random.choice((0, 0, 0, 1, 1, 2))):
        data = MUTATIONS[random.choice(_SIMPLE)](random, seed, data)
    return name, data[:_MAX_BYTES]


def _header(random: Random, seed: Seed, data: bytes) -> Header | None:
    """Return one of the seed's headers that still lies in the data."""
    if not seed.headers:
        return None
    header = random.choice(seed.headers)
    return header if header.value <= len(data) else None


def _flip_bits(random: Random, seed: Seed, data: bytes) -> bytes:
    if not data:
        return data
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 4, 16))):
        header = _header(random, seed, data) if random.random() < 0.7 else None
        at = header.start + random.randrange(12) if header else random.randrange(len(data))
        if at < len(changed):
            changed[at] ^= 1 << random.randrange(8)
    return bytes(changed)


def _change_bytes(random: Random, seed: Seed, data: bytes) -> bytes:
    if not data:
        return data
    at = random.randrange(len(data))
    size = random.choice((1, 2, 4, 8, 30))
    return data[:at] + random.randbytes(size) + data[at + random.choice((0, size)) :]


def _cut(random: Random, seed: Seed, data: bytes) -> bytes:
    header = _header(random, seed, data)
    at = random.choice((header.start, header.value, header.end)) if header else random.randrange(len(data) + 1)
    at = min(len(data), max(0, at + random.choice((0, 0, -1, 1, -4))))
    if random.random() < 0.6:
        return data[:at]
    return data[:at] + data[at + random.choice((1, 2, 8, 100, 1000)) :]


def _splice(random: Random, seed: Seed, data: bytes) -> bytes:
    other = random.choice(seeds())
    here, there = _header(random, seed, data), _header(random, other, other.data)
    start = here.start if here else random.randrange(len(data) + 1)
    end = there.start if there else random.randrange(len(other.data))
    return data[:start] + other.data[end:]


def _insert(random: Random, seed: Seed, data: bytes) -> bytes:
    """Put an element of another file somewhere, with or without regard to order and syntax."""
    other = random.choice(seeds())
    here, there = _header(random, seed, data), _header(random, other, other.data)
    if not here or not there:
        return data
    at = random.choice((here.start, here.value, here.end))
    return data[:at] + other.data[there.start : there.end] + data[at:]


def _change_length(random: Random, seed: Seed, data: bytes) -> bytes:
    header = _header(random, seed, data)
    if not header:
        return data
    now = header.end - header.value
    near = (now - 2, now - 1, now + 1, now + 2, now + 8, now // 2, len(data) - header.value, len(data))
    length = max(0, random.choice((*near, *_LENGTHS)))
    field = (length & (0xFFFF if header.length_bytes == 2 else UNDEFINED)).to_bytes(
        header.length_bytes, "little" if header.little else "big"
    )
    data = data[: header.length_at] + field + data[header.value :]
    if random.random() < 0.2:  # undefined, with delimiters that fit
        byte_order = "<" if header.little else ">"
        delimiters = struct.pack(f"{byte_order}HHLHHL", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
        data = data[: header.end] + delimiters[random.choice((0, 8)) :] + data[header.end :]
    return data


def _change_tag(random: Random, seed: Seed, data: bytes) -> bytes:
    header = _header(random, seed, data)
    if not header:
        return data
    tag = random.choice(_TAGS) if random.random() < 0.8 else random.getrandbits(32)
    packed = struct.pack(f"{'<' if header.little else '>'}HH", tag >> 16, tag & 0xFFFF)
    return data[: header.start] + packed + data[header.start + 4 :]


def _change_vr(random: Random, seed: Seed, data: bytes) -> bytes:
    header = _header(random, seed, data)
    if not header:
        return data
    vr = random.choice(_VRS) if random.random() < 0.9 else random.randbytes(2)
    if random.random() < 0.5 and header.has_vr:  # with the header that goes with it, so that all else fits
        order = "<" if header.little else ">"
        size = header.end - header.value
        length = struct.pack(f"{order}H", size & 0xFFFF) if vr in SHORT_VRS else struct.pack(f"{order}HL", 0, size)
        return data[: header.start + 4] + vr + length + data[header.value :]
    return data[: header.start + 4] + vr + data[header.start + 6 :]


def _repeat(random: Random, seed: Seed, data: bytes) -> bytes:
    header = _header(random, seed, data)
    if not header:
        return data
    one = data[header.start : header.end]
    times = min(random.choice((1, 2, 10, _MOST_REPEATS)), _MAX_BYTES // (len(one) + 1))
    return data[: header.end] + one * times + data[header.end :]


def _swap(random: Random, seed: Seed, data: bytes) -> bytes:
    one, other = _header(random, seed, data), _header(random, seed, data)
    if not one or not other:
        return data
    one, other = min(one, other), max(one, other)
    if one.end > other.start:
        return data
    middle = data[one.end : other.start]
    return data[: one.start] + data[other.start : other.end] + middle + data[one.start : one.end] + data[other.end :]


def _nest(random: Random, seed: Seed, data: bytes) -> bytes:
    """Put sequences within sequences somewhere: from a few to thousands, closed or not."""
    header = _header(random, seed, data)
    at = random.choice((header.start, header.end)) if header else len(data)
    order = "<" if header is None or header.little else ">"
    tag = random.choice((0x0040A730, 0x00081140, 0x00091001, 0x00081115))
    start = struct.pack(f"{order}HH", tag >> 16, tag & 0xFFFF)
    if header is None or header.has_vr:
        start += random.choice((b"SQ", b"SQ", b"UN")) + b"\0\0"
    start += b"\xff" * 4 + struct.pack(f"{order}HHL", 0xFFFE, 0xE000, UNDEFINED)
    end = struct.pack(f"{order}HHLHHL", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
    levels = random.choice((1, 5, 60, 63, 64, 65, 66, 500, 8000))
    inside = seed.data[header.start : header.end] if header and random.random() < 0.5 else b""
    return data[:at] + start * levels + inside + end * random.choice((levels, levels, levels - 1, 0)) + data[at:]


def _fragments(random: Random, seed: Seed, data: bytes) -> bytes:
    """Put encapsulated pixels behind everything, whole or broken."""
    pack = struct.Struct("<HHL").pack
    pieces = [b"\xe0\x7f\x10\x00" + random.choice((b"OB", b"OW", b"UN", b"OF", b"SQ")) + b"\0\0\xff\xff\xff\xff"]
    for _ in range(random.choice((0, 1, 3, 2000))):
        size = random.choice((0, 2, 3, 50))
        broken = random.random()
        claimed = random.choice(_LENGTHS) if broken < 0.001 else size
        number = random.choice((0xE00D, 0xE0DD)) if broken > 0.999 else 0xE000
        pieces += [pack(0xFFFE, number, claimed), bytes(size)]
    if random.random() < 0.8:
        pieces.append(pack(0xFFFE, 0xE0DD, random.choice((0, 0, 0, 8))))
    return data + b"".join(pieces)


def _bomb(random: Random, seed: Seed, data: bytes) -> bytes:
    """Return a deflated file whose dataset is far larger than the file, or whose stream is damaged."""
    body = encode(elements(_identifiers(random)), EXPLICIT)
    size = random.choice(_BOMB_BYTES)
    head = body + encode([Element(0x7FE00010, "OB", b"")], EXPLICIT)[:-4] + size.to_bytes(4, "little")
    deflater = zlib.compressobj(random.choice((0, 1, 9)) if size < 100_000 else 9, wbits=-zlib.MAX_WBITS)
    stream = [deflater.compress(head)]
    zeros = bytes(1 << 20)
    left = size
    while left > 0:
        stream.append(deflater.compress(zeros[: min(left, len(zeros))]))
        left -= len(zeros)
    stream.append(deflater.flush())
    compressed = b"".join(stream)
    if random.random() < 0.3:
        compressed = _change_bytes(random, seed, compressed)
    if random.random() < 0.2:
        compressed = compressed[: random.randrange(len(compressed) + 1)]
    start = file_bytes((), DEFLATED)
    return start[: len(start) - 2] + compressed + random.choice((b"", b"\0", b"trailing"))


def _identifiers(random: Random) -> dict[str, str]:
    return {
        "SOPInstanceUID": "1.2.3.1.1.1",
        "PatientName": "ZQXNAME^Jane",
        "PatientID": random.choice(("ZQXIDEN-1", "")),
        "StudyInstanceUID": "1.2.3.1",
        "SeriesInstanceUID": "1.2.3.1.1",
    }


def _break_meta(random: Random, seed: Seed, data: bytes) -> bytes:  # noqa: PLR0911 (one way each)
    """Damage what stands before the dataset."""
    kind = random.randrange(7)
    if kind == 0:  # another transfer syntax than the dataset has
        at = data.find(b"\x02\x00\x10\x00UI")
        if at < 0:
            return data
        length = int.from_bytes(data[at + 6 : at + 8], "little")
        syntax = random.choice(_SYNTAXES)
        syntax += b"\0" * (len(syntax) % 2)
        return data[: at + 6] + len(syntax).to_bytes(2, "little") + syntax + data[at + 8 + length :]
    if kind == 1:
        return data[random.choice((128, 132, 1, 131, 144)) :]
    if kind == 2:
        return bytes(random.choice((0, 4, 128))) + data
    if kind == 3:  # a private information of any length, there or not
        claimed = random.choice(_LENGTHS)
        element = b"\x02\x00\x02\x01OB\0\0" + claimed.to_bytes(4, "little")
        return data[:132] + element + bytes(min(claimed, 20_000)) + data[132:]
    if kind == 4:
        return data[:132] + data[132:160] * random.choice((2, 100, 5000)) + data[132:]
    if kind == 5:
        return data[: 132 + random.randrange(80)]
    return random.choice((b"", b"DICM", bytes(128) + b"DICM", b"\x08\x00\x05\x00")) + random.randbytes(
        random.choice((0, 7, 8, 60, 900))
    )


def _strange_text(random: Random, seed: Seed, data: bytes) -> bytes:
    """Build a file with strange character sets, escape sequences and values of any length where identifiers stand."""
    syntax = random.choice((EXPLICIT, IMPLICIT))
    made = [element for element in elements(_identifiers(random), syntax) if element.tag != 0x00100020]
    escapes = (b"\x1b$B", b"\x1b(B", b"\x1b$)C", b"\x1b", b"\x1b-F", b"^", b"=", b"\\", b"\xe3\x81", b"A", b"\0", b" ")
    text = b"".join(random.choice(escapes) + random.randbytes(random.randrange(4)) for _ in range(random.randrange(20)))
    made.append(Element(0x00100020, random.choice(("LO", "UN")), text))
    raw = random.choice(_CHARSETS)
    made.append(Element(0x00080005, "CS", raw * random.choice((1, 1, 1, 50, 600))))
    made.append(Element(0x00104000, "LT", text * random.choice((1, 100))))
    long = random.choice((0x00080016, 0x00080018, 0x0020000D, 0x00200052, 0x00100020, 0x00080020, 0x00081155))
    if random.random() < 0.3:
        value = random.choice((b"1.2.3.4.5.", b"1\\", b"\\", b" ", b"\0", b"A", b"\x1b$B")) * random.choice(
            (5, 9000, 20_000)
        )
        made = [element for element in made if element.tag != long]
        made.append(Element(long, "UT" if random.random() < 0.5 else "UN", value))
    for element in made:
        if len(element.value) > 0xFFFE:
            syntax = IMPLICIT
    if random.random() < 0.5:
        item = encode([Element(0x00100020, "LO", text), Element(0x00080005, "CS", raw)], syntax)
        made.append(Element(0x0040A730, "SQ", ()))
        body = encode(sorted(made, key=lambda element: element.tag), syntax)[:-4]
        body += (len(item) + 8).to_bytes(4, "little")
        body += struct.pack("<HHL", ITEM_HEADER >> 16, ITEM_HEADER & 0xFFFF, len(item)) + item
        return file_bytes((), syntax) + body
    return file_bytes((), syntax) + encode(sorted(made, key=lambda element: element.tag), syntax)


MUTATIONS: Final[dict[str, Callable[[Random, Seed, bytes], bytes]]] = {
    "bits flipped": _flip_bits,
    "bytes changed": _change_bytes,
    "cut": _cut,
    "spliced": _splice,
    "element inserted": _insert,
    "length changed": _change_length,
    "tag changed": _change_tag,
    "VR changed": _change_vr,
    "repeated": _repeat,
    "swapped": _swap,
    "nested": _nest,
    "fragments": _fragments,
    "deflate bomb": _bomb,
    "meta broken": _break_meta,
    "strange text": _strange_text,
}
_SIMPLE: Final = [name for name in MUTATIONS if name not in ("deflate bomb", "strange text", "nested", "meta broken")]
_NAMES: Final = [name for name in MUTATIONS for _ in range(1 if name == "deflate bomb" else 4)]
