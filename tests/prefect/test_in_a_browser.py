"""A night as a person sees it: Prefect's own pages in a real browser, on SQLite and on PostgreSQL.

With DEIDFLOW_PICTURES=FOLDER the first test also writes the pictures of docs/operators.md (``make pictures``).
"""

from __future__ import annotations

import json
import os
import shutil
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from benchmarks.generate import Shape, generate
from tests.contract.server import Server
from tests.jobs import DEMO_DATA, STOP_S, Job, files_of, instance_lines, read_csv, stop_limit_s
from tests.orthanc_server import OrthancServer, installed
from tests.prefect.browser import BROWSER, NO_BROWSER, Browser
from tests.prefect.sites import DATABASES, Site, site, working

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(900),
    pytest.mark.skipif(BROWSER is None, reason=NO_BROWSER),
]

PATIENCE_S: Final = 200.0
NOTICED_S: Final = 10.0
"""Until a job on the server has stopped, on a machine that is not busy otherwise."""
UNKNOWN: Final = "0" * 8 + ("-" + "0" * 8) * 4
PICTURES: Final = os.environ.get("DEIDFLOW_PICTURES")
TOMORROW: Final = {"interval": 86400}
COUNT: Final = 12_000
"""Enough that a run is still at work when a page has opened and its button was pressed."""


@pytest.fixture(scope="module", params=DATABASES)
def server(request: pytest.FixtureRequest) -> Iterator[Site]:
    """A Prefect server with its pages."""
    with site(request.param) as running:
        yield running


@pytest.fixture
def job(tmp_path: Path, server: Site) -> Job:
    """A job of a site with this server."""
    return Job(tmp_path, server.environment)


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    """A browser."""
    with Browser(tmp_path / "browser") as page:
        yield page


def _picture(browser: Browser, name: str) -> None:
    if PICTURES:
        browser.picture(Path(PICTURES) / f"{name}.png")


def _new_run(job: Job, known: set[Path]) -> Path:
    """Wait for a run folder that was not known."""
    end = time.monotonic() + PATIENCE_S
    while True:
        found = {path for path in (job.root / "runs").glob("*") if (path / "ledger.db").exists()} - known
        if found:
            return found.pop()
        assert time.monotonic() < end, (job.root / "log.txt").read_text()[-3000:]
        time.sleep(0.2)


def _until(path: Path, job: Job, limit_s: float = PATIENCE_S) -> None:
    end = time.monotonic() + limit_s
    while not path.exists():
        assert time.monotonic() < end, (job.root / "log.txt").read_text()[-3000:]
        time.sleep(0.1)


def test_by_schedule_and_by_the_form(job: Job, server: Site, browser: Browser) -> None:
    """Each does its run; the page of the second shows name, tags, a line for each step, and the artifacts."""
    shutil.copytree(DEMO_DATA, job.source)
    job.write_config(name="nightly-trial", destination={"folder": "results"})
    rows = job.inventory()
    job.write_manifest(rows[:5])
    gone = {**rows[0], "orthanc_id": UNKNOWN, "instances": ""}
    wrong = {**rows[0], "orthanc_id": "not-an-id", "instances": ""}
    job.write_manifest([*rows, gone, wrong], job.root / "tonight.csv")
    with working(job, server, {"interval": 20}) as deployment:
        night = _new_run(job, set())
        _until(night / "summary.json", job)
        assert json.loads((night / "summary.json").read_text(encoding="utf-8"))["reconciled"]
        server.api.ask("PATCH", f"deployments/{deployment}", {"paused": True})
        for late in server.api.runs(state={"type": {"any_": ["SCHEDULED"]}}):
            server.api.ask("DELETE", f"flow_runs/{late['id']}")
        _until_idle(server)
        known = set((job.root / "runs").glob("*"))

        _fill_form(browser, server, deployment)
        second = _new_run(job, known)
        browser.see(second.name, "Partial", "report written")
        said = browser.text()
        for word in ("deidflow", "nightly-trial", "local", "anonymize", "planned: rows: 42", "chunk 1: "):
            assert word in said
        assert second.name.startswith("nightly-trial-")
        _picture(browser, "prefect-run")
        browser.run("all('*', null).filter(one => one.innerText === 'prefect.flow_runs').pop().scrollIntoView();")
        _picture(browser, "prefect-log")
        browser.click("Artifacts")
        browser.see("deidflow-nightly-trial-result", "deidflow-nightly-trial-not-found")
        _picture(browser, "prefect-artifacts")
        seen = said + browser.text()
        browser.go(f"{server.url}/artifacts/artifact/{_latest(server, 'deidflow-nightly-trial-result')}")
        browser.see("Some rows are not done", "not-found", "invalid-row")
        _picture(browser, "prefect-result")
        seen += browser.text()

    for row in read_csv(second / "crosswalk.csv"):
        for column in ("original_orthanc_id", "new_orthanc_id", "original_dicom_id", "new_dicom_id"):
            assert len(row[column]) < 8 or row[column] not in seen
    assert {"done": 40, "not_found": 1, "invalid": 1}.items() <= _rows(second).items()
    log = (job.root / "log.txt").read_text()
    assert "Traceback" not in log
    browser.go((second / "report.html").as_uri())
    browser.see("May I hand this over?", "not-found")
    _picture(browser, "report")


def _fill_form(browser: Browser, server: Site, deployment: str) -> None:
    """Send the form with another manifest, and rows that are wrong set aside; open the page of its run."""
    known = {run["id"] for run in server.api.runs()}
    browser.go(f"{server.url}/deployments/deployment/{deployment}/run")
    browser.see("manifest", "Chunk Size", "skip_invalid", "Submit")
    browser.write("manifest", "tonight.csv")
    browser.switch("skip_invalid")
    _picture(browser, "prefect-form")
    browser.click("Submit")
    browser.see("scheduled to start now")
    (new,) = {run["id"] for run in server.api.runs()} - known
    browser.go(f"{server.url}/runs/flow-run/{new}")
    browser.see("Logs", "Artifacts")


def _latest(server: Site, key: str) -> str:
    """Return the number of the artifact that was made last under a key."""
    found = server.api.post("artifacts/filter", artifacts={"key": {"any_": [key]}}, sort="CREATED_DESC")
    return str(found[0]["id"])


def _until_idle(server: Site) -> None:
    """Wait until no run is at work."""
    end = time.monotonic() + PATIENCE_S
    while server.api.runs(state={"type": {"any_": ["PENDING", "RUNNING", "CANCELLING"]}}):
        assert time.monotonic() < end
        time.sleep(0.5)


def _rows(run_dir: Path) -> dict[str, Any]:
    rows: dict[str, Any] = json.loads((run_dir / "summary.json").read_text(encoding="utf-8"))["rows"]
    return rows


def _cancel(browser: Browser, server: Site, run: str) -> float:
    """Press Cancel on the page of a run, and Confirm in the dialogue that asks; return when that was."""
    browser.go(f"{server.url}/runs/flow-run/{run}")
    browser.click("Cancel", "button")
    browser.see("Cancel Flow Run")
    browser.click("Confirm", "button")
    return time.monotonic()


def _assert_cancelled(job: Job, browser: Browser, run_dir: Path, at: float) -> None:
    """Assert that there is a report in time that says what was not done, and that the page says Cancelled."""
    _until(run_dir / "summary.json", job, NOTICED_S + stop_limit_s() - (time.monotonic() - at))
    summary = json.loads((run_dir / "summary.json").read_text(encoding="utf-8"))
    assert not summary["reconciled"]
    assert summary["instances"]["cancelled"] or summary["verified"]["not_verified"]
    browser.see("Cancelled")
    assert "Traceback" not in (job.root / "log.txt").read_text()


def test_cancelled_on_the_page(job: Job, server: Site, browser: Browser) -> None:
    """With the button, in the middle of the edits: a report that says so, no half file, and `resume` finishes."""
    generate(job.source, COUNT, 6 << 10, shape=Shape(patients=20))
    job.write_config(name="stopped", execution={"workers": 1, "chunk_size": COUNT})
    job.write_manifest(job.inventory())
    with working(job, server, TOMORROW) as deployment:
        run = server.api.start(deployment)
        run_dir = _new_run(job, set())
        while not any(job.destination.rglob("*.dcm")):
            time.sleep(0.1)
        at = _cancel(browser, server, run)
        _assert_cancelled(job, browser, run_dir, at)

    done = {row["file"] for row in read_csv(run_dir / "crosswalk.csv") if row["outcome"] == "done" and row["file"]}
    assert done == {name for name in files_of(job.destination) if name.endswith(".dcm")}
    assert COUNT == len(instance_lines(run_dir))
    resumed = job("resume", run_dir)
    assert 0 == resumed.code, resumed.err
    assert COUNT == len(files_of(job.destination))


@pytest.mark.skipif(not installed(), reason="NO ORTHANC: Debian: apt-get install orthanc")
def test_cancelled_on_the_page_with_an_orthanc(job: Job, server: Site, browser: Browser) -> None:
    """The job on the server ends within ten seconds, what it made goes, and `resume` leaves every instance once."""
    generate(job.source, 400, 8 << 10, shape=Shape(patients=2))
    with ExitStack() as stack:
        orthanc = Server(stack.enter_context(OrthancServer()))
        stack.callback(orthanc.close)
        orthanc.upload(job.source)
        assert 0 == job("inventory", orthanc.url, "-o", "manifest.csv").code
        job.write_config(
            name="stopped-on-an-orthanc",
            engine="orthanc",
            source={"orthanc": orthanc.url},
            destination=None,
            options={"DicomVersion": "2021b"},
            orthanc={"accept_unstable": True},
        )
        with working(job, server, TOMORROW) as deployment:
            run = server.api.start(deployment)
            orthanc.wait_for(420)
            (own,) = orthanc.modifications()
            orthanc.pause(own)
            run_dir = _new_run(job, set())
            at = _cancel(browser, server, run)
            while {one["State"] for one in orthanc.get("jobs?expand")} & {"Running", "Pending", "Paused"}:
                assert time.monotonic() - at < NOTICED_S * stop_limit_s() / STOP_S
                time.sleep(0.1)
            _assert_cancelled(job, browser, run_dir, at)

        made = {row["new_orthanc_id"] for row in read_csv(run_dir / "crosswalk.csv") if row["outcome"] == "done"}
        assert {name for names in orthanc.originals().values() for name in names} <= made
        resumed = job("resume", run_dir)
        assert 0 == resumed.code, resumed.err
        assert {1} == {len(names) for names in orthanc.originals().values()}
        assert 800 == len(orthanc.get("instances"))
