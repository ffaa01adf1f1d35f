"""``crosswalk``: the pairs of all runs of a config.

Public names: ``write_crosswalk``, ``CrosswalkAnswer``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from deidflow.flows.answers.answer import Answer, give
from deidflow.flows.manifest_files import name_of, require_csv_place, unwritable
from deidflow.flows.private_outputs import require_own_table, require_private_place
from deidflow.tasks.core.errors import InvalidInput
from deidflow.tasks.core.files.csv_tables import write_table
from deidflow.tasks.core.ledger.state.pairs import PAIR_COLUMNS, pairs_of_runs
from deidflow.tasks.steps.access.choice import store_of
from deidflow.tasks.steps.run.earlier import synced_state, where_of
from deidflow.tasks.steps.run.settings import load_config

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class CrosswalkAnswer(Answer):
    """What was written.

    Attributes:
        output: The file.
        pairs: How many pairs of identifiers it holds.

    """

    output: Path
    pairs: int

    def lines(self) -> Iterator[str]:
        """Yield what people read."""
        yield f"{self.pairs} pairs written to {name_of(self.output)}; they re-identify people"


def write_crosswalk(config_file: Path, overrides: tuple[str, ...], output: Path) -> None:
    """Write original and new identifiers of everything that the runs of a config have delivered and not taken back.

    Args:
        config_file: Of the config.
        overrides: ``KEY=VALUE`` of each ``--set``.
        output: The file to write; readable for its owner only.

    Raises:
        InvalidInput: The config is wrong, or has no runs, or the file is not to be written.
        Unusable: The file cannot be written.

    """
    require_csv_place(output)
    require_own_table(output, PAIR_COLUMNS)
    config = load_config(config_file, overrides)
    require_private_place(config, output, "-o")
    where = where_of(config, "")
    with synced_state(config, where, strict=True) as state:
        if state is None:
            raise InvalidInput(f"{config_file}: no run of this config is in {config.report.runs_dir}")
        try:
            lines = write_table(output, PAIR_COLUMNS, pairs_of_runs(state, where, are_files=store_of(config).are_files))
        except OSError as error:
            raise unwritable(output, error) from None
    give(CrosswalkAnswer(output, lines))
