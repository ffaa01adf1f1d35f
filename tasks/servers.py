"""Connections to the Orthancs that a config names.

Public names: ``connect``, ``engine_server``.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from tasks.orthanc.client import OrthancClient
from tasks.orthanc.errors import ReadOnlyServer
from tasks.orthanc.server import Server, read_server
from tasks.settings import credential_warning, load_credentials

if TYPE_CHECKING:
    from tasks.core.config import Config, OrthancAccess


def connect(url: str, access: OrthancAccess) -> OrthancClient:
    """Return a client for one address; nothing is sent yet.

    Raises:
        InvalidInput: A variable with credentials is missing, or the CA file holds no certificates.

    """
    credentials = load_credentials(access)
    warning = credential_warning(url, credentials)
    if warning:
        print(warning, file=sys.stderr)  # noqa: T201 (loud, and to the user)
    if url.startswith("https:") and not access.verify_tls:
        text = "WARNING: orthanc.verify_tls is false: anybody on the way can pretend to be the Orthanc."
        print(text, file=sys.stderr)  # noqa: T201
    return OrthancClient(url, access, credentials)


def engine_server(config: Config, client: OrthancClient) -> Server:
    """Ask the Orthanc of a config what it is.

    Raises:
        Unusable: It cannot be used, or writes nothing though it is to be the engine.

    """
    server = read_server(client)
    if config.engine == "orthanc" and server.read_only:
        raise ReadOnlyServer
    return server
