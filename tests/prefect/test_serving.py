"""Schedules on a real Prefect server: by `deidflow serve`, and by a deployment with a process worker."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ruamel.yaml import YAML

from deidflow.tasks.core.files.locks import lock_folder
from tests.conftest import start_prefect_server
from tests.containers import contained, why_not
from tests.jobs import DEMO_DATA, Job, files_of, read_csv
from tests.orthanc_proxy import Answer, OrthancProxy
from tests.orthanc_server import free_port
from tests.prefect.groups import start, stop
from tests.prefect_api import Api

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.long, pytest.mark.timeout(500)]
PATIENCE_S = 200.0
"""For what takes a few seconds: several programs start, each with Prefect, maybe on a machine that has no time."""

PREFECT = Path(sys.executable).parent / "prefect"
PROJECT = Path(__file__).parents[2]


@pytest.fixture
def scheduled(tmp_path: Path, prefect_environment: dict[str, str]) -> Job:
    """A small job on a schedule of five seconds."""
    job = Job(tmp_path, prefect_environment)
    # A name of its own: the tests share a server, and would find each other's late runs.
    name = f"every-{os.getpid()}-{time.monotonic_ns()}"
    job.write_config(name=name, source={"folder": str(DEMO_DATA)}, schedule={"interval": 5}, verify="none")
    done = job("inventory", DEMO_DATA, "-o", "manifest.csv")
    assert 0 == done.code, done.err
    return job


def _ended_runs(job: Job) -> Iterator[dict[str, object]]:
    for path in sorted((job.root / "runs").glob("*/summary.json")):
        yield json.loads(path.read_text(encoding="utf-8"))


def _wait_for_runs(job: Job, count: int) -> list[dict[str, object]]:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        runs = list(_ended_runs(job))
        if len(runs) >= count:
            return runs
        time.sleep(0.5)
    return list(_ended_runs(job))


def _start(job: Job, *command: object, **variables: str) -> subprocess.Popen[bytes]:
    return start(command, job.root / "log.txt", job.full_environment() | variables, job.root)


@pytest.mark.parametrize("strangers", [False, True], ids=["alone", "beside-files-of-our-names"])
def test_serve_runs_twice_by_itself(scheduled: Job, strangers: bool) -> None:
    """Served with an interval of 5 s a config runs twice by itself, each run reconciled, whatever lies beside it."""
    if strangers:
        for name in ("tasks.py", "flows/__init__.py", "bulk_edit.py"):
            path = scheduled.root / name
            path.parent.mkdir(exist_ok=True)
            path.write_text("raise SystemExit('a file of somebody else was imported')")
    process = _start(scheduled, PREFECT.with_name("deidflow"), "serve", "job.yaml")
    try:
        runs = _wait_for_runs(scheduled, 2)
    finally:
        stop(process)

    assert len(runs) >= 2, (scheduled.root / "log.txt").read_text()
    assert all(run["reconciled"] for run in runs)


def test_two_configs_are_served_by_one_command(scheduled: Job) -> None:
    """Each on its own schedule, under its own name, and both into one folder, which one of them waits for."""
    first = scheduled.config["name"]
    rows = read_csv(scheduled.manifest)
    scheduled.write_manifest(rows[:10])
    (scheduled.root / "job.yaml").rename(scheduled.root / "first.yaml")
    scheduled.write_manifest(rows[10:20], scheduled.root / "second.csv")
    second = f"{first}-b"
    scheduled.write_config(**scheduled.config | {"name": second, "manifest": "second.csv"})
    process = _start(scheduled, *scheduled.command("serve", "first.yaml", "job.yaml"))
    try:
        with contextlib.closing(Api(scheduled.environment["PREFECT_API_URL"])) as api:
            deployments = [api.deployment(name) for name in (first, second)]
            states = [_first_end(api, deployment) for deployment in deployments]
        # Before it is stopped: a run that is being started then ends in an import, which Python tells at length.
        said = (scheduled.root / "log.txt").read_text()
    finally:
        stop(process)

    assert [("COMPLETED", "Completed")] * 2 == [(state["type"], state["name"]) for state in states], said
    assert f"serving {first}, {second}" in said
    assert "Traceback" not in said
    summaries = list(_ended_runs(scheduled))
    assert all(summary["reconciled"] for summary in summaries)
    delivered = {
        str(summary["name"]): {row["file"] for row in _delivered(scheduled, str(summary["run_id"]))}
        for summary in summaries
    }
    assert {first, second} == delivered.keys()
    assert delivered[first].isdisjoint(delivered[second])
    assert delivered[first] | delivered[second] == {
        name for name in files_of(scheduled.destination) if name.endswith(".dcm")
    }


def _delivered(job: Job, run_id: str) -> list[dict[str, str]]:
    return read_csv(job.root / "runs" / run_id / "delivered.csv")


def _first_end(api: Api, deployment: str) -> dict[str, Any]:
    """Wait until a scheduled run of a deployment has ended by itself; return its state."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        ended = {"type": {"any_": ["COMPLETED", "FAILED", "CRASHED"]}}
        if found := api.runs(state=ended, deployment_id={"any_": [deployment]}):
            return dict(found[0]["state"])
        time.sleep(0.3)
    raise TimeoutError(deployment)


@pytest.mark.skipif(bool(why_not()), reason=why_not())
def test_serve_in_a_container(prefect_environment: dict[str, str]) -> None:
    """A user without a name or a home, a read-only root, one folder to write to: a scheduled run, then `verify`."""
    with tempfile.TemporaryDirectory() as name:
        job = Job(Path(name), prefect_environment)
        shutil.copytree(DEMO_DATA / "MR", job.source)
        job.write_config(name=f"contained-{os.getpid()}", schedule={"interval": 5})
        job.write_manifest(job.inventory())
        variables = {"PREFECT_API_URL": job.environment["PREFECT_API_URL"], "TEST_DEIDFLOW_KEY": job.key}
        process = _start(job, *contained(job.root, job.command("serve", "job.yaml"), variables))
        try:
            runs = _wait_for_runs(job, 1)
        finally:
            stop(process)
        assert runs, (job.root / "log.txt").read_text()
        assert runs[0]["reconciled"]
        run_dir = next((job.root / "runs").glob("*/summary.json")).parent
        command = contained(job.root, job.command("verify", run_dir), variables)
        done = subprocess.run(command, capture_output=True, text=True, check=False)

        assert 0 == done.returncode, done.stderr


def test_the_deployment_runs_with_a_process_worker(scheduled: Job) -> None:
    """The deployment of prefect.yaml, on a schedule of 5 s, is run twice by a process worker."""
    text = YAML(typ="safe").load((PROJECT / "prefect.yaml").read_text(encoding="utf-8"))
    (deployment,) = text["deployments"]
    deployment["parameters"]["config"] = scheduled.config["name"]
    deployment["schedules"] = [{"interval": 5}]
    with (scheduled.root / "prefect.yaml").open("w", encoding="utf-8") as stream:
        YAML(typ="safe").dump(text, stream)
    environment = scheduled.full_environment()
    for command in (
        ["work-pool", "create", "--type", "process", "deidflow", "--overwrite"],
        ["--no-prompt", "deploy", "--all"],
    ):
        subprocess.run([PREFECT, *command], env=environment, cwd=scheduled.root, check=True, capture_output=True)
    process = _start(
        scheduled, PREFECT, "worker", "start", "--pool", "deidflow", DEIDFLOW_CONFIGS=str(scheduled.root / "job.yaml")
    )
    try:
        runs = _wait_for_runs(scheduled, 2)
    finally:
        stop(process)

    assert len(runs) >= 2, (scheduled.root / "log.txt").read_text()
    assert all(run["reconciled"] for run in runs)


def test_rows_that_are_not_done_are_no_crash(scheduled: Job) -> None:
    """State Partial of type FAILED, and neither a traceback nor a word of an exception in Prefect's log."""
    rows = read_csv(scheduled.manifest)
    scheduled.write_manifest([*rows[:1], {**rows[1], "orthanc_id": "0" * 8 + ("-" + "0" * 8) * 4, "instances": ""}])
    process = _start(scheduled, *scheduled.command("serve", "job.yaml"), PREFECT_LOGGING_LEVEL="INFO")
    try:
        runs = _wait_for_runs(scheduled, 1)
        states = _wait_for_states(scheduled, "Partial")
        _wait_for_words(scheduled, "some rows are not done")
        said = (scheduled.root / "log.txt").read_text()  # a run that is only being started when all is stopped crashes
    finally:
        stop(process)

    assert [1] == [run["exit_code"] for run in runs[:1]]
    assert {("FAILED", "Partial")} == states, said
    for word in ("Traceback", "unexpected exception", "Crash"):
        assert word not in said


def test_an_invalid_manifest_is_no_crash(scheduled: Job) -> None:
    """State Invalid of type FAILED, told in plain words."""
    scheduled.manifest.write_text("orthanc_id\nnot-an-id\n")
    process = _start(scheduled, *scheduled.command("serve", "job.yaml"), PREFECT_LOGGING_LEVEL="INFO")
    try:
        states = _wait_for_states(scheduled, "Invalid")
    finally:
        stop(process)

    said = (scheduled.root / "log.txt").read_text()
    assert {("FAILED", "Invalid")} == states, said
    assert "line 2, column orthanc_id" in said
    assert "Traceback" not in said
    assert "unexpected exception" not in said


def test_who_reaches_the_api_chooses_no_config(scheduled: Job) -> None:
    """Neither by its path, nor by another entrypoint or other steps in the deployment, nor by other parameters."""
    evil = scheduled.root / "evil.yaml"
    evil.write_bytes((scheduled.root / "job.yaml").read_bytes().replace(scheduled.config["name"].encode(), b"evil"))
    (scheduled.root / "evil.py").write_text(
        f"import pathlib\nfrom prefect import flow\npathlib.Path({str(scheduled.root / 'taken')!r}).touch()\n"
        "@flow\ndef bulk_edit(config=''): pass\n"
    )
    scheduled.write_config(**scheduled.config | {"schedule": {"interval": 86400}})
    process = _start(scheduled, *scheduled.command("serve", "job.yaml"))
    try:
        with contextlib.closing(Api(scheduled.environment["PREFECT_API_URL"])) as api:
            deployment = api.deployment(scheduled.config["name"])
            unknown = api.end_of(api.start(deployment, run_dir="x"))
            script = {"prefect.deployments.steps.run_shell_script": {"script": f"touch {scheduled.root / 'taken'}"}}
            change = {
                "entrypoint": f"{scheduled.root / 'evil.py'}:bulk_edit",
                "path": str(scheduled.root),
                "pull_steps": [script],
            }
            api.ask("PATCH", f"deployments/{deployment}", change)
            states = [api.end_of(api.start(deployment, config=config)) for config in (str(evil), "evil")]
            cancelled = api.start(deployment)
            api.cancel(cancelled)
            api.end_of(cancelled)
    finally:
        stop(process)

    assert unknown["type"] in {"FAILED", "CRASHED"}
    assert [("FAILED", "Invalid")] * 2 == [(state["type"], state["name"]) for state in states]
    wanted = f"must be the name of a config that is served here: {scheduled.config['name']}"
    assert all(wanted in state["message"] for state in states)
    assert not (scheduled.root / "taken").exists()
    assert not scheduled.destination.exists()


def test_what_a_form_may_ask_for(scheduled: Job) -> None:
    """Another manifest of the same folder, rows set aside, a chunk size; nothing else, and no other folder's file."""
    rows = read_csv(scheduled.manifest)
    scheduled.write_config(**scheduled.config | {"schedule": {"interval": 86400}})
    scheduled.write_manifest([*rows[:2], {**rows[2], "orthanc_id": "not-an-id"}])
    scheduled.manifest.rename(scheduled.root / "tonight.csv")
    scheduled.write_manifest(rows)
    elsewhere = scheduled.root / "elsewhere"
    elsewhere.mkdir()
    shutil.copy(scheduled.manifest, elsewhere / "other.csv")
    (scheduled.root / "linked.csv").symlink_to(elsewhere / "other.csv")
    process = _start(scheduled, *scheduled.command("serve", "job.yaml"))
    try:
        with contextlib.closing(Api(scheduled.environment["PREFECT_API_URL"])) as api:
            deployment = api.deployment(scheduled.config["name"])
            refused = [
                api.ask("POST", f"deployments/{deployment}/create_flow_run", {"parameters": parameters}).status_code
                for parameters in (
                    {"overrides": {"source.folder": "/"}},
                    {"overrides": {"chunk_size": 0}},
                    {"skip_invalid": "perhaps"},
                )
            ]
            names = ("elsewhere/other.csv", str(elsewhere / "other.csv"), "../manifest.csv", "linked.csv", "none.csv")
            states = [api.end_of(api.start(deployment, manifest=name)) for name in names]
            tonight = api.start(deployment, manifest="tonight.csv", overrides={"chunk_size": 1}, skip_invalid=True)
            ended = api.end_of(tonight)
            tags = api.runs(id={"any_": [tonight]})[0]["tags"]
    finally:
        stop(process)

    assert [409] * len(refused) == refused
    wanted = "must be the name of a file in the folder of the config's manifest"
    assert ["Invalid"] * len(names) == [state["name"] for state in states], states
    assert all(wanted in state["message"] for state in states), states
    assert "Partial" == ended["name"]
    assert "rows: 2 done, 1 invalid" in ended["message"]
    assert {"deidflow", scheduled.config["name"], "local", "anonymize"} == set(tags)


def _ended(process: subprocess.Popen[bytes], number: int) -> tuple[int, bool]:
    """Wait for a service; return its exit code, and that it never ignored a signal, since what it starts would, too."""
    status, hears, end = Path(f"/proc/{process.pid}/status"), True, time.monotonic() + PATIENCE_S
    while process.poll() is None and time.monotonic() < end:
        ignored = int(status.read_text().partition("SigIgn:")[2].split()[0], 16)
        hears &= not ignored >> (number - 1) & 1
        time.sleep(0.02)
    return process.wait(0), hears


IN_THE_BACKGROUND = ("sh", "-c", "trap '' INT; exec \"$@\"", "sh")
"""What a shell does with ``command &`` in a script, and so the start script of many a container."""


@pytest.mark.parametrize(
    ("number", "through"),
    [(signal.SIGTERM, ()), (signal.SIGTERM, IN_THE_BACKGROUND), (signal.SIGHUP, ())],
    ids=["sigterm", "in-the-background", "closed-terminal"],
)
def test_a_service_that_is_stopped_stops_its_run(scheduled: Job, number: int, through: tuple[str, ...]) -> None:
    """Its run is cancelled within seconds and can be resumed, the deployment is paused, and no word of Python is said.

    Meanwhile a second service of the config is refused: the first of the two to end would pause it for both.
    """
    scheduled.destination.mkdir()
    with lock_folder(scheduled.destination, "the destination"):  # the run waits for it
        process = _start(scheduled, *through, *scheduled.command("serve", "job.yaml"))
        try:
            with contextlib.closing(Api(scheduled.environment["PREFECT_API_URL"])) as api:
                deployment = api.deployment(scheduled.config["name"])
                _wait_for_words(scheduled, "planning")
                second = scheduled.start("serve", "job.yaml").end()
                os.kill(process.pid, number)
                code, hears = _ended(process, number)
                runs = api.runs(state={"type": {"any_": ["CANCELLED"]}}, deployment_id={"any_": [deployment]})
                left = api.runs(state={"type": {"any_": ["RUNNING", "PENDING"]}}, deployment_id={"any_": [deployment]})
                paused = api.ask("GET", f"deployments/{deployment}").json()["paused"]
        finally:
            stop(process)
    said = (scheduled.root / "log.txt").read_text()
    (run_dir,) = (path for path in (scheduled.root / "runs").iterdir() if path.is_dir())

    assert (3, True) == (second.code, "is served already by another deidflow serve" in second.err), second.err
    assert (0, [], True) == (code, left, paused), said
    assert hears
    messages = [run["state"]["message"] for run in runs]
    assert any("the run was stopped" in message for message in messages), messages
    for word in ("Traceback", "RuntimeWarning", "never awaited"):
        assert word not in said
    assert 0 == scheduled("resume", run_dir).code


def test_serve_waits_for_its_server(scheduled: Job, tmp_path_factory: pytest.TempPathFactory) -> None:
    """With the server down it says so and waits; when the server is there it serves. SIGTERM stops what waits, too."""
    home = tmp_path_factory.mktemp("late") / "home"
    home.mkdir()
    port = free_port()
    scheduled.environment = {"PREFECT_HOME": str(home), "PREFECT_API_URL": f"http://127.0.0.1:{port}/api"}
    waiting = f"127.0.0.1:{port}/api does not answer; waiting for it"
    notices_soon = {"PREFECT_CLIENT_MAX_RETRIES": "0", "PREFECT_RUNNER_POLL_FREQUENCY": "1"}
    process = _start(scheduled, *scheduled.command("serve", "job.yaml"))
    server = 0
    try:
        _wait_for_words(scheduled, waiting)
        process.terminate()
        assert 0 == process.wait(PATIENCE_S)
        process = _start(scheduled, *scheduled.command("serve", "job.yaml"), **notices_soon)
        _wait_for_words(scheduled, waiting)
        server = int(start_prefect_server(home, port).split()[0])
        _wait_for_words(scheduled, f"serving {scheduled.config['name']}")
        assert _wait_for_runs(scheduled, 1)
        log = scheduled.root / "log.txt"
        said = log.read_text()
        os.kill(server, signal.SIGKILL)
        server = 0
        deadline = time.monotonic() + PATIENCE_S
        while log.read_text().count(waiting) == said.count(waiting) and time.monotonic() < deadline:
            time.sleep(0.5)
        process.terminate()
        assert 0 == process.wait(PATIENCE_S), log.read_text()
    finally:
        stop(process)
        if server:
            os.kill(server, signal.SIGTERM)

    assert "Traceback" not in said
    assert "error: " not in log.read_text().rpartition(waiting)[2]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/deployments/", b"<html>"),
        ("/api/deployments/", b'{"detail": "database is locked"}'),
        ("/api/deployments/get_scheduled_flow_runs", b"<html>"),
    ],
    ids=["of-a-proxy", "of-prefect", "amid"],
)
def test_serve_outlives_a_server_that_fails(scheduled: Job, path: str, body: bytes) -> None:
    """A server that answers with an error when it is told of the config, or asked for runs, is tried again."""
    scheduled.write_config(**scheduled.config | {"schedule": {"interval": 86400}})
    with OrthancProxy(scheduled.environment["PREFECT_API_URL"].removesuffix("/api")) as proxy:
        asked = ("POST", path)
        failing = proxy.add(Answer(500, body=body), lambda it, _: asked == (it.method, it.path), times=2)
        process = _start(scheduled, *scheduled.command("serve", "job.yaml"), PREFECT_API_URL=f"{proxy.url}/api")
        try:
            with contextlib.closing(Api(f"{proxy.url}/api")) as api:
                state = api.end_of(api.start(api.deployment(scheduled.config["name"])))
        finally:
            stop(process)

    assert 2 == failing.hits
    assert "COMPLETED" == state["type"], state


@pytest.mark.parametrize("command", ["run", "serve"])
def test_a_server_that_refuses_the_login_is_told_as_such(
    scheduled: Job, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """Exit code 3, the address, and which variable is to be set."""
    home = tmp_path_factory.mktemp("locked") / "home"
    home.mkdir()
    monkeypatch.setenv("PREFECT_SERVER_API_AUTH_STRING", "admin:secret")
    server, port = start_prefect_server(home).split()
    monkeypatch.delenv("PREFECT_SERVER_API_AUTH_STRING")
    scheduled.environment = {"PREFECT_HOME": str(home), "PREFECT_API_URL": f"http://127.0.0.1:{port}/api"}
    try:
        done = scheduled.start(command, "job.yaml").end()
    finally:
        os.kill(int(server), signal.SIGTERM)

    assert 3 == done.code, done.err
    assert f"http://127.0.0.1:{port}/api refuses the login (401); set PREFECT_API_AUTH_STRING" in done.err
    assert "Traceback" not in done.err


def _wait_for_words(job: Job, words: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while words not in (said := (job.root / "log.txt").read_text()):
        assert time.monotonic() < deadline, said
        time.sleep(0.2)


def _wait_for_states(job: Job, name: str) -> set[tuple[str, str]]:
    """Wait until a run of the job's deployment has ended in a state of this name; return type and name of all such."""
    deadline = time.monotonic() + PATIENCE_S
    with contextlib.closing(Api(job.environment["PREFECT_API_URL"])) as api:
        deployment = api.deployment(job.config["name"])
        while time.monotonic() < deadline:
            if found := api.runs(state={"name": {"any_": [name]}}, deployment_id={"any_": [deployment]}):
                return {(run["state"]["type"], run["state"]["name"]) for run in found}
            time.sleep(0.3)
    return set()
