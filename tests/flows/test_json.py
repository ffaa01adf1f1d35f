"""`--json`: one document for programs, which says what the text says, with the same exit code."""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import re
import signal
import subprocess
import time
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks.generate import Shape, generate
from deidflow.flows.answers.answer import Answer
from deidflow.flows.answers.ending import EXIT_CODES
from deidflow.flows.cli import cli
from tests.jobs import files_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.jobs import Finished, Job

DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "json.md"
UNKNOWN: Final = "0" * 8 + ("-" + "0" * 8) * 4
HEAD: Final = {"command", "exit_code", "warnings", "errors"}


def _answer(done: Finished) -> Any:
    """Return the only document on standard output."""
    return json.loads(done.out)


def _members(value: Any) -> Iterator[str]:
    """Yield the name of every member at any depth, but for those of tables of counts."""
    for name, one in value.items() if isinstance(value, dict) else ():
        yield name
        if name not in {"rows", "instances", "not_used", "source_problems", "reasons", "to_look_at"}:
            yield from _members(one)
    for one in value if isinstance(value, list) else ():
        yield from _members(one)


def _check_documented(answer: Any) -> None:
    named = set(re.findall(r"`([a-z_]+)`", DOCUMENT.read_text("utf-8")))
    assert set() == set(_members(answer)) - named


def _check_private(job: Job, text: str) -> None:
    """Nothing that identifies a source: identifiers, and names of files, as the inventory has them."""
    rows = job.inventory("instance")
    marks = {row[name] for row in rows for name in ("PatientID", "StudyInstanceUID", "SOPInstanceUID", "orthanc_id")}
    marks |= {Path(name).name for name in files_of(job.source)}
    assert [] == [mark for mark in marks if len(mark) > 5 and mark in text]


def test_a_job_from_inventory_to_withdrawal(demo_job: Job) -> None:
    """Every command's document stands in docs/json.md, with what the text of the same command says."""
    job, run = demo_job, "runs/one"
    answers: dict[str, Any] = {}

    def ask(*words: object, code: int = 0) -> dict[str, Any]:
        done = job(*words, "--json")
        assert code == done.code, done.err
        answer: dict[str, Any] = _answer(done)
        assert (words[0], code, []) == (answer["command"], answer["exit_code"], answer["errors"])
        answers[str(words[0])] = answer
        _check_documented(answer)
        return answer

    assert 40 == ask("inventory", "source", "-o", "all.csv")["manifest"]["rows"]
    (job.source / "notes.txt").write_text("no DICOM")
    assert {"not-dicom": 1} == ask("inventory", "source", "-o", "again.csv")["not_used"]
    again = ask("inventory", "source", "-o", "all.csv")["manifest"]
    assert (0, 40) == (again["rows"], again["rows_before"])
    rows = job.inventory()[:3]
    (job.root / "list.csv").write_text(f"StudyInstanceUID\n{rows[0]['StudyInstanceUID']}\n1.2.3\n")
    resolved = ask("resolve", "list.csv", "--by", "StudyInstanceUID", "source", "-o", "found.csv", code=1)
    assert [("not-found", 3)] == [(one["code"], one["line"]) for one in resolved["problems"]]
    job.write_manifest([*rows, {**rows[0], "orthanc_id": UNKNOWN, "instances": ""}])
    plan = ask("plan", "job.yaml", "--diff", "1")
    assert {"planned": 3, "not_found": 1} == plan["rows"]
    assert plan["samples"][0]["elements"]
    ran = ask("run", "job.yaml", "--run-id", "one", code=1)
    assert (3, 1) == (ran["rows"]["done"], ran["rows"]["not_found"])
    assert ["not-found"] == [one["code"] for one in ran["not_done"]]
    assert str(job.root / run) in ran["next"]
    assert ran["rows"] == ask("resume", run, code=1)["rows"]
    assert (0, []) == (ask("verify", run, code=1)["wrong"], answers["verify"]["differing_files"])
    assert "some rows are not done" == ask("report", run, code=1)["verdict"]
    assert ask("export", run, "-o", "packed", "--include-review")["instances"]
    assert ask("crosswalk", "job.yaml", "-o", "pairs.csv")["pairs"]
    assert ask("withdraw", run)["withdrawn"]
    (listed,) = _answer(job("runs", "runs", "--json"))
    assert "one" == listed["run_id"]
    job.write_config(profile="ps3.15-2026d", profile_options=["clean-pixel-data"], options={})
    assert ask("pixels", "job.yaml", "-o", "sheets")["pixels"]

    assert cli.commands.keys() - answers.keys() - {"init", "runs", "serve"} == set()
    _check_private(job, json.dumps(answers))


def test_a_warning_stands_in_the_document_too(job: Job) -> None:
    """An empty source is more often a share that is not mounted; what was said of it is the same in both forms."""
    job.source.mkdir()
    job.write_config()
    job.write_manifest([{"orthanc_id": UNKNOWN}])

    ran = job("run", "job.yaml", "--json")

    (warning,) = _answer(ran)["warnings"]
    assert (1, True) == (ran.code, warning.startswith("source.folder is empty: ")), ran.err
    assert f"warning: {warning}\n" in ran.err


def test_errors_with_their_places(demo_job: Job) -> None:
    """Of manifest, config, command line and server; the exit codes are those of the text, and no cell is repeated."""
    job = demo_job
    rows = job.inventory()[:2]
    job.write_manifest([*rows, {"orthanc_id": "Secret^Name"}, {"orthanc_id": "Secret^Name", "Replace.Nobody": "x"}])
    cases: dict[tuple[str, ...], tuple[int, str]] = {
        ("plan", "job.yaml"): (2, "invalid-input"),
        ("run", "job.yaml"): (2, "invalid-input"),
        ("runs", "elsewhere"): (2, "invalid-input"),
        ("inventory", "source"): (2, "usage"),
        ("inventory", "source", "-o", "-"): (2, "usage"),
        ("plan", "job.yaml", "--colour"): (2, "usage"),
        ("inventory", "http://127.0.0.1:1", "-o", "all.csv"): (3, "transient"),
        ("verify", "runs/none"): (2, "invalid-input"),
    }
    for words, (code, kind) in cases.items():
        done = job(*words, "--json")
        answer = _answer(done)
        assert (code, code, job(*words).code if kind != "usage" else 2) == (answer["exit_code"], done.code, code), words
        assert {kind} == {error["code"] for error in answer["errors"]}, answer
        assert words[0] == answer["command"]
        assert all(error["message"] in done.err for error in answer["errors"]), done.err
        assert "Secret" not in done.out + done.err
        _check_documented(answer)
    errors = _answer(job("plan", "job.yaml", "--json"))["errors"]
    assert {(1, "Replace.Nobody"), (4, "orthanc_id")} <= {(error["line"], error["column"]) for error in errors}
    assert all(error["file"].endswith("manifest.csv") for error in errors)
    for words in (
        ("plan", "no.yaml"),
        ("plan", "source"),
        ("resolve", "no.csv", "--by", "PatientID", "source", "-o", "x.csv"),
    ):
        (error,) = _answer(job(*words, "--json"))["errors"]
        assert (words[1], 1) == (error["file"], job(*words).err.count(words[1]))
    job.write_config(execution={"workers": 0})
    (error, *_) = _answer(job("plan", "job.yaml", "--json"))["errors"]
    assert ("job.yaml", "execution.workers") == (error["file"], error["key"])
    assert error["line"] > 1


def test_what_a_run_that_cannot_go_on_says(demo_job: Job) -> None:
    """A destination that is in the way: nothing is done, in both forms."""
    job = demo_job
    job.write_manifest(job.inventory()[:1])
    job.destination.symlink_to("/proc/none")
    texts, documents = job("run", "job.yaml"), job("run", "job.yaml", "--json")
    answer = _answer(documents)
    assert texts.code == documents.code == answer["exit_code"] != 0
    assert answer["errors"]


def test_an_interrupted_run_answers(job: Job) -> None:
    """Ctrl-C in the middle of the work: the document is there, says so, and how to go on."""
    generate(job.source, 300, 16 << 10, shape=Shape(patients=4))
    job.write_config(execution={"workers": 1})
    job.write_manifest(job.inventory())
    running = job.start("run", "job.yaml", "--run-id", "stopped", "--json")
    ledger = job.root / "runs" / "stopped" / "ledger.db"
    while not ledger.exists():
        assert running.poll() is None
        time.sleep(0.01)
    running.send_signal(signal.SIGINT)
    done = running.end()

    answer = _answer(done)
    assert (130, 130) == (done.code, answer["exit_code"]), done.err
    (error,) = answer["errors"]
    assert ("interrupted", True) == (error["code"], f"deidflow resume {ledger.parent}" in error["message"])


def test_the_document_names_every_member() -> None:
    """docs/json.md has each field of each answer, and each code of an error, whatever a test has seen of them."""
    text = DOCUMENT.read_text("utf-8")
    named = set(re.findall(r"`([a-z_-]+)`", text))
    for name in ("answers", "commands"):
        package = importlib.import_module(f"deidflow.flows.{name}")
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{package.__name__}.{module.name}")
    kinds = Answer.__subclasses__()
    assert {"PlanAnswer", "RunAnswer", "ResolveAnswer", "InitAnswer"} <= {kind.__name__ for kind in kinds}
    for kind in kinds:
        members = {field.name for field in fields(kind)}  # type: ignore[arg-type]
        assert set() == members - named - {"folder"}, kind.__name__
    assert set() == (EXIT_CODES.keys() | HEAD) - named


_FULL: Final = "standard output cannot be written: No space left on device (ENOSPC)"
STREAMS: Final = {
    "runs job.yaml >/dev/full": (3, _FULL),
    "runs job.yaml --json >/dev/full": (3, _FULL),
    "run --help >/dev/full": (3, _FULL),
    "runs job.yaml >&-": (0, ""),
    "runs job.yaml --json >&-": (3, "standard output must be open; redirect it to a file"),
    "plan --colour --json >&-": (2, "--colour"),
    "plan - <&-": (2, "standard input must be open, where a file is given as -"),
}


def test_streams_that_are_full_or_closed(demo_job: Job) -> None:
    """Nobody takes what is said: told in one line, without a traceback."""
    command = " ".join(demo_job.command())
    started = [
        subprocess.Popen(
            ["/bin/sh", "-c", f"{command} {words}"],
            cwd=demo_job.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for words in STREAMS
    ]
    reader, writer = os.pipe()
    os.close(reader)
    unread = [*demo_job.command(), "run", "--help"]
    cut_off = subprocess.run(unread, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (0, b"") == (cut_off.returncode, cut_off.stderr), "as by `| head -1`"
    for process, (words, (code, says)) in zip(started, STREAMS.items(), strict=True):
        out, err = process.communicate()
        assert (code, "") == (process.returncode, out), (words, err)
        assert says in err, words
        assert "Traceback" not in err, words
