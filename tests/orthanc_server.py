"""A real Orthanc on a free loopback port, with its storage in memory, for as long as a ``with`` block lasts.

Public names: ``OrthancServer``, ``installed``, ``extra_roots``.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import httpx

from tests.memory import IN_MEMORY

if TYPE_CHECKING:
    from collections.abc import Mapping

BINARY = Path("/usr/sbin/Orthanc")
ROOTS_VARIABLE = "DEIDFLOW_TEST_ORTHANC_ROOTS"
"""Environment variable: folders made by ``tests/tools/install_orthanc.sh``, separated by a colon."""

START_S = 60.0
STOP_S = 30.0


def installed() -> bool:
    """Whether the system has an Orthanc of its own (Debian's package)."""
    return BINARY.exists()


def extra_roots() -> list[Path]:
    """Return the system roots that hold other versions of Orthanc."""
    named = [Path(name) for name in os.environ.get(ROOTS_VARIABLE, "").split(":") if name]
    return [root for root in named if (root / BINARY.relative_to("/")).exists()]


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class OrthancServer:
    """One server; use as a context manager, which starts it, stops it and removes its storage.

    Attributes:
        root: Of the system it runs in, None for this one; needs the right to call ``chroot``.
        settings: Of its configuration, beside the defaults here.
        arguments: Of its command line.
        url: Of its REST API, without a slash at the end.
        version: As it tells.

    """

    root: Path | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    url: str = ""
    version: str = ""
    _folder: Path = field(init=False, default=Path())
    _command: list[str] = field(init=False, default_factory=list)
    _process: subprocess.Popen[bytes] | None = field(init=False, default=None)

    def __enter__(self) -> Self:
        """Start it and wait until it answers."""
        parent = self.root / "tmp" if self.root else IN_MEMORY
        self._folder = Path(tempfile.mkdtemp(prefix="orthanc-", dir=parent))
        inside = Path("/") / self._folder.relative_to(self.root) if self.root else self._folder
        port = free_port()
        config = {
            "Name": "deidflow tests",
            "StorageDirectory": str(inside / "storage"),
            "IndexDirectory": str(inside / "storage"),
            "HttpPort": port,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "DicomServerEnabled": False,
            "Plugins": [],
            "OverwriteInstances": True,
            "SaveJobs": False,
            **self.settings,
        }
        (self._folder / "orthanc.json").write_text(json.dumps(config), "utf-8")
        self._command = [str(BINARY), *self.arguments, str(inside / "orthanc.json")]
        if self.root:
            self._command = ["chroot", str(self.root), *self._command]
        scheme = "https" if config.get("SslEnabled") else "http"
        self.url = f"{scheme}://127.0.0.1:{port}"
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def configure(self, **settings: Any) -> None:
        """Change settings, or leave those that are None to Orthanc; they hold from the next start on."""
        path = self._folder / "orthanc.json"
        changed = json.loads(path.read_text("utf-8")) | settings
        path.write_text(json.dumps({key: value for key, value in changed.items() if value is not None}), "utf-8")

    def start(self) -> None:
        """Start it, also again after a kill, and wait until it answers."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        self._wait()

    def _wait(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + START_S
        user = next(iter(dict(self.settings.get("RegisteredUsers", {})).items()), None)
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            try:
                # Its certificate, if any, is this test's own.
                answer = httpx.get(f"{self.url}/system", timeout=5.0, auth=user, verify=False)  # noqa: S501
                self.version = str(answer.json()["Version"])
            except (httpx.TransportError, ValueError):
                time.sleep(0.05)
            else:
                return
        message = f"Orthanc did not start:\n{self.log[-2000:]}"
        raise RuntimeError(message)

    @property
    def log(self) -> str:
        """What it logged since it was first started."""
        return (self._folder / "log").read_text("utf-8", "replace")

    @property
    def storage(self) -> Path:
        """The folder with its files and its index."""
        return self._folder / "storage"

    @property
    def is_running(self) -> bool:
        """Whether the process is alive."""
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(STOP_S)

    def stop(self) -> None:
        """End it at once and remove its storage: putting that in order first would take it two seconds."""
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self.stop()
