"""Which result came of which original, and what a failed call left behind.

``AnonymizedFrom`` and ``ModifiedFrom`` of an instance hold the identifier of its original (docs/orthanc.md, Links),
seen on 1.10.1 and 1.12.7; those of the levels above hold one of several and are not used.

Public names: ``Result``, ``Results``, ``map_outputs``, ``outputs_since``, ``delete_instances``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers, Level
from deidflow.tasks.orthanc.connection.errors import BadRequest, NotFound
from deidflow.tasks.orthanc.resources.bulk_content import Resource, batched, read_content
from deidflow.tasks.orthanc.resources.changes import Changes
from deidflow.tasks.orthanc.resources.resources import still_there

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from deidflow.tasks.orthanc.connection.client import OrthancClient

_DELETE_ATTEMPTS: Final = 3


class Result(NamedTuple):
    """What one original became.

    Attributes:
        identifiers: Of the new instance and its parents.
        orthanc_ids: Of patient, study, series and instance.

    """

    identifiers: DicomIdentifiers
    orthanc_ids: tuple[str, str, str, str]


class Results(NamedTuple):
    """What became of a call.

    Attributes:
        of: By the original's Orthanc identifier; what is not in it has no result.
        repeated: Further results of originals that have one in ``of``: copies too many, which may be deleted.
        foreign: Outputs that no original of the call led to: they stood there before, and are not to be deleted.

    """

    of: Mapping[str, Result]
    repeated: tuple[str, ...]
    foreign: tuple[str, ...]


def map_outputs(client: OrthancClient, outputs: Mapping[str, Iterable[str]], instance_ids: Collection[str]) -> Results:
    """Read what a job's outputs are and which originals they were made from.

    One request for every 1,000 outputs; parents that the job does not name are asked for.

    Args:
        client: The server.
        outputs: ``Job.outputs``, or instances alone under ``"Instance"``.
        instance_ids: The originals of the call.

    Raises:
        DeidflowError: See ``deidflow.tasks.orthanc.connection.errors``.

    """
    originals = frozenset(instance_ids)
    found = {item.id: item for item in read_content(client, [name for ids in outputs.values() for name in ids])}
    instances = [item for item in found.values() if item.level is Level.INSTANCE]
    for _ in range(Level.INSTANCE.depth):  # at most: series, studies, patients
        missing = {item.parent for item in found.values() if item.parent and item.parent not in found}
        if not missing:
            break
        found |= {item.id: item for item in read_content(client, missing)}
    of: dict[str, Result] = {}
    repeated, foreign = [], []
    for instance in instances:
        original = next((name for name in instance.origins if name in originals), None)
        result = _result(instance, found)
        if original is None:
            foreign.append(instance.id)
        elif result is None:
            continue  # its parents are gone, so it is, too
        elif original in of:
            repeated.append(instance.id)
        else:
            of[original] = result
    return Results(of, tuple(repeated), tuple(foreign))


def _result(instance: Resource, found: Mapping[str, Resource]) -> Result | None:
    lineage = [instance]
    while lineage[-1].parent:
        parent = found.get(lineage[-1].parent)
        if parent is None:
            return None
        lineage.append(parent)
    if len(lineage) != len(Level):
        return None
    patient, study, series, _ = reversed(lineage)
    return Result(
        DicomIdentifiers(patient.dicom_id, study.dicom_id, series.dicom_id, instance.dicom_id),
        (patient.id, study.id, series.id, instance.id),
    )


def outputs_since(client: OrthancClient, change: int, instance_ids: Collection[str]) -> dict[str, str]:
    """Find what has been made from the originals of a call since a change.

    One request for every 1,000 changes and for every 1,000 new instances. An instance that is itself one of the
    originals is never returned.

    Args:
        client: The server.
        change: ``Changes.newest`` before the call was sent.
        instance_ids: The originals of the call.

    Returns:
        The original of each result that is still there, both by Orthanc's identifiers.

    Raises:
        DeidflowError: See ``deidflow.tasks.orthanc.connection.errors``.

    """
    originals = frozenset(instance_ids)
    new = dict.fromkeys(name for name in Changes(client).new_instances(change) if name not in originals)
    return {item.id: origin for item in read_content(client, new) for origin in item.origins if origin in originals}


def delete_instances(client: OrthancClient, instance_ids: Iterable[str]) -> None:
    """Delete instances (``POST /tools/bulk-delete``); those that are gone already do not matter.

    1.10.1 and 1.12.7 pass over unknown identifiers; should a later version refuse the call for them, it is sent again
    without them.

    Raises:
        DeidflowError: See ``deidflow.tasks.orthanc.connection.errors``; some may be deleted then.

    """
    for batch in batched(dict.fromkeys(instance_ids)):
        names = batch
        for attempt in range(_DELETE_ATTEMPTS):
            try:
                client.post("tools/bulk-delete", {"Resources": names})
                break
            except (NotFound, BadRequest):
                there = still_there(client, names)
                if attempt + 1 == _DELETE_ATTEMPTS and there:
                    raise
                names = [name for name in names if name in there]
                if not names:
                    break
