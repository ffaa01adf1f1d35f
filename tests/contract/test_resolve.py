"""A list of subjects and conditions, against a folder and against a real Orthanc that holds the same."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

import pytest
from openpyxl import Workbook

from tests.contract.server import SETTINGS, Server
from tests.dicom_files import instance
from tests.jobs import read_csv
from tests.orthanc_server import OrthancServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.jobs import Job


def _fill(folder: Path) -> list[str]:
    """Write 197 studies for 195 accession numbers, two of which stand on two studies each; return a list of 200."""
    folder.mkdir(parents=True)
    numbers = [f"ACC{n:04}" for n in range(195)]
    for n, accession in enumerate([*numbers, "ACC0003", "ACC0150"]):
        uid = f"1.2.{n + 1}"
        for number in range(2 if n == 7 else 1):
            content = instance(
                PatientID=f"P{n % 50}",
                PatientName="Doe^Jane",
                AccessionNumber=accession,
                StudyDate=f"2024{n % 12 + 1:02}{n % 28 + 1:02}",
                StudyDescription="Chest" if n % 2 else "Abdomen",
                Modality="CT" if n % 3 else "MR",
                StudyInstanceUID=uid,
                SeriesInstanceUID=f"{uid}.1",
                SOPInstanceUID=f"{uid}.1.{number}",
            )
            (folder / f"{n}-{number}").write_bytes(content)
    # In another case, in part, and with blanks that do not count.
    return [*numbers, "acc0001", "ACC000", "ACC*", "ACC9999", "ACC?001"]


@pytest.fixture
def limited(orthanc_root: Path | None) -> Iterator[Server]:
    """A server that answers with ten resources at most."""
    with OrthancServer(orthanc_root, {**SETTINGS, "LimitFindResults": 10}) as running:
        made = Server(running)
        yield made
        made.close()


def test_two_hundred_accession_numbers(job: Job, server: Server) -> None:
    """193 rows, and the 7 others by line: the same from CSV and XLSX, from a folder and from a server."""
    values = _fill(job.source)
    padded = job.source / "9-0"
    padded.write_bytes(padded.read_bytes().replace(b"ACC0009 ", b" ACC0009"))
    server.upload(job.source)
    table = [("subject", "AccessionNumber"), *((f"S{n}", f" {value}") for n, value in enumerate(values))]
    with (job.root / "list.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(table)
    book = Workbook()
    assert book.active is not None
    for row in table:
        book.active.append(row)
    book.save(job.root / "list.xlsx")
    found = {}
    for name, source in (("list.csv", job.source), ("list.xlsx", server.url)):
        done = job("resolve", name, "--by", "AccessionNumber", source, "-o", f"{name}.csv")
        problems = read_csv(job.root / f"{name}.csv.problems.csv")
        found[name] = (done.code, read_csv(job.root / f"{name}.csv"), problems)
        assert "7 of 200 rows are not in the manifest (2 ambiguous, 5 not-found)" in done.out
        assert [] == [value for value in values if value in done.out + done.err]
        assert all(f"line {problem['line']}, column AccessionNumber" in done.err for problem in problems)
    code, rows, problems = found["list.csv"]

    assert (1, 193) == (code, len(rows))
    assert found["list.csv"] == found["list.xlsx"]
    assert [5, 152, 197, 198, 199, 200, 201] == [int(problem["line"]) for problem in problems]
    assert ["2"] == [row["instances"] for row in rows if row["subject"] == "S7"]
    options = {"DicomVersion": "2023b", "Replace": {"StudyDescription": "{subject}"}}
    job.write_config(manifest="list.csv.csv", options=options)
    assert 0 == job("plan", "job.yaml").code


WHERE = [
    ("StudyDate>=20240301", "StudyDate<20240901", "StudyDescription~ch*"),
    ("AccessionNumber!=ACC0001", "Modality!=CT"),
    ("PatientID=P7",),
    ("AccessionNumber~acc00?7", "PatientName~doe*"),
    ("PatientName~m?ller", "AccessionNumber~*"),
    ("PatientID~m*7",),
    ("StudyInstanceUID~1.3.?",),
]


def test_conditions_are_the_same_on_a_folder_and_on_a_server(job: Job, server: Server) -> None:
    """Whatever the server is asked, and whatever of it is looked at again."""
    _fill(job.source)
    # A blank before the PatientID, letters beyond ASCII, a date as ACR-NEMA wrote it, and no AccessionNumber.
    names: dict[str, Any] = {"PatientID": " Mü7", "PatientName": "Müller", "SpecificCharacterSet": "ISO_IR 100"}
    odd = instance(**names, StudyDate="2024.03.20", StudyDescription="Chest", StudyInstanceUID="1.3.7")
    (job.source / "odd").write_bytes(odd)
    server.upload(job.source)
    counts = []
    for number, conditions in enumerate(WHERE):
        where = [text for condition in conditions for text in ("--where", condition)]
        listed = []
        for source in (job.source, server.url):
            done = job("inventory", source, "-o", f"{number}.csv", "--overwrite", *where)
            assert 0 == done.code
            listed.append(read_csv(job.root / f"{number}.csv"))
        assert listed[0] == listed[1]
        counts.append(len(listed[0]))

    assert [50, 67, 4, 10, 1, 1, 1] == counts


def test_a_server_that_answers_in_part_is_listed_as_a_whole(job: Job, limited: Server) -> None:
    """Nothing is missing, and nothing is taken for the only one, where a server leaves out what it finds."""
    values = _fill(job.source)
    limited.upload(job.source)
    with (job.root / "list.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("AccessionNumber",), *((value,) for value in values)])

    assert 1 == job("resolve", "list.csv", "--by", "AccessionNumber", limited.url, "-o", "cohort.csv").code
    assert (193, 7) == tuple(len(read_csv(job.root / name)) for name in ("cohort.csv", "cohort.csv.problems.csv"))
    assert 0 == job("inventory", limited.url, "-o", "ct.csv", "--where", "Modality=CT").code
    assert 131 == len(read_csv(job.root / "ct.csv"))


def test_a_filled_manifest_stays_and_gets_what_is_new(job: Job) -> None:
    """`inventory` and `resolve` add rows, say how many, and refuse names that are no CSV file's."""
    values = _fill(job.source)
    (job.root / "few.csv").write_text("AccessionNumber,subject\nACC0001,S1\nACC0002,S2\n", "utf-8")
    assert 0 == job("resolve", "few.csv", "--by", "AccessionNumber", job.source, "-o", "cohort.csv").code
    filled = (job.root / "cohort.csv").read_bytes()
    (job.root / "few.csv").write_text("AccessionNumber,subject\nACC0001,S9\nACC0004,S4\n", "utf-8")
    done = job("resolve", "few.csv", "--by", "AccessionNumber", job.source, "-o", "cohort.csv")

    assert (0, "1 new row added to cohort.csv, which has 1 of the others already\n") == (done.code, done.out)
    assert (job.root / "cohort.csv").read_bytes().startswith(filled)
    assert ["S1", "S2", "S4"] == [row["subject"] for row in read_csv(job.root / "cohort.csv")]
    more = job("inventory", job.source, "-o", "cohort.csv")
    assert f"{len(values) - 6} new rows added" in more.out
    assert 197 == len(read_csv(job.root / "cohort.csv"))
    anew = job("inventory", job.source, "-o", "cohort.csv", "--overwrite")
    assert "197 rows written" in anew.out
    for name in ("cohort.xlsx", "job.yaml"):
        refused = job("inventory", job.source, "-o", name)
        assert (2, True) == (refused.code, "must end with .csv" in refused.err)
