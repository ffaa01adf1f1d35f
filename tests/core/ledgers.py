"""Ledgers of finished runs, built through the ledger's own writers as planner and engine use them."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers, Level
from deidflow.tasks.core.engine.protocol import InstanceResult
from deidflow.tasks.core.engine.sources import ProblemCode, SourceProblem
from deidflow.tasks.core.files.csv_cells import guard_cell
from deidflow.tasks.core.ledger.chunks import record_results
from deidflow.tasks.core.ledger.ledger import Ledger
from deidflow.tasks.core.ledger.manifest_rows import RowRecord, add_rows
from deidflow.tasks.core.ledger.planning import NewIdentifiers, TargetRecord, add_chunk, add_targets
from deidflow.tasks.core.ledger.results import note_right
from deidflow.tasks.core.ledger.run_facts import RunFacts, change_facts, store_manifest
from deidflow.tasks.core.ledger.source_records import SeriesRecord, SourceRecord, add_sources
from deidflow.tasks.core.manifest.columns import ORTHANC_ID
from deidflow.tasks.core.manifest.csv_text import ManifestText
from deidflow.tasks.core.outcomes import Outcome, Reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Parents = tuple[str, str, str]

FACTS: Final = RunFacts(
    deidflow_version="0.1.0",
    run_id="trial-20260131T020000Z-1a2b",
    name="trial",
    engine="local",
    config={
        "name": "trial",
        "operation": "anonymize",
        "options": {"DicomVersion": "2023b", "Replace": {"StudyDescription": "Trial 7"}, "Remove": ["InstitutionName"]},
        "hardening": True,
        "verify": "full",
        "profile": None,
    },
    scope="trial",
    key_fingerprint="0a1b2c3d",
    created="2026-01-31T02:00:00Z",
    started="2026-01-31T02:00:01Z",
    ended="2026-01-31T02:03:31Z",
    seconds_by_step={"plan": 1.5, "apply": 200.0, "verify": 8.25, "report": 0.75},
    attempts=1,
    verification_ended=True,
    versions={"python": "3.11.7", "pydicom": "3.0.2", "prefect": "3.8.9"},
    host="worker-1",
)


@dataclass(frozen=True)
class Instance:
    """One planned instance; the names of its parents are also their DICOM identifiers.

    Attributes:
        name: SOPInstanceUID.
        series: Path of patient, study and series.
        outcome: "" while nothing is known.
        new: What is put before the identifiers of its new parents; None when they are not known.

    """

    name: str
    series: tuple[str, str, str] = ("P", "1", "1.1")
    outcome: str = "done"
    reason: Reason | None = None
    attempts: int = 1
    chunk: str = "c0001"
    new: str | None = "9."

    @property
    def identifiers(self) -> DicomIdentifiers:
        """Those of the source."""
        return DicomIdentifiers(*self.series, self.name)

    @property
    def new_identifiers(self) -> DicomIdentifiers:
        """Those of the result."""
        return DicomIdentifiers(*(f"{self.new or '9.'}{text}" for text in self.identifiers))

    @property
    def parents(self) -> Parents:
        """Those of patient, study and series."""
        return self.series

    @property
    def new_parents(self) -> Parents:
        """The same of the result."""
        patient_id, study, series, _ = self.new_identifiers
        return patient_id, study, series

    @property
    def orthanc_id(self) -> str:
        """That of the source."""
        return self.identifiers.orthanc_id(Level.INSTANCE)

    @property
    def new_orthanc_id(self) -> str:
        """That of the result."""
        return self.new_identifiers.orthanc_id(Level.INSTANCE)


@dataclass(frozen=True)
class Row:
    """One row of the manifest with its planned instances; its identifier is that of the first one's parent."""

    instances: Sequence[Instance] = ()
    level: str = "study"
    operation: str = "anonymize"
    outcome: str = ""
    reason: Reason | None = None
    free: tuple[str, ...] = ()
    orthanc_id: str = ""
    cells: dict[str, str] = field(default_factory=dict)

    @property
    def resolved_id(self) -> str:
        """What stands in the manifest."""
        if self.orthanc_id or not self.instances:
            return self.orthanc_id or "b6589fc6-ab0dc82c-f12099d1-c2d40ab9-94e8410c"
        return self.instances[0].identifiers.orthanc_id(Level(self.level))


def manifest_bytes(rows: Sequence[Row], free_columns: Sequence[str], separator: str = ",") -> bytes:
    """Return the manifest that rows come from."""
    extra = sorted({name for row in rows for name in row.cells})
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=separator)
    writer.writerow([ORTHANC_ID, "level", "instances", *extra, *free_columns])
    for row in rows:
        count = str(len(row.instances)) if row.instances else ""
        cells = [row.resolved_id, row.level, count, *(row.cells.get(name, "") for name in extra), *row.free]
        writer.writerow([guard_cell(cell) for cell in cells])
    return text.getvalue().encode()


def make_ledger(
    rows: Sequence[Row],
    *,
    free_columns: Sequence[str] = (),
    manifest: bytes | None = None,
    source_problems: Sequence[tuple[bytes, ProblemCode]] = (),
    **facts: Any,
) -> Ledger:
    """Return a ledger; rows stand in the lines in which the manifest has them.

    Args:
        rows: With their instances.
        free_columns: Of the manifest.
        manifest: Its bytes, where they are not those of ``rows``.
        source_problems: Path and code of each.
        facts: Fields of ``RunFacts`` that are not those of ``FACTS``.

    """
    content = manifest_bytes(rows, free_columns) if manifest is None else manifest
    lines = [record.line for record in ManifestText(content, "cohort.csv", ORTHANC_ID).records()][1:]
    assert len(lines) == len(rows)
    ledger = Ledger.prepare()
    with ledger.transaction():
        store_manifest(ledger, content, "cohort.csv", sha256(content).hexdigest())
        more = {"free_columns": tuple(free_columns), "manifest_name": "cohort.csv", **facts}
        change_facts(ledger, lambda known: replace(FACTS, **{"manifest_sha256": known.manifest_sha256, **more}))
        add_rows(ledger, [_row_record(line, row) for line, row in zip(lines, rows, strict=True)])
        instances = [(line, one) for line, row in zip(lines, rows, strict=True) for one in row.instances]
        _add_instances(ledger, instances)
        add_sources(ledger, [], [], [SourceProblem(path, code) for path, code in source_problems])
    return ledger


def _row_record(line: int, row: Row) -> RowRecord:
    code, text = row.reason or ("", "")
    names = (row.resolved_id, row.level, row.operation)
    return RowRecord(line, *names, None, None, row.free, row.outcome, code, text)


def _add_instances(ledger: Ledger, instances: Sequence[tuple[int, Instance]]) -> None:
    """Add planned instances, numbered from 1 in their order, and what became of them."""
    series = _numbered(one.parents for _, one in instances)
    targets = _numbered(one.new_parents for _, one in instances if one.new is not None)
    chunks = sorted({one.chunk for _, one in instances})
    add_sources(
        ledger,
        [SeriesRecord(number, *names, "", *_orthanc_ids(names), "") for names, number in series.items()],
        [SourceRecord(series[one.parents], one.name, one.orthanc_id, b"", 0, 0, "", "", "") for _, one in instances],
        [],
    )
    # What claims and attempts come to step by step.
    ledger.execute_many(
        "UPDATE instance SET line = ?, attempts = ? WHERE id = ?",
        [(line, one.attempts, number) for number, (line, one) in enumerate(instances, 1)],
    )
    add_targets(
        ledger,
        [TargetRecord(number, *names, *_orthanc_ids(names)) for names, number in targets.items()],
        [
            NewIdentifiers(targets[one.new_parents], one.new_identifiers[3], one.new_orthanc_id, number)
            for number, (_, one) in enumerate(instances, 1)
            if one.new is not None
        ],
    )
    for number, chunk in enumerate(chunks, 1):
        add_chunk(ledger, number, [place for place, (_, one) in enumerate(instances, 1) if one.chunk == chunk])
    record_results(
        ledger,
        [
            InstanceResult(number, Outcome(one.outcome), *(one.reason or (None, "")))
            for number, (_, one) in enumerate(instances, 1)
            if one.outcome
        ],
    )
    note_right(ledger, "full", {number: "" for number, (_, one) in enumerate(instances, 1) if one.outcome == "done"})


def _numbered(names: Iterable[Parents]) -> dict[Parents, int]:
    return {name: number for number, name in enumerate(dict.fromkeys(names), 1)}


def _orthanc_ids(parents: Parents) -> tuple[str, str, str]:
    patient, study, series, _ = DicomIdentifiers(*parents, "").orthanc_ids()
    return patient, study, series
