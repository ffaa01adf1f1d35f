"""Results on an Orthanc that may be a run's own or somebody else's: named in a file, for a person to look at.

Public names: ``LEFTOVERS_FILE``, ``write_leftovers``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.files.private_files import replace_file
from deidflow.tasks.core.ledger.journal import leftovers

if TYPE_CHECKING:
    from deidflow.tasks.steps.run.run import Run

LEFTOVERS_FILE: Final = "leftovers.json"


def write_leftovers(run: Run) -> None:
    """Write the file, readable for its owner only, or remove it when there is nothing to name.

    It is what ``POST /tools/bulk-delete`` reads, so that one command deletes all of it.

    Raises:
        OSError: It cannot be written.

    """
    names = leftovers(run.ledger)
    path = run.folder / LEFTOVERS_FILE
    if not names:
        path.unlink(missing_ok=True)
        return
    with replace_file(path) as stream:
        json.dump({"Resources": names}, stream, indent=2)
        stream.write("\n")
