"""With ``KeepSource: false`` nothing is deleted whose content does not stand in a verified result."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers, Level
from tests.dicom_files import Element, instance
from tests.jobs import files_of
from tests.steps import Steps

if TYPE_CHECKING:
    from collections.abc import Callable

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

    assert 2 == steps.delete()
    assert [] == list(source.iterdir())
    assert 0 == steps.verify(again=True)  # by what was noted of the results
    assert steps.report().reconciled
