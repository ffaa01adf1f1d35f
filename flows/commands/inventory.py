"""``inventory``: list a source as a manifest to fill in.

Public names: ``write_inventory_of``, ``InventoryAnswer``.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from deidflow.flows.answers.answer import Answer, counted, give, warn_of_all
from deidflow.flows.manifest_files import Written, is_added_to, require_csv_place, require_outside, unwritable
from deidflow.tasks.core.engine.sources import SourceProblem
from deidflow.tasks.core.errors import BadText, InvalidInput
from deidflow.tasks.core.manifest.conditions import finds_of, lowest_level, parse_condition
from deidflow.tasks.core.manifest.inventory import add_inventory, write_inventory
from deidflow.tasks.steps.access.choice import inventory_of
from deidflow.tasks.steps.run.progress import make_progress

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from deidflow.tasks.core.dicom.identifiers import Level
    from deidflow.tasks.core.engine.sources import SourceInstance
    from deidflow.tasks.core.manifest.conditions import Condition
    from deidflow.tasks.core.manifest.inventory import InventoryRecord


_RESULTS: Final = "results"
_IN_WORDS: Final = {_RESULTS: "results of earlier runs (--include-results lists them)"}


@dataclass(frozen=True, slots=True)
class InventoryAnswer(Answer):
    """What was found and written.

    Attributes:
        manifest: What became of it.
        not_used: How many files or instances are not in it, by code: ``results`` for those of earlier runs, others as
            in ``source_problems.csv``.

    """

    manifest: Written
    not_used: Mapping[str, int]

    def lines(self) -> Iterator[str]:
        """Yield what people read."""
        yield self.manifest.line()
        for reason, count in self.not_used.items():
            what = "instance" if reason == _RESULTS else "file"  # an Orthanc has no others, and no files
            yield f"{counted(count, what)} not used: {_IN_WORDS.get(reason, reason)}"


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
    """Write the manifest, or add to it what it does not have yet, and answer with what was found.

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
    require_csv_place(output)
    require_outside(source, output)
    conditions = _conditions(where)
    problems: Counter[str] = Counter()
    warnings: list[str] = []

    def meets(record: InventoryRecord | SourceInstance) -> bool:
        return all(condition.is_met_by(record) for condition in conditions)

    with make_progress() as progress:
        lowest, finds = lowest_level(conditions, level), finds_of(conditions) or None
        found = inventory_of(source, lowest, progress, finds, follow_links=follow_links)
        records = _instances(found, problems, include_results=include_results)
        try:
            if is_added_to(output, overwrite=overwrite):
                written = Written.by_adding(output, add_inventory(records, level, output, warnings.append, meets))
            else:
                written = Written(output, write_inventory(records, level, output, warnings.append, meets))
        except OSError as error:
            raise unwritable(output, error) from None
    give(InventoryAnswer(written, dict(sorted(problems.items()))))
    written.warn(of_columns=False)
    warn_of_all([f"{output}, {text}" for text in warnings])


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
            problems[_RESULTS] += 1
        else:
            yield item
