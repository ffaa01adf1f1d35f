"""The manifest's rows and their effective requests, each made once in a process.

Public names: ``RequestCache``, ``RowRecord``, ``RequestUse``, ``add_rows``, ``forget_counts``, ``request_numbers``,
``request_uses``, ``rows_by_request``, ``planned_lines``, ``all_lines``, ``identifiers_to_find``, ``count_rows``,
``rows_by_operation``, ``rows_by_outcome``.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from deidflow.tasks.core.request.request import Operation, Request, parse_request

if TYPE_CHECKING:
    from collections.abc import Iterable

    from deidflow.tasks.core.ledger.ledger import Ledger
    from deidflow.tasks.core.outcomes import Outcome


_SHIFT_DAYS: Final = "shift_days"
"""Of a stored request, beside the members that Orthanc reads."""

_KEPT_REQUESTS: Final = 2048
"""A manifest may give every row a request of its own."""


class RequestCache:
    """Requests of one ledger; the ones used last are kept as they were made, or parsed. ``Ledger.requests``."""

    def __init__(self, ledger: Ledger) -> None:
        """Take the ledger they are in."""
        self._ledger = ledger
        self._kept: dict[int, Request] = {}

    def add(self, number: int, request: Request) -> None:
        """Add an effective request under a number that is new."""
        members = request.body() | ({} if request.shift_days is None else {_SHIFT_DAYS: request.shift_days})
        body = json.dumps(members, sort_keys=True, ensure_ascii=False)
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
            members = json.loads(body)
            shift_days = members.pop(_SHIFT_DAYS, None)
            request = replace(parse_request(Operation(operation), members), shift_days=shift_days)
            self._keep(number, request)
        return request

    def take_over(self, other: RequestCache) -> None:
        """Keep what the ledger has kept that this one is a copy of."""
        self._kept.update(other._kept)

    def _keep(self, number: int, request: Request) -> None:
        if len(self._kept) >= _KEPT_REQUESTS:
            self._kept.clear()
        self._kept[number] = request


class RowRecord(NamedTuple):
    """A row of the manifest.

    Attributes:
        line: In the manifest, from 1.
        orthanc_id: As the manifest gives it.
        level: As it says, "" when it does not.
        operation: The effective one, "" when the row does not say it rightly.
        request: The number of its effective request, None when it has none.
        declared: How many instances it says it holds, None when it does not.
        free: Its free cells.
        outcome: ``invalid`` or ``not_found``, "" for a row that is to be planned.
        code: Why, "" for such a row.
        text: Why, for people.

    """

    line: int
    orthanc_id: str
    level: str
    operation: str
    request: int | None
    declared: int | None
    free: tuple[str, ...]
    outcome: str = ""
    code: str = ""
    text: str = ""


def add_rows(ledger: Ledger, rows: Iterable[RowRecord]) -> None:
    """Add rows whose lines are new."""
    ledger.execute_many(
        "INSERT INTO manifest_row (line, orthanc_id, level, operation, request, declared, free, outcome, code, text)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [(*row[:6], json.dumps(row.free, ensure_ascii=False), *row[7:]) for row in rows],
    )


def forget_counts(ledger: Ledger, lines: Iterable[int]) -> None:
    """Hold these rows to no number of instances any more."""
    ledger.execute_many("UPDATE manifest_row SET declared = NULL WHERE line = ?", [(line,) for line in lines])


def request_numbers(ledger: Ledger) -> list[int]:
    """Return the numbers of all requests."""
    return [number for (number,) in ledger.select("SELECT id FROM request")]


class RequestUse(NamedTuple):
    """How many rows and planned instances have a request."""

    number: int
    rows: int
    instances: int


def request_uses(ledger: Ledger) -> list[RequestUse]:
    """Return the requests that planned instances have, in the order of their numbers."""
    rows = ledger.select(
        "SELECT m.request, count(DISTINCT m.line), count(i.id) FROM manifest_row m JOIN instance i ON i.line = m.line"
        " GROUP BY m.request ORDER BY m.request"
    )
    return [RequestUse(*row) for row in rows]


def rows_by_request(ledger: Ledger) -> list[tuple[int, tuple[int, ...]]]:
    """Return each request of rows that are to be planned, with their lines; in the order of its first line."""
    rows = ledger.select(
        "SELECT request, json_group_array(line) FROM manifest_row WHERE outcome = '' GROUP BY request"
        " ORDER BY min(line)"
    )
    return [(number, tuple(sorted(json.loads(lines)))) for number, lines in rows]


def planned_lines(ledger: Ledger) -> list[int]:
    """Return the lines of rows that are planned: neither ``invalid`` nor ``not_found``."""
    return [line for (line,) in ledger.select("SELECT line FROM manifest_row WHERE outcome = ''")]


def all_lines(ledger: Ledger) -> list[int]:
    """Return the lines of all rows."""
    return [line for (line,) in ledger.select("SELECT line FROM manifest_row")]


def identifiers_to_find(ledger: Ledger) -> list[str]:
    """Return the Orthanc identifiers of rows that are to be planned."""
    return [name for (name,) in ledger.select("SELECT orthanc_id FROM manifest_row WHERE outcome = ''")]


def count_rows(ledger: Ledger, operation: Operation) -> int:
    """Count the planned rows of an operation."""
    return int(ledger.scalar("SELECT count(*) FROM manifest_row WHERE operation = ? AND outcome = ''", (operation,)))


def rows_by_operation(ledger: Ledger) -> list[tuple[str, int]]:
    """Count all rows by operation, those without one left out; sorted."""
    return [
        (operation, count)
        for operation, count in ledger.select(
            "SELECT operation, count(*) FROM manifest_row WHERE operation <> '' GROUP BY operation ORDER BY operation"
        )
    ]


def rows_by_outcome(ledger: Ledger) -> dict[Outcome | str, int]:
    """Count all rows by their own outcome; "" for rows that are planned."""
    return dict(ledger.select("SELECT outcome, count(*) FROM manifest_row GROUP BY outcome"))
