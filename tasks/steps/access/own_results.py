"""Which results of engine orthanc may be deleted: those that are proven to be the run's own.

Public names: ``proven_results``, ``additions``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deidflow.tasks.core.ledger.chunks import call_and_request
from deidflow.tasks.core.ledger.run_facts import run_nonce
from deidflow.tasks.orthanc.resources.marks import added_names, find_marked, mark_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deidflow.tasks.core.request.request import Request
    from deidflow.tasks.orthanc.connection.client import OrthancClient
    from deidflow.tasks.orthanc.resources.marks import Mark
    from deidflow.tasks.steps.run.run import Run


def proven_results(run: Run, client: OrthancClient, results: Mapping[int, str]) -> set[int]:
    """Look up which results carry the mark of their call.

    Of a call without a mark (its request leaves no element for it) all that its own job listed count.

    Args:
        run: Of engine orthanc.
        client: Its server.
        results: Orthanc's identifiers of results by the instance's number in the ledger.

    Returns:
        The numbers of those that are there and the run's own.

    Raises:
        DeidflowError: See ``deidflow.tasks.orthanc.connection.errors``.

    """
    nonce = run_nonce(run.ledger)
    by_mark: dict[Mark | None, list[int]] = {}
    for number in results:
        call, request = call_and_request(run.ledger, number)
        by_mark.setdefault(mark_of(nonce, call, run.ledger.requests.get(request)), []).append(number)
    found: set[int] = set()
    for mark, numbers in by_mark.items():
        if mark is None:
            found.update(numbers)
        else:
            own = find_marked(client, [results[number] for number in numbers], mark).own
            found.update(number for number in numbers if results[number] in own)
    return found


def additions(request: Request) -> list[str]:
    """Return what deidflow itself adds to a request to an Orthanc, each as ``replace`` and a keyword."""
    return added_names(request)
