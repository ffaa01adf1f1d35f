"""Whether results are on an Orthanc under their identifiers: many of them in one request.

Public names: ``start_presence_on_server``, ``presence_on_server``.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.engine.protocol import InstanceResult
from deidflow.tasks.core.errors import TransientError, Unusable, bare
from deidflow.tasks.core.outcomes import Outcome, ReasonCode
from deidflow.tasks.orthanc.resources.resources import still_there

if TYPE_CHECKING:
    from deidflow.tasks.core.engine.protocol import VerifyWork
    from deidflow.tasks.orthanc.store import OrthancServer

_NOT_THERE: Final = "the result is not on the Orthanc"

_of_this_thread = threading.local()


def start_presence_on_server(server: OrthancServer) -> None:
    """Prepare this thread."""
    _of_this_thread.server = server


def presence_on_server(work: VerifyWork) -> list[InstanceResult] | TransientError | Unusable:
    """Ask for all of them at once; their identifiers are what they are found by.

    Returns:
        Those that are missing, or why the server cannot be asked.

    """
    expected = [one for _, group in work.groups for one in group]
    try:
        there = still_there(_of_this_thread.server.client(), [one.result_id for one in expected])
    except (TransientError, Unusable) as error:
        return bare(error)
    return [
        InstanceResult(one.instance.id, Outcome.MISSING, ReasonCode.RESULT_MISSING, _NOT_THERE)
        for one in expected
        if one.result_id not in there
    ]
