"""Runs that are being worked on in this process: what tasks share that no Prefect parameter may hold.

Prefect stores parameters; so a task gets a run folder's path and a number, and finds the open ledger, the key and the
engine here.

Public names: ``Live``, ``live_run``, ``going_live``.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deidflow.tasks.core.engine import Engine
    from deidflow.tasks.core.errors import DeidflowError
    from deidflow.tasks.core.verdict import Verdict
    from deidflow.tasks.progress import Progress
    from deidflow.tasks.run_folder import Run


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
        verdict: Of the last report.

    """

    run: Run
    progress: Progress
    engine: Engine | None = None
    at_work: set[int] = field(default_factory=set)
    errors: dict[int, DeidflowError] = field(default_factory=dict)
    failure: DeidflowError | None = None
    verdict: Verdict | None = None


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
        KeyError: It is not being worked on here.

    """
    return _live[name]
