"""What has been made from some originals, as a test asks for it: by all that is new on the server.

Public names: ``outputs_since``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deidflow.tasks.orthanc.resources.bulk_content import read_content
from deidflow.tasks.orthanc.resources.changes import Changes

if TYPE_CHECKING:
    from collections.abc import Collection

    from deidflow.tasks.orthanc.connection.client import OrthancClient


def outputs_since(client: OrthancClient, change: int, instance_ids: Collection[str]) -> dict[str, str]:
    """Return the original of each result that has come since a change and is still there, by Orthanc's identifiers."""
    originals = frozenset(instance_ids)
    new = dict.fromkeys(name for name in Changes(client).new_instances(change) if name not in originals)
    return {item.id: origin for item in read_content(client, new) for origin in item.origins if origin in originals}
