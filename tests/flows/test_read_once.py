"""Each text is parsed once, where it enters, and a run is open once in a process (docs/architecture.md, five hops)."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.calls import COUNTED, OUTPUT_VARIABLE

if TYPE_CHECKING:
    from tests.jobs import Job


def counted(job: Job, *arguments: object, code: int = 0) -> dict[str, int]:
    """Run a command; return how often it called what is counted."""
    path = job.root / "calls.json"
    done = job.start(*arguments, variables={OUTPUT_VARIABLE: str(path)}).end()
    assert code == done.code, done.err
    counts: dict[str, int] = json.loads(path.read_text())
    return counts


def expected(**counts: int) -> dict[str, int]:
    """Return the counts of everything that is counted, 0 for what is not named."""
    return dict.fromkeys(COUNTED, 0) | {name.replace("__", "."): count for name, count in counts.items()}


def test_a_run_of_one_row_reads_once(demo_job: Job) -> None:
    """Options and key by where they stand; requests are made from parsed cells and never read from text."""
    demo_job.write_manifest(demo_job.inventory()[:1])

    counts = counted(demo_job, "run", "job.yaml", "--run-id", "r")

    assert expected(parse_edits=1, Key__parse=1, Ledger__open=1) == counts


def test_a_plan_reads_once(demo_job: Job) -> None:
    """It stores nothing, so it opens nothing; samples are edited with what the plan was made from."""
    demo_job.write_manifest(demo_job.inventory()[:1])

    counts = counted(demo_job, "plan", "job.yaml", "--diff", "2")

    assert expected(parse_edits=1, Key__parse=1) == counts


@pytest.mark.parametrize(
    "again", [("resume", "runs/r"), pytest.param(("run", "job.yaml", "--run-id", "r"), marks=pytest.mark.long)]
)
def test_a_resumed_run_reads_once(demo_job: Job, again: tuple[str, ...]) -> None:
    """Config, key and request that the run has, each once; a config that is given again is read with its key, too."""
    row = demo_job.inventory()[0]
    demo_job.write_manifest([row, {"orthanc_id": "-".join(["00000000"] * 5)}])
    assert 1 == demo_job("run", "job.yaml", "--run-id", "r").code
    shutil.rmtree(demo_job.destination)

    counts = counted(demo_job, *again, code=1)

    given = int(again[0] == "run")
    # Reading a request is reading its edits.
    requests = counts["parse_request"]
    opened = {"Key__parse": 1 + given, "Ledger__open": 1, "Config__from_json": 1}
    assert 1 >= requests
    assert expected(parse_edits=1 + given + requests, parse_request=requests, **opened) == counts
