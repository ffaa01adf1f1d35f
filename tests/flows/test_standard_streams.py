"""`-` stands for standard input and standard output, and `-v` for all problems."""

from __future__ import annotations

import io
import json
import re
import shlex
import subprocess
from typing import TYPE_CHECKING

import click
import pytest
from openpyxl import Workbook

from deidflow.flows.cli import cli
from deidflow.tasks.core.errors import InvalidInput, Unusable
from tests.jobs import files_of, instance_lines

if TYPE_CHECKING:
    from pathlib import Path

    from tests.jobs import Finished, Job


def _piped(job: Job, content: bytes, *arguments: object) -> Finished:
    """Run the command with something on standard input."""
    return job.start(*arguments, given=content).end()


def test_what_is_written_to_standard_output_is_the_file(demo_job: Job) -> None:
    """Byte for byte, and what is said goes to standard error."""
    job = demo_job
    assert 0 == job("inventory", "source", "-o", "all.csv").code
    (job.root / "-").write_text("a file that is called so stays")
    running = job.start("inventory", "source", "-o", "-")
    assert "40 rows written to standard output" in running.end().err
    assert (job.root / "all.csv").read_bytes() == running.out.read_bytes()

    rows = job.inventory()
    table = "".join(f"{row['StudyInstanceUID']}\n" for row in rows[:3])
    (job.root / "list.csv").write_text(f"StudyInstanceUID\n{table}1.2.3\n")
    assert 1 == job("resolve", "list.csv", "--by", "StudyInstanceUID", "source", "-o", "found.csv").code
    running = job.start("resolve", "list.csv", "--by", "StudyInstanceUID", "source", "-o", "-")
    resolved = running.end()
    assert (1, (job.root / "found.csv").read_bytes()) == (resolved.code, running.out.read_bytes())
    assert "list.csv, line 5, column StudyInstanceUID: " in resolved.err
    assert "1 of 4 rows are not in the manifest (1 not-found)\n" in resolved.err
    assert "a file that is called so stays" == (job.root / "-").read_text()
    assert not (job.root / "-.problems.csv").exists()


@pytest.mark.parametrize(
    "line",
    ["verify -", "export r -o -", "report r --mappings -", "serve -", "runs -", "init s -o -", "run c --runs-dir -"],
)
def test_no_folder_is_a_standard_stream(line: str) -> None:
    """A folder of the name `-` is not made."""
    with pytest.raises(click.BadParameter, match="which is one file"):
        cli.main(shlex.split(line), standalone_mode=False)


@pytest.mark.parametrize(
    "line",
    ["run c --runs-dir ''", "plan c --manifest ''", "inventory s -o ''", "init s -o ''", "runs ''", "init ''"],
)
def test_an_empty_text_is_no_current_folder(line: str) -> None:
    """As a script gives it whose variable is not set."""
    with pytest.raises(click.BadParameter, match=r"must not be empty|must be a folder, or an address"):
        cli.main(shlex.split(line), standalone_mode=False)


@pytest.mark.parametrize(
    ("line", "error", "says"),
    [
        ("inventory . -o all.csv", InvalidInput, "as in -o ../all.csv"),
        ("inventory source -o source/all.csv --overwrite", InvalidInput, "as in -o all.csv"),
        ("resolve list.csv --by PatientID source -o source/a/all.csv", InvalidInput, "as in -o all.csv"),
        ("init .", InvalidInput, "as in -o .."),
        ("inventory loop -o loop/all.csv", Unusable, "all.csv cannot be written: No such file"),
        ("inventory source -o away/all.csv", Unusable, "away/all.csv cannot be written: No such file"),
        ("resolve list.csv --by PatientID source -o away/all.csv", Unusable, "make its folder"),
        ("crosswalk job.yaml -o away/all.csv", Unusable, "make its folder"),
    ],
)
def test_a_place_where_nothing_can_be_written_is_told_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, error: type[Exception], says: str
) -> None:
    """In the source, which stays as it is, or in no folder: nothing is read, which may take minutes."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "source/a").mkdir(parents=True)
    (tmp_path / "list.csv").write_text("PatientID\n1\n")
    (tmp_path / "loop").symlink_to("loop")
    monkeypatch.setattr("deidflow.flows.commands.inventory.inventory_of", None)
    monkeypatch.setattr("deidflow.flows.commands.resolve.inventory_of", None)
    with pytest.raises(error, match=re.escape(says)):
        cli.main(shlex.split(line), standalone_mode=False)


@pytest.mark.parametrize("source", ["localhost:8042", "ftp://pacs/", "http:/pacs:8042"])
def test_a_source_that_is_neither_folder_nor_address(source: str, tmp_path: Path) -> None:
    """What a source is stands in the message, and no manifest without rows is written."""
    for command in ("inventory", "init"):
        output = tmp_path / ("cohort.csv" if command == "inventory" else "jobs")
        with pytest.raises(InvalidInput, match="address of an Orthanc that begins with http://"):
            cli.main([command, source, "-o", str(output)], standalone_mode=False)
        assert not output.exists()


def test_a_manifest_through_a_pipe_gives_the_same_run(demo_job: Job) -> None:
    """From a list to a finished run without a file between; resume and verify need none, either."""
    job = demo_job
    job.write_manifest(job.inventory()[:2])
    text = job.manifest.read_bytes()
    assert 0 == job("run", "job.yaml", "--run-id", "file").code
    job.write_config(destination={"folder": "piped"}, manifest="nowhere.csv")

    done = _piped(job, text, "run", "job.yaml", "--manifest", "-", "--run-id", "pipe")

    assert 0 == done.code, done.err
    assert files_of(job.destination) == files_of(job.root / "piped")
    assert instance_lines(job.root / "runs/file") == instance_lines(job.root / "runs/pipe")
    assert text == (job.root / "runs/pipe/manifest.csv").read_bytes()
    assert [0, 0] == [job(command, "runs/pipe").code for command in ("verify", "resume")]


def test_configs_and_workbooks_through_a_pipe(demo_job: Job) -> None:
    """Paths in a config then start at the current folder; an error names standard input; one file alone can be it."""
    job = demo_job
    rows = job.inventory()[:2]
    job.write_manifest(rows)
    config = (job.root / "job.yaml").read_bytes()
    planned = json.loads(_piped(job, config, "plan", "-", "--json").out)
    assert {"planned": 2} == planned["rows"]
    wrong = _piped(job, config + b"colour: red\n", "plan", "-")
    assert (2, True) == (wrong.code, "error: standard input, line " in wrong.err), wrong.err
    both = _piped(job, config, "plan", "-", "--manifest", "-")
    assert (2, True) == (both.code, "standard input can be only one of the files" in both.err), both.err
    book, content = Workbook(), io.BytesIO()
    assert book.active is not None
    book.active.append(["StudyInstanceUID"])
    book.active.append([rows[0]["StudyInstanceUID"]])
    book.active.row_dimensions[2].hidden = True
    book.create_sheet("notes")
    book.save(content)
    found = _piped(job, content.getvalue(), "resolve", "-", "--by", "StudyInstanceUID", "source", "-o", "one.csv")
    assert (0, "1 row written to one.csv\n") == (found.code, found.out), found.err
    assert "has 2 sheets; the first that is visible was read" in found.err
    assert "rows that are hidden or filtered away were read, too; delete" in found.err
    assert "not meant: line 2\n" in found.err


def test_a_thousand_problems_are_read_in_a_minute(demo_job: Job) -> None:
    """The first 50, and how many there are of each other kind; with -v, and for programs, all of them."""
    job = demo_job
    row = job.inventory()[0]
    bad = [{**row, "orthanc_id": "", "instances": "x" if n % 2 else "1"} for n in range(600)]
    job.write_manifest([row, *bad])

    short, long = job("plan", "job.yaml"), job("plan", "job.yaml", "-v")

    assert [2, 2] == [short.code, long.code]
    lines = short.err[short.err.index("error: ") :].splitlines()
    assert "... and 850 more:" == lines[50]
    assert "900 problems found; nothing was changed; -v shows all of them" == lines[-1]
    assert 566 == sum(int(line.split(" x ")[0]) for line in lines if " x column orthanc_id: must be " in line)
    assert 284 == sum(int(line.split(" x ")[0]) for line in lines if " x column instances: must be " in line)
    assert len(lines) < 60
    assert 900 == sum(line.startswith("error: ") for line in long.err.splitlines())
    assert "900 problems found; nothing was changed\n" in long.err
    assert 900 == len(json.loads(job("plan", "job.yaml", "--json").out)["errors"])
    skipped = job("plan", "job.yaml", "--skip-invalid")
    assert 50 == sum(line.startswith("set aside: ") for line in skipped.out.splitlines())
    assert "... and 850 more:" in skipped.out


@pytest.mark.parametrize(
    "where",
    [
        pytest.param("2>/dev/full", marks=pytest.mark.long),
        pytest.param("2> >(exec sleep 0)", marks=pytest.mark.long),
        ">&- 2>&- <&-",
    ],
)
def test_a_night_whose_words_nobody_takes_is_done(demo_job: Job, where: str) -> None:
    """A log on a full disk, a pipe whose reader has gone, streams that are closed: the work is the same."""
    job = demo_job
    job.write_manifest(job.inventory()[:2])
    command = shlex.join(job.command("run", "job.yaml", "--run-id", "unheard"))
    shell = ["/bin/bash", "-c", f"{command} {where}"]

    done = subprocess.run(shell, cwd=job.root, env=job.full_environment(), capture_output=True, check=False)

    assert 0 == done.returncode, done.stderr
    assert json.loads((job.root / "runs/unheard/summary.json").read_text())["reconciled"]


@pytest.mark.parametrize(
    ("words", "code"), [("plan job.yaml", 0), ("plan job.yaml --json", 3), ("inventory source -o -", 3)]
)
def test_a_reader_that_has_seen_enough_is_told_no_more(demo_job: Job, words: str, code: int) -> None:
    """As with head: no text about a pipe; the code is 3 where a document or a table was cut short."""
    demo_job.write_manifest(demo_job.inventory()[:2])
    command = shlex.join(demo_job.command("-q", *shlex.split(words)))
    shell = ["/bin/bash", "-c", f"{command} | true; exit ${{PIPESTATUS[0]}}"]

    done = subprocess.run(shell, cwd=demo_job.root, env=demo_job.full_environment(), capture_output=True, check=False)

    assert (code, b"") == (done.returncode, done.stderr)


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        # As under LC_ALL=de_DE.ISO-8859-1, which is not installed everywhere.
        ({"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, "/Läufe"),
        ({"PYTHONIOENCODING": "ascii"}, "/L\\xe4ufe"),
    ],
    ids=["locale", "terminal"],
)
def test_names_are_utf8_in_every_locale(job: Job, variables: dict[str, str], named: str) -> None:
    """What a config in UTF-8 names is found on the disk, and told; cron has another locale than whoever wrote it."""
    (job.root / "Läufe").mkdir()
    job.write_config(report={"runs_dir": "Läufe"})
    (job.root / "job.yaml").rename(job.root / "jöb.yaml")
    done = job.start("runs", "jöb.yaml", variables=variables, alone=True).end()

    assert (0, "no runs in", True) == (done.code, done.out[:10], done.out.strip().endswith(named)), done.err
