"""New values in the bytes of their value representation.

Source: DICOM PS3.5 section 6.2 (VRs, padding), 7.5 (sequences), edition 2026c; what Orthanc accepts: docs/orthanc.md,
Values.

Public names: ``encode_element``, ``encode_items``, ``encode_value``, ``choose_vr``, ``NUMBER_VRS``.
"""

from __future__ import annotations

import math
import re
import struct
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.dicom.tags import (
    ENCAPSULATED_DOCUMENT,
    IDENTIFIERS,
    PIXEL_DATA,
    SPECIFIC_CHARACTER_SET,
    describe_tag,
    dictionary_vr,
    is_computed,
    is_private,
    parse_tag,
)
from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.core.request.data_uris import pdf_of
from deidflow.tasks.core.request.edits import decode_data_uri
from deidflow.tasks.local.dicom_file.character_sets import character_set
from deidflow.tasks.local.dicom_file.encoding import ITEM, MAX_SHORT_LENGTH, SHORT_VRS, Encoding, element_header

if TYPE_CHECKING:
    from collections.abc import Iterable

    from deidflow.tasks.core.request.edits import Item, Value
    from deidflow.tasks.local.dicom_file.character_sets import CharacterSet

_INTEGER_FORMATS: Final = {"US": "H", "SS": "h", "UL": "L", "SL": "l", "UV": "Q", "SV": "q", "OL": "L", "OV": "Q"}
_FLOAT_FORMATS: Final = {"FL": "f", "FD": "d", "OF": "f", "OD": "d"}
NUMBER_VRS: Final = frozenset({*_INTEGER_FORMATS, *_FLOAT_FORMATS, "AT"})
"""VRs whose values are binary numbers."""

_BYTE_VRS: Final = frozenset({"OB", "UN"})
_OVERLAY_DATA: Final = 0x60003000
_EMBEDDED: Final = re.compile(r"data:[^;,]*;base64,")
_INTEGER: Final = re.compile(r"[+-]?[0-9]+")


def choose_vr(tag: int) -> str:
    """Return the VR that a new value is written with: the dictionary's, UN for private tags (as Orthanc does).

    Where the dictionary names several, DCMTK's choice: US for ``US or SS``, OW for pixels, overlays and lookup tables,
    OB for the rest.
    """
    vr = dictionary_vr(tag) if not is_private(tag) or tag & 0xFFFF <= 0xFF else None  # noqa: PLR2004 (private creators)
    if vr is None:
        return "UN"
    if " or " not in vr:
        return vr
    if vr == "OB or OW":
        return "OW" if tag == PIXEL_DATA or tag & 0xFF00FFFF == _OVERLAY_DATA else "OB"
    return "OW" if vr.endswith(" or OW") else vr[:2]


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
        binary = decode_data_uri(text)
        if vr in _INTEGER_FORMATS or vr in _FLOAT_FORMATS:
            return _numbers(text, binary, vr, encoding)
        if vr == "AT":
            return b"".join(_tag_value(part, encoding) for part in _values(text))
        if tag == ENCAPSULATED_DOCUMENT and _EMBEDDED.match(text):
            return _padded(_document(text), vr)
        if tag == PIXEL_DATA and binary is None:
            raise ValueError  # noqa: TRY301 (text; or an image, which engine local does not decode)
        if vr == "OW" and binary is None and (dictionary_vr(tag) or "").startswith("US or "):
            return _numbers(text, None, "US", encoding)
        if vr == "OW":
            return _words(tag, text.encode("utf-8") if binary is None else binary, encoding)
    except (ValueError, OverflowError, struct.error):
        message = f"the new value of {describe_tag(tag)} cannot be written with VR {vr}"
        raise InstanceFailed(ReasonCode.BAD_VALUE, message) from None
    if vr == "UI":
        text = "".join(text.split())
    data = charset.encode(text, is_person_name=vr == "PN") if binary is None else binary
    if vr not in _BYTE_VRS:
        # What stands behind a NUL is lost and trailing blanks are padding, for Orthanc as for whoever reads the result.
        data = data.split(b"\0", 1)[0].rstrip(b" ")
    return _padded(data, vr)


def _document(text: str) -> bytes:
    """Return the PDF of a data URI; of anything else Orthanc makes another object, or refuses it."""
    document = pdf_of(text)
    if document is None:
        raise ValueError
    return document


def _padded(data: bytes, vr: str) -> bytes:
    if len(data) % 2:
        return data + (b"\0" if vr in ("UI", "OW") or vr in _BYTE_VRS else b" ")
    return data


def _words(tag: int, data: bytes, encoding: Encoding) -> bytes:
    """Return the bytes of an OW value; what is given are little-endian words."""
    if len(data) % 2 and tag != PIXEL_DATA:
        raise ValueError
    words = bytearray(_padded(data, "OW"))
    if not encoding.little:
        words[::2], words[1::2] = words[1::2], words[::2]
    return bytes(words)


def _values(text: str) -> list[str]:
    return text.split("\\") if text else []


def _numbers(text: str, binary: bytes | None, vr: str, encoding: Encoding) -> bytes:
    """Return numbers written as text; in a data URI, too."""
    if binary is not None:
        if not binary:
            raise ValueError
        text = binary.decode("latin-1")
    if vr in _FLOAT_FORMATS:
        return b"".join(_float(part, encoding.prefix + _FLOAT_FORMATS[vr]) for part in _values(text))
    return b"".join(_integer(part, encoding.prefix + _INTEGER_FORMATS[vr]) for part in _values(text))


def _integer(text: str, number_format: str) -> bytes:
    if not _INTEGER.fullmatch(text):
        raise ValueError
    number = int(text)
    if number < 0 and number_format[1].isupper():
        # As Orthanc does (lexical_cast): -1 is the greatest number of an unsigned VR.
        modulus = 1 << 8 * struct.calcsize(number_format)
        number = number + modulus if number > -modulus else number
    return struct.pack(number_format, number)


def _float(text: str, number_format: str) -> bytes:
    if text != text.strip() or "_" in text or not text.isascii():
        raise ValueError
    number = float(text)
    if math.isinf(number) and "inf" not in text.lower():
        raise ValueError
    return struct.pack(number_format, number)


def _tag_value(text: str, encoding: Encoding) -> bytes:
    if "(" in text or (len(text) > len(text.strip()) and "," not in text and "-" not in text):
        raise ValueError
    tag = parse_tag(text)
    return struct.pack(f"{encoding.prefix}HH", tag >> 16, tag & 0xFFFF)


def encode_element(tag: int, value: Value, charset: CharacterSet, encoding: Encoding) -> bytes:
    """Write a whole element with its header.

    Args:
        tag: The element.
        value: Text or the items of a sequence.
        charset: Of the dataset that holds the element.
        encoding: Of that dataset.

    Raises:
        InstanceFailed: The value cannot be written.

    """
    if isinstance(value, tuple):
        vr = choose_vr(tag)
        if vr != "SQ":
            raise InstanceFailed(ReasonCode.BAD_VALUE, f"items for {describe_tag(tag)}, which is no known sequence")
        data = encode_items(value, charset, encoding)
    else:
        vr = choose_vr(tag)
        data = b"" if vr == "SQ" else encode_value(tag, vr, value, charset, encoding)
    if len(data) > MAX_SHORT_LENGTH and vr.encode() in SHORT_VRS:
        if tag in IDENTIFIERS:
            raise InstanceFailed(ReasonCode.BAD_VALUE, f"the new value of {describe_tag(tag)} is too long")
        vr = "UN"  # PS3.5 section 6.2.2, note 2: what is too long for the length field of its VR
    return element_header(tag, vr, len(data), encoding) + data


def encode_items(items: Iterable[Item], charset: CharacterSet, encoding: Encoding) -> bytes:
    """Write the items of a sequence, as ``encode_element`` does.

    Raises:
        InstanceFailed: A value cannot be written.

    """
    return b"".join(_encode_item(item, charset, encoding) for item in items)


def _encode_item(item: Item, charset: CharacterSet, encoding: Encoding) -> bytes:
    pieces = []
    for tag, value in item:
        if is_computed(tag):
            continue
        if tag == SPECIFIC_CHARACTER_SET and isinstance(value, str):
            charset = character_set(value.encode("ascii", "replace"))
        pieces.append(encode_element(tag, value, charset, encoding))
    data = b"".join(pieces)
    return encoding.tag_length.pack(ITEM >> 16, ITEM & 0xFFFF, len(data)) + data
