"""Connections to the Orthancs that a config names.

Public names: ``connect``, ``source_server``, ``server_identity``, ``read_server_inventory``.
"""

from __future__ import annotations

import contextlib
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from deidflow.tasks.core.config.config import OrthancAccess
from deidflow.tasks.core.config.types import check_url
from deidflow.tasks.core.errors import BadText, DeidflowError, InvalidInput
from deidflow.tasks.orthanc.connection.client import OrthancClient
from deidflow.tasks.orthanc.connection.errors import ReadOnlyServer
from deidflow.tasks.orthanc.resources.finding import find_studies
from deidflow.tasks.orthanc.resources.resources import inventory
from deidflow.tasks.orthanc.resources.server import Server, read_server
from deidflow.tasks.steps.run.settings import credential_warning, load_credentials

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from deidflow.tasks.core.config.config import Config
    from deidflow.tasks.core.dicom.identifiers import Level
    from deidflow.tasks.core.engine.sources import SourceInstance
    from deidflow.tasks.core.manifest.conditions import Find
    from deidflow.tasks.steps.run.progress import Progress


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


def read_server_inventory(
    url: str, level: Level, progress: Progress, finds: Iterable[Find] | None = None
) -> Iterator[SourceInstance]:
    """Read what an Orthanc holds; credentials come from ORTHANC_USERNAME and ORTHANC_PASSWORD.

    Args:
        url: Its address.
        level: Whose attributes are wanted.
        progress: Counts instances.
        finds: What the server is asked for: at least the whole studies that it finds are read; None for everything.

    """
    try:
        url = check_url(url)
    except BadText as error:
        raise InvalidInput([replace(error.problem, file="SOURCE")]) from None
    progress.start("asking the Orthanc")
    with connect(url, OrthancAccess()) as client:
        read_server(client)
        studies = None if finds is None else find_studies(client, finds)
        for instance in inventory(client, level, studies):
            progress.advance()
            yield instance
