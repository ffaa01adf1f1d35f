"""Connections to the Orthancs that a config names.

Public names: ``destination_abilities``, ``connect``, ``source_server``, ``server_identity``, ``check_destination``,
``writes_to_source``.
"""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

from deidflow.tasks.core.errors import DeidflowError
from deidflow.tasks.core.files.locks import server_names
from deidflow.tasks.orthanc.connection.client import OrthancClient
from deidflow.tasks.orthanc.connection.errors import ReadOnlyServer
from deidflow.tasks.orthanc.resources.abilities import read_abilities
from deidflow.tasks.orthanc.resources.server import Server, read_server
from deidflow.tasks.steps.run.settings import credential_warning, load_credentials

if TYPE_CHECKING:
    from deidflow.tasks.core.config.config import Config, OrthancAccess
    from deidflow.tasks.core.plan.server_abilities import ServerAbilities


def connect(url: str, access: OrthancAccess, *, warn: bool = True) -> OrthancClient:
    """Return a client for one address; nothing is sent yet.

    Args:
        url: The address.
        access: The config's group ``orthanc``.
        warn: Say on stderr what is unsafe about it; once is enough.

    Raises:
        InvalidInput: A variable with credentials is missing, or the CA file holds no certificates.

    """
    credentials = load_credentials(access)
    warning = credential_warning(url, credentials)
    if warn and warning:
        print(warning, file=sys.stderr)  # noqa: T201 (loud, and to the user)
    if warn and url.startswith("https:") and not access.verify_tls:
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


def server_identity(url: str, access: OrthancAccess) -> str:
    """Return what a server says it is, "" when it does not say, or cannot be asked: that is found out elsewhere."""
    with contextlib.suppress(DeidflowError), connect(url, access, warn=False) as client:
        return read_server(client).identity
    return ""


def check_destination(config: Config) -> None:
    """Ask the Orthanc that a config writes to, if any, whether it can be used.

    Raises:
        Unusable: It cannot, or writes nothing.

    """
    if config.destination is None or config.destination.orthanc is None:
        return
    with connect(config.destination.orthanc, config.orthanc) as client:
        if read_server(client).read_only:
            raise ReadOnlyServer


def destination_abilities(config: Config) -> ServerAbilities | None:
    """Ask the Orthanc that a config writes to what it is, None for a folder.

    Raises:
        DeidflowError: See ``deidflow.tasks.orthanc.connection.errors``.

    """
    if config.destination is None or config.destination.orthanc is None:
        return None
    with connect(config.destination.orthanc, config.orthanc, warn=False) as client:
        return read_abilities(client, read_server(client))


def writes_to_source(config: Config) -> bool:
    """Whether results go to the Orthanc that the originals are on, whatever the two addresses are.

    Before 1.11.1 servers do not tell who they are: then they are one where their addresses lead to one place.
    """
    if config.source.orthanc is None:
        return False
    if config.engine == "orthanc":
        return True
    if config.destination is None or config.destination.orthanc is None:
        return False
    source, destination = (
        server_names(url, server_identity(url, config.orthanc))
        for url in (config.source.orthanc, config.destination.orthanc)
    )
    return not source.isdisjoint(destination)
