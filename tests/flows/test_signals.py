"""An interruption is answered wherever it strikes the command."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.jobs import COMMAND_S

if TYPE_CHECKING:
    from pathlib import Path

_STRUCK = """
import signal, threading, time, weakref
from deidflow.flows.signals import take_over

class Thing:
    pass

class Finalized:
    def __del__(self):
        signal.raise_signal(signal.{signal})

def referred():
    thing = Thing()
    return thing, weakref.ref(thing, lambda _: signal.raise_signal(signal.{signal}))

start = threading.Thread.start

def start_late(thread):
    start(thread)
    time.sleep(0.1)

take_over()
try:
    {place}
    time.sleep(60)
except KeyboardInterrupt:
    print("interrupted once")
    time.sleep(0.1)  # nothing strikes again
"""
_PLACES = {
    "code": "signal.raise_signal(signal.{signal})",
    "finalizer": "Finalized()",
    "weak-reference": "thing, reference = referred(); del thing",
    "finalizer-while-threads-start-late": "threading.Thread.start = start_late; Finalized()",
}


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("place", _PLACES.values(), ids=_PLACES.keys())
def test_an_interruption_is_not_lost(place: str, number: str) -> None:
    """One signal interrupts the main program once, also where Python drops what is raised, and prints nothing."""
    code = _STRUCK.replace("{place}", place).replace("{signal}", number)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=COMMAND_S, check=False)

    assert (0, "interrupted once\n", "") == (done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize(
    ("before", "stops"),
    [
        pytest.param("", True, id="told-more-than-once"),
        pytest.param("signal.signal(signal.SIGHUP, signal.SIG_IGN)", False, id="under-nohup"),
    ],
)
def test_a_terminal_that_is_closed(before: str, stops: bool) -> None:
    """The system, the shell and its end each send SIGHUP, which stops cleanly; under nohup it goes on."""
    code = f"""
import os, signal
from deidflow.flows.signals import stopping, take_over

{before}
take_over()
with stopping() as stop:
    for _ in range(3):
        os.kill(os.getpid(), signal.SIGHUP)
    print(stop.is_set())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=COMMAND_S, check=False)

    said = "stopping; once more stops at once\n" if stops else ""
    assert (0, f"{stops}\n", said) == (done.returncode, done.stdout, done.stderr)


def test_an_end_of_file_is_no_interruption() -> None:
    """Click takes one for Ctrl-D, and a fault somewhere in a command for its user's wish."""
    code = """
import click, sys
from deidflow.flows.answers.ending import run_to_its_end

@click.command()
def fails():
    raise EOFError

sys.exit(run_to_its_end(lambda: fails.main([], standalone_mode=False), debug=False))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=COMMAND_S, check=False)

    assert (3, True) == (done.returncode, "This is a bug in deidflow" in done.stderr), done.stderr


def test_a_run_of_a_service_that_is_being_loaded_is_silent_on_ctrl_c(tmp_path: Path) -> None:
    """Which reaches all of its terminal; Python would tell it with a traceback, wherever the imports are."""
    program = tmp_path / "deidflow"
    program.write_text(
        "from deidflow.flows.__main__ import main\n"
        "if __name__ == '__main__':\n"
        "    import multiprocessing, os, signal\n"
        "    run = multiprocessing.get_context('spawn').Process(target=signal.raise_signal, args=(signal.SIGINT,))\n"
        "    run.start(); run.join(); raise SystemExit(run.exitcode)\n"
    )

    done = subprocess.run([sys.executable, program], capture_output=True, text=True, check=False)

    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)
