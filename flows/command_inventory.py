"""``inventory``: list a source as a manifest to fill in.

Public names: ``write_inventory_of``.
"""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING

from deidflow.tasks.core.engine.sources import SourceProblem
from deidflow.tasks.core.errors import Unusable, os_error_text
from deidflow.tasks.core.manifest.inventory import write_inventory
from deidflow.tasks.steps.access.choice import inventory_of
from deidflow.tasks.steps.run.progress import make_progress

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from deidflow.tasks.core.dicom.identifiers import Level
    from deidflow.tasks.core.engine.sources import SourceInstance


def write_inventory_of(source: str, output: Path, level: Level, *, include_results: bool) -> None:
    """Write the manifest and print what was found.

    Raises:
        InvalidInput: The source cannot be read.
        Unusable: The manifest cannot be written.

    """
    problems: Counter[str] = Counter()
    warnings: list[str] = []
    with make_progress() as progress:
        found = inventory_of(source, level, progress)
        records = _instances(found, problems, include_results=include_results)
        try:
            rows = write_inventory(records, level, output, warnings.append)
        except OSError as error:
            raise Unusable(f"{output} cannot be written: {os_error_text(error)}") from None
    print(f"{rows} rows written to {output}")  # noqa: T201
    for text in warnings:
        print(f"warning: {output}, {text}", file=sys.stderr)  # noqa: T201
    for code, count in sorted(problems.items()):
        print(f"{count} files not used: {code}")  # noqa: T201


def _instances(
    found: Iterator[SourceInstance | SourceProblem], problems: Counter[str], *, include_results: bool
) -> Iterator[SourceInstance]:
    for item in found:
        if isinstance(item, SourceProblem):
            problems[item.code] += 1
        elif item.is_result and not include_results:
            problems["results of earlier runs (--include-results lists them)"] += 1
        else:
            yield item
