"""With ``KeepSource: false`` nothing is deleted whose content does not stand in a verified result."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import random
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers, Level
from deidflow.tasks.core.report.totals import DeletedSources
from tests.dicom_files import Element, instance
from tests.jobs import files_of
from tests.steps.steps import Steps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.jobs import Job

DELETING: Final = {"DicomVersion": "2023b", "KeepSource": False}
_STUDIES: Final = 36
_PIXEL_BYTES: Final = 200


def _file(study: int, number: int, *, pixel: int = 7) -> bytes:
    """Return an instance; those of all studies have one size."""
    return instance(
        Element(0x7FE00010, "OW", bytes([pixel, number]) * 100),
        PatientID=f"P-{study:04}",
        StudyInstanceUID=f"1.2.3.{study:04}",
        SeriesInstanceUID=f"1.2.3.{study:04}.1",
        SOPInstanceUID=f"1.2.3.{study:04}.1.{number}",
        InstanceNumber=str(number),
    )


def _study_id(study: int) -> str:
    return DicomIdentifiers(f"P-{study:04}", f"1.2.3.{study:04}", "", "").orthanc_id(Level.STUDY)


def _replaced_by_another(folder: Path) -> None:
    """The next slice arrives under the name of one, of the same size and time."""
    _put(folder / "1", _file(int(folder.name), 9))


def _corrected(folder: Path) -> None:
    """A corrected version under the same identifiers, of the same size and time."""
    _put(folder / "1", _file(int(folder.name), 1, pixel=8))


def _copy_replaced(folder: Path) -> None:
    """What stands in the place of an identical copy is another instance."""
    _put(folder / "copy", _file(int(folder.name), 9))


def _in_place(folder: Path) -> None:
    """One byte is changed in the file itself, its time is put back."""
    path = folder / "2"
    status = path.stat()
    with path.open("r+b") as file:
        file.seek(-3, os.SEEK_END)
        file.write(b"\xff")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def _link_to_archive(folder: Path) -> None:
    """A file becomes a link to its twin in an archive."""
    archive = _archived(folder)
    (folder / "2").unlink()
    (folder / "2").symlink_to(archive / "2")


def _folder_to_link(folder: Path) -> None:
    """The folder becomes a link to its twin in an archive."""
    archive = _archived(folder)
    shutil.rmtree(folder)
    folder.symlink_to(archive)


def _pipe(folder: Path) -> None:
    """A pipe stands in the place of a file."""
    (folder / "1").unlink()
    os.mkfifo(folder / "1")


def _gone(folder: Path) -> None:
    """A file is gone."""
    (folder / "2").unlink()


def _added(folder: Path) -> None:
    """More arrives."""
    (folder / "3").write_bytes(_file(int(folder.name), 3))


DISTURBANCES: Final[list[Callable[[Path], None]]] = [
    *(_replaced_by_another, _corrected, _copy_replaced, _in_place),
    *(_link_to_archive, _folder_to_link, _pipe, _gone, _added),
]


def _put(path: Path, data: bytes) -> None:
    """Replace a file so that size and time do not tell."""
    status = path.stat()
    path.with_suffix(".new").write_bytes(data)
    path.with_suffix(".new").rename(path)
    assert path.stat().st_size == status.st_size
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def _archived(folder: Path) -> Path:
    return folder.parents[1] / "archive" / folder.name


def test_disturbances_lose_nothing(tmp_path: Path) -> None:
    """Of 36 studies each is disturbed once, at a drawn moment: only contents with a verified result go."""
    drawn = random.Random(11)  # noqa: S311 (a test)
    source = tmp_path / "source"
    for study in range(_STUDIES):
        folder = source / f"{study:04}"
        folder.mkdir(parents=True)
        for name, number in (("1", 1), ("2", 2), ("copy", 1)):
            (folder / name).write_bytes(_file(study, number))
        shutil.copytree(folder, _archived(folder))
    archive = files_of(tmp_path / "archive")
    steps = Steps(tmp_path)
    steps.plan([_study_id(study) for study in range(_STUDIES)], options=DELETING)
    moments = [(moment, change) for change in DISTURBANCES for moment in ("edit", "verify", "delete", "delete")]
    drawn.shuffle(moments)

    def disturb(now: str) -> None:
        for study, (moment, change) in enumerate(moments):
            if moment == now:
                change(source / f"{study:04}")

    disturb("edit")
    steps.edit()
    disturb("verify")
    steps.verify()
    disturb("delete")
    before = _plain_files(source)
    steps.delete()
    after = _plain_files(source)

    assert archive == files_of(tmp_path / "archive")
    deleted = {path: data for path, data in before.items() if path not in after}
    results = {path.rpartition("/")[2]: data for path, data in files_of(tmp_path / "results").items()}
    verified = dict(
        steps.run.ledger.select(
            "SELECT sop_instance_uid, new_sop_instance_uid FROM instance WHERE outcome = 'done' AND verified = 'full'"
        )
    )
    for path, data in deleted.items():
        number = 1 if path.endswith("copy") else int(path.rpartition("/")[2])
        new = verified[f"1.2.3.{path.partition('/')[0]}.1.{number}"]
        assert data[-_PIXEL_BYTES:] == results[f"{new}.dcm"][-_PIXEL_BYTES:]
    # The test could not fail if nothing went: what was not touched did.
    assert len(deleted) > _STUDIES
    for study, (moment, change) in enumerate(moments):
        if (moment, change) == ("delete", _added):
            assert ["3"] == sorted(path.name for path in (source / f"{study:04}").iterdir())


def _plain_files(folder: Path) -> dict[str, bytes]:
    """Return the files that are reached without a link."""
    paths = [Path(above) / name for above, _, names in os.walk(folder) for name in names]
    return {
        str(path.relative_to(folder)): path.read_bytes() for path in paths if path.is_file() and not path.is_symlink()
    }


@pytest.mark.parametrize("kind", ["link", "other"])
def test_another_folder_in_the_place_of_the_source(tmp_path: Path, kind: str) -> None:
    """The source folder turned into a link to an archive, or was moved and named anew: by itself nothing goes."""
    source, archive = tmp_path / "source", tmp_path / "archive"
    source.mkdir()
    (source / "1").write_bytes(_file(1, 1))
    steps = Steps(tmp_path)
    steps.plan([_study_id(1)], options=DELETING)
    steps.edit()
    steps.verify()
    source.rename(archive)
    if kind == "link":
        source.symlink_to(archive)
    steps.delete()

    assert (archive / "1").exists()


def test_another_run_of_the_same_sources(tmp_path: Path) -> None:
    """What another run has deleted counts as deleted, and what it left is compared as ever."""
    source = tmp_path / "source"
    source.mkdir()
    for number in (1, 2):
        (source / str(number)).write_bytes(_file(1, number))
    steps = Steps(tmp_path)
    steps.plan([_study_id(1)], options=DELETING)
    steps.edit()
    steps.verify()
    (source / "1").unlink()

    assert DeletedSources(2) == steps.delete()
    assert [] == list(source.iterdir())
    assert 0 == steps.verify(again=True)  # by what was noted of the results
    assert steps.report().reconciled


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ESTALE])
def test_sources_that_cannot_be_opened_for_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """What the system lets nobody look at keeps the run from being reconciled, and the next attempt deletes it."""
    source = tmp_path / "source"
    source.mkdir()
    for name, slice_number in (("1", 1), ("2", 2), ("copy", 1)):
        (source / name).write_bytes(_file(1, slice_number))
    steps = Steps(tmp_path)
    steps.plan([_study_id(1)], options=DELETING)
    steps.edit()
    steps.verify()
    with monkeypatch.context() as away:
        away.setattr(os, "open", _failing_open(b"copy", number))
        first = steps.delete()
    before = steps.report()
    page = (steps.run.folder / "report.html").read_text("utf-8")
    second = steps.delete()
    after = steps.report()

    assert (DeletedSources(1, not_deleted=1), DeletedSources(2)) == (first, second)
    assert (False, 1, "some sources could not be deleted") == (before.reconciled, before.exit_code, before.verdict)
    assert "Every row is done, but not all sources could be deleted" in page
    assert "Sources that could not be deleted: 1 instance. See to it" in page
    assert (True, 0, "reconciled") == (after.reconciled, after.exit_code, after.verdict)
    assert [] == list(source.iterdir())
    assert steps.delete() is None


def _failing_open(name: bytes, number: int) -> Callable[..., int]:
    """Return ``os.open`` as a share that does not let a file of this name be opened."""
    real = os.open

    def opened(path: str | bytes, *arguments: Any, **options: Any) -> int:
        if path == name:
            raise OSError(number, os.strerror(number))
        return real(path, *arguments, **options)

    return opened


def test_a_source_that_was_copied_is_known_by_its_content(tmp_path: Path) -> None:
    """Where content is noted, another time of the same file is no change: verified, and deleted."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "1").write_bytes(_file(1, 1))
    steps = Steps(tmp_path)
    steps.plan([_study_id(1)], options=DELETING)
    steps.edit()
    os.utime(source / "1", ns=(1, 1))
    steps.verify()

    assert 0 == steps.report().unverified
    assert DeletedSources(1) == steps.delete()


def _verified(tmp_path: Path) -> tuple[Steps, Path]:
    """Return a run of one source whose result is verified, before the deletion, and the source folder."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "1").write_bytes(_file(1, 1))
    steps = Steps(tmp_path)
    steps.plan([_study_id(1)], options=DELETING)
    steps.edit()
    steps.verify()
    return steps, source


def test_a_run_that_is_stopped_deletes_nothing_yet(tmp_path: Path) -> None:
    """Whoever stops a run before its last step still has every source, and deletes them when it goes on."""
    steps, source = _verified(tmp_path)

    steps.run.stop.set()
    assert steps.delete() is None
    assert ["1"] == [path.name for path in source.iterdir()]
    steps.run.stop.clear()
    assert DeletedSources(1) == steps.delete()
    assert [] == list(source.iterdir())


def test_a_source_folder_that_is_away_for_now(tmp_path: Path) -> None:
    """Sources that nobody can see are not gone: the next attempt deletes them."""
    steps, source = _verified(tmp_path)
    source.rename(tmp_path / "elsewhere")
    first = steps.delete()
    (tmp_path / "elsewhere").rename(source)

    assert (DeletedSources(not_deleted=1), DeletedSources(1)) == (first, steps.delete())
    assert [] == list(source.iterdir())


def test_what_stays_since_it_changed_is_counted(tmp_path: Path) -> None:
    """A file that is not what was read stays, and the report says so; nothing is left to be tried again."""
    source = tmp_path / "source" / "0001"
    source.mkdir(parents=True)
    for number in (1, 2):
        (source / str(number)).write_bytes(_file(1, number))
    steps = Steps(tmp_path)
    steps.plan([_study_id(1)], options=DELETING)
    steps.edit()
    steps.verify()
    _corrected(source)

    assert DeletedSources(1, changed=1) == steps.delete()
    assert 0 == steps.report().exit_code
    page = (steps.run.folder / "report.html").read_text("utf-8")
    assert "Sources deleted: 1 instance. Sources kept, since they are not what was read: 1 instance." in page
    assert steps.delete() is None


def test_a_read_only_source(demo_job: Job) -> None:
    """Exit 1, and the console and the summary say why; when the folder can be written `resume` deletes them."""
    for path in sorted((demo_job.source / "CT").rglob("*")):
        if path.is_file():
            path.unlink()
    demo_job.write_config(options=DELETING)
    demo_job.write_manifest(demo_job.inventory())
    count = len(files_of(demo_job.source))
    run_dir = demo_job.root / "runs" / "ro"
    with _read_only(demo_job.source):
        kept = demo_job("run", "job.yaml", "--run-id", "ro")
        summary = json.loads((run_dir / "summary.json").read_text("utf-8"))
    done = demo_job("resume", run_dir)
    after = json.loads((run_dir / "summary.json").read_text("utf-8"))

    assert (1, 0) == (kept.code, done.code), kept.err + done.err
    assert f"0 deleted, {count} could not be deleted; deidflow resume tries again" in kept.out
    assert {"deleted": 0, "not_deleted": count, "changed": 0} == summary["sources"]
    assert (False, 1) == (summary["reconciled"], summary["exit_code"])
    assert re.search(rf"^sources: +{count} deleted$", done.out, re.MULTILINE)
    assert {"deleted": count, "not_deleted": 0, "changed": 0} == after["sources"]
    assert {} == files_of(demo_job.source)


@contextlib.contextmanager
def _read_only(folder: Path) -> Iterator[None]:
    """Have a folder on a file system that cannot be written."""
    for command in (["--bind", str(folder), str(folder)], ["-o", "remount,bind,ro", str(folder)]):
        if subprocess.run(["/bin/mount", *command], check=False, capture_output=True).returncode:
            pytest.skip("NO RIGHT TO MOUNT: a read-only source was not tried (run as root)")
    try:
        yield
    finally:
        subprocess.run(["/bin/umount", "-l", str(folder)], check=True)
