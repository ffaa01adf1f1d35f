"""``{column}`` in the config's Replace."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deidflow.tasks.core.errors import BadText
from deidflow.tasks.core.request.edits import parse_value
from deidflow.tasks.core.request.templates import parse_template

CELLS = {"subject": "007", "site code": "B {x}", "blank": " ", "empty": ""}


@pytest.mark.parametrize(
    ("text", "columns", "filled"),
    [
        ("", (), ""),
        ("Trial 7", (), "Trial 7"),
        ("{subject}", ("subject",), "007"),
        ("S-{subject}^{site code}", ("subject", "site code"), "S-007^B {x}"),
        ("{subject}{subject}", ("subject",), "007007"),
        ("{ subject }", ("subject",), "007"),
        ("{{subject}}", (), "{subject}"),
        ("{{{subject}}}", ("subject",), "{007}"),
        ("}}{{", (), "}{"),
    ],
)
def test_filling(text: str, columns: tuple[str, ...], filled: str) -> None:
    """Cells go in as they are, braces in them too; doubled braces are braces."""
    template = parse_template(text)

    assert template.columns == columns
    assert template.fill(CELLS) == filled


def test_sequences_are_filled_at_any_depth() -> None:
    """Every string of the value counts."""
    value = parse_value(
        0x00400275, [{"AccessionNumber": "{subject}", "0008,1032": [{"CodeMeaning": "{{{site code}}}"}]}]
    )
    template = parse_template(value)

    assert template.columns == ("subject", "site code")
    assert template.fill(CELLS) == parse_value(
        0x00400275, [{"AccessionNumber": "007", "0008,1032": [{"CodeMeaning": "{B {x}}"}]}]
    )


@pytest.mark.parametrize("text", ["{", "}", "a{b", "{a}}", "{{a}", "{a{b}}", "{}", "{ }"])
def test_stray_braces_are_refused(text: str) -> None:
    """The message shows how both are written."""
    with pytest.raises(BadText, match=r"\{column\}"):
        parse_template(text)


@pytest.mark.parametrize("text", ["{subject:>3}", "{subject!r}", "{subject.name}", "{subject[0]}", "{a:{b}}"])
def test_python_s_formats_are_refused(text: str) -> None:
    """There is nothing but names between braces."""
    with pytest.raises(BadText, match=r"name of a column alone|unmatched brace"):
        parse_template(text)


@pytest.mark.parametrize("column", ["empty", "blank", "absent"])
def test_empty_cells_are_errors_of_the_row(column: str) -> None:
    """A missing, empty or blank cell is named, since an empty PatientID would merge strangers."""
    with pytest.raises(BadText, match=column) as caught:
        parse_template(f"a{{{column}}}b").fill(CELLS)
    assert column == caught.value.problem.column


@given(st.text())
def test_doubled_braces_give_any_text(text: str) -> None:
    """Doubling is enough to write whatever one likes."""
    template = parse_template(text.replace("{", "{{").replace("}", "}}"))

    assert template.columns == ()
    assert template.fill({}) == text
