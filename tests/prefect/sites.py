"""What a site has for the tests: a Prefect server of its own with its pages, on SQLite or PostgreSQL, and a worker.

Public names: ``Site``, ``site``, ``working``, ``DATABASES``.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from ruamel.yaml import YAML

from tests.conftest import start_prefect_server
from tests.memory import IN_MEMORY
from tests.postgresql import missing, postgresql
from tests.prefect.groups import running
from tests.prefect_api import Api

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.jobs import Job

DATABASES: Final = ("sqlite", "postgresql")
_PREFECT: Final = Path(sys.executable).parent / "prefect"
_PROJECT: Final = Path(__file__).parents[2]


@dataclass(frozen=True)
class Site:
    """A running server.

    Attributes:
        url: Of its pages, without a slash at the end.
        api: A client of it.
        environment: Of commands that use it.

    """

    url: str
    api: Api
    environment: dict[str, str]


@contextlib.contextmanager
def site(database: str) -> Iterator[Site]:
    """Start a server on one of ``DATABASES``; skip the test loudly where there is no PostgreSQL."""
    if database == "postgresql" and missing():
        pytest.skip(missing())
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="deidflow-site-", dir=IN_MEMORY)))
        folder.chmod(0o711)
        home = folder / "home"
        home.mkdir()
        variables = {}
        if database == "postgresql":
            port = stack.enter_context(postgresql(folder / "database", "prefect", "secret", "prefect"))
            url = f"postgresql+asyncpg://prefect:secret@127.0.0.1:{port}/prefect"
            variables["PREFECT_API_DATABASE_CONNECTION_URL"] = url
        process, listening = start_prefect_server(home, variables=variables).split()
        stack.callback(os.kill, int(process), signal.SIGTERM)
        url = f"http://127.0.0.1:{listening}"
        api = stack.enter_context(contextlib.closing(Api(f"{url}/api")))
        yield Site(url, api, {"PREFECT_HOME": str(home), "PREFECT_API_URL": f"{url}/api"})


@contextlib.contextmanager
def working(job: Job, site: Site, schedule: dict[str, Any]) -> Iterator[str]:
    """Deploy a job by the project's prefect.yaml with ``prefect deploy --all``, and run a process worker.

    Args:
        job: Its config is written.
        site: The server.
        schedule: In place of the one in prefect.yaml.

    Yields:
        The number of the deployment.

    """
    text = YAML(typ="safe").load((_PROJECT / "prefect.yaml").read_text(encoding="utf-8"))
    (deployment,) = text["deployments"]
    # A name of its own: a run that is never told to have ended would hold the place of the next test's.
    deployment["name"] = deployment["parameters"]["config"] = job.config["name"]
    deployment["schedules"] = [schedule]
    with (job.root / "prefect.yaml").open("w", encoding="utf-8") as stream:
        YAML(typ="safe").dump(text, stream)
    environment = job.full_environment() | {"DEIDFLOW_CONFIGS": str(job.root / "job.yaml")}
    for command in (
        ["work-pool", "create", "--type", "process", "deidflow", "--overwrite"],
        ["--no-prompt", "deploy", "--all"],
    ):
        subprocess.run([_PREFECT, *command], env=environment, cwd=job.root, check=True, capture_output=True)
    worker = [_PREFECT, "worker", "start", "--pool", "deidflow"]
    with running(worker, job.root / "log.txt", environment, job.root):
        yield site.api.deployment(deployment["name"])
