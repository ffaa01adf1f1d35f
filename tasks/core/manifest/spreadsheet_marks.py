"""What spreadsheets leave in cells in place of what was typed, or meant, there.

Microsoft Excel and LibreOffice Calc write the error of a formula into the CSV file as its text, in the language of the
program, and a long number that stands in a column without the format "text" as ``1,23E+11``: its last digits are gone.
What is copied into a sheet from a page or a document brings characters along that nobody sees, and that nobody
will type who looks for the value.

Public names: ``damage``.
"""

from __future__ import annotations

import re
from typing import Final

_ERROR: Final = re.compile(r"\s*(?:#(?:N/A|NV|[\w/]{2,12}[!?])|#{3,}|Err:\d{3})\s*")
"""``#N/A``, ``#REF!``, ``#BEZUG!``, ``#NAME?``; ``####`` of a column that was too narrow; Calc's ``Err:502``."""
_SCIENTIFIC: Final = re.compile(r"\s*[+-]?\d(?:[.,]\d+)?E[+-]\d{2,3}\s*", re.IGNORECASE)
"""Spreadsheets always write the sign and two digits: ``1E5`` was typed by somebody."""

_UNSEEN: Final = re.compile("\\A *[\xa0\u202f]|[\xa0\u202f] *\\Z|[\u200b\u2060\ufeff]")
"""A no-break space at an end, a zero-width space or a byte order mark anywhere."""


def damage(cell: str, *, is_number: bool = False) -> str:
    """Say what a spreadsheet did to a cell, and what to do about it; "" for nothing.

    Args:
        cell: Its text, which is not repeated.
        is_number: Whether a number such as ``1.5E+03`` may stand there.

    >>> damage("007"), damage("1E5")
    ('', '')
    """
    if not cell.isascii() and _UNSEEN.search(cell):
        return (
            "must not hold what nobody sees (a no-break space at its beginning or end, a zero-width space), as it "
            "comes with what is copied from a web page or a document; type the value again"
        )
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
    return ""
