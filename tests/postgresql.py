"""A PostgreSQL of Debian's for a test, in a folder of its own.

Public names: ``postgresql``, ``missing``.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_FOLDERS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
_NOBODY = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
"""PostgreSQL refuses to work for root."""


def missing() -> str:
    """Say why there is none, "" when there is one."""
    return "" if _FOLDERS and shutil.which("setpriv") else "NO POSTGRESQL: Debian: apt-get install postgresql"


@contextlib.contextmanager
def postgresql(folder: Path, user: str, password: str, database: str) -> Iterator[int]:
    """Start a server with one user and one database; yield its port on the loopback interface.

    Args:
        folder: Not there yet; every folder above it can be entered by anybody.
        user: Its only one.
        password: Of the user.
        database: Made for the user.

    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder.mkdir()
    (folder / "password").write_text(password)
    shutil.chown(folder, 65534, 65534)
    shutil.chown(folder / "password", 65534, 65534)
    data = folder / "data"

    def ask(program: str, *arguments: str) -> None:
        command = [*_NOBODY, str(_FOLDERS[-1] / program), *arguments]
        subprocess.run(command, check=True, capture_output=True, cwd=folder, env={"PGPASSWORD": password})

    ask("initdb", "-D", str(data), "-U", user, "--auth=scram-sha-256", f"--pwfile={folder / 'password'}")
    options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={folder} -c fsync=off"
    ask("pg_ctl", "-D", str(data), "-w", "-l", str(folder / "log.txt"), "-o", options, "start")
    try:
        ask("createdb", "-h", "127.0.0.1", "-p", str(port), "-U", user, database)
        yield port
    finally:
        ask("pg_ctl", "-D", str(data), "-w", "-m", "immediate", "stop")
