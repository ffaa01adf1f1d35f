"""Samples of a plan, edited in memory: what would happen to each of their elements.

Public names: ``Sample``, ``sample_differences``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from deidflow.tasks.core.dicom.tags import format_tag
from deidflow.tasks.core.errors import InstanceFailed, os_error_text
from deidflow.tasks.core.ledger.overview import spread_over_the_plan
from deidflow.tasks.core.outcomes import ReasonCode, reason_text
from deidflow.tasks.core.plan.planner import chunk_of, given_identifiers, original_uids
from deidflow.tasks.local.dicom_file.source_file import SourceFile
from deidflow.tasks.local.editing.differences import Difference, differences
from deidflow.tasks.local.worker import Compiler, edit_source
from deidflow.tasks.steps.access.choice import source_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deidflow.tasks.core.config.config import Config
    from deidflow.tasks.core.engine.protocol import PlannedInstance
    from deidflow.tasks.core.ledger.ledger import Ledger
    from deidflow.tasks.core.pixels.decision import PixelDecision
    from deidflow.tasks.core.pseudonyms.pseudonyms import Key
    from deidflow.tasks.core.request.request import Request


class Sample(NamedTuple):
    """One instance of the plan.

    Attributes:
        line: Of the manifest.
        rows: What happens to its elements; empty when it cannot be edited.
        problem: Why it cannot be edited, "" when it can.
        pixels: What happens to its pixels and by which rule, "" without ``clean-pixel-data``.
        show_values: Whether lines show values.

    """

    line: int
    rows: list[Difference]
    problem: str
    show_values: bool
    pixels: str = ""

    @property
    def changed(self) -> int:
        """How many of its elements do not stay as they are."""
        return sum(not row.is_kept for row in self.rows)

    def lines(self) -> Iterator[str]:
        """Yield what to print."""
        if self.problem:
            yield self.problem
        if self.pixels:
            yield f"pixels: {self.pixels}"
        for row in self.rows:
            yield row.line(show_values=self.show_values)

    def document(self) -> dict[str, Any]:
        """Return what programs read."""
        elements = [
            {
                "path": row.path.describe(),
                "tag": format_tag(row.path.tag),
                "vr": row.vr,
                "rule": row.rule,
                "old_length": row.old_length,
                "new_length": row.new_length,
                **({"old_value": row.old_value, "new_value": row.new_value} if self.show_values else {}),
            }
            for row in self.rows
        ]
        problem, pixels = self.problem or None, self.pixels or None
        said = {"line": self.line, "problem": problem, "pixels": pixels, "changed": self.changed}
        return said | {"elements": elements}


def sample_differences(ledger: Ledger, config: Config, key: Key, count: int, *, show_values: bool) -> Iterator[Sample]:
    """Edit instances spread over the whole plan, in memory.

    Args:
        ledger: With a plan.
        config: Of the run.
        key: Secret of generated identifiers.
        count: How many instances.
        show_values: Whether lines show values.

    """
    source = source_of(config).instances
    given, originals = given_identifiers(ledger), original_uids(ledger)
    profile = config.profile_choice
    compiler = Compiler(key, config.scope, given, originals, hardening=config.hardening, profile=profile)
    for line, request, instance in _spread(ledger, count):
        compiled = compiler.compile(request)
        try:
            with SourceFile.of_original(source.open(instance)) as original:
                edited = edit_source(original, instance, compiled)
                rows = differences(original, edited.to_bytes(), compiled.tables)
                yield Sample(line, rows, "", show_values, _pixels(edited.pixels and edited.pixels.decision))
        except InstanceFailed as problem:
            yield Sample(line, [], f"will fail: {reason_text(problem.code, str(problem))}", show_values)
        except OSError as error:
            text = reason_text(ReasonCode.SOURCE_UNREADABLE, os_error_text(error))
            yield Sample(line, [], f"will fail: {text}", show_values)


def _pixels(decision: PixelDecision | None) -> str:
    """Say what happens to the pixels of an instance, and by which rule."""
    if decision is None:
        return ""
    whole = ", ".join(f"{one.width} x {one.height} at {one.x}, {one.y}" for one in decision.regions)
    done = {"paint": f"painted black, {whole}", "clean": "nothing is burnt in", "none": "stay as they are"}
    why = decision.rule or ("at risk, and no rule is for them" if decision.reason else "not at risk")
    return f"{done.get(decision.action, decision.action)} ({why})"


def _spread(ledger: Ledger, count: int) -> Iterator[tuple[int, Request, PlannedInstance]]:
    """Take instances of different kinds (SOP classes, then requests, rows and series) first, spread over the plan."""
    requests = ledger.requests
    for number, line, chunk in spread_over_the_plan(ledger, count):
        for request, instances, _ in chunk_of(ledger, requests, chunk).calls:
            for instance in instances:
                if instance.id == number:
                    yield line, request, instance
