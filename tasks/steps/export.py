"""Pack the results of a finished run for a recipient, or its crosswalk for whoever may hold it. No Prefect.

Public names: ``Exported``, ``require_finished``, ``export_results``, ``export_where_asked``, ``export_crosswalk``,
``export_as_configured``.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from deidflow.tasks.core.config.checks import cross_check
from deidflow.tasks.core.errors import (
    DeidflowError,
    Interrupted,
    InvalidInput,
    Problem,
    Unusable,
    os_error_text,
    remedy_of,
)
from deidflow.tasks.core.ledger.run_facts import change_facts, read_facts
from deidflow.tasks.core.ledger.state.exports import count_to_export, fingerprint_of_results, pages_to_export
from deidflow.tasks.core.processes.in_order import done_in_order
from deidflow.tasks.core.processes.workers import HereWorkers
from deidflow.tasks.core.report.files import write_crosswalk
from deidflow.tasks.core.report.totals import LastStep
from deidflow.tasks.export.package import Package
from deidflow.tasks.export.packing import packing_role, read_results, write_archive
from deidflow.tasks.steps.access.choice import store_of
from deidflow.tasks.steps.access.workers import opened_workers
from deidflow.tasks.steps.publish import note_seconds
from deidflow.tasks.steps.run.run_folder import SCRATCH_PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from deidflow.tasks.core.processes.workers import Workers
    from deidflow.tasks.core.request.export_choice import ExportChoice
    from deidflow.tasks.export.packing import ArchiveWork, PackingPlace, ReadResult, ReadWork
    from deidflow.tasks.steps.run.progress import Progress
    from deidflow.tasks.steps.run.run import Run

_Work = TypeVar("_Work")
_Result = TypeVar("_Result")
_TOGETHER: Final = 64
_HANDFUL: Final = 256
EXPORTING: Final = "exporting"


class Exported(NamedTuple):
    """What was packed: instances and files; and what was left out: to be looked at first, done and not verified."""

    instances: int
    files: int
    left_out: int
    not_verified: int


def require_finished(run: Run) -> None:
    """Refuse a run that was interrupted: what is done of it may not be verified.

    Raises:
        InvalidInput: It was.

    """
    if not read_facts(run.ledger).complete:
        raise InvalidInput(f"must be a finished run: finish it with deidflow resume {run.folder}")


def _require_apart(run: Run, folder: Path) -> None:
    """Refuse a folder that the config could not name either: the next run would take what is in it for sources.

    Raises:
        InvalidInput: It lies inside source, destination or runs_dir, or holds one of them.

    """
    problems = cross_check(run.config.to_json() | {"export": {"folder": str(folder)}})
    nested = [replace(problem, key="folder") for problem in problems if problem.key == "export.folder"]
    if nested:
        raise InvalidInput(nested)


def export_results(run: Run, folder: Path, choice: ExportChoice, progress: Progress) -> Exported:
    """Write an export.

    Args:
        run: Open; what is done of it and not verified is left out.
        folder: To make.
        choice: What it is to be like.
        progress: Counts instances.

    Raises:
        InvalidInput: The folder holds something, or lies in one of the run's, or the choice is unsound.
        Interrupted: The run is to stop; nothing is left of the export.
        Unusable: The export cannot be written, a result is not there as it was, or the workers cannot be used.
        TransientError: The Orthanc that holds the results cannot be reached now.

    """
    _require_apart(run, folder)
    counts = count_to_export(run.ledger)
    left_out = 0 if choice.include_review else counts.to_review
    package = Package(folder, choice)
    with package:
        place = package.place(store_of(run.config).results(run))
        with _packing_workers(run, place, counts.sound - left_out) as workers:
            progress.start(EXPORTING, counts.sound - left_out)
            pages = pages_to_export(run.ledger, _TOGETHER, include_review=choice.include_review)
            works = (package.to_read(place, page) for page in pages)
            archives = _archives(package, place, _done(run, workers, read_results, works), progress)
            for work, archive in _done(run, workers, write_archive, archives):
                package.add_archive(work, archive)
            progress.finish()
    return Exported(*package.packed, left_out, counts.not_verified)


def _archives(
    package: Package,
    place: PackingPlace,
    done: Iterator[tuple[ReadWork, list[ReadResult]]],
    progress: Progress,
) -> Iterator[ArchiveWork]:
    """Add results while they are read; yield each archive that all results of are there."""
    for work, found in done:
        for one, read in zip(work.items, found, strict=True):
            if (archive := package.add(place, one, read)) is not None:
                yield archive
            progress.advance()
    if (archive := package.last_archive()) is not None:
        yield archive


def _done(
    run: Run, workers: Workers, function: Callable[[_Work], _Result | DeidflowError], works: Iterable[_Work]
) -> Iterator[tuple[_Work, _Result]]:
    """Yield each piece of work with its result; raise the error that it came to."""

    def stop() -> None:
        if run.stop.is_set():
            raise Interrupted("the run was stopped")

    for work, result in done_in_order(
        workers, function, works, stop=stop, doubts=lambda result: isinstance(result, DeidflowError)
    ):
        if isinstance(result, DeidflowError):
            raise result
        yield work, result


@contextlib.contextmanager
def _packing_workers(run: Run, place: PackingPlace, count: int) -> Iterator[Workers]:
    """Give those that the config asks for; a handful of results is packed here, before a process would have started."""
    roles = (packing_role(place),)
    if count <= _HANDFUL:
        yield HereWorkers(roles)
        return
    with opened_workers(run.config, roles) as workers:
        yield workers


def export_where_asked(run: Run, folder: Path, choice: ExportChoice, progress: Progress) -> Exported:
    """Write an export as ``export_results``, and note where it is, so that it can be named when its results change."""
    before = read_facts(run.ledger).given_exports
    fingerprint = fingerprint_of_results(run.ledger, include_review=choice.include_review)
    change_facts(run.ledger, lambda facts: replace(facts, given_exports={**before, str(folder): fingerprint}))
    try:
        return export_results(run, folder, choice, progress)
    except BaseException:
        change_facts(run.ledger, lambda facts: replace(facts, given_exports=before))
        raise


def export_crosswalk(run: Run, folder: Path, choice: ExportChoice) -> None:
    """Write the crosswalk of a run, encrypted.

    Raises:
        InvalidInput: There is no recipient, or the folder holds something, or lies in one of the run's.
        Unusable: It cannot be written.

    """
    if not choice.recipients:
        raise InvalidInput([Problem("must be given with --crosswalk, which re-identifies people", "--recipient")])
    _require_apart(run, folder)
    # From the ledger: who can write to the run folder's own file could have changed it since. It is written there, and
    # not beside the export, which may be where others read.
    try:
        with (
            Package(folder, replace(choice, archive="zip")) as package,
            tempfile.TemporaryDirectory(dir=run.folder, prefix=SCRATCH_PREFIX) as scratch,
        ):
            package.add_sealed(write_crosswalk(run.ledger, Path(scratch)))
    except OSError as error:
        remedy = f"{remedy_of(error, 'make room')}, then export again"
        message = f"the run folder {run.folder} cannot be written: {os_error_text(error)}; {remedy}"
        raise Unusable(message, error) from None


def export_as_configured(run: Run, progress: Progress) -> Exported | None:
    """Write the export that the config asks for, as the last step of a run; what is there already stays.

    Where an export stands that holds other results, as when `resume` has mended some since, all of them are packed
    anew beside it, under the name of the run with a number: the first may have been handed over.

    Returns:
        What was packed; None when nothing is to be, or was packed before.

    """
    if run.config.export is None:
        return None
    started = time.monotonic()
    exported = _export_once(run, run.config.export.folder, progress) if count_to_export(run.ledger).sound else None
    if exported is not None:
        note_seconds(run, LastStep.EXPORT, time.monotonic() - started)
    change_facts(run.ledger, lambda facts: replace(facts, export_ended=True))
    return exported


def _export_once(run: Run, parent: Path, progress: Progress) -> Exported | None:
    choice = run.config.export_choice
    fingerprint = fingerprint_of_results(run.ledger, include_review=choice.include_review)
    folder = parent / _export_name(run, parent, fingerprint)
    return None if folder.exists() else export_results(run, folder, choice, progress)


def _export_name(run: Run, folder: Path, fingerprint: str) -> str:
    """Return the name of the export of these results; on the disk before anything is packed under it."""
    exports = read_facts(run.ledger).exports
    for name, packed in exports.items():
        if packed == fingerprint:
            return name
    names = (run.folder.name if number == 1 else f"{run.folder.name}-{number}" for number in count(1))
    name = next(name for name in names if name not in exports and not (folder / name).exists())
    change_facts(run.ledger, lambda facts: replace(facts, exports={**facts.exports, name: fingerprint}))
    return name
