"""The real command under injury: how it is started, ended and taken up again, and what is noted about it.

Public names: ``Process``, ``Verdict``, ``start``, ``end``, ``again``, ``COMMAND_S``.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from tests.faults.zygote import Forked
from tests.jobs import Finished, Job

if TYPE_CHECKING:
    from collections.abc import Mapping

Process = subprocess.Popen[bytes] | Forked

COMMAND_S: Final = 150.0
"""A command that takes longer hangs."""


class AnyMoment(Protocol):
    """What every moment has."""

    @property
    def seed(self) -> int:
        """Draws it again."""

    @property
    def injury(self) -> str:
        """Its name."""


@dataclass
class Verdict:
    """What became of one moment.

    Attributes:
        moment: Of it.
        struck: Whether the injury hit anything.
        problems: What is not as it should be.
        codes: Exit codes of all commands.
        stopped_s: From the first signal to the end of the command, 0 where none was sent.
        early: Whether Python itself may still have been starting.

    """

    moment: AnyMoment
    struck: bool = False
    problems: list[str] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)
    stopped_s: float = 0.0
    early: bool = False


def start(job: Job, *arguments: object, variables: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Start the command; it writes to out.txt and err.txt of its job, since a pipe would outlive it."""
    environment = job.full_environment() | dict(variables or {})
    with (job.root / "out.txt").open("wb") as out, (job.root / "err.txt").open("wb") as err:
        return subprocess.Popen(
            job.command(*arguments), env=environment, cwd=job.root, stdout=out, stderr=err, start_new_session=True
        )


def end(job: Job, process: Process) -> Finished:
    """Wait for its end.

    Raises:
        subprocess.TimeoutExpired: It hangs, and was killed.

    """
    try:
        process.wait(COMMAND_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise
    out, err = ((job.root / name).read_text("utf-8", "replace") for name in ("out.txt", "err.txt"))
    assert process.returncode is not None
    return Finished(process.returncode, out, err)


def again(job: Job, run_id: str) -> tuple[object, ...]:
    """Return how a user goes on."""
    run_dir = job.root / "runs" / run_id
    if (run_dir / "ledger.db").exists():
        return "resume", run_dir
    return "run", "job.yaml", "--run-id", run_id
