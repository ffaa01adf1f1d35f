"""What a call left on the server, and which of it is proven to be its own.

Candidates are the instances that came in since the call's intent (``GET /changes``) and those that its job lists, made
from the call's originals. Where somebody cleared the list of changes, or the server's MaximumPatientCount did, they are
looked for below the studies that were made from the originals' studies (``GET /studies``).

Proven are those that carry the call's mark; of a call without one, those that its own job lists and the list of changes
has as new: an output that stood there before is listed, too (1.12.7, ``OverwriteInstances`` false).

Public names: ``OwnResults``, ``find_own_results``, ``results_by_study``, ``unlinked``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from deidflow.tasks.core.dicom.identifiers import Level
from deidflow.tasks.orthanc.connection.answers import objects
from deidflow.tasks.orthanc.connection.client import BATCH
from deidflow.tasks.orthanc.resources.bulk_content import parse_resource, read_content
from deidflow.tasks.orthanc.resources.changes import Changes
from deidflow.tasks.orthanc.resources.marks import find_marked

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from deidflow.tasks.orthanc.connection.client import OrthancClient
    from deidflow.tasks.orthanc.resources.bulk_content import Resource
    from deidflow.tasks.orthanc.resources.marks import Mark


class OwnResults(NamedTuple):
    """What a call left.

    Attributes:
        proven: Original of each result that is the call's own, both by Orthanc's identifiers.
        possible: Results of its originals that may be its own, or somebody else's.

    """

    proven: Mapping[str, str]
    possible: frozenset[str]


def find_own_results(
    client: OrthancClient,
    since: int,
    instance_ids: Collection[str],
    studies: Collection[str],
    mark: Mark | None,
    listed: Iterable[str],
    *,
    loses_links: bool = False,
) -> OwnResults:
    """Find what a call left on the server.

    Three requests and one for each candidate; with a list of changes that was cleared one more for every 1,000 studies
    of the server. An instance that is itself one of the originals is never returned.

    Args:
        client: The server.
        since: A change before the call was sent.
        instance_ids: The originals of the call.
        studies: Theirs, as planned: the server may not hold them any more.
        mark: Of the call, None when it has none.
        listed: Outputs in jobs that are known to be the call's.
        loses_links: Whether results may not tell what they were made from: then all that came in meanwhile and tells
            nothing is looked at for the mark, and its original is "".

    Raises:
        DeidflowError: See ``deidflow.tasks.orthanc.connection.errors``.

    """
    originals = frozenset(instance_ids)
    changes = Changes(client)
    is_whole = changes.reaches_back(since)
    new = frozenset(changes.new_instances(since))
    own_jobs = frozenset(listed)
    candidates = list(read_content(client, [*(new | own_jobs)]))
    found = _made_from(candidates, originals)
    if not is_whole:
        found |= results_by_study(client, originals, studies)
    if mark is not None:
        linkless = unlinked(candidates, originals) if loses_links else []
        marked = find_marked(client, [*found, *linkless], mark)
        return OwnResults({name: found.get(name, "") for name in marked.own}, marked.unknown & found.keys())
    proven = {name: origin for name, origin in found.items() if name in own_jobs and name in new}
    return OwnResults(proven, frozenset(found.keys() - proven.keys()))


def results_by_study(client: OrthancClient, instance_ids: Iterable[str], studies: Iterable[str]) -> dict[str, str]:
    """Find the results of originals without the list of changes: in their own studies, and in those made from these.

    One request for every 1,000 studies of the server and for every 1,000 instances below those that count.

    Args:
        client: The server.
        instance_ids: The originals.
        studies: Theirs.

    Returns:
        The original of each result.

    Raises:
        DeidflowError: See ``deidflow.tasks.orthanc.connection.errors``.

    """
    originals = frozenset(instance_ids)
    sources = frozenset(studies)
    made = [study.id for study in _all_studies(client) if not sources.isdisjoint((study.id, *study.origins))]
    return _made_from(read_content(client, made, Level.INSTANCE), originals)


def _all_studies(client: OrthancClient) -> Iterator[Resource]:
    since = 0
    while page := objects(client.get("studies", expand="", since=since, limit=BATCH), "studies"):
        yield from map(parse_resource, page)
        since += len(page)
        if len(page) < BATCH:
            return


def unlinked(instances: Iterable[Resource], originals: frozenset[str]) -> list[str]:
    """Return the instances that do not tell what they were made from; originals of the call are none of them."""
    return [
        item.id for item in instances if item.level is Level.INSTANCE and not item.origins and item.id not in originals
    ]


def _made_from(instances: Iterable[Resource], originals: frozenset[str]) -> dict[str, str]:
    return {
        item.id: origin
        for item in instances
        if item.level is Level.INSTANCE and item.id not in originals
        for origin in item.origins
        if origin in originals
    }
