"""Dates move by one number of days per patient: golden values, the calendar's corners, and what tells no shift."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, date, datetime, timedelta
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deidflow.tasks.core.errors import BadText
from deidflow.tasks.core.pseudonyms.pseudonyms import Key
from deidflow.tasks.core.request.profile_choice import parse_offset
from deidflow.tasks.local.deidentification.standard.date_shift import DateShift, ShiftError, ShiftRange
from deidflow.tasks.local.deidentification.standard.date_values import (
    capped_as,
    checked_tm,
    is_shared_constant,
    shift_da,
    shift_dt,
)
from tests.local.strategies import PROPERTY

SECRET: Final = bytes(range(32))
KEY: Final = Key(SECRET)


def test_golden_values() -> None:
    """Fixed for all releases of this major version: a changed shift breaks every project that goes on."""
    trial = DateShift(KEY, "trial", ShiftRange())

    assert GOLDEN == [
        trial.days("4MR1"),
        trial.days("É東"),
        trial.days(""),
        DateShift(KEY, "other", ShiftRange()).days("4MR1"),
        DateShift(KEY, "trial", ShiftRange(whole_weeks=True)).days("4MR1"),
        DateShift(KEY, "trial", ShiftRange(30, 60)).days("4MR1"),
    ]


@PROPERTY
@given(
    st.binary(min_size=32, max_size=64),
    st.text(max_size=20),
    st.text(max_size=70),
    st.integers(1, 4000),
    st.integers(0, 4000),
    st.booleans(),
)
def test_the_formula(secret: bytes, scope: str, patient: str, first: int, more: int, whole_weeks: bool) -> None:
    """HMAC-SHA-256 over length-prefixed fields chooses among the allowed days; always into the past."""
    allowed = [days for days in range(first, first + more + 1) if not whole_weeks or days % 7 == 0]
    if not allowed:
        with pytest.raises(ShiftError, match="multiple of 7"):
            ShiftRange(first, first + more, whole_weeks)
        return
    fields = ("deidflow/1", scope, "date-shift", patient)
    message = b"".join(len(field.encode()).to_bytes(8, "big") + field.encode() for field in fields)
    number = int.from_bytes(hmac.digest(secret, message, hashlib.sha256)[:16], "big")

    shift = DateShift(Key(secret), scope, ShiftRange(first, first + more, whole_weeks))

    assert -allowed[number % len(allowed)] == shift.days(patient)


def test_patients_spread_over_the_range() -> None:
    """1,000 patients have some 870 different shifts of 3,650, in all parts of the range."""
    days = [DateShift(KEY, "trial", ShiftRange()).days(f"P{number}") for number in range(1000)]

    assert len(set(days)) > 830
    assert all(sum(-3650 + 365 * part <= day < -3650 + 365 * (part + 1) for day in days) > 60 for part in range(10))


@pytest.mark.parametrize(("first", "last"), [(0, 10), (-5, 10), (10, 9), (1, 36526)])
def test_ranges_that_are_refused(first: int, last: int) -> None:
    """The message says which numbers are good."""
    with pytest.raises(ShiftError, match="must be two whole numbers from 1 to 36525"):
        ShiftRange(first, last)


@pytest.mark.parametrize(("cell", "days"), [("-120", -120), (" 7 ", 7), ("+30", 30), ("-36525", -36525)])
def test_offsets_of_the_manifest(cell: str, days: int) -> None:
    """Whole days, with sign."""
    assert days == parse_offset(cell)


@pytest.mark.parametrize("cell", ["", " ", "0", "-0", "1.5", "1e2", "36526", "ten", "--3", "1 2", "٣"])
def test_offsets_that_are_refused(cell: str) -> None:
    """Without the cell's content in the message."""
    with pytest.raises(BadText, match="must be a whole number of days other than 0") as raised:
        parse_offset(cell)

    assert len(cell) < 3 or cell not in str(raised.value)


@pytest.mark.parametrize(
    ("value", "days", "expected"),
    [
        ("20240301", -1, "20240229"),
        ("20230301", -1, "20230228"),
        ("20240229", -366, "20230228"),
        ("20240229", -365, "20230301"),
        ("18991231", -1, "20000101"),  # the epoch of a program, and many patients have it
        ("18991115", -400, "18981011"),
        ("18990228", -1, "18990227"),
        ("19000301", -1, "19000228"),  # 1900 was no leap year
        ("20240101\\20231231", -1, "20231231\\20231230"),
        ("20240101\\\\202401", 5, "20240106\\\\"),
        ("20240101 ", 1, "20240102"),
        ("1995.07.04", 1, "1995.07.05"),
        ("1995.0704", 1, ""),
        ("", -9, ""),
        ("\\", -9, ""),
        ("2024", -9, ""),
        ("202402", -9, ""),
        ("20230229", -9, ""),
        ("20241301", -9, ""),
        ("00000101", -9, ""),
        ("00010105", -9, "20000101"),  # nobody was examined then
        ("18941231", -9, "20000101"),
        ("18950102", -9, "18941224"),
        ("20371230", 9, "20380108"),
        ("20380102", 9, "20000101"),
        ("2000.01.01", 9, "20000101"),
        ("20240101-20240201", -9, ""),
        ("Smith", -9, ""),
        ("٢٠٢٤٠١٠١", -9, ""),
        ("20240101\\Smith", -1, "20231231\\"),
    ],
)
def test_da(value: str, days: int, expected: str) -> None:
    """Complete, possible dates move; everything else is emptied, value by value."""
    assert expected == shift_da(value, days)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("20240301", "20240229"),
        ("2024030123", "2024022923"),
        ("202403012359", "202402292359"),
        ("20240301235960", "20240229235960"),  # a leap second
        ("20240301235959.999999+0100", "20240229235959.999999+0100"),
        ("20240301000000.5-1200 ", "20240229000000.5-1200"),
        ("20240301+0530", "20240229+0530"),
        ("20240301-0800", "20240229-0800"),
        ("20240301120000\\20240302", "20240229120000\\20240301"),
        ("2024", ""),
        ("202403", ""),
        ("2024+0100", ""),
        ("202403+0100", ""),
        ("2024030124", ""),
        ("20240301120000.", ""),
        ("20240301120000.1234567", ""),
        ("20240301120000+2500", ""),
        ("20240230120000", ""),
        ("20240301 120000", ""),
        ("19700101000000", "20000101000000"),
        ("19700101123456.5+0100", "20000101000000"),  # nobody's time either
        ("20000101", "20000101"),
        ("99991231235959.999999", "20000101000000"),
        ("seen on 20240301", ""),
    ],
)
def test_dt(value: str, expected: str) -> None:
    """The day moves by one; time, fraction and offset stay; without a day nothing can move."""
    assert expected == shift_dt(value, -1)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("12", "12"),
        ("1530", "1530"),
        ("153000.250000", "153000.250000"),
        ("15:30:00", "15:30:00"),
        ("1530 ", "1530"),
        ("235960", "235960"),
        ("1200\\Smith", "1200\\"),
        ("2500", ""),
        ("20240301", ""),
        ("", ""),
    ],
)
def test_tm(value: str, expected: str) -> None:
    """Times of the day stay; what is no time could be anything."""
    assert expected == checked_tm(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [("089Y", "089Y"), ("090Y", "090Y"), ("091Y", "090Y"), ("104Y", "090Y"), ("999M", "999M"), ("95", ""), ("95Y", "")],
)
def test_ages(value: str, expected: str) -> None:
    """Over 89 years there is one age."""
    assert expected == capped_as(value)


def moment(day: str, time: str) -> datetime:
    """Return the moment that a DA and a TM name."""
    return datetime.strptime(f"{day}{time}+0000", "%Y%m%d%H%M%S%z")


@PROPERTY
@given(
    st.lists(st.integers(0, 136 * 365 * 86400), min_size=2, max_size=5),
    st.integers(-3650, 3650).filter(bool),
)
def test_intervals_and_order_stay_to_the_second(seconds: list[int], days: int) -> None:
    """Whether a moment is written as DA and TM or as DT."""
    moments = [datetime(1901, 1, 2, tzinfo=UTC) + timedelta(seconds=one) for one in seconds]
    moments = [one for one in moments if shift_da(f"{one:%Y%m%d}", days) != "20000101"]
    as_one = [shift_dt(f"{one:%Y%m%d%H%M%S}", days) for one in moments]
    as_two = [(shift_da(f"{one:%Y%m%d}", days), checked_tm(f"{one:%H%M%S}")) for one in moments]

    assert [one + timedelta(days) for one in moments] == [moment(*two) for two in as_two]
    assert ["".join(two) for two in as_two] == as_one


def test_every_day_of_four_centuries_moves_as_the_calendar_says() -> None:
    """Centuries without leap day, with one, and both of their ends."""
    day = date(1801, 1, 1)
    while day < date(2101, 1, 1):
        text = f"{day:%Y%m%d}"
        moved = shift_da(text, -777)
        assert moved in (f"{day - timedelta(777):%Y%m%d}", "20000101"), text
        day += timedelta(1)


@pytest.mark.parametrize(
    "constant",
    [
        *("19000101", "18991230", "19700101", "00010101", "17530101"),
        *("20000101", "99991231", "99990101", "29991231"),
        *("19691231", "20371231", "20380119", "20991231", "19010101", "19500101"),
    ],
)
def test_a_date_that_many_patients_have_tells_nothing_of_their_shifts(constant: str) -> None:
    """The epoch of a clock, the end of a calendar, the dummy of an earlier step: the same dummy for all of them."""
    assert {"20000101"} == {shift_da(constant, -days) for days in range(1, 300)}


@pytest.mark.parametrize("tag", [0x00080106, 0x00080107, 0x0040DB06, 0x0040DB07, 0x00120086, 0x00181204, 0x0044000B])
def test_attributes_that_many_patients_share(tag: int) -> None:
    """Versions of vocabularies, dates of a trial and of a device are not moved."""
    assert is_shared_constant(tag)
    assert not is_shared_constant(0x00080020)


GOLDEN: Final = [-1001, -1419, -2286, -74, -3248, -48]
