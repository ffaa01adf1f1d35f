"""Rows that are added to a manifest: nothing that a person wrote is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers, Level
from deidflow.tasks.core.errors import InvalidInput
from deidflow.tasks.core.manifest.inventory import InventoryRecord, add_inventory, write_inventory
from tests.core.manifests import defaults, rows

if TYPE_CHECKING:
    from pathlib import Path


def held(*patients: str, instances: int = 1) -> list[InventoryRecord]:
    """Return one study of each patient."""
    return [
        InventoryRecord(DicomIdentifiers(patient, patient, f"{patient}.1", f"{patient}.1.{n}"), {"Modality": "CT"})
        for patient in patients
        for n in range(instances)
    ]


def study(patient: str) -> str:
    """Return the identifier of a patient's study."""
    return DicomIdentifiers(patient, patient, "", "").orthanc_id(Level.STUDY)


@pytest.mark.parametrize(
    "filled",
    [
        "\ufefforthanc_id,level,Replace.StudyDescription,instances\r\n{},study,'=S1,1\r\n",
        'instances;subject;orthanc_id\n1;"a;\nb";{}\n',
        "orthanc_id\tsubject\n{}\tS1",
    ],
    ids=["as written", "of a person", "without an end"],
)
def test_what_stands_there_stays_byte_for_byte(tmp_path: Path, filled: str) -> None:
    """Whatever its columns, separator and line ends are; new rows have the columns that it has."""
    path = tmp_path / "cohort.csv"
    path.write_text(filled.format(study("1")), "utf-8", newline="")
    before = path.read_bytes()
    nothing_new = add_inventory(held("1"), Level.STUDY, path)
    assert (0, before) == (nothing_new.rows, path.read_bytes())
    added = add_inventory(held("1", "2", "3"), Level.STUDY, path)
    after = path.read_bytes()
    read = rows(after, defaults())

    assert after.startswith(before)
    assert [study("1"), study("2"), study("3")] == [row.orthanc_id for row in read]
    assert (2, {row.orthanc_id: row.line for row in read}) == (added.rows, added.lines)
    assert [] == [row.problems for row in read if row.problems]
    again = add_inventory(held("1", "2", "3"), Level.STUDY, path)
    assert (0, after) == (again.rows, path.read_bytes())


def test_rows_that_have_grown_are_named(tmp_path: Path) -> None:
    """Their number of instances stays, since a run is to notice; whoever adds is told their lines."""
    path = tmp_path / "cohort.csv"
    write_inventory(held("1", "2"), Level.STUDY, path)
    before = path.read_bytes()
    added = add_inventory([*held("1", instances=3), *held("2")], Level.STUDY, path)

    assert ((2,), before) == (added.changed, path.read_bytes())


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"name,age\r\nx,1\r\n", "must be a manifest, with a column orthanc_id"),
        (b"orthanc_id,level\r\nx,series\r\n", "line 2: must hold rows of the level asked for; add --level series"),
        (b"orthanc_id,level\r\nx,study,more\r\n", "line 2: the row has 3 cells"),
        (b"orthanc_id\r\n\xff\r\n", "must be UTF-8"),
    ],
)
def test_what_cannot_be_added_to_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    """And stays as it is."""
    path = tmp_path / "cohort.csv"
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match=says):
        add_inventory(held("1"), Level.STUDY, path)
    assert content == path.read_bytes()


def test_only_rows_with_a_wanted_instance_are_listed_and_with_all_their_instances(tmp_path: Path) -> None:
    """A study of which one series is wanted is one row, which says how many instances the whole study has."""
    report = InventoryRecord(DicomIdentifiers("1", "1", "1.2", "1.2.1"), {"Modality": "SR"})
    path = tmp_path / "cohort.csv"
    count = write_inventory(
        [*held("1", instances=4), report, *held("2")],
        Level.STUDY,
        path,
        meets=lambda record: record.attributes["Modality"] == "SR",
    )

    assert (1, [5]) == (count, [row.instances for row in rows(path.read_bytes())])
