"""The workers that a config asks for.

Public names: ``opened_workers``.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from deidflow.tasks.core.processes.cluster import ClusterWorkers
from deidflow.tasks.core.processes.workers import LocalWorkers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from deidflow.tasks.core.config.config import Config
    from deidflow.tasks.core.processes.workers import Role, Workers


@contextlib.contextmanager
def opened_workers(config: Config, roles: Sequence[Role]) -> Iterator[Workers]:
    """Connect to the cluster, if there is to be one; processes of this machine start with the first piece of work.

    Raises:
        Unusable: The cluster cannot be used.

    """
    execution = config.execution
    if execution.runner == "dask" and config.engine == "local":
        assert execution.dask_address is not None  # noqa: S101 (checked when the config was read)
        workers: Workers = ClusterWorkers(execution.dask_address, roles)
    else:
        workers = LocalWorkers(execution.workers, roles)
    with contextlib.closing(workers):
        yield workers
