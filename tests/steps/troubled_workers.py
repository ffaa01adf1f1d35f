"""Functions of workers that die or cannot reach a server; in a module of their own, since workers import them by name.

They look beside the destination, or the export, for what a test has put there.

Public names: ``die_once``, ``die_always``, ``break_down``, ``BROKEN``, ``be_away``, ``AWAY``, ``die_while_reading``,
``die_while_packing``.
"""

from __future__ import annotations

import builtins
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from deidflow.tasks.core.errors import TransientError
from deidflow.tasks.export.packing import read_results, write_archive
from deidflow.tasks.verification import in_worker, verifier
from deidflow.tasks.verification.in_worker import verify_in_worker

if TYPE_CHECKING:
    from deidflow.tasks.core.engine.protocol import InstanceResult, VerifyWork
    from deidflow.tasks.core.errors import DeidflowError, Unusable
    from deidflow.tasks.export.packing import ArchiveWork, ReadResult, ReadWork, SealedArchive

AWAY: Final = "away"
"""Name of the file that says that the server is away."""

BROKEN: Final = "broken"
"""Name of the file that holds the name of the error that the verifier ends with."""

_DIED: Final = "died"


def _beside() -> Path:
    return Path(in_worker._of_this_thread.settings.results.folder).parent


def die_once(work: VerifyWork) -> list[InstanceResult] | TransientError | Unusable:
    """Do what a worker does, but die the first time, as of a machine without memory."""
    if not (_beside() / _DIED).exists():
        (_beside() / _DIED).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return verify_in_worker(work)


def die_always(work: VerifyWork) -> list[InstanceResult] | TransientError | Unusable:
    """Do what a worker does, but die whenever the result of one instance is in the work."""
    if any(one.instance.path == b"1.dcm" for one in work.expected):
        os.kill(os.getpid(), signal.SIGKILL)
    return verify_in_worker(work)


def break_down(work: VerifyWork) -> list[InstanceResult] | TransientError | Unusable:
    """Do what a worker does, but with a verifier that fails over the values of a result, where the test says so."""
    broken = _beside() / BROKEN

    def fail(*_: object) -> None:
        raise getattr(builtins, broken.read_text())("Doe^Jane")

    with pytest.MonkeyPatch.context() as patch:
        if broken.exists():
            patch.setattr(verifier, "check_given", fail)
        return verify_in_worker(work)


def be_away(work: VerifyWork) -> list[InstanceResult] | TransientError | Unusable:
    """Do what a worker does, unless the server is away."""
    if (_beside() / AWAY).exists():
        return TransientError("the server is away")
    return verify_in_worker(work)


def _die_first(place: Path, what: str) -> None:
    if not (place.parent / what).exists():
        (place.parent / what).touch()
        os.kill(os.getpid(), signal.SIGKILL)


def die_while_reading(work: ReadWork) -> list[ReadResult] | DeidflowError:
    """Read results for an export, but die the first time, when they are read."""
    done = read_results(work)
    _die_first(work.place.folder, "reading")
    return done


def die_while_packing(work: ArchiveWork) -> SealedArchive | DeidflowError:
    """Write an archive, but die the first time, when it is written."""
    done = write_archive(work)
    _die_first(work.place.folder, "packing")
    return done
