"""Run a module in a process that ends when its parent does: ``python -m deidflow.flows.bound MODULE ARGUMENTS...``.

Standard input is a pipe whose other end the parent holds and never writes to.
"""

from __future__ import annotations

import os
import runpy
import sys
import threading

from deidflow.tasks.core.processes.collector import collect_aside


def _end_with_parent() -> None:
    while os.read(0, 1):
        pass
    os._exit(0)


def main() -> None:
    """Be the module that the command line names."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    collect_aside()
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
