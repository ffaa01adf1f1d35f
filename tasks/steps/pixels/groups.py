"""What the rules about pixels would decide on the instances of a plan, by rule and by kind at risk.

Of each series the first, the middle and the last instance are looked at, by their SOPInstanceUIDs.

Public names: ``find_pixel_groups``, ``FoundGroup``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.ledger.chunks import open_chunks
from deidflow.tasks.core.plan.planner import chunk_of
from deidflow.tasks.local.dicom_file.pixel_facts import pixel_facts
from deidflow.tasks.local.dicom_file.source_file import SourceFile

if TYPE_CHECKING:
    from deidflow.tasks.core.engine.protocol import PlannedInstance
    from deidflow.tasks.core.engine.sources import InstanceSource
    from deidflow.tasks.core.ledger.ledger import Ledger
    from deidflow.tasks.core.pixels.choice import PixelChoice
    from deidflow.tasks.core.pixels.decision import PixelDecision
    from deidflow.tasks.steps.run.progress import Progress

_SHOWN: Final = 8
"""Instances that stand for a group."""

_ORDER: Final = ("none", "refuse", "paint", "clean")


@dataclass
class FoundGroup:
    """Instances of one decision, as they are found.

    Attributes:
        decision: Of the first one.
        name: Of the rule or of the kind at risk, "" for neither.
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


def find_pixel_groups(
    ledger: Ledger, source: InstanceSource, choice: PixelChoice, progress: Progress
) -> list[FoundGroup]:
    """Return what is decided: what may go wrong first, what is neither at risk nor of any rule last.

    Args:
        ledger: With a plan.
        source: Of its originals.
        choice: The rules.
        progress: Counts instances.

    Raises:
        Unusable: The source cannot be used.

    """
    groups: dict[tuple[str, str], FoundGroup] = {}
    chosen = _of_each_series(ledger)
    progress.start("look at pixels' attributes", len(chosen))
    for instance in chosen:
        found = _decide(source, instance, choice)
        if found is not None:
            decision, name = found
            groups.setdefault((decision.action, name), FoundGroup(decision, name)).add(instance)
        progress.advance()
    progress.finish()
    order = sorted(groups.values(), key=lambda group: (_ORDER.index(group.decision.action), group.name))
    return [group for group in order if group.name] + [group for group in order if not group.name]


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
            facts = pixel_facts(original.scan(), original, choice.rules.tags())
    except (InstanceFailed, OSError):
        return None
    if not facts.has_pixels:
        return None
    decision, risk = choice.decide(facts), choice.rules.risk(facts)
    return decision, decision.rule or (risk.name if risk is not None else "")
