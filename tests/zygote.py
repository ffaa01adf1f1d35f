"""The real command without the second that its imports take: a process that has imported everything, and forks.

What is forked runs ``flows.cli.main`` with arguments, environment and folder of its own, in a session of its own.
Its hash seed is that of its parent: what may depend on it is tried with commands of their own (``Job.start``).

Public names: ``Zygote``, ``Forked``.
"""

# ruff: noqa: PLC0415 (Prefect reads its environment when it is imported)

from __future__ import annotations

import atexit
import contextlib
import ctypes
import importlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from tests.fork_servers import Spare

_POLL_S = 0.01
_IMPORTED = (
    "deidflow.flows.bulk_edit",
    "deidflow.flows.cli",
    "deidflow.flows.commands.inventory",
    "deidflow.flows.commands.plan",
    "deidflow.flows.commands.report",
    "deidflow.flows.commands.run",
    "deidflow.flows.commands.verify",
    "deidflow.tasks.orthanc.store",
    "prefect.flow_engine",
    "prefect.task_engine",
    "prefect.telemetry.run_telemetry",
    "prefect.utilities.visualization",
    "anyio._backends._asyncio",
    "anyio.streams.tls",
    "fastapi.encoders",
    "multiprocessing.popen_forkserver",
    "multiprocessing.synchronize",
    "numpy.ma",
)
"""What commands import when they need it."""
_START_S = 240.0
"""Prefect is imported before the first command is forked, which takes a very busy machine more than a minute."""
_PROJECT = Path(__file__).parents[1]


class Forked:
    """A running command; what tests need of ``subprocess.Popen``."""

    def __init__(self, pid: int) -> None:
        """Take its number."""
        self.pid = pid
        self.returncode: int | None = None
        self._ended = threading.Event()

    def end(self, code: int) -> None:
        """Note how it ended."""
        self.returncode = code
        self._ended.set()

    def poll(self) -> int | None:
        """Return how it ended, None while it runs."""
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end."""
        if not self._ended.wait(timeout):
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)


class Zygote:
    """Starts commands; a context manager, safe for threads."""

    def __init__(self, environment: dict[str, str]) -> None:
        """Take the environment that Prefect reads when it is imported; what it names holds for every command."""
        self._own = environment
        self._environment = os.environ | environment
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.zygote"],
            env=self._environment,
            cwd=_PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._lock = threading.Lock()
        self._running: dict[int, Forked] = {}
        self._started: dict[int, Forked] = {}
        self._requests = 0
        self._answered = threading.Condition()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._listener.join(30)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def fits(self, environment: dict[str, str]) -> bool:
        """Whether Prefect would read the same settings in this environment."""
        names = {name for name in (*environment, *self._environment) if name.startswith(("PREFECT_", "HOME", "XDG_"))}
        return all(environment.get(name) == self._environment.get(name) for name in names)

    def start(
        self,
        arguments: list[str],
        environment: dict[str, str],
        folder: Path,
        said: tuple[Path, Path],
        umask: int | None = None,
        given: Path | None = None,
    ) -> Forked:
        """Start the command in a folder; what it prints goes into two files, standard input may come from one."""
        request: dict[str, Any] = {
            "arguments": arguments,
            "environment": environment | self._own,
            "folder": str(folder),
            "said": [str(path) for path in said],
            "umask": umask,
            "given": str(given or os.devnull),
        }
        assert self._process.stdin is not None
        with self._lock, self._answered:
            self._requests += 1
            number = request["number"] = self._requests
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            # By number: after one that came too late, each answer would else be taken for that of the next request.
            while number not in self._started:
                if not self._answered.wait(_START_S):
                    raise TimeoutError
            return self._started.pop(number)

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            kind, pid, number = (word if word.isalpha() else int(word) for word in line.split())
            assert isinstance(pid, int)
            assert isinstance(number, int)
            with self._answered:
                if kind == "began":
                    self._running[pid] = self._started[number] = Forked(pid)
                    self._answered.notify_all()
                else:
                    self._running.pop(pid).end(number)


def _serve() -> None:
    """Fork a command for every line of standard input; say which processes began and ended."""
    from deidflow.flows.prefect_environment import prepare_prefect

    prepare_prefect(attended=True)
    for name in _IMPORTED:
        importlib.import_module(name)
    from prefect.client.schemas.actions import FlowRunCreate

    import tests.calls  # noqa: F401 (to be there when it is asked for)
    from deidflow.tasks.core.report.templates import page_templates
    from tests.fork_servers import Spare, freeze

    # Both are made when they are first used, and are the same in all commands.
    FlowRunCreate.model_rebuild()
    page_templates().get_template("report.html.j2")
    spare = Spare()
    freeze()
    selector = selectors.DefaultSelector()
    selector.register(0, selectors.EVENT_READ)
    children: set[int] = set()
    buffer = b""
    while True:
        if selector.select(_POLL_S):
            data = os.read(0, 1 << 16)
            if not data:
                break
            *lines, buffer = (buffer + data).split(b"\n")
            for line in lines:
                request = json.loads(line)
                pid = os.fork()
                if not pid:
                    _become(request, spare)
                children.add(pid)
                os.write(1, f"began {pid} {request['number']}\n".encode())
        for pid in list(children):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                children.remove(pid)
                os.write(1, f"ended {pid} {os.waitstatus_to_exitcode(status)}\n".encode())
    for pid in children:
        os.kill(pid, signal.SIGKILL)
    spare.close()


def _become(request: dict[str, Any], spare: Spare) -> None:
    """Be the command."""
    import deidflow.flows.cli
    from tests.calls import OUTPUT_VARIABLE, count_calls

    code = 1
    try:
        os.setsid()
        os.chdir(request["folder"])
        if request["umask"] is not None:
            os.umask(request["umask"])
        os.environ.clear()
        os.environ.update(request["environment"])
        tempfile.tempdir = None
        os.dup2(os.open(request["given"], os.O_RDONLY), 0)
        for number, name in enumerate(request["said"], 1):
            os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
        if "DEIDFLOW_FAULT_PLAN" in os.environ:
            ctypes.CDLL(None).deidflow_attach()
        if OUTPUT_VARIABLE in os.environ:
            count_calls(Path(os.environ[OUTPUT_VARIABLE]))
        spare.use()
        sys.argv = ["deidflow", *request["arguments"]]
        deidflow.flows.cli.main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    finally:
        # As at the end of any Python program: threads are waited for, and what atexit holds is run.
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    _serve()
