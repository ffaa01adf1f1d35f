"""Manifests for tests, built in code."""

from __future__ import annotations

import csv
import io
from hashlib import sha1
from typing import TYPE_CHECKING, Any

from deidflow.tasks.core.config.options import read_options
from deidflow.tasks.core.files.csv_cells import guard_cell
from deidflow.tasks.core.manifest.manifest import Manifest, ManifestRow
from deidflow.tasks.core.manifest.row_requests import Defaults
from deidflow.tasks.core.request.request import Operation

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def some_id(number: int) -> str:
    """Return one of many well-formed Orthanc identifiers."""
    digest = sha1(str(number).encode(), usedforsecurity=False).hexdigest()
    return "-".join(digest[start : start + 8] for start in range(0, 40, 8))


def defaults(operation: Operation = Operation.MODIFY, **options: Any) -> Defaults:
    """Return the config's part; unsound options fail the test."""
    edits, settings, problems = read_options(options)
    assert problems == []
    return Defaults(operation, edits, settings)


def manifest(text: str | bytes, given: Defaults | None = None) -> Manifest:
    """Open a manifest from its text."""
    content = text if isinstance(text, bytes) else text.encode()
    return Manifest(content, given or defaults(), "cohort.csv")


def rows(text: str | bytes, given: Defaults | None = None) -> list[ManifestRow]:
    """Read all rows of a manifest."""
    return list(manifest(text, given).rows())


def written(records: Iterable[Sequence[str]]) -> bytes:
    """Return a CSV file as deidflow writes them: UTF-8 with BOM, CRLF, guarded cells."""
    stream = io.StringIO(newline="")
    csv.writer(stream).writerows([guard_cell(cell) for cell in record] for record in records)
    return stream.getvalue().encode("utf-8-sig")
