"""What the source holds, as it stands in the ledger before and after the plan is frozen.

Public names: ``SeriesRecord``, ``SourceRecord``, ``SizedFile``, ``FailedSource``, ``add_sources``,
``add_origins``, ``sources_are_complete``, ``repeated_instances``,
``paths_of``, ``fail_source``, ``source_problems``, ``count_source_problems``, ``source_files``, ``sources_to_verify``,
``failed_sources``, ``take_as_it_is``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers
from deidflow.tasks.core.ledger.schema import SOURCE_INDEXES
from deidflow.tasks.core.outcomes import Outcome, Reason, ReasonCode

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from deidflow.tasks.core.engine.sources import SourceProblem
    from deidflow.tasks.core.ledger.ledger import Ledger

_PAGE: Final = 5000


class SeriesRecord(NamedTuple):
    """A series of the source; one whose instances differ in what stands here has several.

    Attributes:
        number: From 1, the caller's count.
        patient_id: "" when absent.
        study_instance_uid: Original.
        series_instance_uid: Original.
        frame_of_reference_uid: "" when absent.
        patient: Orthanc's identifier of the patient.
        study: Of the study.
        series: Of the series.
        person: Whose it says it is, see ``deidflow.tasks.core.dicom.persons``.

    """

    number: int
    patient_id: str
    study_instance_uid: str
    series_instance_uid: str
    frame_of_reference_uid: str
    patient: str
    study: str
    series: str
    person: str


class SourceRecord(NamedTuple):
    """An instance of the source; what is not said here is said of ``SourceInstance``.

    Attributes:
        series: The number of its series.
        orthanc_id: Of the instance.
        outcome: ``failed`` when it cannot be taken as it is, else "".
        code: Why, "" when it can.
        modality: "" when absent.

    """

    series: int
    sop_instance_uid: str
    orthanc_id: str
    path: bytes
    size: int
    mtime_ns: int
    content: str
    sop_class_uid: str
    review: str
    outcome: str = ""
    code: str = ""
    modality: str = ""


def add_sources(
    ledger: Ledger, series: Sequence[SeriesRecord], instances: Sequence[SourceRecord], problems: Sequence[SourceProblem]
) -> None:
    """Add a batch of what a source holds, in one transaction."""
    with ledger.transaction():
        ledger.execute_many("INSERT INTO series VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", series)
        ledger.execute_many(
            "INSERT INTO instance (series, sop_instance_uid, orthanc_id, path, size, mtime_ns, content, sop_class_uid,"
            " review, outcome, code, modality) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            instances,
        )
        ledger.execute_many("INSERT INTO source_problem VALUES (?, ?)", problems)


def add_origins(ledger: Ledger, origins: Sequence[tuple[str, str]]) -> None:
    """Note what edits on a server made from what, as long as the plan is made: Orthanc's identifiers of both."""
    ledger.execute("CREATE TEMP TABLE IF NOT EXISTS origin (made TEXT, origin TEXT)")
    ledger.execute_many("INSERT INTO temp.origin VALUES (?, ?)", origins)


def sources_are_complete(ledger: Ledger) -> None:
    """Sort what was added, which costs a fraction of keeping it sorted all the while."""
    ledger.create_indexes(SOURCE_INDEXES)


def repeated_instances(ledger: Ledger) -> list[str]:
    """Return the Orthanc identifiers that several files of the source have; before the plan joins them."""
    return [
        name for (name,) in ledger.select("SELECT orthanc_id FROM instance GROUP BY orthanc_id HAVING count(*) > 1")
    ]


def paths_of(ledger: Ledger, orthanc_id: str) -> list[bytes]:
    """Return the files of one instance, relative to the source folder."""
    return [path for (path,) in ledger.select("SELECT path FROM instance WHERE orthanc_id = ?", (orthanc_id,))]


def fail_source(ledger: Ledger, orthanc_id: str, reason: Reason) -> None:
    """Give all files of one instance the outcome ``failed``."""
    ledger.execute(
        "UPDATE instance SET outcome = ?, code = ?, text = ? WHERE orthanc_id = ?",
        (Outcome.FAILED, reason.code, reason.text, orthanc_id),
    )


def source_problems(ledger: Ledger) -> Iterator[tuple[bytes, str]]:
    """Yield the files that were not used: path relative to the source folder, and code; sorted."""
    for path, code in ledger.stream("SELECT path, code FROM source_problem ORDER BY path, code"):
        yield bytes(path), code


def count_source_problems(ledger: Ledger) -> dict[str, int]:
    """Count the files that were not used, by code."""
    return dict(ledger.select("SELECT code, count(*) FROM source_problem GROUP BY code ORDER BY code"))


class SizedFile(NamedTuple):
    """A planned file: its path relative to the source folder, and its size in bytes."""

    path: bytes
    size: int


def source_files(ledger: Ledger) -> Iterator[SizedFile]:
    """Yield the files of all planned instances."""
    for path, size in ledger.stream("SELECT path, size FROM instance"):
        yield SizedFile(bytes(path), size)


def sources_to_verify(ledger: Ledger, *, every: bool) -> Iterator[bytes]:
    """Yield the paths of instances that have a result, page by page, so that the ledger may change meanwhile.

    One that was taken back is verified no more: its source may have been deleted since.

    Args:
        ledger: Of a run.
        every: Also of results that were found right before, which stand for their deleted sources.

    """
    last = 0
    while rows := ledger.select(
        "SELECT id, path FROM instance WHERE id > ? AND new_orthanc_id <> '' AND code <> ? AND (? OR evidence = '')"
        " ORDER BY id LIMIT ?",
        (last, ReasonCode.WITHDRAWN, every, _PAGE),
    ):
        last = rows[-1][0]
        yield from (bytes(path) for _, path in rows)


class FailedSource(NamedTuple):
    """An instance whose file may have been fetched again or corrected.

    Attributes:
        id: Its number.
        path: Relative to the source folder.
        size: In bytes, when it was planned.
        mtime_ns: When it was last changed, when it was planned.
        is_there: Whether something that this run made stands in the destination.
        original: Its identifiers.
        new: Those of its result; what is not known is "".

    """

    id: int
    path: bytes
    size: int
    mtime_ns: int
    is_there: bool
    original: DicomIdentifiers
    new: DicomIdentifiers


def failed_sources(ledger: Ledger, *, and_unverified: bool) -> list[FailedSource]:
    """Return the instances that are failed or missing.

    Args:
        ledger: Of a run.
        and_unverified: Also those that are done and whose results nobody has found right.

    """
    wanted = f"i.outcome IN ('{Outcome.FAILED}', '{Outcome.MISSING}')"
    if and_unverified:
        wanted = f"({wanted} OR (i.outcome = '{Outcome.DONE}' AND i.verified = ''))"
    rows = ledger.select(
        "SELECT i.id, i.path, i.size, i.mtime_ns, i.is_there, s.patient_id, s.study_instance_uid,"  # noqa: S608 (ours)
        " s.series_instance_uid, i.sop_instance_uid, coalesce(t.patient_id, ''), coalesce(t.study_instance_uid, ''),"
        " coalesce(t.series_instance_uid, ''), i.new_sop_instance_uid FROM instance i JOIN series s ON s.id = i.series"
        f" LEFT JOIN target t ON t.id = i.target WHERE {wanted}"
    )
    return [
        FailedSource(
            number,
            bytes(path),
            size,
            mtime_ns,
            bool(is_there),
            DicomIdentifiers(*names[:4]),
            DicomIdentifiers(*names[4:]),
        )
        for number, path, size, mtime_ns, is_there, *names in rows
    ]


def take_as_it_is(ledger: Ledger, number: int, size: int, mtime_ns: int) -> None:
    """Note what a file is like now, in the place of what was planned."""
    ledger.execute("UPDATE instance SET size = ?, mtime_ns = ?, content = '' WHERE id = ?", (size, mtime_ns, number))
