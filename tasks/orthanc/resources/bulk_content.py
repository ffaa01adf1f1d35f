"""Many resources in one request: ``POST /tools/bulk-content`` (Orthanc 1.9.4 on), as records.

Verified on 1.10.1 and 1.12.7: unknown IDs are left out of the answer without a word, an ID given twice comes once;
with ``Level`` every ID stands for its ancestor or its descendants of that level, each of which comes once.

Public names: ``Resource``, ``read_content``, ``parse_resource``, ``batched``.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from deidflow.tasks.core.dicom.identifiers import Level
from deidflow.tasks.orthanc.connection.answers import objects, resource_id, resource_ids, strange, text, texts, whole
from deidflow.tasks.orthanc.connection.client import BATCH

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from deidflow.tasks.orthanc.connection.client import OrthancClient

_T = TypeVar("_T")

_ID_TAGS: Final = {
    Level.PATIENT: "PatientID",
    Level.STUDY: "StudyInstanceUID",
    Level.SERIES: "SeriesInstanceUID",
    Level.INSTANCE: "SOPInstanceUID",
}
_PARENTS: Final = {Level.STUDY: "ParentPatient", Level.SERIES: "ParentStudy", Level.INSTANCE: "ParentSeries"}
_CHILDREN: Final = {Level.PATIENT: "Studies", Level.STUDY: "Series", Level.SERIES: "Instances"}
_WHAT: Final = "resources"
_LEVELS: Final = frozenset(Level)


class Resource(NamedTuple):
    """A patient, study, series or instance as the server has it.

    Attributes:
        id: Orthanc's identifier.
        level: Which of the four it is.
        parent: Identifier of the next higher resource, "" for a patient.
        children: Identifiers of the next lower ones, none for an instance.
        dicom_id: PatientID ("" when absent) or UID.
        tags: Its main DICOM tags, by keyword.
        patient_tags: Of a study those of its patient.
        origins: From which resource an edit on the server made it (``AnonymizedFrom``, ``ModifiedFrom``).
        is_stable: Whether it has ceased to grow; True for instances.
        size: Of an instance's file in bytes, else 0.
        file_uuid: Of an instance the name of its file in the server's storage; a later version has another one.
        sop_class_uid: Of an instance when metadata was asked for, else "".

    """

    id: str
    level: Level
    parent: str
    children: tuple[str, ...]
    dicom_id: str
    tags: Mapping[str, str]
    patient_tags: Mapping[str, str]
    origins: tuple[str, ...]
    is_stable: bool
    size: int
    sop_class_uid: str
    file_uuid: str = ""


def batched(values: Iterable[_T], size: int = BATCH) -> Iterator[list[_T]]:
    """Yield lists of at most that many values."""
    iterator = iter(values)
    while batch := list(islice(iterator, size)):
        yield batch


def read_content(
    client: OrthancClient, ids: Iterable[str], level: Level | None = None, *, with_metadata: bool = False
) -> Iterator[Resource]:
    """Read resources, one request for every ``BATCH`` of them; those that are not there are left out.

    Args:
        client: The server.
        ids: Orthanc's identifiers, of any level, mixed.
        level: Read the ancestors or descendants of this level in place of the resources; they come once for each
            request.
        with_metadata: Also read what ``sop_class_uid`` needs.

    """
    for batch in batched(ids):
        body: dict[str, Any] = {"Resources": batch, "Metadata": with_metadata}
        if level is not None:
            body["Level"] = level.value.capitalize()
        answer = client.post("tools/bulk-content", body)
        yield from [parse_resource(item) for item in objects(answer, _WHAT)]


def parse_resource(item: dict[str, Any]) -> Resource:
    """Read one resource as ``/tools/bulk-content`` and expanded lists show it.

    Raises:
        ServerError: It is not what Orthanc sends.

    """
    kind = text(item, "Type", _WHAT).lower()
    if kind not in _LEVELS or "MainDicomTags" not in item:
        raise strange(_WHAT)
    level = Level(kind)
    tags = texts(item, "MainDicomTags", _WHAT)
    return Resource(
        id=resource_id(item, "ID", _WHAT),
        level=level,
        parent=resource_id(item, _PARENTS[level], _WHAT) if level in _PARENTS else "",
        children=tuple(resource_ids(item.get(_CHILDREN[level]), _WHAT)) if level in _CHILDREN else (),
        dicom_id=tags.get(_ID_TAGS[level], ""),
        tags=tags,
        patient_tags=texts(item, "PatientMainDicomTags", _WHAT),
        origins=tuple(text(item, key, _WHAT) for key in ("AnonymizedFrom", "ModifiedFrom") if key in item),
        is_stable=item.get("IsStable", True) is not False,
        size=whole(item, "FileSize", _WHAT, 0),
        sop_class_uid=texts(item, "Metadata", _WHAT).get("SopClassUid", ""),
        file_uuid=text(item, "FileUuid", _WHAT, ""),
    )
