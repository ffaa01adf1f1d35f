"""What Prefect must find in the environment before it is imported; a user's own settings win.

Public names: ``prepare_prefect``, ``stop_own_server``.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import Any, Final

_DEFAULTS: Final = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    # The default of 20 s is hit on a cold machine.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    "PREFECT_LOGGING_LEVEL": "WARNING",
    "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
    "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "false",
}


def prepare_prefect() -> None:
    """Set Prefect's home to the user's state folder, and quiet, private defaults."""
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    home = Path(os.environ.setdefault("PREFECT_HOME", str(state / "deidflow" / "prefect")))
    with contextlib.suppress(OSError):  # Prefect says itself what is wrong with it
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)


def stop_own_server() -> None:
    """End the server that Prefect started for this process alone, if any; it would outlive an abrupt end.

    Prefect itself does so at exit only, and has no public way to ask for it.
    """
    module: Any = sys.modules.get("prefect.server.api.server")
    if module is None:
        return
    for server in list(module.SubprocessASGIServer._instances.values()):  # noqa: SLF001
        if server.server_process is not None:
            server.server_process.terminate()
