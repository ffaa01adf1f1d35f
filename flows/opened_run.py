"""The run that a command works on, by its folder.

Public names: ``existing``, ``opened``.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from deidflow.flows.prefect_environment import prepare_temporary
from deidflow.tasks.core.errors import InvalidInput
from deidflow.tasks.core.files.locks import lock_folder
from deidflow.tasks.core.ledger.ledger import FILE_NAME
from deidflow.tasks.steps.run.run import open_run
from deidflow.tasks.steps.run.run_folder import clear_leftovers, no_run_folder, require_own_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from deidflow.tasks.steps.run.run import Run


def existing(folder: Path) -> Path:
    """Return the absolute path of a run folder, and see to it that temporary files have a place.

    Raises:
        InvalidInput: It is no run folder, or somebody else's.
        Unusable: Temporary files have no place.

    """
    folder = folder.absolute()
    require_own_folder(folder)
    if not (folder / FILE_NAME).exists():
        raise InvalidInput(no_run_folder(folder))
    prepare_temporary(folder.parent)
    return folder


@contextlib.contextmanager
def opened(folder: Path, overrides: tuple[str, ...] = ()) -> Iterator[Run]:
    """Open a run that no other process works on, for the length of the block; what a killed command left there goes.

    Args:
        folder: Of the run.
        overrides: ``KEY=VALUE`` of each ``--set``, see ``open_run``.

    Raises:
        InvalidInput: It is no run folder, or an override is wrong.
        Unusable: Another process works on it.

    """
    folder = existing(folder)
    with lock_folder(folder, "the run"):
        clear_leftovers(folder)
        run = open_run(folder, overrides)
        try:
            yield run
        finally:
            run.close()
