"""Pack the results of a finished run for a recipient, or its crosswalk for whoever may hold it. No Prefect.

Public names: ``Exported``, ``require_finished``, ``export_results``, ``export_crosswalk``, ``export_as_configured``,
``choice_of``.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from deidflow.tasks.core.errors import InstanceFailed, InvalidInput, Problem, Unusable
from deidflow.tasks.core.ledger.run_facts import read_facts
from deidflow.tasks.core.ledger.state.exports import count_to_export, pages_to_export
from deidflow.tasks.core.report.files import CROSSWALK
from deidflow.tasks.export.package import Package
from deidflow.tasks.steps.access.choice import store_of

if TYPE_CHECKING:
    from pathlib import Path

    from deidflow.tasks.core.config.config import Config
    from deidflow.tasks.core.request.export_choice import ExportChoice
    from deidflow.tasks.steps.run.progress import Progress
    from deidflow.tasks.steps.run.run import Run

_PAGE: Final = 256
EXPORTING: Final = "exporting"


class Exported(NamedTuple):
    """What was packed: instances and files; and how many instances were left out, since a person should look first."""

    instances: int
    files: int
    left_out: int


def require_finished(run: Run) -> None:
    """Refuse a run that was interrupted: what is done of it may not be verified.

    Raises:
        InvalidInput: It was.

    """
    if not read_facts(run.ledger).complete:
        raise InvalidInput(f"must be a finished run: finish it with deidflow resume {run.folder}")


def export_results(run: Run, folder: Path, choice: ExportChoice, progress: Progress) -> Exported:
    """Write an export.

    Args:
        run: Open; every result that is done is verified.
        folder: To make.
        choice: What it is to be like.
        progress: Counts instances.

    Raises:
        InvalidInput: The folder holds something, or the choice is unsound.
        Unusable: The export cannot be written, or a result is not there as it was.
        TransientError: The Orthanc that holds the results cannot be reached now.

    """
    counts = count_to_export(run.ledger)
    left_out = 0 if choice.include_review else counts.to_review
    results = store_of(run.config).results(run)
    package = Package(folder, choice)
    progress.start(EXPORTING, counts.done - left_out)
    with package:
        for page in pages_to_export(run.ledger, _PAGE, include_review=choice.include_review):
            with results.together([(one.names, one.orthanc_id) for one in page]) as at_hand:
                for one in page:
                    try:
                        opened = at_hand.open(one.names, one.orthanc_id)
                    except InstanceFailed:
                        text = "a result is not in the destination any more; look for it with `deidflow verify`"
                        raise Unusable(text) from None
                    with contextlib.closing(opened) as content:
                        package.add(one.names, content, one.evidence)
                    progress.advance()
    progress.finish()
    return Exported(*package.packed, left_out)


def export_crosswalk(run: Run, folder: Path, choice: ExportChoice) -> None:
    """Write the crosswalk of a run, encrypted.

    Raises:
        InvalidInput: There is no recipient, or the folder holds something.
        Unusable: It cannot be written.

    """
    if not choice.recipients:
        raise InvalidInput([Problem("must be given with --crosswalk, which re-identifies people", "--recipient")])
    with Package(folder, replace(choice, archive="zip")) as package:
        package.add_file(CROSSWALK, run.folder / CROSSWALK)


def choice_of(config: Config) -> ExportChoice:
    """Return what the config says of exports; the defaults without a group ``export``."""
    return config.export_choice


def export_as_configured(run: Run, progress: Progress) -> Exported | None:
    """Write the export that the config asks for, as the last step of a run; what is there already stays.

    Returns:
        What was packed; None when nothing is to be, or was packed before.

    """
    if run.config.export is None:
        return None
    folder = run.config.export.folder / run.folder.name
    if folder.exists() or not count_to_export(run.ledger).done:
        return None
    return export_results(run, folder, choice_of(run.config), progress)
