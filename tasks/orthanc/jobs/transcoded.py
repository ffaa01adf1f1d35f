"""Which results of a job have another transfer syntax than was asked for.

An Orthanc (1.10.1, 1.12.7 and 1.13.0) that cannot convert an object stores its result in the source's transfer syntax
and says that all is well. What the result has is in its metadata ``TransferSyntax``.

Public names: ``not_converted``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from deidflow.tasks.orthanc.connection.answers import mapping, objects, resource_id, text
from deidflow.tasks.orthanc.resources.bulk_content import batched

if TYPE_CHECKING:
    from collections.abc import Iterable

    from deidflow.tasks.orthanc.connection.client import OrthancClient

_WHAT: Final = "metadata"


def not_converted(client: OrthancClient, instance_ids: Iterable[str], transfer_syntax: str) -> dict[str, str]:
    """Read the transfer syntaxes of results, one request for every 1,000.

    Args:
        client: The server.
        instance_ids: Of the results; those that are gone are left out.
        transfer_syntax: UID that was asked for.

    Returns:
        The transfer syntax of each result that has another one, "" where the server does not tell.

    Raises:
        DeidflowError: See ``deidflow.tasks.orthanc.connection.errors``.

    """
    others: dict[str, str] = {}
    for batch in batched(instance_ids):
        answer = client.post("tools/bulk-content", {"Resources": batch, "Metadata": True})
        for item in objects(answer, _WHAT):
            syntax = text(mapping(item.get("Metadata"), _WHAT), "TransferSyntax", _WHAT, "")
            if syntax != transfer_syntax:
                others[resource_id(item, "ID", _WHAT)] = syntax
    return others
