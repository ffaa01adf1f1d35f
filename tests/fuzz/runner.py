"""Runs inputs by their numbers, a thousand in one process, and counts what became of them.

An input is made of the seed and its own number alone, so that each can be repeated by itself.

Public names: ``Tally``, ``run_all``, ``run_batch``, ``run_one``, ``make``, ``MAX_CPU_SECONDS``, ``MAX_RSS_BYTES``.
"""

from __future__ import annotations

import mmap
import os
import pickle
import resource
import signal
import tempfile
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Final

from tests.fuzz.configs import Given, check_config, mutated_config
from tests.fuzz.dicom_check import check_dicom, timer
from tests.fuzz.dicom_mutations import mutated
from tests.fuzz.manifests import check_manifest, mutated_manifest
from tests.fuzz.seeds import Seed, seeds
from tests.memory import IN_MEMORY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BATCH: Final = 1000
MAX_CPU_SECONDS: Final = 2.0
MAX_RSS_BYTES: Final = 300_000_000
_ALARM_SECONDS: Final = 20.0
_MAX_ADDRESS_BYTES: Final = 3 << 30
"""What a process may map: a guard against an input that would take the machine along."""

_MOST_FAULTS: Final = 50


class _Hang(BaseException):
    """An input takes far too long; no handler of the code under test is to catch this."""


@dataclass
class Tally:
    """What became of a number of inputs.

    Attributes:
        outcomes: Count by kind of input and outcome.
        slowest: Seconds of CPU time, number and kind, the slowest last.
        faults: Number, kind and what does not hold.
        peak_bytes: Largest resident memory of any process.

    """

    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    slowest: tuple[float, int, str] = (0.0, -1, "")
    faults: list[tuple[int, str, str]] = field(default_factory=list)
    peak_bytes: int = 0

    def add(self, other: Tally) -> None:
        """Add the counts of another process."""
        self.outcomes.update(other.outcomes)
        self.slowest = max(self.slowest, other.slowest)
        self.faults += other.faults
        self.peak_bytes = max(self.peak_bytes, other.peak_bytes)


def make(seed: int, number: int) -> tuple[str, Callable[[Path], str], Any]:
    """Return the kind of an input, its check and the input itself."""
    random = Random(f"deidflow {seed} {number}")  # noqa: S311 (repeatable, not secret)
    where = random.random()
    if where < 0.72:  # the shares of the three readers
        of: Seed = random.choice(seeds())
        name, data = mutated(random, of)
        draw = random.getrandbits(20)
        return f"dicom {name}", lambda folder: check_dicom(data, of, draw, folder), data
    if where < 0.92:
        name, data = mutated_manifest(random)
        draw = random.getrandbits(20)
        return f"manifest {name}", lambda _: check_manifest(data, draw), data
    name, given = mutated_config(random)
    return f"config {name}", lambda folder: check_config(given, folder), given


def run_one(seed: int, number: int, folder: Path, tally: Tally) -> None:
    """Run one input and count what became of it."""
    kind = "being made"
    timer.seconds = 0.0
    signal.setitimer(signal.ITIMER_VIRTUAL, _ALARM_SECONDS)
    try:
        kind, check, _ = make(seed, number)
        outcome = check(folder)
    except _Hang:
        outcome = "FAULT"
        tally.faults.append((number, kind, f"more than {_ALARM_SECONDS:.0f} s of CPU time"))
    except Exception as error:  # noqa: BLE001 (what is looked for)
        outcome = "FAULT"
        tally.faults.append((number, kind, f"{type(error).__name__}: {error} ({_where(error)})"))
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    if timer.seconds > MAX_CPU_SECONDS and outcome != "FAULT":
        outcome = "FAULT"
        tally.faults.append((number, kind, f"{timer.seconds:.1f} s of CPU time"))
    tally.outcomes[kind, outcome] += 1
    tally.slowest = max(tally.slowest, (timer.seconds, number, kind))


def _where(error: Exception) -> str:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "/site-packages/" not in frame.filename]
    last = frames[-1]
    return f"{Path(last.filename).name}:{last.lineno}"


def run_batch(seed: int, numbers: range, note: Callable[[int], None] = lambda _: None) -> Tally:
    """Run inputs in this process.

    Args:
        seed: Of all inputs.
        numbers: Of the inputs.
        note: Told each number before it begins.

    """
    tally = Tally()
    signal.signal(signal.SIGVTALRM, _stop)
    with tempfile.TemporaryDirectory(prefix="deidflow-fuzz-", dir=IN_MEMORY) as folder:
        for number in numbers:
            note(number)
            run_one(seed, number, Path(folder), tally)
            if len(tally.faults) >= _MOST_FAULTS:
                break
    tally.peak_bytes = _peak_bytes()
    return tally


def _peak_bytes() -> int:
    """Return the largest resident memory of this program; that of its parent does not count."""
    status = Path("/proc/self/status").read_text("ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def _stop(*_: object) -> None:
    raise _Hang


def run_all(seed: int, count: int) -> Iterator[Tally]:
    """Run inputs, each thousand in a process of its own; yield the tally of each."""
    seeds()
    for start in range(0, count, BATCH):
        yield _in_child(seed, range(start, min(count, start + BATCH)))


def _in_child(seed: int, numbers: range) -> Tally:
    """Run a batch in a child; an input that kills it is a fault with its number."""
    progress = mmap.mmap(-1, 8)
    receiver, sender = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(receiver)
            resource.setrlimit(resource.RLIMIT_AS, (_MAX_ADDRESS_BYTES, _MAX_ADDRESS_BYTES))

            def note(number: int) -> None:
                progress[:8] = number.to_bytes(8, "big")

            tally = run_batch(seed, numbers, note)
            with os.fdopen(sender, "wb") as stream:
                pickle.dump(tally, stream)
            code = 0
        finally:
            os._exit(code)
    os.close(sender)
    with os.fdopen(receiver, "rb") as received:
        answer = received.read()
    _, status = os.waitpid(child, 0)
    if status == 0:
        found = pickle.loads(answer)  # noqa: S301 (our own child's)
        assert isinstance(found, Tally)
        return found
    last = int.from_bytes(progress[:8], "big")
    return Tally(faults=[(last, "process", f"died: {os.waitstatus_to_exitcode(status)}")])


def dump(seed: int, number: int, path: Path) -> None:
    """Write one input to a file, to look at."""
    _, _, data = make(seed, number)
    path.write_bytes(data.data if isinstance(data, Given) else data)
