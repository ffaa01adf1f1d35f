"""Spellings of tags and paths: all that Orthanc accepts and refuses (docs/orthanc.md, Tags and paths)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deidflow.tasks.core.dicom.tags import (
    Path,
    TagSyntaxError,
    describe_tag,
    dictionary_vr,
    format_tag,
    is_private,
    parse_path,
    parse_tag,
)

PATHS = st.builds(
    Path,
    st.lists(st.tuples(st.integers(0, 0xFFFFFFFF), st.integers(-1, 99)), max_size=4).map(tuple),
    st.integers(0, 0xFFFFFFFF),
)


@pytest.mark.parametrize(
    "text",
    [
        "PatientID",
        "0010,0020",
        "0010-0020",
        "00100020",
        "(0010,0020)",
        "(0010-0020)",
        "(00100020)",
        " PatientID ",
        " (0010,0020) ",
        "10,20",
    ],
)
def test_every_spelling_of_a_tag_is_read(text: str) -> None:
    """Keyword, numbers with comma, hyphen or nothing, parentheses and blanks name the same element."""
    assert parse_tag(text) == 0x00100020


def test_hexadecimal_digits_may_be_of_any_case() -> None:
    """``7fe0`` is ``7FE0``."""
    assert parse_tag("7FE0,0010") == parse_tag("7fe0,0010") == 0x7FE00010


@pytest.mark.parametrize(
    "text",
    [
        "patientid",
        "PATIENTID",
        "Patient's Name",
        "Patient Comments",
        "PatientIDs",
        "OtherPatientIds",
        "0010:0020",
        "0010 0020",
        "0010,00200",
        "0010,",
        "0x00100020",
        "(0010,0020",
        "(PatientID)",
        "001000200",
        "",
        "*",
    ],
)
def test_other_spellings_of_a_tag_are_refused(text: str) -> None:
    """Wrong case, human names, old keywords and other separators name nothing; the message says what does."""
    with pytest.raises(TagSyntaxError, match="PatientID"):
        parse_tag(text)


@pytest.mark.parametrize(
    "text",
    [
        "ProcedureCodeSequence[0].CodeValue",
        "0008,1032[0].0008,0100",
        "(0008,1032)[0].(0008,0100)",
        "00081032[0].CodeValue",
        " ProcedureCodeSequence [ 0 ] . CodeValue ",
    ],
)
def test_every_spelling_of_a_path_is_read(text: str) -> None:
    """Each step may be written in any syntax."""
    assert parse_path(text) == Path(((0x00081032, 0),), 0x00080100)


def test_all_items_and_any_depth() -> None:
    """``[*]`` stands for all items."""
    expected = Path(((0x00400275, -1), (0x00400008, 12)), 0x00080100)

    assert parse_path("RequestAttributesSequence[*].ScheduledProtocolCodeSequence[12].CodeValue") == expected


@pytest.mark.parametrize(
    "text",
    [
        "ProcedureCodeSequence[0]",
        "ProcedureCodeSequence.CodeValue",
        "ProcedureCodeSequence[].CodeValue",
        "ProcedureCodeSequence[-1].CodeValue",
        "ProcedureCodeSequence[x].CodeValue",
        "ProcedureCodeSequence[²].CodeValue",
        "ProcedureCodeSequence[0][1].CodeValue",
        "ProcedureCodeSequence[0].",
        ".CodeValue",
        "ProcedureCodeSequence[0].Unknown",
        f"ProcedureCodeSequence[{'9' * 5000}].CodeValue",
    ],
)
def test_bad_paths_are_refused(text: str) -> None:
    """Every step but the last has an index, and the last has none: an item cannot be named."""
    with pytest.raises(TagSyntaxError):
        parse_path(text)


@given(PATHS)
def test_the_canonical_text_reads_back(path: Path) -> None:
    """What is sent to Orthanc names the same element."""
    assert parse_path(str(path)) == path


@given(st.text(max_size=40))
def test_messages_do_not_repeat_the_text(text: str) -> None:
    """The content of a cell never reaches an error message; nothing else is raised, whatever is written."""
    marked = f"marker{text}"
    with pytest.raises(TagSyntaxError) as caught:
        parse_path(marked)
    assert "marker" not in str(caught.value)


def test_names_for_people() -> None:
    """Keyword where there is one, number otherwise."""
    assert describe_tag(0x00100020) == "PatientID"
    assert describe_tag(0x00091001) == format_tag(0x00091001) == "0009,1001"
    assert parse_path("0008,1032[*].0009,1001").describe() == "ProcedureCodeSequence[*].0009,1001"


def test_value_representations() -> None:
    """Public tags have the dictionary's, private creators LO, private elements none."""
    vrs = [dictionary_vr(tag) for tag in (0x00100020, 0x00280106, 0x00090010, 0x00091001, 0x00100000, 0x00100001)]

    assert vrs == ["LO", "US or SS", "LO", None, "UL", None]
    assert [is_private(tag) for tag in (0x00091001, 0x00100020)] == [True, False]
