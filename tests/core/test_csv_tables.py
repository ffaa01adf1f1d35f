"""Tables are what Python's own writer of CSV makes of the guarded cells, behind a byte order mark."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from deidflow.tasks.core.files.csv_cells import guard_cells
from deidflow.tasks.core.files.csv_tables import write_records, write_table

if TYPE_CHECKING:
    import pytest

CELLS = st.text(st.characters(codec="utf-8")) | st.text('a,"\r\n\0 =;\t', max_size=4)


@given(records=st.lists(st.lists(CELLS, min_size=1, max_size=4), min_size=1, max_size=6))
def test_any_cells(tmp_path_factory: pytest.TempPathFactory, records: list[list[str]]) -> None:
    """Whatever stands in them, and however many there are."""
    path = tmp_path_factory.getbasetemp() / "any.csv"
    expected = io.StringIO(newline="")
    csv.writer(expected, lineterminator="\r\n").writerows(map(guard_cells, records))

    write_records(path, records)

    assert b"\xef\xbb\xbf" + expected.getvalue().encode() == path.read_bytes()


def test_what_utf_8_lacks(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Half a surrogate pair is written with a backslash, and the rows are counted without the header."""
    path = tmp_path_factory.getbasetemp() / "half.csv"

    assert 2 == write_table(path, ("a", "b"), [("\ud800", "1"), ("2", "3")])

    assert "\ufeffa,b\r\n\\ud800,1\r\n2,3\r\n" == path.read_bytes().decode()
