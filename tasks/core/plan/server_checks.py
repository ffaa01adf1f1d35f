"""What an Orthanc of a given version cannot do, found before anything is sent.

Source: docs/orthanc.md, Options, Which identifiers change, Versions (measured on 1.10.1, 1.12.7 and 1.13.0).

Public names: ``check_settings_on_server``, ``check_destination_settings``, ``check_request_on_server``,
``check_patients_on_server``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.dicom.identifiers import Level
from deidflow.tasks.core.dicom.tags import PATIENT_ID, PATIENT_NAME, SERIES_INSTANCE_UID, STUDY_INSTANCE_UID, Path
from deidflow.tasks.core.errors import Problem
from deidflow.tasks.core.ledger.plan_checks import patients_of_several_requests
from deidflow.tasks.core.plan.server_abilities import shown
from deidflow.tasks.core.plan.server_transcoding import check_transcoding
from deidflow.tasks.core.plan.server_values import check_values
from deidflow.tasks.core.request.engine_options import names_by_creator
from deidflow.tasks.core.request.request import Operation

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from deidflow.tasks.core.ledger.ledger import Ledger
    from deidflow.tasks.core.ledger.manifest_rows import RequestCache
    from deidflow.tasks.core.plan.server_abilities import ServerAbilities, Version
    from deidflow.tasks.core.request.request import Request, Settings

_PROFILES: Final[dict[str, Version]] = {"2021b": (1, 9, 4), "2023b": (1, 12, 1)}
_LEVEL_SINCE: Final[Version] = (1, 9, 7)
_LOOSER_IDENTIFIERS_SINCE: Final[Version] = (1, 11, 3)
_KEEP_LABELS_SINCE: Final[Version] = (1, 12, 3)
_RECURSION_SINCE: Final[Version] = (1, 9, 5)

_PATIENT_ID: Final = Path((), PATIENT_ID)
_PATIENT_NAME: Final = Path((), PATIENT_NAME)


def check_settings_on_server(
    settings: Settings, server: ServerAbilities, operations: Collection[str]
) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the options of all rows: the config's key, and a text.

    Args:
        settings: The config's.
        server: The engine.
        operations: Those of the rows: what none of them uses is no matter.

    """
    if settings.keep_labels and server.version < _KEEP_LABELS_SINCE:
        text = f"needs Orthanc {shown(_KEEP_LABELS_SINCE)}; the server is {shown(server.version)}"
        yield "options.KeepLabels", text
    needed = _PROFILES.get(settings.dicom_version)
    if needed and server.version < needed and Operation.ANONYMIZE in operations:
        known = [
            name
            for name, since in {"2008": (1, 9, 4), "2017c": (1, 9, 4), **_PROFILES}.items()
            if since <= server.version
        ]
        text = f"must be one that the server has (Orthanc {shown(server.version)}: {', '.join(known)})"
        yield "options.DicomVersion", text
    if settings.level is not None and server.version < _LEVEL_SINCE and Operation.MODIFY in operations:
        yield "options.Level", f"needs Orthanc {shown(_LEVEL_SINCE)}; the server is {shown(server.version)}"
    yield from check_transcoding(settings.transcode, server)


def check_destination_settings(settings: Settings, server: ServerAbilities) -> Iterator[tuple[str, str]]:
    """Yield why a server would not keep the local engine's results as they are: the config's key, and a text."""
    target = server.ingest_transcoding
    if target and settings.transcode != target:
        text = (
            f"must be {target} here: the destination converts what it stores to that transfer syntax "
            "(IngestTranscoding), so that other results would not be what this run wrote; or switch it off there"
        )
        yield "options.Transcode", text


def check_request_on_server(request: Request, server: ServerAbilities) -> Iterator[tuple[str, str]]:
    """Yield what a server would refuse, ignore or do otherwise than asked: the option to blame, and a text."""
    version, here = server.version, shown(server.version)
    yield from names_by_creator(request.edits)
    if request.operation is Operation.ANONYMIZE and version < _RECURSION_SINCE:
        yield "operation", f"anonymize inside sequences needs Orthanc {shown(_RECURSION_SINCE)}; the server is {here}"
    yield from check_values(request.edits, version)
    if version < _LOOSER_IDENTIFIERS_SINCE:
        yield from _strict_identifiers(request, here)


def _strict_identifiers(request: Request, here: str) -> Iterator[tuple[str, str]]:
    edits, level = request.edits, request.level()
    newer = f"needs Orthanc 1.11.3; the server is {here}"
    if request.operation is Operation.ANONYMIZE:
        if _PATIENT_ID in edits.keep:
            yield "Keep", f"PatientID in Keep {newer}"
        return
    if level is Level.PATIENT and _PATIENT_ID not in edits.replace:
        yield "Level", f"Patient without PatientID in Replace {newer}"
    if level in (Level.STUDY, Level.SERIES) and _PATIENT_ID in edits.replace:
        remedy = "; use Level: Patient, which also gives new studies and series unless Keep names their UIDs"
        yield "Replace", f"PatientID in Replace at level {level} {newer}{remedy}"
    if level is Level.SERIES and Path((), STUDY_INSTANCE_UID) in edits.replace:
        yield "Replace", f"StudyInstanceUID in Replace at level series {newer}"
    if level is Level.INSTANCE and Path((), SERIES_INSTANCE_UID) in edits.replace:
        yield "Replace", f"SeriesInstanceUID in Replace at level instance {newer}"


def check_patients_on_server(ledger: Ledger, requests: RequestCache) -> Iterator[Problem]:
    """Find patients that several calls would tear apart, since Orthanc shares no identifiers between calls.

    Expects what rows claim, as ``check_rows_against_source`` does.
    """
    for where, numbers, has_parts in patients_of_several_requests(ledger):
        concerned = [requests.get(number) for number in numbers]
        for request in concerned:
            if request.operation is Operation.ANONYMIZE:
                given = _PATIENT_ID in request.edits.replace and _PATIENT_NAME in request.edits.replace
                if not given or has_parts:
                    text = (
                        "the rows of one patient have different options, which Orthanc would take for different "
                        "patients; give PatientID and PatientName and whole studies, or use engine: local"
                    )
                    yield Problem.of_rows(where, text)
                    break
            elif has_parts and request.level() in (Level.PATIENT, Level.STUDY):
                text = (
                    "the rows of one patient have different options and regenerate identifiers above their own level; "
                    "use one row per study, or engine: local"
                )
                yield Problem.of_rows(where, text)
                break
