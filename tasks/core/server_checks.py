"""What an Orthanc of a given version cannot do, found before anything is sent.

Source: reference 1.1, 2.1 and 10 (measured on 1.10.1, 1.12.7 and 1.13.0).

Public names: ``check_request_on_server``, ``check_patients_on_server``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.identifiers import Level
from deidflow.tasks.core.plan_checks import Finding
from deidflow.tasks.core.request import Operation
from deidflow.tasks.core.tags import PATIENT_ID, PATIENT_NAME, SERIES_INSTANCE_UID, STUDY_INSTANCE_UID, Path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deidflow.tasks.core.ledger import Ledger
    from deidflow.tasks.core.plan_intake import RequestCache
    from deidflow.tasks.core.request import Request

Version = tuple[int, int, int]

_PROFILES: Final[dict[str, Version]] = {"2021b": (1, 9, 4), "2023b": (1, 12, 1)}
_LEVEL_SINCE: Final[Version] = (1, 9, 7)
_LOOSER_IDENTIFIERS_SINCE: Final[Version] = (1, 11, 3)
_KEEP_LABELS_SINCE: Final[Version] = (1, 12, 3)
_LOSSY_QUALITY_SINCE: Final[Version] = (1, 12, 7)

_PATIENT_ID: Final = Path((), PATIENT_ID)
_PATIENT_NAME: Final = Path((), PATIENT_NAME)


def check_request_on_server(request: Request, version: Version) -> Iterator[tuple[str, str]]:
    """Yield what a server of this version would refuse or ignore: the option to blame, and a text."""
    settings = request.settings
    here = ".".join(map(str, version))
    needed = _PROFILES.get(settings.dicom_version)
    if request.operation is Operation.ANONYMIZE and needed and version < needed:
        known = [
            name for name, since in {"2008": (1, 9, 4), "2017c": (1, 9, 4), **_PROFILES}.items() if since <= version
        ]
        yield "DicomVersion", f"the server is Orthanc {here}, which has {', '.join(known)} only"
    for used, since, name in (
        (settings.level is not None, _LEVEL_SINCE, "Level"),
        (settings.keep_labels, _KEEP_LABELS_SINCE, "KeepLabels"),
        (bool(settings.lossy_quality), _LOSSY_QUALITY_SINCE, "LossyQuality"),
    ):
        if used and version < since:
            yield name, f"needs Orthanc {'.'.join(map(str, since))}; the server is {here}"
    if version < _LOOSER_IDENTIFIERS_SINCE:
        yield from _strict_identifiers(request, here)


def _strict_identifiers(request: Request, here: str) -> Iterator[tuple[str, str]]:
    edits, level = request.edits, request.level()
    newer = f"needs Orthanc 1.11.3; the server is {here}"
    if request.operation is Operation.ANONYMIZE:
        if _PATIENT_ID in edits.keep:
            yield "Keep", f"of PatientID {newer}"
        return
    if level is Level.PATIENT and _PATIENT_ID not in edits.replace:
        yield "Level", f"Patient without Replace of PatientID {newer}"
    if level in (Level.STUDY, Level.SERIES) and _PATIENT_ID in edits.replace:
        remedy = "; use Level: Patient, which also gives new studies and series unless Keep names their UIDs"
        yield "Replace", f"of PatientID at level {level} {newer}{remedy}"
    if level is Level.SERIES and Path((), STUDY_INSTANCE_UID) in edits.replace:
        yield "Replace", f"of StudyInstanceUID at level series {newer}"
    if level is Level.INSTANCE and Path((), SERIES_INSTANCE_UID) in edits.replace:
        yield "Replace", f"of SeriesInstanceUID at level instance {newer}"


def check_patients_on_server(ledger: Ledger, requests: RequestCache) -> Iterator[Finding]:
    """Find patients that several calls would tear apart, since Orthanc shares no identifiers between calls.

    Expects the table ``claim``, as ``check_rows_against_source`` does.
    """
    groups = ledger.select(
        "SELECT s.patient, group_concat(DISTINCT m.line), group_concat(DISTINCT m.request), max(c.level IN (?, ?))"
        " FROM claim c JOIN instance i ON i.id = c.instance JOIN series s ON s.id = i.series"
        " JOIN manifest_row m ON m.line = c.line GROUP BY s.patient HAVING count(DISTINCT m.request) > 1"
        " ORDER BY min(m.line)",
        (Level.SERIES, Level.INSTANCE),
    )
    for _, lines, numbers, has_parts in groups:
        concerned = [requests.get(int(number)) for number in numbers.split(",")]
        where = tuple(sorted(int(line) for line in lines.split(",")))
        for request in concerned:
            if request.operation is Operation.ANONYMIZE:
                given = _PATIENT_ID in request.edits.replace and _PATIENT_NAME in request.edits.replace
                if not given or has_parts:
                    text = (
                        "the rows of one patient have different options, which Orthanc would take for different "
                        "patients; give PatientID and PatientName and whole studies, or use engine: local"
                    )
                    yield Finding(where, "", text)
                    break
            elif has_parts and request.level() in (Level.PATIENT, Level.STUDY):
                text = (
                    "the rows of one patient have different options and regenerate identifiers above their own level; "
                    "use one row per study, or engine: local"
                )
                yield Finding(where, "", text)
                break
