"""A pool of processes tells whoever waits when one of them is killed."""

from __future__ import annotations

import multiprocessing.forkserver
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, Any

import pytest

from deidflow.tasks.core.errors import Interrupted
from deidflow.tasks.core.processes.pool import make_pool, stop_pool
from deidflow.tasks.core.processes.workers import LocalWorkers

if TYPE_CHECKING:
    from pathlib import Path

LIMIT_S = 60


def test_work_that_was_dropped_hides_no_killed_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process is killed while work that was dropped still waits: nobody else waits for ever, and no thread fails."""
    failed: list[object] = []
    monkeypatch.setattr(threading, "excepthook", failed.append)
    pool = make_pool(1)
    try:
        path = tmp_path / "pid"
        running = pool.submit(_write_and_sleep, path)
        dropped, waiting = ([pool.submit(time.sleep, 0) for _ in range(4)] for _ in range(2))
        end = time.monotonic() + LIMIT_S
        while not path.exists() and time.monotonic() < end:
            time.sleep(0.01)
        cancelled = [one.cancel() for one in dropped]
        os.kill(int(path.read_text()), signal.SIGKILL)

        for future in (running, *waiting):
            with pytest.raises(BrokenProcessPool):
                future.result(LIMIT_S)
        assert True in cancelled  # the first ones are on their way to the process
    finally:
        stop_pool(pool)

    assert [] == failed


def test_the_server_of_processes_dies_while_it_starts_one() -> None:
    """As by the kernel, for want of memory: it is started again, and so is the process; nobody takes it for Ctrl-D."""
    first = LocalWorkers(1, ())
    assert os.getpid() != first.submit(_own_number, None).result(LIMIT_S)
    first.close()
    server: Any = multiprocessing.forkserver._forkserver
    pid = server._forkserver_pid
    os.kill(pid, signal.SIGSTOP)  # so that it has been asked for a process, and has not answered
    workers = LocalWorkers(1, ())
    killing = threading.Timer(0.3, os.kill, [pid, signal.SIGKILL])
    killing.start()
    try:
        number = workers.submit(_own_number, None).result(LIMIT_S)
    finally:
        killing.join()
        workers.close()

    assert number not in {os.getpid(), pid}


_KILLED_AT_A_START = """
import multiprocessing.popen_forkserver, os, signal, time
from deidflow.tasks.core.processes.pool import make_pool

def killed(descriptor, *_, **__):
    os.write(descriptor, data[:{told}])
    os.kill(os.getpid(), signal.SIGKILL)

pool = make_pool(2)
data = b"\\x80\\x04\\x95" + bytes(9)  # as a pickle begins
pool.submit(os.getpid).result()
pool.submit(time.sleep, 60)
multiprocessing.popen_forkserver.open = killed
pool.submit(time.sleep, 60)
"""


@pytest.mark.parametrize("told", [0, 4])
def test_a_run_is_killed_while_it_starts_a_process(told: int) -> None:
    """The process, told nothing or half of what it is to do, ends without a traceback."""
    script = _KILLED_AT_A_START.format(told=told)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=LIMIT_S)

    assert -signal.SIGKILL == done.returncode
    assert "Traceback" not in done.stderr


def test_processes_that_are_started_ahead() -> None:
    """They do the work, and nobody waits for them: closed while they start, they end, and nothing is left."""
    with LocalWorkers(2, ()) as workers:
        workers.prepare()
        assert os.getpid() != workers.submit(_own_number, None).result(LIMIT_S)
    with LocalWorkers(2, ()) as closed:
        closed.prepare()
    with pytest.raises(Interrupted):
        closed.submit(_own_number, None)
    end = time.monotonic() + LIMIT_S
    while any(one.is_alive() for one in multiprocessing.active_children()):
        assert time.monotonic() < end
        time.sleep(0.02)


def _own_number(_: None) -> int:
    return os.getpid()


def _write_and_sleep(path: Path) -> None:
    part = path.with_suffix(".part")
    part.write_text(str(os.getpid()))
    part.rename(path)
    time.sleep(LIMIT_S)


def test_a_process_that_is_killed_leaves_no_warning() -> None:
    """Python's helper removes the semaphores of a run that was killed, and says nothing of it on the terminal."""
    script = (
        "import multiprocessing, os, signal\n"
        "from deidflow.tasks.core.processes.pool import start_tracker\n"
        "start_tracker()\n"
        "held = multiprocessing.get_context('spawn').Lock()\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    # The helper has standard error open until its end.
    killed = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True, timeout=60)

    assert (-signal.SIGKILL, "") == (killed.returncode, killed.stderr)
