"""What a sound manifest says: dialects, columns, merging, templates."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deidflow.tasks.core.dicom.identifiers import Level
from deidflow.tasks.core.dicom.tags import STUDY_INSTANCE_UID, Path
from deidflow.tasks.core.ledger.ledger import Ledger
from deidflow.tasks.core.ledger.manifest_rows import RequestCache
from deidflow.tasks.core.request.profile_choice import KEPT_UIDS
from deidflow.tasks.core.request.request import Operation, Request, Settings, parse_request
from tests.core.manifests import defaults, manifest, rows, some_id, written

if TYPE_CHECKING:
    from pathlib import Path as FilePath
    from typing import Any

ID, OTHER = some_id(1), some_id(2)


def request(operation: Operation = Operation.MODIFY, **body: Any) -> Request:
    """Return what a row is expected to ask for."""
    return parse_request(operation, body)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_dialects(separator: str, newline: str, bom: bytes) -> None:
    """Separators, line ends and a BOM do not matter."""
    lines = [["level", "orthanc_id", "site"], ["study", ID, "Liège"], ["", OTHER, '"a,b;c\td"']]
    text = newline.join(separator.join(cells) for cells in lines)

    first, second = rows(bom + text.encode())

    assert (first.line, first.orthanc_id, first.level, first.free) == (2, ID, Level.STUDY, ("Liège",))
    assert (second.line, second.orthanc_id, second.level, second.free) == (3, OTHER, None, ("a,b;c\td",))
    assert first.problems == second.problems == ()


def test_a_single_column_is_enough() -> None:
    """There is no separator to recognise."""
    assert [row.orthanc_id for row in rows(f"orthanc_id\n{ID}\n")] == [ID]


def test_the_header_decides_on_the_separator() -> None:
    """Other separators in names of free columns do not mislead."""
    assert manifest("a;b;c;d,orthanc_id\n").separator == ","
    assert manifest('"a,b,c,d";orthanc_id\n').free_columns == ("a,b,c,d",)


def test_lines_are_counted_where_a_record_begins() -> None:
    """Line breaks in cells, blank lines and lines of separators alone are counted, and only that."""
    text = f'orthanc_id,note\n\n"{ID}","one\ntwo\r\nthree"\n,\n  \n{OTHER},four\n'

    found = rows(text)

    assert [(row.line, row.free) for row in found] == [(3, ("one\ntwo\r\nthree",)), (8, ("four",))]


def test_all_cells_are_text() -> None:
    """Nothing is taken for a number, a date or a missing value; only three columns are trimmed."""
    text = f"orthanc_id,level,operation,Replace.PatientComments,note\n {ID} , study , modify , 007 ,NA\n"

    (row,) = rows(text)

    assert (row.orthanc_id, row.level, row.operation) == (ID, Level.STUDY, Operation.MODIFY)
    assert row.request == request(Replace={"PatientComments": " 007 "})
    assert row.free == ("NA",)


def test_a_row_that_says_nothing_has_the_config_s_request() -> None:
    """All such rows share one object."""
    given = defaults(Replace={"StudyDescription": "Trial {{7}}"}, Remove=["StationName"])
    first, second = rows(f"orthanc_id,Replace.StudyID\n{ID},\n{OTHER},\n", given)

    assert first.request == request(Replace={"StudyDescription": "Trial {7}"}, Remove=["StationName"])
    assert first.request is second.request
    assert (first.operation, first.instances) == (Operation.MODIFY, None)


def test_a_row_overrules_the_config() -> None:
    """A path that a row names is first taken out of all lists of the config; an empty cell names nothing."""
    given = defaults(
        Replace={"StudyDescription": "config", "0008,0050": "config"},
        Remove=["StationName", "InstitutionName"],
        Keep=["SeriesDescription"],
    )
    header = "orthanc_id;Replace.StudyDescription;Replace.0008-1010;Clear.InstitutionName;Clear.StudyID;Remove;Keep"
    (row,) = rows(f'{header}\n{ID};row;;yes;yes;"SeriesDescription; 0008,0050";\n', given)

    assert row.problems == ()
    assert row.request == request(
        Replace={"StudyDescription": "row", "InstitutionName": "", "StudyID": ""},
        Remove=["StationName", "SeriesDescription", "AccessionNumber"],
    )


@pytest.mark.parametrize(
    ("header", "cell", "body"),
    [
        ("Remove", "StationName", {"Remove": ["StationName"]}),
        ("Keep", "StationName", {"Keep": ["StationName"]}),
        ("Clear.StudyID", "yes", {"Replace": {"StudyID": ""}}),
        ("Replace.StudyID", "7", {"Replace": {"StudyID": "7"}}),
    ],
)
def test_an_edit_may_be_the_first_column(header: str, cell: str, body: dict[str, Any]) -> None:
    """Columns have no order."""
    (row,) = rows(f"{header},orthanc_id\n{cell},{ID}\n")

    assert (request(**body), ()) == (row.request, tuple(row.problems))


def test_the_row_s_operation_overrides_the_config_s() -> None:
    """Rows of both kinds may stand in one manifest."""
    given = defaults(DicomVersion="2023b")
    found = rows(f"orthanc_id,operation\n{ID},anonymize\n{OTHER},\n", given)

    assert [row.operation for row in found] == [Operation.ANONYMIZE, Operation.MODIFY]
    assert found[0].request == request(Operation.ANONYMIZE, DicomVersion="2023b")


def test_sequences_are_json() -> None:
    """Tags in any syntax, at any depth; ``Clear`` leaves no items."""
    header = "orthanc_id,Replace.ProcedureCodeSequence,Clear.RequestAttributesSequence"
    found = rows(f'{header}\n{ID},"[{{""CodeValue"": ""a"", ""0008,0104"": ""b""}}]",yes\n{OTHER},[],\n')

    assert [row.request for row in found] == [
        request(Replace={"ProcedureCodeSequence": [{"CodeValue": "a", "CodeMeaning": "b"}], "0040,0275": []}),
        request(Replace={"ProcedureCodeSequence": []}),
    ]


def test_paths_as_columns() -> None:
    """Dots of the path and blanks around the header do no harm."""
    (row,) = rows(f"orthanc_id, Replace.RequestAttributesSequence[*].StudyInstanceUID \n{ID},1.2\n")

    assert row.request == request(Replace={"RequestAttributesSequence[*].StudyInstanceUID": "1.2"})


def test_templates_are_filled_from_free_columns() -> None:
    """Also inside sequences; cells with braces stay as they are."""
    given = defaults(
        Operation.ANONYMIZE,
        Replace={
            "PatientID": "{subject}",
            "PatientName": "{{{subject}}}",
            "ProcedureCodeSequence": [{"CodeValue": "{c}"}],
        },
        Force=True,
        DicomVersion="2023b",
    )
    (row,) = rows(f"orthanc_id,subject,c,unused\n{ID},{{x}},C1,\n", given)

    assert row.free == ("{x}", "C1", "")
    assert row.request == request(
        Operation.ANONYMIZE,
        Replace={"PatientID": "{x}", "PatientName": "{{x}}", "ProcedureCodeSequence": [{"CodeValue": "C1"}]},
        Force=True,
        DicomVersion="2023b",
    )


def test_an_overruled_template_needs_no_cell() -> None:
    """The row's own value takes the template's place."""
    given = defaults(Replace={"StudyID": "{subject}"})
    found = rows(f"orthanc_id,subject,Replace.StudyID,Remove\n{ID},,own,\n{OTHER},,,StudyID\n", given)

    assert [row.request for row in found] == [request(Replace={"StudyID": "own"}), request(Remove=["StudyID"])]


def test_rows_can_be_read_again_from_a_file(tmp_path: FilePath) -> None:
    """Nothing is held open or used up; the file's own name serves when no other is given."""
    from deidflow.tasks.core.manifest.manifest import Manifest  # noqa: PLC0415 (the helper opens bytes)

    path = tmp_path / "cohort.csv"
    path.write_text(f"orthanc_id,instances\n{ID},12\n")
    opened = Manifest(path, defaults())

    assert list(opened.rows()) == list(opened.rows())
    assert next(opened.rows()).instances == 12
    assert opened.name == str(path)
    assert opened.sha256 == manifest(path.read_bytes()).sha256


def test_a_header_alone_is_a_manifest_of_no_rows() -> None:
    """A night without new studies is no error."""
    assert rows("orthanc_id,level\n") == []


CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)


@given(st.lists(st.tuples(CELLS, CELLS.filter(str.strip)), max_size=5))
def test_what_deidflow_writes_can_be_read(cells: list[tuple[str, str]]) -> None:
    """Free columns come back unchanged from ``failures.csv``, formulas, quotes and line breaks among them."""
    records = [("orthanc_id", "=free", "b"), *((some_id(number), *pair) for number, pair in enumerate(cells))]

    opened = manifest(written(records))

    assert opened.free_columns == ("=free", "b")
    assert [row.free for row in opened.rows()] == cells


def test_offsets_of_dates_from_a_free_column() -> None:
    """Each row that is anonymized has its own; a row to modify needs none. They survive the ledger."""
    config = replace(defaults(Operation.ANONYMIZE), has_profile=True, shift_column="offset")
    text = f"orthanc_id,operation,offset\n{some_id(1)},,-120\n{some_id(2)},,+7\n{some_id(3)},modify,\n"
    found = rows(text, config)

    assert [row.problems for row in found] == [(), (), ()]
    assert [row.request and row.request.shift_days for row in found] == [-120, 7, None]
    assert len({row.request.canonical() for row in found if row.request}) == 3
    with Ledger.prepare() as ledger:
        for number, row in enumerate(found):
            assert row.request is not None
            ledger.requests.add(number, row.request)
        assert [RequestCache(ledger).get(number).shift_days for number in range(3)] == [-120, 7, None]


def test_what_a_profile_keeps_needs_no_force() -> None:
    """UIDs stay with retain-uids for rows to anonymize; what a row names goes before, and needs Force as ever."""
    config = replace(defaults(Operation.ANONYMIZE), has_profile=True, keeps=KEPT_UIDS)
    text = f"orthanc_id,operation,Replace.StudyInstanceUID\n{some_id(1)},,\n{some_id(2)},modify,\n{some_id(3)},,1.2\n"
    plain, modified, named = rows(text, config)

    assert plain.request is not None
    assert plain.request.edits.keep == tuple(sorted(KEPT_UIDS))
    assert modified.request is not None
    assert modified.request.edits.keep == ()
    assert [problem.column for problem in named.problems] == ["Replace.StudyInstanceUID"]
    forced = rows(text, replace(config, settings=Settings(force=True)))[2].request
    assert forced is not None
    assert Path((), STUDY_INSTANCE_UID) not in forced.edits.keep
