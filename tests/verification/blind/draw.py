"""Leaks drawn without a look at the search that is to find them.

Public names: ``Leak``, ``draw_leaks``, ``source_of``, ``identifiers_of``, ``result_with``, ``in_charset``, ``written``,
``holding``, ``carried``, ``OWN``.
"""

from __future__ import annotations

import random
import warnings
from typing import Final, NamedTuple

from pydicom import charset as character_sets
from pydicom import datadict
from pydicom.valuerep import PersonName

from tests.dicom_files import EXPLICIT, Element, Syntax, elements, file_bytes, grey
from tests.verification.blind import names, places, values
from tests.verification.blind.names import NAMES, Name
from tests.verification.blind.profiles import attributes, kept

ROOT: Final = "1.2.826.0.1.3680043.97"
OWN: Final = "its own attribute"
"""The place of a leak that is put back where cleaning took it out."""
_BYTES: Final = (
    *("declared",) * 6,
    "utf-8",
    "utf-8",
    "latin-1",
    "cp1252",
    "utf-16-le",
    "utf-16-be",
    "utf-16 with its mark",
)


class Leak(NamedTuple):
    """Something of a source that is left in its result.

    Attributes:
        number: Which instance, each one a patient.
        who: The patient.
        keyword: The attribute that is to go.
        kind: Its class, see ``values.class_of``.
        value: Its bytes in the source.
        above: The sequences in which it stands there, the innermost first.
        left: The bytes that stand in the result.
        place: Where.
        elements: What holds them, where the place is an element.
        syntax: How the file is written.
        charset: What it declares.
        label: How the value is written, in words.
        also: What else of the source holds the value: keyword and bytes.

    """

    number: int
    who: Name
    keyword: str
    kind: str
    value: bytes
    above: tuple[int, ...]
    left: bytes
    place: str
    elements: list[Element]
    syntax: Syntax
    charset: str
    label: str
    also: tuple[str, bytes] = ("", b"")


def identifiers_of(number: int, run: int) -> tuple[str, str, str, str]:
    """Return PatientID and the three UIDs of an instance."""
    own = f"{ROOT}.{run}.{number + 1}"
    return f"ZQ{run:05}X{number:03}", f"{own}.1", f"{own}.2", f"{own}.3"


def in_charset(text: str, charset: str, *, person: bool) -> bytes | None:
    """Return a text in the character set of its file as pydicom writes it; None where that has not all its letters."""
    encodings = character_sets.convert_encodings(charset.split("\\") if charset else ["ISO_IR 6"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            if person:
                data = PersonName(text).encode(encodings)
            else:
                data = b"\r\n".join(character_sets.encode_string(line, encodings) for line in text.split("\r\n"))
            back = character_sets.decode_bytes(data, encodings, set(b"\r\n^="))
        except (UnicodeError, LookupError, UserWarning):
            return None
    return data if back == text else None


def written(text: str, charset: str, place: str, draw: random.Random) -> tuple[bytes, str]:
    """Return a text in the declared or in another encoding, and which."""
    raw = place in {
        "blob",
        "nested blob",
        "preamble",
        "meta private",
        "trailing padding",
        "trailing bytes",
        "private OB",
        "private OB table",
        "private UN",
    }
    raw |= place in places.IN_FRAMES or place == "overlay bits in an item"
    choices = _BYTES if raw else ("declared",) * 5 + ("utf-8", "latin-1")
    codec = draw.choice(choices)
    if codec == "declared" and (data := in_charset(text, charset, person=False)) is not None:
        return data, codec
    try:
        return (text.encode("utf-16") if "mark" in codec else text.encode(codec)), codec
    except (UnicodeError, LookupError):
        return text.encode(), "utf-8"


def _value(kind: str, draw: random.Random, uid: str, who: Name, *, beyond: bool) -> tuple[str, str, str]:
    """Return what the source holds, what is left of it, and how that is written."""
    if kind in {"patient", "person"}:
        if beyond:
            label = draw.choice(list(names.BEYOND))
            return who.text, names.BEYOND[label](who), label
        return who.text, *names.written(who, draw)
    value, of = values.made(kind, draw, uid)
    if beyond:
        label = draw.choice(list(values.BEYOND[kind]))
        return value.text, values.BEYOND[kind][label](of), label
    return value


def draw_leaks(count: int, profile: str, seed: int, *, private: bool = False, beyond: bool = False) -> list[Leak]:
    """Return leaks.

    Args:
        count: How many.
        profile: ``2008`` to ``2023b``, or ``ps3.15-2026d``.
        seed: The same one gives the same leaks.
        private: In private elements, else everywhere else.
        beyond: Written as nobody expects a search to find it.

    """
    draw = random.Random(f"{seed} {profile} {private} {beyond}")  # noqa: S311 (no secret)
    table = attributes(profile)
    table = {"patient": [("PatientName", "PN")], **table}
    kinds = [
        kind for kind in table if kind != "cleaned" and (not beyond or kind in {"patient", "person", *values.BEYOND})
    ]
    weights = [3 if kind in {"patient", "person", "date", "identifier"} else 1 for kind in kinds]
    leaks: list[Leak] = []
    while len(leaks) < count:
        leak = _leak(len(leaks), draw, draw.choices(kinds, weights)[0], profile, seed, private=private, beyond=beyond)
        if not clashes(leak):
            leaks.append(leak)
    return leaks


def _leak(number: int, draw: random.Random, kind: str, profile: str, run: int, *, private: bool, beyond: bool) -> Leak:
    keyword, vr = draw.choice({"patient": [("PatientName", "PN")], **attributes(profile)}[kind])
    place = draw.choice(places.PRIVATE_PLACES if private else places.PLACES)
    syntax = places.IN_FRAMES.get(place) or draw.choice(places.SYNTAXES)
    if place in {"UN text", "UN sequence", "UN sequence, no length", "private UN"}:
        syntax = EXPLICIT
    who, other = draw.sample(NAMES, 2)
    of = other if kind == "person" else who
    charset = of.charset
    uid = f"1.2.826.0.1.3680043.96.{draw.randrange(10**9)}.{number}"
    text, left, label = _value(kind, draw, uid, of, beyond=beyond)
    data = in_charset(text, charset, person=kind in {"patient", "person"})
    if data is None:
        charset = "ISO_IR 192"
        data = text.encode()
    if in_charset(who.text, charset, person=True) is None:
        who = NAMES[4] if of is NAMES[0] else NAMES[0]
    where = charset
    if place == "item with its own character set":
        where = "ISO_IR 192" if charset != "ISO_IR 192" else "GB18030"
    held, codec = written(left, where, place, draw)
    elements_ = holding(place, held, where, profile, draw)
    above = (
        ()
        if kind == "patient" or draw.random() < 0.6
        else (draw.choice((*places.KEPT_SEQUENCES, *places.GOING_SEQUENCES)),)
    )
    if keyword in {"PatientID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"}:
        above = (0x00089215,)
    pad = b"\0" if vr == "UI" else b" "
    return Leak(
        number,
        who,
        keyword,
        kind,
        data + pad * (len(data) % 2),
        above,
        held,
        place,
        elements_,
        syntax,
        charset,
        f"{label}; {codec}",
    )


def holding(place: str, data: bytes, charset: str, profile: str, draw: random.Random) -> list[Element]:
    """Return the elements that hold some bytes in a place; none where it is no element."""
    if place in places.FILE_PLACES:
        return [Element(0xFFFCFFFC, "OB", data + b" " * (len(data) % 2))] if place == "trailing padding" else []
    if place in places.IN_FRAMES:
        return [places.pixels(place, data)]
    tag, vr = draw.choice(kept(profile))
    if place == "item with its own character set":
        declared = Element(0x00080005, "CS", charset.encode() + b" " * (len(charset) % 2))
        return [
            places.nested(
                (declared, Element(tag, vr, data + b" " * (len(data) % 2))), (draw.choice(places.KEPT_SEQUENCES),)
            )
        ]
    return places.elements_of(place, tag, vr, data, draw)


def source_of(leak: Leak, run: int, *, brought: bool) -> bytes:
    """Return a source that has the value, and with ``brought`` what is left of it.

    Args:
        leak: Whose.
        run: See ``identifiers_of``.
        brought: The place of the leak is in the source.

    """
    patient, study, series, sop = identifiers_of(leak.number, run)
    image = grey()
    pixels = Element(0x7FE00010, "OB", bytes(range(64)))
    if leak.place in places.IN_FRAMES:
        image = places.frame(leak.syntax.uid)[1] if leak.syntax.uid in places.FRAMES else image
        pixels = places.pixels(leak.place, b"")
        if not leak.place.startswith(("behind", "offset", "RLE")):
            pixels = Element(0x7FE00010, "OB", (b"", places.frame(leak.syntax.uid)[0]))
    made = elements(
        image
        | {
            "SOPClassUID": "1.2.840.10008.5.1.4.1.1.7",
            "SOPInstanceUID": sop,
            "StudyInstanceUID": study,
            "SeriesInstanceUID": series,
            "PatientID": patient,
            "Modality": "OT",
            "ConversionType": "WSD",
            "StudyDate": "",
            "AccessionNumber": "",
        },
        leak.syntax,
    )
    if leak.charset:
        made.append(Element(0x00080005, "CS", leak.charset.encode() + b" " * (len(leak.charset) % 2)))
    name = (
        leak.value.rstrip() if leak.kind == "patient" else in_charset(leak.who.text, leak.charset, person=True) or b""
    )
    made.append(Element(0x00100010, "PN", name + b" " * (len(name) % 2)))
    own = carried(leak.keyword, leak.value, leak.above)
    if leak.also[0]:
        made.append(
            Element(datadict.tag_for_keyword(leak.also[0]) or 0, datadict.dictionary_VR(leak.also[0]), leak.also[1])
        )
    made = [one for one in made if one.tag != own.tag] if leak.kind != "patient" else made
    parts = {one.tag: one for one in made}
    own_elements = [] if leak.kind == "patient" else [own]
    for one in own_elements + (leak.elements if brought and leak.place != OWN else []):
        before = parts.get(one.tag)
        both = before is not None and before.vr == one.vr == "SQ"
        parts[one.tag] = before._replace(value=(*before.value, *one.value)) if before and both else one
    parts.setdefault(0x7FE00010, pixels)
    return file_bytes(sorted(parts.values(), key=lambda one: one.tag), leak.syntax)


def carried(keyword: str, data: bytes, above: tuple[int, ...]) -> Element:
    """Return an attribute with a value of an even number of bytes, inside sequences, the innermost first."""
    own = Element(datadict.tag_for_keyword(keyword) or 0, datadict.dictionary_VR(keyword), data)
    content = (Element(0x0040A010, "CS", b"CONTAINS"), Element(0x0040A040, "CS", b"TEXT"))
    return places.nested((*content, own) if keyword == "TextValue" else (own,), above) if above else own


def clashes(leak: Leak) -> bool:
    """Tell whether a leak would overwrite the attribute that it is of, or one that identifies the instance."""
    own = datadict.tag_for_keyword(leak.keyword) if not leak.above else leak.above[-1]
    return leak.place != OWN and any(one.tag == own and one.vr != "SQ" for one in leak.elements)


def result_with(leak: Leak, data: bytes) -> bytes:
    """Return a result with the leak in it; as it is, where it has it already."""
    if leak.place in (OWN, *places.ELEMENT_PLACES, *places.PRIVATE_PLACES) and places.holds(
        data, leak.left, leak.syntax
    ):
        return data
    if leak.place in places.IN_FRAMES and places.holds(data, leak.left, leak.syntax):
        return data
    return places.put_into_result(data, leak.place, leak.elements, leak.left, leak.syntax)
