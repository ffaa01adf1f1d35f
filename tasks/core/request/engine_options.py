"""Options that an engine does not read: refused, or told, so that nobody takes them for done.

Public names: ``options_without_effect``, ``notes_of_operations``, ``check_request_on_local_engine``,
``names_by_creator``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.dicom.tags import ENCAPSULATED_DOCUMENT, PIXEL_DATA, Path
from deidflow.tasks.core.request.data_uris import OCTETS, PDF, parse_embedded
from deidflow.tasks.core.request.request import Operation, orthanc_name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from deidflow.tasks.core.request.edits import Edits
    from deidflow.tasks.core.request.request import Request, Settings

_LOCAL: Final = (
    ("private_creator", "PrivateCreator", "looks up private elements in an Orthanc's Dictionary"),
    ("keep_labels", "KeepLabels", "copies labels, which files do not have"),
    ("lossy_quality", "LossyQuality", "sets the quality of codecs that lose pixels, and the local engine writes none"),
    ("priority", "Priority", "orders the jobs of an Orthanc"),
)

_OF_ONE_OPERATION: Final = (
    ("remove_private_tags", Operation.MODIFY),
    ("level", Operation.MODIFY),
    ("keep_private_tags", Operation.ANONYMIZE),
    ("dicom_version", Operation.ANONYMIZE),
)


def notes_of_operations(settings: Settings, operations: Collection[Operation]) -> Iterator[str]:
    """Yield what is to be said of options that only the other operation reads.

    Args:
        settings: Of the config.
        operations: Of its rows.

    """
    for field, reader in _OF_ONE_OPERATION:
        if getattr(settings, field) and operations and reader not in operations:
            yield f"options.{orthanc_name(field)} has no effect: it is for {reader}, and no row has that operation"


def options_without_effect(settings: Settings, *, on_server: bool) -> Iterator[tuple[str, str]]:
    """Yield the arguments that an engine would pass over: Orthanc's name of each, and why.

    Args:
        settings: Of the config.
        on_server: Whether an Orthanc is the engine.

    """
    if on_server:
        if settings.lossy_quality:
            text = "must be left out: jobs of an Orthanc use the server's own DicomLossyTranscodingQuality"
            yield "LossyQuality", text
        return
    for field, name, what in _LOCAL:
        if getattr(settings, field):
            yield name, f"must be left out with engine: local, where it has no effect: it {what}"


def names_by_creator(edits: Edits) -> Iterator[tuple[str, str]]:
    """Yield the entries that no Orthanc reads, since they name a private creator: the member, and what is wrong."""
    for member, paths in (("Replace", edits.replace), ("Remove", edits.remove), ("Keep", edits.keep)):
        for path in paths:
            if path.names_creator:
                text = (
                    f"{path.describe()} names a private creator, which no Orthanc reads; use engine: local with "
                    "source.orthanc and destination.orthanc, or the plain number"
                )
                yield member, text


def check_request_on_local_engine(request: Request) -> Iterator[tuple[str, str]]:
    """Yield the values of ``Replace`` that only an Orthanc writes: the column, and why."""
    for tag, good, text in (
        (PIXEL_DATA, (OCTETS,), "only an Orthanc decodes images; give the pixels as application/octet-stream"),
        (ENCAPSULATED_DOCUMENT, (PDF,), "only an Orthanc takes a model; give a PDF"),
    ):
        path = Path((), tag)
        value = request.edits.replace.get(path)
        content = parse_embedded(value) if isinstance(value, str) else None
        if content is not None and content.mime not in good:
            yield f"Replace.{path.describe()}", f"{text}, or use engine: orthanc"
