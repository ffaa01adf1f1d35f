"""A disk that fills up: the run stops, says how much room is missing, and goes on when there is some."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.jobs import files_of, instance_lines

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.jobs import Job


@contextlib.contextmanager
def _small_disk(folder: Path, size: str) -> Iterator[None]:
    """Mount a file system of this size."""
    folder.mkdir()
    command = ["/bin/mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("NO RIGHT TO MOUNT: a full disk was not tried (run as root)")
    try:
        yield
    finally:
        subprocess.run(["/bin/umount", "-l", str(folder)], check=True)


def test_a_full_destination(demo_job: Job) -> None:
    """Exit 3 with the room that is missing, no partial file under a final name; with room `resume` finishes."""
    demo_job.write_manifest(demo_job.inventory())
    assert 0 == demo_job("run", "job.yaml", "--run-id", "calm").code
    calm = files_of(demo_job.destination), instance_lines(demo_job.root / "runs" / "calm")
    shutil.rmtree(demo_job.destination)
    with _small_disk(demo_job.destination, "1m"):
        full = demo_job("run", "job.yaml", "--run-id", "full")
        results = files_of(demo_job.destination)
        again = demo_job("resume", demo_job.root / "runs" / "full")
        subprocess.run(["/bin/mount", "-o", "remount,size=64m", str(demo_job.destination)], check=True)
        done = demo_job("resume", demo_job.root / "runs" / "full")
        finished = files_of(demo_job.destination), instance_lines(demo_job.root / "runs" / "full")

    assert (3, 3, 0) == (full.code, again.code, done.code), full.err + again.err + done.err
    for said in (full.err, again.err):
        assert "ENOSPC" in said
        assert "make room for " in said
        assert "deidflow resume" in said
        assert "Traceback" not in said
    assert results.items() <= calm[0].items()
    assert calm == finished


def test_a_full_disk_of_the_run_folder(demo_job: Job) -> None:
    """No room for the plan: exit 3, a plain message, no run; with room the same command does it."""
    demo_job.write_manifest(demo_job.inventory())
    with _small_disk(demo_job.root / "runs", "64k"):
        full = demo_job("run", "job.yaml", "--run-id", "full")
        left = sorted(path.name for path in (demo_job.root / "runs" / "full").iterdir())
        subprocess.run(["/bin/mount", "-o", "remount,size=64m", str(demo_job.root / "runs")], check=True)
        done = demo_job("run", "job.yaml", "--run-id", "full")

    assert (3, 0) == (full.code, done.code), full.err + done.err
    assert "disk is full" in full.err or "ENOSPC" in full.err
    assert str(demo_job.root / "runs" / "full") in full.err  # and not TMPDIR, where the plan was made
    assert "Traceback" not in full.err
    assert [] == left
    assert 78 == len(files_of(demo_job.destination))
