"""A real Orthanc for the tests of this folder, started once per worker, and a client of it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from deidflow.tasks.orthanc.connection.client import OrthancClient
from tests.orthanc_server import BINARY, OrthancServer, extra_roots, installed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deidflow.tasks.orthanc.connection.client import Access


# Files are read from the disk each time, so that one can be lost.
SETTINGS = {"StableAge": 1, "MaximumStorageCacheSize": 0}


@pytest.fixture(scope="session")
def access() -> Access:
    """What a config without a group ``orthanc`` says."""
    return SimpleNamespace(verify_tls=True, ca_file=None)


@pytest.fixture(scope="session", params=[None, *extra_roots()], ids=lambda root: root.name if root else "system")
def orthanc(request: pytest.FixtureRequest) -> Iterator[OrthancServer]:
    """Start the system's Orthanc, and those of DEIDFLOW_TEST_ORTHANC_ROOTS; skip loudly when there is none.

    Their studies are stable after a second.
    """
    if request.param is None and not installed():
        pytest.skip(f"NO ORTHANC at {BINARY}: nothing was tried on a real server (Debian: apt-get install orthanc)")
    with OrthancServer(request.param, SETTINGS) as server:
        yield server


@pytest.fixture
def client(orthanc: OrthancServer, access: Access) -> Iterator[OrthancClient]:
    """Connect to it; the counts begin at zero."""
    with OrthancClient(orthanc.url, access) as made:
        yield made
