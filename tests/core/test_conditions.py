"""Conditions of an inventory: what they let pass, and that a server is never asked for less than that."""

from __future__ import annotations

import pytest

from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers, Level
from deidflow.tasks.core.errors import BadText
from deidflow.tasks.core.manifest.conditions import finds_of, lowest_level, parse_condition
from deidflow.tasks.core.manifest.inventory import InventoryRecord

RECORD = InventoryRecord(
    DicomIdentifiers("P*1", "1.2.3", "1.2.3.4", "1.2.3.4.5"),
    {
        "Modality": "CT",
        "StudyDate": "20240131",
        "StudyTime": "081500.5",
        "StudyDescription": "Chest with contrast",
        "SeriesNumber": " 10",
    },
)


@pytest.mark.parametrize(
    ("text", "is_met"),
    [
        ("Modality=CT", True),
        ("Modality = CT ", True),
        ("Modality=ct", False),
        ("Modality!=MR", True),
        ("Modality!=CT", False),
        ("AccessionNumber=", True),
        ("AccessionNumber!=", False),
        ("AccessionNumber>=1", False),
        ("AccessionNumber<1", False),
        ("StudyDate>=20240131", True),
        ("StudyDate>20240131", False),
        ("StudyDate>=2024-01-31", True),
        ("StudyDate<20240201", True),
        ("StudyDate<=20240130", False),
        ("StudyTime>08", True),
        ("StudyTime<0815", False),
        ("SeriesNumber>9", True),
        ("SeriesNumber<=10", True),
        ("SeriesNumber<9", False),
        ("StudyDescription~chest*", True),
        ("StudyDescription~chest", False),
        ("StudyDescription~*contrast", True),
        ("StudyDescription~C?est*", True),
        ("StudyDescription~*t*t*t", True),
        ("StudyDescription~*st*wi?h**contrast", True),
        ("StudyDescription~*contrast*st", False),
        ("StudyDescription~chest*t with contrast", False),
        ("PatientID=P*1", True),
        ("PatientID~p*1", True),
        ("StudyInstanceUID=1.2.3", True),
    ],
)
def test_relations(text: str, *, is_met: bool) -> None:
    """Texts are equal as they are written, patterns pass over case, dates and numbers are ordered by what they mean."""
    assert is_met == parse_condition(text).is_met_by(RECORD)


def test_a_pattern_of_many_stars_takes_a_moment() -> None:
    """Where each star was tried in each place, the time grew with a power as high as there were stars."""
    record = InventoryRecord(RECORD.identifiers, {"StudyDescription": "a" * 10_000})

    assert not parse_condition(f"StudyDescription~{'*a' * 30}*b").is_met_by(record)
    assert parse_condition(f"StudyDescription~{'*a' * 30}*").is_met_by(record)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Modality", "must be a keyword, one of"),
        ("Modality CT", "must be a keyword, one of"),
        ("BodyPart=X", "must name one of PatientID"),
        ("Modality==CT", "and not a second one"),
        ("StudyDate=>20240101", "and not a second one"),
        ("StudyDate>=January", "StudyDate: must be a date of eight digits"),
        ("SeriesNumber<many", "SeriesNumber: must be compared with a whole number"),
        ("StudyTime>", "StudyTime: > must be followed by a value"),
    ],
)
def test_what_is_no_condition_is_refused(text: str, says: str) -> None:
    """The message says what must be, and not what was given."""
    with pytest.raises(BadText, match=says) as caught:
        parse_condition(text)
    assert "January" not in str(caught.value)


@pytest.mark.parametrize(
    ("texts", "query"),
    [
        (["Modality=CT"], {"Modality": "*CT"}),
        (["StudyDate>=20240101", "StudyDate<20240201"], {"StudyDate": "2024.-20240201"}),
        (["StudyDate>20240101", "StudyDate>=20240115"], {"StudyDate": "2024.-"}),
        (["StudyDate=20240131", "StudyDate<20250101"], {"StudyDate": "20240131"}),
        (["StudyDescription~chest*", "Modality=MR"], {"StudyDescription": "*chest*", "Modality": "*MR"}),
        (["PatientName~M?ller*", "StudyInstanceUID=1.2"], {"PatientName": "*M*ller*", "StudyInstanceUID": "1.2"}),
        # A pattern's sign that is meant as itself, several values, letters whose case servers fold in their own ways.
        (["PatientID=P*1"], None),
        (["StudyDescription=a\\b"], None),
        (["PatientName=Müller"], None),
        # What no query can say, or no pattern finds.
        (["StudyInstanceUID~1.2.*"], None),
        (["StudyInstanceUID=1.2.?"], None),
        (["AccessionNumber~*"], None),
        (["Modality!=CT"], None),
        (["AccessionNumber="], None),
        (["SeriesNumber=7"], None),
        (["InstanceNumber>=7"], None),
    ],
)
def test_what_a_server_is_asked(texts: list[str], query: dict[str, str] | None) -> None:
    """Only what a server cannot understand in another way; everything is listed when nothing is left to ask."""
    finds = finds_of([parse_condition(text) for text in texts])

    assert ([] if query is None else [query]) == [dict(find.query) for find in finds]


def test_a_condition_on_series_is_asked_at_their_level() -> None:
    """The lowest level of what is asked about is the one to ask at, and the one whose attributes are read."""
    conditions = [parse_condition("Modality=CT"), parse_condition("StudyDate>=20240101")]

    assert [Level.SERIES] == [find.level for find in finds_of(conditions)]
    assert Level.SERIES is lowest_level(conditions, Level.STUDY)
    assert Level.INSTANCE is lowest_level(conditions, Level.INSTANCE)
