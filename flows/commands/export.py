"""``export``: pack the results of a finished run.

Public names: ``export_run``, ``ExportAnswer``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from deidflow.flows.answers.answer import Answer, counted, give
from deidflow.flows.opened_run import opened
from deidflow.tasks.core.errors import InvalidInput, Problem
from deidflow.tasks.steps.export import export_crosswalk, export_where_asked, require_finished
from deidflow.tasks.steps.run.progress import make_progress

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_OF_RESULTS: Final = {
    "layout": "--layout",
    "archive": "--archive",
    "per": "--per",
    "include_review": "--include-review",
}
_OPTIONS: Final = _OF_RESULTS | {"folder": "-o", "recipients": "--recipient"}


@dataclass(frozen=True, slots=True)
class ExportAnswer(Answer):
    """What was packed.

    Attributes:
        export: The folder.
        holds: ``results`` or ``crosswalk``.
        instances: How many are in it; 0 of a crosswalk.
        files: How many files they are in.
        left_out: How many instances are not in it, since a person should look at them first.
        not_verified: How many instances are done and not in it, since nobody has found their results right.
        recipients: For how many keys it is encrypted.

    """

    export: Path
    holds: str
    instances: int = 0
    files: int = 0
    left_out: int = 0
    not_verified: int = 0
    recipients: int = 0

    def lines(self) -> Iterator[str]:
        """Yield what people read."""
        if self.holds == "crosswalk":
            yield f"crosswalk: {self.export}, encrypted for {counted(self.recipients, 'recipient')}"
            return
        yield f"exported:  {counted(self.instances, 'instance')} in {counted(self.files, 'file')}"
        if self.left_out:
            text = "since a person should look at them first (see review.csv); --include-review packs them, too"
            yield f"left out:  {counted(self.left_out, 'instance')}, {text}"
        if self.not_verified:
            text = "since their results are not verified; deidflow verify, or resume, says why"
            yield f"left out:  {counted(self.not_verified, 'instance')}, {text}"
        yield f"export:    {self.export}"


def export_run(folder: Path, output: Path, overrides: tuple[str, ...], *, crosswalk: bool, **given: Any) -> None:
    """Write an export; what is not given is as the run's config says.

    Args:
        folder: Of the run.
        output: The folder to make.
        overrides: ``KEY=VALUE`` of each ``--set``, see ``open_run``.
        crosswalk: Pack the crosswalk instead of the results.
        given: Fields of ``ExportChoice``, None or empty for what the config says.

    Raises:
        InvalidInput: It is no finished run, or what is asked for is unsound.
        Unusable: The export cannot be written.

    """
    with opened(folder, overrides) as run:
        require_finished(run)
        configured = run.config.export_choice
        _require_sense(given, configured.archive, crosswalk=crosswalk)
        choice = replace(configured, **{name: value for name, value in given.items() if value or value == ""})
        try:
            if crosswalk:
                export_crosswalk(run, output.absolute(), choice)
                give(ExportAnswer(output, "crosswalk", files=1, recipients=len(choice.recipients)))
                return
            with make_progress() as progress:
                done = export_where_asked(run, output.absolute(), choice, progress)
        except InvalidInput as error:
            raise InvalidInput([_by_option(problem) for problem in error.problems]) from None
    give(ExportAnswer(output, "results", *done, len(choice.recipients)))


def _require_sense(given: Mapping[str, Any], archive: str, *, crosswalk: bool) -> None:
    """Refuse options that would have no effect.

    Args:
        given: See ``export_run``.
        archive: What the config says.
        crosswalk: Whether the crosswalk is packed.

    Raises:
        InvalidInput: There is one.

    """
    problems = []
    if crosswalk:
        text = "must be left out with --crosswalk, which packs one file"
        problems = [Problem(text, option) for name, option in _OF_RESULTS.items() if given.get(name)]
    elif given.get("per") and (given.get("archive") or archive) == "none":
        problems = [Problem("must be left out without archives; give --archive zip, too", "--per")]
    if problems:
        raise InvalidInput(problems)


def _by_option(problem: Problem) -> Problem:
    """Return a problem of an export by the option that mends it; the run's config was sound."""
    return replace(problem, file=_OPTIONS[problem.key], key="") if problem.key in _OPTIONS else problem
