"""What all tests share: one Prefect server for the whole suite, started when the first worker asks for it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trustme
from filelock import FileLock
from hypothesis import settings

from tests.fork_servers import freeze
from tests.jobs import DEMO_DATA, Job
from tests.memory import IN_MEMORY
from tests.prefect_api import Api
from tests.zygote import Zygote

if TYPE_CHECKING:
    from collections.abc import Iterator

if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    # Under nohup. What tests start would ignore it, too, and is to answer it; a handler ends where a program starts.
    signal.signal(signal.SIGHUP, lambda *_: None)

# Tests assert no times: how long an example takes is the machine's business.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")

SERVER_START_SECONDS = 240  # 85 s were seen on a machine with ten times the work that it has cores for
SERVER_STOP_SECONDS = 10


def pytest_collection_finish() -> None:
    """Keep the collector off thousands of tests, which stay to the end."""
    freeze()


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all pytest-xdist workers of this run share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base


@pytest.fixture(scope="session")
def prefect_home(shared_folder: Path) -> Path:
    """Prefect's home folder, where everything that it stores ends up: in memory, since a slow disk locks its SQLite."""
    note = shared_folder / "prefect-home"
    with FileLock(f"{note}.lock"):
        if not note.exists():
            made = Path(tempfile.mkdtemp(prefix="deidflow-prefect-", dir=IN_MEMORY)) / "home"
            made.mkdir()
            note.write_text(str(made))
        return Path(note.read_text())


@pytest.fixture(scope="session")
def prefect_environment(shared_folder: Path, prefect_home: Path) -> Iterator[dict[str, str]]:
    """The environment of a command that uses the suite's Prefect server; the last worker to end stops the server."""
    note = shared_folder / "prefect-server"
    users = shared_folder / "prefect-users"
    with FileLock(f"{note}.lock"):
        users.write_text(str(int(users.read_text()) + 1) if users.exists() else "1")
        if not note.exists():
            prefect_home.mkdir(parents=True, exist_ok=True)
            note.write_text(start_prefect_server(prefect_home))
        process, port = note.read_text().split()
    authorities = prefect_home.parent / "authorities.pem"
    if not authorities.exists():
        trustme.CA().cert_pem.write_to_path(str(authorities))
    # Several runs at a time that send their logs make SQLite wait for up to a minute; who looks at them turns them on.
    yield {
        "PREFECT_HOME": str(prefect_home),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_LOGGING_LEVEL": "WARNING",
        "PREFECT_CLIENT_MAX_RETRIES": "5",  # this server is not dead, but busy
        # Prefect's client reads all authorities of the world for each of its four connections, of which none is TLS.
        "PREFECT_API_SSL_CERT_FILE": str(authorities),
    }
    with FileLock(f"{note}.lock"):
        left = int(users.read_text()) - 1
        users.write_text(str(left))
        if left == 0:
            _stop(int(process))
            shutil.rmtree(prefect_home.parent, ignore_errors=True)
            note.unlink()  # a worker may need a server for the first time only now


def _stop(process: int) -> None:
    """End a process that is no child of this one."""
    deadline = time.monotonic() + SERVER_STOP_SECONDS
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGTERM)
        while time.monotonic() < deadline:
            os.kill(process, 0)
            time.sleep(0.1)
        os.kill(process, signal.SIGKILL)


def start_prefect_server(home: Path, port: int = 0, variables: dict[str, str] | None = None) -> str:
    """Start `prefect server start` on a loopback port, 0 for any that is free; return its process and port.

    Args:
        home: Its PREFECT_HOME.
        port: To listen on.
        variables: More of its environment.

    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
        port = probe.getsockname()[1]
    environment = os.environ | {
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
        # Its pages ask port 4200 unless they are told otherwise.
        "PREFECT_SERVER_UI_API_URL": f"http://127.0.0.1:{port}/api",
        **(variables or {}),
    }
    log = home.parent / "prefect-server.log"
    prefect = Path(__file__).parent / "tools" / "prefect_server.py"
    # Through a shell, so that it is no child of this worker, which may end before the others.
    command = f'"{sys.executable}" -P "{prefect}" server start --host 127.0.0.1 --port {port} >"{log}" 2>&1 & echo $!'
    started = subprocess.run(
        ["/bin/sh", "-c", command],
        env=environment,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + SERVER_START_SECONDS
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return f"{started.stdout.strip()} {port}"
        time.sleep(0.2)
    _stop(int(started.stdout))
    message = f"the Prefect server did not start within {SERVER_START_SECONDS} s; see {log}"
    raise RuntimeError(message)


@pytest.fixture(scope="session")
def zygote(prefect_environment: dict[str, str]) -> Iterator[Zygote]:
    """What forks the commands of this worker."""
    with Zygote(prefect_environment) as forking:
        yield forking


@pytest.fixture
def api(job: Job) -> Iterator[Api]:
    """The API of the suite's server."""
    with contextlib.closing(Api(job.environment["PREFECT_API_URL"])) as client:
        yield client


@pytest.fixture
def job(tmp_path: Path, prefect_environment: dict[str, str], zygote: Zygote) -> Job:
    """A job without any files yet."""
    return Job(tmp_path, prefect_environment, zygote)


@pytest.fixture
def demo_job(job: Job) -> Job:
    """A job on the demo's data."""
    shutil.copytree(DEMO_DATA, job.source)
    job.write_config()
    return job
