"""`deidflow init`: a config and a manifest that `plan` and `run` accept as they stand."""

from __future__ import annotations

import json
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deidflow.flows.commands.init import write_first_job
from deidflow.tasks.steps.run.settings import load_config
from tests.jobs import DEMO_DATA, files_of, read_csv, with_all_keys

if TYPE_CHECKING:
    from tests.jobs import Job

NAMES = ["incoming", "-r", "~me", "a b # c: d", '"it\'s"', "*&!|%@`", "ö\U0001f600", "yes", "0x1F", "[a, b]", "a\\b\tc"]


@pytest.fixture
def new_job(job: Job) -> Job:
    """A folder with some files, and nothing else."""
    shutil.copytree(DEMO_DATA / "MR", job.source)
    return job


def test_what_it_writes_is_planned_and_run(new_job: Job) -> None:
    """Plan and run as they stand; the next command is told, and the manifest is for its owner only."""
    job = new_job
    done = job("init", "source")
    assert (0, f"next:     deidflow plan {'job.yaml'}") == (done.code, done.out.splitlines()[-1]), done.err
    assert 0o600 == stat.S_IMODE((job.root / "job.csv").stat().st_mode)
    rows = read_csv(job.root / "job.csv")

    plan = json.loads(job("plan", "job.yaml", "--json").out)
    assert ({"planned": len(rows)}, []) == (plan["rows"], plan["errors"])
    ran = job("run", "job.yaml")
    assert 0 == ran.code, ran.err
    assert f"rows:            {len(rows)} done" in ran.out


def test_nothing_is_overwritten_and_nothing_half_done_is_left(new_job: Job) -> None:
    """Files that are there stay, in whatever way it fails; the config does not go without the manifest."""
    job = new_job
    (job.root / "empty").mkdir()
    (job.root / "job.csv").write_text("mine")
    before = files_of(job.root)
    cases = {
        ("source",): "must not exist yet: job.csv",
        ("source", "--name", "../x"): "--name: must be 1 to 42 letters",
        ("source", "-o", "source/inside"): "-o: must be a folder outside the source",
        ("empty", "--name", "other"): "must hold DICOM objects",
        ("empty", "--name", "other", "-o", "elsewhere"): "must hold DICOM objects",
        ("nowhere", "--name", "other"): "not found: nowhere",
        ("http://user:secret@localhost", "--name", "other"): "must not hold credentials",
    }
    for words, says in cases.items():
        done = job("init", *words)
        assert 2 == done.code, done.err
        assert says in done.err, words
        assert before == files_of(job.root)
        assert not (job.root / "elsewhere").exists()
    assert 3 == job("init", "http://127.0.0.1:1", "--name", "other").code
    assert before == files_of(job.root)


@pytest.mark.parametrize("name", NAMES)
def test_any_name_of_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Relative to the config, wherever that is, or as an absolute path."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(DEMO_DATA / "MR", tmp_path / name)
    for number, source in enumerate((f"./{name}", str(tmp_path / name))):
        write_first_job(source, Path(f"out{number}"), "job")
        assert tmp_path / name == load_config(tmp_path / f"out{number}" / "job.yaml").source.folder


def test_keys_to_choose_from_are_right(new_job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each key that stands there as a comment, and all together, make a config that can be read."""
    job = new_job
    assert 0 == job("init", "source").code
    monkeypatch.setenv("DEIDFLOW_KEY", job.key)
    config = load_config(with_all_keys(job.root / "job.yaml"))
    assert (True, True, "job") == (config.incremental, config.has_key, config.scope)
    assert config.schedule is not None
    assert config.profile_options
