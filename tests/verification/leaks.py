"""Leaks to plant: an identifying value of the source, in some notation and encoding, in some place of the result.

Everything is drawn from a seed. Values are written here in their notations anew, so that the search is not its own
witness.

Public names: ``Leak``, ``Patient``, ``draw_leaks``, ``source_of``, ``planted``.
"""

from __future__ import annotations

import random
import re
import struct
import zlib
from typing import TYPE_CHECKING, Any, Final, NamedTuple

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
    grey,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

JPEG_2000: Final = Syntax("1.2.840.10008.1.2.4.90")
UNCOMPRESSED: Final = (EXPLICIT, IMPLICIT, BIG, DEFLATED)
COMPRESSED: Final = (JPEG, JPEG_2000)
_MONTHS: Final = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()  # noqa: SIM905 (names of months)
_ROOT: Final = "1.2.826.0.1.3680043.99"


class Patient(NamedTuple):
    """Who a source is of: made up, and of a number."""

    number: int
    family: str
    given: str
    character_set: str
    codec: str


_NAMES: Final = (
    ("Kowalczyk", "Bronislaw", "", "ascii"),
    ("Featherstone", "Percival", "", "ascii"),
    ("Lee", "Janet", "", "ascii"),
    ("Ng", "An", "", "ascii"),
    ("Head", "Young", "", "ascii"),
    ("O'Brien", "Sean", "", "ascii"),
    ("Müller", "Jörg", "ISO_IR 100", "latin-1"),
    ("Lefèvre", "François", "ISO_IR 192", "utf-8"),
    ("Čermák", "Řehoř", "ISO_IR 101", "iso8859-2"),
    ("Иванов", "Алексей", "ISO_IR 144", "iso8859-5"),
    ("山田", "太郎", "ISO_IR 192", "utf-8"),
    ("王小東", "小小", "GB18030", "gb18030"),
)


class Kind(NamedTuple):
    """A class of identifying attributes.

    Attributes:
        keyword: Of the attribute.
        value: Its value in the source.
        written: In whatever notations it may be left.

    """

    keyword: str
    value: Callable[[Patient], str]
    written: Sequence[Callable[[str], str]]


def _number(text: str) -> str:
    return re.sub(r"\W", "", text)


def _day(text: str) -> tuple[str, str, str]:
    return text[:4], text[4:6], text[6:8]


_AS_IT_IS: Final = (lambda text: text, str.upper, str.lower)
_DATES: Final = (
    lambda text: text[:8],
    lambda text: "-".join(_day(text)),
    lambda text: "/".join(_day(text)[::-1]),
    lambda text: ".".join(_day(text)[::-1]),
    lambda text: "{1}/{2}/{0}".format(*_day(text)),
    lambda text: f"{_day(text)[2]}-{_MONTHS[int(text[4:6]) - 1]}-{text[:4]}",
    lambda text: f"{_MONTHS[int(text[4:6]) - 1]} {int(text[6:8])}, {text[:4]}",
    lambda text: f"{int(text[6:8])}.{int(text[4:6])}.{text[:4]}",
)
_PERSONS: Final = (
    lambda text: text,
    str.upper,
    lambda text: " ".join(text.split("^")[:2]),
    lambda text: " ".join(text.split("^")[1::-1]),
    lambda text: ", ".join(text.split("^")[:2]),
)
_TIMES: Final = (lambda text: text[:6], lambda text: f"{text[:2]}:{text[2:4]}:{text[4:6]}")
_NUMBERS: Final = (lambda text: text, _number, str.lower, lambda text: text.replace("-", " "))


def _born(of: Patient) -> str:
    return f"{1930 + of.number % 60}{of.number % 12 + 1:02}{of.number % 27 + 2:02}"


KINDS: Final = (
    Kind("PatientName", lambda of: f"{of.family}^{of.given}", _PERSONS),
    Kind("ReferringPhysicianName", lambda of: f"Xanthopoulos{'abcdefghij'[of.number % 10]}^Ioannis^^Dr", _PERSONS),
    Kind("OperatorsName", lambda _: "Wroblewska^Zofia", _PERSONS),
    Kind("PatientMotherBirthName", lambda _: "Szczepaniak^Halina", _PERSONS),
    Kind("PatientID", lambda of: f"HX-{of.number:04}-{of.number * 7919 % 10007:05}", _NUMBERS),
    Kind("AccessionNumber", lambda of: f"{20490000000 + of.number * 104729 % 999983}", _AS_IT_IS[:1]),
    Kind("DeviceSerialNumber", lambda of: f"SN{of.number * 15485863 % 10000019:08}", _NUMBERS),
    Kind("StudyID", lambda of: f"{70001 + of.number * 31}", _AS_IT_IS[:1]),
    Kind("PatientBirthDate", _born, _DATES),
    Kind("StudyDate", lambda of: f"20{11 + of.number % 9}{of.number % 11 + 1:02}{of.number % 25 + 3:02}", _DATES),
    Kind("StudyTime", lambda of: f"{of.number % 24:02}{of.number % 59:02}{of.number % 48 + 11:02}.250000", _TIMES),
    Kind("PatientAge", lambda of: f"{of.number % 80 + 8:03}Y", _AS_IT_IS[:2]),
    Kind("InstitutionName", lambda _: "Sankt Gallus Spital Wipperfeld", _AS_IT_IS),
    Kind("InstitutionAddress", lambda of: f"{of.number + 3} Quellenhofstrasse, Oberkirchbach", _AS_IT_IS),
    Kind(
        "PatientAddress",
        lambda of: f"{of.number + 5} Larchmont Crescent\r\nBallyvaughan",
        (lambda t: t.split("\r")[0],),
    ),
    Kind(
        "PatientTelephoneNumbers",
        lambda of: f"+44 20 7946 {of.number:04}",
        (lambda t: t[1:], _number, lambda t: t.replace(" ", "-")),
    ),
    Kind("PatientComments", lambda _: "plays the zither in Ballyvaughan", _AS_IT_IS),
    Kind("StationName", lambda _: "WIPPERFELDMR", _AS_IT_IS),
    Kind("StudyDescription", lambda of: f"mail to j.{of.number}@wipperfeld.example", (lambda t: t[8:],)),
    Kind("StudyInstanceUID", lambda of: f"{_ROOT}.{of.number}.1", _AS_IT_IS[:1]),
    Kind("SeriesInstanceUID", lambda of: f"{_ROOT}.{of.number}.2", _AS_IT_IS[:1]),
    Kind("FrameOfReferenceUID", lambda of: f"{_ROOT}.{of.number}.4", _AS_IT_IS[:1]),
)


class Leak(NamedTuple):
    """One leak.

    Attributes:
        patient: Whose value is left.
        syntax: Of the file.
        keyword: Of the source's attribute.
        data: The bytes that are left.
        place: Where, by its name in ``PLACES``.
        depth: In how many sequences, where the place is an element.
        by_source: Whether the source has it there already, so that a sound editor carries it along.

    """

    patient: Patient
    syntax: Syntax
    keyword: str
    data: bytes
    place: str
    depth: int
    by_source: bool


ELEMENTS: Final = {
    "text": lambda data: (Element(0x00540400, "SH", data),),
    "long text": lambda data: (Element(0x00540400, "LT", b"seen at " + data + b" on the way"),),
    "unknown": lambda data: (Element(0x00540400, "UN", data),),
    "binary": lambda data: (Element(0x00540400, "OB", b"\x01\x02\xff\x03" + data + b"\x01\0\xfe\x02"),),
    "behind padding": lambda data: (Element(0x00540400, "LO", b"ok \0\0\0" + data),),
    "code meaning": lambda data: (Element(0x00080104, "LO", data),),
}
"""Elements that the profiles keep; the tag is ImageID's."""
_OTHERS: Final = ("preamble", "file meta", "trailing padding", "behind the end", "comment", "behind the image")
PLACES: Final = (*ELEMENTS, *_OTHERS)


def draw_leaks(count: int, seed: int, *, compressed: bool = True) -> list[Leak]:
    """Draw leaks: each class, notation, encoding, place and depth comes often.

    Args:
        count: How many.
        seed: Of the draw.
        compressed: Whether some files are compressed, of images that no codec reads.

    """
    draw = random.Random(seed)  # noqa: S311 (no secret)
    leaks: list[Leak] = []
    while len(leaks) < count:
        number = len(leaks)
        patient = Patient(number, *_NAMES[number % len(_NAMES)])
        kind = KINDS[(number // 2) % len(KINDS)]
        text = draw.choice(kind.written)(kind.value(patient))
        places = PLACES if compressed else [place for place in PLACES if place != "comment"]
        place = places[number % len(places)] if number % 3 else draw.choice(places)
        depth = draw.choice((0, 0, 1, 2, 5)) if place in ELEMENTS else 0
        if place == "code meaning":
            depth = max(depth, 1)
        data = _encoded(draw, text, patient, place)
        syntax = draw.choice((*UNCOMPRESSED, *COMPRESSED) if compressed else UNCOMPRESSED)
        if place == "comment":
            syntax = draw.choice(COMPRESSED)
        if place == "behind the image" and syntax is DEFLATED:
            syntax = EXPLICIT
        if data is None or (place == "behind the end" and syntax is DEFLATED):
            continue_with = _encoded(draw, text, patient, "text")
            place, data, depth = "text", continue_with, 0
        if data is None:
            place, data = "text", text.encode(patient.codec)
        by_source = place in ELEMENTS and bool(draw.getrandbits(1))
        leaks.append(Leak(patient, syntax, kind.keyword, data, place, depth, by_source))
    return leaks


def _encoded(draw: random.Random, text: str, patient: Patient, place: str) -> bytes | None:
    codecs = ["utf-8", patient.codec]
    if len(text) > 5:
        codecs += ["utf-16-le", "utf-16-be"]
    data = text.encode(draw.choice(codecs), "ignore")
    # What is short stands by chance where any bytes may stand: that the search leaves.
    is_long = sum(byte != 0 for byte in data) >= 8
    if (
        place
        in {"binary", "file meta", "trailing padding", "behind the end", "behind the image", "comment", "preamble"}
        and not is_long
    ):
        return None
    return data


def source_of(leak: Leak) -> bytes:
    """Return the source of a leak."""
    of = leak.patient
    values: dict[str, Any] = {
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.7",
        "SOPInstanceUID": f"{_ROOT}.{of.number}.3",
        "SpecificCharacterSet": of.character_set or None,
        **grey(),
        **{kind.keyword: kind.value(of) for kind in KINDS},
    }
    made = elements({key: value for key, value in values.items() if value is not None}, leak.syntax, of.codec)
    made.append(_pixels(leak.syntax, b""))
    if leak.by_source:
        made += _nested(leak)
    return file_bytes(sorted(made, key=lambda element: element.tag), leak.syntax)


def _nested(leak: Leak) -> tuple[Element, ...]:
    made: tuple[Element, ...] = ELEMENTS[leak.place](leak.data + b" " * (len(leak.data) % 2))
    made = tuple(Element(one.tag, one.vr, _even(one.value)) for one in made)
    for _ in range(leak.depth):
        made = (Element(0x00540220, "SQ", (Item(made),)),)  # ViewCodeSequence
    return made


def _even(value: Any) -> Any:
    return value + b"\0" * (len(value) % 2) if isinstance(value, bytes) else value


def _segment(marker: int, data: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def _pixels(syntax: Syntax, comment: bytes, tail: bytes = b"") -> Element:
    if syntax is JPEG:
        image = b"\xff\xd8" + _segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0") + _segment(0xFE, comment or b"none")
        image += _segment(0xDA, bytes(8)) + bytes(range(1, 64)) + b"\xff\xd9"
    elif syntax is JPEG_2000:
        image = b"\xff\x4f" + _segment(0x51, bytes(45)) + _segment(0x64, b"\0\1" + (comment or b"none"))
        image += b"\xff\x90" + bytes(10) + b"\xff\x93" + bytes(range(1, 64)) + b"\xff\xd9"
    else:
        return Element(0x7FE00010, "OW" if syntax is IMPLICIT else "OB", _even(bytes(range(64)) + tail))
    image += tail
    return encapsulated(image + b"\0" * (len(image) % 2))


def planted(leak: Leak, result: bytes) -> bytes:
    """Return a result with the leak in it; as it is where the editor has carried it along from the source."""
    if leak.place == "preamble":
        return leak.data[:128].ljust(128, b"\0") + result[128:]
    if leak.place == "file meta":
        return _with_meta(result, leak.data)
    syntax, data = leak.syntax, leak.data
    start = 144 + struct.unpack_from("<L", result, 140)[0]
    body = zlib.decompress(result[start:], -zlib.MAX_WBITS) if syntax.deflated else result[start:]
    if leak.by_source and leak.data in body:
        return result
    old = encode([_pixels(syntax, b"")], syntax)
    at = body.rindex(old)
    if leak.place in ELEMENTS:
        body = body[:at] + encode(_nested(leak), syntax) + body[at:]
    elif leak.place == "trailing padding":
        body += encode([Element(0xFFFCFFFC, "OB", _even(data))], syntax)
    elif leak.place == "behind the end":
        body += data
    else:
        comment, tail = (data, b"") if leak.place == "comment" else (b"", b"\0\0" + data)
        body = body[:at] + encode([_pixels(syntax, comment, tail)], syntax)
    if syntax.deflated:
        deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        body = deflater.compress(body) + deflater.flush()
        body += b"\0" * (len(body) % 2)
    return result[:start] + body


def _with_meta(result: bytes, data: bytes) -> bytes:
    own = encode([Element(0x00020102, "OB", _even(b"\0\0" + data))], EXPLICIT)
    end = 144 + struct.unpack_from("<L", result, 140)[0]
    return result[:140] + struct.pack("<L", end - 144 + len(own)) + result[144:end] + own + result[end:]
