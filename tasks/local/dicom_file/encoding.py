"""How data elements stand in a byte stream: byte order, explicit or implicit VR, and the lengths of their headers.

Source: DICOM PS3.5 sections 7.1 (element structure), 7.5 (sequences) and annex A (transfer syntaxes), edition 2026c.

Public names: ``Encoding``, ``IMPLICIT_LITTLE``, ``EXPLICIT_LITTLE``, ``EXPLICIT_BIG``, ``encoding_of``,
``is_deflated``, ``is_uncompressed``, ``stores_fragments``, ``element_header``, ``item_header``, ``SHORT_VRS``,
``LONG_VRS``, ``UNDEFINED``, item tags, and transfer syntaxes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from struct import Struct
from typing import Final

UNDEFINED: Final = 0xFFFFFFFF
"""The length of a sequence, item or encapsulated value that ends with a delimiter."""

DELIMITER_GROUP: Final = 0xFFFE
ITEM: Final = 0xFFFEE000
ITEM_DELIMITER: Final = 0xFFFEE00D
SEQUENCE_DELIMITER: Final = 0xFFFEE0DD

SHORT_VRS: Final = {
    vr.encode(): vr
    for vr in "AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US".split()  # noqa: SIM905
}
"""VRs with a length of 16 bits (PS3.5 table 7.1-2)."""

LONG_VRS: Final = {vr.encode(): vr for vr in "OB OD OF OL OV OW SQ SV UC UN UR UT UV".split()}  # noqa: SIM905
"""VRs with two reserved bytes and a length of 32 bits (PS3.5 table 7.1-1)."""

MAX_SHORT_LENGTH: Final = 0xFFFE


@dataclass(frozen=True, slots=True, eq=False)
class Encoding:
    """One way to write elements.

    Attributes:
        explicit: Whether the VR stands in the stream.
        little: Whether numbers are little endian.
        prefix: "<" or ">", for the struct module.
        tag_vr_length: Reader of group, element, VR and 16-bit length.
        tag_length: Reader of group, element and 32-bit length (implicit VR, and items in any encoding).
        long_length: Reader of a 32-bit number.

    """

    explicit: bool
    little: bool
    prefix: str = field(init=False)
    tag_vr_length: Struct = field(init=False, repr=False)
    tag_length: Struct = field(init=False, repr=False)
    long_length: Struct = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Compile the readers once."""
        prefix = "<" if self.little else ">"
        object.__setattr__(self, "prefix", prefix)
        object.__setattr__(self, "tag_vr_length", Struct(f"{prefix}HH2sH"))
        object.__setattr__(self, "tag_length", Struct(f"{prefix}HHL"))
        object.__setattr__(self, "long_length", Struct(f"{prefix}L"))

    def __reduce__(self) -> tuple[type[Encoding], tuple[bool, bool]]:
        """Travel between processes without the compiled readers."""
        return Encoding, (self.explicit, self.little)


IMPLICIT_LITTLE: Final = Encoding(explicit=False, little=True)
EXPLICIT_LITTLE: Final = Encoding(explicit=True, little=True)
EXPLICIT_BIG: Final = Encoding(explicit=True, little=False)

IMPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2"
EXPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2.1"
EXPLICIT_VR_BIG_ENDIAN: Final = "1.2.840.10008.1.2.2"
DEFLATED: Final = "1.2.840.10008.1.2.1.99"

GE_BIG_ENDIAN_PIXELS: Final = "1.2.840.113619.5.2"
"""Differs from implicit little endian in the byte order of pixels only, which no edit touches."""

_IMPLICIT: Final = frozenset({IMPLICIT_VR_LITTLE_ENDIAN, GE_BIG_ENDIAN_PIXELS})
# JPIP referenced deflate and HTJ2K with JPIP referenced deflate (PS3.5 A.7 and A.12).
_DEFLATED: Final = frozenset({DEFLATED, "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205"})
_JPIP: Final = frozenset(f"1.2.840.10008.1.2.4.{number}" for number in (94, 95, 204, 205))
"""Pixels stand on a server, not in the file (PS3.5 A.6, A.7, A.11, A.12)."""

_ENCAPSULATED: Final = ("1.2.840.10008.1.2.4.", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.8.")
"""JPEG, MPEG and their kin, RLE, deflated frames."""

_UNCOMPRESSED: Final = frozenset({*_IMPLICIT, EXPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN, DEFLATED})


def encoding_of(transfer_syntax: str) -> Encoding:
    """Return how the dataset is written in a transfer syntax (after inflating, where it is deflated).

    Every compressed and every private syntax but GE's uses explicit VR little endian (PS3.5 A.4).
    """
    if transfer_syntax in _IMPLICIT:
        return IMPLICIT_LITTLE
    return EXPLICIT_BIG if transfer_syntax == EXPLICIT_VR_BIG_ENDIAN else EXPLICIT_LITTLE


def is_deflated(transfer_syntax: str) -> bool:
    """Whether the whole dataset is one raw deflate stream (PS3.5 A.5)."""
    return transfer_syntax in _DEFLATED


def is_uncompressed(transfer_syntax: str) -> bool:
    """Whether pixel data is native, not encapsulated."""
    return transfer_syntax in _UNCOMPRESSED


def stores_fragments(transfer_syntax: str) -> bool:
    """Whether pixel data is encapsulated for certain: not in a private syntax, which may have it either way."""
    return transfer_syntax.startswith(_ENCAPSULATED) and transfer_syntax not in _JPIP


@lru_cache(maxsize=4096)
def element_header(tag: int, vr: str, length: int, encoding: Encoding) -> bytes:
    """Write the header of an element.

    Args:
        tag: The element.
        vr: Its VR; not written in implicit encodings.
        length: Of the value in bytes, or UNDEFINED.
        encoding: How to write it.

    Raises:
        OverflowError: A VR with a 16-bit length cannot hold the value.

    """
    group, element = tag >> 16, tag & 0xFFFF
    if not encoding.explicit:
        return encoding.tag_length.pack(group, element, length)
    raw_vr = vr.encode("ascii")
    if raw_vr in SHORT_VRS:
        if length > MAX_SHORT_LENGTH:
            message = f"a value of VR {vr} holds at most {MAX_SHORT_LENGTH} bytes"
            raise OverflowError(message)
        return encoding.tag_vr_length.pack(group, element, raw_vr, length)
    return encoding.tag_vr_length.pack(group, element, raw_vr, 0) + encoding.long_length.pack(length)


def item_header(tag: int, length: int, encoding: Encoding) -> bytes:
    """Write the header of an item, or a delimiter, whose length is 0; it is the same in explicit and implicit VR."""
    return encoding.tag_length.pack(tag >> 16, tag & 0xFFFF, length)
