"""``pixels``: pictures of what the rules about burnt-in text would paint, to approve them before a run.

Public names: ``write_sheets_of``, ``PixelRule``, ``PixelsAnswer``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from deidflow.flows.answers.answer import Answer, give
from deidflow.flows.private_outputs import require_private_place
from deidflow.tasks.steps.load import load_checked
from deidflow.tasks.steps.pixels.sheets import PAGE, write_pixel_sheets
from deidflow.tasks.steps.plan import prepare
from deidflow.tasks.steps.run.progress import make_progress

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class PixelRule:
    """What happens to instances of one rule, or of one kind.

    Attributes:
        action: ``paint``, ``clean``, ``refuse`` or ``none``.
        name: Of the rule, or of the kind at risk that no rule is for; "" for neither.
        instances: How many were looked at, at most three of each series.
        series: How many series they are of.

    """

    action: str
    name: str
    instances: int
    series: int


@dataclass(frozen=True, slots=True)
class PixelsAnswer(Answer):
    """What was drawn.

    Attributes:
        page: With the pictures, which are patients' own.
        pixels: What happens, by rule and kind.

    """

    page: Path
    pixels: tuple[PixelRule, ...]

    def lines(self) -> Iterator[str]:
        """Yield what people read."""
        for one in self.pixels:
            what = one.name or "no rule, not at risk"
            yield f"{one.action:<8}{one.instances:>8} instances of {one.series} series  {what}"
        yield f"pictures of patients: {self.page}"


def write_sheets_of(config_file: Path, overrides: tuple[str, ...], output: Path, *, manifest: Path | None) -> None:
    """Write the page and print what it shows.

    Raises:
        InvalidInput: With every problem.
        Unusable: The source cannot be read, or the folder cannot be written.

    """
    config = load_checked(config_file, overrides, manifest=manifest, runs_dir=None)
    require_private_place(config, output, "-o")
    with make_progress() as progress:
        prepared = prepare(config, progress, previews=True)
        with prepared.ledger as ledger:
            groups = write_pixel_sheets(ledger, config, output, progress)
    pixels = tuple(PixelRule(group.action, group.name, group.instances, group.series) for group in groups)
    give(PixelsAnswer(output / PAGE, pixels))
