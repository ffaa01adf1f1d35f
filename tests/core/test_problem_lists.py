"""However many problems there are, each is told or counted."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from deidflow.tasks.core.errors import InvalidInput, Problem, listed_problems

PROBLEMS = st.lists(
    st.builds(
        Problem,
        st.sampled_from(["must be PatientID (0010,0020)", "must be StudyDate (0008,0020)", "as line 7", "as line 12"]),
        file=st.just("a.csv"),
        line=st.integers(1, 999),
        column=st.text("abc", max_size=2),
    ),
    min_size=1,
    max_size=40,
)


@given(PROBLEMS, st.integers(0, 50) | st.none())
def test_each_problem_is_told_or_counted(problems: list[Problem], most: int | None) -> None:
    """The first ones as they are, the others by kind, and the counts add up."""
    lines = list(listed_problems(problems, before="error: ", most=most))

    shown = len(problems) if most is None else min(most, len(problems))
    assert [f"error: {problem}" for problem in problems[:shown]] == lines[:shown]
    rest = lines[shown:]
    assert bool(rest) == (shown < len(problems))
    if rest:
        assert f"... and {len(problems) - shown} more:" == rest[0]
        assert len(problems) - shown == sum(int(line.split()[0]) for line in rest[1:])
        assert len(rest) <= 22


def test_numbers_of_lines_make_no_kinds_and_tags_do() -> None:
    """What differs in a tag is another kind, what differs in a line is not; equal texts keep their numbers."""
    texts = ["as line 7", "as line 12", "lines 3, 4 and 12: x", "lines 9, 8: x", "(0010,0020)", "(0010,0010)"]
    texts += ["must be at least 1", "must be at least 1"]
    lines = list(listed_problems([Problem(text) for text in texts], most=0))

    assert ["as line ...", "lines ...: x", "must be at least 1"] == sorted(
        re.findall(r"^  2 x (.*)", "\n".join(lines), re.MULTILINE)
    )
    assert ["(0010,0010)", "(0010,0020)"] == sorted(re.findall(r"^  1 x (.*)", "\n".join(lines), re.MULTILINE))


def test_one_problem_of_a_thousand_rows_is_one_short_line() -> None:
    """Its first lines, and how many more; all of them where everything is asked for."""
    problem = Problem.of_rows(tuple(range(2, 1002)), "must be one patient", "subject")

    assert f"lines {', '.join(map(str, range(2, 22)))} and 980 more)" in str(problem)
    assert "and 980 more)" in "".join(listed_problems([problem]))
    assert "".join(listed_problems([problem], most=None)).endswith(f"{', '.join(map(str, problem.lines))})")
    assert "(lines 2, 3)" in str(Problem.of_rows((2, 3), "x"))


def test_what_a_flow_says_of_a_thousand_problems_is_short() -> None:
    """The text of the error, which Prefect stores, counts them, too; the error keeps all."""
    error = InvalidInput(Problem("must be a number", "a.csv", line, "x") for line in range(2, 1002))

    assert (1000, 52) == (len(error.problems), len(str(error).splitlines()))
    assert "  950 x column x: must be a number" == str(error).splitlines()[-1]
