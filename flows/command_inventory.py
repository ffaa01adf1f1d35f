"""``inventory``: list a source as a manifest to fill in.

Public names: ``write_inventory_of``.
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from deidflow.flows.commands.manifest_files import print_added, require_csv_name, unwritable
from deidflow.tasks.core.engine.sources import SourceProblem
from deidflow.tasks.core.errors import BadText, InvalidInput
from deidflow.tasks.core.manifest.conditions import finds_of, lowest_level, parse_condition
from deidflow.tasks.core.manifest.inventory import add_inventory, write_inventory
from deidflow.tasks.steps.access.choice import inventory_of
from deidflow.tasks.steps.run.progress import make_progress

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from deidflow.tasks.core.dicom.identifiers import Level
    from deidflow.tasks.core.engine.sources import SourceInstance
    from deidflow.tasks.core.manifest.additions import Added
    from deidflow.tasks.core.manifest.conditions import Condition
    from deidflow.tasks.core.manifest.inventory import InventoryRecord


def write_inventory_of(
    source: str,
    output: Path,
    level: Level,
    where: tuple[str, ...] = (),
    *,
    include_results: bool,
    follow_links: bool,
    overwrite: bool,
) -> None:
    """Write the manifest, or add to it what it does not have yet, and print what was found.

    Args:
        source: A folder, or the address of an Orthanc.
        output: The manifest.
        level: Of its rows.
        where: Conditions, see ``parse_condition``: a row is listed when one instance of it fulfils all of them.
        include_results: Whether results of earlier runs are listed.
        follow_links: Whether symbolic links in a folder are followed.
        overwrite: Whether an existing manifest is written anew.

    Raises:
        InvalidInput: The source or a condition cannot be read, or the file is no manifest.
        Unusable: The manifest cannot be written.

    """
    require_csv_name(output)
    conditions = _conditions(where)
    problems: Counter[str] = Counter()
    warnings: list[str] = []

    def meets(record: InventoryRecord | SourceInstance) -> bool:
        return all(condition.is_met_by(record) for condition in conditions)

    added: Added | None = None
    with make_progress() as progress:
        lowest, finds = lowest_level(conditions, level), finds_of(conditions) or None
        found = inventory_of(source, lowest, progress, finds, follow_links=follow_links)
        records = _instances(found, problems, include_results=include_results)
        try:
            if output.is_file() and not overwrite:
                added = add_inventory(records, level, output, warnings.append, meets)
            else:
                rows = write_inventory(records, level, output, warnings.append, meets)
                print(f"{rows} rows written to {output}")  # noqa: T201
        except OSError as error:
            raise unwritable(output, error) from None
    if added is not None:
        print_added(output, added, names_left_out=False)
    for text in warnings:
        print(f"warning: {output}, {text}", file=sys.stderr)  # noqa: T201
    for code, count in sorted(problems.items()):
        print(f"{count} files not used: {code}")  # noqa: T201


def _conditions(where: tuple[str, ...]) -> list[Condition]:
    conditions, problems = [], []
    for text in where:
        try:
            conditions.append(parse_condition(text))
        except BadText as error:
            problems.append(replace(error.problem, file="--where"))
    if problems:
        raise InvalidInput(problems)
    return conditions


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
