"""Which transfer syntaxes an Orthanc writes.

Source: 1.10.1, 1.12.7 and 1.13.0 alike (measured by jobs with each target, without plugins): others are ignored without
a word, and the result keeps its source's transfer syntax. The plugin GDCM adds JPEG 2000.

Public names: ``check_transcoding``, ``LOSSY``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.plan.server_abilities import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deidflow.tasks.core.plan.server_abilities import ServerAbilities, Version

_DICOM: Final = "1.2.840.10008.1.2"
_BUILT_IN: Final = frozenset(
    {_DICOM, *(f"{_DICOM}.{end}" for end in ("1", "2", "1.99"))}
    | {f"{_DICOM}.4.{end}" for end in ("50", "51", "57", "70", "80", "81")}
)
LOSSY: Final = frozenset(f"{_DICOM}.4.{end}" for end in ("50", "51", "81", "91", "93"))
"""Transfer syntaxes that may lose pixels (PS3.5 section 10, edition 2026c)."""

_GDCM: Final = "gdcm"
_OVERRIDES_SINCE: Final[Version] = (1, 11, 3)


def check_transcoding(target: str, server: ServerAbilities) -> Iterator[tuple[str, str]]:
    """Yield why results would not have the transfer syntax that was asked for, or their sources' pixels: key and text.

    Args:
        target: ``Transcode``, "" when not given.
        server: The engine.

    """
    if target and target not in _BUILT_IN and server.plugins is not None and _GDCM not in server.plugins:
        text = (
            "the server has no codec for this transfer syntax and would keep the source's; it writes uncompressed, "
            "deflated, JPEG and JPEG-LS, and JPEG 2000 with its plugin GDCM; or use engine: local"
        )
        yield "options.Transcode", text
    if not server.ingest_transcoding:
        return
    if server.version < _OVERRIDES_SINCE and target != server.ingest_transcoding:
        text = (
            f"the server converts what it stores (IngestTranscoding), and on Orthanc {shown(server.version)} results "
            f"lose the link to their originals by it; switch it off, set options.Transcode to "
            f"{server.ingest_transcoding}, which is what it converts to, or use engine: local"
        )
        yield "source.orthanc", text
    elif not target and server.ingest_transcoding in LOSSY:
        yield (
            "options.Transcode",
            "must be given: the server converts what it stores (IngestTranscoding) with loss, which Transcode replaces",
        )
