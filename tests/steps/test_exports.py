"""Exports of real runs: complete, the same byte for byte, and only for whom they are meant."""

from __future__ import annotations

import csv
import io
import json
import shutil
import signal
import stat
import subprocess
import zipfile
from typing import TYPE_CHECKING, Any

import pandas as pd
import pydicom
import pyrage
import pytest

from deidflow.flows.commands.export import export_run
from deidflow.flows.commands.report import report_run
from deidflow.flows.commands.verify import verify_run
from deidflow.flows.commands.withdraw import withdraw_run
from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers, Level
from deidflow.tasks.core.errors import Interrupted, InvalidInput, Unusable
from deidflow.tasks.core.report.mappings import write_mappings
from deidflow.tasks.core.request.export_choice import ExportChoice
from deidflow.tasks.export.package import Package
from deidflow.tasks.steps import export as export_module
from deidflow.tasks.steps.export import export_as_configured, export_crosswalk, export_results, require_finished
from deidflow.tasks.steps.publish import begin_again, note_complete
from deidflow.tasks.steps.run.progress import make_progress
from deidflow.tasks.steps.run.run import open_run
from deidflow.tasks.steps.withdraw import withdraw_results
from tests.dicom_files import instance
from tests.faults.injector import Action, Area, Call, Harm, Injector, why_not
from tests.jobs import Job, files_of, read_csv
from tests.steps.steps import Steps
from tests.steps.troubled_workers import die_while_packing, die_while_reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NASTY = 'a<b>c:"d|e?f*g/h'
OPTIONS = {"DicomVersion": "2023b", "Replace": {"PatientID": "{subject}"}, "Force": True}
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def run(root: Path, run_id: str = "r", lost: str = "", **changes: Any) -> Steps:
    """Run two patients to the end: one has two studies, one a subject number that no file system takes.

    Args:
        root: Of the job.
        run_id: Of the run.
        lost: Name of a source that goes before it is compared with its result.
        changes: Of the config.

    """
    source = root / "source"
    source.mkdir(exist_ok=True)
    for number, (patient, study) in enumerate((("A", "1"), ("A", "2"), ("B", "3"))):
        uid = f"1.2.{study}"
        names: dict[str, Any] = {"StudyInstanceUID": uid, "SeriesInstanceUID": f"{uid}.1"}
        kind = SECONDARY_CAPTURE if study == "2" else "1.2.840.10008.5.1.4.1.1.2"
        content = instance(
            PatientID=patient,
            SOPInstanceUID=f"{uid}.1.1",
            SOPClassUID=kind,
            Modality="CT",
            Rows=[4],
            Columns=[2],
            **names,
        )
        (source / f"{number}.dcm").write_bytes(content)
    steps = Steps(root)
    rows = [
        {"orthanc_id": DicomIdentifiers(patient, "", "", "").orthanc_id(Level.PATIENT), "subject": subject}
        for patient, subject in (("A", "S1"), ("B", NASTY))
    ]
    steps.plan(rows, run_id=run_id, options=OPTIONS, **changes)
    steps.edit()
    if lost:
        (source / lost).unlink()
    assert 0 == steps.verify()
    steps.report()
    note_complete(steps.run)
    return steps


@pytest.fixture
def finished(tmp_path: Path) -> Iterator[Steps]:
    """A finished run."""
    steps = run(tmp_path)
    yield steps
    steps.run.close()


def export(steps: Steps, name: str, **choice: Any) -> dict[str, bytes]:
    """Export; return all files."""
    with make_progress(quiet=True) as progress:
        export_results(steps.run, steps.root / name, ExportChoice(**choice), progress)
    assert [] == [path.name for path in steps.root.iterdir() if path.name.endswith("part")]
    return files_of(steps.root / name)


@pytest.mark.parametrize("choice", [{}, {"archive": "zip"}, {"archive": "zip", "per": "study"}])
def test_two_exports_are_equal(finished: Steps, choice: dict[str, str]) -> None:
    """Also into an empty folder, and of another run with the same key; sha256sum finds every file as it is listed.

    The recipient may read all of them, as what anybody writes there.
    """
    one = export(finished, "one", **choice)
    (finished.root / "two").mkdir()
    assert one == export(finished, "two", **choice)
    finished.run.close()
    other = run(finished.root, "again", destination={"folder": "elsewhere"})
    assert one == export(other, "three", **choice)
    other.run.close()
    command = ["/usr/bin/sha256sum", "-c", "SHA256SUMS"]
    check = subprocess.run(command, cwd=finished.root / "one", capture_output=True, check=False)
    assert 0 == check.returncode
    assert len(one) - 1 == check.stdout.count(b": OK")
    (finished.root / "mine").touch()
    modes = {path.stat().st_mode for path in (finished.root / "one").rglob("*") if path.is_file()}
    assert {(finished.root / "mine").stat().st_mode} == modes


@pytest.mark.parametrize("choice", [{}, {"archive": "zip", "per": "study"}])
def test_processes_that_die_make_the_same_export(
    finished: Steps, monkeypatch: pytest.MonkeyPatch, choice: dict[str, str]
) -> None:
    """Many results are read and packed by worker processes; what one had that was killed is done again."""
    here = export(finished, "here", **choice)
    monkeypatch.setattr(export_module, "_HANDFUL", 0)
    monkeypatch.setattr(export_module, "_TOGETHER", 1)
    assert here == export(finished, "processes", **choice)
    monkeypatch.setattr(export_module, "read_results", die_while_reading)
    monkeypatch.setattr(export_module, "write_archive", die_while_packing)
    assert here == export(finished, "killed", **choice)
    assert (finished.root / "reading").exists()
    assert (finished.root / "packing").exists() == bool(choice)


@pytest.mark.parametrize("place", ["source/out", "results/out", "runs/out", "runs/r/out", "."])
@pytest.mark.parametrize("pack", [export_results, export_crosswalk])
def test_an_export_lies_apart(finished: Steps, place: str, pack: Callable[..., object]) -> None:
    """As in a config: in the source it would be the next run's source."""
    before = files_of(finished.root)
    recipient = str(pyrage.x25519.Identity.generate().to_public())
    choice = ExportChoice(archive="zip", recipients=(recipient,))
    more = [make_progress(quiet=True)] if pack is export_results else []
    with pytest.raises(InvalidInput) as caught:
        pack(finished.run, finished.root / place, choice, *more)

    assert "separate folders" in str(caught.value.problems[0])
    assert before == files_of(finished.root)


ARCHIVES = {"archive": "zip", "per": "study"}


@pytest.mark.parametrize("name", ["index.csv", "Index.CSV", "SHA256SUMS", "index.parquet", "index.csv.age"])
@pytest.mark.parametrize("choice", [{"layout": "{PatientID}"}, {"layout": "{PatientID}/{SOPInstanceUID}"}, ARCHIVES])
def test_no_result_stands_in_the_place_of_the_index(tmp_path: Path, name: str, choice: dict[str, str]) -> None:
    """Whoever has the subject number of that name has a file of its own."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "0.dcm").write_bytes(instance(PatientID="A"))
    steps = Steps(tmp_path)
    row = {"orthanc_id": DicomIdentifiers("A", "", "", "").orthanc_id(Level.PATIENT), "subject": name}
    steps.plan([row], options=OPTIONS)
    steps.edit()
    assert 0 == steps.verify()

    files = export(steps, "out", **choice)
    steps.run.close()

    (row,) = read_csv(tmp_path / "out" / "index.csv")
    held = row["archive"] or row["file"]
    assert files.keys() == {held, "index.csv", "index.parquet", "SHA256SUMS"}
    assert name.casefold() != held.split("/")[0].casefold()
    if not row["archive"]:
        assert name == pydicom.dcmread(io.BytesIO(files[row["file"]])).PatientID


def test_a_run_that_is_to_stop_leaves_no_export(finished: Steps) -> None:
    """Nothing half done stands in its place."""
    finished.run.stop.set()
    with pytest.raises(Interrupted):
        export(finished, "out")
    assert [] == [path.name for path in finished.root.iterdir() if "out" in path.name]


@pytest.mark.skipif(bool(why_not()), reason=why_not())
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_command_that_is_stopped_leaves_no_export(finished: Steps, number: int) -> None:
    """As by a closed terminal: the results, or the crosswalk, would lie about beside it for ever."""
    finished.run.close()
    job = Job(finished.root, {})
    (job.root / "tmp").mkdir()
    harm = Harm(Action.SIGNAL_SELF, number, calls=(Call.MKDIR,), areas=(Area.TMP,), first=3)
    with Injector(job.root, job.root, harm) as injector:
        stopped = job.start("export", "runs/r", "-o", "tmp/out", variables=injector.environment).end()
        assert (130, 1) == (stopped.code, injector.struck), stopped.err
    assert "interrupted; give the same command again" in stopped.err
    assert [] == list((job.root / "tmp").iterdir())


def test_an_export_is_not_made_behind_a_link(finished: Steps) -> None:
    """Whoever may write to the folder beside could have put one there, and would get everything."""
    (finished.root / "theirs").mkdir()
    link = finished.root / ".out.deidflow-part"
    link.symlink_to(finished.root / "theirs")

    with pytest.raises(Unusable, match=f"something is in its way; remove {link}"):
        export(finished, "out")

    assert ([], True) == (list((finished.root / "theirs").iterdir()), link.is_symlink())
    assert not (finished.root / "out").exists()


def test_two_runs_are_not_packed_into_one_folder(finished: Steps) -> None:
    """Under one name at a time: each would pack what the other has read."""
    choice = ExportChoice()
    with Package(finished.root / "out", choice), pytest.raises(Unusable, match="in use by another deidflow run"):
        export(finished, "out")
    shutil.rmtree(finished.root / "out")
    assert len(export(finished, "out")) > 1


def test_the_index_describes_what_is_there(finished: Steps) -> None:
    """Every instance once, with its own attributes; a number that no file system takes is a legal path."""
    files = export(finished, "out", include_review=True)
    index = read_csv(finished.root / "out" / "index.csv")

    assert files.keys() == {row["file"] for row in index} | {"index.csv", "index.parquet", "SHA256SUMS"}
    for row in index:
        result = pydicom.dcmread(finished.root / "out" / row["file"])
        assert [str(result[name].value) for name in ("PatientID", "StudyInstanceUID", "SOPInstanceUID", "Rows")] == [
            row[name] for name in ("PatientID", "StudyInstanceUID", "SOPInstanceUID", "Rows")
        ]
        assert len(files[row["file"]]) == int(row["bytes"])
    assert {"S1", NASTY} == {row["PatientID"] for row in index}
    assert not any(sign in name for name in files for sign in '<>:"|?*')
    assert any(name.startswith("a%3Cb%3Ec%3A%22d%7Ce%3Ff%2Ag%2Fh/") for name in files)


def test_the_index_for_pandas_says_the_same(finished: Steps) -> None:
    """Text for text, the size as a number; without the extra there is none, and nothing else differs."""
    with_it = export(finished, "out")
    columns = pd.read_parquet(finished.root / "out" / "index.parquet")
    assert read_csv(finished.root / "out" / "index.csv") == columns.astype(str).to_dict("records")
    assert "int64" == columns["bytes"].dtype.name

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("deidflow.tasks.export.package.can_write_parquet", lambda: False)
        without = export(finished, "without")
    assert with_it.keys() - without.keys() == {"index.parquet"}
    assert with_it["index.csv"] == without["index.csv"]


def test_an_export_of_nothing_has_an_index(finished: Steps) -> None:
    """As of a night in which nothing was done: what reads the index finds its columns, and no line."""
    with make_progress(quiet=True) as progress:
        withdraw_results(finished.run, (), progress)
    files = export(finished, "out")

    assert {"index.csv", "index.parquet", "SHA256SUMS"} == files.keys()
    assert ["file", "archive"] == list(pd.read_csv(finished.root / "out" / "index.csv").columns)[:2]
    assert pd.read_parquet(finished.root / "out" / "index.parquet").empty


def test_what_a_person_should_look_at_is_left_out(finished: Steps) -> None:
    """A secondary capture may show text; it is packed when that is asked for."""
    with make_progress(quiet=True) as progress:
        done = export_results(finished.run, finished.root / "out", ExportChoice(), progress)

    assert (2, 1) == (done.instances, done.left_out)
    everything = export(finished, "all", include_review=True, layout="{Modality}/{SOPInstanceUID}.dcm")
    assert 3 == sum(name.startswith("CT/") for name in everything)


def test_what_nobody_has_verified_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A source is gone before anybody compared with it: its result stays, is not given away, and is counted."""
    steps = run(tmp_path, lost="2.dcm")
    steps.run.close()
    export_run(steps.run.folder, tmp_path / "out", (), crosswalk=False, include_review=True)

    said = capsys.readouterr().out
    assert "exported:  2 instances" in said
    assert "look at them first" not in said
    assert "left out:  1 instance, since their results are not verified" in said
    assert {"S1"} == {path.name for path in (tmp_path / "out").iterdir() if path.is_dir()}


def test_a_run_that_was_interrupted_is_not_given_away(finished: Steps) -> None:
    """What is done of it may not be verified."""
    begin_again(finished.run)
    finished.run.close()

    with pytest.raises(InvalidInput, match="must be a finished run: finish it with deidflow resume"):
        export_run(finished.run.folder, finished.root / "out", (), crosswalk=False)


def test_mappings_lie_apart_and_are_for_their_owner(finished: Steps) -> None:
    """They re-identify people."""
    folder, pairs = finished.run.folder, finished.root / "pairs"
    finished.run.close()

    with pytest.raises(InvalidInput, match=r"--mappings: must lie outside destination\.folder"):
        report_run(folder, finished.root / "results" / "pairs")
    report_run(folder, pairs)
    assert 0o700 == stat.S_IMODE(pairs.stat().st_mode)


def test_patients_without_an_id_are_in_no_mapping(tmp_path: Path) -> None:
    """Each of their studies has an ID of its own now, so that "" would stand for several."""
    (tmp_path / "source").mkdir()
    for number in "12":
        uids: dict[str, Any] = {
            "StudyInstanceUID": number,
            "SeriesInstanceUID": f"{number}.1",
            "SOPInstanceUID": f"{number}.1.1",
        }
        (tmp_path / "source" / number).write_bytes(instance(PatientID=None, **uids))
    steps = Steps(tmp_path)
    steps.plan([{"orthanc_id": DicomIdentifiers("", "", "", "").orthanc_id(Level.PATIENT)}])
    steps.edit()
    write_mappings(steps.run.ledger, tmp_path)
    steps.run.close()

    assert "id_old,id_new\n" == (tmp_path / "patid_mapping.csv").read_text("utf-8")
    assert 7 == len((tmp_path / "uid_mapping.csv").read_text("utf-8").splitlines())


def test_archives_are_for_their_recipients_alone(finished: Steps) -> None:
    """Archives and index, and the crosswalk; whoever has no key reads nothing of them."""
    key, stranger = pyrage.x25519.Identity.generate(), pyrage.x25519.Identity.generate()
    recipients = (str(key.to_public()),)
    files = export(finished, "out", archive="zip", recipients=recipients, include_review=True)

    archives = {"S1.zip.age", "a%3Cb%3Ec%3A%22d%7Ce%3Ff%2Ag%2Fh.zip.age"}
    assert archives | {"index.csv.age", "index.parquet.age", "SHA256SUMS"} == files.keys()
    with zipfile.ZipFile(io.BytesIO(pyrage.decrypt(files["S1.zip.age"], [key]))) as archive:
        assert 2 == len(archive.namelist())
        assert archive.testzip() is None
    index = list(csv.DictReader(io.StringIO(pyrage.decrypt(files["index.csv.age"], [key]).decode("utf-8-sig"))))
    assert archives == {row["archive"] for row in index}
    with pytest.raises(pyrage.DecryptError):
        pyrage.decrypt(files["index.csv.age"], [stranger])
    crosswalk = finished.run.folder / "crosswalk.csv"
    plain = crosswalk.read_bytes()
    crosswalk.write_bytes(plain.replace(b"S1", b"S2"))  # it is the run that says who is who, not what stands there now
    export_crosswalk(finished.run, finished.root / "keys", ExportChoice(recipients=recipients))
    packed = files_of(finished.root / "keys")
    assert {"crosswalk.csv.age", "SHA256SUMS"} == packed.keys()
    assert b"S1" in plain
    assert plain == pyrage.decrypt(packed["crosswalk.csv.age"], [key])
    assert [] == list(finished.run.folder.glob("scratch-*"))


@pytest.mark.parametrize(
    ("choice", "says"),
    [
        ({"layout": "{PatientID}.dcm", "include_review": True}, "layout: must tell any two results apart"),
        ({"layout": "{Nope}"}, "layout: must name attributes"),
        ({"recipients": ("age1xyz",), "archive": "zip"}, "recipients: number 1 must be an age public key"),
        ({"recipients": (str(pyrage.x25519.Identity.generate().to_public()),)}, "archive: must be zip with recipients"),
    ],
)
def test_what_cannot_be_packed_leaves_nothing(finished: Steps, choice: dict[str, Any], says: str) -> None:
    """The key is named, and no folder is left."""
    with pytest.raises(InvalidInput, match=says):
        export(finished, "out", **choice)
    assert [] == [path.name for path in finished.root.iterdir() if "out" in path.name]


def test_an_empty_layout_is_not_the_one_by_default(finished: Steps, tmp_path: Path) -> None:
    """As from a script whose variable is empty; the option is named, as for each that is wrong."""
    finished.run.close()
    with pytest.raises(InvalidInput, match=r"^--layout: must be a relative path"):
        export_run(finished.run.folder, tmp_path / "delivery", (), crosswalk=False, layout="", archive=None)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"per": "study"}, ["--per"]),
        ({"per": "patient", "archive": "none"}, ["--per"]),
        (
            {"crosswalk": True, "per": "study", "layout": "{PatientID}", "archive": "zip"},
            ["--layout", "--archive", "--per"],
        ),
        ({"crosswalk": True, "include_review": True}, ["--include-review"]),
    ],
)
def test_options_without_an_effect_are_refused(
    finished: Steps, tmp_path: Path, given: dict[str, Any], named: list[str]
) -> None:
    """Whoever gives one expects another export than there would be."""
    finished.run.close()
    with pytest.raises(InvalidInput) as refused:
        export_run(tmp_path / "runs/r", tmp_path / "out", (), **{"crosswalk": False, "recipients": ("age1x",), **given})
    assert named == [problem.file for problem in refused.value.problems]


def test_an_export_of_the_command_is_named_when_its_results_go(
    finished: Steps, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the name of its folder, wherever it is; one that did not come to be is not, and hides no other."""
    folder = finished.run.folder
    finished.run.close()
    (finished.root / "usb").mkdir()
    export_run(folder, finished.root / "usb/delivery", (), crosswalk=False)
    for path in ("usb", "usb/delivery"):
        with pytest.raises(InvalidInput):
            export_run(folder, finished.root / path, (), crosswalk=False)
    assert 0 == withdraw_run(folder, (3,))
    assert "exports:   delivery may hold results that are not done any more" in capsys.readouterr().out
    assert ["delivery"] == json.loads((folder / "summary.json").read_text("utf-8"))["other_exports"]
    export_run(folder, finished.root / "new", (), crosswalk=False)
    assert 1 == verify_run(folder)
    assert "exports:   delivery may hold" in capsys.readouterr().out


def test_the_same_export_again_is_told_to_be_complete(finished: Steps) -> None:
    """As after a kill between its last step and the command's last line; a folder of strangers is not."""
    export(finished, "out")
    with pytest.raises(InvalidInput, match="there is a complete export in it, which sha256sum -c SHA256SUMS checks"):
        export(finished, "out")
    (finished.root / "mine").mkdir()
    (finished.root / "mine" / "a-file").touch()
    with pytest.raises(InvalidInput) as refused:
        export(finished, "mine")
    assert "complete export" not in str(refused.value)


def test_a_result_that_changed_ends_the_export(finished: Steps) -> None:
    """So does one that is gone, and a folder that holds something; a run that was interrupted is refused."""
    (finished.root / "out").mkdir()
    (finished.root / "out" / "mine").touch()
    with pytest.raises(InvalidInput, match="must be a new or an empty folder"):
        export(finished, "out")
    path = next((finished.root / "results").rglob("*.dcm"))
    content = path.read_bytes()
    path.write_bytes(content[:-2] + b"\0\1")
    with pytest.raises(Unusable, match="is not what the run wrote"):
        export(finished, "other", include_review=True)
    path.unlink()
    with pytest.raises(Unusable, match="is not in the destination any more"):
        export(finished, "other", include_review=True)
    assert not (finished.root / "other").exists()
    (finished.root / "pack").mkdir()
    require_finished(finished.run)


def test_the_last_step_of_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Under the name of the run, once; what is wrong with it is told before anything starts."""
    steps = run(tmp_path, export={"folder": "packed", "archive": "zip"})
    with make_progress(quiet=True) as progress:
        assert export_as_configured(steps.run, progress) is not None
        assert export_as_configured(steps.run, progress) is None
        first = files_of(tmp_path / "packed" / "r")
        assert () == steps.report().other_exports
        steps.run.close()
        assert 0 == withdraw_run(steps.run.folder, (3,))  # other results than before, as when `resume` has mended some
        said = capsys.readouterr().out
        assert "exports:   r may hold" in said
        assert "take the rows out of the manifest, too" in said
        steps.run = open_run(steps.run.folder)
        assert export_as_configured(steps.run, progress) is not None
        assert export_as_configured(steps.run, progress) is None
    steps.report()
    assert "export" in json.loads((steps.run.folder / "summary.json").read_text("utf-8"))["seconds_by_step"]
    assert "than are done now, such as some that were found wrong or taken back since: r.<" in (
        steps.run.folder / "report.html"
    ).read_text("utf-8")
    steps.run.close()
    assert 1 == verify_run(steps.run.folder)
    assert "exports:   r may hold" in capsys.readouterr().out
    assert {"r", "r-2"} == {path.name for path in (tmp_path / "packed").iterdir()}
    assert first == files_of(tmp_path / "packed" / "r")
    assert {"S1.zip"} == {path.name for path in (tmp_path / "packed" / "r-2").glob("*.zip")}
    assert {"S1.zip", "index.csv", "SHA256SUMS"} < files_of(tmp_path / "packed" / "r").keys()
    reopened = open_run(steps.run.folder)
    assert "zip" == reopened.config.export_choice.archive
    reopened.close()
    with pytest.raises(InvalidInput, match=r"export\.layout: must name attributes"):
        steps.plan([], export={"folder": "packed", "layout": "{Nope}"})
    with pytest.raises(InvalidInput, match=r"export\.folder"):
        steps.plan([], export={"folder": "results/packed"})
