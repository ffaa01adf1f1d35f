"""``pixels``: pictures of what the rules about burnt-in text would paint, to approve them before a run.

Public names: ``write_sheets_of``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deidflow.tasks.core.errors import printable
from deidflow.tasks.steps.load import load_checked
from deidflow.tasks.steps.pixel_sheets import PAGE, write_pixel_sheets
from deidflow.tasks.steps.plan import prepare
from deidflow.tasks.steps.run.progress import make_progress

if TYPE_CHECKING:
    from pathlib import Path


def write_sheets_of(config_file: Path, overrides: tuple[str, ...], output: Path, *, manifest: Path | None) -> None:
    """Write the page and print what it shows.

    Raises:
        InvalidInput: With every problem.
        Unusable: The source cannot be read, or the folder cannot be written.

    """
    config = load_checked(config_file, overrides, manifest=manifest, runs_dir=None)
    with make_progress() as progress:
        prepared = prepare(config, progress, previews=True)
        with prepared.ledger as ledger:
            groups = write_pixel_sheets(ledger, config, output, progress)
    for group in groups:
        what = group.name or "no rule, not at risk"
        _print(f"{group.action:<8}{group.instances:>8} instances of {group.series} series  {what}")
    _print(f"pictures of patients: {output / PAGE}")


def _print(text: str) -> None:
    print(printable(text))  # noqa: T201 (the command's output)
