"""A source made to do harm: nothing leaves the destination, only files are opened, everything is reported."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from tests.dicom_files import Element, instance
from tests.jobs import files_of, read_csv

if TYPE_CHECKING:
    from pathlib import Path

    from tests.jobs import Job

HOSTILE = [
    "../../x", "..", ".", "/etc/passwd", "a\\..\\..\\b", "a\0b", "-rf", "~root", "x" * 3000, "=1+1", "a\nb",
    "%2e%2e%2f",
    ".deidflow-partial",
]  # fmt: skip


def _hostile_instances(source: Path) -> int:
    """Write an instance for each hostile text, which stands wherever an identifier does, under hostile names."""
    names = [b"-rf", b"a\nb.dcm", b"\xff\xfe.dcm", b"=1+1", b" ", b"..dcm", b"~"]
    for number, text in enumerate(HOSTILE):
        raw = text.encode()
        uids = [
            Element(tag, "UI", raw.replace(b"\0", b"") + str(number).encode())
            for tag in (0x00080018, 0x0020000D, 0x0020000E)
        ]
        data = instance(
            *uids,
            Element(0x00100020, "LO", raw),
            PatientID=None,
            SOPInstanceUID=None,
            StudyInstanceUID=None,
            SeriesInstanceUID=None,
        )
        name = names[number % len(names)] + (b"" if number < len(names) else str(number).encode())
        (source / os.fsdecode(name)).write_bytes(data)
    return len(HOSTILE)


def _no_files(source: Path, outside: Path) -> dict[str, str]:
    """Put everything into the source that is no file of it; return path and code of each that is reported."""
    outside.mkdir()
    (outside / "secret.dcm").write_bytes(instance(SOPInstanceUID="1.2.9"))
    os.mkfifo(source / "fifo")
    with socket.socket(socket.AF_UNIX) as listener, pytest.MonkeyPatch.context() as patch:
        patch.chdir(source)
        listener.bind("socket")
    links: dict[str, Path | str] = {
        "link-outside": outside / "secret.dcm",
        "link-to-folder": outside,
        "link-broken": "nothing",
        "link-loop": "link-loop",
        "link-to-all": ".",
        "link-to-device": "/dev/zero",
    }
    for name, target in links.items():
        (source / name).symlink_to(target)
    for name in ("=note.txt", "-note.txt", "a\nnote.txt", os.fsdecode(b"\xff.txt")):
        (source / name).write_text("no DICOM")
    expected = {
        "fifo": "not-a-regular-file",
        "socket": "not-a-regular-file",
        "link-outside": "link-out-of-folder",
        "link-to-folder": "link-out-of-folder",
        "link-to-device": "link-out-of-folder",
        "link-broken": "broken-link",
        "link-loop": "broken-link",
        "'=note.txt": "not-dicom",
        "'-note.txt": "not-dicom",
        "a\nnote.txt": "not-dicom",
        "\\xff.txt": "not-dicom",
    }
    if os.geteuid() == 0:
        os.mknod(source / "device", 0o600 | 0o020000, os.makedev(1, 5))
        expected["device"] = "not-a-regular-file"
    return expected


# Kept, a NUL in a PatientID and backslashes in a UID are read by pydicom in its own way, and stay what they are.
@pytest.mark.parametrize("options", [{"DicomVersion": "2023b"}, {"Keep": ["SOPInstanceUID"], "Force": True}])
def test_hostile_identifiers_and_names(job: Job, options: dict[str, object]) -> None:
    """New identifiers or kept ones: every result lies four levels below the destination, every oddity is reported."""
    job.source.mkdir()
    count = _hostile_instances(job.source)
    expected = _no_files(job.source, job.root / "outside")
    operation = "anonymize" if "DicomVersion" in options else "modify"
    job.write_config(options=options, operation=operation)
    job.write_manifest([{"orthanc_id": row["orthanc_id"]} for row in job.inventory()])
    before = set(job.root.iterdir())
    sources = files_of_regular(job.source)

    done = job("run", "job.yaml", "--run-id", "hostile")

    assert 0 == done.code, done.out + done.err
    rows = read_csv(job.root / "runs" / "hostile" / "reconciliation.csv")
    assert ["done"] * count == [row["outcome"] for row in rows]
    results = files_of(job.destination)
    assert count == len(results)
    assert {3} == {name.count("/") for name in results}
    assert {job.destination, job.root / "runs"} == set(job.root.iterdir()) - before
    problems = {row["path"]: row["code"] for row in read_csv(job.root / "runs" / "hostile" / "source_problems.csv")}
    assert expected == problems
    assert sources == files_of_regular(job.source)


def files_of_regular(folder: Path) -> dict[bytes, bytes]:
    """Return the regular files of a folder with their content; nothing else is opened."""
    return {
        os.fsencode(path.name): path.read_bytes()
        for path in folder.iterdir()
        if path.is_file() and not path.is_symlink()
    }


@pytest.mark.parametrize(
    ("key", "folder"),
    [
        ("destination.folder", "source/out"),
        ("destination.folder", "source/../source"),
        ("destination.folder", "."),
        ("destination.folder", "link/out"),
        ("report.runs_dir", "source/runs"),
        ("report.runs_dir", "results/runs"),
        ("report.runs_dir", "link"),
    ],
)
def test_folders_inside_one_another(job: Job, key: str, folder: str) -> None:
    """Source, destination and run folders lie apart, also behind links; otherwise nothing is made anywhere."""
    job.source.mkdir()
    (job.source / "file").write_bytes(instance())
    (job.root / "link").symlink_to("source")
    job.write_config()
    job.write_manifest([{"orthanc_id": "-".join(["0" * 8] * 5)}])
    before = sorted(job.root.rglob("*"))

    done = job("run", "job.yaml", "--set", f"{key}={folder}")

    assert (2, True) == (done.code, "must neither lie inside" in done.err), done.err
    assert before == sorted(job.root.rglob("*"))
