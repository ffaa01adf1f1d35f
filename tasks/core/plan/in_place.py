"""Results that would stand in the place of an original: on one server the same four identifiers are one object.

Public names: ``check_in_place``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.errors import Problem
from deidflow.tasks.core.ledger.plan_checks import rows_in_the_place_of_others, rows_in_their_own_place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deidflow.tasks.core.ledger.ledger import Ledger

_COLUMN: Final = "SOPInstanceUID"


def check_in_place(ledger: Ledger) -> Iterator[Problem]:
    """Find rows whose results would take the place of originals, for runs that write to the server they read from.

    Expects the targets of all planned instances. What counts is the identifiers that results get, not how the request
    spells them: a kept SOPInstanceUID is no matter where the patient, study or series is another one.
    """
    own = rows_in_their_own_place(ledger)
    if own:
        yield Problem.of_rows(
            own,
            "results would have all identifiers of their originals, and so take their place on the server; leave "
            "SOPInstanceUID out of Keep and Replace, or write the results to another destination (engine local)",
            _COLUMN,
        )
    others = rows_in_the_place_of_others(ledger)
    if others:
        yield Problem.of_rows(
            others,
            "results would have the identifiers of other originals of this manifest, and so take their place on the "
            "server; give other identifiers, or write the results to another destination (engine local)",
            _COLUMN,
        )
