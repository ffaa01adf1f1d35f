"""What an Orthanc tells about itself, as far as plans depend on it, and what is to be known before it is used.

Source: ``GET /system`` (``IngestTranscoding`` since 1.11.0; ``MaximumStorageMode``, ``MaximumStorageSize`` and
``MaximumPatientCount`` on 1.12.7 and 1.13.0, not on 1.10.1) and ``GET /plugins`` (all versions).

Public names: ``ServerAbilities``, ``server_notes``, ``deletion_notes``, ``shown``, ``Version``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deidflow.tasks.core.request.request import Settings

Version = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class ServerAbilities:
    """One Orthanc.

    Attributes:
        version: ``(1, 10, 1)``.
        plugins: Names of its plugins, None when it does not tell.
        ingest_transcoding: Transfer syntax UID that it converts to what it stores, "" for none, None when it does not
            tell.
        storage_mode: What it does when it is full, ``Recycle`` or ``Reject``, None when it does not tell.
        has_limit: Whether its storage or its number of patients is limited.

    """

    version: Version
    plugins: frozenset[str] | None = None
    ingest_transcoding: str | None = None
    storage_mode: str | None = None
    has_limit: bool = False


def shown(version: Version) -> str:
    """Return the usual form, ``1.10.1``."""
    return ".".join(map(str, version))


def server_notes(server: ServerAbilities, settings: Settings, *, edits: bool) -> Iterator[str]:
    """Yield what people should know of a server before they use it, and what stops nothing.

    Args:
        server: Which results go to.
        settings: The config's.
        edits: Whether it is the engine, too.

    """
    if edits and settings.private_creator:
        yield "PrivateCreator: private elements that the server's own Dictionary lacks are written with VR UN"
    if edits and settings.keep_labels:
        yield "KeepLabels: labels of patients, studies and series are copied, those of instances are not"
    if edits and settings.transcode and server.plugins is None:
        yield "Transcode: the server does not tell its plugins; what it cannot convert will fail"
    if server.ingest_transcoding and not (edits and settings.transcode):
        yield (
            f"IngestTranscoding: the server converts what it stores to {server.ingest_transcoding}, results of this "
            "run among it"
        )
    if server.has_limit and server.storage_mode == "Reject":
        yield "MaximumStorageMode: the server takes nothing more when it is full; results that do not fit will fail"
    elif server.has_limit and not edits:
        yield (
            "MaximumStorageMode: when the destination is full it deletes its oldest patients, results of this run "
            "among them"
        )
    if server.ingest_transcoding is None or server.storage_mode is None:
        yield (
            f"Orthanc {shown(server.version)} does not tell whether it converts what it stores (IngestTranscoding) or "
            "deletes old patients when it is full (MaximumStorageSize, MaximumPatientCount); see its configuration"
        )


def deletion_notes(settings: Settings) -> Iterator[str]:
    """Yield what goes with originals that are deleted from an Orthanc, and that no result has.

    Whether there is any would take a request for each resource (attachments, before 1.12.5), so it is always told.
    """
    if not settings.keep_source:
        labels = "" if settings.keep_labels else ", labels"
        yield (
            f"KeepSource: with the originals go the attachments{labels} and metadata that users have added to them "
            "and to series, studies and patients that become empty; no result has them, so save them first"
        )
