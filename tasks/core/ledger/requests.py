"""The effective requests of a ledger, by their numbers; each is made once in a process.

Public names: ``RequestCache``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.request.request import Operation, Request, parse_request

if TYPE_CHECKING:
    from deidflow.tasks.core.ledger.ledger import Ledger

_KEPT: Final = 2048
"""A manifest may give every row a request of its own."""


class RequestCache:
    """Requests of one ledger; the ones used last are kept as they were made, or parsed. ``Ledger.requests``."""

    def __init__(self, ledger: Ledger) -> None:
        """Take the ledger they are in."""
        self._ledger = ledger
        self._kept: dict[int, Request] = {}

    def add(self, number: int, request: Request) -> None:
        """Add an effective request under a number that is new."""
        body = json.dumps(request.body(), sort_keys=True, ensure_ascii=False)
        self._ledger.execute("INSERT INTO request VALUES (?, ?, ?)", (number, request.operation, body))
        self._keep(number, request)

    def get(self, number: int) -> Request:
        """Return a request.

        Raises:
            ValueError: There is none of that number.

        """
        request = self._kept.get(number)
        if request is None:
            ((operation, body),) = self._ledger.select("SELECT operation, body FROM request WHERE id = ?", (number,))
            request = parse_request(Operation(operation), json.loads(body))
            self._keep(number, request)
        return request

    def take_over(self, other: RequestCache) -> None:
        """Keep what the ledger has kept that this one is a copy of."""
        self._kept.update(other._kept)

    def _keep(self, number: int, request: Request) -> None:
        if len(self._kept) >= _KEPT:
            self._kept.clear()
        self._kept[number] = request
