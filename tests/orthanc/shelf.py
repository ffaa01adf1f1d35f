"""Instances for a server: of a new patient each time, so that tests do not meet each other's.

Public names: ``new_uid``, ``make``, ``store``, ``ids_of``, ``lose_file``, ``UNKNOWN``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from tests.dicom_files import instance

if TYPE_CHECKING:
    from collections.abc import Iterable

    from deidflow.tasks.orthanc.connection.client import OrthancClient, Uploaded
    from tests.dicom_files import Element
    from tests.orthanc_server import OrthancServer

UNKNOWN: Final = "00000000-00000000-00000000-00000000-00000000"


def new_uid() -> str:
    """Return a UID that nobody has."""
    return f"2.25.{uuid4().int}"


def make(*extra: Element, **keywords: Any) -> bytes:
    """Return a file of a new patient, unless the keywords say otherwise."""
    fresh = {name: new_uid() for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")}
    return instance(*extra, **{"PatientID": str(uuid4()), **fresh, **keywords})


def store(
    client: OrthancClient, *, studies: int = 1, series: int = 1, instances: int = 1, **keywords: Any
) -> list[Uploaded]:
    """Upload one new patient; return what the server says, series by series."""
    patient = {"PatientID": str(uuid4()), **keywords}
    found = []
    for _ in range(studies):
        study = new_uid()
        for _ in range(series):
            uids = {"StudyInstanceUID": study, "SeriesInstanceUID": new_uid()}
            found += [
                client.upload(make(**{**patient, **uids, "InstanceNumber": str(n + 1)})) for n in range(instances)
            ]
    return found


def ids_of(uploads: Iterable[Uploaded], depth: int = 3) -> list[str]:
    """Return Orthanc's identifiers of one level (3 for instances), each once."""
    return list(dict.fromkeys(upload.orthanc_ids[depth] for upload in uploads))


def lose_file(server: OrthancServer, client: OrthancClient, instance_id: str) -> None:
    """Delete an instance's file behind the back of a server without storage cache: nothing can be made from it."""
    name = client.get(f"instances/{instance_id}")["FileUuid"]
    (server._folder / "storage" / name[:2] / name[2:4] / name).unlink()
