"""Prefect's temporary server: where no other is named, a run has one of its own, which ends with the command.

Prefect starts one by itself, but not as a run wants it: it hands it the whole environment, which holds key and
passwords; leaves it in the session of the command, so that Ctrl-C in a terminal ends it before the run that reports to
it; imports the server into the command as well, a second of a processor; and begins only when the flow does. So it is
started here, and Prefect is told its address.

Others on this machine reach that address, too, and see it in the list of processes. The port is held before the server
is started, or one of them could take it first and be told what is the server's; and the server has a password that is
drawn for it.

Public names: ``own_server_ahead``, ``use_own_server``, ``what_to_look_at``, ``stop_own_server``.
"""

from __future__ import annotations

import contextlib
import http.client
import importlib
import os
import re
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from typing import IO, TYPE_CHECKING, Any, Final

from deidflow.flows.prefect_environment import go_by_no_proxy, no_other_server, prepare_prefect
from deidflow.tasks.core.errors import Unusable, os_error_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_VARIABLES: Final = (
    "PREFECT_",
    "DO_NOT_TRACK",
    "PYTHON",
    "LC_",
    "LANG",
    "LD_LIBRARY_PATH",
    "PATH",
    "HOME",
    "TMPDIR",
    "TZ",
    "XDG_",
    "VIRTUAL_ENV",
)
"""Beginnings of the names that the server gets; keys and passwords have names of the user's choice."""
_OF_ITS_OWN: Final = {
    "PREFECT_UI_ENABLED": "0",
    "PREFECT__SERVER_EPHEMERAL": "1",
    "PREFECT__SERVER_FINAL": "1",
    "PREFECT_SERVER_API_BASE_PATH": "/api",
    # A run uses no blocks. Both: else it would import what may register some, to see whether there are new ones.
    "PREFECT_SERVER_REGISTER_BLOCKS_ON_START": "0",
    "PREFECT_SERVER_MEMOIZE_BLOCK_AUTO_REGISTRATION": "0",
}
"""What holds for it whatever the environment says of a server of the site."""
_ERROR: Final = re.compile(r"^(?:[\w.]+\.)?\w*(?:Error|Exception): .*$", re.MULTILINE)
_START_S: Final = 300.0
"""It takes two seconds of a processor, and six more where it makes its database: minutes on a machine full of work."""
_ANSWER_S: Final = 10.0
_POLL_S: Final = 0.05


class _OwnServer:
    """The server of this process.

    Attributes:
        is_used: Whether Prefect has been told its address; its threads speak to it until this process ends.
        login: User and password that it asks for.

    """

    def __init__(self) -> None:
        self.is_used = False
        self.login = ""
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._said: IO[bytes] | None = None

    def start(self, settings: dict[str, str]) -> None:
        """Start it, unless it runs; ``settings`` are Prefect's, beside those in the environment."""
        if self._process is not None and self._process.poll() is None:
            return
        self.login = f"deidflow:{secrets.token_urlsafe()}"
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 (it is the server's, and goes with it)
        with _listener() as listener:
            self._port = listener.getsockname()[1]
            own = {"PREFECT_SERVER_API_AUTH_STRING": self.login, **_OF_ITS_OWN}
            self._process = _launch(listener, settings | own, self._said)

    def take(self, settings: dict[str, str]) -> str:
        """Wait until it answers; return the URL of its API, to be used from now on.

        Raises:
            Unusable: It ended, or did not answer in time.

        """
        end = time.monotonic() + _START_S
        self.start(settings)
        while self._process is not None and self._process.poll() is None and time.monotonic() < end:
            if _is_healthy(self._port):
                self.is_used = True
                return f"http://127.0.0.1:{self._port}/api"
            time.sleep(_POLL_S)
        errors = _ERROR.findall(self._text())
        why = f": {errors[-1]}" if errors else f" within {_START_S:.0f} s, or ended before"
        home = os.environ["PREFECT_HOME"]
        raise Unusable(
            f"Prefect's temporary server did not start{why}; if its database in {home} is damaged, or was used by a "
            "newer Prefect, set PREFECT_HOME to another folder; look at the other variables PREFECT_*, or start a "
            "server with prefect server start, and set PREFECT_API_URL to its address"
        )

    def _text(self) -> str:
        """Return what it has said so far."""
        if self._said is None:
            return ""
        self._said.seek(0)
        return self._said.read().decode("utf-8", "replace")

    def stop(self) -> None:
        """End it, if it runs."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()  # what it has stored is stored, and nobody will ask it again
            process.wait()


_server: Final = _OwnServer()


def _listener() -> socket.socket:
    """Return a socket on a free port of this machine, which nobody else can take as long as the server has it."""
    try:
        listener = socket.create_server(("127.0.0.1", 0))
    except OSError as error:
        raise Unusable(f"Prefect's temporary server gets no port: {os_error_text(error)}") from None
    # uvicorn takes what is handed over for a Unix socket, and asyncio does this for others only.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _is_healthy(port: int) -> bool:
    """Ask Prefect's route for it."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_ANSWER_S)
    try:
        connection.request("GET", "/api/health")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _launch(listener: socket.socket, settings: dict[str, str], said: IO[bytes]) -> subprocess.Popen[bytes]:
    inherited = {name: value for name, value in os.environ.items() if name.startswith(_VARIABLES)}
    arguments = ["--factory", "prefect.server.api.server:create_app", "--fd", str(listener.fileno())]
    # Our end of the pipe is never written to; the system closes it when this process ends.
    theirs, _ = os.pipe()
    try:
        return subprocess.Popen(  # noqa: S603 (this Python, and no word of a user)
            # -P: nothing is imported from the folder where the command was started
            [sys.executable, "-P", "-m", "deidflow.flows.bound", "uvicorn", *arguments, "--log-level", "error"],
            env=inherited | settings,
            pass_fds=[listener.fileno()],
            stdin=theirs,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
    finally:
        os.close(theirs)


@contextlib.contextmanager
def own_server_ahead(runs_dir: Path) -> Iterator[None]:
    """Start the server now, where a run will need one for certain: it takes as long as planning does.

    It ends with the block, unless it is used by then.

    Args:
        runs_dir: See ``prepare_prefect``; nothing is made in it.

    """
    try:
        with contextlib.suppress(Unusable, OSError):
            if no_other_server():
                prepare_prefect(runs_dir, attended=True)
                _server.start({})
        yield
    finally:
        if not _server.is_used:
            _server.stop()


@contextlib.contextmanager
def use_own_server() -> Iterator[str]:
    """Have Prefect use the server of this process, which ends with it; imports Prefect.

    Heartbeats are off within the block: they are for automations, of which this server has none, and Prefect would wait
    for the end of their second when a flow has ended.

    Yields:
        The URL of its API, "" where the user has a server, or lets Prefect start none.

    Raises:
        Unusable: It does not start.

    """
    settings: Any = importlib.import_module("prefect.settings")
    current = settings.get_current_settings()
    if current.api.url or not current.server.ephemeral.enabled:
        yield ""
        return
    url = _server.take(current.to_environment_variables(exclude_unset=True))
    os.environ["PREFECT_API_URL"] = url
    go_by_no_proxy()
    os.environ["PREFECT_API_AUTH_STRING"] = _server.login
    os.environ["PREFECT_CLIENT_CUSTOM_HEADERS"] = "{}"  # the site's may hold another login, which would win
    importlib.import_module("prefect.context").refresh_global_settings_context()
    with settings.temporary_settings({settings.PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        yield url


def what_to_look_at() -> str:
    """Return what to look at when Prefect ends a run for no reason that it gives."""
    if not _server.is_used:
        return "see to it that its server (PREFECT_API_URL) is there"
    place = os.environ.get("TMPDIR") or tempfile.gettempdir()  # SQLite does not look for a better one
    return f"its temporary server failed: make room for temporary files in {place}, or set TMPDIR to another folder"


def stop_own_server() -> None:
    """End the server of this process, if any, before an abrupt end of this process."""
    _server.stop()
