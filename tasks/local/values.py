"""New values in the bytes of their value representation.

Source: DICOM PS3.5 section 6.2 (VRs, padding), 7.5 (sequences), edition 2026c; what Orthanc accepts: reference 2.4.

Public names: ``encode_element``, ``encode_value``, ``choose_vr``, ``data_uri``.
"""

from __future__ import annotations

import base64
import binascii
import re
import struct
from typing import TYPE_CHECKING, Final

from tasks.core.errors import InstanceFailed
from tasks.core.outcomes import ReasonCode
from tasks.core.tags import SPECIFIC_CHARACTER_SET, describe_tag, dictionary_vr, is_private, parse_tag
from tasks.local.character_sets import character_set
from tasks.local.encoding import ITEM, Encoding, element_header

if TYPE_CHECKING:
    from tasks.core.edits import Item, Value
    from tasks.local.character_sets import CharacterSet

_INTEGER_FORMATS: Final = {"US": "H", "SS": "h", "UL": "L", "SL": "l", "UV": "Q", "SV": "q"}
_FLOAT_FORMATS: Final = {"FL": "f", "FD": "d"}
_WORD_BYTES: Final = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}
_BINARY_PADDED: Final = frozenset({"OB", "UN", "UI"})
_INTEGER: Final = re.compile(r"[+-]?[0-9]+")
_DATA_URI: Final = "data:application/octet-stream;base64,"


def data_uri(text: str) -> bytes | None:
    """Return the bytes of ``data:application/octet-stream;base64,...``, or None for ordinary text.

    Raises:
        ValueError: What follows is no base64.

    """
    if not text.startswith(_DATA_URI):
        return None
    try:
        return base64.b64decode(text[len(_DATA_URI) :], validate=True)
    except binascii.Error:
        message = "the data URI holds no valid base64"
        raise ValueError(message) from None


def choose_vr(tag: int, present: str = "") -> str:
    """Return the VR that a new value is written with: the dictionary's, UN for private tags (as Orthanc does).

    Args:
        tag: The element.
        present: Its VR in the file, which decides where the dictionary names several (``US or SS``).

    """
    vr = dictionary_vr(tag) if not is_private(tag) or tag & 0xFFFF <= 0xFF else None  # noqa: PLR2004 (private creators)
    if vr is None:
        return "UN"
    choices = vr.split(" or ")
    return present if present in choices else choices[0]


def encode_value(tag: int, vr: str, text: str, charset: CharacterSet, encoding: Encoding) -> bytes:
    """Write text as the value of an element, padded to an even length.

    Args:
        tag: The element, named in errors.
        vr: Its VR, one that is no sequence.
        text: The new value, several joined by a backslash.
        charset: Of the dataset that holds the element.
        encoding: Of that dataset.

    Raises:
        InstanceFailed: The value does not fit the VR (bad-value) or the character set (character-set).

    """
    try:
        binary = data_uri(text)
        if binary is not None:
            return _padded_binary(binary, vr)
        if vr in _INTEGER_FORMATS:
            return b"".join(_integer(part, encoding.prefix + _INTEGER_FORMATS[vr]) for part in _values(text))
        if vr in _FLOAT_FORMATS:
            return b"".join(_float(part, encoding.prefix + _FLOAT_FORMATS[vr]) for part in _values(text))
        if vr == "AT":
            return b"".join(_tag_value(part, encoding) for part in text.split("\\")) if text.strip() else b""
    except (ValueError, OverflowError, struct.error):
        message = f"the new value of {describe_tag(tag)} cannot be written with VR {vr}"
        raise InstanceFailed(ReasonCode.BAD_VALUE, message) from None
    # What stands behind a NUL is lost and trailing blanks are padding, for Orthanc as for whoever reads the result.
    text = text.split("\0", 1)[0].rstrip(" ")
    if vr == "UI":
        text = text.replace(" ", "")
    data = charset.encode(text, is_person_name=vr == "PN")
    if len(data) % 2:
        data += b"\0" if vr in _BINARY_PADDED or vr in _WORD_BYTES else b" "
    return data


def _padded_binary(data: bytes, vr: str) -> bytes:
    if len(data) % _WORD_BYTES.get(vr, 1):
        raise ValueError
    if len(data) % 2:
        data += b"\0" if vr in _BINARY_PADDED else b" "
    return data


def _values(text: str) -> list[str]:
    return text.split("\\") if text else []


def _integer(text: str, number_format: str) -> bytes:
    if not _INTEGER.fullmatch(text):
        raise ValueError
    number = int(text)
    if number < 0 and number_format[1].isupper():
        # As Orthanc's lexical_cast does: -1 is the greatest number of an unsigned VR.
        number += 1 << 8 * struct.calcsize(number_format)
    return struct.pack(number_format, number)


def _float(text: str, number_format: str) -> bytes:
    if text != text.strip() or "_" in text or not text.isascii():
        raise ValueError
    return struct.pack(number_format, float(text))


def _tag_value(text: str, encoding: Encoding) -> bytes:
    tag = parse_tag(text)
    return struct.pack(f"{encoding.prefix}HH", tag >> 16, tag & 0xFFFF)


def encode_element(tag: int, value: Value, charset: CharacterSet, encoding: Encoding, present: str = "") -> bytes:
    """Write a whole element with its header.

    Args:
        tag: The element.
        value: Text or the items of a sequence.
        charset: Of the dataset that holds the element.
        encoding: Of that dataset.
        present: VR of the element in the file, "" when it is new.

    Raises:
        InstanceFailed: The value cannot be written.

    """
    if isinstance(value, tuple):
        vr = "SQ"
        data = b"".join(_encode_item(item, charset, encoding) for item in value)
    else:
        vr = choose_vr(tag, present)
        data = b"" if vr == "SQ" else encode_value(tag, vr, value, charset, encoding)
    try:
        return element_header(tag, vr, len(data), encoding) + data
    except OverflowError as error:
        raise InstanceFailed(ReasonCode.BAD_VALUE, f"{describe_tag(tag)}: {error}") from None


def _encode_item(item: Item, charset: CharacterSet, encoding: Encoding) -> bytes:
    pieces = []
    for tag, value in item:
        if tag == SPECIFIC_CHARACTER_SET and isinstance(value, str):
            charset = character_set(value.encode("ascii", "replace"))
        pieces.append(encode_element(tag, value, charset, encoding))
    data = b"".join(pieces)
    return encoding.tag_length.pack(ITEM >> 16, ITEM & 0xFFFF, len(data)) + data
