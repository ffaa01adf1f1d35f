"""Contact sheets of a plan's pixels: what each rule would paint, and what no rule is for, before anything is run.

Of each series the first, the middle and the last instance are looked at, by their SOPInstanceUIDs; of these some are
shown. Which ones is drawn from the UIDs, so that the same plan gives the same pictures.

Public names: ``write_pixel_sheets``.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.errors import InstanceFailed, InvalidInput, Problem, Unusable, os_error_text
from deidflow.tasks.core.files.private_files import replace_file
from deidflow.tasks.core.ledger.chunks import open_chunks
from deidflow.tasks.core.ledger.overview import line_of_instances
from deidflow.tasks.core.pixels.regions import Region
from deidflow.tasks.core.plan.planner import chunk_of
from deidflow.tasks.core.report.pixel_page import PixelGroup, Sheet, render_pixel_page
from deidflow.tasks.local.dicom_file.pixel_facts import pixel_facts
from deidflow.tasks.local.dicom_file.source_file import SourceFile
from deidflow.tasks.local.viewing.frames import PixelFrames
from deidflow.tasks.local.viewing.png import reduced, to_png, with_rectangles
from deidflow.tasks.local.viewing.rendering import pictures
from deidflow.tasks.steps.access.choice import source_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from deidflow.tasks.core.config.config import Config
    from deidflow.tasks.core.engine.protocol import PlannedInstance
    from deidflow.tasks.core.engine.sources import InstanceSource
    from deidflow.tasks.core.ledger.ledger import Ledger
    from deidflow.tasks.core.pixels.choice import PixelChoice
    from deidflow.tasks.core.pixels.decision import PixelDecision
    from deidflow.tasks.steps.run.progress import Progress

PAGE: Final = "index.html"
_SHOWN: Final = 8
"""Pictures of a group."""

_LONGEST: Final = 640
"""Pixels of a picture's longer side."""

_RED: Final = (230, 30, 30)
_ORDER: Final = ("none", "refuse", "paint", "clean")


@dataclass
class _Group:
    """Instances of one decision, as they are found.

    Attributes:
        decision: Of the first one.
        name: Of the rule or of the kind at risk.
        series: Their SeriesInstanceUIDs.
        instances: How many.
        samples: The instances to show, by what they are drawn by.

    """

    decision: PixelDecision
    name: str
    series: set[str] = field(default_factory=set)
    instances: int = 0
    samples: dict[str, PlannedInstance] = field(default_factory=dict)

    def add(self, instance: PlannedInstance) -> None:
        """Count an instance, and keep it if it is among those that are shown."""
        self.instances += 1
        self.series.add(instance.original.series_instance_uid)
        self.samples[sha256(instance.original.sop_instance_uid.encode()).hexdigest()] = instance
        if len(self.samples) > _SHOWN:
            del self.samples[max(self.samples)]


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
    groups: dict[tuple[str, str], _Group] = {}
    chosen = _of_each_series(ledger)
    progress.start("look at instances", len(chosen))
    for instance in chosen:
        found = _decide(source, instance, choice)
        if found is not None:
            decision, name = found
            groups.setdefault((decision.action, name), _Group(decision, name)).add(instance)
        progress.advance()
    lines = line_of_instances(ledger)
    order = sorted(groups.values(), key=lambda group: (_ORDER.index(group.decision.action), group.name))
    shown = [group for group in order if group.name] + [group for group in order if not group.name]
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


def _of_each_series(ledger: Ledger) -> list[PlannedInstance]:
    """Return the first, the middle and the last instance of each series, in the order of their UIDs."""
    series: dict[str, list[PlannedInstance]] = {}
    for number in open_chunks(ledger):
        for call in chunk_of(ledger, ledger.requests, number).calls:
            for instance in call.instances:
                series.setdefault(instance.original.series_instance_uid, []).append(instance)
    chosen = []
    for _, instances in sorted(series.items()):
        instances.sort(key=lambda one: one.original.sop_instance_uid)
        last = len(instances) - 1
        chosen += [instances[index] for index in sorted({0, last // 2, last})]
    return chosen


def _decide(source: InstanceSource, instance: PlannedInstance, choice: PixelChoice) -> tuple[PixelDecision, str] | None:
    """Return what is decided, with the rule or the kind at risk; None for what has no pixels or cannot be read."""
    try:
        with SourceFile.of_original(source.open(instance)) as original:
            facts = pixel_facts(*(original.scan(), original.read, original.layout.encoding, choice.rules.tags()))
    except (InstanceFailed, OSError):
        return None
    if not facts.has_pixels:
        return None
    decision, risk = choice.decide(facts), choice.rules.risk(facts)
    return decision, decision.rule or (risk.name if risk is not None else "")


def _sheets(
    source: InstanceSource,
    choice: PixelChoice,
    group: _Group,
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
                facts = pixel_facts(*(original.scan(), original.read, original.layout.encoding, choice.rules.tags()))
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
