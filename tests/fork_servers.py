"""The fork server of a command's worker processes without the second that its imports take: it is forked, too.

Python's fork server (``multiprocessing.forkserver``) is a fresh Python that imports what worker processes need. A spare
one has done so once for all commands of ``tests.zygote``, and nothing else, and forks a fork server for whoever asks.

Public names: ``Spare``, ``freeze``.
"""

# ruff: noqa: PLC0415 (the spare process imports what a fork server does, and the commands' zygote need not)

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import multiprocessing.forkserver
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
from multiprocessing import util
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_PROJECT: Final = Path(__file__).parents[1]
_PASSED: Final = 5
"""The fork server's listener and its pipe, and the three standard streams."""
_BY_WORKERS: Final = (
    "deidflow.tasks.core.processes.workers",
    "deidflow.tasks.local.folder.source",
    "deidflow.tasks.local.folder.store",
    "deidflow.tasks.orthanc.store",
)
"""What each worker imports when it is told what to do."""


def freeze() -> None:
    """Keep the collector off what is there: each fork would look at all of it, and so get a copy of its pages."""
    gc.collect()
    gc.freeze()


class Spare:
    """The spare fork server of a process whose forks are to use it; it ends with the last of them."""

    def __init__(self) -> None:
        """Start it."""
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind("")  # Linux chooses an abstract name
        self._listener.listen(16)
        self._name = self._listener.getsockname()
        alive, self._alive = os.pipe()
        with self._listener:
            self._process = subprocess.Popen(
                [sys.executable, "-B", "-m", "tests.fork_servers", str(self._listener.fileno()), str(alive)],
                cwd=_PROJECT,
                pass_fds=(self._listener.fileno(), alive),
            )
        os.close(alive)

    def close(self) -> None:
        """End it."""
        os.close(self._alive)
        self._process.wait(30)

    def use(self) -> None:
        """Take fork servers from it from now on, in this process."""
        server: Any = multiprocessing.forkserver._forkserver
        hooks: Any = util
        start, spawn = server.ensure_running, hooks.spawnv_passfds

        def spawn_or_ask(path: bytes, arguments: Sequence[str], descriptors: Sequence[int]) -> int:
            if "multiprocessing.forkserver" in arguments[-1]:
                return self._ask(descriptors)
            started: int = spawn(path, arguments, descriptors)
            return started

        def ensure_running() -> None:
            # As the real one does, for a process that is no child of this one.
            if server._forkserver_pid is not None:
                if Path(f"/proc/{server._forkserver_pid}").exists():
                    return
                os.close(server._forkserver_alive_fd)
                server._forkserver_address = server._forkserver_alive_fd = server._forkserver_pid = None
            start()

        hooks.spawnv_passfds = spawn_or_ask
        server.ensure_running = ensure_running

    def _ask(self, descriptors: Sequence[int]) -> int:
        """Return the process of a new fork server that has two descriptors and is otherwise as if started here."""
        mask = os.umask(0)
        os.umask(mask)
        asked = {"environment": dict(os.environ), "folder": str(Path.cwd()), "umask": mask}
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(self._name)
            text = json.dumps(asked).encode()
            socket.send_fds(client, [len(text).to_bytes(4, "big")], [*descriptors, 0, 1, 2])
            client.sendall(text)
            with client.makefile("rb") as answer:
                return int(answer.readline())


def _serve(listener: socket.socket, alive: int) -> None:
    """Fork a fork server for everyone who connects, until nobody is left who could."""
    from deidflow.tasks.core.processes.pool import _PRELOADED
    from deidflow.tasks.verification.leaks.common_words import is_common

    for name in (*_PRELOADED, *_BY_WORKERS):
        __import__(name)
    is_common("")  # its list is read when it is first used
    freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        selector.register(alive, selectors.EVENT_READ)
        while all(key.fileobj is listener for key, _ in selector.select()):
            client, _ = listener.accept()
            with client, contextlib.suppress(OSError):  # who asked may be gone
                length, descriptors, _, _ = socket.recv_fds(client, 4, _PASSED)
                with client.makefile("rb") as stream:
                    text = stream.read(int.from_bytes(length, "big"))
                # Who is killed while it asks says less than it announced, or nothing.
                pid = os.fork() if text and len(text) == int.from_bytes(length, "big") else None
                if pid == 0:
                    listener.close()
                    selector.close()
                    os.close(alive)
                    client.close()
                    _become(json.loads(text), descriptors)
                for descriptor in descriptors:
                    os.close(descriptor)
                if pid is not None:
                    client.sendall(f"{pid}\n".encode())


def _become(asked: dict[str, Any], descriptors: list[int]) -> None:
    """Be a fork server."""
    code = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        os.chdir(asked["folder"])
        os.umask(asked["umask"])
        os.environ.clear()
        os.environ.update(asked["environment"])
        tempfile.tempdir = None
        listener, alive, *streams = descriptors
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        if "DEIDFLOW_FAULT_PLAN" in os.environ:
            ctypes.CDLL(None).deidflow_attach()
        multiprocessing.forkserver.main(listener, alive, [])
        code = 0
    except SystemExit:
        code = 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    _serve(socket.socket(socket.AF_UNIX, fileno=int(sys.argv[1])), int(sys.argv[2]))
