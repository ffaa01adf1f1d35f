"""The same request to a real Orthanc and to the local engine gives the same results."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.contract.parity.built import built_files
from tests.contract.parity.corpus import small_pydicom_files
from tests.contract.parity.requests import bad_cases, pair_cases, plain_cases, selection
from tests.contract.parity.runner import Runner
from tests.contract.parity.strategies import calls

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tasks.core.request import Operation
    from tests.orthanc_server import OrthancServer

VERSIONS = ("2008", "2017c", "2021b")
MIN_PAIRS = 1000


@pytest.fixture(scope="module")
def runner(orthanc: OrthancServer) -> Iterator[Runner]:
    """Both sides, hardening off."""
    with Runner(orthanc.url, orthanc.version) as both:
        yield both


@pytest.fixture(scope="module")
def random_runner(orthanc: OrthancServer) -> Iterator[Runner]:
    """Both sides with a deck for requests drawn at random."""
    with Runner(orthanc.url, orthanc.version) as both:
        wanted = ("rich explicit", "rich implicit", "rich big", "image 0", "report")
        both.load(both.decks([file for file in built_files() if file[0] in wanted])[0])
        yield both


def test_every_argument_alone(runner: Runner) -> None:
    """Each argument with each kind of value gives the same on a few files of every kind."""
    totals = runner.run(built_files()[::5], selection(VERSIONS))

    assert not totals.unexplained, totals.report()
    assert totals.pairs >= MIN_PAIRS


def test_every_file(runner: Runner) -> None:
    """All built files and small ones of pydicom come out the same of plain requests."""
    totals = runner.run([*built_files(), *small_pydicom_files()], plain_cases(VERSIONS))

    assert not totals.unexplained, totals.report()


def test_pairs_of_arguments(runner: Runner) -> None:
    """Two arguments together give the same."""
    files = [file for file in built_files() if file[0] in ("rich explicit", "structure set")]
    totals = runner.run(files, pair_cases(VERSIONS))

    assert not totals.unexplained, totals.report()


def test_wrong_requests(runner: Runner) -> None:
    """What Orthanc refuses is refused."""
    totals = runner.run([file for file in built_files() if file[0] == "rich explicit"], bad_cases())

    assert not totals.unexplained, totals.report()


def test_hardening(orthanc: OrthancServer) -> None:
    """With hardening the results differ in what it removes and maps, and in nothing else."""
    with Runner(orthanc.url, orthanc.version, hardening=True) as both:
        files = [file for file in built_files() if file[0].startswith(("rich", "overlays", "structure"))]
        totals = both.run(files, selection(VERSIONS)[-30:])

    assert not totals.unexplained, totals.report()
    assert totals.accepted["hardening"] > 0


@settings(
    max_examples=60,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(call=calls(VERSIONS))
def test_random_requests(random_runner: Runner, call: tuple[Operation, dict[str, Any]]) -> None:
    """A request drawn at random gives the same."""
    totals = random_runner.check(*call)

    assert not totals.unexplained, totals.report()
