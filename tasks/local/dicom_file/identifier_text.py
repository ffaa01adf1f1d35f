"""PatientID as an Orthanc decodes it, since its identifiers are made of that, and what it drops, kept apart.

Orthanc 1.10.1 takes the first term of SpecificCharacterSet that is not empty, in any case of letters; any term that it
does not know is ASCII. With several terms escape sequences are dropped, and what stands between them is read in the
first one's set, each piece by itself.
Bytes that the set lacks are dropped, so that different PatientIDs can get one Orthanc ID. Here each such byte stands as
two characters that no text has (Unicode 15, 23.7: noncharacters), which ``core.identifiers`` passes over: the Orthanc
IDs are the server's, and the patients stay two. Source: seen on a real server, see docs/decisions/0011.

Public names: ``patient_id_text``.
"""

from __future__ import annotations

import codecs
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.dicom.identifiers import dropped_byte

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_ASCII: Final = "ascii"
_CODECS: Final = {
    "ISO_IR 100": "latin-1",
    "ISO_IR 101": "iso8859-2",
    "ISO_IR 109": "iso8859-3",
    "ISO_IR 110": "iso8859-4",
    "ISO_IR 144": "iso8859-5",
    "ISO_IR 127": "iso8859-6",
    "ISO_IR 126": "iso8859-7",
    "ISO_IR 138": "iso8859-8",
    "ISO_IR 148": "iso8859-9",
    "ISO_IR 166": "tis-620",
    "ISO_IR 13": "shift_jis",
    "ISO 2022 IR 87": "iso2022_jp_2",
    "ISO 2022 IR 149": "cp949",
    "ISO 2022 IR 58": "gb2312",
    "ISO_IR 192": "utf-8",
    "GB18030": "gb18030",
    "GBK": "gb18030",
}
_EXTENDED: Final = {
    f"ISO 2022 IR {term.removeprefix('ISO_IR ')}": codec
    for term, codec in _CODECS.items()
    if term.startswith("ISO_IR ") and codec != "utf-8"
}
_STATEFUL: Final = "iso2022_jp_2"
"""Whose escape sequences are needed."""

_ESCAPES: Final = re.compile(rb"\x1b[\x20-\x2f]+[\x30-\x7e]|\x1b[NOno|}~]|[\x0e\x0f]")
_JIS_ROMAN: Final = str.maketrans({"\\": "\u00a5", "~": "\u203e"})


def patient_id_text(terms: Sequence[str], raw: bytes) -> str:
    """Decode the value of a PatientID, without its padding.

    Args:
        terms: The values of SpecificCharacterSet.
        raw: The value up to a NUL.

    """
    codec = _codec(tuple(terms))
    if codec == _ASCII:
        return "".join([chr(byte) if 0x20 <= byte < 0x7F else dropped_byte(byte) for byte in raw])  # noqa: PLR2004
    if raw.isascii() and raw.isalnum():
        return raw.decode("ascii")  # most of them
    # What stands before an escape sequence and what stands behind it make no character together.
    pieces = _ESCAPES.split(raw) if len(terms) > 1 and codec != _STATEFUL else [raw]
    return "".join([_SPECIAL[codec](piece) if codec in _SPECIAL else piece.decode(codec, _DROP) for piece in pieces])


@lru_cache(maxsize=256)
def _codec(terms: tuple[str, ...]) -> str:
    for term in terms:
        name = term.strip().upper()
        if name:
            return _CODECS.get(name) or _EXTENDED.get(name, _ASCII)
    return "latin-1"


_DROP: Final = "deidflow-drop"


_PRIVATE_USE: Final = {
    chr(0xE000 + 94 * row + cell): bytes([lead, 0xA1 + cell])
    for row, lead in enumerate((0xC9, 0xFE))
    for cell in range(94)
}
_MORE_OF_949: Final = {raw: text for text, raw in _PRIVATE_USE.items()} | {b"\x80": "\x80", b"\xff": "\uf8f7"}
"""What the code page has for Windows and ICU beyond Python's codec: two rows for users, and two single bytes."""


def _drop(error: UnicodeError) -> tuple[str, int]:
    """Go on behind the first byte that cannot be decoded."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    data, start = error.object, error.start
    end = start + 1
    if error.encoding == "cp949":
        more = _MORE_OF_949.get(data[start : start + 2]) or _MORE_OF_949.get(data[start:end])
        if more:
            return more, start + (2 if more in _PRIVATE_USE else 1)
        if end < len(data) and 0x40 <= data[end] < 0xFF and data[end] != 0x7F:  # noqa: PLR2004 (ICU's trailing bytes)
            end += 1  # two bytes that could be a character, which is not assigned
    return "".join(map(dropped_byte, data[start:end])), end


codecs.register_error(_DROP, _drop)


def _of_utf_8(raw: bytes) -> str:
    """Decode UTF-8; a wrong byte inside a character goes with it."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        pass
    text, position = "", 0
    while position < len(raw):
        end = position + 1
        last = position + _trailing_bytes(raw[position])
        while end <= last and end < len(raw):
            end += 1
            if not 0x80 <= raw[end - 1] < 0xC0:  # noqa: PLR2004 (UTF-8's trailing bytes)
                break
        character = raw[position:end]
        try:
            text += character.decode("utf-8")
        except UnicodeDecodeError:
            text += "".join(map(dropped_byte, character))
        position = end
    return text


def _trailing_bytes(lead: int) -> int:
    return (0xC2 <= lead <= 0xF4) + (0xE0 <= lead <= 0xF4) + (0xF0 <= lead <= 0xF4)  # noqa: PLR2004 (Unicode, table 3-7)


def _of_tis_620(raw: bytes) -> str:
    pieces = [dropped_byte(byte) if 0x80 <= byte <= 0xA0 else bytes([byte]).decode("tis-620", _DROP) for byte in raw]  # noqa: PLR2004
    return "".join(pieces)


def _of_iso_2022_jp(raw: bytes) -> str:
    """Decode ISO 2022 IR 87; escapes and shifts that it does not know are dropped."""
    text = raw.decode(_STATEFUL, _DROP)
    return "".join([dropped_byte(ord(char)) if char in "\x1b\x0e\x0f" else char for char in text])


_SPECIAL: Final[dict[str, Callable[[bytes], str]]] = {
    "utf-8": _of_utf_8,
    "tis-620": _of_tis_620,
    "shift_jis": lambda raw: raw.decode("shift_jis", _DROP).translate(_JIS_ROMAN),
    _STATEFUL: _of_iso_2022_jp,
}
