"""Runs that are being worked on in this process: what tasks share that no Prefect parameter may hold.

Prefect stores parameters; so a task gets a run folder's path and a number, and finds the open ledger, the key and the
engine here.

The command hands the folder of a frozen run to the flow here, too, since a parameter of the flow could be given by
whoever reaches Prefect's API.

Public names: ``Live``, ``live_run``, ``going_live``, ``handing_over``, ``handed_over``.
"""

from __future__ import annotations

import contextlib
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.errors import Interrupted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from deidflow.tasks.core.engine.protocol import Engine
    from deidflow.tasks.core.errors import DeidflowError
    from deidflow.tasks.core.report.totals import Totals
    from deidflow.tasks.steps.run.progress import Progress
    from deidflow.tasks.steps.run.run_folder import Run


@dataclass(slots=True)
class Live:
    """An open run while it is worked on.

    Attributes:
        run: The run.
        progress: Shows how far it is.
        engine: Set while chunks are done.
        at_work: Numbers of the chunks that the engine is at; 0 while results are read back.
        errors: What ended the last attempt at a chunk, by its number.
        failure: What ended the work before its time.
        totals: Of the last report.

    """

    run: Run
    progress: Progress
    engine: Engine | None = None
    at_work: set[int] = field(default_factory=set)
    errors: dict[int, DeidflowError] = field(default_factory=dict)
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


_handed_over: Final[ContextVar[Path | None]] = ContextVar("handed_over", default=None)


@contextlib.contextmanager
def handing_over(folder: Path) -> Iterator[None]:
    """Have the flow that the block calls work on a run folder with a frozen plan."""
    token = _handed_over.set(folder)
    try:
        yield
    finally:
        _handed_over.reset(token)


def handed_over() -> Path | None:
    """Return the run folder that the flow was called for, None when it was called for a config."""
    return _handed_over.get()
