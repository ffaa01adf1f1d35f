"""Schedules start runs when the config says."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from prefect.server.schemas.schedules import CronSchedule, IntervalSchedule

from deidflow.flows.serve import schedule_of
from deidflow.tasks.steps.run.settings import load_config

if TYPE_CHECKING:
    from pathlib import Path

    from tests.jobs import Job


def _next_times(path: Path, count: int, start: datetime) -> list[datetime]:
    """Return when Prefect would start the next runs of a config."""
    schedule = schedule_of(load_config(path))
    assert schedule is not None
    built: CronSchedule | IntervalSchedule
    if schedule.cron:
        built = CronSchedule(cron=schedule.cron, timezone=schedule.timezone)
    else:
        assert schedule.interval is not None
        built = IntervalSchedule(interval=schedule.interval, anchor_date=start)
    return list(asyncio.run(built.get_dates(count, start=start)))


def test_two_in_the_morning_stays_two_in_the_morning(job: Job) -> None:
    """A cron schedule follows the clock of its time zone over the change to winter time."""
    path = job.write_config(schedule={"cron": "0 3 * * *", "timezone": "Europe/Brussels"})

    times = _next_times(path, 3, datetime(2026, 10, 24, 12, tzinfo=UTC))

    assert [3, 3, 3] == [time.astimezone(ZoneInfo("Europe/Brussels")).hour for time in times]
    assert [2, 2, 2] == [time.astimezone(UTC).hour for time in times]
    assert [25, 26, 27] == [time.astimezone(ZoneInfo("Europe/Brussels")).day for time in times]


@pytest.mark.parametrize("day", [(2026, 10, 24), (2027, 3, 27)], ids=["backward", "forward"])
def test_a_night_whose_hour_comes_twice_or_never_has_one_run(job: Job, day: tuple[int, int, int]) -> None:
    """Whenever the server asks for the next one; where 02:30 does not come the run starts an hour before or after.

    Prefect counts with other libraries from Python 3.13 on.
    """
    path = job.write_config(schedule={"cron": "30 2 * * *", "timezone": "Europe/Brussels"})
    evening = datetime(*day, 18, tzinfo=UTC)

    asked = [evening + timedelta(minutes=minutes) for minutes in range(0, 15 * 60, 30)]
    times = {_next_times(path, 1, moment)[0].astimezone(UTC) for moment in asked}

    midnight = evening.replace(hour=0) + timedelta(days=1)
    assert min(times) in {midnight + timedelta(minutes=minutes) for minutes in (30, 90 if day[1] == 3 else 30)}
    assert all(time >= midnight + timedelta(days=1) for time in times - {min(times)})


def test_an_interval_is_in_seconds(job: Job) -> None:
    """An interval starts runs that many seconds apart."""
    path = job.write_config(schedule={"interval": 90})

    first, second = _next_times(path, 2, datetime(2026, 1, 1, tzinfo=UTC))

    assert 90 == (second - first).total_seconds()


def test_serve_says_what_is_missing(job: Job) -> None:
    """Without schedule, key or server, or with a name twice, serve exits 2 and names all of it."""
    job.write_config(pseudonyms={"key_env": "TEST_DEIDFLOW_NOT_THERE"}).rename(job.root / "other.yaml")
    job.write_config(pseudonyms=None)
    job.environment = job.environment | {"PREFECT_API_URL": ""}

    done = job("serve", "job.yaml", "other.yaml")

    assert 2 == done.code
    words: tuple[str, ...] = ("schedule", "prefect server start", "name: must be different in every config")
    words += ("pseudonyms: must be given to serve", "variable TEST_DEIDFLOW_NOT_THERE must be set")
    assert all(word in done.err for word in words), done.err
