"""What a source holds, as a manifest to fill in: one row per patient, study, series or instance.

The columns by which people recognise a row are named by DICOM keywords; to the manifest reader they are free columns.

Public names: ``InventoryRecord``, ``write_inventory``, ``add_inventory``, ``inventory_columns``, ``value_of``,
``ATTRIBUTES``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.dicom.identifiers import Level
from deidflow.tasks.core.dicom.persons import differing
from deidflow.tasks.core.files.csv_tables import write_table
from deidflow.tasks.core.manifest.additions import Added, add_rows
from deidflow.tasks.core.manifest.columns import INSTANCES, LEVEL, ORTHANC_ID

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers
    from deidflow.tasks.core.engine.sources import SourceInstance

ATTRIBUTES: Final[dict[Level, tuple[str, ...]]] = {
    Level.PATIENT: ("PatientName", "PatientBirthDate", "PatientSex"),
    Level.STUDY: ("StudyDate", "StudyTime", "StudyDescription", "AccessionNumber"),
    Level.SERIES: ("Modality", "SeriesNumber", "SeriesDescription"),
    Level.INSTANCE: ("InstanceNumber", "SOPClassUID"),
}
"""Keywords that a record should carry, by the level that they describe."""

_FIRST_LINE: Final = 2
"""Behind the header."""

_IDENTIFIERS: Final = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")


@dataclass(frozen=True, slots=True)
class InventoryRecord:
    """One instance of the source.

    Attributes:
        identifiers: Decoded.
        attributes: Decoded values by DICOM keyword; those of ``ATTRIBUTES`` are used, each may be absent.
        person: Whose it says it is, see ``deidflow.tasks.core.dicom.persons``.

    """

    identifiers: DicomIdentifiers
    attributes: Mapping[str, str]
    person: str = ""


@dataclass(slots=True)
class _Resource:
    """What is known of one row to be."""

    identifiers: DicomIdentifiers
    attributes: dict[str, str] = field(default_factory=dict)
    studies: set[str] = field(default_factory=set)
    series: set[str] = field(default_factory=set)
    modalities: set[str] = field(default_factory=set)
    persons: set[str] = field(default_factory=set)
    instances: int = 0
    is_wanted: bool = False


_COUNTED: Final[dict[Level, dict[str, Callable[[_Resource], str]]]] = {
    Level.PATIENT: {
        "NumberOfPatientRelatedStudies": lambda resource: str(len(resource.studies)),
        "NumberOfPatientRelatedSeries": lambda resource: str(len(resource.series)),
    },
    Level.STUDY: {
        "ModalitiesInStudy": lambda resource: "\\".join(sorted(resource.modalities)),
        "NumberOfStudyRelatedSeries": lambda resource: str(len(resource.series)),
    },
    Level.SERIES: {},
    Level.INSTANCE: {},
}
"""Columns of one level that follow from all its instances."""


def inventory_columns(level: Level) -> tuple[str, ...]:
    """Return the columns of an inventory of that level."""
    described = [keyword for above in _down_to(level) for keyword in (_IDENTIFIERS[above.depth], *ATTRIBUTES[above])]
    return (ORTHANC_ID, LEVEL, INSTANCES, *described, *_COUNTED[level])


def value_of(record: InventoryRecord | SourceInstance, keyword: str) -> str:
    """Return a value by which an instance is recognised: an identifier, or one of ``ATTRIBUTES``; "" when absent."""
    if keyword in _IDENTIFIERS:
        return record.identifiers[_IDENTIFIERS.index(keyword)]
    return record.attributes.get(keyword, "")


def write_inventory(
    records: Iterable[InventoryRecord | SourceInstance],
    level: Level,
    destination: Path,
    warn: Callable[[str], None] | None = None,
    meets: Callable[[InventoryRecord | SourceInstance], bool] | None = None,
) -> int:
    """Write what a source holds to a CSV file that only its owner can read; an existing file is replaced.

    Rows are in the order of patient, study date and time, series and instance number, so that the same source gives the
    same file, in whatever order it is read. An instance that comes more than once counts once. Where instances of a row
    differ in a value, the lowest one that is not empty is shown.

    Args:
        records: In any order.
        level: Of the rows.
        destination: The file.
        warn: Told in words about each PatientID that several persons share, with the lines of the file.
        meets: Tells which instances are wanted; a row is written, with all its instances, when one of them is.

    Returns:
        How many rows there are.

    Raises:
        OSError: The file cannot be written.

    """
    resources = _sorted(records, level, meets)
    rows = write_table(destination, inventory_columns(level), (_cells(level, *item) for item in resources))
    _warn(warn, dict(enumerate((resource for _, resource in resources), _FIRST_LINE)))
    return rows


def add_inventory(
    records: Iterable[InventoryRecord | SourceInstance],
    level: Level,
    destination: Path,
    warn: Callable[[str], None] | None = None,
    meets: Callable[[InventoryRecord | SourceInstance], bool] | None = None,
) -> Added:
    """Add what a source holds to a manifest, which keeps all that stands in it.

    Args:
        records: As ``write_inventory``, like the others.
        level: Of the rows; the manifest's must have the same.
        destination: The manifest.
        warn: Also told about rows of which the source holds another number of instances now.
        meets: Tells which instances are wanted.

    Raises:
        InvalidInput: It is no manifest, or one of another level.
        OSError: It cannot be written.

    """
    resources = _sorted(records, level, meets)
    rows = [_cells(level, *item) for item in resources]
    added = add_rows(destination, inventory_columns(level), rows)
    _warn(warn, {added.lines[name]: resource for name, resource in resources})
    return added


def _sorted(
    records: Iterable[InventoryRecord | SourceInstance],
    level: Level,
    meets: Callable[[InventoryRecord | SourceInstance], bool] | None,
) -> list[tuple[str, _Resource]]:
    resources = _collect(records, level, meets)
    wanted = (item for item in resources.items() if meets is None or item[1].is_wanted)
    return sorted(wanted, key=lambda item: (*_order(item[1]), item[0]))


def _warn(warn: Callable[[str], None] | None, resources: Mapping[int, _Resource]) -> None:
    if warn is not None:
        for text in _shared_patient_ids(resources):
            warn(text)


def _shared_patient_ids(resources: Mapping[int, _Resource]) -> Iterator[str]:
    """Say which lines share a PatientID and not the person."""
    lines: dict[str, list[int]] = {}
    for line, resource in sorted(resources.items(), key=lambda item: item[0]):
        if resource.identifiers.patient_id:
            lines.setdefault(resource.identifiers.patient_id, []).append(line)
    for numbers in lines.values():
        keywords = differing({text for line in numbers for text in resources[line].persons})
        if keywords:
            what = f"line{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"
            yield f"{what}: one PatientID, but {' and '.join(keywords)} differ: are these several persons?"


def _collect(
    records: Iterable[InventoryRecord | SourceInstance],
    level: Level,
    meets: Callable[[InventoryRecord | SourceInstance], bool] | None,
) -> dict[str, _Resource]:
    keywords = [keyword for above in _down_to(level) for keyword in ATTRIBUTES[above]]
    resources: dict[str, _Resource] = {}
    seen: set[bytes] = set()
    for record in records:
        identifiers = record.identifiers
        orthanc_id = identifiers.orthanc_id(level)
        resource = resources.setdefault(orthanc_id, _Resource(identifiers))
        # Two files with one identifier may differ in what describes them: both are looked at, one is counted.
        _describe(resource, record.attributes, keywords)
        resource.is_wanted = resource.is_wanted or (meets is not None and meets(record))
        if record.person:
            resource.persons.add(record.person)
        digest = bytes.fromhex(identifiers.orthanc_id(Level.INSTANCE).replace("-", ""))
        if digest not in seen:
            seen.add(digest)
            resource.instances += 1
            resource.studies.add(identifiers.study_instance_uid)
            resource.series.add(identifiers.series_instance_uid)
    return resources


def _describe(resource: _Resource, attributes: Mapping[str, str], keywords: Iterable[str]) -> None:
    for keyword in keywords:
        # The manifest reader refuses files with NUL bytes.
        value = attributes.get(keyword, "").replace("\0", "")
        known = resource.attributes.get(keyword, "")
        if value and (not known or value < known):
            resource.attributes[keyword] = value
    modality = attributes.get("Modality", "").replace("\0", "")
    if modality:
        resource.modalities.add(modality)


def _cells(level: Level, orthanc_id: str, resource: _Resource) -> list[str]:
    cells = [orthanc_id, level.value, str(resource.instances)]
    for above in _down_to(level):
        cells.append(resource.identifiers[above.depth].replace("\0", ""))
        cells += [resource.attributes.get(keyword, "") for keyword in ATTRIBUTES[above]]
    return cells + [compute(resource) for compute in _COUNTED[level].values()]


def _down_to(level: Level) -> Iterator[Level]:
    return (above for above in Level if above.depth <= level.depth)


def _order(resource: _Resource) -> tuple[object, ...]:
    get = resource.attributes.get
    patient_id, study, series, _ = resource.identifiers
    return (
        *(patient_id, get("StudyDate", ""), get("StudyTime", ""), study),
        *(*_numeric(get("SeriesNumber", "")), series),
        *_numeric(get("InstanceNumber", "")),
    )


def _numeric(text: str) -> tuple[float, str]:
    """Return a key that sorts 10 after 9, and what is no number last."""
    try:
        return (int(text), text)
    except ValueError:
        return (float("inf"), text)
