"""A ledger that cannot be used: a plain message, the right exit code, and nothing is touched."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from typing import TYPE_CHECKING

import pytest

from tests.jobs import files_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.jobs import Finished, Job

_MAJOR = '$."deidflow\'s major version"'


@pytest.fixture
def run_dir(demo_job: Job) -> Path:
    """A run of two rows that has ended."""
    demo_job.write_manifest(demo_job.inventory()[:2])
    assert 0 == demo_job("run", "job.yaml", "--run-id", "one").code
    return demo_job.root / "runs" / "one"


def _all(job: Job, run_dir: Path) -> list[Finished]:
    return [job("resume", run_dir), job("run", "job.yaml", "--run-id", "one"), job("report", run_dir)]


def test_a_truncated_ledger(demo_job: Job, run_dir: Path) -> None:
    """Cut anywhere it is called damaged, exit code 2, and everything stays as it is."""
    ledger = run_dir / "ledger.db"
    whole = ledger.read_bytes()
    for size in (0, 100, 4096, 30_000):
        ledger.write_bytes(whole[:size])
        before = files_of(demo_job.root)

        for done in _all(demo_job, run_dir) if size == 4096 else [demo_job("report", run_dir)]:
            assert 2 == done.code, (size, done.err)
            assert "is damaged; restore it from a backup or start a new run" in done.err
            assert "Traceback" not in done.err
        assert before == files_of(demo_job.root)


def test_a_locked_ledger(demo_job: Job, run_dir: Path) -> None:
    """Another program reads it in a transaction: exit code 3 within seconds, and everything stays as it is."""
    before = files_of(demo_job.root)
    with contextlib.closing(sqlite3.connect(run_dir / "ledger.db")) as connection:
        connection.execute("BEGIN IMMEDIATE")
        for done in _all(demo_job, run_dir):
            assert 3 == done.code, done.err
            assert "another deidflow is working on this run" in done.err
            assert "Traceback" not in done.err

    assert before == files_of(demo_job.root)


def test_the_ledger_of_another_manifest(demo_job: Job, run_dir: Path) -> None:
    """`run` with the same run ID names the manifest, exit code 2; nothing is touched. So with another major version."""
    demo_job.write_manifest(demo_job.inventory()[:3])
    assert 0 == demo_job("run", "job.yaml", "--run-id", "other").code
    shutil.copy(run_dir / "ledger.db", demo_job.root / "runs" / "other" / "ledger.db")
    before = _but_counters(files_of(demo_job.root))

    done = demo_job("run", "job.yaml", "--run-id", "other")

    assert (2, True) == (done.code, "manifest" in done.err), done.err
    assert before == _but_counters(files_of(demo_job.root))

    with contextlib.closing(sqlite3.connect(run_dir / "ledger.db")) as connection, connection:
        connection.execute("UPDATE meta SET value = json_set(value, ?, '9') WHERE key = 'identity'", (_MAJOR,))
        connection.execute("UPDATE meta SET value = 'false' WHERE key = 'complete'")
    before = _but_counters(files_of(demo_job.root))

    done = demo_job("resume", run_dir)  # half of it would have other identifiers

    assert (2, True) == (done.code, "deidflow's major version: must be 9, as when the run began" in done.err), done.err
    assert before == _but_counters(files_of(demo_job.root))


def _but_counters(files: dict[str, bytes]) -> dict[str, bytes]:
    """Take off ledgers what SQLite counts in the header when it opens them (file format, 1.3)."""
    return {name: data[100:] if name.endswith("ledger.db") else data for name, data in files.items()}
