"""Night after night: what earlier runs have done is left out, and what does not fit them is not delivered."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import stat
import struct
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from deidflow.flows.answers.run import run_answer
from deidflow.flows.commands.export import export_run
from deidflow.flows.commands.plan import show_plan
from deidflow.flows.commands.run import resume_run, run_config
from deidflow.flows.commands.withdraw import withdraw_run
from deidflow.tasks.core.config.pixel_rules.sources import builtin_text, risks_text
from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers, Level
from deidflow.tasks.core.errors import InvalidInput, Unusable
from deidflow.tasks.core.files.locks import LOCK_FILE
from deidflow.tasks.core.ledger.run_facts import read_facts
from deidflow.tasks.core.ledger.state.before import DoneBefore, count_done_before
from deidflow.tasks.core.ledger.state.pairs import pairs_of_runs
from deidflow.tasks.core.ledger.state.state import State
from deidflow.tasks.core.ledger.state.withdrawals import withdrawn_results
from deidflow.tasks.core.outcomes import Outcome
from deidflow.tasks.core.report.reconciliation import row_results
from deidflow.tasks.core.report.totals import totals_of
from deidflow.tasks.steps.access.choice import store_of
from deidflow.tasks.steps.plan import prepare
from deidflow.tasks.steps.publish import note_complete
from deidflow.tasks.steps.replaced_results import delivered_elsewhere
from deidflow.tasks.steps.run.earlier import hold_config, synced_state, where_of
from deidflow.tasks.steps.run.progress import make_progress
from deidflow.tasks.steps.run.run import open_run
from deidflow.tasks.steps.run.settings import load_config
from deidflow.tasks.steps.withdraw import Withdrawn, withdraw_results
from tests.dicom_files import instance
from tests.jobs import files_of, read_csv
from tests.steps.steps import Steps

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

SUBJECTS = {"DicomVersion": "2023b", "Replace": {"PatientID": "{subject}"}, "Force": True}


class Nights(Steps):
    """Runs of one config, one after the other."""

    def put(self, patient: str, study: str, *numbers: int, **elements: str) -> None:
        """Put instances of a study into the source."""
        (self.root / "source").mkdir(exist_ok=True)
        for number in numbers:
            uid = f"1.2.{study}"
            names: dict[str, Any] = {"StudyInstanceUID": uid, "SeriesInstanceUID": f"{uid}.1", **elements}
            content = instance(PatientID=patient, SOPInstanceUID=f"{uid}.1.{number}", **names)
            (self.root / "source" / f"{patient}-{study}-{number}.dcm").write_bytes(content)

    def night(self, rows: Sequence[str | Mapping[str, str]], run_id: str, **changes: Any) -> list[tuple[str, int, int]]:
        """Do a whole run; return outcome, instances expected and done of each row."""
        self.plan(rows, run_id=run_id, **({"incremental": True} | changes))
        try:
            self.edit()
            self.verify()
            self.report()
            return [(one.outcome, one.instances_expected, one.instances_done) for one in row_results(self.run.ledger)]
        finally:
            self.run.close()

    def refusal(self, rows: Sequence[str | Mapping[str, str]], **changes: Any) -> str:
        """Return why a plan is not made."""
        with pytest.raises(InvalidInput) as caught:
            self.plan(rows, run_id="refused", **({"incremental": True} | changes))
        assert not (self.root / "runs" / "refused").exists()
        return "\n".join(map(str, caught.value.problems))


@pytest.fixture
def nights(tmp_path: Path) -> Nights:
    """A source with two patients, and one run over both."""
    made = Nights(tmp_path)
    made.put("A", "1", 1, 2)
    made.put("B", "2", 1)
    return made


def study(patient: str, number: str) -> str:
    """Return the identifier of a study."""
    return DicomIdentifiers(patient, f"1.2.{number}", "", "").orthanc_id(Level.STUDY)


def rows(*studies: tuple[str, str], **subjects: str) -> list[dict[str, str]]:
    """Return manifest rows."""
    return [{"orthanc_id": study(*one), **({"subject": subjects[one[0]]} if subjects else {})} for one in studies]


YEAR_2400_NS = 13_569_465_600 * 10**9
SITE_RULE = "rules: [{name: none, when: {Modality: US}, refuse: true}]\n"
DONE = Outcome.DONE


def test_only_what_is_new_is_done_and_lands_where_the_old_is(nights: Nights) -> None:
    """New studies, and new instances of known ones; everything together is what one run over all of it gives."""
    both = rows(("A", "1"), ("B", "2"))
    assert [(DONE, 2, 2), (DONE, 1, 1)] == nights.night(both, "n1")
    nights.put("A", "1", 3)
    nights.put("A", "3", 1)
    more = [*both, *rows(("A", "3"))]
    assert [(DONE, 3, 3), (DONE, 1, 1), (DONE, 1, 1)] == nights.night(more, "n2")
    reconciliation = read_csv(nights.root / "runs" / "n2" / "reconciliation.csv")
    crosswalk = read_csv(nights.root / "runs" / "n2" / "crosswalk.csv")

    assert 2 == len([row for row in crosswalk if row["level"] == "instance"])
    assert ["1", "0", "1"] == [row["attempts"] for row in reconciliation]
    assert all(row["new_orthanc_id"] for row in reconciliation)
    assert [(DONE, 3, 3), (DONE, 1, 1), (DONE, 1, 1)] == nights.night(more, "n3")
    assert [] == read_csv(nights.root / "runs" / "n3" / "crosswalk.csv")
    results = files_of(nights.root / "results")
    of_scope = {"key_file": "pseudonym.key", "scope": "steps"}
    nights.night(more, "again", name="again", destination={"folder": "again"}, pseudonyms=of_scope)
    assert results == files_of(nights.root / "again")


def test_what_was_not_done_is_tried_again(nights: Nights) -> None:
    """A row that was not found, and a result that nobody verified, are not done."""
    both = rows(("A", "1"), ("C", "9"))
    assert [(DONE, 2, 2), (Outcome.NOT_FOUND, 0, 0)] == nights.night(both, "n1")
    nights.put("C", "9", 1)
    assert [(DONE, 2, 2), (DONE, 1, 1)] == nights.night(both, "n2")
    nights.plan(rows(("B", "2")), run_id="n3", incremental=True)
    nights.edit()
    nights.run.close()  # killed before anything was verified
    assert [(DONE, 1, 1)] == nights.night(rows(("B", "2")), "n4")
    assert 1 == len([row for row in read_csv(nights.root / "runs/n4/crosswalk.csv") if row["level"] == "instance"])


def test_a_row_whose_source_is_gone_was_done(nights: Nights) -> None:
    """Sources that were moved away, or deleted since they were delivered, do not make a row unknown."""
    nights.night(rows(("A", "1")), "n1")
    for path in (nights.root / "source").glob("A-*"):
        path.unlink()
    patient = DicomIdentifiers("A", "", "", "").orthanc_id(Level.PATIENT)
    assert [(DONE, 2, 2)] == nights.night(rows(("A", "1")), "n2")
    assert [(DONE, 2, 2)] == nights.night([patient], "n3")


def test_all_results_of_a_night_were_deleted(nights: Nights) -> None:
    """Verifying its run says so, since the folder holds those of other nights, and the next night makes them again."""
    results = nights.root / "results"
    nights.night(rows(("A", "1")), "n1")
    first = {path.name for path in results.iterdir()}
    nights.night(rows(("A", "1"), ("B", "2")), "n2")
    before = files_of(results)
    for path in results.iterdir():
        if path.name not in first:
            shutil.rmtree(path)
    nights.run = open_run(nights.root / "runs" / "n2")
    try:
        assert 1 == nights.verify(again=True)
    finally:
        nights.run.close()
    assert [(DONE, 2, 2), (DONE, 1, 1)] == nights.night(rows(("A", "1"), ("B", "2")), "n3")
    assert before == files_of(results)


def test_a_source_that_has_changed_since_is_told(nights: Nights) -> None:
    """It fails each night until the result is replaced; one that was only copied anew, or moved, is done.

    Whatever year a share gives a file: nanoseconds of a ledger end in 2262.
    """
    both = rows(("A", "1"), ("B", "2"))
    source = nights.root / "source"
    os.utime(source / "B-2-1.dcm", ns=(0, YEAR_2400_NS))
    nights.night(both, "n1")
    before = files_of(nights.root / "results")
    nights.put("A", "1", 1, Modality="MR")
    os.utime(source / "A-1-2.dcm", ns=(5, 5))
    (source / "B-2-1.dcm").rename(source / "moved")

    for night in ("n2", "n3"):
        assert [(Outcome.FAILED, 2, 1), (DONE, 1, 1)] == nights.night(both, night)
    assert before == files_of(nights.root / "results")
    first, _ = read_csv(nights.root / "runs/n3/reconciliation.csv")
    assert first["reason"].startswith("destination-conflict")
    summaries = [json.loads((nights.root / f"runs/{night}/summary.json").read_text()) for night in ("n2", "n3")]
    assert [2, 1] == [summary["changed_before"] for summary in summaries]
    ended = open_run(nights.root / "runs" / "n3")
    said = [*run_answer(totals_of(ended.ledger), ended.folder).lines()]
    ended.close()
    assert "changed since:   1 instance, planned again" in said
    over = {"folder": "results", "overwrite": True}
    assert [(DONE, 2, 2), (DONE, 1, 1)] == nights.night(both, "n4", destination=over)
    after = files_of(nights.root / "results")
    assert 1 == sum(before[name] != after[name] for name in before)
    assert [(DONE, 2, 2), (DONE, 1, 1)] == nights.night(both, "n5")
    assert after == files_of(nights.root / "results")


def test_verifying_an_older_run_leaves_what_a_later_one_put_there(nights: Nights) -> None:
    """It says which run replaced a result; what nobody vouches for goes."""
    nights.night(rows(("A", "1")), "n1")
    before = files_of(nights.root / "results")
    nights.put("A", "1", 1, Modality="MR")
    nights.night(rows(("A", "1")), "n2", destination={"folder": "results", "overwrite": True})
    results = files_of(nights.root / "results")

    assert 1 == verified(nights, "n1")
    assert results == files_of(nights.root / "results")
    said = sorted(
        row["reason"] for row in read_csv(nights.root / "runs/n1/crosswalk.csv") if row["level"] == "instance"
    )
    assert ["", "result-differs: the run n2 has replaced it since, and vouches for it"] == said
    assert 0 == verified(nights, "n2")
    (replaced,) = (name for name in results if results[name] != before[name])
    path = nights.root / "results" / replaced
    path.write_bytes(path.read_bytes() + bytes(2))
    assert 1 == verified(nights, "n2")
    assert not path.exists()


def test_verifying_takes_nothing_out_while_a_run_writes_there(nights: Nights) -> None:
    """What is not the run's own may be what the other has just written; what is right is verified all the same."""
    nights.night(rows(("A", "1")), "n1")
    with store_of(nights.run.config).locked():
        assert 0 == verified(nights, "n1")
        path = min((nights.root / "results").rglob("*.dcm"))
        path.write_bytes(path.read_bytes() + bytes(2))
        with pytest.raises(Unusable, match="is in use"):
            verified(nights, "n1")
        nights.run.close()
        assert path.exists()

    assert 1 == verified(nights, "n1")
    assert not path.exists()


def verified(nights: Nights, run_id: str) -> int:
    """Read the results of a run back, and write its report; return how many are wrong."""
    nights.run = open_run(nights.root / "runs" / run_id)
    wrong = nights.verify(again=True)
    nights.report()
    nights.run.close()
    return wrong


def test_a_second_file_that_claims_to_be_what_was_done_fails(nights: Nights) -> None:
    """As in a first run, although the file that was done is as it was."""
    nights.night(rows(("A", "1")), "n1")
    source = nights.root / "source"
    other = (source / "A-1-1.dcm").read_bytes() + struct.pack("<HH2sHL", 0x7FE1, 0x10, b"OB", 0, 4) + bytes(4)
    (source / "z-other.dcm").write_bytes(other)

    assert [(Outcome.FAILED, 2, 1)] == nights.night(rows(("A", "1")), "n2")
    assert read_csv(nights.root / "runs/n2/reconciliation.csv")[0]["reason"].startswith("ambiguous-source")


def test_a_state_of_before_sources_were_noted_is_taken_over(nights: Nights) -> None:
    """What it knows of run folders that are gone stands nowhere else; of others it learns what it lacks."""
    moved: dict[str, Any] = {"profile_options": ["retain-longitudinal-modified-dates"], "dates": {"column": "days"}}
    moved |= {"options": {}, "incremental": True}
    old, other, new = ({**row, "days": "-10"} for row in rows(("A", "1"), ("B", "2"), ("A", "3")))
    nights.night([old], "n1", **moved)
    nights.night([old, other], "n2", **moved)
    path = nights.root / "runs" / "steps.state.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        for column in ("size", "version"):
            connection.execute(f"ALTER TABLE delivered DROP COLUMN {column}")
        connection.execute("ALTER TABLE pair DROP COLUMN shift")
        connection.execute("PRAGMA user_version = 1")
        connection.commit()
    shutil.rmtree(nights.root / "runs" / "n1")
    for name in ("A-1-1.dcm", "B-2-1.dcm"):
        os.utime(nights.root / "source" / name, ns=(5, 5))
    nights.put("A", "3", 1)

    nights.plan([old, other], run_id="n3", **moved)

    assert DoneBefore(1, 2) == count_done_before(nights.run.ledger)
    nights.run.close()
    nights.plan([new], run_id="n4", **moved)  # the days that the column gave in n1 are not known any more


def test_a_state_that_two_processes_take_over_at_once_stays(nights: Nights) -> None:
    """The later one finds it taken over, and does not take it for damaged."""
    nights.night(rows(("A", "1")), "n1")
    path = nights.root / "runs" / "steps.state.db"
    config = load_config(nights.root / "job.yaml", ())
    with synced_state(config, where_of(config, "")):
        pass
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other, ThreadPoolExecutor() as pool:
        other.execute("ALTER TABLE pair DROP COLUMN shift")
        other.execute("PRAGMA user_version = 2")
        other.execute("BEGIN IMMEDIATE")
        late = pool.submit(lambda: list(State(path).runs()))
        time.sleep(0.1)
        other.execute("ALTER TABLE pair ADD COLUMN shift INTEGER")
        other.execute("PRAGMA user_version = 3")
        other.execute("COMMIT")

        assert ["n1"] == late.result()


def test_what_another_version_wrote_is_named_and_stays(nights: Nights) -> None:
    """A ledger by its own name, also where `plan` looks at a copy; the remedy works. A later state is not made anew."""
    nights.night(rows(("A", "1")), "n1")
    nights.night(rows(("A", "1"), ("B", "2")), "n2")
    runs = nights.root / "runs"
    state = runs / "steps.state.db"
    with contextlib.closing(sqlite3.connect(state)) as connection:
        connection.execute("PRAGMA user_version = 99")
    before = state.read_bytes()
    assert "steps.state.db beside the run folders was written by a later version" in nights.refusal(rows(("A", "1")))
    assert before == state.read_bytes()
    state.unlink()
    with contextlib.closing(sqlite3.connect(runs / "n1" / "ledger.db")) as connection, connection:
        connection.execute("UPDATE meta SET value = '2' WHERE key = 'schema'")
    config = load_config(nights.root / "job.yaml", ())
    where = where_of(config, "")
    for keeps in (True, False):
        with pytest.raises(InvalidInput) as caught, synced_state(config, where, keeps=keeps, strict=True):
            pass
        assert str(caught.value).startswith(f"{runs / 'n1' / 'ledger.db'} was written by another build of deidflow")
        assert "move its folder out of report.runs_dir" in str(caught.value)
    (runs / "n1").rename(nights.root / "earlier")

    assert [(DONE, 2, 2), (DONE, 1, 1)] == nights.night(rows(("A", "1"), ("B", "2")), "n3")


def test_a_link_in_the_place_of_the_state_is_refused(nights: Nights) -> None:
    """What it leads to keeps its content and its permissions."""
    nights.night(rows(("A", "1")), "n1")
    nights.night(rows(("A", "1")), "n2")
    state, other = nights.root / "runs" / "steps.state.db", nights.root / "program"
    other.write_text("somebody's")
    other.chmod(0o755)
    state.unlink()
    state.symlink_to(other)

    assert "must be a file of its own, not a link" in nights.refusal(rows(("A", "1")))
    assert ("somebody's", 0o755) == (other.read_text(), other.stat().st_mode & 0o777)


def test_the_state_is_made_again_from_the_run_folders(nights: Nights) -> None:
    """Lost or damaged: nothing depends on it, and only its owner can read it."""
    both = rows(("A", "1"), ("B", "2"))
    nights.night(both[:1], "n1")
    nights.night(both, "n2")
    path = nights.root / "runs" / "steps.state.db"
    for number, content in enumerate((b"", b"no database", path.read_bytes()[:3000], None)):
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_bytes(content)
        nights.plan(both, run_id=f"again{number}", incremental=True)
        assert DoneBefore(2, 3) == count_done_before(nights.run.ledger)
        nights.run.close()
        assert 0o600 == stat.S_IMODE(path.stat().st_mode)


def test_a_damaged_ledger_is_told_as_such(nights: Nights) -> None:
    """Not as of a run that is under way, for which nobody need wait; once it is away, the state knows what it did."""
    nights.night(rows(("A", "1")), "steps-1")
    nights.night(rows(("A", "1")), "steps-2")
    ledger = nights.root / "runs" / "steps-1" / "ledger.db"
    ledger.write_bytes(ledger.read_bytes()[:5000])
    assert "ledger.db is damaged or cannot be read; restore it" in nights.refusal(rows(("A", "1")))
    shutil.rmtree(ledger.parent)
    ledger.parent.mkdir()
    ledger.symlink_to(ledger.name)  # as that of another user is, also for root
    assert "steps-1/ledger.db cannot be read: " in nights.refusal(rows(("A", "1")))
    others = "steps-chest-20260131T000000Z-9c22"  # of a config of that name
    ledger.parent.rename(nights.root / "runs" / others)
    nights.plan(rows(("A", "1")), run_id="n2", incremental=True)
    nights.run.close()
    (nights.root / "runs" / others).rename(ledger.parent)
    config = load_config(nights.root / "job.yaml", ("incremental=false",))
    with pytest.raises(InvalidInput), synced_state(config, where_of(config, ""), strict=True):
        pass  # the crosswalk of all runs would lack one
    for run_id in ("steps-1", "steps-2", "n2"):
        shutil.rmtree(nights.root / "runs" / run_id)
    nights.plan(rows(("A", "1")), run_id="n3", incremental=True)
    assert DoneBefore(1, 2) == count_done_before(nights.run.ledger)


def test_a_look_at_a_run_of_this_process_does_not_let_others_in(nights: Nights) -> None:
    """As in a pipeline that works on two runs in two threads: to close a file drops the process's locks on it."""
    nights.plan(rows(("A", "1")), run_id="n1")
    held = nights.run
    nights.plan(rows(("B", "2")), run_id="n2")
    nights.run.close()
    look = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('SELECT * FROM meta')"
    command = [sys.executable, "-c", look, str(held.ledger.path)]
    other = subprocess.run(command, check=False, capture_output=True, text=True)
    held.close()
    assert "database is locked" in other.stderr


def test_another_patient_under_an_old_number_is_an_error_of_its_row(nights: Nights) -> None:
    """Across runs as within one, incremental or not; so is another number for a known patient, with the way out."""
    nights.night(rows(("A", "1"), A="S1"), "n1", options=SUBJECTS)
    taken = ""
    for incremental in (True, False):
        taken = nights.refusal(rows(("B", "2"), B="S1"), options=SUBJECTS, incremental=incremental)
        assert "line 2, column PatientID: the run n1 gave the same PatientID to another patient" in taken
    (nights.root / "alias").symlink_to("results")
    assert taken == nights.refusal(rows(("B", "2"), B="S1"), options=SUBJECTS, destination={"folder": "alias"})
    nights.put("A", "3", 1)
    renamed = nights.refusal(rows(("A", "3"), A="S9"), options=SUBJECTS)
    assert "gave the patient another PatientID" in renamed
    assert "deidflow withdraw" in renamed
    assert not any(value in taken + renamed for value in ("S1", "S9", "1.2.3"))
    merging = {"key_file": "pseudonym.key", "allow_merge": True}
    assert [(DONE, 1, 1)] == nights.night(rows(("B", "2"), B="S1"), "n2", options=SUBJECTS, pseudonyms=merging)


def test_a_known_patient_keeps_the_days_of_its_dates(nights: Nights) -> None:
    """Intervals between the studies of all runs stay true; all that a patient has can be moved otherwise at once."""
    both = {"profile_options": ["retain-longitudinal-modified-dates"], "options": {}, "dates": {"column": "days"}}
    nights.put("A", "3", 1)

    def shifted(days: str, *numbers: str) -> list[dict[str, str]]:
        return [{**row, "days": days} for row in rows(*(("A", number) for number in numbers))]

    nights.night(shifted("-10", "1"), "n1", **both)
    for incremental in (True, False):
        refused = nights.refusal(shifted("-20", "3"), **both, incremental=incremental)
        assert "line 2: the run n1 moved the patient's dates otherwise; let dates say the same as then" in refused
    assert "line 3: the run n1" in nights.refusal(shifted("-20", "1", "3"), **both, incremental=False)
    assert [(DONE, 1, 1)] == nights.night(shifted("-10", "3"), "n2", **both)
    again = {**both, "destination": {"folder": "results", "overwrite": True}}
    nights.redo = True
    assert "the run n2 moved the patient's dates" in nights.refusal(shifted("-20", "1"), **again)
    assert [(DONE, 2, 2), (DONE, 1, 1)] == nights.night(shifted("-20", "1", "3"), "n3", **again)
    nights.redo = False
    nights.put("A", "4", 1)
    assert "the run n3 moved the patient's dates" in nights.refusal(shifted("-10", "4"), **both)
    keyed = {**both, "incremental": False, "dates": {}}
    assert "the run n3 moved the patient's dates" in nights.refusal(shifted("0", "4"), **keyed)
    assert [(DONE, 1, 1)] == nights.night(shifted("-20", "4"), "n4", **both)


def test_a_known_patient_keeps_the_keyed_days_of_its_dates(nights: Nights) -> None:
    """A column, or other bounds, would give other days; without moved dates there is nothing to keep."""
    keyed: dict[str, Any] = {"profile_options": ["retain-longitudinal-modified-dates"], "options": {}}
    keyed["incremental"] = False
    nights.put("A", "3", 1)
    nights.night(rows(("A", "1")), "n1", **keyed)
    (row,) = rows(("A", "3"))
    for dates in ({"column": "days"}, {"shift_days": [1, 100]}, {"whole_weeks": True}):
        refused = nights.refusal([{**row, "days": "-10"}], **keyed, dates=dates)
        assert "line 2: the run n1 moved the patient's dates otherwise" in refused
    assert [(DONE, 1, 1)] == nights.night([row], "n2", **keyed, dates={"shift_days": [1, 3650]})
    (other,) = rows(("B", "2"))
    assert [(DONE, 1, 1)] == nights.night([{**other, "days": "-10"}], "n3", **keyed, dates={"column": "days"})


def test_a_result_of_an_earlier_night_is_no_source(nights: Nights) -> None:
    """As where results go to the server of their originals, and the next inventory lists them."""
    one = rows(("A", "1"))
    nights.night(one, "n1")
    made = next(path for path in (nights.root / "results").rglob("*") if path.is_file())
    shutil.copy(made, nights.root / "source" / "made.dcm")
    patients = [row for row in read_csv(nights.root / "runs/n1/crosswalk.csv") if row["level"] == "study"]

    refused = nights.refusal([*one, *({"orthanc_id": row["new_orthanc_id"]} for row in patients)])
    assert "line 3: must hold originals, not results of the run n1; take the row out" in refused


def test_with_skip_invalid_everything_else_is_done(nights: Nights) -> None:
    """As the flag, and as the key of the config."""
    nights.night(rows(("A", "1"), A="S1"), "n1", options=SUBJECTS)
    mixed = [*rows(("A", "1"), A="S1"), *rows(("B", "2"), B="S1")]
    nights.put("C", "4", 1)
    mixed += rows(("C", "4"), C="S3")
    done = nights.night(mixed, "n2", options=SUBJECTS, skip_invalid=True)

    assert [(DONE, 2, 2), (Outcome.INVALID, 0, 0), (DONE, 1, 1)] == done
    config = load_config(nights.root / "job.yaml", ["skip_invalid=true", "name=other"])
    with make_progress(quiet=True) as progress:
        prepared = prepare(config, progress)
    prepared.ledger.close()
    assert [2, 3] == sorted({line for problem in prepared.set_aside for line in problem.lines})


def test_rules_of_another_release_make_nothing_anew(nights: Nights, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of rules about pixels only the site's own count: with those of deidflow a release would end every night."""
    (nights.root / "site.yaml").write_text(SITE_RULE)
    config: dict[str, Any] = {
        "profile": "ps3.15-2026d",
        "options": {},
        "profile_options": ["clean-pixel-data"],
        "pixels": {"rules": ["builtin", "site.yaml"]},
    }
    assert [(DONE, 2, 2)] == nights.night(rows(("A", "1")), "n1", **config)
    for name, text in (("builtin_text", builtin_text()), ("risks_text", risks_text())):
        other = text._replace(text=f"{text.text}\n# another release\n")
        monkeypatch.setattr(f"deidflow.tasks.steps.run.site_rules.{name}", lambda other=other: other)
    assert [(DONE, 2, 2), (DONE, 1, 1)] == nights.night(rows(("A", "1"), ("B", "2")), "n2", **config)
    assert 3 == len(files_of(nights.root / "results"))

    (nights.root / "site.yaml").write_text(f"{SITE_RULE}# of the site\n")
    assert "pixels: must be as in the earlier run n2" in nights.refusal(rows(("A", "1")), **config)


def test_changed_options_are_an_error_that_shows_the_way_out(nights: Nights) -> None:
    """--redo does such rows again where results keep their names and may be overwritten; nothing else does."""
    described = {"DicomVersion": "2023b", "Replace": {"StudyDescription": "{text}"}}
    first = [{"orthanc_id": study("A", "1"), "text": "one"}, {"orthanc_id": study("B", "2"), "text": "two"}]
    nights.night(first, "n1", options=described)
    changed = [{**first[0], "text": "other"}, first[1]]
    refused = nights.refusal(changed, options=described)

    assert "line 2: its effective options have changed since the run n1 did it (line 2)" in refused
    assert "--redo" in refused
    assert "withdraw" in refused
    over = {"folder": "results", "overwrite": True}
    before = files_of(nights.root / "results")
    assert refused == nights.refusal(changed, options=described, destination=over)
    config = load_config(nights.root / "job.yaml")
    with store_of(config).locked(), pytest.raises(Unusable, match="is in use"):  # which is all that is in its way
        run(nights, "locked", redo=True)
    nights.redo = True
    assert [(DONE, 2, 2), (DONE, 1, 1)] == nights.night(changed, "n2", options=described, destination=over)
    nights.redo = False
    after = files_of(nights.root / "results")
    assert (before.keys(), 2) == (after.keys(), sum(before[name] != after[name] for name in before))
    assert [(DONE, 2, 2), (DONE, 1, 1)] == nights.night(changed, "n3", options=described)
    numbers = nights.refusal([{"orthanc_id": study("A", "1"), "subject": "S1"}], options=SUBJECTS)
    assert "--redo" not in numbers


def test_another_profile_or_key_is_an_error_of_the_config(nights: Nights) -> None:
    """It says which key of the config differs, and from which run."""
    nights.night(rows(("A", "1")), "n1", hardening=True)
    assert "hardening" in nights.refusal(rows(("A", "1")), hardening=False)
    (nights.root / "other.key").touch(0o600)
    (nights.root / "other.key").write_text("ab" * 32)
    refused = nights.refusal(rows(("A", "1")), pseudonyms={"key_file": "other.key"})
    assert "pseudonyms (the key): must be as in the earlier run n1" in refused


def test_another_key_never_stands_beside_the_first(nights: Nights) -> None:
    """Without increments and in another config, too; modify, another scope and a folder without results are free."""
    (nights.root / "other.key").touch(0o600)
    (nights.root / "other.key").write_text("ab" * 32)
    more, other = rows(("B", "2")), {"key_file": "other.key", "scope": "steps"}
    nights.night(rows(("A", "1")), "n1")

    for changes in ({}, {"name": "another"}):
        refused = nights.refusal(more, incremental=False, pseudonyms=other, **changes)
        assert "pseudonyms (the key): must be that of the earlier run n1" in refused
        assert "another pseudonyms.scope" in refused
    assert [(DONE, 1, 1)] == nights.night(
        more, "m", incremental=False, pseudonyms=other, operation="modify", options={}
    )
    for run_id in ("s1", "s2"):  # the second finds a run of its scope, and those with the first key beside it
        assert [(DONE, 1, 1)] == nights.night(more, run_id, incremental=False, pseudonyms={**other, "scope": "t"})
    assert [(DONE, 2, 2)] == nights.night(rows(("A", "1")), "n1-again", incremental=False)
    by_row = [{**one, "operation": "anonymize"} for one in more]  # in a config that modifies
    modifies: dict[str, Any] = {"operation": "modify", "options": {"DicomVersion": "2023b"}, "incremental": False}
    for keys, said in ((other, "must be that of the earlier run n1"), (None, "must name a key")):
        assert said in nights.refusal(by_row, pseudonyms=keys, **modifies)
    shutil.rmtree(nights.root / "results")
    assert [(DONE, 1, 1)] == nights.night(more, "n2", incremental=False, pseudonyms=other)


@pytest.mark.parametrize("incremental", [True, False])
def test_a_second_run_without_a_key_is_refused(nights: Nights, *, incremental: bool) -> None:
    """Every patient would be there twice; also when the first run's folder is elsewhere."""
    nights.night(rows(("A", "1")), "n1")
    text = "must name a key: the destination holds results of an earlier run"
    assert text in nights.refusal(rows(("B", "2")), pseudonyms=None, incremental=incremental)
    elsewhere = {"runs_dir": "elsewhere"}
    assert text in nights.refusal(rows(("B", "2")), pseudonyms=None, report=elsewhere, incremental=incremental)


def test_a_study_under_two_patient_ids_fails_by_line(nights: Nights) -> None:
    """Within a run, and when a correction came between two; with allow_merge it is done."""
    nights.put("X", "7", 1)
    nights.put("Y", "7", 2)
    both = rows(("X", "7"), ("Y", "7"), ("A", "1"))
    assert [(Outcome.FAILED, 1, 0), (Outcome.FAILED, 1, 0), (DONE, 2, 2)] == nights.night(both, "n1")
    failures = read_csv(nights.root / "runs" / "n1" / "reconciliation.csv")[:2]
    said = "split-study: its StudyInstanceUID stands under two PatientIDs (lines 2, 3)"
    assert all(said in row["reason"] for row in failures)
    assert not any("1.2.7" in row["reason"] for row in failures)
    for path in (nights.root / "source").glob("A-*"):
        path.unlink()
    nights.put("A2", "1", 1, 2)
    assert [(Outcome.FAILED, 2, 0)] == nights.night(rows(("A2", "1")), "n2")
    assert "(run n1)" in read_csv(nights.root / "runs" / "n2" / "reconciliation.csv")[0]["reason"]
    merging = {"key_file": "pseudonym.key", "allow_merge": True}
    assert [(DONE, 1, 1), (DONE, 1, 1)] == nights.night(both[:2], "n3", pseudonyms=merging)


def test_two_runs_of_one_config_never_overlap(nights: Nights) -> None:
    """The second ends at once, whatever its destination; a config that is not incremental may run as before."""
    nights.night(rows(("A", "1")), "n1")
    config = load_config(nights.root / "job.yaml")
    ended = open_run(nights.root / "runs" / "n1")
    note_complete(ended)
    ended.close()
    before = files_of(nights.root / "results")
    commands: tuple[Callable[[], int], ...] = (
        lambda: run(nights, "n2"),
        lambda: withdraw_run(nights.root / "runs" / "n1", ()),
        lambda: resume_run(nights.root / "runs" / "n1"),
    )
    with hold_config(config):
        for second in commands:
            with pytest.raises(Unusable, match="the config steps is in use by another deidflow run"):
                second()
        assert before == files_of(nights.root / "results")
        plain = load_config(nights.root / "job.yaml", ["incremental=false"])
        with hold_config(plain):
            pass
    with hold_config(config):
        pass


def run(nights: Nights, run_id: str, *, skip_invalid: bool = False, redo: bool = False) -> int:
    """Do what the command does of that name: in this process, where earlier runs have left nothing for Prefect."""
    path = nights.root / "job.yaml"
    return run_config(path, (), manifest=None, run_id=run_id, runs_dir=None, skip_invalid=skip_invalid, redo=redo)


def test_a_night_with_nothing_to_do_is_a_finished_run(nights: Nights, capsys: pytest.CaptureFixture[str]) -> None:
    """It says so, and what was set aside; it can be exported, and run again."""
    good = rows(("A", "1"))
    nights.night(good, "n1")
    nights.plan([*good, {"orthanc_id": "none"}], run_id="n2", skip_invalid=True, incremental=True)
    nights.run.close()

    assert 1 == run(nights, "n3", skip_invalid=True)
    said = capsys.readouterr()
    assert said.out.startswith("nothing to do: earlier runs have done all that can be done now\n")
    assert " by earlier runs, 1 row in full\n" in said.out
    assert "set aside: " in said.err
    export_run(nights.root / "runs" / "n3", nights.root / "packed", (), crosswalk=False)
    assert "exported:  0 instances" in capsys.readouterr().out


def test_a_run_whose_folders_have_other_names_is_the_same(nights: Nights) -> None:
    """Named again with its source renamed, and the config with it, it has nothing left to do."""
    good = rows(("A", "1"))
    nights.night(good, "n1")
    ended = open_run(nights.root / "runs" / "n1")
    note_complete(ended)
    ended.close()
    (nights.root / "source").rename(nights.root / "originals")
    path = nights.root / "job.yaml"
    path.write_text(path.read_text().replace('"folder": "source"', '"folder": "originals"'))
    before = files_of(nights.root / "results")

    assert 0 == run(nights, "n1")
    assert before == files_of(nights.root / "results")


def test_a_preview_writes_nothing(nights: Nights) -> None:
    """`plan` reads the runs into a copy of the state that it throws away."""
    nights.night(rows(("A", "1")), "n1")
    nights.night(rows(("B", "2")), "n2")
    before = files_of(nights.root / "runs")
    config = load_config(nights.root / "job.yaml")
    where = where_of(config, "")
    with synced_state(config, where, keeps=False) as state:
        assert state is not None
        assert {"n1", "n2"} == set(state.runs())
    show_plan(
        nights.root / "job.yaml",
        (),
        manifest=None,
        run_id=None,
        runs_dir=None,
        skip_invalid=False,
        redo=False,
        diff=None,
        show_values=False,
    )
    assert before == files_of(nights.root / "runs")


def withdrawn(nights: Nights, run_id: str, *lines: int) -> Withdrawn:
    """Take results of a run back."""
    run = open_run(nights.root / "runs" / run_id)
    try:
        with make_progress(quiet=True) as progress:
            return withdraw_results(run, lines, progress)
    finally:
        run.close()


def test_what_was_taken_back_is_not_there_and_not_done(nights: Nights) -> None:
    """A row, or a whole run; resume does not make it again, a new run with the row does, under a corrected number."""
    both = rows(("A", "1"), ("B", "2"), A="S1", B="S2")
    nights.night(both, "n1", options=SUBJECTS)
    before = files_of(nights.root / "results")
    assert Withdrawn(2, 0, 0) == withdrawn(nights, "n1", 2)
    assert Withdrawn(0, 0, 0) == withdrawn(nights, "n1", 2)
    left = files_of(nights.root / "results")

    assert 1 == len(left)
    assert left.items() <= before.items()
    nights.run = open_run(nights.root / "runs" / "n1")
    nights.resume()
    assert [(Outcome.CANCELLED, 0), (DONE, 1)] == [
        (one.outcome, one.instances_done) for one in row_results(nights.run.ledger)
    ]
    assert "withdrawn" in str(next(row_results(nights.run.ledger)).reason)
    nights.run.close()
    assert left == files_of(nights.root / "results")
    corrected = rows(("A", "1"), ("B", "2"), A="S9", B="S2")
    assert [(DONE, 2, 2), (DONE, 1, 1)] == nights.night(corrected, "n2", options=SUBJECTS)
    assert 3 == len(files_of(nights.root / "results"))
    assert Withdrawn(1, 0, 0) == withdrawn(nights, "n1")


def test_what_another_run_delivered_too_is_named(nights: Nights) -> None:
    """The same results count as done there, so that no new run would make them again."""
    nights.night(rows(("A", "1")), "n1", incremental=False)
    nights.night(rows(("B", "2"), ("A", "1")), "n2", incremental=False)
    withdrawn(nights, "n2")
    run = open_run(nights.root / "runs" / "n2")
    results = withdrawn_results(run.ledger, ())
    assert [2, 3, 3] == sorted(results.values())
    assert {3} == {results[name] for name in delivered_elsewhere(run, results)}
    run.close()
    withdrawn(nights, "n1")
    assert [(DONE, 2, 2)] == nights.night(rows(("A", "1")), "n3")
    assert 2 == len(files_of(nights.root / "results"))


def test_what_was_taken_back_needs_no_source(nights: Nights) -> None:
    """With KeepSource: false the originals are gone; resume has nothing to do, and does not ask for them."""
    options = {**SUBJECTS, "KeepSource": False}
    nights.night(rows(("A", "1"), ("B", "2"), A="S1", B="S2"), "n1", options=options)
    nights.run = open_run(nights.root / "runs" / "n1")
    nights.delete()
    assert "delete-sources" in read_facts(nights.run.ledger).seconds_by_step
    nights.run.close()
    assert not files_of(nights.root / "source")
    withdrawn(nights, "n1", 2)

    nights.run = open_run(nights.root / "runs" / "n1")
    nights.resume()

    assert [Outcome.CANCELLED, DONE] == [one.outcome for one in row_results(nights.run.ledger)]


def test_what_somebody_else_put_there_stays(nights: Nights) -> None:
    """A result that was changed, or replaced by a later run, is not the run's own any more."""
    nights.night(rows(("A", "1")), "n1")
    (path, other) = sorted((nights.root / "results").rglob("*.dcm"))
    path.write_bytes(other.read_bytes())

    assert Withdrawn(1, 1, 0) == withdrawn(nights, "n1")
    assert 1 == withdraw_run(nights.root / "runs" / "n1", ())
    assert path.exists()


def test_results_that_nobody_looked_at_are_taken_back(nights: Nights) -> None:
    """Of a run without verification nothing was noted that a result could differ from."""
    nights.plan(rows(("A", "1")), run_id="n1", verify="none")
    nights.edit()
    nights.run.close()

    assert Withdrawn(2, 0, 0) == withdrawn(nights, "n1")
    assert {} == files_of(nights.root / "results")


def test_nothing_counts_as_taken_back_that_cannot_be_seen(nights: Nights) -> None:
    """A destination that is not mounted looks like one that is empty; what was removed by hand leaves its folders."""
    nights.night(rows(("A", "1")), "n1")
    results, away = nights.root / "results", nights.root / "away"
    results.rename(away)
    results.mkdir()
    (results / LOCK_FILE).touch()  # on NFS the lock of this very command

    with pytest.raises(Unusable, match="mount it"):
        withdrawn(nights, "n1")

    shutil.rmtree(results)
    away.rename(results)
    one, _ = sorted(results.rglob("*.dcm"))
    one.unlink()
    assert Withdrawn(2, 0, 1) == withdrawn(nights, "n1")
    assert Withdrawn(0, 0, 0) == withdrawn(nights, "n1")
    assert not files_of(results)


def test_the_crosswalk_of_all_runs(nights: Nights) -> None:
    """Every pair once, with its run, its line and its file; without what was taken back."""
    nights.night(rows(("A", "1"), ("B", "2")), "n1")
    nights.put("A", "1", 3)
    nights.night(rows(("A", "1")), "n2")
    withdrawn(nights, "n1", 3)
    config = load_config(nights.root / "job.yaml")
    where = where_of(config, "")
    with synced_state(config, where) as state:
        assert state is not None
        pairs = list(pairs_of_runs(state, where, are_files=True))

    assert [("patient", "n1;n2"), ("study", "n1;n2"), ("series", "n1;n2")] == [(pair[0], pair[5]) for pair in pairs[:3]]
    assert ["n1", "n1", "n2"] == sorted(pair[5] for pair in pairs[3:])
    assert {"2"} == {pair[6] for pair in pairs[3:]}
    assert {pair[7] for pair in pairs[3:]} == set(files_of(nights.root / "results"))
