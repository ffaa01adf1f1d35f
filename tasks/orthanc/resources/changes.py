"""The list of changes of an Orthanc.

Source: ``GET /changes`` (``since``, ``limit``, ``last``); every instance that comes in is one ``NewInstance``.

Public names: ``Changes``.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from deidflow.tasks.orthanc.connection.answers import mapping, objects, resource_id, whole
from deidflow.tasks.orthanc.connection.client import BATCH

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deidflow.tasks.orthanc.connection.client import OrthancClient

_WHAT: Final = "changes"


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
            DeidflowError: See ``deidflow.tasks.orthanc.connection.errors``.

        """
        newest, seen_at = self._seen
        if time.monotonic() - seen_at < within_s:
            return newest
        return _number(self._client.get("changes", last=""))

    def reaches_back(self, since: int) -> bool:
        """Whether the list still holds the change of that number, so that what came after it is there, too.

        False also when only its resource is gone, since that takes its changes along; then nobody knows.

        Raises:
            DeidflowError: See ``deidflow.tasks.orthanc.connection.errors``.

        """
        if since < 1:
            return False
        answer = self._client.get("changes", since=since - 1, limit=1)
        return any(entry.get("Seq") == since for entry in _entries(answer))

    def new_instances(self, since: int) -> Iterator[str]:
        """Yield the instances that the server took in after a change, in that order; 1,000 changes a request.

        Raises:
            DeidflowError: See ``deidflow.tasks.orthanc.connection.errors``.

        """
        done = False
        while not done:
            asked = time.monotonic()
            answer = self._client.get("changes", since=since, limit=BATCH)
            last = _number(answer)
            changes = _entries(answer)
            # An empty page has the number that was asked for, or 0; without progress there is nothing more.
            done = answer.get("Done") is True or not changes or last <= since
            since = max(last, since)
            if done:
                self._seen = (since, asked)
            yield from (
                resource_id(entry, "ID", _WHAT) for entry in changes if entry.get("ChangeType") == "NewInstance"
            )


def _number(answer: object) -> int:
    return whole(mapping(answer, _WHAT), "Last", _WHAT)


def _entries(answer: object) -> list[dict[str, Any]]:
    return objects(mapping(answer, _WHAT).get("Changes", []), _WHAT)
