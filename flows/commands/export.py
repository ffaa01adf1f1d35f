"""``export``: pack the results of a finished run.

Public names: ``export_run``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from deidflow.flows.commands.opened import opened
from deidflow.tasks.steps.export import choice_of, export_crosswalk, export_results, require_finished
from deidflow.tasks.steps.run.progress import make_progress

if TYPE_CHECKING:
    from pathlib import Path


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
        choice = replace(choice_of(run.config), **{name: value for name, value in given.items() if value})
        if crosswalk:
            export_crosswalk(run, output.absolute(), choice)
            print(f"crosswalk: {output}, encrypted for {len(choice.recipients)} recipients")  # noqa: T201
            return
        with make_progress() as progress:
            done = export_results(run, output.absolute(), choice, progress)
    print(f"exported:  {done.instances} instances in {done.files} files")  # noqa: T201
    if done.left_out:
        text = "since a person should look at them first (see review.csv); --include-review packs them, too"
        print(f"left out:  {done.left_out} instances, {text}")  # noqa: T201
    print(f"export:    {output}")  # noqa: T201
