"""From a person's table to a manifest: what its rows mean, what is wrong with them, and what a spreadsheet did."""

from __future__ import annotations

import zipfile
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from openpyxl import Workbook

from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers, Level
from deidflow.tasks.core.errors import BadText, InvalidInput
from deidflow.tasks.core.manifest.inventory import InventoryRecord
from deidflow.tasks.core.manifest.spreadsheet_marks import damage
from deidflow.tasks.core.manifest.spreadsheets import read_table
from deidflow.tasks.core.manifest.subjects import (
    Trouble,
    finds_of_subjects,
    parse_keys,
    read_subjects,
    resolve_subjects,
)
from tests.core.manifests import defaults, rows, some_id, written

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from deidflow.tasks.core.manifest.subjects import Resolved


def workbook(
    path: Path, table: Sequence[Sequence[Any]], formats: dict[str, str] | None = None, merged: Sequence[str] = ()
) -> Path:
    """Write an XLSX file."""
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    for row in table:
        sheet.append(list(row))
    for cell, number_format in (formats or {}).items():
        sheet[cell].number_format = number_format
    for cells in merged:
        sheet.merge_cells(cells)
    book.save(path)
    return path


def held(patient: str, study: str, accession: str = "", instances: int = 1) -> list[InventoryRecord]:
    """Return the instances of a study."""
    values = {"AccessionNumber": accession}
    names = (DicomIdentifiers(patient, study, f"{study}.1", f"{study}.1.{n}") for n in range(instances))
    return [InventoryRecord(name, values) for name in names]


def resolved(path: Path, by: Sequence[str], source: Sequence[InventoryRecord]) -> Resolved:
    """Resolve a file."""
    keys = parse_keys(by)
    return resolve_subjects(read_subjects(read_table(path, keys[0].column), keys), source)


TABLE = [
    ("subject", "AccessionNumber"),
    ("S1", "A1"),
    ("S2", "A2"),
    ("S3", "A3"),
    ("S4", ""),
    ("S5", "A1"),
    ("S6", "1,23E+11"),
    ("S7", "#N/A"),
]


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_every_row_is_in_the_manifest_or_named_by_its_line(tmp_path: Path, kind: str) -> None:
    """A workbook and a CSV file with the same cells give the same; lines are those that a person sees."""
    path = tmp_path / f"list.{kind}"
    if kind == "csv":
        path.write_bytes(written(TABLE))
    else:
        workbook(path, TABLE)
    source = [*held("P1", "1", "A1", 3), *held("P2", "2", "A2"), *held("P3", "3", "A2"), *held("P4", "4", "A4")]
    found = resolved(path, ["AccessionNumber"], source)

    assert ("orthanc_id", "level", "instances", "subject", "AccessionNumber") == found.columns
    study = DicomIdentifiers("P1", "1", "", "").orthanc_id(Level.STUDY)
    assert [(study, "study", "3", "S1", "A1")] == found.rows
    assert [
        (3, Trouble.AMBIGUOUS),
        (4, Trouble.NOT_FOUND),
        (5, Trouble.EMPTY),
        (6, Trouble.REPEATED),
        (7, Trouble.SPREADSHEET),
        (8, Trouble.SPREADSHEET),
    ] == [(one.line, one.trouble) for one in found.problems]
    assert not any(value in one.text for one in found.problems for value in ("A1", "A2", "A3", "E+11", "N/A"))


def test_two_keys_tell_apart_what_one_does_not(tmp_path: Path) -> None:
    """An accession number that two patients have is one study's together with the PatientID."""
    path = tmp_path / "list.csv"
    path.write_bytes(written([("MRN", "AccessionNumber"), ("P2", "A1"), ("P1", "A1"), ("P3", "A1")]))
    source = [*held("P1", "1", "A1"), *held("P2", "2", "A1")]

    assert 3 == len(resolved(path, ["AccessionNumber"], source).problems)
    both = resolved(path, ["AccessionNumber", "PatientID=MRN"], source)
    assert [("P2", "A1"), ("P1", "A1")] == [row[3:] for row in both.rows]
    assert [(4, Trouble.NOT_FOUND)] == [(one.line, one.trouble) for one in both.problems]


def test_a_patient_id_alone_means_the_patient(tmp_path: Path) -> None:
    """One row for all studies of a patient, with the number of all their instances."""
    path = tmp_path / "list.csv"
    path.write_bytes(written([("PatientID",), ("007",)]))
    found = resolved(path, ["PatientID"], [*held("007", "1", "A", 2), *held("007", "2", "B", 3), *held("7", "3")])

    assert [(DicomIdentifiers("007", "", "", "").orthanc_id(Level.PATIENT), "patient", "5", "007")] == found.rows
    assert [] == found.problems


def test_what_a_sheet_does_not_show_is_told(tmp_path: Path) -> None:
    """Rows that are hidden, a hidden sheet before it, and formulas of programs that compute no values."""
    book = Workbook()
    book.worksheets[0].append(["PatientID"])
    book.worksheets[0].sheet_state = "hidden"
    sheet = book.create_sheet("list")
    for row in (["PatientID", "note"], ["P1", "a"], ["P2", "b"], ["=1+1", "=A2"], ["P3", '=""']):
        sheet.append(row)
    sheet.row_dimensions[3].hidden = True
    book.active = 1
    path = tmp_path / "list.xlsx"
    book.save(path)
    table = read_table(path, "PatientID")

    assert (2, (3,), [2, 3, 4, 5]) == (table.sheets, table.hidden, [row.line for row in table.rows])
    assert ["", ""] == [row.fault for row in table.rows[:2]]
    assert "a formula has none stored (A4, B4); open the workbook" in table.rows[2].fault
    found = resolved(path, ["PatientID"], [*held("P1", "1"), *held("P2", "2"), *held("P3", "3")])
    assert [(4, Trouble.UNREADABLE), (5, Trouble.UNREADABLE)] == [(one.line, one.trouble) for one in found.problems]


def test_merged_cells_give_no_row_an_empty_value(tmp_path: Path) -> None:
    """A sheet keeps the value in the cell at the top left: rows that would lack one are told, the others stay."""
    table = [
        ("PatientID", "subject", "note"),
        ("P1", "S1", ""),
        ("P2", "", ""),
        ("P3", "S3", "x"),
        ("P4", "S4", ""),
        ("", "", ""),
    ]
    path = workbook(tmp_path / "list.xlsx", table, merged=("B2:B3", "B4:C4", "A6:C900"))
    found = resolved(path, ["PatientID"], [record for n in range(1, 5) for record in held(f"P{n}", str(n))])

    assert [("P1", "S1", ""), ("P4", "S4", "")] == [row[3:] for row in found.rows]
    assert [(3, Trouble.UNREADABLE), (4, Trouble.UNREADABLE)] == [(one.line, one.trouble) for one in found.problems]
    assert "cells are merged (B2:B3); unmerge them and write the value into each" in found.problems[0].text
    with pytest.raises(InvalidInput, match=r"line 1: .* merged \(A1:B1\)"):
        read_table(workbook(tmp_path / "head.xlsx", table, merged=("A1:B1",)), "PatientID")
    beside = ("A2:A4", *(f"{column}2:{column}3" for column in "BCDEFG"))  # more than a message names
    many = read_table(workbook(tmp_path / "many.xlsx", table, merged=beside), "PatientID").rows
    assert [(2, False), (4, True), (5, False)] == [(row.line, bool(row.fault)) for row in many]


_END = b"</sheetData>"


@pytest.mark.parametrize(
    ("instead", "says"),
    [
        (b'<row r="99999999999999"/>' + _END, "save the sheet as CSV"),
        (bytes(1 << 27) + _END, "save the sheet as CSV"),
        (
            b'<row r="30000"><c r="A30000"><v>1</v></c></row></sheetData><mergeCells>'
            + b'<mergeCell ref="A2:XFD30000"/>' * 20_000
            + b"</mergeCells>",
            "line 2: must have a cell of its own",
        ),
        (_END, "line 2: "),
    ],
    ids=["a row far away", "a lot of nothing", "ranges of merged cells", "other sheets and pictures"],
)
def test_a_small_workbook_of_a_size_beyond_measure(tmp_path: Path, instead: bytes, says: str) -> None:
    """It is refused in a moment, where it took all memory or had no end."""
    small, path = workbook(tmp_path / "small.xlsx", [("PatientID",), ("P1",)]), tmp_path / "list.xlsx"
    with zipfile.ZipFile(small) as parts, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as made:
        for name in parts.namelist():
            made.writestr(name, parts.read(name).replace(_END, instead))
        for number in range(3 if instead == _END else 0):
            made.writestr(f"xl/media/{number}.bmp", bytes(50 << 20))

    found: list[str] = []
    try:
        found = [f"line {row.line}: {row.fault}" for row in read_table(path, "PatientID").rows]
    except InvalidInput as error:
        found = [str(error)]

    assert any(says in text for text in found), found


def test_cells_of_a_workbook_are_what_a_person_sees(tmp_path: Path) -> None:
    """Zeros that a format shows, whole numbers without a point, dates; what has lost digits is told as such."""
    table = [
        ("AccessionNumber", "a", "b", "c", "d"),
        (42, 1.0, 2.5, datetime(2024, 1, 31, tzinfo=UTC).replace(tzinfo=None), True),
        (1234567890123456, None, "  x ", "", ""),
        (None, None, None, None, None),
        ("A", 7, 123456, -7, 7),
    ]
    formats = {"A2": "000000", "B5": '"MRN"000\\-0', "C5": "000-00", "D5": "0000", "E5": '"MRN"#,##0'}
    path = workbook(tmp_path / "list.xlsx", table, formats)
    read = read_table(path, "AccessionNumber")

    assert ("000042", "1", "2.5", "2024-01-31", "TRUE") == read.rows[0].cells
    assert [2, 3, 5] == [row.line for row in read.rows]
    assert ("A", "MRN000-7", "1234-56", "-7", "7") == read.rows[2].cells
    assert "exponent" in damage(read.rows[1].cells[0])
    assert "  x " == read.rows[1].cells[2]


def test_a_table_that_stands_somewhere_in_a_workbook(tmp_path: Path) -> None:
    """Blank rows and columns before it do not count; where another sheet was read, that is said."""
    table = [("", "", "", ""), ("", "PatientID", "", "note"), ("", "P1", "", "a")]
    read = read_table(workbook(tmp_path / "list.xlsx", table), "PatientID")
    assert (("PatientID", "note"), [(3, ("P1", "a"), "")]) == (read.columns, list(map(tuple, read.rows)))
    with pytest.raises(InvalidInput, match="line 2, column number 3: must have a name"):
        read_table(workbook(tmp_path / "list.xlsx", [*table, ("", "P2", "x")]), "PatientID")

    book = Workbook()
    book.create_sheet("list").append(["PatientID"])
    for cell, says in ((None, "must not be empty"), ("A list", "must be a column of the table")):
        book.worksheets[0]["A1"] = cell
        book.save(tmp_path / "two.xlsx")
        with pytest.raises(InvalidInput, match=rf"{says}.*of 2 sheets, the first that is visible was read; move"):
            resolved(tmp_path / "two.xlsx", ["PatientID"], [])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"PK\x03\x04 and no more", "must be an XLSX workbook, or a CSV file"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "not an XLS workbook"),
        (b"", "must not be empty"),
        (b"subject,other\r\nS1,2\r\n", "must be a column of the table, to find AccessionNumber in"),
        (b"AccessionNumber,instances\r\nA,2\r\n", "the manifest has its own"),
        (b"AccessionNumber,outcome\r\nA,2\r\n", "column of reconciliation.csv"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    """Before the source is read; the message says what to do."""
    path = tmp_path / "list.csv"
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match=says):
        resolved(path, ["AccessionNumber"], [])


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        (["StudyDate"], "must be one of"),
        (["PatientID"] * 2, "named once"),
        (["PatientID="], "must name a column after the ="),
        (["PatientID= "], "must name a column after the ="),
    ],
)
def test_keys_are_few_and_differ(texts: list[str], says: str) -> None:
    """What else could be looked for does not tell one study."""
    with pytest.raises(BadText, match=says):
        parse_keys(texts)


def test_a_server_is_asked_for_lists_and_never_for_a_pattern_by_mistake(tmp_path: Path) -> None:
    """Values with a sign of patterns, a backslash or letters beyond ASCII are asked for alone, by wider patterns.

    So is, once, whatever has a blank before it.
    """
    path = tmp_path / "list.csv"
    values = [*(f"A{n}" for n in range(150)), "A*", "B\\C", "Ä1"]
    path.write_bytes(written([("AccessionNumber",), *((value,) for value in values)]))
    keys = parse_keys(["AccessionNumber"])
    asked = [find.query["AccessionNumber"] for find in finds_of_subjects(read_subjects(read_table(path, ""), keys))]

    assert [100, 50, 1, 1, 1, 1] == [text.count("\\") + 1 for text in asked]
    assert [" *", "A*", "B*C", "*1"] == asked[2:]

    path.write_bytes(path.read_bytes().replace(b"AccessionNumber", b"StudyInstanceUID"))
    keys = parse_keys(["StudyInstanceUID"])
    assert 2 == len([*finds_of_subjects(read_subjects(read_table(path, ""), keys))]), "a server takes no such pattern"


@pytest.mark.parametrize(
    "cell",
    ["#N/A", "#NV", "#REF!", "#BEZUG!", "#NAME?", "#DIV/0!", "######", "Err:502", "1,23E+11", "1.5E-07", "2E+10"],
)
def test_what_a_spreadsheet_did_is_an_error_of_the_row(cell: str) -> None:
    """In columns that templates use, in Replace columns and in the identifier's; anywhere else it is just text."""
    given = defaults(Replace={"PatientID": "{subject}"}, Force=True)
    text = f"orthanc_id,subject,note,Replace.StudyDescription\r\n{some_id(1)},{{}},{{}},{{}}\r\n"
    quoted = f'"{cell}"'
    found = {
        name: [(problem.column, "spreadsheet" in problem.text) for problem in row.problems]
        for name, cells in {"subject": (quoted, "", ""), "note": ("1", quoted, ""), "edit": ("1", "", quoted)}.items()
        for row in rows(text.format(*cells), given)
    }

    assert {
        "subject": [("subject", True)],
        "note": [],
        "edit": [("Replace.StudyDescription", True)],
    } == found
    for row in rows(f"orthanc_id\r\n{quoted}\r\n"):
        assert [("orthanc_id", True)] == [(one.column, "spreadsheet" in one.text) for one in row.problems]


def test_a_subject_is_what_it_looks_like() -> None:
    """What a page or a mail brings along is an error where somebody is known by it; blanks of the keyboard are not."""
    given = defaults(Replace={"PatientID": "{subject}"}, Force=True)
    unseen = ["S-1\u00a0", "\u00a0S-1 ", "S-1\u3000", "S\u200b-1", "\ufeffS-1", "\u200b", "\u200fS-1", "S-1\u200d"]
    unseen += ("S\u200e-1", "S\u202e-1\u202c", "S\u20661", "S\u200c1", "\u05d0\u200f\u05d1", "\u0645\u06cc\u200c")
    # Malayalam and Bengali end names with a joiner; Khmer and Thai have no other space between two words.
    scripts = (
        "\u0d1c\u0d28\u0d4d\u200d",
        "\u09b8\u09a4\u09cd\u200d",
        "\u1794\u200b\u179f",
        "\u0e01\u200b\u0e02",
        "\u0600\u0661",
    )
    for cell in (*unseen, *scripts, "S-1 ", "M\u00fcller A", "\u0645\u06cc\u200c\u0646"):
        (row,) = rows(f"orthanc_id,subject,Replace.StudyDescription\r\n{some_id(1)},{cell},{cell}\r\n", given)
        found = [(one.column, "cannot be seen" in one.text) for one in row.problems]
        assert ([("subject", True)] if cell in unseen else []) == found, ascii(cell)
    (row,) = rows(f"orthanc_id,Replace.PatientName\r\n{some_id(1)},S-1\u00a0\r\n", defaults(Force=True))
    assert ["Replace.PatientName"] == [one.column for one in row.problems]


@pytest.mark.parametrize("cell", ["1E5", "E+11", "#1", "# N/A", "007", "s\xa01", "A1E+11", "#N/A 1", "Error: 502"])
def test_what_somebody_typed_is_none(cell: str) -> None:
    """Spreadsheets write exponents with a sign and two digits, and errors by themselves."""
    assert "" == damage(cell)


def test_numbers_may_have_exponents_where_they_are_values() -> None:
    """A decimal string is such a number."""
    (row,) = rows(f"orthanc_id,Replace.SliceThickness\r\n{some_id(1)},1.5E+01\r\n")
    assert () == row.problems


@pytest.mark.parametrize("cell", ["P-123", "1.2.840.113619.2.55", "ACC0001"])
def test_other_identifiers_than_orthancs_are_told_what_makes_a_manifest(cell: str) -> None:
    """In the rows, and in a header without orthanc_id."""
    (row,) = rows(f"orthanc_id\r\n{cell}\r\n")
    assert ["deidflow resolve" in problem.text for problem in row.problems] == [True]
    assert cell not in row.problems[0].text
    for header in ("PatientID", "Accession Number", "StudyInstanceUID,orthanc id"):
        with pytest.raises(InvalidInput) as caught:
            rows(f"{header}\r\n{cell},\r\n")
        assert ("deidflow resolve" in str(caught.value)) is ("orthanc" not in header)
