"""Bad files and bad rows cost nothing but themselves, and the report says what happened to each."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pydicom
import pytest

from tests.jobs import DEMO_DATA, files_of, read_csv

if TYPE_CHECKING:
    from tests.jobs import Job


def _deep(template: bytes, depth: int) -> bytes:
    """Return a file whose ContentSequence is nested so deep, everything of undefined length."""
    begin = b"\x40\x00\x30\xa7SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    end = b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0"
    return template + begin * depth + end * depth


def _sound_files(source: Path) -> list[Path]:
    """Copy 20 sound files; return them."""
    source.mkdir()
    found = sorted(path for path in DEMO_DATA.rglob("*") if path.is_file())[:20]
    return [Path(shutil.copy(path, source / f"{number:02}.dcm")) for number, path in enumerate(found)]


def test_a_folder_with_everything_in_it(job: Job) -> None:
    """Of 20 sound files and 5 bad ones the sound ones are done and the report names what became of each bad one."""
    _sound_files(job.source)
    shutil.copy(_test_file("MR_truncated.dcm"), job.source / "truncated.dcm")
    shutil.copy(_test_file("DICOMDIR"), job.source / "DICOMDIR")
    (job.source / "notes.txt").write_text("scanned on Tuesday")
    (job.source / "empty.dcm").touch()
    dataset = _minimal_copy(pydicom.dcmread(_test_file("rtplan.dcm")))
    dataset.save_as(job.source / "deep.dcm", enforce_file_format=True)
    deep = job.source / "deep.dcm"
    deep.write_bytes(_deep(deep.read_bytes(), 2000))
    job.write_config()
    rows = job.inventory()
    job.write_manifest(rows)

    done = job("run", "job.yaml", "--run-id", "bad")

    run_dir = job.root / "runs" / "bad"
    assert 1 == done.code, done.err
    assert "Traceback" not in done.err
    instances = [row for row in read_csv(run_dir / "crosswalk.csv") if row["level"] == "instance"]
    outcomes = sorted(row["outcome"] for row in instances)
    assert ["done"] * 20 + ["failed"] * 2 == outcomes
    codes = {row["reason"].partition(":")[0] for row in instances if row["outcome"] == "failed"}
    assert {"damaged", "nesting-too-deep"} == codes
    problems = {row["path"]: row["code"] for row in read_csv(run_dir / "source_problems.csv")}
    assert {"DICOMDIR": "dicomdir", "empty.dcm": "empty", "notes.txt": "not-dicom"} == problems
    assert "source problems: 3" in done.out
    failures = read_csv(run_dir / "failures.csv")
    assert 2 == len(failures)
    assert 20 == len(files_of(job.destination))


def _test_file(name: str) -> str:
    """Return the path of a file of pydicom's package."""
    path = pydicom.data.get_testdata_file(name)
    assert isinstance(path, str)
    return path


def _minimal_copy(dataset: pydicom.Dataset) -> pydicom.Dataset:
    """Return the identifiers of a dataset, which stand before the tag of the nested sequences."""
    small = pydicom.Dataset()
    small.file_meta = pydicom.dataset.FileMetaDataset()
    small.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    for keyword in ("SOPClassUID", "SOPInstanceUID", "PatientID", "StudyInstanceUID", "SeriesInstanceUID"):
        setattr(small, keyword, dataset.get(keyword))
    return small


def test_a_link_to_a_source_whose_name_is_no_utf8(demo_job: Job) -> None:
    """A folder that an old system has named in Latin-1 is run from, and verified, by a link with another name."""
    demo_job.write_manifest(demo_job.inventory()[:2])
    old = Path(os.fsdecode(os.fsencode(demo_job.root) + b"/Aufnahmen f\xfcr Studie"))
    demo_job.source.rename(old)
    demo_job.source.symlink_to(old)
    done = demo_job("run", "job.yaml", "--run-id", "linked")

    assert 0 == done.code, done.err
    assert 0 == demo_job("verify", "runs/linked").code


def test_the_failures_file_is_a_manifest(job: Job) -> None:
    """After the cause is gone, failures.csv runs as it is and does what was left."""
    sound = _sound_files(job.source)
    job.write_config()
    job.write_manifest(job.inventory())
    damaged = sound[4].read_bytes()
    sound[4].write_bytes(damaged[: len(damaged) // 2])
    rows = read_csv(job.manifest)
    job.write_manifest([row | {"instances": ""} for row in rows])

    first = job("run", "job.yaml", "--run-id", "one")
    sound[4].write_bytes(damaged)
    failures = job.root / "runs" / "one" / "failures.csv"
    second = job("run", "job.yaml", "--manifest", failures, "--run-id", "two")

    assert (1, 0) == (first.code, second.code), first.err + second.err
    assert 20 == len(files_of(job.destination))


def test_ten_mistakes_are_told_at_once(demo_job: Job) -> None:
    """Ten different mistakes give ten messages with line and column, exit code 2, and nothing is created."""
    rows = demo_job.inventory()
    good = [row["orthanc_id"] for row in rows]
    series_of_first = next(
        row["orthanc_id"]
        for row in demo_job.inventory("series")
        if row["StudyInstanceUID"] == rows[0]["StudyInstanceUID"]
    )
    cells = [
        {"orthanc_id": "not-an-id"},
        {"orthanc_id": good[1], "level": "planet"},
        {"orthanc_id": good[2], "operation": "erase"},
        {"orthanc_id": good[3], "instances": "many"},
        {"orthanc_id": good[4], "Replace.StudyDate": "SECRETDATE"},
        {"orthanc_id": good[5], "Remove": "NoSuchKeyword"},
        {"orthanc_id": good[6], "Replace.RequestAttributesSequence": "[{"},
        {"orthanc_id": good[7], "Clear.PatientComments": "perhaps"},
        {"orthanc_id": good[8], "instances": "9999"},
        {"orthanc_id": good[8]},
        {"orthanc_id": good[0]},
        {"orthanc_id": series_of_first},
    ]
    demo_job.write_manifest(cells)

    done = demo_job("run", "job.yaml")

    messages = [line for line in done.err.splitlines() if line.startswith("error:")]
    lines = {int(message.partition("line ")[2].partition(",")[0].partition(":")[0]) for message in messages}
    assert (2, set(range(2, 11)) | {11, 12}) == (done.code, lines), done.err
    assert all("column" in message for message in messages), messages
    assert "SECRETDATE" not in done.err + done.out
    assert not demo_job.destination.exists()
    assert not (demo_job.root / "runs").exists()


def test_skip_invalid_does_the_others(demo_job: Job) -> None:
    """With --skip-invalid the bad row is `invalid`, an unknown one `not_found`, and the others are done."""
    rows = demo_job.inventory()
    unknown = "-".join(["0" * 8] * 5)
    demo_job.write_manifest([rows[0], {"orthanc_id": "nonsense"}, {"orthanc_id": unknown}, rows[1]])

    refused = demo_job("run", "job.yaml")
    done = demo_job("run", "job.yaml", "--skip-invalid", "--run-id", "skipped")

    assert (2, 1) == (refused.code, done.code), done.err
    report = read_csv(demo_job.root / "runs" / "skipped" / "reconciliation.csv")
    assert ["done", "invalid", "not_found", "done"] == [row["outcome"] for row in report]
    assert ["2", "3", "4", "5"] == [row["line"] for row in report]
    assert 2 == len(read_csv(demo_job.root / "runs" / "skipped" / "failures.csv"))


def test_what_arrives_later_is_found_by_resume(demo_job: Job) -> None:
    """A row that was not found is looked for again; what arrives under a row that was found is no source of the run."""
    rows = demo_job.inventory()
    demo_job.write_manifest(rows)
    studies = {row["StudyInstanceUID"] for row in rows if row["instances"] == "1"}
    late = min(
        path
        for path in demo_job.source.rglob("*")
        if path.is_file() and pydicom.dcmread(path, stop_before_pixels=True).StudyInstanceUID in studies
    )
    content = late.read_bytes()
    late.unlink()

    first = demo_job("run", "job.yaml", "--run-id", "late")
    late.write_bytes(content)
    second = demo_job("resume", demo_job.root / "runs" / "late")

    assert (1, 0) == (first.code, second.code), second.err
    assert len(rows) == sum(
        row["outcome"] == "done" for row in read_csv(demo_job.root / "runs" / "late" / "reconciliation.csv")
    )


def test_an_object_in_the_way_is_never_overwritten(demo_job: Job) -> None:
    """Another object under a result's name fails that instance alone, unless overwriting is asked for."""
    demo_job.write_manifest(demo_job.inventory()[:3])
    assert 0 == demo_job("run", "job.yaml", "--run-id", "one").code
    results = files_of(demo_job.destination)
    victim = min(results)
    (demo_job.destination / victim).write_bytes(b"somebody else's")

    second = demo_job("run", "job.yaml", "--run-id", "two")
    kept = (demo_job.destination / victim).read_bytes()
    third = demo_job("run", "job.yaml", "--run-id", "three", "--set", "destination.overwrite=true")

    assert (1, b"somebody else's", 0) == (second.code, kept, third.code)
    assert "destination-conflict" in (demo_job.root / "runs" / "two" / "reconciliation.csv").read_text("utf-8-sig")
    assert results == files_of(demo_job.destination)


def test_sources_are_deleted_only_when_done(demo_job: Job) -> None:
    """With KeepSource false the files of rows that are done in full go, all others stay, and verify still works."""
    demo_job.write_config(options={"DicomVersion": "2023b", "KeepSource": False})
    rows = demo_job.inventory()
    demo_job.write_manifest(rows[:5])
    before = len(files_of(demo_job.source))

    done = demo_job("run", "job.yaml", "--run-id", "gone")

    deleted = sum(int(row["instances"]) for row in rows[:5])
    assert 0 == done.code, done.err
    assert before - deleted == len(files_of(demo_job.source))
    assert deleted == len(files_of(demo_job.destination))
    verified = demo_job("verify", demo_job.root / "runs" / "gone")
    assert 0 == verified.code, verified.out + verified.err


def test_a_destination_that_is_a_file_stops_the_run_before_it_begins(demo_job: Job) -> None:
    """Exit code 3 and the path, from `plan` as well; nothing is made, and the run begins when it is mended."""
    demo_job.write_manifest(demo_job.inventory()[:2])
    demo_job.destination.write_text("in the way")

    plan = demo_job("plan", "job.yaml")
    first = demo_job("run", "job.yaml", "--run-id", "blocked")
    made = (demo_job.root / "runs").exists()
    demo_job.destination.unlink()
    second = demo_job("run", "job.yaml", "--run-id", "blocked")

    assert (3, 3, False, 0) == (plan.code, first.code, made, second.code), first.err + second.err
    for done in (plan, first):
        assert "Traceback" not in done.err
        assert f"must be a folder: {demo_job.destination}" in done.err


def test_config_key_manifest_and_destination_are_told_at_once(demo_job: Job) -> None:
    """Each of them is wrong by itself: every one of the messages, exit code 2, nothing is made.

    Nothing is said of the requests of rows where what they are made from is not known.
    """
    rows = demo_job.inventory()[:2]
    demo_job.write_manifest([*rows, {"orthanc_id": "not-an-id"}])
    demo_job.destination.write_text("in the way")
    demo_job.write_config(
        execution={"workers": 0},
        colour="red",
        pseudonyms={"key_file": "no.key"},
        options={"DicomVersion": "1999"},
        operation="erase",
        report={"runs_dir": str(demo_job.manifest)},
    )

    for command in (("run", "job.yaml", "--run-id", "wrong"), ("plan", "job.yaml")):
        done = demo_job(*command)

        assert 2 == done.code, done.err
        for part in (
            "key execution.workers",
            "key colour",
            "key pseudonyms.key_file: must be the path of a file that is there",
            "key options.DicomVersion",
            f"must be a folder: {demo_job.manifest}",
            f"must be a folder: {demo_job.destination}",
            "key operation",
            "line 4, column orthanc_id",
            "8 problems found",
        ):
            assert part in done.err, done.err
        assert not (demo_job.root / "runs").exists()


def test_a_sound_config_whose_surroundings_are_not(demo_job: Job) -> None:
    """Key, manifest and destination are told together, too, when the config itself is right."""
    demo_job.write_manifest([*demo_job.inventory()[:2], {"orthanc_id": "not-an-id"}])
    demo_job.destination.write_text("in the way")
    demo_job.write_config(pseudonyms={"key_env": "TEST_NO_SUCH_KEY"})

    done = demo_job("run", "job.yaml", "--run-id", "wrong")

    assert 2 == done.code, done.err
    for part in ("TEST_NO_SUCH_KEY", "line 4, column orthanc_id", "must be a folder", "3 problems found"):
        assert part in done.err, done.err


@pytest.mark.parametrize("what", ["manifest", "key_file", "config"])
def test_a_pipe_in_the_place_of_a_file_is_refused_at_once(demo_job: Job, what: str) -> None:
    """Nobody writes to it, and nobody waits for that."""
    demo_job.write_manifest(demo_job.inventory()[:1])
    pipe = demo_job.root / "pipe"
    os.mkfifo(pipe, 0o600)
    config = demo_job.root / "job.yaml"
    if what == "manifest":
        demo_job.write_config(manifest="pipe")
    elif what == "key_file":
        demo_job.write_config(pseudonyms={"key_file": "pipe"})
    else:
        config = pipe

    done = demo_job.start("run", config).end(30)

    assert 2 == done.code, done.err
    assert f"must be a plain file, not a folder, pipe or device: {pipe}" in done.err


@pytest.mark.parametrize("command", ["run", "resume", "verify", "report"])
@pytest.mark.parametrize("link", ["folder", "file"])
def test_links_in_the_place_of_a_run_folder_are_refused(demo_job: Job, command: str, link: str) -> None:
    """Neither the folder itself nor a file in it is a link; what one leads to stays as it was, with its rights."""
    demo_job.write_manifest(demo_job.inventory()[:1])
    target = demo_job.root / "elsewhere"
    target.mkdir(mode=0o755)
    (target / "ledger.sqlite").write_bytes(b"not yours")
    target.chmod(0o755)
    run_dir = demo_job.root / "runs" / "linked"
    run_dir.parent.mkdir()
    if link == "folder":
        run_dir.symlink_to(target)
    else:
        run_dir.mkdir()
        (run_dir / "report.html").symlink_to(target / "ledger.sqlite")

    arguments = ("job.yaml", "--run-id", "linked") if command == "run" else (run_dir,)
    done = demo_job(command, *arguments)

    assert 2 == done.code, done.err
    assert f"not link{'s' * (link == 'file')}" in done.err.replace("not a link", "not link")
    assert str(run_dir) in done.err
    assert 0o755 == target.stat().st_mode & 0o777
    assert {"ledger.sqlite": b"not yours"} == files_of(target)


def test_what_is_printed_cannot_steer_a_terminal(demo_job: Job) -> None:
    """Escape sequences in column names, tags and keys are printed as text."""
    rows = demo_job.inventory()[:1]
    demo_job.write_manifest([{**rows[0], "Replace.No\x1b[2JTag": "x", "Remove": "Al\x1b]0;title\x07so"}])
    column = demo_job("plan", "job.yaml")
    demo_job.write_config(**{"col\x1b[31mour": 1})
    key = demo_job("plan", "job.yaml")
    argument = demo_job("plan", "job.yaml", "--set", "col\x1b[31mour=1")

    for done in (column, key, argument):
        assert 2 == done.code, done.err
        assert "\\x1b[" in done.err
        assert set() == {character for character in done.err + done.out if ord(character) < 32} - {"\n"}
