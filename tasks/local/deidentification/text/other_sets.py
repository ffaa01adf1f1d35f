"""What of a text was written in another character set than the one that it was decoded by.

Many devices write Shift JIS, Big5, GBK or a code page of DOS and declare none of it. Decoded as Latin-1 these are
single letters, signs and controls, of which any is harmless and all of them are a name.

Public names: ``in_other_sets``.
"""

from __future__ import annotations

import re
from typing import Final

_PIECES: Final = re.compile(r"[^ \t\r\n\f\\]+")
_NOT_AS_PEOPLE_WRITE: Final = "(?<![0-9])[\xaa\xba]|(?<![A-Za-z])\xb4"
"""1a fase, 2o tempo; an accent in the place of an apostrophe."""
_ONE_OF_THEM: Final = re.compile(
    # No part of ISO 8859 has characters here; Windows has its apostrophe and its dash (patient's, T10-L5).
    "[\x1b\x80-\x91\x93-\x95\x97-\x9f\ufffd]|(?<![A-Za-z0-9])[\x92\x96]|[\x92\x96](?![A-Za-z0-9])"
    # Two signs in a row (but 31P), or one beside an accented letter, quotes apart: halves of characters.
    "|(?![\xb2\xb3\xb9]{2}(?![\xa1-\xff]))[\xa1-\xbf\xd7\xf7]{2}"
    f"|(?:[\xa2-\xa9\xac-\xb3\xb5-\xb9\xbc-\xbe\xd7\xf7]|{_NOT_AS_PEOPLE_WRITE})[\xc0-\xff]"
    "|[\xc0-\xff][\xa1-\xaa\xac-\xba\xbc-\xbf\xd7\xf7]"
    # A sign that nobody writes right behind or before a letter.
    "|[A-Za-z][\xa1-\xa3\xbf]"
    f"|(?:[\xa4-\xa8\xac\xad\xaf\xb6\xb8\xbc-\xbe]|{_NOT_AS_PEOPLE_WRITE})[@-~]"
)


def in_other_sets(text: str) -> list[tuple[int, int]]:
    """Return where such stretches begin and end, each between blanks: nothing in it can be told apart.

    Args:
        text: As it was decoded.

    """
    if text.isascii() and "\x1b" not in text:
        return []
    return [piece.span() for piece in _PIECES.finditer(text) if _ONE_OF_THEM.search(piece[0])]
