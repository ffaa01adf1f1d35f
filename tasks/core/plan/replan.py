"""Take into a frozen plan what could not be planned before: rows ``not_found``, and ambiguous or unstable instances.

Rows that were found are never planned again: what arrived under them since is no source of this run.

Public names: ``adopt``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.ledger.plan_changes import (
    adopt_file,
    adopt_row,
    copy_instance,
    files_mended,
    forget_problem,
    found_level,
    instances_of_row,
    lines_not_found,
    mendable_instances,
)
from deidflow.tasks.core.ledger.planning import add_chunk, last_numbers
from deidflow.tasks.core.outcomes import Reason, ReasonCode
from deidflow.tasks.core.plan.calls import cut_calls

if TYPE_CHECKING:
    from collections.abc import Iterable

    from deidflow.tasks.core.ledger.ledger import Ledger

_MAX_NEW_CHUNKS: Final = 100
_COLLISION: Final = Reason(ReasonCode.IDENTIFIER_COLLISION, "another instance of this run has the same new identifiers")


def adopt(ledger: Ledger, fresh: Ledger, chunk_size: int, *, on_server: bool = False) -> int:
    """Take over from a fresh plan of the same manifest what this one lacks.

    Args:
        ledger: Of the run.
        fresh: Prepared from the same manifest and the source as it is now.
        chunk_size: Instances per new chunk, at least.
        on_server: Whether an Orthanc is the engine, so that calls are cut.

    Returns:
        How many instances there are to do now that were not before.

    """
    with ledger.transaction():
        numbers = _adopt_rows(ledger, fresh) + _adopt_mended(ledger, fresh) + _adopt_fetched(ledger, fresh)
        if on_server:
            cut_calls(ledger, ledger.requests, chunk_size, _MAX_NEW_CHUNKS)
            return len(numbers)
        _, last = last_numbers(ledger)
        for place in range(0, len(numbers), chunk_size):
            last += 1
            add_chunk(ledger, last, numbers[place : place + chunk_size])
    return len(numbers)


def _adopt_rows(ledger: Ledger, fresh: Ledger) -> list[int]:
    numbers = []
    for line in lines_not_found(ledger):
        level = found_level(fresh, line)
        if level is not None:
            adopt_row(ledger, fresh, line, level)
            numbers += _copies(ledger, fresh, instances_of_row(fresh, line))
    return numbers


def _adopt_mended(ledger: Ledger, fresh: Ledger) -> list[int]:
    return [number for number, name in mendable_instances(ledger) if adopt_file(ledger, fresh, number, name)]


def _adopt_fetched(ledger: Ledger, fresh: Ledger) -> list[int]:
    """Take files that were damaged before their identifiers, and can be read now, for the rows that they belong to."""
    numbers = []
    for path, found in files_mended(ledger, fresh):
        numbers += _copies(ledger, fresh, found)
        forget_problem(ledger, path)
    return numbers


def _copies(ledger: Ledger, fresh: Ledger, numbers: Iterable[int]) -> list[int]:
    """Copy instances of a fresh plan; return the numbers here of those that are to be done."""
    copied = (copy_instance(ledger, fresh, number, _COLLISION) for number in numbers)
    return [number for number in copied if number is not None]
