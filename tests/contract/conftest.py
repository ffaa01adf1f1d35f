"""A real Orthanc for the contract tests: one for the comparisons, started once; a fresh one for each whole run."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from tests.contract.server import SETTINGS, Server, require_orthanc
from tests.orthanc_server import OrthancServer, extra_roots

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


# pydicom logs each text that does not fit its character set; the files here are full of it.
logging.getLogger("pydicom").setLevel(logging.ERROR)


@pytest.fixture(scope="session")
def orthanc() -> Iterator[OrthancServer]:
    """Start the system's Orthanc; skip loudly when there is none."""
    require_orthanc()
    with OrthancServer() as server:
        yield server


@pytest.fixture(
    params=[None, *(pytest.param(root, marks=pytest.mark.versions) for root in extra_roots())],
    ids=lambda root: root.name if root else "system",
)
def orthanc_root(request: pytest.FixtureRequest) -> Path | None:
    """Where the Orthanc of a test is installed: None is this system, others are of `make test-orthanc-versions`."""
    root: Path | None = request.param
    if root is None:
        require_orthanc()
    return root


@pytest.fixture
def server(orthanc_root: Path | None) -> Iterator[Server]:
    """An empty server for one test, which may kill it, or take a file from its disk: it has none in memory."""
    with OrthancServer(orthanc_root, {**SETTINGS, "MaximumStorageCacheSize": 0}) as running:
        made = Server(running)
        yield made
        made.close()
