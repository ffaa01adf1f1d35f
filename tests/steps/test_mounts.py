"""Shares that are not mounted: nothing is written below, and no night is reconciled with an empty source."""

from __future__ import annotations

import contextlib
import subprocess
from typing import TYPE_CHECKING

import pytest

from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers, Level
from deidflow.tasks.core.errors import InvalidInput, Unusable
from deidflow.tasks.core.ledger.state.state import State
from deidflow.tasks.steps.run.earlier import hold_config, state_path
from deidflow.tasks.steps.run.settings import load_config
from tests.dicom_files import instance
from tests.jobs import files_of
from tests.steps.steps import Steps

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROWS = [DicomIdentifiers("P", "1.2.3.1", "", "").orthanc_id(Level.STUDY)]


@contextlib.contextmanager
def _share(folder: Path) -> Iterator[None]:
    """Mount a file system."""
    folder.mkdir(exist_ok=True)
    if subprocess.run(["/bin/mount", "-t", "tmpfs", "tmpfs", str(folder)], check=False, capture_output=True).returncode:
        pytest.skip("NO RIGHT TO MOUNT: shares that are away were not tried (run as root)")
    try:
        yield
    finally:
        subprocess.run(["/bin/umount", "-l", str(folder)], check=True)


@pytest.fixture
def steps(tmp_path: Path) -> Steps:
    """A source with one study."""
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "1").write_bytes(instance(PatientID="P", StudyInstanceUID="1.2.3.1"))
    return Steps(tmp_path)


def test_a_destination_that_is_not_mounted_any_more(steps: Steps) -> None:
    """Neither a later run, incremental or not, nor what is left of an earlier one writes into the empty folder."""
    share = steps.root / "nas"
    destination = {"folder": "nas/out"}
    with _share(share):
        steps.plan(ROWS, run_id="n1", incremental=True, destination=destination)
        steps.edit()
        assert 1 == len(files_of(share / "out"))
        steps.plan(ROWS, run_id="n2", destination=destination)
    for incremental in (True, False):
        with pytest.raises(Unusable, match=r"^destination\.folder: must be mounted: .* mounted at .*/nas any"):
            steps.plan(ROWS, run_id="n3", incremental=incremental, destination=destination)
    with pytest.raises(Unusable, match=r"^destination\.folder must be mounted: .* with --set destination\.folder"):
        steps.edit()
    assert [] == list(share.iterdir())
    with _share(share):  # empty, since everything was handed on: as it should be
        steps.edit()
        assert 1 == len(files_of(share / "out"))
    with pytest.raises(Unusable, match=r"moved to this disk for good, put any file into it\); mount it"):
        steps.plan(ROWS, run_id="n3", destination=destination)
    (share / "out").mkdir()
    (share / "out" / "moved").touch()
    steps.plan(ROWS, run_id="n3", destination=destination)


def test_a_share_is_mounted_over_the_results(steps: Steps) -> None:
    """Of a run that wrote below it, before it was mounted: what others have there says nothing about its results."""
    steps.plan(ROWS, destination={"folder": "nas/out"})
    steps.edit()
    with _share(steps.root / "nas"):
        (steps.root / "nas" / "out").mkdir()
        (steps.root / "nas" / "out" / "of-others").touch()
        with pytest.raises(Unusable, match=r"destination folder .*holds none of the run's results"):
            steps.verify(again=True)
    assert 0 == steps.verify(again=True)


def test_a_destination_that_is_read_only(steps: Steps) -> None:
    """As a disk becomes that fails while a run works: neither room nor a right of the user's would mend that."""
    share = steps.root / "nas"
    remedy = r"Read-only file system \(EROFS\); have it mounted with the right to write"
    with _share(share):
        (share / "kept").touch()
        steps.plan(ROWS, destination={"folder": "nas"})
        subprocess.run(["/bin/mount", "-o", "remount,ro", str(share)], check=True)
        with pytest.raises(Unusable, match=remedy):
            steps.edit()
        with pytest.raises(Unusable, match=rf"destination\.folder: cannot be written: .*{remedy}"):
            steps.plan(ROWS, destination={"folder": "nas"}, run_id="n2")
    with _share(steps.root / "runs"):
        subprocess.run(["/bin/mount", "-o", "remount,ro", str(steps.root / "runs")], check=True)
        with pytest.raises(Unusable, match=rf"the run folder .*{remedy}.*, or choose --runs-dir"):
            steps.plan(ROWS, run_id="n3")
        config = load_config(steps.root / "job.yaml", ["incremental=true"])
        with pytest.raises(Unusable, match=rf"the config steps cannot be locked: {remedy}"), hold_config(config):
            pass
        with pytest.raises(Unusable, match=rf"state\.db cannot be read or written \({remedy.replace(';', '.;')}"):
            State(state_path(config))


def test_a_source_that_is_not_mounted_any_more(steps: Steps) -> None:
    """An incremental run would have nothing to do, and be reconciled. What holds something is taken as it is."""
    content = (steps.root / "source" / "1").read_bytes()
    source = {"folder": "pacs"}
    with _share(steps.root / "pacs"):
        (steps.root / "pacs" / "1").write_bytes(content)
        steps.plan(ROWS, run_id="n1", incremental=True, source=source)
        steps.edit()
        steps.verify()
        (steps.root / "pacs" / "1").unlink()
        steps.plan(ROWS, run_id="n2", incremental=True, source=source)
    with pytest.raises(InvalidInput, match=r"source\.folder: must be mounted"):
        steps.plan(ROWS, run_id="n3", incremental=True, source=source)
    (steps.root / "pacs" / "1").write_bytes(content)  # moved to this disk
    steps.plan(ROWS, run_id="n3", incremental=True, source=source)
