"""The real command under injury: how it is taken up again, and what is noted about it.

Public names: ``Verdict``, ``again``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tests.jobs import Job


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


def again(job: Job, run_id: str) -> tuple[object, ...]:
    """Return how a user goes on."""
    run_dir = job.root / "runs" / run_id
    if (run_dir / "ledger.db").exists():
        return "resume", run_dir
    return "run", "job.yaml", "--run-id", run_id
