"""The command ``prefect``, for a server that many runs use at a time: python tests/tools/prefect_server.py ARGUMENTS.

On SQLite its event loop stands still for a minute now and then, while it frees a cursor of a connection that another
thread works with (``collect_aside``).
"""

from __future__ import annotations

import runpy

from deidflow.tasks.core.processes.collector import collect_aside

if __name__ == "__main__":
    collect_aside()
    runpy.run_module("prefect", run_name="__main__", alter_sys=True)
