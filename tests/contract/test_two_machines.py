"""Two runs from two machines on the same originals at the same time: neither knows of the other's locks."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

import pytest

from benchmarks.generate import Shape, generate
from tests.contract.server import SETTINGS, Server, write
from tests.jobs import Job, OtherMachine, read_csv
from tests.orthanc_proxy import Hold, OrthancProxy, Run, is_poll, is_sent
from tests.orthanc_server import OrthancServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.timeout(300)

COUNT: Final = 200
UNMARKED: Final = {"DicomVersion": "2021b", "Keep": ["InstanceCreatorUID", "StorageMediaFileSetUID"]}
"""Options that leave no room for a mark."""


@pytest.fixture
def machines(job: Job, tmp_path: Path) -> tuple[Job, Job]:
    """Two of them, with the same manifest to be."""
    if not OtherMachine.is_possible():
        pytest.skip("ONE MACHINE ONLY: unshare -m and mount are not allowed here, so two runs would share their locks")
    other = OtherMachine(tmp_path / "other-machine", job.environment)
    other.root.mkdir()
    return job, other


@pytest.fixture
def held_server(orthanc_root: Path | None, machines: tuple[Job, Job]) -> Iterator[Server]:
    """A server with one study, listed on both machines."""
    here, there = machines
    generate(here.source, COUNT, 8 << 10, shape=Shape(patients=1, studies_per_patient=1))
    with OrthancServer(orthanc_root, SETTINGS) as running, contextlib.closing(Server(running)) as server:
        server.upload(here.source)
        assert 0 == here("inventory", server.url, "-o", "manifest.csv").code
        there.manifest.write_bytes(here.manifest.read_bytes())
        yield server


def _made_by(machine: Job) -> dict[str, str]:
    lines = read_csv(machine.root / "runs" / "run" / "crosswalk.csv")
    return {row["original_orthanc_id"]: row["new_orthanc_id"] for row in lines if row["level"] == "instance"}


def _write(machine: Job, server: Server, url: str, **changes: Any) -> None:
    write(machine, server, source={"orthanc": url}, verify="identifiers", **changes)


@pytest.mark.versions
@pytest.mark.parametrize(
    "kept",
    [
        pytest.param([], id="usual-mark"),
        pytest.param(["InstanceCreatorUID"], id="other-mark"),
    ],
)
def test_both_end_and_know_their_own(machines: tuple[Job, Job], held_server: Server, kept: list[str]) -> None:
    """One is killed in the middle of its call, the other does everything, the first is resumed: each has all, once."""
    here, there = machines
    options = {"DicomVersion": "2021b", **({"Keep": kept} if kept else {})}
    with OrthancProxy(held_server.url) as proxy:
        _write(here, held_server, proxy.url, options=options, execution=None)
        _write(there, held_server, held_server.url, options=options)
        # A job that is over before anybody asks for it is never asked for.
        proxy.add(Run(lambda: held_server.pause(*held_server.modifications())), is_sent)
        held = proxy.add(Hold(before=True), is_poll)
        process = here.start("run", "job.yaml", "--run-id", "run")
        process.reach(held.reached)
        held_server.go_on(*held_server.modifications())
        beside = there.start("run", "job.yaml", "--run-id", "run", alone=True)
        process.kill()
        held.release()
        second = beside.end()
        resumed = here("resume", "runs/run")

    assert (0, 0) == (second.code, resumed.code), second.err + resumed.err
    own, others = _made_by(here), _made_by(there)
    assert COUNT == len(own) == len(others)
    made = held_server.originals()
    assert made.keys() == own.keys() == others.keys()
    assert all(sorted(names) == sorted((own[name], others[name])) for name, names in made.items())


@pytest.mark.versions
def test_without_any_mark_the_second_stops(machines: tuple[Job, Job], held_server: Server) -> None:
    """It says why, sends nothing, and goes on when the other has ended."""
    here, there = machines
    with OrthancProxy(held_server.url) as near, OrthancProxy(held_server.url) as far:
        _write(here, held_server, near.url, options=UNMARKED)
        _write(there, held_server, far.url, options=UNMARKED)
        ready = far.add(Hold(before=True), lambda request, _: request.path.startswith("/changes?last"))
        sent = near.add(Hold(), is_sent)
        second = there.start("run", "job.yaml", "--run-id", "run", alone=True)
        second.reach(ready.reached)
        first = here.start("run", "job.yaml", "--run-id", "run")
        first.reach(sent.reached)
        ready.release()
        stopped = second.end()
        sent.release()
        ended = first.end()
        asked = [request.path for request in far.requests if request.path.startswith("/tools/bulk-anonymize")]
        resumed = there.start("resume", "runs/run", alone=True).end()

    assert 3 == stopped.code, stopped.err
    assert "another job on the Orthanc edits the same originals" in stopped.err
    assert [] == asked
    assert (0, 0) == (ended.code, resumed.code), ended.err + resumed.err
    made = held_server.originals()
    own, others = _made_by(here), _made_by(there)
    assert COUNT == len(made)
    assert all(sorted(names) == sorted((own[name], others[name])) for name, names in made.items())
