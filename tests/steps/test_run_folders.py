"""Run folders: whose they are, what of a run may change between attempts, and where its folders have gone."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers, Level
from deidflow.tasks.core.errors import InvalidInput, Unusable
from deidflow.tasks.core.ledger.journal import add_leftovers
from deidflow.tasks.core.ledger.run_facts import read_facts
from deidflow.tasks.core.report.summary import provenance
from deidflow.tasks.core.version import deidflow_version
from deidflow.tasks.steps.publish import begin_again, is_complete, note_complete, note_seconds, publish_reports
from deidflow.tasks.steps.run.disk_space import missing_space
from deidflow.tasks.steps.run.identity import run_identity
from deidflow.tasks.steps.run.leftovers import LEFTOVERS_FILE, write_leftovers
from deidflow.tasks.steps.run.progress import make_progress
from deidflow.tasks.steps.run.run import KEY_FILE, create_run, open_run, take_config
from deidflow.tasks.steps.run.run_folder import (
    check_run_id,
    clear_leftovers,
    make_folder,
    new_run_id,
    no_run_folder,
    require_own_folder,
)
from deidflow.tasks.steps.run.safe_errors import UnexpectedError, safely
from deidflow.tasks.steps.run.settings import load_config
from tests.dicom_files import instance
from tests.jobs import KEY
from tests.steps.steps import Steps

if TYPE_CHECKING:
    from pathlib import Path

PATIENT = DicomIdentifiers("P-1", "", "", "").orthanc_id(Level.PATIENT)


@pytest.fixture
def steps(tmp_path: Path) -> Steps:
    """A run of two instances that was edited, closed, in a folder of its own."""
    root = tmp_path / "project"
    (root / "source").mkdir(parents=True)
    for number in range(2):
        data = instance(SOPInstanceUID=f"1.2.3.1.1.{number}", InstanceNumber=str(number))
        (root / "source" / f"{number}.dcm").write_bytes(data)
    made = Steps(root)
    made.plan([PATIENT])
    made.edit()
    made.run.close()
    return made


@pytest.mark.parametrize("run_id", ["", "a b", "a/b", "..", "a" * 65, "é"])
def test_names_of_runs(run_id: str) -> None:
    """Letters, digits, - and _, at most 64; what is made up fits, however long the config's name is."""
    with pytest.raises(InvalidInput, match="1 to 64 letters"):
        check_run_id(run_id)
    for name in ("trial", "n" * 42):
        check_run_id(new_run_id(name))
        assert new_run_id(name).startswith(name)


def test_a_run_goes_on_by_its_folder_alone(steps: Steps) -> None:
    """Config and key are what they were; the folder of the project may be renamed as a whole."""
    folder = steps.run.folder
    steps.root.rename(steps.root.with_name("renamed"))
    here = steps.root.with_name("renamed") / folder.relative_to(steps.root)

    with open_run(here).ledger as ledger:
        facts = read_facts(ledger)
    assert str(here) == facts.run_folder
    assert str(here.parents[1] / "source") == facts.config["source"]["folder"] == facts.source_folder
    assert str(here.parents[1] / "results") == facts.config["destination"]["folder"]


def test_what_may_be_set_anew(steps: Steps, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders that hold the same, and how the work is done; it is kept for the next attempt."""
    shutil.move(steps.root / "source", steps.root / "originals")
    shutil.move(steps.root / "results", steps.root / "given")
    monkeypatch.chdir(steps.root)
    overrides = ["source.folder=originals", "destination.folder=given", "execution.workers=3", "verify=identifiers"]

    with open_run(steps.run.folder, overrides).ledger:
        pass
    run = open_run(steps.run.folder)
    assert (3, "identifiers") == (run.config.execution.workers, run.config.verify)
    assert (steps.root / "originals", steps.root / "given") == (
        run.config.source.folder,
        run.config.destination and run.config.destination.folder,
    )
    run.close()


BAD_OVERRIDES = {
    "options.Force=true": "options.Force",
    "name=other": "name",
    "execution.workers=0": "execution.workers",
    "execution.workers": "execution.workers",
    "source.folder=elsewhere": "source.folder",
    "destination.folder=elsewhere": "destination.folder",
    "destination.folder=source": "destination.folder",
}


@pytest.mark.parametrize("override", BAD_OVERRIDES)
def test_what_may_not_be_set_anew(steps: Steps, monkeypatch: pytest.MonkeyPatch, override: str) -> None:
    """The key is named; the run is what it was."""
    monkeypatch.chdir(steps.root)
    (steps.root / "elsewhere").mkdir()
    (steps.root / "elsewhere" / "0.dcm").write_bytes(b"another file")
    with pytest.raises(InvalidInput) as caught:
        open_run(steps.run.folder, [override])

    assert BAD_OVERRIDES[override] in {problem.key for problem in caught.value.problems}
    run = open_run(steps.run.folder)
    assert steps.run.config == run.config
    run.close()


def test_another_config_of_the_same_run(steps: Steps) -> None:
    """A key that stands elsewhere is taken if it is the same one; another is refused."""
    run = open_run(steps.run.folder)
    for name, text in (("same.key", KEY), ("other.key", KEY[::-1])):
        (steps.root / name).touch(0o600)
        (steps.root / name).write_text(text)

    take_config(run, load_config(steps.root / "job.yaml", ["pseudonyms.key_file=" + str(steps.root / "same.key")]))
    with pytest.raises(InvalidInput, match="the key is not the one"):
        take_config(run, load_config(steps.root / "job.yaml", ["pseudonyms.key_file=" + str(steps.root / "other.key")]))
    run.close()


def test_a_key_of_the_run_s_own(steps: Steps) -> None:
    """It lies in the run folder, for the owner's eyes only; without it the run cannot go on."""
    first = open_run(steps.run.folder)
    config = load_config(steps.root / "job.yaml", ["pseudonyms=null"])
    key = first.key
    own = create_run(first.ledger.passed_on(), config, key, steps.root / "runs" / "own", KEY)
    own.close()
    path = steps.root / "runs" / "own" / KEY_FILE
    assert 0o600 == path.stat().st_mode & 0o777

    open_run(path.parent).close()
    path.write_text("damaged")
    with contextlib.closing(open_run(path.parent)) as run, pytest.raises(InvalidInput, match="missing or damaged"):
        run.load_key()


def test_a_plan_that_is_stored_and_cannot_be_opened(steps: Steps) -> None:
    """The run goes on by its folder, which has the copies of config and manifest; without a plan nothing is left."""
    first = open_run(steps.run.folder)
    config, key = load_config(steps.root / "job.yaml"), first.key
    first.close()
    for name, in_the_way, left in (
        ("stored", "ledger.db-wal", ["config.yaml", "ledger.db", "manifest.csv"]),
        ("not", "ledger.part", []),
    ):
        folder = steps.root / "runs" / name
        (folder / in_the_way).mkdir(parents=True)
        steps.plan([PATIENT], run_id=f"{name}-planned")
        with pytest.raises(Unusable):
            create_run(steps.run.ledger, config, key, folder, None)
        (folder / in_the_way).rmdir()

        assert left == sorted(path.name for path in folder.iterdir())
    open_run(steps.root / "runs" / "stored").close()


def test_folders_that_are_none_of_a_run(tmp_path: Path) -> None:
    """A link, a file, or a folder with links in it is refused; others are made, and not where a link leads."""
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    (tmp_path / "holds").mkdir()
    (tmp_path / "holds" / "ledger.db").symlink_to(tmp_path / "file")
    for name, text in (("file", "must be a folder"), ("link", "not a link"), ("holds", "not links")):
        with pytest.raises(InvalidInput, match=text):
            require_own_folder(tmp_path / name)
    with pytest.raises(InvalidInput, match="must be a folder"):
        make_folder(tmp_path / "file" / "runs" / "r")
    require_own_folder(tmp_path / "none")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / ".gitignore").symlink_to(tmp_path / "elsewhere")
    make_folder(tmp_path / "runs" / "r")

    assert not (tmp_path / "elsewhere").exists()
    assert 0o700 == (tmp_path / "runs" / "r").stat().st_mode & 0o777
    assert "must be a run folder" in no_run_folder(tmp_path / "folder")
    assert "not found" in no_run_folder(tmp_path / "none")


def test_a_folder_that_cannot_be_looked_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's word is told, not a traceback."""

    def refuse(_: object) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(Unusable, match=r"cannot be read: Permission denied \(EACCES\)"):
        require_own_folder(tmp_path)


def test_what_a_killed_process_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half-written files and scratch folders go; all else stays. A disk that has become read-only is named."""
    for name in (".report.html.part", "a.tmp", "scratch-1/x", "ledger.db"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")

    def refuse(*_: object, **__: object) -> Any:
        raise OSError(30, "Read-only file system")

    with monkeypatch.context() as other:
        other.setattr(os, "unlink", refuse)
        with pytest.raises(Unusable, match=r"cannot be written: Read-only file system \(EROFS\); have it mounted"):
            clear_leftovers(tmp_path)
    clear_leftovers(tmp_path)

    assert ["ledger.db"] == [path.name for path in tmp_path.iterdir()]


def test_what_makes_two_runs_the_same_has_the_keys_of_earlier_releases(tmp_path: Path) -> None:
    """One more would make every earlier night another one's: it may only be there where it is not at its default."""
    text = "name: n\nmanifest: m.csv\noperation: anonymize\nsource: {folder: in}\ndestination: {folder: out}\n"
    groups = "profile_options: [clean-pixel-data, retain-longitudinal-modified-dates]\npixels: {}\ntext: {}\n"
    (tmp_path / "job.yaml").write_text(f"{text}engine: local\n{groups}private: {{}}\ndates: {{shift_days: [1, 9]}}\n")
    identity = run_identity(load_config(tmp_path / "job.yaml"), "", "")

    assert {
        "source": ["folder", "follow_links", "orthanc"],
        "destination": ["folder", "orthanc"],
        "options": [],
        "dates": ["column", "shift_days", "whole_weeks"],
        "text": ["unknown", "words"],
        "private": ["attributes"],
        "pixels": ["detect", "lossy", "rules", "unmatched"],
    } == {name: sorted(group) for name, group in identity.items() if isinstance(group, dict)}


def test_results_that_may_be_somebody_else_s(steps: Steps) -> None:
    """They are named in a file that bulk-delete reads; with none the file goes."""
    run = open_run(steps.run.folder)
    add_leftovers(run.ledger, 1, ["aaaa", "bbbb"])
    path = run.folder / LEFTOVERS_FILE

    write_leftovers(run)
    assert '"aaaa"' in path.read_text()
    assert 0o600 == path.stat().st_mode & 0o777
    run.ledger.execute("DELETE FROM leftover")
    write_leftovers(run)
    assert not path.exists()
    run.close()


def test_how_much_room_is_missing(steps: Steps, monkeypatch: pytest.MonkeyPatch) -> None:
    """Said where a disk is full, in words for people; of other troubles nothing is added."""
    run = open_run(steps.run.folder)
    full, other = Unusable("full", OSError(28, "No space left on device")), Unusable("gone")

    assert "" == missing_space(run, full)  # all results are there: what is full is another folder
    assert "" == missing_space(run, other)
    run.ledger.execute("UPDATE instance SET outcome = '', size = 1")
    assert "enough, unless its number of files (df -i) or a quota is used up" in missing_space(run, full)
    run.ledger.execute("UPDATE instance SET outcome = '', size = 1 << 60")
    assert "make room for" in missing_space(run, full)

    def refuse(_: object) -> Any:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "statvfs", refuse)
    assert "" == missing_space(run, full)
    run.close()


def test_the_end_of_a_run_and_another_attempt(steps: Steps, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run is complete when its last step says so, not after it has begun again, maybe by others; times add up."""
    run = open_run(steps.run.folder)
    assert not is_complete(run)
    note_complete(run)
    assert is_complete(run)
    with monkeypatch.context() as other:
        other.setattr("deidflow.tasks.steps.run.run.deidflow_version", lambda: "0.99.0")
        other.setattr("platform.python_version", lambda: "3.99.0")
        begin_again(run)
        begin_again(run)
    assert not is_complete(run)
    made = provenance(run.ledger)
    assert (f"{deidflow_version()}, 0.99.0", platform.node()) == (made["deidflow_version"], made["host"])
    assert f"{platform.python_version()}, 3.99.0" == made["versions"]["python"]
    note_seconds(run, "edit", 1.5)
    note_seconds(run, "edit", 1.5)

    assert 3.0 <= read_facts(run.ledger).seconds_by_step["edit"]
    run.close()


def test_a_run_folder_that_cannot_be_written(steps: Steps, monkeypatch: pytest.MonkeyPatch) -> None:
    """The report says so, and how to write it again."""

    def refuse(*_: object) -> Any:
        raise OSError(28, "No space left on device")

    run = open_run(steps.run.folder)
    monkeypatch.setattr("deidflow.tasks.steps.publish.write_reports", refuse)
    with make_progress(quiet=True) as progress, pytest.raises(Unusable, match="deidflow report"):
        publish_reports(run, progress)
    run.close()


def test_an_error_that_nobody_thought_of() -> None:
    """Its text and what it came from may hold anything: only its type and place are told."""

    @safely
    def stumble() -> None:
        raise KeyError("ZQXNAME^Jane") from ValueError("ZQXNAME")

    with pytest.raises(
        UnexpectedError, match=r"^KeyError in test_run_folders\.py, line \d+; please report it$"
    ) as caught:
        stumble()
    assert caught.value.__cause__ is caught.value.__context__ is None
