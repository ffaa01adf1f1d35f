"""Runs that are being worked on in this process: what tasks share that no Prefect parameter may hold.

Prefect stores parameters; so a task gets a run folder's path and a number, and finds the open ledger, the key and the
engine here.

The command hands an open run to the flow here, too, since a parameter of the flow could be given by whoever reaches
Prefect's API; and so does the task that freezes a plan, since Prefect keeps results.

Public names: ``Live``, ``live_run``, ``going_live``, ``handing_over``, ``handed_over``, ``leave_open``, ``take_open``.
"""

from __future__ import annotations

import contextlib
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.errors import Interrupted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deidflow.tasks.core.engine.protocol import Engine
    from deidflow.tasks.core.errors import DeidflowError
    from deidflow.tasks.core.report.totals import Totals
    from deidflow.tasks.steps.run.progress import Progress
    from deidflow.tasks.steps.run.run import Run
    from deidflow.tasks.steps.verify import Verification


@dataclass(slots=True)
class Live:
    """An open run while it is worked on.

    Attributes:
        run: The run.
        progress: Shows how far it is.
        engine: Set while chunks are done.
        verification: Set while chunks are done and results are looked at; None where nobody looks at them.
        at_work: Numbers of the chunks that the engine is at; 0 while results are read back.
        errors: What ended the last attempt at a chunk, by its number.
        unverified: What ended the last attempt at verifying.
        failure: What ended the work before its time.
        totals: Of the last report.

    """

    run: Run
    progress: Progress
    engine: Engine | None = None
    verification: Verification | None = None
    at_work: set[int] = field(default_factory=set)
    errors: dict[int, DeidflowError] = field(default_factory=dict)
    unverified: DeidflowError | None = None
    failure: DeidflowError | None = None
    totals: Totals | None = None


_live: dict[str, Live] = {}


@contextlib.contextmanager
def going_live(live: Live) -> Iterator[str]:
    """Make a run known to this process's tasks; yield the text that they find it by."""
    name = str(live.run.folder)
    _live[name] = live
    try:
        yield name
    finally:
        del _live[name]


def live_run(name: str) -> Live:
    """Return a run of this process.

    Raises:
        Interrupted: It is no longer worked on: this task slept before another attempt when the run was stopped.

    """
    try:
        return _live[name]
    except KeyError:
        raise Interrupted("the run was stopped") from None


_handed_over: Final[ContextVar[Run | None]] = ContextVar("handed_over", default=None)


@contextlib.contextmanager
def handing_over(run: Run) -> Iterator[None]:
    """Have the flow that the block calls work on an open run with a frozen plan, and leave it open."""
    token = _handed_over.set(run)
    try:
        yield
    finally:
        _handed_over.reset(token)


def handed_over() -> Run | None:
    """Return the run that the flow was called for, None when it was called for a config."""
    return _handed_over.get()


_left_open: Final[dict[str, Run]] = {}


def leave_open(run: Run) -> str:
    """Leave an open run to the flow of this process; return the text that it is found by."""
    name = str(run.folder)
    _left_open[name] = run
    return name


def take_open(name: str) -> Run:
    """Return a run that was left open, once."""
    return _left_open.pop(name)
