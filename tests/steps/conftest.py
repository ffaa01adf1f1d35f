"""A real Orthanc for the steps of whole runs, started once per worker; each test has a patient of its own on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.contract.server import SETTINGS, Server, require_orthanc
from tests.orthanc_proxy import OrthancProxy
from tests.orthanc_server import OrthancServer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def shared_orthanc() -> Iterator[OrthancServer]:
    """The system's Orthanc; files are read from the disk each time, so that one can be lost."""
    require_orthanc()
    with OrthancServer(None, {**SETTINGS, "MaximumStorageCacheSize": 0}) as running:
        yield running


@pytest.fixture
def server(shared_orthanc: OrthancServer) -> Iterator[Server]:
    """The same server, empty."""
    made = Server(shared_orthanc)
    for patient in made.get("patients"):
        made.delete(f"patients/{patient}")
    yield made
    made.close()


@pytest.fixture
def proxy(server: Server) -> Iterator[OrthancProxy]:
    """What stands between deidflow and the server, and knows what was sent."""
    with OrthancProxy(server.url) as made:
        yield made
