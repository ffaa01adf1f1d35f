"""The list of changes of an Orthanc.

Source: ``GET /changes`` (``since``, ``limit``, ``last``); every instance that comes in is one ``NewInstance``.

Public names: ``Changes``.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from deidflow.tasks.orthanc.client import BATCH
from deidflow.tasks.orthanc.errors import ServerError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deidflow.tasks.orthanc.client import OrthancClient

_OK: Final = 200


class Changes:
    """What a server tells of its changes; its methods may be called from any thread."""

    def __init__(self, client: OrthancClient) -> None:
        """Take the server."""
        self._client = client
        self._seen = (0, float("-inf"))
        """The latest change, and when it was known to be that."""

    def newest(self, within_s: float = 0.0) -> int:
        """Return the number of the latest change, 0 when there is none.

        Args:
            within_s: A number will do that was the latest so many seconds ago, which saves the request.

        Raises:
            DeidflowError: See ``deidflow.tasks.orthanc.errors``.

        """
        newest, seen_at = self._seen
        if time.monotonic() - seen_at < within_s:
            return newest
        return _number(self._client.get("changes", last=""))

    def new_instances(self, since: int) -> Iterator[str]:
        """Yield the instances that the server took in after a change, in that order; 1,000 changes a request.

        Raises:
            DeidflowError: See ``deidflow.tasks.orthanc.errors``.

        """
        done = False
        while not done:
            asked = time.monotonic()
            answer = self._client.get("changes", since=since, limit=BATCH)
            last = _number(answer)
            changes = answer.get("Changes", [])
            # An empty page has the number that was asked for, or 0; without progress there is nothing more.
            done = answer.get("Done") is True or not changes or last <= since
            since = max(last, since)
            if done:
                self._seen = (since, asked)
            yield from (str(entry["ID"]) for entry in changes if entry.get("ChangeType") == "NewInstance")


def _number(answer: object) -> int:
    value = answer.get("Last") if isinstance(answer, dict) else None
    if not isinstance(value, int):
        text = "the answer about changes is not what an Orthanc sends; does a proxy answer for it?"
        raise ServerError(text, _OK)
    return value
