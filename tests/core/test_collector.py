"""The collector of a process with SQLite: what it frees keeps no other thread waiting."""

from __future__ import annotations

import subprocess
import sys

import pytest

_PROGRAM = """
import gc, sqlite3, sys, threading, time

if sys.argv[2] == "aside":
    from deidflow.tasks.core.processes.collector import collect_aside
    collect_aside(0.05)

def connect(**settings):
    return sqlite3.connect(sys.argv[1], check_same_thread=False, isolation_level=None, **settings)

writing, waiting = connect(), connect(timeout=3)
writing.execute("CREATE TABLE a (b)")

cursor = waiting.execute("VALUES (1), (2)")  # not at its end, and no transaction, in which SQLite would not wait
cycle = [cursor]
cycle.append(cycle)

writing.execute("BEGIN IMMEDIATE")
def wait():
    try:
        waiting.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError:
        pass
thread = threading.Thread(target=wait)
thread.start()
time.sleep(0.3)  # the other thread is within SQLite, with the lock of its connection
del cursor, cycle

longest, last, end = 0.0, time.monotonic(), time.monotonic() + 1
while last < end:
    garbage = [[] for _ in range(100)]
    garbage.append(garbage)
    now = time.monotonic()
    longest, last = max(longest, now - last), now
writing.execute("ROLLBACK")
thread.join()
print(longest)
"""


def _longest_pause_s(tmp_path: object, how: str) -> float:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, f"{tmp_path}/{how}.db", how], capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def test_a_thread_of_its_own_may_wait(tmp_path: object) -> None:
    """What the collector meets in it, the thread that works does not wait for."""
    assert _longest_pause_s(tmp_path, "aside") < 1.5


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="this is how CPython 3.11 does it")
def test_without_it_the_thread_that_works_waits(tmp_path: object) -> None:
    """Which is what the thread is for."""
    assert _longest_pause_s(tmp_path, "usual") > 1.5
