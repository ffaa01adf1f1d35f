"""What is handed over: permissions and names of results, and where a cohort made of links comes from."""

from __future__ import annotations

import contextlib
import os
import stat
import threading
from typing import TYPE_CHECKING, Any

import pydicom
import pytest

from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers, Level
from deidflow.tasks.core.engine.sources import ProblemCode, SourceProblem
from deidflow.tasks.core.errors import Interrupted, InvalidInput, Unusable
from deidflow.tasks.core.files.locks import lock_folder
from deidflow.tasks.local.folder.index import find_files
from tests.dicom_files import instance
from tests.jobs import files_of, read_csv
from tests.steps.steps import Steps

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENT = DicomIdentifiers("P-1", "", "", "").orthanc_id(Level.PATIENT)


@pytest.fixture
def loose_umask() -> Iterator[None]:
    """Set a umask that takes nothing away."""
    before = os.umask(0)
    yield
    os.umask(before)


def put(folder: Path, count: int = 2) -> None:
    """Write instances of one patient, the last one of another modality."""
    folder.mkdir(parents=True)
    for number in range(count):
        names: dict[str, Any] = {"SeriesInstanceUID": f"1.2.3.1.{number}", "SOPInstanceUID": f"1.2.3.1.{number}.1"}
        content = instance(Modality="SR" if number == count - 1 else "CT", **names)
        (folder / f"{number}.dcm").write_bytes(content)


def done(steps: Steps, **changes: Any) -> Path:
    """Run to the report; return the run folder."""
    steps.plan([PATIENT], **changes)
    steps.edit()
    assert 0 == steps.verify()
    assert steps.report().reconciled
    steps.run.close()
    return steps.run.folder


@pytest.mark.parametrize(("mode", "files", "folders"), [("0640", 0o640, 0o750), ("664", 0o664, 0o775)])
def test_permissions_of_results(tmp_path: Path, loose_umask: None, mode: str, files: int, folders: int) -> None:
    """Whatever the umask is; whoever may read a file may enter the folders above it."""
    put(tmp_path / "source")
    done(Steps(tmp_path), destination={"folder": "results", "mode": mode})
    paths = [tmp_path / "results", *(tmp_path / "results").rglob("*")]

    assert {files} == {stat.S_IMODE(path.stat().st_mode) for path in paths if path.is_file()}
    assert {folders} == {stat.S_IMODE(path.stat().st_mode) for path in paths if path.is_dir()}


@pytest.mark.parametrize("mode", ["rw-r-----", "0440", "0o640", "640 ", ""])
def test_permissions_that_are_none(tmp_path: Path, mode: str) -> None:
    """The message shows what they look like."""
    put(tmp_path / "source")
    with pytest.raises(InvalidInput, match='in quotes, as in "0640"'):
        Steps(tmp_path).plan([PATIENT], destination={"folder": "results", "mode": mode})


def test_what_was_delivered(tmp_path: Path) -> None:
    """One line per file of the destination, with its own identifiers; nothing of an original."""
    put(tmp_path / "source")
    folder = done(Steps(tmp_path))
    delivered = read_csv(folder / "delivered.csv")
    results = files_of(tmp_path / "results")

    assert results.keys() == {row["file"] for row in delivered}
    for row in delivered:
        result = pydicom.dcmread(tmp_path / "results" / row["file"])
        names = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "Modality")
        assert [str(result[name].value) for name in names] == [row[name] for name in names]
    text = (folder / "delivered.csv").read_text("utf-8")
    assert not any(original in text for original in ("P-1", "1.2.3.1", "Doe", PATIENT))
    crosswalk = {row["new_dicom_id"]: row["file"] for row in read_csv(folder / "crosswalk.csv")}
    assert all(crosswalk[row["SOPInstanceUID"]] == row["file"] for row in delivered)


def test_a_cohort_of_links(tmp_path: Path) -> None:
    """Links to files and to folders are followed when that is asked for; a loop has an end, a broken link a name."""
    put(tmp_path / "archive", 3)
    (tmp_path / "archive" / "back").symlink_to(tmp_path / "archive")
    source = tmp_path / "source"
    source.mkdir()
    (source / "one.dcm").symlink_to(tmp_path / "archive" / "0.dcm")
    (source / "all").symlink_to(tmp_path / "archive")
    (source / "gone").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe")
    (source / "pipe").symlink_to(tmp_path / "pipe")
    found = list(find_files(os.fsencode(source), follow_links=True))

    assert [b"one.dcm", b"all/0.dcm", b"all/1.dcm", b"all/2.dcm"] == [one for one in found if isinstance(one, bytes)]
    problems = {one.path: one.code for one in found if isinstance(one, SourceProblem)}
    assert {b"gone": ProblemCode.BROKEN_LINK, b"pipe": ProblemCode.NOT_A_REGULAR_FILE} == problems
    options = {"DicomVersion": "2023b", "KeepSource": False}
    with pytest.raises(InvalidInput, match=r"KeepSource: must be true with source\.follow_links"):
        Steps(tmp_path).plan([PATIENT], source={"folder": "source", "follow_links": True}, options=options)
    (source / "pipe").unlink()
    folder = done(Steps(tmp_path), source={"folder": "source", "follow_links": True})
    assert 3 == len(read_csv(folder / "delivered.csv"))


def test_a_run_waits_for_the_destination(tmp_path: Path) -> None:
    """As long as the config says, and no longer; one that is told to stop does not wait."""
    put(tmp_path / "source")
    results = tmp_path / "results"
    results.mkdir()
    steps = Steps(tmp_path)
    steps.plan([PATIENT], execution={"workers": 1, "lock_wait_seconds": 60})
    held = contextlib.ExitStack()
    held.enter_context(lock_folder(results, "the destination"))
    timer = threading.Timer(0.7, held.close)
    timer.start()
    steps.edit()
    timer.join()
    assert 0 == steps.verify()
    with lock_folder(results, "the destination"):
        steps.run.stop.set()
        with pytest.raises(Interrupted):
            steps.edit()
        steps.run.stop.clear()
        steps.run.lock_wait_s = 0
        with pytest.raises(Unusable, match="in use by another deidflow run"):
            steps.edit()
    steps.run.close()
