"""Objects that stand where results belong: they are not the run's to replace.

What an Orthanc does with an instance that it holds already depends on ``OverwriteInstances`` and its version: it
replaces it, fails, or (1.12.7 and 1.13.0) says that all is well and stores nothing. So they are looked for before a
call is sent, which only one that fixes all four identifiers can need.

Public names: ``conflicting_originals``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deidflow.tasks.core.dicom.identifiers import Level
from deidflow.tasks.core.pseudonyms.new_identifiers import fixed_identifiers
from deidflow.tasks.orthanc.resources.resources import still_there

if TYPE_CHECKING:
    from deidflow.tasks.core.engine.protocol import Call
    from deidflow.tasks.orthanc.connection.client import OrthancClient


def conflicting_originals(client: OrthancClient, call: Call) -> set[str]:
    """Find the originals of a call whose results' places are taken: no request, or one for every 1,000 originals.

    Args:
        client: The server.
        call: About to be sent; what earlier attempts at it left is gone.

    Returns:
        Orthanc's identifiers of the originals.

    Raises:
        DeidflowError: See ``deidflow.tasks.orthanc.connection.errors``.

    """
    place_of = {
        instance.orthanc_id: fixed.orthanc_id(Level.INSTANCE)
        for instance in call.instances
        if (fixed := fixed_identifiers(instance.original, call.request)) is not None
    }
    if not place_of:
        return set()
    taken = still_there(client, place_of.values())
    return {original for original, place in place_of.items() if place in taken}
