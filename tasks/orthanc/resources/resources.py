"""What a server holds under the identifiers of a manifest, down to the instance.

Cost: three requests for every 1,000 identifiers and one for every 1,000 instances below them. 10,000 instances, by
whatever rows, take 1.0 to 1.3 s on 1.10.1, and some 6 s of the server's time on 1.12.7 (SQLite, one core).

Public names: ``resolve``, ``inventory``, ``still_there``.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers, Level
from deidflow.tasks.core.engine.review import ReviewCode, may_show_text
from deidflow.tasks.core.engine.sources import SourceInstance
from deidflow.tasks.core.manifest.inventory import ATTRIBUTES
from deidflow.tasks.orthanc.connection.answers import resource_ids
from deidflow.tasks.orthanc.resources.bulk_content import batched, read_content

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from deidflow.tasks.orthanc.connection.client import OrthancClient
    from deidflow.tasks.orthanc.resources.bulk_content import Resource

_STUDIES_AT_ONCE: Final = 200
"""For an inventory: the series and instance lists of one batch are in memory together."""

_NO_ATTRIBUTES: Final[Mapping[str, str]] = MappingProxyType({})


def still_there(client: OrthancClient, instance_ids: Iterable[str]) -> set[str]:
    """Return which of them the server holds; one request for every 1,000."""
    return {resource.id for resource in read_content(client, instance_ids)}


def resolve(client: OrthancClient, ids: Iterable[str]) -> Iterator[SourceInstance]:
    """Find every instance at and below the given resources, each once.

    An identifier that the server holds is one of the four ``orthanc_ids`` of at least one instance; its place there is
    its level. Identifiers that the server does not hold yield nothing.

    What a person should look at is told by SOPClassUID, which Orthanc has as metadata (``SopClassUid``) and gives with
    the instances, and by ImageType and BurnedInAnnotation where the server's ``ExtraMainDicomTags`` (1.11.0 on) list
    them: by default it does not, and asking for them would cost a request, and a file read, for each instance.

    Args:
        client: The server.
        ids: Orthanc's identifiers, of any level, mixed; they may repeat and overlap.

    Raises:
        DeidflowError: See ``deidflow.tasks.orthanc.connection.errors``.

    """
    seen: set[bytes] = set()
    for batch in batched(dict.fromkeys(ids)):
        yield from _resolve_batch(client, batch, None, seen)


def inventory(
    client: OrthancClient, level: Level = Level.STUDY, studies: Iterable[str] | None = None
) -> Iterator[SourceInstance]:
    """Find every instance of the server, or of some studies, with what ``write_inventory`` shows at that level.

    ``is_result`` tells which ones an edit on the server made.

    Args:
        client: The server.
        level: Whose attributes are wanted.
        studies: Orthanc's identifiers, each once; None for all.

    Raises:
        DeidflowError: See ``deidflow.tasks.orthanc.connection.errors``.

    """
    listed = resource_ids(client.get("studies"), "studies") if studies is None else studies
    for batch in batched(listed, _STUDIES_AT_ONCE):
        yield from _resolve_batch(client, batch, level, set())


def _resolve_batch(
    client: OrthancClient, ids: list[str], shown: Level | None, seen: set[bytes]
) -> Iterator[SourceInstance]:
    """Find the instances of some resources.

    Args:
        client: The server.
        ids: Of any level.
        shown: Whose attributes are wanted, None for no attributes.
        seen: Instances to leave out, as digests; the new ones are added.

    """
    with_metadata = shown in (None, Level.INSTANCE)
    named = {resource.id: resource for resource in read_content(client, ids, with_metadata=with_metadata)}
    if not named:
        return
    studies = {study.id: study for study in read_content(client, ids, Level.STUDY)}
    series = {item.id: item for item in read_content(client, ids, Level.SERIES)}
    below = [
        instance
        for item in series.values()
        if item.id in named or item.parent in named or (item.parent in studies and studies[item.parent].parent in named)
        for instance in item.children
        if instance not in named and _digest(instance) not in seen
    ]
    attributes: dict[str, Mapping[str, str]] = {}
    own = (resource for resource in named.values() if resource.level is Level.INSTANCE)
    for instances in (own, read_content(client, below, with_metadata=with_metadata)):
        for instance in instances:
            parent = series.get(instance.parent)
            study = studies.get(parent.parent) if parent else None
            if parent is None or study is None or _digest(instance.id) in seen:  # without parents: just deleted
                continue
            seen.add(_digest(instance.id))
            if shown and parent.id not in attributes:
                attributes[parent.id] = _attributes(study, parent)
            yield _source_instance(study, parent, instance, shown, attributes.get(parent.id, _NO_ATTRIBUTES))


def _digest(orthanc_id: str) -> bytes:
    return bytes.fromhex(orthanc_id.replace("-", ""))


def _source_instance(
    study: Resource, series: Resource, instance: Resource, shown: Level | None, attributes: Mapping[str, str]
) -> SourceInstance:
    if shown is Level.INSTANCE:
        own = {"InstanceNumber": instance.tags.get("InstanceNumber", ""), "SOPClassUID": instance.sop_class_uid}
        attributes = {**attributes, **own}
    risk = may_show_text(instance.sop_class_uid, instance.tags.get("ImageType", ""))
    burned_in = risk or instance.tags.get("BurnedInAnnotation", "").strip() == "YES"
    # One that was edited in its own place (OverwriteInstances) names itself as what it was made from.
    origins = tuple(origin for origin in instance.origins if origin != instance.id)
    return SourceInstance(
        path=b"",
        size=instance.size,
        mtime_ns=0,
        identifiers=DicomIdentifiers(
            study.patient_tags.get("PatientID", ""), study.dicom_id, series.dicom_id, instance.dicom_id
        ),
        attributes=attributes,
        is_result=bool(origins),
        orthanc_ids=(study.parent, study.id, series.id, instance.id),
        stable=study.is_stable,
        sop_class_uid=instance.sop_class_uid,
        review=ReviewCode.BURNED_IN_TEXT if burned_in else "",
        content=instance.file_uuid,
        modality=series.tags.get("Modality", ""),
        origins=origins,
    )


def _attributes(study: Resource, series: Resource) -> Mapping[str, str]:
    """Return what all instances of a series share."""
    sources = {Level.PATIENT: study.patient_tags, Level.STUDY: study.tags, Level.SERIES: series.tags}
    found = {
        keyword: tags[keyword] for level, tags in sources.items() for keyword in ATTRIBUTES[level] if keyword in tags
    }
    return MappingProxyType(found)
