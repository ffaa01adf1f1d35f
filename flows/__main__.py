"""``python -m flows`` is the command ``deidflow``; so is the console script, which comes in here.

So does each run of a service, whose process Prefect starts: ``multiprocessing`` loads the parent's program there first.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from typing import TYPE_CHECKING

from deidflow.flows.answers.standard_error import make_unfailing, shout
from deidflow.flows.answers.utf8 import use_utf8
from deidflow.tasks.core.processes.collector import relax_collector
from deidflow.tasks.core.processes.libraries import quiet_libraries

if TYPE_CHECKING:
    from types import FrameType

if multiprocessing.current_process().name != "MainProcess":  # parent_process() is known only later
    # Ctrl-C reaches the run of a service, too, and would be told with a traceback while it is being loaded; the service
    # stops it with SIGTERM. From the moment on that it works it answers both, see flows/signals.py.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    quiet_libraries()


def main() -> None:
    """Run the command; Ctrl-C while it is still being loaded is answered in plain words, too."""
    use_utf8()
    make_unfailing()
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:  # else it is to be ignored, as in the background of a script
        signal.signal(signal.SIGINT, _leave)
    relax_collector()
    from deidflow.flows.cli import main as run  # noqa: PLC0415 (takes a moment, in which Ctrl-C may come)

    signal.signal(signal.SIGINT, before)
    run()


def _leave(number: int, frame: FrameType | None) -> None:
    """End at once: an exception would be lost where an import is at work in the callback of a weak reference."""
    del number, frame
    shout(b"interrupted; nothing was changed\n")
    os._exit(130)


if __name__ == "__main__":
    main()
