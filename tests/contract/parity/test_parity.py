"""The same request to a real Orthanc and to the local engine gives the same results."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from deidflow.tasks.core.errors import InvalidInput
from deidflow.tasks.core.request.request import parse_request
from tests.contract.parity.built import built_files
from tests.contract.parity.corpus import small_pydicom_files
from tests.contract.parity.images import image_files, syntax_files
from tests.contract.parity.requests import (
    bad_cases,
    pair_cases,
    plain_cases,
    selection,
    text_cases,
    transcode_cases,
)
from tests.contract.parity.runner import Runner
from tests.contract.parity.strategies import calls

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from deidflow.tasks.core.request.request import Operation
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


ALONE = ("rich implicit undefined group lengths", "three fragments 1.2.840.10008.1.2.4.50")


def named(*names: str) -> list[tuple[str, bytes]]:
    """Return some of the built files."""
    files = dict(built_files())
    return [(name, files[name]) for name in names]


def test_every_argument_alone(runner: Runner) -> None:
    """Each argument with each kind of value gives the same on a few files of different kinds."""
    totals = runner.run(named(*ALONE), selection(VERSIONS))

    assert not totals.unexplained, totals.report()
    assert totals.pairs >= MIN_PAIRS


def test_every_file(runner: Runner) -> None:
    """All built files and small ones of pydicom come out the same of plain requests (a fifth of `make test-parity`)."""
    files = [*built_files(), *small_pydicom_files(), *image_files()[::3], *syntax_files()]
    totals = runner.run(files, plain_cases(VERSIONS)[1::5])

    assert not totals.unexplained, totals.report()


def test_every_character_set(runner: Runner) -> None:
    """Text of many scripts is written the same, or refused where Orthanc loses some of it."""
    files = [file for file in built_files() if file[0].startswith("charset")]
    totals = runner.run(files, text_cases()[::2])

    assert not totals.unexplained, totals.report()


def test_transcode(runner: Runner) -> None:
    """Images of every kind have the same pixels in another transfer syntax, and all else is the same, too."""
    rich = [file for file in built_files() if file[0].startswith(("rich", "values as UN"))]
    totals = runner.run([*image_files(), *rich[::2]], transcode_cases(VERSIONS))

    assert not totals.unexplained, totals.report()


def test_pairs_of_arguments(runner: Runner) -> None:
    """Two arguments together give the same (every eighth request; `make test-parity` sends all)."""
    totals = runner.run(named("rich explicit"), pair_cases(VERSIONS)[::8])

    assert not totals.unexplained, totals.report()


def test_wrong_requests(runner: Runner) -> None:
    """What Orthanc refuses is refused."""
    totals = runner.run(named("rich explicit"), bad_cases())

    assert not totals.unexplained, totals.report()


@pytest.mark.parametrize(("operation", "body"), [case for case in bad_cases() if case[1].get("Unknown") is None])
def test_better_message(operation: Operation, body: dict[str, Any]) -> None:
    """Whatever is refused before any work is named by its member, with what a good value looks like."""
    try:
        parse_request(operation, body)
    except InvalidInput as error:
        for problem in error.problems:
            assert problem.column.partition(".")[0] in body
            assert len(problem.text.split()) >= 3


def test_hardening(orthanc: OrthancServer) -> None:
    """With hardening the results differ in what it removes and maps, and in nothing else."""
    with Runner(orthanc.url, orthanc.version, hardening=True) as both:
        files = [file for file in built_files() if file[0].startswith(("rich", "overlays", "structure"))]
        totals = both.run(files[::2], selection(VERSIONS)[-45::2])

    assert not totals.unexplained, totals.report()
    assert totals.accepted["hardening"] > 0


@settings(
    max_examples=60,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(call=calls(VERSIONS))
def test_random_requests(random_runner: Runner, call: tuple[Operation, dict[str, Any]]) -> None:
    """A request drawn at random gives the same."""
    totals = random_runner.check(*call)

    assert not totals.unexplained, totals.report()
