"""The files of a run folder: what they hold, how they are written, and that spreadsheets and programs can read them."""

from __future__ import annotations

import dataclasses
import json
import os
import stat
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from deidflow.tasks.core.dicom.identifiers import Level
from deidflow.tasks.core.engine.result_paths import relative_path
from deidflow.tasks.core.engine.sources import ProblemCode
from deidflow.tasks.core.errors import InvalidInput
from deidflow.tasks.core.ledger.run_facts import change_facts
from deidflow.tasks.core.manifest.columns import REPORT_COLUMNS
from deidflow.tasks.core.manifest.manifest import Manifest
from deidflow.tasks.core.outcomes import Outcome, Reason, ReasonCode
from deidflow.tasks.core.report.files import write_reports
from deidflow.tasks.core.report.page import OUTCOME_TEXTS, SOURCE_PROBLEM_TEXTS
from deidflow.tasks.core.report.templates import duration
from deidflow.tasks.core.request.request import Operation
from tests.core.ledgers import FACTS, Instance, Row, make_ledger, manifest_bytes
from tests.core.manifests import defaults

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

ALWAYS = {"reconciliation.csv", "crosswalk.csv", "delivered.csv", "summary.json", "provenance.json", "report.html"}
DAMAGED = Reason(ReasonCode.DAMAGED, "truncated at byte 12")
FAILED = Instance("7.7", series=("P", "1", "1.1"), outcome="failed", reason=DAMAGED)
OTHER = Instance("7.8", series=("Q", "2", "2.1"))
UNKNOWN_ID = "aaaaaaaa-bbbbbbbb-cccccccc-dddddddd-eeeeeeee"


def report(folder: Path, rows: Sequence[Row], **more: Any) -> None:
    """Write the reports of a run."""
    with make_ledger(rows, **more) as ledger:
        write_reports(ledger, folder)


def names(folder: Path) -> set[str]:
    """Return what a folder holds."""
    return {path.name for path in folder.iterdir()}


def table(path: Path) -> pd.DataFrame:
    """Read a CSV file as the documentation says."""
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def failures(folder: Path, operation: Operation = Operation.ANONYMIZE) -> list[tuple[str, str, int | None]]:
    """Read ``failures.csv`` as the next run would, and hold that nothing is wrong with it."""
    found = list(Manifest(folder / "failures.csv", defaults(operation, DicomVersion="2023b", Force=True)).rows())
    assert [] == [row.problems for row in found if row.problems]
    return [(row.orthanc_id, str(row.level), row.instances) for row in found]


@pytest.mark.parametrize("umask", [0, 0o777])
def test_files_are_private_under_any_umask(tmp_path: Path, umask: int) -> None:
    """They re-identify people; nothing else is left in the folder."""
    before = os.umask(umask)
    try:
        report(tmp_path, [Row([FAILED])], source_problems=[(b"a", ProblemCode.EMPTY)])
    finally:
        os.umask(before)

    assert ALWAYS | {"failures.csv", "source_problems.csv"} == names(tmp_path)
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}


def test_files_that_no_longer_apply_are_removed(tmp_path: Path) -> None:
    """After a resume that finished everything there is no list of failures."""
    report(tmp_path, [Row([FAILED])], source_problems=[(b"a", ProblemCode.EMPTY)])
    report(tmp_path, [Row([OTHER])])

    assert names(tmp_path) == ALWAYS


def test_a_second_report_is_the_same(tmp_path: Path) -> None:
    """Nothing in it depends on when it was written."""
    with make_ledger(
        [Row([FAILED, Instance("7.9")]), Row([OTHER])], source_problems=[(b"a", ProblemCode.EMPTY)]
    ) as ledger:
        write_reports(ledger, tmp_path)
        first = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
        write_reports(ledger, tmp_path)

    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == first


def test_a_failed_write_keeps_the_older_file(tmp_path: Path) -> None:
    """A file is replaced as a whole or not at all."""
    report(tmp_path, [Row([OTHER])])
    before = (tmp_path / "reconciliation.csv").read_bytes()
    with make_ledger([Row([FAILED]), Row()]) as ledger:
        ledger.execute("UPDATE manifest_row SET free = 'no JSON' WHERE line = 3")
        with pytest.raises(json.JSONDecodeError):
            write_reports(ledger, tmp_path)

    assert (tmp_path / "reconciliation.csv").read_bytes() == before
    assert names(tmp_path) == ALWAYS


def test_the_bytes_of_a_table(tmp_path: Path) -> None:
    """UTF-8 with byte order mark, commas, CRLF; the columns of the contract in its order."""
    report(tmp_path, [Row([FAILED])])
    header = (tmp_path / "crosswalk.csv").read_bytes().split(b"\r\n")[0]
    content = (tmp_path / "reconciliation.csv").read_bytes()

    assert header == (
        b"\xef\xbb\xbflevel,original_orthanc_id,new_orthanc_id,original_dicom_id,new_dicom_id,outcome,reason,line,file"
    )
    assert content.startswith(b"\xef\xbb\xbf" + ",".join(REPORT_COLUMNS).encode() + b"\r\n")
    assert content.endswith(b",c0001,1\r\n")
    assert content.count(b"\n") == content.count(b"\r\n") == 2


FREE_CELLS = [
    "=1+1",
    "-5",
    "+5",
    "@a",
    "\tb",
    "'=1",
    "'s-Hertogenbosch",
    "two\nlines",
    "two\r\nlines",
    "two\rlines",
    "\rb",
    "007",
    "NA",
    "",
]
FREE_CELLS += ['a "quoted", cell', " blanks ", "Ærø", "'", "null", "1e5", "\N{GRINNING FACE}"]


@pytest.mark.parametrize("cell", FREE_CELLS)
def test_free_cells_come_back_unchanged(tmp_path: Path, cell: str) -> None:
    """Those that a spreadsheet would run as formulas stand behind an apostrophe, and only those."""
    rows = [Row([FAILED], free=("before", cell)), Row([OTHER], free=(cell, "after"))]
    report(tmp_path, rows, free_columns=("subject", "=note"))
    frame = table(tmp_path / "reconciliation.csv")
    written = f"'{cell}" if cell[:1] in tuple("=+-@\t\r") or cell == "'=1" else cell

    assert list(frame.columns) == [*REPORT_COLUMNS, "subject", "'=note"]
    assert frame["'=note"].tolist() == [written, "after"]
    assert frame["subject"].tolist() == ["before", written]
    (again,) = Manifest(tmp_path / "failures.csv", defaults(DicomVersion="2023b")).rows()
    assert again.free == ("before", cell)


def test_a_row_in_numbers(tmp_path: Path) -> None:
    """All cells of a partly done row."""
    instances = [Instance("7.7", attempts=2), Instance("7.8", outcome="failed", reason=DAMAGED, chunk="c0002")]
    report(tmp_path, [Row(instances, free=("s1",))], free_columns=("subject",))
    (row,) = table(tmp_path / "reconciliation.csv").to_dict("records")

    assert row == {
        "line": "2",
        "orthanc_id": instances[0].identifiers.orthanc_id(Level.STUDY),
        "level": "study",
        "operation": "anonymize",
        "outcome": "failed",
        "reason": str(DAMAGED),
        "new_orthanc_id": instances[0].new_identifiers.orthanc_id(Level.STUDY),
        "instances_expected": "2",
        "instances_done": "1",
        "instances_failed": "1",
        "chunk": "c0001;c0002",
        "attempts": "2",
        "subject": "s1",
    }


def test_instances_in_full(tmp_path: Path) -> None:
    """All cells of the crosswalk for one that is done, which needs no reason, and for one that has no result."""
    report(tmp_path, [Row([OTHER]), Row([FAILED])], config=dict(FACTS.config) | {"destination": {"folder": "/out"}})
    lines = [line for line in table(tmp_path / "crosswalk.csv").to_dict("records") if line["level"] == "instance"]
    found = {line["original_dicom_id"]: line for line in lines}

    assert found[OTHER.name] == {
        "level": "instance",
        "original_orthanc_id": OTHER.orthanc_id,
        "new_orthanc_id": OTHER.new_orthanc_id,
        "original_dicom_id": "7.8",
        "new_dicom_id": "9.7.8",
        "outcome": "done",
        "reason": "",
        "line": "2",
        "file": relative_path(OTHER.new_identifiers),
    }
    assert found[FAILED.name] == {
        "level": "instance",
        "original_orthanc_id": FAILED.orthanc_id,
        "new_orthanc_id": "",
        "original_dicom_id": "7.7",
        "new_dicom_id": "",
        "outcome": "failed",
        "reason": str(DAMAGED),
        "line": "3",
        "file": "",
    }


def test_failures_of_a_partly_done_row_are_instance_rows(tmp_path: Path) -> None:
    """With every other cell of the row; rows that failed or were not found as a whole stay as they are."""
    partly = Row([Instance("1"), FAILED, Instance("3", outcome="")], cells={"Replace.PatientID": "007", "Remove": ""})
    whole = Row(
        [Instance("4", series=("Q", "2", "2.1"), outcome="missing", reason=Reason(ReasonCode.RESULT_MISSING, "gone"))]
    )
    rows = [partly, Row([OTHER]), whole, Row(orthanc_id=UNKNOWN_ID, outcome="not_found")]
    report(tmp_path, [Row(**{**vars(row), "free": ("a\nb",)}) for row in rows], free_columns=("note",))

    assert failures(tmp_path) == [
        *((instance, "instance", None) for instance in sorted([FAILED.orthanc_id, partly.instances[2].orthanc_id])),
        (whole.resolved_id, "study", 1),
        (UNKNOWN_ID, "study", None),
    ]
    frame = table(tmp_path / "failures.csv")
    assert list(frame.columns) == ["orthanc_id", "level", "instances", "Remove", "Replace.PatientID", "note"]
    assert frame["Replace.PatientID"].tolist() == ["007", "007", "", ""]
    assert set(frame["note"]) == {"a\nb"}


@pytest.mark.parametrize(
    ("operation", "instance_rows"), [("anonymize", False), ("modify", True)], ids=["anonymize", "modify"]
)
def test_failures_on_a_server(tmp_path: Path, operation: str, *, instance_rows: bool) -> None:
    """Another anonymize call would give the rest another patient, so the whole row is listed."""
    row = Row([Instance("1"), FAILED], operation=operation)
    report(tmp_path, [row], engine="orthanc", server_version="1.12.7")
    expected = (FAILED.orthanc_id, "instance", None) if instance_rows else (row.resolved_id, "study", 2)

    assert failures(tmp_path, Operation(operation)) == [expected]


def test_failures_of_a_manifest_with_semicolons(tmp_path: Path) -> None:
    """They are written with commas like all files, so ``Remove`` stands in quotes no more."""
    rows = [Row([FAILED], cells={"Remove": "StudyID;AccessionNumber", "Replace.StudyDescription": "a, b"})]
    report(tmp_path, rows, manifest=b"\xef\xbb\xbf" + manifest_bytes(rows, (), separator=";"))

    assert failures(tmp_path) == [(rows[0].resolved_id, "study", 1)]
    assert table(tmp_path / "failures.csv")["Replace.StudyDescription"].tolist() == ["a, b"]


def test_failures_keep_rows_that_could_not_be_read(tmp_path: Path) -> None:
    """As they are: a row with too few cells stays one, one whose quotes do not match is shown in one cell."""
    text = f'orthanc_id,subject\r\n{OTHER.orthanc_id},a\r\n\r\n{UNKNOWN_ID}\r\n"b"c,d\r\nnot an id,e\r\n'
    invalid = Row(outcome="invalid", reason=Reason(ReasonCode.INVALID_ROW, "see the manifest"))
    rows = [Row([OTHER], level="instance"), invalid, invalid, invalid]
    report(tmp_path, rows, manifest=text.encode())

    assert (tmp_path / "failures.csv").read_bytes() == (
        b"\xef\xbb\xbforthanc_id,subject\r\n" + UNKNOWN_ID.encode() + b'\r\n"""b""c,d"\r\nnot an id,e\r\n'
    )
    again = Manifest(tmp_path / "failures.csv", defaults())
    assert [bool(row.problems) for row in again.rows()] == [True, True, True]


def test_a_ledger_without_its_manifest_is_damaged(tmp_path: Path) -> None:
    """It is said in words."""
    with make_ledger([Row([FAILED])]) as ledger:
        ledger.execute("DELETE FROM manifest")
        with pytest.raises(InvalidInput, match="does not hold the manifest"):
            write_reports(ledger, tmp_path)


def test_source_problems_name_files_of_any_name(tmp_path: Path) -> None:
    """Bytes that are not UTF-8 are written with backslashes; the lines are sorted."""
    problems = [
        (b"z\xff", ProblemCode.DAMAGED),
        (b"=a,b\n", ProblemCode.NOT_DICOM),
        ("ä".encode(), ProblemCode.EMPTY),
        (b"", ProblemCode.UNREADABLE),
    ]
    report(tmp_path, [Row([OTHER])], source_problems=problems)

    assert table(tmp_path / "source_problems.csv").to_numpy().tolist() == [
        [".", "unreadable"],
        ["'=a,b\n", "not-dicom"],
        ["z\\xff", "damaged"],
        ["ä", "empty"],
    ]


def test_the_summary_in_numbers(tmp_path: Path) -> None:
    """Every outcome has a number, also 0."""
    rows = [Row([Instance("1"), FAILED]), Row([OTHER]), Row(outcome="not_found", level="")]
    report(tmp_path, rows, source_problems=[(b"a", ProblemCode.EMPTY)])
    summary = json.loads((tmp_path / "summary.json").read_bytes())
    none = dict.fromkeys(Outcome, 0)

    assert summary["reconciled"] is False
    assert summary["exit_code"] == 1
    assert summary["rows"] == none | {"total": 3, "done": 1, "failed": 1, "not_found": 1}
    assert summary["instances"] == none | {"total": 3, "done": 2, "failed": 1}
    assert summary["rows_by_level"] == {
        "study": none | {"total": 2, "done": 1, "failed": 1},
        "unknown": none | {"total": 1, "not_found": 1},
    }
    assert summary["crosswalk_by_level"]["patient"] == none | {"total": 2, "done": 1, "failed": 1}
    assert summary["crosswalk_by_level"]["instance"] == summary["instances"]
    assert summary["row_reasons"] == {"damaged": 1, "not-found": 1}
    assert summary["instance_reasons"] == {"damaged": 1}
    assert summary["source_problems"] == {"total": 1, "empty": 1}
    assert (summary["seconds"], summary["instances_per_second"]) == (210.0, 0.0)


def test_no_run_takes_less_than_no_time(tmp_path: Path) -> None:
    """A clock that is put back between its begin and its end, as by the first contact with a time server."""
    with make_ledger([Row([OTHER])]) as ledger:
        change_facts(ledger, lambda facts: dataclasses.replace(facts, ended="2026-01-30T02:00:00Z"))
        write_reports(ledger, tmp_path)

    assert 0.0 == json.loads((tmp_path / "summary.json").read_text())["seconds"]


def test_provenance_names_hashes_and_versions(tmp_path: Path) -> None:
    """The hash of the config changes with it; the key itself is nowhere."""
    report(tmp_path, [Row([OTHER])], manifest_sha256="ab" * 32)
    first = json.loads((tmp_path / "provenance.json").read_bytes())
    report(tmp_path, [Row([OTHER])], config=dict(FACTS.config) | {"hardening": False})
    second = json.loads((tmp_path / "provenance.json").read_bytes())

    assert first["manifest_sha256"] == "ab" * 32
    assert first["key_fingerprint"] == "0a1b2c3d"
    assert first["versions"] == FACTS.versions
    asked = {"name": "trial", "operation": "anonymize", "dicom_version": "2023b", "hardening": True, "verify": "full"}
    run = {"run_id": FACTS.run_id, "engine": "local", "scope": "trial", "host": "worker-1", "attempts": 1}
    assert asked | run | {"profile": None, "profile_options": []} == {
        name: first[name] for name in (*asked, *run, "profile", "profile_options")
    }
    assert first["config_sha256"] != second["config_sha256"]


def test_no_public_file_identifies_anybody(tmp_path: Path) -> None:
    """No identifier, original or new, no cell, no file name, no text of a reason, no value of an option."""
    instances = [Instance("77.1", series=("MARKPATIENT", "77.2", "77.3")), FAILED]
    rows = [Row(instances, free=("MARKFREE",)), Row([OTHER], cells={"Replace.PatientID": "MARKCELL"}, free=("",))]
    config = dict(FACTS.config) | {
        "options": {"Replace": {"PatientName": "MARKVALUE"}},
        "source": {"folder": "/MARKFOLDER"},
    }
    report(
        tmp_path, rows, free_columns=("MARKCOLUMN",), config=config, source_problems=[(b"MARKFILE", ProblemCode.EMPTY)]
    )
    public = "".join((tmp_path / name).read_text() for name in ("summary.json", "provenance.json", "report.html"))

    assert "MARK" not in public
    assert "77." not in public
    assert "truncated" not in public
    for instance in (*instances, OTHER):
        for identifiers in (instance.identifiers, instance.new_identifiers):
            assert not [text for text in identifiers.orthanc_ids() if text in public]


def test_the_page_stands_alone(tmp_path: Path) -> None:
    """No script, nothing fetched; what to do about each reason stands on it."""
    report(tmp_path, [Row([FAILED])], source_problems=[(b"a", ProblemCode.DICOMDIR)], name="<b>")
    page = (tmp_path / "report.html").read_text()

    assert not [word for word in ("<script", "http:", "https:", "<link", "url(", "@import") if word in page]
    assert "Fetch the file again" in page
    assert "a DICOMDIR: a table of contents" in page


def test_the_page_says_what_the_plan_noted(tmp_path: Path) -> None:
    """In its words, so that whoever reads the report alone knows it, too."""
    report(tmp_path, [Row([OTHER])], notes=("references between them no longer match",))

    assert "references between them no longer match" in (tmp_path / "report.html").read_text()


def test_every_outcome_and_problem_is_explained() -> None:
    """None is shown by its code alone."""
    assert set(OUTCOME_TEXTS) == set(Outcome)
    assert set(SOURCE_PROBLEM_TEXTS) == set(ProblemCode)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0.00 s"), (59.9, "59.90 s"), (60, "1 min 0 s"), (3600, "1 h 0 min")]
)
def test_durations(seconds: float, text: str) -> None:
    """People read minutes, not thousands of seconds."""
    assert text == duration(seconds)


def test_a_run_without_rows_and_figures(tmp_path: Path) -> None:
    """Reports can be written before anything was measured."""
    unknown: dict[str, Any] = {
        "started": None,
        "ended": None,
        "seconds_by_step": {},
        "server_version": None,
        "host": "",
    }
    report(tmp_path, [], attempts=0, **unknown)
    summary = json.loads((tmp_path / "summary.json").read_bytes())

    assert summary["reconciled"] is True
    assert (summary["seconds"], summary["instances_per_second"]) == (None, None)
    assert table(tmp_path / "crosswalk.csv").empty


def test_reasons_of_the_page_are_in_the_order_of_their_weight(tmp_path: Path) -> None:
    """The most frequent reason comes first."""
    conflict = Reason(ReasonCode.DESTINATION_CONFLICT, "other bytes stand there")
    more = [Instance(str(n), outcome="failed", reason=conflict) for n in range(3)]
    report(tmp_path, [Row([FAILED, *more])])
    page = (tmp_path / "report.html").read_text()

    assert page.index("<code>destination-conflict") < page.index("<code>damaged")
