"""The guard against formulas."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deidflow.tasks.core.files.csv_cells import guard_cell, guard_cells, unguard_cell

CELLS = st.text() | st.from_regex(r"'*[=+\-@\t\r']*.*")


@pytest.mark.parametrize(
    ("text", "guarded"),
    [("=1", "'=1"), ("+1", "'+1"), ("-1", "'-1"), ("@a", "'@a"), ("\ta", "'\ta"), ("\ra", "'\ra"), ("'=1", "''=1")],
)
def test_risky_cells_get_a_quote(text: str, guarded: str) -> None:
    """A spreadsheet takes none of these for a formula any more."""
    assert guard_cell(text) == guarded
    assert unguard_cell(guarded) == text


@pytest.mark.parametrize("text", ["", "1", "a=b", "'s-Hertogenbosch", "'", "''", " =1", "\n=1"])
def test_other_cells_stay(text: str) -> None:
    """Nothing is added and nothing is taken off."""
    assert guard_cell(text) == text
    assert unguard_cell(text) == text


@given(CELLS)
def test_reading_gives_back_what_was_written(text: str) -> None:
    """Whatever stands in a cell, and what is written is never a formula."""
    assert unguard_cell(guard_cell(text)) == text
    assert guard_cell(text)[:1] not in set("=+-@\t\r")


@given(st.lists(st.text() | st.sampled_from(["=1", "'=1", "'-", "\tx", "", "'s"])))
def test_a_row_is_guarded_cell_by_cell(row: list[str]) -> None:
    """Looking at first characters misses no cell."""
    assert [guard_cell(cell) for cell in row] == list(guard_cells(row))
