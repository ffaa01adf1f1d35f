"""Private elements named by their creator: ``0029,"SIEMENS CSA HEADER",10``.

Private blocks are handed out in order of arrival (PS3.5 section 7.8.1, edition 2026c): what is (0029,1010) in one file
is (0029,1110) in the next, and (0029,1010) there belongs to somebody else. The creator and the element inside the block
name the same thing in all of them.

Such a name travels as a number, like any tag: the group and the element in block 10, and above these 32 bits the
creator's characters. So it is equal to no element's tag, and equal to every other spelling of the same name.

Public names: ``creator_of``, ``private_tag``, ``in_block``, ``creator_element``, ``is_creator``,
``is_private_number``, ``parse_private``, ``format_private``, ``split_outside_quotes``.
"""

from __future__ import annotations

import re
from typing import Final

from deidflow.tasks.core.errors import BadText

_TAG_BITS: Final = 32
_TAG_MASK: Final = (1 << _TAG_BITS) - 1
_FIRST_BLOCK: Final = 0x10
_LAST_BLOCK: Final = 0xFF
_FIRST_PRIVATE_GROUP: Final = 0x0009
_LAST_PRIVATE_GROUP: Final = 0xFFFD
_MAX_CREATOR_CHARACTERS: Final = 64
"""Of a value with VR LO (PS3.5 section 6.2)."""

_SPELLING: Final = re.compile(r'\(?([0-9a-fA-F]{1,4}),\s*"((?:[^"]|"")*)"\s*,\s*([0-9a-fA-F]{1,2})\)?')
_GOOD: Final = 'a private element is named by group, creator and element within its block: 0029,"SIEMENS CSA HEADER",10'


def creator_of(tag: int) -> str:
    """Return the creator of a private element named by it, "" for a tag in plain numbers."""
    number = tag >> _TAG_BITS
    return number.to_bytes((number.bit_length() + 7) // 8, "big").decode()


def private_tag(tag: int, creator: str) -> int:
    """Return the number of a private element named by its creator, from its plain tag in any block."""
    return int.from_bytes(creator.encode(), "big") << _TAG_BITS | in_block(tag, _FIRST_BLOCK)


def in_block(tag: int, block: int) -> int:
    """Return the plain tag of an element named by its creator, in a block from 0x10 to 0xFF."""
    return tag & 0xFFFF00FF | block << 8


def creator_element(tag: int) -> int:
    """Return the plain tag of the element that reserves the block of a private element.

    >>> f"{creator_element(0x00291110):08x}"
    '00290011'
    """
    return tag & 0xFFFF0000 | tag >> 8 & 0xFF


def is_creator(tag: int) -> bool:
    """Whether a plain tag is that of an element that reserves a private block."""
    return bool(tag & 0x10000) and _FIRST_BLOCK <= tag & 0xFFFF <= _LAST_BLOCK


def is_private_number(tag: int) -> bool:
    """Whether a plain tag is that of a private element inside a block: one that says nothing of its creator."""
    return tag <= _TAG_MASK and bool(tag & 0x10000) and tag & 0xFFFF >= _FIRST_BLOCK << 8


def parse_private(text: str) -> int | None:
    """Read a private element named by its creator.

    Args:
        text: ``0029,"SIEMENS CSA HEADER",10``; the group has up to four hexadecimal digits, the element one or two. A
            quotation mark of the creator itself is doubled; blanks around the creator do not count (VR LO).

    Returns:
        Its number, None for a text without quotation mark, which is another kind of tag.

    Raises:
        BadText: It has a quotation mark and is no such name.

    """
    if '"' not in text:
        return None
    match = _SPELLING.fullmatch(text.strip())
    if match is None:
        raise BadText(_GOOD)
    group, creator, element = int(match[1], 16), match[2].replace('""', '"').strip(), int(match[3], 16)
    if not group % 2 or not _FIRST_PRIVATE_GROUP <= group <= _LAST_PRIVATE_GROUP:
        message = f"the group of a private element must be odd, from 0009 to FFFD; {_GOOD}"
        raise BadText(message)
    if not creator or len(creator) > _MAX_CREATOR_CHARACTERS or "\\" in creator or not creator.isprintable():
        message = f"a private creator must be 1 to {_MAX_CREATOR_CHARACTERS} characters without backslash; {_GOOD}"
        raise BadText(message)
    return private_tag(group << 16 | element, creator)


def format_private(tag: int) -> str:
    """Return the canonical spelling of a private element named by its creator.

    >>> format_private(parse_private('0029,"SIEMENS CSA HEADER",a'))
    '0029,"SIEMENS CSA HEADER",0a'
    """
    creator = creator_of(tag).replace('"', '""')
    return f'{tag >> 16 & 0xFFFF:04x},"{creator}",{tag & 0xFF:02x}'


def split_outside_quotes(text: str, separator: str) -> list[str]:
    """Split at a character, but not inside quotation marks; an unmatched one reaches to the end."""
    if '"' not in text:
        return text.split(separator)
    parts, quoted = [""], False
    for character in text:
        quoted ^= character == '"'
        if character == separator and not quoted:
            parts.append("")
        else:
            parts[-1] += character
    return parts
