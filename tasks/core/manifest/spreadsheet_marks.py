"""What spreadsheets leave in cells in place of what was typed, or meant, there.

Microsoft Excel and LibreOffice Calc write the error of a formula into the CSV file as its text, in the language of the
program, and a long number that stands in a column without the format "text" as ``1,23E+11``: its last digits are gone.
What is copied from a page or a mail brings characters along that nobody sees, and that no list of subjects has.

Public names: ``damage``.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_ERROR: Final = re.compile(r"\s*(?:#(?:N/A|NV|[\w/]{2,12}[!?])|#{3,}|Err:\d{3})\s*")
"""``#N/A``, ``#REF!``, ``#BEZUG!``, ``#NAME?``; ``####`` of a column that was too narrow; Calc's ``Err:502``."""
_SCIENTIFIC: Final = re.compile(r"\s*[+-]?\d(?:[.,]\d+)?E[+-]\d{2,3}\s*", re.IGNORECASE)
"""Spreadsheets always write the sign and two digits: ``1E5`` was typed by somebody."""


_SEEN_BY_VALUE_CHECKS: Final = " \t\r\n"
_NO_BLANKS: Final = "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]"
_JOINED: Final = "[\u0620-\u06d3\u0900-\u0dff]"
_OF_A_SCRIPT: Final = re.compile(
    f"(?<={_NO_BLANKS})\u200b(?={_NO_BLANKS})"
    f"|(?<={_JOINED})(?:\u200d|\u200c(?={_JOINED}))"
    "|[\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2]"
)
"""What Unicode calls a format character as well, and scripts need in what somebody is called: the zero width space
between words of Thai, Lao, Myanmar and Khmer, which have no blanks; what joins or parts letters of Arabic and
India (within words of Persian, Malayalam's last consonants, Bengali's khanda ta); number signs, which are seen."""


def damage(cell: str, *, is_number: bool = False, is_name: bool = False) -> str:
    """Say what a spreadsheet did to a cell, and what to do about it; "" for nothing.

    Args:
        cell: Its text, which is not repeated.
        is_number: Whether a number such as ``1.5E+03`` may stand there.
        is_name: Whether somebody is known by it, so that two that look alike must be one.

    >>> damage("007"), damage("1E5")
    ('', '')
    """
    if "#" in cell[:2] or "Err:" in cell:
        if _ERROR.fullmatch(cell):
            return (
                "must be a value, but a spreadsheet has written the error of a formula here; correct the formula, "
                "or type the value, and save the file again"
            )
    elif not is_number and _SCIENTIFIC.fullmatch(cell):
        return (
            "must be written out, but a spreadsheet has rounded a long number and written it with an exponent; give "
            "the column the format 'text', enter the values again, and save the file"
        )
    if is_name and not cell.isascii() and _holds_unseen(_OF_A_SCRIPT.sub("", cell)):
        return (
            "must be what it looks like, but it holds a character that cannot be seen, such as a no-break space copied "
            "from a page or a mail; type the value anew, and save the file again"
        )
    return ""


def _holds_unseen(cell: str) -> bool:
    ends = cell.strip(" ")
    return any(unicodedata.category(one) == "Cf" for one in cell) or any(
        one not in _SEEN_BY_VALUE_CHECKS and one.isspace() for one in (ends[:1], ends[-1:])
    )
