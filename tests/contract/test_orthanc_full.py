"""A server that takes no more results: they are failed with its reason, nobody's objects go, and resume finishes."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pytest

from benchmarks.generate import Shape, generate
from tests.contract.server import SETTINGS, Server, require_orthanc, write
from tests.jobs import read_csv
from tests.orthanc_proxy import Hold, OrthancProxy, Request, Response
from tests.orthanc_server import OrthancServer, extra_roots

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.jobs import Job

pytestmark = pytest.mark.timeout(180)

COUNT: Final = 6
SIZE: Final = 64 << 10
SHAPE: Final = Shape(patients=1, studies_per_patient=1)
REFUSE: Final = "function ReceivedInstanceFilter(dicom, origin, info) return false end"


class Kind(NamedTuple):
    """What refuses results.

    Attributes:
        settings: Of the server, which holds the originals and as much of a stranger.
        fitting: How many results it takes.
        reason: Of the others.

    """

    settings: dict[str, Any]
    fitting: int
    reason: str


REFUSED: Final = "the Orthanc did not store the result (Orthanc: {})"
STORAGE_FULL: Final = f"destination-unusable: {REFUSED.format('19, the file storage is full')}"
KINDS: Final = {
    "script": Kind({}, 0, f"server-error: {REFUSED.format('2018, cannot store an instance')}"),
    "size": Kind({"MaximumStorageMode": "Reject", "MaximumStorageSize": 1}, 4, STORAGE_FULL),
    "patients": Kind({"MaximumStorageMode": "Reject", "MaximumPatientCount": 2}, 0, STORAGE_FULL),
}


class Crowded:
    """A server that is full."""

    def __init__(self, server: Server, kind: Kind, stranger: list[str]) -> None:
        """Take the server, why it is full, and whose objects fill it."""
        self.server = server
        self.kind = kind
        self._stranger = stranger

    def make_room(self) -> None:
        """Do what its administrator does."""
        if self.kind.settings:
            self.server.delete(f"patients/{self.server.get(f'instances/{self._stranger[0]}/patient')['ID']}")
        else:
            restart(self.server, LuaScripts=[])

    def holds_stranger(self) -> bool:
        """Whether all of the stranger's objects are there."""
        return set(self._stranger) <= set(self.server.get("instances"))


def restart(server: Server, **settings: Any) -> None:
    """Start a server again with other settings."""
    server.running.kill()
    server.running.configure(**settings)
    server.running.start()


@pytest.fixture(
    params=[
        pytest.param((None, "script"), id="script"),
        *(
            pytest.param((root, kind), id=f"{kind}-{root.name}", marks=pytest.mark.versions)
            for root in extra_roots()
            for kind in ("size", "patients")
        ),
    ]
)
def crowded(request: pytest.FixtureRequest, job: Job, tmp_path: Path) -> Iterator[Crowded]:
    """A full server; its originals are listed as a manifest. Reject came with 1.11.2, 1.10.1 has scripts alone."""
    root, name = request.param
    if root is None:
        require_orthanc()
    kind = KINDS[name]
    generate(job.source, COUNT, SIZE, shape=SHAPE)
    generate(tmp_path / "stranger", COUNT, SIZE, shape=SHAPE, seed=7)
    script = tmp_path / "refuse.lua"
    script.write_text(REFUSE, "ascii")
    with OrthancServer(root, {**SETTINGS, **kind.settings}) as running, contextlib.closing(Server(running)) as server:
        server.upload(job.source)
        assert 0 == job("inventory", server.url, "-o", "manifest.csv").code
        stranger = server.upload(tmp_path / "stranger")
        if not kind.settings:
            restart(server, LuaScripts=[str(script)])
        yield Crowded(server, kind, stranger)


def _instances(job: Job) -> list[dict[str, str]]:
    return [row for row in read_csv(job.root / "runs" / "full" / "crosswalk.csv") if row["level"] == "instance"]


def _assert_done_once(crowded: Crowded) -> None:
    made = crowded.server.originals()
    assert (COUNT, {1}) == (len(made), {len(names) for names in made.values()})


def test_results_that_the_server_refuses(job: Job, crowded: Crowded) -> None:
    """What fits is done, the rest has the server's own reason, once or twice; with room made all is done."""
    server, kind = crowded.server, crowded.kind
    write(job, server, verify="identifiers")

    run = job("run", "job.yaml", "--run-id", "full")
    ends = [(run.code, _instances(job), server.originals())]
    again = job("resume", "runs/full")
    ends.append((again.code, _instances(job), server.originals()))

    for code, rows, made in ends:
        assert 1 == code, run.err + again.err
        failed = [row for row in rows if row["outcome"] == "failed"]
        assert {kind.reason} == {row["reason"] for row in failed}
        assert (kind.fitting, COUNT - kind.fitting) == (len(made), len(failed))
        assert {row["original_orthanc_id"]: [row["new_orthanc_id"]] for row in rows if row not in failed} == made
    assert crowded.holds_stranger()
    crowded.make_room()
    mended = job("resume", "runs/full")
    assert 0 == mended.code, mended.err
    _assert_done_once(crowded)


@pytest.mark.versions
def test_killed_while_asking_for_the_reason(job: Job, crowded: Crowded) -> None:
    """Room is made in the very moment, so that asking makes a result, which nobody hears of: resume takes it out."""

    def asks(request: Request, _: Response | None) -> bool:
        return request.path.startswith("/tools/bulk-anonymize") and json.loads(request.body)["Permissive"] is False

    with OrthancProxy(crowded.server.url) as proxy:
        write(job, crowded.server, source={"orthanc": proxy.url}, verify="identifiers")
        held = proxy.add(Hold(before=True), asks)
        process = job.start("run", "job.yaml", "--run-id", "full")
        process.reach(held.reached)
        process.kill()
        crowded.make_room()
        held.release()
        crowded.server.wait_for(COUNT + (COUNT if not crowded.kind.settings else 0) + crowded.kind.fitting + 1)
        resumed = job("resume", "runs/full")

    assert 0 == resumed.code, resumed.err
    _assert_done_once(crowded)


@pytest.mark.versions
def test_a_full_destination_of_the_local_engine(job: Job, crowded: Crowded) -> None:
    """The same server as a destination: each instance has its reason, and resume finishes."""
    server, kind = crowded.server, crowded.kind
    job.write_manifest(job.inventory())
    job.write_config(destination={"orthanc": server.url})

    run = job("run", "job.yaml", "--run-id", "full")
    failed = [row for row in _instances(job) if row["outcome"] != "done"]
    crowded.make_room()
    mended = job("resume", "runs/full")

    assert (1, 0) == (run.code, mended.code), run.err + mended.err
    assert COUNT - kind.fitting == len(failed)
    assert {"failed"} == {row["outcome"] for row in failed}
    if kind.settings:
        assert all(row["reason"].startswith("destination-unusable: ") for row in failed)
        assert all("19, the file storage is full" in row["reason"] for row in failed)
    assert {"done"} == {row["outcome"] for row in _instances(job)}
