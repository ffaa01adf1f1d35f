"""A real Orthanc for the contract tests, started once."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from tests.orthanc_server import BINARY, OrthancServer, installed

if TYPE_CHECKING:
    from collections.abc import Iterator


# pydicom logs each text that does not fit its character set; the files here are full of it.
logging.getLogger("pydicom").setLevel(logging.ERROR)


@pytest.fixture(scope="session")
def orthanc() -> Iterator[OrthancServer]:
    """Start the system's Orthanc; skip loudly when there is none."""
    if not installed():
        pytest.skip(
            f"NO ORTHANC at {BINARY}: nothing was compared with a real server (Debian: apt-get install orthanc)"
        )
    with OrthancServer() as server:
        yield server
