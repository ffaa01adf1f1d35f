"""What is wrong with a manifest: everything at once, with line and column, and never the content of a cell."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deidflow.tasks.core.errors import InvalidInput
from deidflow.tasks.core.manifest.columns import REPORT_COLUMNS
from deidflow.tasks.core.manifest.manifest import Manifest
from deidflow.tasks.core.request.request import Operation
from tests.core.manifests import defaults, manifest, rows, some_id

if TYPE_CHECKING:
    from pathlib import Path

    from deidflow.tasks.core.manifest.row_requests import Defaults

ID, OTHER = some_id(1), some_id(2)


def header_problems(text: str | bytes, config: Defaults | None = None) -> list[tuple[int, str, str]]:
    """Return line, column and text of what is wrong with the file as a whole."""
    with pytest.raises(InvalidInput) as caught:
        manifest(text, config)
    assert {problem.file for problem in caught.value.problems} == {"cohort.csv"}
    return [(problem.line, problem.column, problem.text) for problem in caught.value.problems]


def row_problems(text: str, config: Defaults | None = None) -> list[tuple[int, str, str]]:
    """Return line, column and text of what is wrong with the rows."""
    return [(problem.line, problem.column, problem.text) for row in rows(text, config) for problem in row.problems]


def only(problems: list[tuple[int, str, str]]) -> str:
    """Return the text of the only problem."""
    ((_, _, text),) = problems
    return text


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1"])
def test_other_encodings(encoding: str) -> None:
    """The message says how to save the file."""
    text = only(header_problems(f"orthanc_id,note\n{ID},Liège\n".encode(encoding)))

    assert "CSV UTF-8" in text


def test_the_line_of_a_bad_byte() -> None:
    """The first byte that is no UTF-8 is found wherever it is."""
    content = b"orthanc_id,note\n" + b"a,b\n" * 500_000 + "é".encode("latin-1")

    assert header_problems(content)[0][0] == 500_002


def test_a_nul_byte() -> None:
    """The line is named."""
    assert header_problems(f"orthanc_id,note\n{ID},a\0b\n")[0][0] == 2


def test_a_workbook() -> None:
    """The most frequent wrong file is recognised."""
    assert "workbook" in only(header_problems(b"PK\x03\x04\x14\0\0\0"))


@pytest.mark.parametrize("text", ["", "\n\n", " \n,,\n", "\ufeff"])
def test_an_empty_file(text: str) -> None:
    """Blank lines are no header."""
    assert "orthanc_id" in only(header_problems(text))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """A missing file and a folder are no traceback."""
    for path in (tmp_path / "missing.csv", tmp_path):
        with pytest.raises(InvalidInput, match=r"cannot be read|not a folder"):
            Manifest(path, defaults(), "cohort.csv")


def test_all_problems_of_the_header_at_once() -> None:
    """Each under the name of its column."""
    names = [
        "Orthanc_ID", "orthanc_id", "LEVEL", "Replace.PatientID", "Replace.0010,0020", "Replace.patientname",
        "Clear.PatientID[0].StudyDate", "replace.StudyID", "Remove.StudyID", "note", "note", "", "outcome", "Clear",
    ]  # fmt: skip
    found = header_problems(";".join(names) + "\n", defaults(Replace={"StudyID": "{subject}{site}"}))

    assert [(line, column) for line, column, _ in found] == [
        (1, "Orthanc_ID"),
        (1, "LEVEL"),
        (1, "Replace.0010,0020"),
        (1, "Replace.patientname"),
        (1, "Clear.PatientID[0].StudyDate"),
        (1, "replace.StudyID"),
        (1, "Remove.StudyID"),
        (1, "note"),
        (1, "number 12"),
        (1, "outcome"),
        (1, "Clear"),
        (1, "subject"),
        (1, "site"),
    ]
    assert "must be written orthanc_id" in found[0][2]
    assert "Replace.PatientID" in found[2][2]
    assert "StudyID" in found[11][2]


def test_rows_under_a_header_that_is_wrong() -> None:
    """What is wrong with them is said as well, but for what only follows from the header."""
    content = f"orthanc_id,level,Replace.Nope,subject\nxx,study,,\n{ID},planet,,\n{ID},study\n"
    found = header_problems(content, defaults(Replace={"PatientName": "{subjects}"}))

    assert [(1, "Replace.Nope"), (1, "subjects"), (2, "orthanc_id"), (3, "level"), (4, "")] == [
        (line, column) for line, column, _ in found
    ]


def test_rows_without_a_column_of_identifiers() -> None:
    """Nothing can be said of them."""
    assert [1] == [line for line, _, _ in header_problems("level\nplanet\n")]


@pytest.mark.parametrize("name", ["OrthancID", "Orthanc ID", " ORTHANC-ID "])
def test_a_misspelt_identifier_column(name: str) -> None:
    """The right spelling is said, once."""
    assert "must be written orthanc_id" in only(header_problems(f"{name},note\n{ID},a\n"))


def test_a_file_without_header_is_not_printed() -> None:
    """The first line may be a row, so its cells are patient data."""
    text = only(header_problems("Doe^John,Doe^John,,outcome\n"))

    assert "Doe" not in text
    assert "first line must name the columns" in text


@pytest.mark.parametrize("name", sorted(set(REPORT_COLUMNS) - {"orthanc_id", "level", "operation"}))
def test_columns_of_the_report_are_taken(name: str) -> None:
    """Free columns are added to the report, where two of one name would be ambiguous."""
    assert "rename" in only(header_problems(f"orthanc_id,{name}\n"))


@pytest.mark.parametrize(
    "name", ["PatientID", "patient id", "Level 1", "Outcome", "replaced by", "keeper", "subject.no"]
)
def test_other_names_are_free(name: str) -> None:
    """Keywords alone, too: an inventory has them."""
    assert manifest(f"orthanc_id,{name}\n").free_columns == (name,)


def test_ten_different_mistakes_at_once() -> None:
    """All are found in one pass, each with line and column."""
    header = (
        "orthanc_id;level;operation;instances;Replace.PatientSex;Replace.0010-0020;Clear.StudyID;Remove;Keep;subject"
    )
    lines = [
        header,
        "12345;;;;;;;;;a",
        f"{ID};exam;;;;;;;;a",
        f"{OTHER};;edit;;;;;;;a",
        f"{ID};;;;;;;;;a",
        f"{some_id(3)};;;1,000;;;;;;a",
        f"{some_id(4)};;;;male;;;;;a",
        f"{some_id(5)};;;;;;maybe;;;a",
        f'{some_id(6)};;;;;;;"StudyDate;patientname";;a',
        f'{some_id(7)};;;;;;yes;StudyID;"StudyDate[0]";a',
        f"{some_id(8)};;;;;P1;;;;",
        f"{some_id(9)};;;;;;;;a",
        f'{some_id(10)};"a"b;;;;;;;;a',
    ]
    found = row_problems("\n".join(lines), defaults(Replace={"StudyDescription": "{subject}"}))

    assert [(line, column) for line, column, _ in found] == [
        (2, "orthanc_id"),
        (3, "level"),
        (4, "operation"),
        (5, "orthanc_id"),
        (6, "instances"),
        (7, "Replace.PatientSex"),
        (8, "Clear.StudyID"),
        (9, "Remove"),
        (10, "Remove"),
        (10, "Keep"),
        (11, "Replace.0010-0020"),
        (11, "subject"),
        (12, ""),
        (13, ""),
    ]
    texts = [text for _, _, text in found]
    assert "line 3" in texts[3]
    assert "entry 2" in texts[7]
    assert "Force" in texts[10]
    assert "9 cells, the header 10" in texts[12]
    assert str(rows("\n".join(lines), defaults(Replace={"StudyDescription": "{subject}"}))[2].problems[0]).startswith(
        "cohort.csv, line 4, column operation: "
    )


def test_sound_rows_stand_beside_the_others() -> None:
    """Every row is yielded, so that each can have its line in a report."""
    found = rows(f"orthanc_id,note\n{ID},a\nbad,b\n{OTHER},c,d\n{some_id(3)},e\n")

    assert [(row.line, bool(row.problems), row.request is None, row.free) for row in found] == [
        (2, False, False, ("a",)),
        (3, True, True, ("b",)),
        (4, True, True, ("c",)),
        (5, False, False, ("e",)),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "Replace.StudyID,Clear.0020-0010|a,yes",
        "Replace.StudyID,Remove|a,StudyID",
        "Clear.StudyID,Keep|yes,0020-0010",
        "Remove,Keep|StudyID,StudyID",
        "Remove,note|StudyDate;StudyID;00200010,",
    ],
)
def test_a_tag_twice_in_a_row(line: str) -> None:
    """In two columns or twice in one list, in whatever spelling."""
    header, row = line.split("|")
    text = only(row_problems(f"orthanc_id,{header}\n{ID},{row}\n"))

    assert "StudyID" in text
    assert "once" in text


@pytest.mark.parametrize(
    "cell",
    [
        '{"CodeValue":"a"}',
        "text",
        "[1]",
        '[{"CodeValue":1}]',
        '[{"CodeValue":"a","CodeValue":"b"}]',
        "[{",
        "[" * 100_000,
    ],
)
def test_bad_json(cell: str) -> None:
    """A sequence is a list of items with text."""
    quoted = cell.replace('"', '""')

    assert only(row_problems(f'orthanc_id,Replace.ProcedureCodeSequence\n{ID},"{quoted}"\n'))


def test_identifiers_need_force_and_cannot_go() -> None:
    """Named with the row's column; a row may name what the config does not force."""
    header = "orthanc_id,Replace.StudyInstanceUID,Clear.SOPInstanceUID,Remove"
    found = row_problems(f"{header}\n{ID},1.2,yes,PatientID\n")

    assert [column for _, column, _ in found] == [
        "Clear.SOPInstanceUID",
        "Clear.SOPInstanceUID",
        "Replace.StudyInstanceUID",
        "Remove",
    ]


def test_rows_cannot_delete_the_only_copy() -> None:
    """With ``KeepSource: false`` a row may not keep SOPInstanceUID (docs/orthanc.md, hazard 4)."""
    config = defaults(KeepSource=False, Force=True)

    assert "KeepSource" in only(row_problems(f"orthanc_id,Keep\n{ID},SOPInstanceUID\n", config))


def test_anonymize_needs_a_profile() -> None:
    """A row may ask for it although the config does not."""
    text = only(row_problems(f"orthanc_id,operation\n{ID},anonymize\n", defaults(Operation.MODIFY)))

    assert "DicomVersion" in text


def test_filled_values_are_checked() -> None:
    """Under the column that gave the value."""
    ((line, column, text),) = row_problems(
        f"orthanc_id,subject\n{ID},{'a' * 60}\n", defaults(Replace={"PatientComments": "x", "StudyID": "S{subject}"})
    )

    assert (line, column) == (2, "subject")
    assert text.startswith("filled into StudyID: must fit VR SH")


@pytest.mark.parametrize("cell", ["", " ", "\t"])
def test_empty_template_cells(cell: str) -> None:
    """Named once, though two values need the cell."""
    config = defaults(Replace={"StudyID": "{subject}", "PatientComments": "{subject}"})

    assert "{subject}" in only(row_problems(f'orthanc_id,subject\n{ID},"{cell}"\n', config))


@pytest.mark.parametrize(
    ("lines", "sound"),
    [
        (('{0},"b', "{1},c"), (False, True)),  # never closed
        (('{0},"b', '{1},"c"', "{2},d"), (False, True, True)),  # what opens the next cell closes it
        # Closed by the next mistake: good CSV, and yet none of its rows is meant as a note of the first.
        (('{0},"', "{1},c", '{2},"', "{3},d"), (False, True, False, True)),
        (('{0},"b', '"{1}","c"', "{2},d", '{3},"e""'), (False, True, True, False)),
        (('{0},"two', 'lines" x', "{1},c"), (False, False, True)),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_an_open_quote_costs_no_other_row(lines: tuple[str, ...], sound: tuple[bool, ...], end: str) -> None:
    """The line in which it opens is named, and each line after it is read as if it were not there."""
    ids = [some_id(number) for number in range(10, 14)]
    whole = ["orthanc_id,note", *[line.format(*ids) for line in lines], f'{OTHER},"two{end}lines"', ""]

    found = list(rows(end.join(whole)))

    assert [(row.line, not row.problems) for row in found] == [*enumerate(sound, 2), (len(sound) + 2, True)]
    assert "unmatched quote" in found[0].problems[0].text
    assert found[-1].free == (f"two{end}lines",)


def test_an_identifier_in_a_note_is_no_row() -> None:
    """Notes of several lines are good CSV, whatever stands in them."""
    note = f"see\n{OTHER}\nand {some_id(3)}, too"

    assert [row.free for row in rows(f'orthanc_id,a,note\n{ID},,"{note}"\n')] == [("", note)]


def test_columns_without_a_name_are_told_one_by_one() -> None:
    """A spreadsheet leaves them behind; each is told by its place, and the cells under them stand for nothing."""
    anonymize = replace(defaults(Operation.ANONYMIZE), has_profile=True)
    for config in (None, anonymize):
        found = header_problems(f"orthanc_id,note,,\n{ID},a,,\n", config)

        assert [(line, column) for line, column, _ in found] == [(1, "number 3"), (1, "number 4")]


def test_large_cells_are_read() -> None:
    """Base64 may be long."""
    cell = "data:application/octet-stream;base64," + "AAAA" * 100_000

    assert row_problems(f'orthanc_id,Replace.PixelData\n{ID},"{cell}"\n') == []


@given(st.lists(st.text(max_size=8), min_size=6, max_size=6))
def test_no_message_holds_a_cell(cells: list[str]) -> None:
    """Whatever the cells hold, markers in them never show."""
    header = ["orthanc_id", "level", "operation", "Replace.PatientSex", "Remove", "Replace.ProcedureCodeSequence"]
    quoted = ",".join('"MARKER' + cell.replace("\0", "").replace('"', '""') + '"' for cell in cells)
    text = ",".join(header) + "\n" + quoted.encode("utf-8", "replace").decode()

    for row in rows(text):
        assert row.problems
        assert "MARKER" not in "".join(map(str, row.problems))


@pytest.mark.parametrize("cell", ["", " ", "0", "-0", "1.5", "a week", "36526", "--1", "1e3"])
def test_bad_offsets_of_dates(cell: str) -> None:
    """The column is named, the cell is not repeated."""
    config = replace(defaults(Operation.ANONYMIZE), has_profile=True, shift_column="offset")
    ((line, column, text),) = row_problems(f"orthanc_id,offset\n{ID},{cell}\n", config)

    assert (line, column) == (2, "offset")
    assert "whole number of days other than 0" in text


def test_a_missing_column_of_offsets() -> None:
    """The header is to blame."""
    config = replace(defaults(Operation.ANONYMIZE), has_profile=True, shift_column="offset")

    assert header_problems(f"orthanc_id,shift\n{ID},-1\n", config)[0][:2] == (1, "offset")
