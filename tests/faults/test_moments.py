"""Some of the moments of ``make test-faults``: whatever is hit, a resumed run ends as an undisturbed one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from tests.faults.command import Verdict, kept, remove_but
from tests.faults.injector import why_not
from tests.faults.runner import Runner

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Each costs a run and its resumption; ``make test-faults`` draws from all.
INJURIES = (
    "kill -9 flow",
    "ENOSPC once",
    "EIO on link or rename",
    "cancelled in Prefect",
)
PARTS = 2
MOST_DRAWS = 5


@pytest.fixture(scope="module")
def runner(prefect_environment: dict[str, str]) -> Iterator[Runner]:
    """What runs moments."""
    missing = why_not()
    if missing:
        pytest.skip(missing)
    with Runner(prefect_environment, shapes=("plain",)) as running:
        yield running


@pytest.mark.parametrize("number", range(PARTS))
def test_an_injured_run_ends_as_an_undisturbed_one(runner: Runner, number: int) -> None:
    """Each injury strikes, and after ``resume`` destination, report and source are what they should be."""
    for place in range(number, len(INJURIES), PARTS):
        for seed in range(place * MOST_DRAWS, (place + 1) * MOST_DRAWS):
            verdict = runner.run(runner.draw(seed, (INJURIES[place],)))
            assert [] == verdict.problems, verdict
            if verdict.struck:
                break
        else:
            pytest.fail(f"{INJURIES[place]} hit nothing in {MOST_DRAWS} runs")


def test_the_folder_of_a_moment_that_was_not_equal_stays(tmp_path: Path) -> None:
    """It is named, and what its commands printed stays beside it; all else goes."""
    verdict = Verdict(SimpleNamespace(seed=1, injury="SIGTERM"))
    for name in ("bad", "bad-said", "good", "good-said"):
        (tmp_path / "all" / name).mkdir(parents=True)

    stays = kept(tmp_path / "all" / "bad", verdict)
    remove_but(tmp_path / "all", stays)
    assert ["bad", "bad-said"] == sorted(path.name for path in (tmp_path / "all").iterdir())
    assert [str(tmp_path / "all" / "bad") in text for text in verdict.problems] == [True]
    remove_but(tmp_path / "all", set())
    assert not (tmp_path / "all").exists()
