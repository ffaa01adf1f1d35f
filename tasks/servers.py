"""Connections to the Orthancs that a config names.

Public names: ``connect``, ``source_server``, ``check_destination``.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from deidflow.tasks.orthanc.abilities import read_abilities
from deidflow.tasks.orthanc.client import OrthancClient
from deidflow.tasks.orthanc.errors import ReadOnlyServer
from deidflow.tasks.orthanc.server import Server, read_server
from deidflow.tasks.settings import credential_warning, load_credentials

if TYPE_CHECKING:
    from deidflow.tasks.core.config import Config, OrthancAccess
    from deidflow.tasks.core.server_abilities import ServerAbilities


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
    return OrthancClient(url, access, credentials, read_s=access.timeout_seconds)


def source_server(config: Config, client: OrthancClient) -> Server:
    """Ask the Orthanc that a config reads from what it is.

    Raises:
        Unusable: It cannot be used, or writes nothing though it is to be the engine.

    """
    server = read_server(client)
    if config.engine == "orthanc" and server.read_only:
        raise ReadOnlyServer
    return server


def check_destination(config: Config) -> ServerAbilities | None:
    """Ask the Orthanc that a config writes to, if any, whether it can be used, and what it is.

    Raises:
        Unusable: It cannot, or writes nothing.

    """
    if config.destination is None or config.destination.orthanc is None:
        return None
    with connect(config.destination.orthanc, config.orthanc) as client:
        server = read_server(client)
        if server.read_only:
            raise ReadOnlyServer
        return read_abilities(client, server)
