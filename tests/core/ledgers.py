"""Ledgers of finished runs, built by SQL as planner and engine would leave them."""

from __future__ import annotations

import base64
import csv
import io
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers, Level
from deidflow.tasks.core.files.csv_cells import guard_cell
from deidflow.tasks.core.ledger.ledger import Ledger
from deidflow.tasks.core.manifest.columns import ORTHANC_ID
from deidflow.tasks.core.manifest.csv_text import ManifestText

if TYPE_CHECKING:
    from collections.abc import Sequence

META: Final[dict[str, Any]] = {
    "deidflow_version": "0.1.0",
    "run_id": "trial-20260131T020000Z-1a2b",
    "name": "trial",
    "engine": "local",
    "source_kind": "folder",
    "config": {
        "name": "trial",
        "operation": "anonymize",
        "options": {"DicomVersion": "2023b", "Replace": {"StudyDescription": "Trial 7"}, "Remove": ["InstitutionName"]},
        "hardening": True,
        "verify": "full",
        "profile": None,
    },
    "manifest_name": "cohort.csv",
    "separator": ",",
    "scope": "trial",
    "key_fingerprint": "0a1b2c3d",
    "created": "2026-01-31T02:00:00.123456+00:00",
    "started": "2026-01-31T02:00:01.000000+00:00",
    "ended": "2026-01-31T02:03:31.500000+00:00",
    "seconds_by_step": {"plan": 1.5, "apply": 200.0, "verify": 8.25, "report": 0.75},
    "attempts": 1,
    "versions": {"python": "3.11.7", "pydicom": "3.0.2", "prefect": "3.8.9"},
    "host": "worker-1",
    "server_version": None,
}


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
    reason: str = ""
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
    verdict: str = ""
    reason: str = ""
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
    source_problems: Sequence[tuple[bytes, str]] = (),
    **meta: Any,
) -> Ledger:
    """Return a ledger; rows stand in the lines in which the manifest has them."""
    content = manifest_bytes(rows, free_columns) if manifest is None else manifest
    lines = [record.line for record in ManifestText(content, "cohort.csv", ORTHANC_ID).records()][1:]
    assert len(lines) == len(rows)
    ledger = Ledger.prepare()
    with ledger.transaction():
        for key, value in (META | meta).items():
            ledger.set_meta(key, value)
        ledger.set_meta("manifest", base64.b64encode(content).decode())
        ledger.set_meta("free_columns", free_columns)
        chunks = sorted({instance.chunk for row in rows for instance in row.instances})
        ledger.execute_many("INSERT INTO chunk VALUES (?, ?, 0)", enumerate(chunks, 1))
        numbers: dict[Any, int] = {}
        for line, row in zip(lines, rows, strict=True):
            ledger.execute(
                "INSERT INTO manifest_row VALUES (?, ?, ?, ?, NULL, NULL, ?, ?, ?)",
                (line, row.resolved_id, row.level, row.operation, json.dumps(row.free), row.verdict, row.reason),
            )
            for instance in row.instances:
                _add_instance(ledger, line, instance, chunks.index(instance.chunk) + 1, numbers)
        ledger.execute_many("INSERT INTO source_problem VALUES (?, ?)", source_problems)
    return ledger


def _add_instance(ledger: Ledger, line: int, instance: Instance, chunk: int, numbers: dict[Any, int]) -> None:
    original, new = instance.identifiers, instance.new_identifiers
    series = numbers.setdefault(original[:3], len(numbers) + 1)
    ledger.execute(
        "INSERT OR IGNORE INTO series VALUES (?, ?, ?, ?, '', ?, ?, ?, '')",
        (series, *original[:3], *original.orthanc_ids()[:3]),
    )
    target = None
    if instance.new is not None:
        target = numbers.setdefault(("new", *new[:3]), len(numbers) + 1)
        ledger.execute(
            "INSERT OR IGNORE INTO target VALUES (?, ?, ?, ?, ?, ?, ?)", (target, *new[:3], *new.orthanc_ids()[:3])
        )
    known = instance.new is not None
    ledger.execute(
        "INSERT INTO instance (series, sop_instance_uid, orthanc_id, path, size, mtime_ns, line, chunk, target,"
        " new_sop_instance_uid, new_orthanc_id, outcome, reason, attempts, verified, is_there)"
        " VALUES (?, ?, ?, x'', 0, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(series, instance.name, instance.orthanc_id, line, chunk, target),
            *(new.sop_instance_uid if known else "", instance.new_orthanc_id if known else ""),
            *(instance.outcome, instance.reason, instance.attempts),
            *("full" if instance.outcome == "done" else "", instance.outcome == "done"),
        ),
    )
