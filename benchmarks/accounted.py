"""Run deidflow and say what all its processes used, those among them whose own parent ended before them (Linux).

    python -m benchmarks.accounted OUTPUT ARGUMENT...

OUTPUT gets one line: the command's seconds, the seconds of all processes on a processor, the bytes of the largest.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import time
from pathlib import Path
from typing import Final

_SET_CHILD_SUBREAPER: Final = 36


def main() -> None:
    """Run it."""
    if len(sys.argv) < 3 or sys.argv[1].startswith("-"):  # noqa: PLR2004 (two arguments)
        sys.exit(__doc__)
    output, *arguments = sys.argv[1:]
    ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    started = time.perf_counter()
    child = os.posix_spawn(sys.executable, [sys.executable, "-m", "deidflow.flows", *arguments], os.environ)
    _, status, usage = os.wait4(child, 0)
    seconds, used = time.perf_counter() - started, usage.ru_utime + usage.ru_stime
    with contextlib.suppress(ChildProcessError):  # until none is left
        while True:
            _, _, other = os.wait4(-1, 0)
            used += other.ru_utime + other.ru_stime
    Path(output).write_text(f"{seconds} {used} {usage.ru_maxrss * 1024}", "ascii")
    sys.exit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
