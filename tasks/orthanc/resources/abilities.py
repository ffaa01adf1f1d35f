"""Ask an Orthanc what plans depend on.

Public names: ``read_abilities``.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from deidflow.tasks.core.plan.server_abilities import ServerAbilities
from deidflow.tasks.orthanc.connection.errors import BadRequest, NotFound, RefusedCredentials, ServerError

if TYPE_CHECKING:
    from deidflow.tasks.orthanc.connection.client import OrthancClient
    from deidflow.tasks.orthanc.resources.server import Server


def read_abilities(client: OrthancClient, server: Server) -> ServerAbilities:
    """Read ``/system`` and ``/plugins``; what a server keeps to itself is None.

    Raises:
        DeidflowError: See ``deidflow.tasks.orthanc.connection.errors``.

    """
    system = client.get("system")
    plugins = _plugins(client)
    limits = (system.get("MaximumStorageSize"), system.get("MaximumPatientCount"))
    return ServerAbilities(
        version=server.version,
        plugins=plugins,
        ingest_transcoding=_text(system.get("IngestTranscoding")),
        storage_mode=_text(system.get("MaximumStorageMode")),
        has_limit=any(isinstance(limit, int) and limit > 0 for limit in limits),
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _plugins(client: OrthancClient) -> frozenset[str] | None:
    try:
        names = client.get("plugins")
    except (NotFound, BadRequest, RefusedCredentials):  # somebody who may edit need not be allowed to see them
        return None
    except ServerError as error:
        if error.http_status != HTTPStatus.NOT_FOUND:  # a proxy's own page, in the place of what it hides
            raise
        return None
    return frozenset(name for name in names if isinstance(name, str)) if isinstance(names, list) else None
