"""The real command under injury: how it is taken up again, and what is noted about it.

Public names: ``Verdict``, ``again``, ``cancel``, ``note``, ``untrue``, ``kept``, ``remove_but``, ``CANCELLED``,
``UNKIND``.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from tests.prefect_api import Api

if TYPE_CHECKING:
    from pathlib import Path

    from tests.jobs import Job


CANCELLED: Final = "cancelled in Prefect"
UNKIND: Final = ("Traceback", "bug in deidflow", "please report it")
"""What no command says, whatever happens to it."""


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


def cancel(job: Job, run_id: str) -> bool:
    """Do what the button Cancel of Prefect does to a run; return whether it was there, begun and not ended."""
    with contextlib.closing(Api(job.environment["PREFECT_API_URL"])) as api:
        runs = api.runs(state={"type": {"any_": ["RUNNING"]}}, name={"like_": run_id})
        for run in runs:
            api.cancel(run["id"])
    return bool(runs)


def note(verdict: Verdict, code: int, said: str) -> None:
    """Add what a command ended with and said."""
    verdict.codes.append(code)
    verdict.problems += [f"says {text!r}: {said[-600:]}" for text in UNKIND if text in said]
    if code not in (-signal.SIGKILL, 0, 1, 2, 3, 130):
        verdict.problems.append(f"exit code {code}: {said[-600:]}")


def untrue(job: Job, run_id: str, code: int) -> list[str]:
    """Name what the summary of a run says that its exit code, or the summary itself, says otherwise."""
    path = job.root / "runs" / run_id / "summary.json"
    if code not in (0, 1, 130) or not path.exists():
        return []
    summary = json.loads(path.read_text(encoding="utf-8"))
    done, verified = summary["instances"]["done"], summary["verified"]
    found = []
    if verified["checks"] != "none" and verified["verified"] + verified["not_verified"] != done:
        found.append(f"{done} done, but verified: {verified}")
    if summary["reconciled"] and verified["not_verified"]:
        found.append(f"reconciled, but verified: {verified}")
    if code in (0, 1) and (code == 0) != summary["reconciled"]:
        found.append(f"exit code {code}, but reconciled: {summary['reconciled']}")
    return [f"summary.json is not true: {text}" for text in found]


def kept(root: Path, verdict: Verdict) -> set[Path]:
    """Say in the verdict which folder is kept for whoever looks into it; return what must not be removed.

    What the commands of a job printed lies beside its folder, see ``tests.jobs.Job.start``.
    """
    said = root.with_name(f"{root.name}-said")
    verdict.problems.append(f"kept: {root} and {said}")
    return {root, said}


def remove_but(folder: Path, kept_paths: set[Path]) -> None:
    """Remove what a folder holds but for some paths; itself, too, when it is empty then."""
    for path in set(folder.iterdir()) - kept_paths:
        shutil.rmtree(path, ignore_errors=True)
    with contextlib.suppress(OSError):
        folder.rmdir()
