"""One run of a served config at a time, and what becomes of a run whose process was killed.

Not by Prefect's concurrency limit of a deployment: that is a lease in the memory of its server, and Prefect 3.8.8
breaks off a run that cannot renew it (the server was started again, or is away for some minutes), and after a power cut
cancels every later night. A lock ends with its process, however that dies, and needs no server.

While a run is at work, the locked file beside the run folders holds its number in Prefect and the name of the machine.
Where it is there and not locked, that process is gone.

Public names: ``alone``, ``settle_killed``.
"""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, Final, NoReturn
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.states import Crashed

from deidflow.tasks.core.errors import DeidflowError, Interrupted, Unusable, os_error_text
from deidflow.tasks.core.files.locks import lock_beside

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from deidflow.tasks.core.config.config import Config

_AT_WORK: Final = (
    "not started, since an earlier run of this config is still at work; a later one does what this one would have "
    "done: wait for the schedule, or press Run once that run has ended; one that hangs is stopped with Cancel"
)
_KILLED: Final = (
    "its process was killed (kill -9, out of memory, a power cut); what it has done is in its run folder: deidflow "
    "runs shows what is left, deidflow resume finishes it"
)


@contextlib.contextmanager
def alone(config: Config, run: UUID | None) -> Iterator[None]:
    """Keep other runs of a served config from starting for the length of the block.

    A run that was killed in this place before is ``Crashed`` in Prefect from now on.

    Args:
        config: Of the run.
        run: The flow run; None for none.

    Raises:
        Interrupted: An earlier run of the config is at work.
        Unusable: The file of the lock cannot be made.

    """
    path = _path(config)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        text = f"report.runs_dir {path.parent} cannot be made: {os_error_text(error)}"
        raise Unusable(f"{text}; give the right to write there, or name another folder", error) from None
    with lock_beside(path, f"the config {config.name}", _refuse):
        _settle(path)
        if run is not None:
            with contextlib.suppress(OSError):  # a full disk: the lock holds without it
                path.write_text(f"{socket.gethostname()} {run}\n", encoding="utf-8")
        yield


def settle_killed(config: Config) -> None:
    """Have Prefect show a run that was killed as ``Crashed``, not as running for ever; one at work is left alone."""
    if _path(config).exists():  # else nothing is made where a file system may be mounted later
        with contextlib.suppress(DeidflowError), alone(config, None):
            pass


def _path(config: Config) -> Path:
    return config.report.runs_dir / f".{config.name}.served"


def _refuse() -> NoReturn:
    raise Interrupted(_AT_WORK)


def _settle(path: Path) -> None:
    """Tell Prefect of the run that held the lock before, where it did not come to give it back.

    One of another machine is left alone: not every shared file system lets one machine see the locks of another.
    """
    try:
        machine, number = path.read_text(encoding="utf-8").split()
        run = UUID(number)
    except (OSError, ValueError):  # nobody held it before
        return
    if machine != socket.gethostname():
        return
    # A server that is away, or does not know the run, keeps nothing from being done.
    with contextlib.suppress(Exception), get_client(sync_client=True) as client:
        state = client.read_flow_run(run).state
        if state is None or not state.is_final():
            client.set_flow_run_state(run, Crashed(message=_KILLED), force=True)
