"""Samples of a plan, edited in memory; and what is read of a source before there is a plan."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, NamedTuple

import pytest

from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers, Level
from deidflow.tasks.core.engine.sources import SourceInstance
from deidflow.tasks.core.errors import InvalidInput, TransientError, Unusable
from deidflow.tasks.core.processes.workers import HereWorkers, LocalWorkers, Role
from deidflow.tasks.steps.access import folder_contents
from deidflow.tasks.steps.access.choice import source_of, store_of
from deidflow.tasks.steps.access.folder_contents import read_source
from deidflow.tasks.steps.access.servers import read_server_inventory, server_identity
from deidflow.tasks.steps.preview import sample_differences
from deidflow.tasks.steps.run.progress import make_progress
from deidflow.tasks.steps.run.settings import load_config
from tests.dicom_files import instance
from tests.steps.steps import Steps

if TYPE_CHECKING:
    from pathlib import Path

    from tests.contract.server import Server

PATIENT = DicomIdentifiers("P-1", "", "", "").orthanc_id(Level.PATIENT)


def _fill(folder: Path, count: int) -> None:
    folder.mkdir()
    for number in range(count):
        data = instance(SOPInstanceUID=f"1.2.3.1.1.{number}", StudyDescription="ZQXSTUDY", InstanceNumber=str(number))
        (folder / f"{number}.dcm").write_bytes(data)


def _samples(steps: Steps, *, show_values: bool = False) -> list[list[str]]:
    run = steps.run
    found = sample_differences(run.ledger, run.config, run.key, 9, show_values=show_values)
    return [list(sample.lines()) for sample in found]


def test_samples(tmp_path: Path) -> None:
    """What happens to each element, with values only for who asks for them; what cannot be edited says why."""
    _fill(tmp_path / "source", 3)
    steps = Steps(tmp_path)
    steps.plan([PATIENT])
    (tmp_path / "source" / "1.dcm").unlink()
    (tmp_path / "source" / "2.dcm").write_bytes(b"another file")

    sound, *failing = sorted(_samples(steps), key=len, reverse=True)
    assert any("StudyDescription" in line for line in sound)
    assert not any("ZQXSTUDY" in line for line in sound)
    assert any("ZQXSTUDY" in line for lines in _samples(steps, show_values=True) for line in lines)
    assert ["will fail: source-changed", "will fail: source-unreadable"] == sorted(
        line.split(": ")[0] + ": " + line.split(": ")[1] for (line,) in failing
    )
    counted = [
        sample.changed
        for sample in sample_differences(steps.run.ledger, steps.run.config, steps.run.key, 9, show_values=False)
    ]
    assert [0, 0] == sorted(counted)[:2]
    assert max(counted) > 5


@pytest.mark.parametrize("workers", [1, 2])
def test_a_folder_of_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int) -> None:
    """Read in processes where there are more than one batch of them; in the same order, and nothing twice."""
    _fill(tmp_path / "in", 7)
    with make_progress(quiet=True) as progress, LocalWorkers(workers, ()) as processes:
        here = list(read_source(str(tmp_path / "in"), processes, progress))
        monkeypatch.setattr(folder_contents, "_BATCH", 2)
        elsewhere = list(read_source(str(tmp_path / "in"), processes, progress))

    assert here == elsewhere
    assert 7 == sum(isinstance(one, SourceInstance) for one in here)


class _Fatal(NamedTuple):
    """Settings of a worker that is killed as it starts, until a file is there."""

    done: Path

    def lacks(self) -> str:
        """Lack nothing."""
        return ""


def _die_once(settings: _Fatal) -> None:
    if not settings.done.exists():
        settings.done.touch()
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_reader_that_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it had is read by another process."""
    _fill(tmp_path / "in", 7)
    monkeypatch.setattr(folder_contents, "_BATCH", 2)
    role = Role(_die_once, _Fatal(tmp_path / "killed"))
    with make_progress(quiet=True) as progress, LocalWorkers(1, [role]) as workers:
        found = list(read_source(str(tmp_path / "in"), workers, progress))

    assert (tmp_path / "killed").exists()
    assert 7 == len({one.path for one in found if isinstance(one, SourceInstance)})


def test_a_source_that_is_none(tmp_path: Path) -> None:
    """A file, nothing at all, and a loop of links."""
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to("loop")
    for name, text in (("file", "must be a folder"), ("none", "not found"), ("loop", "loop")):
        with make_progress(quiet=True) as progress, pytest.raises(InvalidInput, match=text):
            list(read_source(str(tmp_path / name), HereWorkers(()), progress))


def test_what_an_orthanc_holds(tmp_path: Path, server: Server) -> None:
    """All of its instances, once; an address that is none is refused before anything is asked."""
    _fill(tmp_path / "in", 3)
    names = set(server.upload(tmp_path / "in"))
    with make_progress(quiet=True) as progress:
        found = list(read_server_inventory(server.url, Level.STUDY, progress))
        with pytest.raises(InvalidInput, match=r"^SOURCE: must be the address of an Orthanc"):
            list(read_server_inventory("http://", Level.STUDY, progress))
        with pytest.raises((Unusable, TransientError)):
            list(read_server_inventory("http://127.0.0.1:9", Level.STUDY, progress))

    assert names == {one.orthanc_ids[3] for one in found if one.orthanc_ids}


def test_two_addresses_of_one_server(tmp_path: Path, server: Server) -> None:
    """Results would stand among the originals, whatever the host is called; a server that is away is nobody."""
    _fill(tmp_path / "source", 1)
    steps = Steps(tmp_path)
    steps.plan([PATIENT])
    port = server.url.rpartition(":")[2]
    access = steps.run.config.orthanc
    addresses = {"source.folder=null", f"source.orthanc={server.url}", "destination.folder=null"}

    def writes(destination: str) -> bool:
        overrides = [*sorted(addresses), f"destination.orthanc={destination}"]
        config = load_config(tmp_path / "job.yaml", overrides)
        return store_of(config).is_in(source_of(config))

    assert writes(f"http://localhost:{port}")
    assert not writes("http://127.0.0.1:9")
    assert not store_of(steps.run.config).is_in(source_of(steps.run.config))
    assert "" == server_identity("http://127.0.0.1:9", access)
