"""``python -m flows`` is the command ``deidflow``; so is the console script, which comes in here."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from deidflow.flows.answers.standard_error import make_unfailing, shout
from deidflow.flows.answers.utf8 import use_utf8
from deidflow.tasks.core.processes.collector import relax_collector

if TYPE_CHECKING:
    from types import FrameType


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
