"""Prefect's temporary server, for a command without another: it holds no secret, and goes when the command goes."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Final
from unittest.mock import patch

import httpx
import pytest

from benchmarks.generate import Shape, generate
from deidflow.flows import own_server
from deidflow.flows.prefect_environment import prepare_prefect, say_lost_server_once
from tests.jobs import COMMAND_S, KEY, stop_limit_s

if TYPE_CHECKING:
    from tests.jobs import Job, Running

PASSWORD = "ZQXPASSWORD"
GONE_S = 40.0
_LISTENING: Final = "0A"
"""In /proc/net/tcp."""
NOBODY = "http://127.0.0.1:9"
SOCKS = "socks5h://127.0.0.1:9"
SITE: Final = {
    "http_proxy": NOBODY,
    "ALL_PROXY": SOCKS,
    "no_proxy": "intranet.example",
    "PREFECT_SERVER_API_AUTH_STRING": "admin:of-the-site",
    "PREFECT_CLIENT_CUSTOM_HEADERS": '{"Authorization": "Bearer of-the-site"}',
    "PREFECT_SERVER_API_BASE_PATH": "/prefect/api",
}
"""What the environment of a hospital says of its proxy, and of its own Prefect server: nothing of it is in the way."""


def _alone(job: Job, run_id: str) -> Running:
    """Start a run that has no Prefect server but its own, as the leader of a process group."""
    job.environment = {"PREFECT_HOME": str(job.root / "home"), "PREFECT_API_URL": ""}
    variables = {"ORTHANC_PASSWORD": PASSWORD, **SITE}
    return job.start("run", "job.yaml", "--run-id", run_id, variables=variables, alone=True)


def _servers_of(job: Job) -> set[Path]:
    """Return the folders in /proc of the temporary servers of a job, not of what they start, which begins as a copy."""
    home = f"PREFECT_HOME={job.root / 'home'}".encode()
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended
            is_server = b"prefect.server.api.server" in (process / "cmdline").read_bytes()
            if is_server and home in (process / "environ").read_bytes().split(b"\0"):
                found.add(process)
    return {process for process in found if process.parent / _parent(process) not in found}


def _parent(process: Path) -> str:
    with contextlib.suppress(OSError):
        return (process / "stat").read_text("ascii", "replace").rpartition(")")[2].split()[1]
    return ""


def _server_of(job: Job) -> Path:
    """Wait for the temporary server of a job; return its folder in /proc."""
    end = time.monotonic() + COMMAND_S
    while time.monotonic() < end:
        for process in _servers_of(job):
            return process
        time.sleep(0.1)
    pytest.fail("no temporary server was started")


def _runs(process: Path) -> bool:
    try:
        return b"prefect.server.api.server" in (process / "cmdline").read_bytes()
    except OSError:
        return False


def _goes(process: Path) -> bool:
    """Wait for the end of a server whose command has ended."""
    end = time.monotonic() + GONE_S
    while _runs(process) and time.monotonic() < end:
        time.sleep(0.1)
    return not _runs(process)


def _listens_at_once(server: Path) -> bool:
    """Whether a server that has just been started has its port already, which its command line tells everybody."""
    sockets = set()
    for one in (server / "fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # what it is reading meanwhile
            sockets.add(str(one.readlink()).removeprefix("socket:").strip("[]"))
    lines = map(str.split, Path("/proc/net/tcp").read_text().splitlines()[1:])
    return any(line[9] in sockets for line in lines if line[3] == _LISTENING)


def test_kill_9_leaves_no_server_behind(demo_job: Job) -> None:
    """Its environment holds neither key nor password, its port is its own, and when the command is killed it goes."""
    demo_job.write_manifest(demo_job.inventory()[:2])
    process = _alone(demo_job, "killed")
    server = _server_of(demo_job)
    listens = _listens_at_once(server)
    environment = (server / "environ").read_bytes()
    process.kill()

    assert _goes(server)
    assert listens
    assert b"PREFECT_HOME=" in environment
    assert KEY.encode() not in environment
    assert PASSWORD.encode() not in environment


def test_ctrl_c_while_the_server_starts(demo_job: Job) -> None:
    """The server starts while the plan is made; an interruption then changes nothing and leaves nothing running."""
    demo_job.write_manifest(demo_job.inventory()[:2])
    process = _alone(demo_job, "early")
    server = _server_of(demo_job)
    os.killpg(process.process.pid, signal.SIGINT)
    done = process.end()

    assert 130 == done.code, done.err
    assert "Traceback" not in done.err
    assert _goes(server)  # at once, or a moment after the command, where it was interrupted while it started it


def test_an_invalid_manifest_leaves_no_server(demo_job: Job) -> None:
    """What was started ahead of a plan that cannot be made ends with the command."""
    demo_job.write_manifest([{"orthanc_id": "none"}])
    process = _alone(demo_job, "invalid")
    seen = set()  # the plan may fail before anybody sees the server
    while process.poll() is None:
        seen |= _servers_of(demo_job)
        time.sleep(0.02)
    done = process.end()

    assert 2 == done.code, done.err
    assert all(map(_goes, seen | _servers_of(demo_job)))
    assert not (demo_job.root / "runs" / "invalid").exists()


@pytest.mark.long
def test_a_server_that_does_not_start(demo_job: Job) -> None:
    """What is wrong with it is told in a sentence, and `resume` finishes the run when that is mended."""
    demo_job.write_manifest(demo_job.inventory()[:2])
    nowhere = f"sqlite+aiosqlite:///{demo_job.root / 'nowhere' / 'prefect.db'}"
    demo_job.environment = {"PREFECT_HOME": str(demo_job.root / "home"), "PREFECT_API_URL": ""}
    database = {"PREFECT_API_DATABASE_CONNECTION_URL": nowhere}
    done = demo_job.start("run", "job.yaml", "--run-id", "none", variables=database, alone=True).end()

    assert 3 == done.code, done.err
    assert "Prefect's temporary server did not start: " in done.err
    assert "unable to open database file" in done.err
    assert "deidflow resume" in done.err
    assert "Traceback" not in done.err


@pytest.mark.long
@pytest.mark.parametrize(("content", "reason"), [("newer", "Can't locate revision"), ("damaged", "not a database")])
def test_a_home_whose_database_cannot_be_used(demo_job: Job, content: str, reason: str) -> None:
    """What a newer Prefect has migrated, or what is damaged, is told with the folder and the remedy."""
    demo_job.write_manifest(demo_job.inventory()[:2])
    home = demo_job.root / "home"
    home.mkdir()
    if content == "damaged":
        (home / "prefect.db").write_bytes(b"no database" * 1000)
    else:
        with contextlib.closing(sqlite3.connect(home / "prefect.db")) as database, database:
            database.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
            database.execute("INSERT INTO alembic_version VALUES ('ffffffffffff')")
    demo_job.environment = {"PREFECT_HOME": str(home), "PREFECT_API_URL": ""}
    done = demo_job.start("run", "job.yaml", "--run-id", "none", alone=True).end()

    assert 3 == done.code, done.err
    assert reason in done.err
    assert f"if its database in {home} is damaged, or was used by a newer Prefect, set PREFECT_HOME to" in done.err

    demo_job.environment = {"PREFECT_HOME": str(demo_job.root / "another"), "PREFECT_API_URL": ""}
    resumed = demo_job.start("resume", "runs/none", alone=True).end()
    assert 0 == resumed.code, resumed.err


def test_a_named_server_that_does_not_answer(demo_job: Job) -> None:
    """What to look at is told, and with --debug what of Prefect's raised, from what, and where; texts are not."""
    demo_job.write_manifest(demo_job.inventory()[:2])
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}/api"
        demo_job.environment = demo_job.environment | {"PREFECT_API_URL": url, "PREFECT_CLIENT_MAX_RETRIES": "0"}
        done = demo_job("run", "job.yaml", "--run-id", "none", "--debug")

    assert 3 == done.code, done.err
    assert "Prefect ended the run before its time" in done.err
    assert "deidflow resume" in done.err
    assert "which was raised from:" in done.err
    assert "\nConnectError\n" in done.err
    assert "Connection refused" not in done.err


@pytest.mark.long
def test_one_server_is_enough(demo_job: Job) -> None:
    """The run reports to the server that was started ahead of it."""
    demo_job.write_manifest(demo_job.inventory()[:2])
    process = _alone(demo_job, "one")
    ahead = _server_of(demo_job)
    seen = {ahead}
    while process.poll() is None:
        seen |= _servers_of(demo_job)
        time.sleep(0.1)
    done = process.end()

    assert 0 == done.code, done.err
    assert {ahead} == seen
    assert _goes(ahead)


_ASK: Final = """
import os, httpx
from deidflow.flows.own_server import use_own_server
def heartbeat():
    from prefect.settings import get_current_settings
    return get_current_settings().flows.heartbeat_frequency
before = heartbeat()
with use_own_server() as url:
    print(before, heartbeat(), bool(url))
    login = tuple(os.environ["PREFECT_API_AUTH_STRING"].split(":"))
    logins = None, ("admin", "of-the-site"), login
    print([httpx.post(f"{url}/flow_runs/count", auth=auth).status_code for auth in logins])
    print(httpx.post(f"{url}/block_types/filter", json={}, auth=login).json())
print(heartbeat())
"""


@pytest.mark.long
def test_a_server_of_its_own_gets_no_heartbeats_has_no_blocks_and_answers_nobody_else(tmp_path: Path) -> None:
    """Prefect waits for the next heartbeat when a flow ends; other users of the machine reach the server, too.

    And it takes no time to make what no run uses.
    """
    variables = {**os.environ, "PREFECT_HOME": str(tmp_path), "PREFECT_API_URL": ""}
    variables["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"] = "30"
    variables |= {f"PREFECT_{whose}API_AUTH_STRING": "admin:of-the-site" for whose in ("", "SERVER_")}
    done = subprocess.run([sys.executable, "-c", _ASK], env=variables, capture_output=True, text=True, check=False)

    assert ["30 None True", "[401, 401, 200]", "[]", "30"] == done.stdout.splitlines(), done.stderr


_BY_DEFAULT: Final = """
from deidflow.flows import bulk_edit as b
print([one.retries for one in (b.bulk_edit, b.load, b.publish)])
print([one.persist_result for one in (b.bulk_edit, b.load, b.plan, b.apply, b.verify, b.publish)])
"""


def test_nothing_is_tried_again_or_kept_by_a_setting_of_the_site() -> None:
    """What is tried again the config says; another flow run would be another run over the same sources.

    What a run has to tell stands in its folder; nobody would look after it in Prefect's storage.
    """
    variables = {**os.environ, "PREFECT_FLOWS_DEFAULT_RETRIES": "2", "PREFECT_TASKS_DEFAULT_RETRIES": "3"}
    variables |= {f"PREFECT_{name}": "true" for name in ("RESULTS_PERSIST_BY_DEFAULT", "TASKS_DEFAULT_PERSIST_RESULT")}
    command = [sys.executable, "-c", _BY_DEFAULT]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)

    assert [str([0] * 3), str([False] * 6)] == done.stdout.splitlines(), done.stderr


def test_prefect_gets_a_home_for_its_owner_alone_and_tells_nobody(tmp_path: Path) -> None:
    """Whatever the umask; so is `runs_dir`, where that is the only place for it."""
    umask = os.umask(0)
    try:
        for variable in ("XDG_STATE_HOME", "NOWHERE"):
            with patch.dict(os.environ, {variable: str(tmp_path / "state"), "HOME": "/proc/none"}):
                for name in {"PREFECT_HOME", "XDG_STATE_HOME", "DO_NOT_TRACK"} - {variable}:
                    os.environ.pop(name, None)
                prepare_prefect(tmp_path / "runs")
                assert ("1", "false") == (os.environ["DO_NOT_TRACK"], os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"])
    finally:
        os.umask(umask)

    made = {str(path.relative_to(tmp_path)): stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*")}
    assert {"state/deidflow/prefect": 0o700, "runs/.prefect": 0o700, "runs": 0o700}.items() <= made.items()


def test_settings_that_prefect_refuses_are_no_bug(job: Job) -> None:
    """It says itself which one, and why; we say where to look."""
    job.write_config()
    process = job.start("serve", "job.yaml", variables={"PREFECT_API_REQUEST_TIMEOUT": "soon"}, alone=True)
    done = process.end()

    assert 3 == done.code, done.err
    assert "request_timeout" in done.err
    assert "mend the variables PREFECT_*" in done.err
    assert "bug" not in done.err


_PROXIES: Final = """
import os, sys
from deidflow.flows.prefect_environment import prepare_prefect
for url, proxy in zip(sys.argv[1::2], sys.argv[2::2]):
    os.environ.update(PREFECT_API_URL=url, ALL_PROXY=proxy, no_proxy="", NO_PROXY="intranet.example")
    prepare_prefect()
    import httpx
    httpx.Client().close()
    print(os.environ["NO_PROXY"])
"""


def test_a_proxy_that_no_client_can_use_is_passed_over(tmp_path: Path) -> None:
    """One for the internet is in nobody's way to a server of this machine: not SOCKS, nor one without an address."""
    variables = {**os.environ, "PREFECT_HOME": str(tmp_path)}
    of_here = [("http://localhost:4200/api", SOCKS), ("http://127.0.0.1:4200/api", "http://proxy.example:port")]
    pairs = [*of_here, ("https://prefect.example/api", NOBODY)]
    command = [sys.executable, "-c", _PROXIES, *itertools.chain.from_iterable(pairs)]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)

    assert ["*", "*", "intranet.example,127.0.0.1,localhost,::1"] == done.stdout.splitlines(), done.stderr


@pytest.mark.long
def test_ctrl_c_in_a_terminal(job: Job) -> None:
    """A terminal sends it to every process of the command: exit code 130 within seconds, a report, no traceback."""
    generate(job.source, 1000, 8 << 10, shape=Shape(patients=20))
    job.write_config()
    job.write_manifest(job.inventory())
    process = _alone(job, "stopped")
    server = _server_of(job)
    end = time.monotonic() + COMMAND_S
    while sum(1 for _ in job.destination.rglob("*.dcm")) < 100:
        assert time.monotonic() < end
        time.sleep(0.02)
    stopped_at = time.monotonic()
    os.killpg(process.process.pid, signal.SIGINT)
    done = process.end()
    stopped_s = time.monotonic() - stopped_at

    assert 130 == done.code, done.err
    assert stopped_s < stop_limit_s()
    assert "deidflow resume" in done.err
    assert "Traceback" not in done.err
    assert (job.root / "runs" / "stopped" / "summary.json").exists()
    assert _goes(server)


def test_a_lost_server_is_no_traceback(caplog: pytest.LogCaptureFixture) -> None:
    """Of what Prefect logs when it cannot reach its server nothing is shown; of other errors all is."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
    say_lost_server_once()
    logger = logging.getLogger("prefect.engine")
    try:
        try:
            httpx.get(f"http://127.0.0.1:{port}/api")
        except httpx.ConnectError:
            logger.exception("unreachable")
        try:
            int("")
        except ValueError:
            logger.exception("another")
        logger.error("no exception")
        logger.error("a failure that was returned", exc_info=True)  # noqa: LOG014 (Prefect does it)
    finally:
        logger.filters.clear()

    assert ["another", "no exception"] == [record.message for record in caplog.records]


def test_a_server_of_its_own_that_fails_is_not_looked_for_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where SQLite has no room for its temporary files, what it cannot store is lost."""
    assert "PREFECT_API_URL" in own_server.what_to_look_at()
    monkeypatch.setattr(own_server, "_server", SimpleNamespace(is_used=True))
    monkeypatch.setenv("TMPDIR", "/full")
    assert "room for temporary files in /full," in own_server.what_to_look_at()
