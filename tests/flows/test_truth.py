"""The report says no more than is true, and looking at a run breaks nothing."""

from __future__ import annotations

import json
import os
import shutil
import struct
from typing import TYPE_CHECKING, Any, Final

import pytest

from deidflow.flows.answers.run import run_answer
from deidflow.flows.commands.report import report_run
from deidflow.flows.commands.verify import verify_run
from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers, Level
from deidflow.tasks.core.errors import Interrupted, InvalidInput, Unusable
from deidflow.tasks.core.outcomes import Outcome
from deidflow.tasks.steps.access.engines import verifying_workers
from deidflow.tasks.steps.publish import publish_reports
from deidflow.tasks.steps.run.progress import Progress, make_progress
from deidflow.tasks.steps.verify import verify_results
from tests.dicom_files import EXPLICIT, Element, Item, elements, encode, instance
from tests.jobs import files_of, instance_lines, read_csv
from tests.steps.steps import Steps

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.jobs import Job

PATIENT = DicomIdentifiers("P-1", "1.2.3.1", "", "").orthanc_id(Level.PATIENT)
END_OF_ITEM = struct.pack("<HHL", 0xFFFE, 0xE00D, 0)
END_OF_SEQUENCE = struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
WAVEFORM = Element(0x54000100, "SQ", (Item((Element(0x54001010, "OW", bytes(range(200))),)),))


def _write(folder: Path, count: int = 4, **keywords: Any) -> None:
    folder.mkdir(exist_ok=True)
    for number in range(count):
        data = instance(WAVEFORM, **{"SOPInstanceUID": f"1.2.3.1.1.{number}", "InstanceNumber": str(number)} | keywords)
        (folder / f"{number}.dcm").write_bytes(data)


@pytest.fixture
def steps(tmp_path: Path) -> Steps:
    """Four instances of one patient, edited and not verified."""
    _write(tmp_path / "source")
    made = Steps(tmp_path)
    made.plan([PATIENT])
    made.edit()
    return made


def _result(steps: Steps, number: int) -> Path:
    new = steps.run.ledger.scalar(
        "SELECT new_sop_instance_uid FROM instance WHERE sop_instance_uid = ?", (f"1.2.3.1.1.{number}",)
    )
    (path,) = (steps.root / "results").rglob(f"{new}.dcm")
    return path


def _summary(steps: Steps) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((steps.run.folder / "summary.json").read_text())
    return found


def test_what_nobody_verified_is_not_said_to_be_right(steps: Steps) -> None:
    """Without an ended verification nothing is reconciled; with one it is; what is edited again is not."""
    before = steps.report()
    page = (steps.run.folder / "report.html").read_text("utf-8")
    assert (False, 1, 4) == (before.reconciled, before.exit_code, before.unverified)
    assert "not verified:    4 of 4" in run_answer(before, steps.run.folder).lines()
    assert "Not verified: 4 of 4 results" in page
    assert "Everything is accounted for and done" not in page
    assert {"checks": "full", "verified": 0, "not_verified": 4, "read_back": 0} == _summary(steps)["verified"]

    assert 0 == steps.verify()
    after = steps.report()
    assert (True, 0) == (after.reconciled, after.unverified)
    assert "verified: 4 of 4" in (steps.run.folder / "report.html").read_text("utf-8")

    steps.run.ledger.execute("UPDATE instance SET outcome = '' WHERE sop_instance_uid = '1.2.3.1.1.2'")
    steps.edit()
    assert 1 == steps.report().unverified


def test_a_verification_that_was_stopped_counts_as_far_as_it_came(steps: Steps) -> None:
    """Half of the results are verified: the report says how many, and the next attempt looks at the rest."""
    steps.verify()
    steps.run.ledger.execute("UPDATE instance SET verified = '' WHERE sop_instance_uid < '1.2.3.1.1.2'")

    stopped = steps.report()
    assert (2, 2, 1) == (stopped.verified, stopped.unverified, stopped.exit_code)
    assert "some results are not verified" == stopped.verdict
    _result(steps, 3).unlink()  # verified before, so not looked at
    assert 0 == steps.verify()
    assert steps.report().reconciled
    assert 1 == steps.verify(again=True)


def test_a_verification_that_was_stopped_behind_the_last_result_makes_no_verdict(steps: Steps) -> None:
    """What only the whole run shows was not looked at then, although each result was found right."""

    class Stopping(Progress):
        def advance(self, count: int = 1, name: str = "") -> None:
            super().advance(count, name)
            steps.run.stop.set()

    with pytest.raises(Interrupted), Stopping() as progress, verifying_workers(steps.run, "full") as workers:
        verify_results(steps.run, workers, progress, full=True)
    stopped = steps.report()
    assert (4, 0, 1) == (stopped.verified, stopped.unverified, stopped.exit_code)
    assert "the verification did not come to its end" == stopped.verdict
    assert "Yes: " not in (steps.run.folder / "report.html").read_text("utf-8")
    steps.run.stop.clear()
    assert 0 == steps.verify()
    assert steps.report().reconciled


def test_without_checks_nothing_is_claimed(tmp_path: Path) -> None:
    """With ``verify: none`` a run is exit code 0, and says that no result was read back."""
    _write(tmp_path / "source")
    steps = Steps(tmp_path)
    steps.plan([PATIENT], verify="none")
    steps.edit()

    assert (0, 0) == (steps.report().exit_code, steps.report().unverified)
    page = (steps.run.folder / "report.html").read_text("utf-8")
    assert "no result was read back" in page
    assert "passed" not in page


def test_a_last_step_that_is_still_to_come_is_told(tmp_path: Path, job: Job) -> None:
    """Sources that are to go and stand there, and an export that cannot be packed, keep a run from being reconciled."""
    (tmp_path / "steps").mkdir()
    _write(tmp_path / "steps" / "source")
    steps = Steps(tmp_path / "steps")
    steps.plan([PATIENT], options={"DicomVersion": "2023b", "KeepSource": False})
    steps.edit()
    steps.verify()
    due = steps.report()
    assert (False, 1, "the sources are still to be deleted") == (due.reconciled, due.exit_code, due.verdict)
    assert "Everything is accounted for and done" not in (steps.run.folder / "report.html").read_text("utf-8")
    steps.delete()
    assert steps.report().reconciled

    _write(job.source)
    job.write_config(export={"folder": "exports", "layout": "{PatientID}.dcm"})
    job.write_manifest(job.inventory())
    failed = job("run", "job.yaml", "--run-id", "r")
    run_dir = job.root / "runs" / "r"
    assert 3 == failed.code
    assert "tell any two results apart" in failed.err
    summary = json.loads((run_dir / "summary.json").read_text())
    assert (False, 1, ["export"]) == (summary["reconciled"], summary["exit_code"], summary["due"])
    assert "packing the export" in (run_dir / "report.html").read_text("utf-8")
    assert 1 == job("report", run_dir).code
    job.write_config(export={"folder": "exports"})
    packed = job("run", "job.yaml", "--run-id", "r")
    assert 0 == packed.code, packed.err
    assert json.loads((run_dir / "summary.json").read_text())["reconciled"]


def test_what_verifying_finds_later_stands_in_the_report(
    steps: Steps, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No file of the run goes on naming a result that was just taken out; one that changes nothing is not touched."""
    steps.verify()
    folder = steps.run.folder
    with make_progress(quiet=True) as progress:
        publish_reports(steps.run, progress)
    steps.run.close()
    monkeypatch.chdir(steps.root)
    assert 0 == verify_run(folder)
    assert "agrees with the ledger" in capsys.readouterr().out
    listed = folder / "delivered.csv"
    delivered_before = listed.read_bytes()
    listed.write_text("altered")
    assert 1 == verify_run(folder)
    assert f"mend it:  deidflow report {folder}" in capsys.readouterr().out
    listed.write_bytes(delivered_before)
    result = next((steps.root / "results").rglob("*.dcm"))
    result.write_bytes(result.read_bytes() + b"Doe^Jane")

    assert 1 == verify_run(folder)
    assert "written again" in capsys.readouterr().out
    assert not result.exists()
    delivered = {line["file"] for line in read_csv(folder / "delivered.csv")}
    assert delivered == {str(path.relative_to(steps.root / "results")) for path in steps.root.glob("results/**/*.dcm")}
    assert not json.loads((folder / "summary.json").read_text())["reconciled"]
    assert "Yes: everything is done" not in (folder / "report.html").read_text("utf-8")
    (folder / "delivered.csv").write_text("altered")
    assert 1 == verify_run(folder)
    assert "differs: delivered.csv" in capsys.readouterr().out
    assert "altered" == (folder / "delivered.csv").read_text()


def test_a_killed_run_has_no_end(steps: Steps) -> None:
    """Neither the moment of a report is one, nor that of a look at its results, which the report tells of."""
    folder = steps.run.folder
    steps.run.close()
    assert 1 == report_run(folder)
    summary = json.loads((folder / "summary.json").read_text())
    assert (None, None, 4) == (summary["ended"], summary["seconds"], summary["verified"]["not_verified"])
    assert "did not come to its end" in (folder / "report.html").read_text("utf-8")
    assert 0 == verify_run(folder)
    summary = json.loads((folder / "summary.json").read_text())
    assert (None, 4) == (summary["ended"], summary["verified"]["verified"])


def _cut_before(tag: int) -> Callable[[Path], None]:
    def cut(path: Path) -> None:
        data = path.read_bytes()
        path.write_bytes(data[: data.rindex(struct.pack("<HH", tag >> 16, tag & 0xFFFF))])

    return cut


def _linked(path: Path) -> None:
    path.rename(path.parents[4] / "elsewhere.dcm")
    path.symlink_to(path.parents[4] / "elsewhere.dcm")


def _folder_linked(path: Path) -> None:
    path.parents[2].rename(path.parents[4] / "elsewhere")
    path.parents[2].symlink_to(path.parents[4] / "elsewhere")


DAMAGES: dict[str, Callable[[Path], object]] = {
    "cut off before an element": _cut_before(0x54000100),
    "cut off inside a value": lambda path: path.write_bytes(path.read_bytes()[:-50]),
    "bytes behind the end": lambda path: path.write_bytes(path.read_bytes() + b"Doe^Jane"),
    "an element behind the end": lambda path: path.write_bytes(
        path.read_bytes() + b"\xfc\xff\xfc\xffOB\0\0\x08\0\0\0Doe^Jane"
    ),
    "one sample differs": lambda path: path.write_bytes(path.read_bytes().replace(b"\x10\x11\x12", b"\x10\x11\x13")),
    "a link": _linked,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=list(DAMAGES))
def test_a_damaged_result_goes_and_is_written_again(steps: Steps, damage: Callable[[Path], object]) -> None:
    """It is failed, taken out of the destination, no longer named, and the next attempt makes it as it was."""
    steps.verify()
    before = files_of(steps.root / "results")
    path = _result(steps, 1)
    damage(path)

    assert 1 == steps.verify(again=True)
    assert not os.path.lexists(path)
    steps.report()
    (line,) = [line for line in instance_lines(steps.run.folder) if "1.2.3.1.1.1" in line]
    assert ("", "failed") == (line[2], line[5])
    steps.run.ledger.execute("UPDATE instance SET outcome = '', code = '', text = '' WHERE outcome <> 'done'")
    steps.edit()
    assert 0 == steps.verify()
    assert before == files_of(steps.root / "results")


@pytest.mark.parametrize("damage", ["cut off inside a value", "bytes behind the end", "a link"])
def test_damage_before_the_first_verification(steps: Steps, damage: str) -> None:
    """The structure of a result is read without anything that was noted before."""
    path = _result(steps, 1)
    DAMAGES[damage](path)

    assert 1 == steps.verify()
    assert not os.path.lexists(path)


def test_a_folder_of_results_that_is_a_link(steps: Steps) -> None:
    """What lies behind a link is no result of this run, and is not touched."""
    steps.verify()
    path = _result(steps, 1)
    _folder_linked(path)
    elsewhere = files_of(steps.root / "elsewhere")

    assert 4 == steps.verify(again=True)
    assert elsewhere == files_of(steps.root / "elsewhere")


def test_what_cannot_be_removed_stays_named(steps: Steps) -> None:
    """A pipe stands where the result belongs: it stays, and the crosswalk names the place."""
    path = _result(steps, 1)
    path.unlink()
    os.mkfifo(path)

    assert 1 == steps.verify()
    steps.report()
    (line,) = [line for line in instance_lines(steps.run.folder) if "1.2.3.1.1.1" in line]
    assert (path.stem, "failed") == (line[4], line[5])


@pytest.mark.parametrize("what", ["source", "results"])
@pytest.mark.parametrize("mount_point", [True, False], ids=["empty", "missing"])
def test_a_folder_that_is_away_says_nothing_about_results(steps: Steps, what: str, mount_point: bool) -> None:
    """Verifying stops with a sentence, the ledger stays as it was, and back in place all is right."""
    steps.verify()
    everything = "SELECT * FROM instance ORDER BY id"
    before = steps.run.ledger.select(everything)
    folder = steps.root / what
    folder.rename(steps.root / "away")
    if mount_point:
        folder.mkdir()

    with pytest.raises(Unusable, match="mount"):
        steps.verify(again=True)
    assert before == steps.run.ledger.select(everything)
    if mount_point:
        folder.rmdir()
    (steps.root / "away").rename(folder)
    assert 0 == steps.verify(again=True)


def test_a_result_that_comes_back_is_done_again(steps: Steps) -> None:
    """One that is missing alone is ``missing``; once it is back and right it is done."""
    steps.verify()
    path = _result(steps, 1)
    path.rename(steps.root / "away.dcm")

    assert 1 == steps.verify(again=True)
    assert 1 == steps.report().instances[Outcome.MISSING]
    assert 0 == steps.verify(again=True)
    (steps.root / "away.dcm").rename(path)
    assert 0 == steps.verify(again=True)
    assert steps.report().reconciled


def test_a_source_that_is_gone_costs_no_result(steps: Steps) -> None:
    """Nothing to compare with is no fault of the result: it stays, done and not verified."""
    (steps.root / "source" / "1.dcm").unlink()

    assert 0 == steps.verify()
    assert (4, 1) == (steps.report().instances[Outcome.DONE], steps.report().unverified)
    assert 4 == len(files_of(steps.root / "results"))


@pytest.mark.parametrize("change", ["kept value", "padding", "another name", "another ending"])
def test_a_source_that_changed_where_nothing_is_compared(steps: Steps, change: str) -> None:
    """Nobody can say that it is what the result was made from: not verified, and `resume` makes that anew."""
    path = steps.root / "source" / "1.dcm"
    named: dict[str, Any] = {"SOPInstanceUID": "1.2.3.1.1.1", "InstanceNumber": "1"}
    padding = Element(0xFFFCFFFC, "OB", b"\0\0")
    changed = {
        "kept value": instance(WAVEFORM, **named | {"InstanceNumber": "7"}),
        "padding": instance(WAVEFORM, padding, **named),
        "another name": path.read_bytes().replace(b"Doe^Jane", b"Roe^Jane"),
        "another ending": path.read_bytes()[:-2] + b"\1\1",
    }
    path.write_bytes(changed[change])
    os.utime(path, ns=(1, 1))

    assert 0 == steps.verify()
    assert (4, 1) == (steps.report().instances[Outcome.DONE], steps.report().unverified)
    steps.resume()
    assert (4, 0) == (steps.report().instances[Outcome.DONE], steps.report().unverified)


PIXELS: Final = Element(0x7FE00010, "OW", bytes(range(256)) * 400)
LONG: Final = Element(0x54000110, "OB", bytes(range(256)) * 400)


@pytest.mark.parametrize(
    ("extra", "change", "unverified"),
    [
        ((), None, 0),
        ((PIXELS,), None, 0),
        ((LONG, PIXELS), None, 4),
        ((PIXELS,), (b"Doe^Jane", b"Roe^Jane"), 4),
        ((PIXELS,), (bytes(range(256)) * 100, bytes(range(255)) * 100 + bytes(100)), 4),
    ],
    ids=["small", "an image", "much that is no image", "another name", "other pixels"],
)
def test_sources_that_were_copied_are_verified(
    tmp_path: Path, extra: tuple[Element, ...], change: tuple[bytes, bytes] | None, unverified: int
) -> None:
    """Other times of the same bytes tell nothing, as after `cp -r` of a whole project; what changed is noticed."""
    steps = Steps(tmp_path)
    folder = tmp_path / "source"
    folder.mkdir()
    for number in range(4):
        (folder / f"{number}.dcm").write_bytes(instance(*extra, SOPInstanceUID=f"1.2.3.1.1.{number}"))
    steps.plan([DicomIdentifiers("P-1", "1.2.3.1", "", "").orthanc_id(Level.STUDY)])
    steps.edit()
    for path in folder.iterdir():
        if change is not None:
            data = path.read_bytes()
            assert change[0] in data
            path.write_bytes(data.replace(change[0], change[1], 1))
        os.utime(path, ns=(1, 1))

    assert 0 == steps.verify()
    assert (4, unverified) == (steps.report().instances[Outcome.DONE], steps.report().unverified)


def test_persons_who_share_a_patient_id(tmp_path: Path) -> None:
    """Two hospitals, one number: refused by line unless they are said to be one; spelling tells nobody apart."""
    steps = Steps(tmp_path)
    rows = [DicomIdentifiers("P-1", f"1.2.{number}", "", "").orthanc_id(Level.STUDY) for number in (1, 2)]
    folder = tmp_path / "source"
    folder.mkdir()

    def write(number: int, **keywords: Any) -> None:
        uids: dict[str, Any] = {"StudyInstanceUID": f"1.2.{number}", "SOPInstanceUID": f"1.2.{number}.1"}
        (folder / f"{number}.dcm").write_bytes(instance(**uids, **keywords))

    write(1, PatientName="Doe^Jane", PatientBirthDate="19500101", IssuerOfPatientID="A")
    for keywords, named in (
        ({"PatientName": "Doe^Jane", "IssuerOfPatientID": "B"}, "IssuerOfPatientID"),
        ({"PatientName": "Roe^Jane", "IssuerOfPatientID": "A"}, "PatientName"),
        ({"PatientName": "Doe^Jane", "PatientBirthDate": "20100101"}, "PatientBirthDate"),
    ):
        write(2, **keywords)
        with pytest.raises(InvalidInput) as refused:
            steps.plan(rows)
        (problem,) = refused.value.problems
        assert named in problem.text
        assert "allow_merge" in problem.text
        assert (2, 3) == problem.lines
        assert "Doe" not in str(problem)
    key = {"key_file": "pseudonym.key"}
    write(2, PatientName="DOE^JANE^^ =idea", IssuerOfPatientID="a ")
    steps.plan(rows)
    steps.run.close()
    shutil.rmtree(tmp_path / "runs")
    write(2, PatientName="Roe^Jane")
    steps.plan(rows, pseudonyms={**key, "allow_merge": True})


@pytest.mark.parametrize(
    ("patient_id", "differing"), [("P-1", "offset"), ("", "offset"), (None, "Replace.PatientSex")], ids=str
)
def test_rows_of_one_study_are_of_one_patient(tmp_path: Path, patient_id: str | None, differing: str) -> None:
    """Also where the patient has no PatientID; the rows of other studies of such patients may say what they want."""
    folder = tmp_path / "source"
    folder.mkdir()
    for study, series in ((1, 1), (1, 2), (2, 3)):
        uids: dict[str, Any] = {"StudyInstanceUID": f"1.2.{study}", "SeriesInstanceUID": f"1.3.{series}"}
        own = patient_id if study == 1 else patient_id and "P-2"
        data = instance(PatientID=own, SOPInstanceUID=f"1.4.{series}", **uids)
        (folder / str(series)).write_bytes(data)
    levels = [(patient_id or "", "1.2.1", "1.3.1"), (patient_id or "", "1.2.1", "1.3.2")]
    levels.append(("P-2" if patient_id else "", "1.2.2", "1.3.3"))
    values = {"offset": ("-10", "-20", "-30"), "Replace.PatientSex": ("F", "M", "O")}[differing]
    rows = [
        {"orthanc_id": DicomIdentifiers(*names, "").orthanc_id(Level.SERIES), "offset": "-10", differing: value}
        for names, value in zip(levels, values, strict=True)
    ]
    steps = Steps(tmp_path)
    job: dict[str, Any] = {
        "options": None,
        "profile": "ps3.15-2026d",
        "profile_options": ["retain-longitudinal-modified-dates"],
        "dates": {"column": "offset"},
    }
    with pytest.raises(InvalidInput) as refused:
        steps.plan(rows, **job)

    (problem,) = refused.value.problems
    assert "the rows of one patient differ" in problem.text
    assert (2, 3) == problem.lines


def test_a_study_is_moved_to_a_patient_who_exists(tmp_path: Path) -> None:
    """Refused with the word that allows it; allowed, the study is the other patient's, whose own is not touched."""
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "a").write_bytes(instance(PatientID="WRONG", StudyInstanceUID="1.2.1", SOPInstanceUID="1.2.1.1"))
    (folder / "b").write_bytes(instance(PatientID="RIGHT", StudyInstanceUID="1.2.2", SOPInstanceUID="1.2.2.1"))
    row = DicomIdentifiers("WRONG", "1.2.1", "", "").orthanc_id(Level.STUDY)
    job: dict[str, Any] = {
        "operation": "modify",
        "options": {"Replace": {"PatientID": "RIGHT"}, "Keep": ["StudyInstanceUID"], "Force": True},
    }
    steps = Steps(tmp_path)
    with pytest.raises(InvalidInput, match="allow_merge"):
        steps.plan([row], **job)
    steps.plan([row], pseudonyms={"key_file": "pseudonym.key", "allow_merge": True}, **job)
    steps.edit()

    assert 0 == steps.verify()
    assert steps.report().reconciled
    assert [("RIGHT", "1.2.1")] == steps.run.ledger.select("SELECT patient_id, study_instance_uid FROM target")


def test_damaged_files_count_until_they_are_fetched_again(job: Job) -> None:
    """Exit code 1 with a word why; fetched again and resumed it is one more instance; or it is ignored by wish."""
    _write(job.source)
    whole = (job.source / "3.dcm").read_bytes()
    (job.source / "3.dcm").write_bytes(whole[: whole.rindex(b"\x08\0\x18\0UI") + 10])
    (job.source / "notes.txt").write_text("scanned on Tuesday")
    job.write_config()
    job.write_manifest(job.inventory())

    first = job("run", "job.yaml", "--run-id", "r")
    assert 1 == first.code, first.out + first.err
    assert "1 of them damaged" in first.out
    assert f"next:            deidflow resume {first.run_dir}\n" in first.out
    page = (first.run_dir / "report.html").read_text("utf-8")
    assert "damaged" in page
    assert "Everything is accounted for and done" not in page
    ignoring = job("run", "job.yaml", "--run-id", "ignoring", "--set", "source.ignore_damaged=true")
    assert 0 == ignoring.code, ignoring.out + ignoring.err

    (job.source / "3.dcm").write_bytes(whole)
    again = job("resume", first.run_dir)
    assert 0 == again.code, again.out + again.err
    assert 4 == len(instance_lines(first.run_dir))


def test_folders_that_were_moved(job: Job) -> None:
    """A project is renamed as a whole, then its folders by themselves: named anew, it is the same run."""
    project = job.root
    _write(job.source)
    job.write_config()
    job.write_manifest(job.inventory("patient"))
    done = job("run", "job.yaml", "--run-id", "r")
    assert 0 == done.code, done.err
    renamed = project.with_name("renamed")
    project.rename(renamed)
    job.root = renamed
    run_dir = renamed / "runs" / "r"
    assert 0 == job("verify", run_dir).code

    (renamed / "source").rename(renamed / "originals")
    (renamed / "results").rename(renamed / "given")
    away = job("verify", run_dir)
    assert 3 == away.code
    assert "source.folder" in away.err or "destination.folder" in away.err
    (renamed / "other").mkdir()
    assert 2 == job("verify", run_dir, "--set", f"source.folder={renamed / 'other'}").code
    named = job("verify", run_dir, "--set", "source.folder=originals", "--set", "destination.folder=given")
    assert 0 == named.code, named.out + named.err
    assert 0 == job("verify", run_dir).code
    job.write_config(source={"folder": "originals"}, destination={"folder": "given"})
    assert 0 == job("run", "job.yaml", "--run-id", "r").code
    assert 2 == job("resume", run_dir, "--set", "options.Force=true").code


@pytest.mark.parametrize("operation", ["anonymize", "modify"])
@pytest.mark.parametrize("where", ["sequence", "item", "both"])
def test_a_sound_result_of_an_irregular_source_is_right(tmp_path: Path, operation: str, where: str) -> None:
    """Sequences and items that have a length and end with a delimiter all the same: read otherwise, and no fault."""
    content = encode(elements({"ReferencedSOPInstanceUID": "1.2.3.1.1.1"}), EXPLICIT)
    content += END_OF_ITEM if where != "sequence" else b""
    items = struct.pack("<HHL", 0xFFFE, 0xE000, len(content)) + content
    items += END_OF_SEQUENCE if where != "item" else b""
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "odd.dcm").write_bytes(instance(Element(0x00081140, "SQ", items)))
    steps = Steps(tmp_path)
    options = {"DicomVersion": "2023b"} if operation == "anonymize" else {"Replace": {"StudyDescription": "X"}}
    steps.plan([PATIENT], operation=operation, options=options)
    steps.edit()

    assert 0 == steps.verify()
    assert steps.report().reconciled
