"""The workers of a Dask cluster in the place of this machine's: for more machines on shared storage.

The flow stays where it is, with the ledger and all of Prefect; only batches of instances travel, and their outcomes
come back as from a process of this machine. A worker that dies costs nothing: Dask gives its batches to another one,
and doing a batch twice is the same as doing it once. Checked with distributed 2026.8.0.

Public names: ``ClusterWorkers``, ``do_on_cluster``.
"""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import os
import pickle
import socket
import sys
import threading
import time
from collections import Counter
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from importlib import metadata
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlsplit

from deidflow.tasks.core.errors import TransientError, Unusable
from deidflow.tasks.core.processes.workers import LocalWorkers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from deidflow.tasks.core.processes.workers import Role

_CONNECT_S: Final = 10
_TRIES: Final = 4
_AGAIN_S: Final = 0.5
_DISTRIBUTION: Final = "deidflow"

_SETTLE_POLL_S: Final = 0.1
_SETTLE_S: Final = 30.0
"""How long a run that has ended waits for what was given up and goes on all the same: a batch takes a second or so."""

_of_this_thread = threading.local()
_counting = threading.Lock()
_under_way: Counter[str] = Counter()
"""How many pieces of work of each run this worker is at, by the token of the run."""


def do_on_cluster(token: str, roles: Sequence[Role], packed: bytes) -> bytes:
    """Call a function on the cluster; a worker may have several threads, each with a memory of its own.

    Nothing is raised: Dask would log the arguments, which name patients. It gets them, and gives back the outcome, as
    bytes: in lists and records it would look at each entry on each of its ways.

    Args:
        token: Of the run, by which a thread knows that it was prepared.
        roles: Of the run.
        packed: What to call, and its argument, pickled.

    Returns:
        What came of it, pickled.

    """
    with _counting:
        _under_way[token] += 1
    try:
        if getattr(_of_this_thread, "token", "") != token:
            logging.getLogger("pydicom").setLevel(logging.CRITICAL)
            for role in roles:
                role.start(role.settings)
            _of_this_thread.token = token
        function, work = pickle.loads(packed)  # noqa: S301 (of the flow, whose calls the worker carries out)
        return pickle.dumps(function(work))
    except Exception as error:  # noqa: BLE001 (see above)
        return pickle.dumps(TransientError(f"{type(error).__name__} on the Dask cluster"))
    finally:
        with _counting:
            _under_way[token] -= 1
            if not _under_way[token]:
                del _under_way[token]


def _count_under_way(token: str) -> int:
    with _counting:
        return _under_way[token]


def _look_around(roles: Sequence[Role]) -> str:
    """Return what a worker lacks to do the work, "" for nothing."""
    return next(filter(None, (role.settings.lacks() for role in roles)), "")


def _version() -> str:
    return metadata.version(_DISTRIBUTION)


class ClusterWorkers:
    """See ``deidflow.tasks.core.processes.workers.Workers``."""

    is_far = True

    def __init__(self, address: str, roles: Sequence[Role]) -> None:
        """Connect, and make sure that every worker can do the work.

        Args:
            address: Of the scheduler, such as ``tcp://scheduler:8786``; with ``tls://`` certificates are Dask's own
                configuration.
            roles: What the workers are to be able to do.

        Raises:
            Unusable: There is no such cluster, it has no workers, or one of them lacks something.

        """
        try:
            import distributed  # noqa: PLC0415 (an extra, and slow to import)
        except ImportError:
            text = "execution.runner dask needs the extra `dask`: pip install 'deidflow[dask]'"
            raise Unusable(text) from None
        parts = urlsplit(address)
        try:
            # Before Client, which leaves threads behind that complain when nobody answers.
            socket.create_connection((parts.hostname, parts.port), _CONNECT_S).close()
            _warn_of_plain_connection(address)
            self._client = cast("Any", distributed).Client(address, timeout=_CONNECT_S, set_as_default=False)
        except (OSError, ValueError):
            text = "no Dask scheduler answers at execution.dask_address; start one with `dask scheduler`"
            raise Unusable(text) from None
        self._roles = tuple(roles)
        self._token = os.urandom(8).hex()
        try:
            self._check_workers(roles)
            self._scattered = self._tried(partial(self._client.scatter, tuple(roles), broadcast=True, hash=False))
        except BaseException:
            self._client.close()
            raise

    def _tried(self, ask: Callable[[], Any]) -> Any:
        """Ask all workers something; one that dies meanwhile is gone when they are asked again.

        Raises:
            Unusable: It goes wrong each time.

        """
        what = ""
        for number in range(_TRIES):
            time.sleep(number * _AGAIN_S)
            try:
                return ask()
            except Exception as error:  # noqa: BLE001 (whatever a worker without deidflow raises, arguments and all)
                what = type(error).__name__
        raise Unusable(f"a Dask worker cannot run deidflow ({what}); install the same release there")

    def _check_workers(self, roles: Sequence[Role]) -> None:
        versions = self._tried(partial(self._client.run, _version))
        lacks = self._tried(partial(self._client.run, _look_around, tuple(roles)))
        if not versions:
            raise Unusable("the Dask cluster has no workers; start some with `dask worker`")
        own = _version()
        for worker, version in versions.items():
            if version != own:
                raise Unusable(f"the Dask worker {worker} has deidflow {version}, this is {own}; install the same")
        for worker, text in lacks.items():
            if text:
                raise Unusable(f"the Dask worker {worker} {text}")

    @property
    def count(self) -> int:
        """How many threads its workers have together, at this moment."""
        return max(1, sum(map(int, self._client.nthreads().values())))

    def prepare(self) -> None:
        """Do nothing: they are there."""

    def submit(self, function: Callable[[Any], Any], work: Any) -> _ClusterFuture:
        """Send one piece of work."""
        packed = pickle.dumps((function, work))
        return _ClusterFuture(
            self._client.submit(do_on_cluster, self._token, self._scattered, packed, pure=False, key=None)
        )

    def alone(self) -> LocalWorkers:
        """Return one process of this machine."""
        return LocalWorkers(1, self._roles)

    def close(self) -> None:
        """Let go of the cluster, which goes on; work that has not begun is dropped.

        What was cancelled while a worker was at it goes on there, and would write into a destination that counts as
        left; so its end is waited for.
        """
        self._settle()
        self._client.close()

    def _settle(self) -> None:
        end = time.monotonic() + _SETTLE_S
        while self._client.status == "running" and time.monotonic() < end:
            # Whatever goes wrong here is about workers that are gone, and work that went with them.
            with contextlib.suppress(Exception):
                if not any(self._client.run(_count_under_way, self._token, on_error="ignore").values()):
                    return
            time.sleep(_SETTLE_POLL_S)


class _ClusterFuture:
    """See ``deidflow.tasks.core.processes.workers.Pending``."""

    def __init__(self, future: Any) -> None:
        self._future = future

    def cancel(self) -> bool:
        self._future.cancel(force=True)
        return True

    def result(self, timeout: float | None = None) -> Any:
        """Wait for the outcome.

        Raises:
            TimeoutError: It is not there yet.
            BrokenProcessPool: Workers died of it, one after the other.
            TransientError: The cluster is gone.

        """
        from distributed import KilledWorker  # noqa: PLC0415 (see ClusterWorkers)

        try:
            return pickle.loads(self._future.result(timeout))  # noqa: S301 (a worker of the run's)
        except TimeoutError:
            raise
        except KilledWorker:
            raise BrokenProcessPool from None
        except Exception as error:  # noqa: BLE001 (Dask's errors may hold arguments)
            return TransientError(f"the Dask cluster lost a batch ({type(error).__name__})")


def _warn_of_plain_connection(address: str) -> None:
    parts = urlsplit(address)
    try:
        is_here = ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        is_here = parts.hostname == "localhost"
    if parts.scheme != "tls" and not is_here:
        text = "WARNING: the pseudonym key travels to the Dask workers unencrypted; use tls:// and Dask's certificates."
        print(text, file=sys.stderr)  # noqa: T201 (loud, and to the user)
