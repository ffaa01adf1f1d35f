"""Programs that go on until they are stopped, each with what it starts: a session of its own, and a log.

Public names: ``start``, ``stop``, ``running``.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

_PATIENCE_S: Final = 40.0
"""Between Ctrl-C and ``kill -9``; a Prefect worker takes half of it on a busy machine."""


def start(
    command: Sequence[object], log: Path, environment: Mapping[str, str] | None = None, folder: Path | None = None
) -> subprocess.Popen[bytes]:
    """Start a program; what it says goes into a file."""
    with log.open("wb") as stream:
        return subprocess.Popen(
            list(map(str, command)),
            env=environment,
            cwd=folder,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a program and what it has started as Ctrl-C does, and the hard way if that takes too long."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGINT)
    try:
        process.wait(_PATIENCE_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextlib.contextmanager
def running(
    command: Sequence[object], log: Path, environment: Mapping[str, str] | None = None, folder: Path | None = None
) -> Iterator[None]:
    """Let a program run for the length of the block, see ``start``."""
    process = start(command, log, environment, folder)
    try:
        yield
    finally:
        stop(process)
