"""Some of the moments of ``make test-faults``: whatever is hit, a resumed run ends as an undisturbed one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.injector import why_not
from tests.faults.runner import Runner

if TYPE_CHECKING:
    from collections.abc import Iterator

INJURIES = (
    "kill -9 flow",
    "kill -9 flow, ledger or report",
    "kill -9 worker",
    "SIGTERM",
    "Ctrl-C",
    "ENOSPC once",
    "EACCES",
    "EIO on write",
    "EIO on link or rename",
    "EIO on sync",
    "clock jumps",
    "source file changes, edited",
    "cancelled in Prefect",
)
MOST_DRAWS = 5


@pytest.fixture(scope="module")
def runner(prefect_environment: dict[str, str]) -> Iterator[Runner]:
    """What runs moments."""
    missing = why_not()
    if missing:
        pytest.skip(missing)
    with Runner(prefect_environment, shapes=("plain",)) as running:
        yield running


@pytest.mark.parametrize("number", range(4))
def test_an_injured_run_ends_as_an_undisturbed_one(runner: Runner, number: int) -> None:
    """Every fourth injury strikes, and after ``resume`` destination, report and source are what they should be."""
    for place in range(number, len(INJURIES), 4):
        for seed in range(place * MOST_DRAWS, (place + 1) * MOST_DRAWS):
            verdict = runner.run(runner.draw(seed, (INJURIES[place],)))
            assert [] == verdict.problems, verdict
            if verdict.struck:
                break
        else:
            pytest.fail(f"{INJURIES[place]} hit nothing in {MOST_DRAWS} runs")
