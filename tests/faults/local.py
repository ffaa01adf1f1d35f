"""Moments on the local engine: which injury strikes when, and what a run must be afterwards.

Public names: ``Moment``, ``Shape``, ``SHAPES``, ``SOURCE_CHANGES``, ``EDITED_SOURCE_CHANGES``, ``STOPS``,
``draw``, ``draw_stop``.
"""

from __future__ import annotations

import errno
import random
import shutil
import signal
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from benchmarks.generate import Shape as Corpus
from benchmarks.generate import generate
from tests.faults.command import CANCELLED
from tests.faults.injector import FOREVER, Action, Area, Call, Harm, Profile, Who
from tests.jobs import DEMO_DATA, read_csv

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from tests.jobs import Job

_LAST_SHARE: Final = 0.98
"""Of the calls of an undisturbed run: the number of calls differs a little from run to run."""

_WIDE: Final = 600
SOURCE_CHANGES: Final = "source file changes"
EDITED_SOURCE_CHANGES: Final = "source file changes, edited"
NOBODY: Final = "-".join(["12345678"] * 5)


def _plain(job: Job) -> None:
    """Demo's data, all of them fine."""
    shutil.copytree(DEMO_DATA, job.source)
    job.write_config(**COMMON)
    job.write_manifest(job.inventory())


def _messy(job: Job) -> None:
    """Also a damaged file, one that is no DICOM, two that are the same, and a row that nobody knows."""
    _plain(job)
    files = sorted(path for path in job.source.rglob("*") if path.is_file())
    (job.source / "notes.txt").write_text("scanned on Tuesday")
    shutil.copy(files[3], job.source / "again.dcm")
    damaged = max((path for path in files if "CT" in path.parts), key=lambda path: path.stat().st_size)
    damaged.write_bytes(damaged.read_bytes()[:-100])
    job.write_manifest([*read_csv(job.manifest), {"orthanc_id": NOBODY}])


def _delete(job: Job) -> None:
    """The sources go when all is done."""
    _plain(job)
    job.write_config(**COMMON, options={"DicomVersion": "2023b", "KeepSource": False})


def _wide(job: Job) -> None:
    """More instances than one batch holds, so that both workers are busy at a time."""
    generate(job.source, _WIDE, 8 << 10, shape=Corpus(patients=6))
    job.write_config(**COMMON)
    job.write_manifest(job.inventory())


COMMON: Final = {"execution": {"chunk_size": 20, "workers": 2, "retry_delay_seconds": 0.1}}
Shape = str
SHAPES: Final[Mapping[Shape, Callable[[Job], None]]] = {
    "plain": _plain,
    "messy": _messy,
    "delete": _delete,
    "wide": _wide,
}
_SHAPE_WEIGHTS: Final = {"plain": 4, "messy": 3, "delete": 2, "wide": 2}


@dataclass(frozen=True)
class Moment:
    """One injury of one run.

    Attributes:
        seed: Draws it again.
        shape: Of the job.
        injury: Its name.
        harm: What strikes inside the command; None for what comes from outside.
        again: What strikes the first ``resume``.
        seconds: For what comes from outside: when, as a share of an undisturbed run's time.
        signals: How often a signal is sent.
        file: Share of the way through the sorted sources, for what happens to one of them.

    """

    seed: int
    shape: Shape
    injury: str
    harm: Harm | None
    again: Harm | None = None
    seconds: float = 0.0
    signals: int = 1
    file: float = 0.0


_ANYTHING: Final = Harm(Action.NOTHING)
_CHANGES: Final = (Call.OPEN, Call.WRITE, Call.LINK, Call.UNLINK, Call.MKDIR, Call.SYNC)
_WRITTEN: Final = (Area.RESULTS, Area.RUNS, Area.TMP)
_KILL_FLOW: Final = Harm(Action.SIGNAL_FLOW, signal.SIGKILL)

# Name, weight, harm.
INJURIES: Final[tuple[tuple[str, int, Harm | None], ...]] = (
    ("kill -9 flow", 40, replace(_KILL_FLOW, calls=_CHANGES)),
    ("kill -9 flow, ledger or report", 30, replace(_KILL_FLOW, calls=_CHANGES, areas=(Area.RUNS,))),
    ("kill -9 flow, results", 20, replace(_KILL_FLOW, calls=_CHANGES, areas=(Area.RESULTS,))),
    ("kill -9 flow, by the clock", 20, None),
    ("kill -9 worker", 40, Harm(Action.SIGNAL_SELF, signal.SIGKILL, who=(Who.OTHERS,))),
    ("SIGTERM", 20, Harm(Action.SIGNAL_FLOW, signal.SIGTERM)),
    ("SIGTERM, by the clock", 10, None),
    ("Ctrl-C", 20, Harm(Action.SIGNAL_FLOW, signal.SIGINT)),
    ("Ctrl-C, by the clock", 10, None),
    ("Ctrl-C twice", 14, Harm(Action.SIGNAL_FLOW, signal.SIGINT)),
    ("ENOSPC once", 12, Harm(Action.FAIL, errno.ENOSPC, (Call.OPEN, Call.WRITE, Call.MKDIR, Call.LINK), _WRITTEN)),
    (
        "ENOSPC from then on",
        14,
        Harm(Action.FAIL, errno.ENOSPC, (Call.WRITE, Call.MKDIR), _WRITTEN, times=FOREVER),
    ),
    ("EACCES", 12, Harm(Action.FAIL, errno.EACCES, (Call.OPEN, Call.LINK, Call.UNLINK, Call.MKDIR), _WRITTEN)),
    ("EACCES, source", 6, Harm(Action.FAIL, errno.EACCES, (Call.OPEN,), (Area.SOURCE,))),
    ("EIO on write", 10, Harm(Action.FAIL, errno.EIO, (Call.WRITE,), _WRITTEN)),
    ("EIO on link or rename", 8, Harm(Action.FAIL, errno.EIO, (Call.LINK,), _WRITTEN)),
    ("EIO on sync", 12, Harm(Action.FAIL, errno.EIO, (Call.SYNC,), _WRITTEN)),
    ("EIO on read, source", 8, Harm(Action.FAIL, errno.EIO, (Call.READ,), (Area.SOURCE,))),
    ("EIO on read, elsewhere", 8, Harm(Action.FAIL, errno.EIO, (Call.READ,), _WRITTEN)),
    ("clock jumps", 12, Harm(Action.SHIFT_CLOCK, 0)),
    (SOURCE_CHANGES, 8, Harm(Action.SIGNAL_FLOW, signal.SIGSTOP, areas=(Area.RUNS,), calls=(Call.LINK,))),
    (EDITED_SOURCE_CHANGES, 8, Harm(Action.SIGNAL_FLOW, signal.SIGSTOP, areas=(Area.RESULTS,), calls=(Call.LINK,))),
    ("source file vanishes", 8, Harm(Action.SIGNAL_FLOW, signal.SIGSTOP, areas=(Area.RUNS,), calls=(Call.LINK,))),
    (CANCELLED, 20, Harm(Action.SIGNAL_FLOW, signal.SIGSTOP, calls=_CHANGES)),
    ("kill -9 Prefect server", 4, Harm(Action.KILL_OTHER, calls=_CHANGES)),
)
STOPS: Final = ("SIGTERM", "kill -9 flow", CANCELLED)
_HARM_OF_STOP: Final = {
    "SIGTERM": Harm(Action.SIGNAL_FLOW, signal.SIGTERM),
    "kill -9 flow": _KILL_FLOW,
    CANCELLED: Harm(Action.SIGNAL_FLOW, signal.SIGSTOP),
}
_FROM_EDITING_ON: Final = (
    # While results are written and read back; when a file of the report gets its name, after .gitignore and the ledger.
    (4, tuple(Call), (Area.RESULTS,), 1),
    (1, (Call.LINK,), (Area.RUNS,), 3),
)
_SECONDS: Final = (-86_400 * 400, -86_400, -7200, -30, 30, 7200, 86_400, 86_400 * 400)


def draw(seed: int, profiles: Mapping[Shape, Profile], only: Collection[str] = ()) -> Moment:
    """Return the moment of a seed.

    Args:
        seed: Of it.
        profiles: Calls of the undisturbed runs.
        only: Names of injuries, to have no others.

    """
    dice = random.Random(f"local {seed}")  # noqa: S311 (chooses moments)
    known = [one for one in INJURIES if not only or one[0] in only]
    ((name, _, harm),) = dice.choices(known, [weight for _, weight, _ in known])
    (shape,) = dice.choices(tuple(profiles), [_SHAPE_WEIGHTS[one] for one in profiles])
    if name.startswith("source file"):
        # The plan is frozen when the ledger gets its name, after .gitignore; all is edited with the last result.
        assert harm is not None
        edited = name == EDITED_SOURCE_CHANGES
        first = _count(harm, profiles["plain"]) if edited else 2
        return Moment(seed, "plain", name, replace(harm, first=first, after=True), file=dice.random())
    if name == "kill -9 Prefect server":
        shape = "plain"
    if harm is not None:
        harm = _placed(dice, harm, profiles[shape])
    if harm is not None and harm.action is Action.SHIFT_CLOCK:
        harm = replace(harm, value=dice.choice(_SECONDS))
    again = None
    if harm is not None and dice.random() < 0.2:
        again = _placed(dice, replace(_KILL_FLOW, calls=_CHANGES), profiles[shape])
    signals = 2 if name == "Ctrl-C twice" else 1
    return Moment(seed, shape, name, harm, again, dice.random(), signals)


def draw_stop(seed: int, profiles: Mapping[Shape, Profile]) -> Moment:
    """Return a moment between the first edit and the last file of the report; three in a row have all ``STOPS``."""
    dice = random.Random(f"local stop {seed}")  # noqa: S311 (chooses moments)
    injury = STOPS[seed % len(STOPS)]
    (shape,) = dice.choices(tuple(profiles), [_SHAPE_WEIGHTS[one] for one in profiles])
    ((_, calls, areas, first),) = dice.choices(_FROM_EDITING_ON, [one[0] for one in _FROM_EDITING_ON])
    harm = replace(_HARM_OF_STOP[injury], calls=calls, areas=areas)
    number = dice.randint(first, max(first, int(_count(harm, profiles[shape]) * _LAST_SHARE)))
    return Moment(seed, shape, injury, replace(harm, first=number, after=dice.random() < 0.5))


def _placed(dice: random.Random, harm: Harm, profile: Profile) -> Harm:
    """Choose one of the calls that count."""
    total = _count(harm, profile)
    after = harm.action in (Action.SIGNAL_FLOW, Action.SIGNAL_SELF, Action.KILL_OTHER) and dice.random() < 0.5
    return replace(harm, first=dice.randint(1, max(1, int(total * _LAST_SHARE))), after=after)


def _count(harm: Harm, profile: Profile) -> int:
    """Return how many of an undisturbed run's calls count."""
    return sum(
        number
        for (call, area, who), number in profile.items()
        if call in harm.calls and area in harm.areas and who in harm.who
    )
