"""Harm at one exact system call of the real command, by a small library that is loaded into its processes.

Public names: ``Injector``, ``Harm``, ``Call``, ``Area``, ``Who``, ``Action``, ``Profile``, ``why_not``.
"""

from __future__ import annotations

import ctypes
import mmap
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from pathlib import Path
from typing import Final, Self

SOURCE: Final = Path(__file__).with_name("inject.c")
FOREVER: Final = 1 << 62
_scratch: Final = tempfile.TemporaryDirectory(prefix="deidflow-faults-")


class Call(IntEnum):
    """Kinds of system calls."""

    OPEN = 0
    READ = 1
    WRITE = 2
    LINK = 3
    UNLINK = 4
    MKDIR = 5
    SYNC = 6


class Area(IntEnum):
    """Folders of a job."""

    SOURCE = 0
    RESULTS = 1
    RUNS = 2
    TMP = 3


class Who(IntEnum):
    """Processes of the command."""

    FLOW = 0
    OTHERS = 1


class Action(IntEnum):
    """What happens at the chosen call."""

    NOTHING = 0
    FAIL = 1
    SIGNAL_SELF = 2
    SIGNAL_FLOW = 3
    SHIFT_CLOCK = 4
    KILL_OTHER = 5


@dataclass(frozen=True)
class Harm:
    """What happens, and at which of the command's calls.

    Attributes:
        action: What happens.
        value: Number of an error or a signal, or seconds.
        calls: Kinds that count.
        areas: Where.
        who: In which processes.
        first: At which of these calls, from 1 on.
        times: How often.
        after: The call takes place before.
        other: Process that ``KILL_OTHER`` kills.

    """

    action: Action
    value: int = 0
    calls: tuple[Call, ...] = tuple(Call)
    areas: tuple[Area, ...] = tuple(Area)
    who: tuple[Who, ...] = tuple(Who)
    first: int = 1
    times: int = 1
    after: bool = False
    other: int = 0


Profile = dict[tuple[Call, Area, Who], int]
"""How many calls of each kind a command made."""


class _Plan(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_uint64) for name in ("calls", "areas", "who", "first", "last", "action")),
        ("value", ctypes.c_int64),
        *((name, ctypes.c_uint64) for name in ("after", "other", "flow", "seen", "struck")),
        ("clock", ctypes.c_int64),
        ("counts", ctypes.c_uint64 * (len(Call) * len(Area) * len(Who))),
        ("root", ctypes.c_char * 512),
    )


class Injector:
    """The harm for one command; a context manager."""

    def __init__(self, folder: Path, root: Path, harm: Harm | None = None) -> None:
        """Prepare it.

        Args:
            folder: For its file.
            root: The job's folder; paths elsewhere are not looked at.
            harm: None only counts.

        """
        self._path = folder / "plan"
        self._path.write_bytes(bytes(ctypes.sizeof(_Plan)))
        with self._path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), 0)
        self._plan = _Plan.from_buffer(self._memory)
        self._plan.root = str(root.resolve()).encode()
        if harm is not None:
            self._plan.calls = _mask(harm.calls)
            self._plan.areas = _mask(harm.areas)
            self._plan.who = _mask(harm.who)
            self._plan.first, self._plan.last = harm.first, harm.first + harm.times - 1
            self._plan.value, self._plan.after, self._plan.other = harm.value, harm.after, harm.other
            self._plan.action = harm.action

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Forget it."""
        del self._plan
        self._memory.close()
        self._path.unlink()

    @property
    def environment(self) -> dict[str, str]:
        """Return what the command needs in its environment."""
        return {"LD_PRELOAD": str(library()), "DEIDFLOW_FAULT_PLAN": str(self._path)}

    @property
    def struck(self) -> int:
        """How often it struck."""
        return int(self._plan.struck)

    @property
    def profile(self) -> Profile:
        """How many calls the command made."""
        numbers = iter(self._plan.counts)
        return {(call, area, who): next(numbers) for call in Call for area in Area for who in Who}


def _mask(numbers: tuple[IntEnum, ...]) -> int:
    return sum(1 << number for number in numbers)


def why_not() -> str:
    """Say why nothing can be injected here; "" when it can."""
    try:
        library()
    except (OSError, subprocess.CalledProcessError):
        return "NO C COMPILER: no faults were injected (Debian: apt-get install gcc libc6-dev)"
    return ""


@cache
def library() -> Path:
    """Return the library, compiled for this process."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise FileNotFoundError("cc")
    folder = Path(_scratch.name)
    target = folder / "inject.so"
    command = [compiler, "-O1", "-shared", "-fPIC", "-o", str(target), str(SOURCE), "-ldl"]
    subprocess.run(command, check=True, capture_output=True)
    return target
