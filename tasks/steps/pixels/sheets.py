"""Contact sheets of a plan's pixels: what each rule would paint, and what no rule is for, before anything is run.

Which instances are shown is drawn from their UIDs, so that the same plan gives the same pictures.

Public names: ``write_pixel_sheets``.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.errors import InstanceFailed, InvalidInput, Problem, Unusable, os_error_text
from deidflow.tasks.core.files.private_files import replace_file
from deidflow.tasks.core.ledger.overview import line_of_instances
from deidflow.tasks.core.pixels.regions import Region
from deidflow.tasks.core.report.pixel_page import PixelGroup, Sheet, render_pixel_page
from deidflow.tasks.local.dicom_file.pixel_facts import pixel_facts
from deidflow.tasks.local.dicom_file.source_file import SourceFile
from deidflow.tasks.local.viewing.frames import PixelFrames
from deidflow.tasks.local.viewing.png import reduced, to_png, with_rectangles
from deidflow.tasks.local.viewing.rendering import pictures
from deidflow.tasks.steps.access.choice import source_of
from deidflow.tasks.steps.pixels.groups import find_pixel_groups

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from deidflow.tasks.core.config.config import Config
    from deidflow.tasks.core.engine.sources import InstanceSource
    from deidflow.tasks.core.ledger.ledger import Ledger
    from deidflow.tasks.core.pixels.choice import PixelChoice
    from deidflow.tasks.steps.pixels.groups import FoundGroup
    from deidflow.tasks.steps.run.progress import Progress

PAGE: Final = "index.html"
_LONGEST: Final = 640
"""Pixels of a picture's longer side."""

_RED: Final = (230, 30, 30)


def write_pixel_sheets(ledger: Ledger, config: Config, folder: Path, progress: Progress) -> list[PixelGroup]:
    """Write the page and its pictures; return what was found.

    Args:
        ledger: With a plan.
        config: Of the run; its profile cleans pixels.
        folder: Empty or not there; made with mode 0700.
        progress: Counts instances.

    Raises:
        InvalidInput: The config cleans no pixels, or the folder holds something.
        Unusable: The source cannot be used, or the folder cannot be written.

    """
    choice = config.profile_choice.pixels if config.profile_choice is not None else None
    if choice is None:
        text = "must have clean-pixel-data, with engine local and a profile; without it pixels are not touched"
        raise InvalidInput([Problem(text, key="profile_options")])
    _make(folder)
    source = source_of(config).instances
    shown = find_pixel_groups(ledger, source, choice, progress)
    lines = line_of_instances(ledger)
    progress.start("draw pictures", sum(len(group.samples) for group in shown))
    try:
        written = [
            PixelGroup(
                *(group.name, group.decision.action, bool(group.decision.rule), group.instances, len(group.series)),
                tuple(_sheets(source, choice, group, f"{number:03}", folder, lines, progress)),
            )
            for number, group in enumerate(shown, 1)
        ]
        used = {group.name for group in shown if group.decision.rule}
        unused = [rule.name for rule in choice.rules.rules if rule.name not in used]
        with replace_file(folder / PAGE) as stream:
            stream.write(render_pixel_page(config.name, written, unused, choice.unmatched))
    except OSError as error:
        raise Unusable(f"{folder} cannot be written: {os_error_text(error)}", error) from None
    return written


def _make(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise InvalidInput([Problem(f"must be an empty folder, or none yet: {folder}", "-o")])
        folder.chmod(0o700)
    except OSError as error:
        raise Unusable(f"{folder} cannot be written: {os_error_text(error)}", error) from None


def _sheets(
    source: InstanceSource,
    choice: PixelChoice,
    group: FoundGroup,
    prefix: str,
    folder: Path,
    lines: dict[int, int],
    progress: Progress,
) -> Iterator[Sheet]:
    for number, (_, instance) in enumerate(sorted(group.samples.items()), 1):
        name = f"{prefix}-{number}.png"
        line = lines.get(instance.id, 0)
        try:
            with SourceFile.of_original(source.open(instance)) as original:
                facts = pixel_facts(original.scan(), original, choice.rules.tags())
                data, size, frame = _picture(original, choice.decide(facts).regions)
            _write(folder / name, data)
            yield Sheet(name, line, size, frame)
        except InstanceFailed:
            yield Sheet("", line, "of unknown size", "unknown")
        progress.advance()


def _picture(source: SourceFile, regions: tuple[Region, ...]) -> tuple[bytes, str, str]:
    """Return the middle frame as PNG, its size, and which frame it is."""
    with PixelFrames(source) as instance:
        index = instance.count // 2
        (frame,) = instance.frames([index])
        is_inverse = instance.header.get("PhotometricInterpretation") == "MONOCHROME1"
    whole = next(pictures(frame, is_inverse=is_inverse))
    small = reduced(whole, _LONGEST)
    step = max(1, whole.shape[0] // small.shape[0])
    drawn = [Region(one.x // step, one.y // step, -(-one.width // step), -(-one.height // step)) for one in regions]
    png = to_png(with_rectangles(small, drawn, _RED))
    return png, f"{frame.shape[1]} x {frame.shape[0]}", f"{index + 1} of {instance.count}"


def _write(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with open(descriptor, "wb") as stream:  # noqa: PTH123 (a descriptor)
        os.fchmod(descriptor, 0o600)
        stream.write(data)
