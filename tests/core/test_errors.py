"""Problems as they are printed."""

from __future__ import annotations

import unicodedata
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from deidflow.tasks.core.errors import Problem, printable


@given(st.text(st.characters()))
def test_nothing_that_is_printed_steers_a_terminal(text: str) -> None:
    """No control character, no mark of direction and no half of a surrogate pair is left; the rest is as it was."""
    shown = printable(text)

    assert set() == {c for c in shown if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp")} - {"\n"}
    assert set() == set(shown) & set("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
    assert shown == printable(shown)
    if text.isprintable():
        assert text == shown
    assert r"\u200borthanc_id\xa0" == printable("\u200borthanc_id\xa0"), "what nobody sees is no help in a message"


@given(st.text(st.characters(), min_size=1), st.text(st.characters(), min_size=1), st.text(st.characters(), min_size=1))
def test_a_problem_is_one_line(file: str, column: str, key: str) -> None:
    """A name cannot begin a line of its own."""
    assert 1 == len(str(Problem("must be at least 1", file, 3, column, key)).splitlines())


def test_a_problem_of_several_rows_names_them_all() -> None:
    """The first line is where to look; of one row nothing is said twice."""
    assert "m.csv, line 2, column level: differ (lines 2, 5)" == str(
        replace(Problem.of_rows((2, 5), "differ", "level"), file="m.csv")
    )
    assert "line 2: differ" == str(Problem.of_rows((2,), "differ"))
    assert ((2, 5), ()) == (Problem.of_rows((2, 5), "differ").lines, Problem("differ").lines)
