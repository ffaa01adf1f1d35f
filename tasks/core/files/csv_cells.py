"""Cells of the CSV files that deidflow writes: guarded, so that a spreadsheet does not run them as formulas.

A cell that begins with ``=`` ``+`` ``-`` ``@`` tab or CR is written with a leading ``'``, and the manifest reader takes
exactly this off again. So that reading gives back what was written, whatever it was, a cell that already looks guarded
(``'=1``) gets one more.

Public names: ``guard_cell``, ``guard_cells``, ``unguard_cell``.
"""

from __future__ import annotations

import re
from operator import itemgetter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_GUARD: Final = "'"
_RISKY: Final = re.compile(r"'*[=+\-@\t\r]")
_FIRST: Final = frozenset("'=+-@\t\r")
"""What a cell that is guarded may begin with."""
_first: Final = itemgetter(slice(1))
_GUARDED: Final = re.compile(r"'+[=+\-@\t\r]")


def guard_cell(text: str) -> str:
    """Return the cell as it is written to a CSV file.

    >>> guard_cell("=1+1"), guard_cell("1+1")
    ("'=1+1", '1+1')
    """
    return _GUARD + text if _RISKY.match(text) else text


def guard_cells(row: Sequence[str]) -> Sequence[str]:
    """Guard all cells of a row; most rows have nothing to guard, which a look at the first characters tells.

    >>> guard_cells(["1", "=1"])
    ['1', "'=1"]
    """
    return row if _FIRST.isdisjoint(map(_first, row)) else [guard_cell(one) for one in row]


def unguard_cell(text: str) -> str:
    """Return what was given to ``guard_cell``.

    >>> unguard_cell("'=1+1"), unguard_cell("'s-Hertogenbosch")
    ('=1+1', "'s-Hertogenbosch")
    """
    return text[1:] if _GUARDED.match(text) else text
