"""The inventory: a manifest to fill in, with what people recognise a row by."""

from __future__ import annotations

import os
import stat
from itertools import permutations
from pathlib import Path

import pandas as pd
import pytest

from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers, Level
from deidflow.tasks.core.manifest.columns import parse_header
from deidflow.tasks.core.manifest.inventory import ATTRIBUTES, InventoryRecord, inventory_columns, write_inventory
from deidflow.tasks.core.manifest.manifest import Manifest
from tests.core.manifests import defaults


def record(patient: str, study: str, series: str, instance: str, **attributes: str) -> InventoryRecord:
    """Return one instance; unknown keywords fail the test."""
    assert set(attributes) <= {keyword for keywords in ATTRIBUTES.values() for keyword in keywords}
    return InventoryRecord(DicomIdentifiers(patient, study, series, instance), attributes)


RECORDS = [
    record("P", "1", "1.1", "1.1.1", Modality="CT", SeriesNumber="2", InstanceNumber="10", StudyDate="20240102"),
    record("P", "1", "1.1", "1.1.2", Modality="CT", SeriesNumber="2", InstanceNumber="9", StudyDate="20240102"),
    record("P", "1", "1.2", "1.2.1", Modality="SR", SeriesNumber="10", StudyDate="20240102", PatientName="DOE^JANE"),
    record("P", "2", "2.1", "2.1.1", Modality="MR", StudyDate="20240101", StudyDescription="=Head"),
    record("", "3", "3.1", "3.1.1"),
]


def table(path: Path) -> pd.DataFrame:
    """Read a CSV file as the documentation says."""
    return pd.read_csv(path, dtype=str, keep_default_na=False)


@pytest.mark.parametrize("level", Level)
def test_every_level_is_a_manifest(tmp_path: Path, level: Level) -> None:
    """The manifest reader takes it as it is: three columns of its own, the others free."""
    path = tmp_path / "inventory.csv"
    count = write_inventory(RECORDS, level, path)
    columns, problems = parse_header(inventory_columns(level))
    rows = list(Manifest(path, defaults()).rows())

    assert problems == []
    assert tuple(name for _, name in columns.free) == inventory_columns(level)[3:]
    assert [] == [row.problems for row in rows if row.problems]
    assert {row.level for row in rows} == {level}
    assert {row.orthanc_id for row in rows} == {item.identifiers.orthanc_id(level) for item in RECORDS}
    assert count == len(rows)
    assert sum(row.instances or 0 for row in rows) == len(RECORDS)


def test_studies(tmp_path: Path) -> None:
    """In the order of patient and date, with what is known of all their instances."""
    path = tmp_path / "inventory.csv"
    write_inventory(RECORDS, Level.STUDY, path)
    frame = table(path)

    assert frame["StudyInstanceUID"].tolist() == ["3", "2", "1"]
    assert frame["instances"].tolist() == ["1", "1", "3"]
    assert frame["ModalitiesInStudy"].tolist() == ["", "MR", "CT\\SR"]
    assert frame["NumberOfStudyRelatedSeries"].tolist() == ["1", "1", "2"]
    assert frame["PatientName"].tolist() == ["", "", "DOE^JANE"]
    assert frame["StudyDescription"].tolist() == ["", "'=Head", ""]
    assert [row.free[7] for row in Manifest(path, defaults()).rows()] == ["", "=Head", ""]


def test_numbers_sort_as_numbers(tmp_path: Path) -> None:
    """Series 10 comes after series 2, instance 10 after instance 9."""
    path = tmp_path / "inventory.csv"
    write_inventory(RECORDS, Level.SERIES, path)
    assert table(path)["SeriesNumber"].tolist() == ["", "", "2", "10"]

    write_inventory(RECORDS, Level.INSTANCE, path)
    assert table(path)["InstanceNumber"].tolist() == ["", "", "9", "10", ""]


def test_patients(tmp_path: Path) -> None:
    """With how many studies and series they have."""
    path = tmp_path / "inventory.csv"
    write_inventory(RECORDS, Level.PATIENT, path)
    frame = table(path)

    assert frame["PatientID"].tolist() == ["", "P"]
    assert frame["NumberOfPatientRelatedStudies"].tolist() == ["1", "2"]
    assert frame["NumberOfPatientRelatedSeries"].tolist() == ["1", "3"]


@pytest.mark.parametrize("level", Level)
def test_the_order_of_the_source_does_not_count(tmp_path: Path, level: Level) -> None:
    """The same source gives the same file."""
    contents = set()
    for order in permutations(RECORDS[1:]):
        write_inventory([*order, RECORDS[0]], level, tmp_path / "inventory.csv")
        contents.add((tmp_path / "inventory.csv").read_bytes())

    assert len(contents) == 1


def test_copies_count_once(tmp_path: Path) -> None:
    """Also when their descriptions differ: the lowest value that is not empty is shown."""
    copies = [
        record("P", "1", "1.1", "1.1.1", PatientName=name, PatientSex=sex)
        for name, sex in (("", "M"), ("DOE^JOHN", ""), ("DOE^JANE", "M"))
    ]
    write_inventory(copies, Level.INSTANCE, tmp_path / "inventory.csv")
    (row,) = table(tmp_path / "inventory.csv").to_dict("records")

    assert (row["instances"], row["PatientName"], row["PatientSex"]) == ("1", "DOE^JANE", "M")


def test_values_that_a_csv_file_cannot_hold(tmp_path: Path) -> None:
    """NUL bytes are dropped and half surrogate pairs escaped, so that the file is a sound manifest."""
    odd = record(
        "P\0Q", "1", "1.1", "1.1.1", PatientName="A\0B", StudyDescription="two\r\nlines, \udcff", Modality="\0"
    )
    write_inventory([odd], Level.STUDY, tmp_path / "inventory.csv")
    (row,) = Manifest(tmp_path / "inventory.csv", defaults()).rows()

    assert row.free[:2] == ("PQ", "AB")
    assert "two\r\nlines, \\udcff" in row.free


def test_the_file_is_private(tmp_path: Path) -> None:
    """Under any umask; what a link leads to is replaced, not the link."""
    link = tmp_path / "link.csv"
    link.symlink_to("inventory.csv")
    before = os.umask(0)
    try:
        assert write_inventory([], Level.STUDY, link) == 0
    finally:
        os.umask(before)

    assert link.is_symlink()
    assert stat.S_IMODE((tmp_path / "inventory.csv").stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["inventory.csv", "link.csv"]


def test_a_pipe_is_written_to() -> None:
    """``-o /dev/stdout`` does not replace the device."""
    write_inventory(RECORDS, Level.STUDY, Path(os.devnull))

    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)
