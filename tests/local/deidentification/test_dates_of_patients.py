"""Modified dates through the engine: one number of days for all of a patient, wherever a date stands."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread

from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers, Level
from deidflow.tasks.core.request.private_attributes import SiteAction, SiteAttribute
from deidflow.tasks.core.request.profile_choice import Option, ProfileChoice
from tests.dicom_files import Element, Item, instance
from tests.local.edits import deidentify, read
from tests.local.strategies import PROPERTY
from tests.steps.steps import Steps

if TYPE_CHECKING:
    from pathlib import Path

SITE: Final = (SiteAttribute(0x0029, 1, "MY LAB", "DT", SiteAction.CLEAN),)
CHOICE: Final = ProfileChoice(frozenset({Option.RETAIN_MODIFIED_DATES, Option.RETAIN_SAFE_PRIVATE}), private=SITE)
FIRST: Final = datetime(1899, 7, 4, tzinfo=UTC)
EPOCHS: Final = {"18991230", "18991231", "19031231", "19691231", "19800105", "19800106", "20000101"}
MOMENTS: Final = st.integers(0, 138 * 365 * 86400).map(lambda seconds: FIRST + timedelta(seconds=seconds))


def written(study: int, moment: datetime, later: datetime, patient: str = "P") -> bytes:
    """Return an instance that has two moments at the top, in items, in several values and in a private element."""
    day, time = f"{moment:%Y%m%d}", f"{moment:%H%M%S}"
    nested = Item(
        (Element(0x00080022, "DA", day.encode()), Element(0x0008002A, "DT", f"{later:%Y%m%d%H%M%S}".encode()))
    )
    values: dict[str, Any] = {
        "PatientID": patient,
        "StudyInstanceUID": f"1.2.{study}",
        "StudyDate": day,
        "StudyTime": time,
        "AcquisitionDateTime": f"{later:%Y%m%d%H%M%S}.250000+0100",
        "DateOfLastCalibration": f"{day}\\{later:%Y%m%d}",
    }
    private = Element(0x00290010, "LO", b"MY LAB"), Element(0x00291001, "DT", f"{later:%Y%m%d%H%M%S}".encode())
    return instance(Element(0x00081115, "SQ", (nested,)), *private, **values)


def moments(data: bytes) -> list[datetime]:
    """Return all moments of a result."""
    found = read(deidentify(CHOICE)(data))
    item = found.ReferencedSeriesSequence[0]
    texts = [
        *(found.StudyDate + found.StudyTime, found.AcquisitionDateTime[:14], found[0x00291001].value),
        *(item.AcquisitionDate + found.StudyTime, item.AcquisitionDateTime),
        *(day + "000000" for day in found.DateOfLastCalibration),
    ]
    assert found.AcquisitionDateTime[14:] == ".250000+0100"
    return [datetime.strptime(f"{text}+0000", "%Y%m%d%H%M%S%z") for text in map(str, texts)]


@settings(PROPERTY, max_examples=20)
@given(st.lists(st.tuples(MOMENTS, MOMENTS), min_size=2, max_size=3))
def test_intervals_and_order_over_all_studies(pairs: list[tuple[datetime, datetime]]) -> None:
    """To the second, whatever study a moment is in and however it is written."""
    days = {one: f"{one:%Y%m%d}" for pair in pairs for one in pair}
    shared = {one for one, day in days.items() if day in EPOCHS or (day < "1981" and day.endswith("0101"))}
    pairs = [pair for pair in pairs if not shared & {*pair}]
    moved = set()
    for study, (moment, later) in enumerate(pairs):
        midnights = [one.replace(hour=0, minute=0, second=0) for one in (moment, later)]
        before = [moment, later, later, moment, later, *midnights]
        moved |= {after - one for one, after in zip(before, moments(written(study, moment, later)), strict=True)}
    assert len(moved) <= 1
    assert all(days < timedelta(0) and not days.seconds for days in moved)


def test_two_patients_differ_and_a_column_goes_before_the_key() -> None:
    """The 29th of February moves to a day of that calendar; a request's own days count for all of a patient."""
    leap = datetime(2024, 2, 29, 10, 11, 12, tzinfo=UTC)
    one, two = (moments(written(1, leap, leap, patient))[0] for patient in ("P", "Q"))
    edit = deidentify(CHOICE)
    edit.request = replace(edit.request, shift_days=366)
    given_days = read(edit(written(1, leap, leap)))

    assert one != two
    assert given_days.StudyDate == "20250301"
    assert given_days.ReferencedSeriesSequence[0].AcquisitionDate == "20250301"


def test_two_patients_of_one_scanner_share_nothing_that_moved() -> None:
    """What a clock says that nobody set: else one shift told the other."""
    edit = deidentify(ProfileChoice(frozenset({Option.RETAIN_MODIFIED_DATES})))
    scanner: dict[str, Any] = {
        "StudyArrivalDate": "19691231",
        "ScheduledStudyStartDate": "20991231",
        "ExclusionStartDateTime": "20380119031407",
    }
    one, two = (read(edit(instance(PatientID=patient, StudyDate="20240305", **scanner))) for patient in ("P", "Q"))
    dates = {one[keyword].value for keyword in scanner}

    assert one.StudyDate != two.StudyDate
    assert {"20000101", "20000101000000"} == dates == {two[keyword].value for keyword in scanner}


@pytest.mark.parametrize("date", ["202402", "2024", "20240230", "20230229", "00000000", "20241301", "today   "])
def test_what_is_no_date_is_emptied(date: str) -> None:
    """Partial and impossible ones, at the top and below."""
    nested = Item((Element(0x00080022, "DA", date.encode()),))
    after = read(deidentify(CHOICE)(instance(Element(0x00081115, "SQ", (nested,)), StudyDate=date, PatientID="P")))
    assert after.StudyDate == ""
    assert after.ReferencedSeriesSequence[0].AcquisitionDate == ""


@pytest.mark.parametrize("date", ["20000101", "2000.01.01", "20000101\\20000101", "99991231"])
def test_dummies_of_an_earlier_step_are_no_leak(tmp_path: Path, date: str) -> None:
    """They stay what they are, for all patients alike, and verifying takes them for what they are."""
    (tmp_path / "source").mkdir()
    moment = f"{date[:4]}0101120000.5+0100"
    values: dict[str, Any] = {
        "DateOfLastCalibration": date,
        "AcquisitionDateTime": moment,
        "StudyComments": "after 2000-01-01",
    }
    (tmp_path / "source" / "1").write_bytes(instance(PatientID="P", **values))
    steps = Steps(tmp_path)
    options = [Option.RETAIN_MODIFIED_DATES, "clean-descriptors"]
    steps.plan(
        [DicomIdentifiers("P", "", "", "").orthanc_id(Level.PATIENT)],
        options=None,
        profile="ps3.15-2026d",
        profile_options=options,
    )
    steps.edit()

    assert 0 == steps.verify()
    (result,) = (dcmread(path) for path in (tmp_path / "results").rglob("*.dcm"))
    dates = result.DateOfLastCalibration
    assert {"20000101"} == ({dates} if isinstance(dates, str) else set(dates))
    assert ("20000101000000", "after") == (result.AcquisitionDateTime, result.StudyComments)
