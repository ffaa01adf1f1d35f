"""What ``plan`` answers.

Public names: ``PlanAnswer``, ``Objects``, ``WillFail``, ``ToLookAt``, ``PixelGroup``, ``RequestGroup``,
``PlannedChunk``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from deidflow.flows.answers.answer import Answer, counted, most_shown, plain
from deidflow.tasks.core.errors import listed_problems
from deidflow.tasks.core.outcomes import ReasonCode, reason_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from deidflow.tasks.core.errors import Problem
    from deidflow.tasks.core.ledger.state.before import DoneBefore
    from deidflow.tasks.steps.preview import Sample

_SHOWN_CHUNKS: Final = 20
_PIXELS: Final = {"paint": "painted", "clean": "known to be clean", "refuse": "REFUSED (burned-in-text)"}


@dataclass(frozen=True, slots=True)
class Objects:
    """How many objects are to be edited, and how large their files are together."""

    instances: int
    series: int
    studies: int
    patients: int
    bytes: int


@dataclass(frozen=True, slots=True)
class WillFail:
    """Instances that will fail whatever is done, and why."""

    code: str
    text: str
    instances: int


@dataclass(frozen=True, slots=True)
class ToLookAt:
    """Instances that a person should look at before the results are given away."""

    code: str
    text: str
    instances: int


@dataclass(frozen=True, slots=True)
class PixelGroup:
    """What happens to pixels of one rule, or of one kind.

    Attributes:
        action: ``paint``, ``clean``, ``refuse`` or ``none``.
        name: Of the rule, or of the kind at risk that no rule is for; "" for neither.
        by_rule: Whether a rule decides.
        at_risk: Whether text may be burnt in.
        instances: How many of those that were looked at.

    """

    action: str
    name: str
    by_rule: bool
    at_risk: bool
    instances: int

    def line(self) -> str:
        """Return what people read."""
        what = _PIXELS.get(self.action, "accepted as they are" if self.at_risk else "not at risk")
        why = f", {self.name}" if self.by_rule else f", no rule for: {self.name}" if self.name else ""
        return f"{self.instances} {what}{why}"


@dataclass(frozen=True, slots=True)
class RequestGroup:
    """What is done alike.

    Attributes:
        operation: ``anonymize`` or ``modify``.
        changes: Which identifiers change, and which elements are named; never a value.
        rows: How many rows of the manifest.
        instances: How many instances.

    """

    operation: str
    changes: str
    rows: int
    instances: int


@dataclass(frozen=True, slots=True)
class PlannedChunk:
    """What one task works on: rows of the manifest from ``first_line`` to ``last_line``."""

    key: str
    instances: int
    rows: int
    first_line: int
    last_line: int
    bytes: int

    def line(self) -> str:
        """Return what people read."""
        one = self.first_line == self.last_line
        lines = f"line {self.first_line}" if one else f"lines {self.first_line} to {self.last_line}"
        what = f"{counted(self.instances, 'instance')} of {counted(self.rows, 'row')}"
        return f"{self.key}  {what} ({lines}), {self.bytes / 1e6:,.1f} MB"


@dataclass(frozen=True, slots=True)
class PlanAnswer(Answer):
    """What a run would do.

    Attributes:
        server_version: Of the Orthanc that edits, null without one.
        server_makes_room: Whether it deletes its oldest patients when it is full.
        rows: How many rows of the manifest are ``planned``, and how many have an outcome already.
        done_before: What earlier runs have done of them: ``rows`` in full, and ``instances``.
        changed_before: How many instances are planned again, since their sources have changed since.
        to_edit: What is left.
        destination: Where results go.
        notes: What the server will do differently, or cannot do.
        will_fail: By reason.
        to_look_at: By reason.
        source_problems: How many files of the source are not used, by code.
        pixels: What happens to pixels, with ``clean-pixel-data``; of at most three instances of each series.
        different_requests: How many requests differ from one another.
        requests: Those that are alike in what they name, together.
        private_numbers: Private elements named by a number, which may belong to another creator in another file.
        chunks: In order.
        makes_own_key: Whether no key is configured, so that other runs give other identifiers; never with engine
            orthanc, whose identifiers are the server's own.
        set_aside: Problems of rows that are set aside (``--skip-invalid``).
        samples: What happens to each element of sample instances (``--diff``): ``line``, ``problem``, ``pixels``,
            ``changed``, and ``elements`` with ``path``, ``tag``, ``vr``, ``rule``, ``old_length``, ``new_length``; with
            ``--show-values`` also ``old_value`` and ``new_value``.

    """

    server_version: str | None
    server_makes_room: bool
    rows: Mapping[str, int]
    done_before: DoneBefore
    changed_before: int
    to_edit: Objects
    destination: str
    notes: tuple[str, ...]
    will_fail: tuple[WillFail, ...]
    to_look_at: tuple[ToLookAt, ...]
    source_problems: Mapping[str, int]
    pixels: tuple[PixelGroup, ...]
    different_requests: int
    requests: tuple[RequestGroup, ...]
    private_numbers: tuple[str, ...]
    chunks: tuple[PlannedChunk, ...]
    makes_own_key: bool
    set_aside: tuple[Problem, ...]
    samples: tuple[Sample, ...]

    def document(self) -> dict[str, Any]:
        """Return what programs read."""
        return {**plain(replace(self, samples=())), "samples": [sample.document() for sample in self.samples]}

    def lines(self) -> Iterator[str]:
        """Yield what people read."""
        yield from listed_problems(self.set_aside, before="set aside: ", most=most_shown())
        yield from self._totals()
        yield from self._pixels()
        yield from self._requests()
        yield f"chunks:           {len(self.chunks)}"
        yield from _first([f"  {chunk.line()}" for chunk in self.chunks])
        if self.makes_own_key:
            yield "\nno key is configured: the run would make its own, and identifiers of other runs would not match"
        if self.samples:
            yield from self._samples()

    def _totals(self) -> Iterator[str]:
        others = "".join(f", {count} {outcome}" for outcome, count in sorted(self.rows.items()) if outcome != "planned")
        if self.server_version:
            yield f"server:           Orthanc {self.server_version}"
        if self.server_makes_room:
            text = "the server deletes its oldest patients when it is full (MaximumPatientCount, MaximumStorageSize)"
            yield f"WARNING:          {text}: sources and results may vanish while a run works"
        yield f"rows:             {self.rows['planned']} planned{others}"
        if self.done_before.instances:
            rows, instances = self.done_before
            text = f"{counted(instances, 'instance')} by earlier runs, {counted(rows, 'row')} in full"
            yield f"done before:      {text}"
        if self.changed_before:
            yield f"changed since:    {counted(self.changed_before, 'instance')}, planned again"
        what = self.to_edit
        studies = f"{what.studies} stud{'y' if what.studies == 1 else 'ies'}"
        above = f"{what.series} series, {studies}, {counted(what.patients, 'patient')}"
        yield f"to edit:          {counted(what.instances, 'instance')}, {above}"
        yield f"                  {what.bytes / 1e6:,.1f} MB to {self.destination}"
        for note in self.notes:
            yield f"note:             {note}"
        for failure in self.will_fail:
            reason = reason_text(ReasonCode(failure.code), failure.text)
            yield f"will fail:        {counted(failure.instances, 'instance')}, {reason}"
        for one in self.to_look_at:
            yield f"to look at:       {one.instances} {one.code}: {one.text}"
        for code, count in self.source_problems.items():
            yield f"source problems:  {count} {code}"

    def _pixels(self) -> Iterator[str]:
        looked_at = sum(group.instances for group in self.pixels)
        if looked_at:
            yield f"pixels:           {counted(looked_at, 'instance')} looked at, at most three of each series"
        for group in self.pixels:
            yield f"                  {group.line()}"

    def _requests(self) -> Iterator[str]:
        yield f"requests:         {self.different_requests} different"
        yield from _first(
            f"  {counted(one.rows, 'row')}, {counted(one.instances, 'instance')}, {one.operation}: {one.changes}"
            for one in self.requests
        )
        if self.private_numbers:
            rest = len(self.private_numbers) - _SHOWN_CHUNKS
            named = ", ".join(self.private_numbers[:_SHOWN_CHUNKS]) + (f" and {rest} more" if rest > 0 else "")
            remedy = ' with engine: local name the creator, as in 0029,"SIEMENS CSA HEADER",10'
            yield f"WARNING:          {named}: the number may belong to another creator in another file;{remedy}"

    def _samples(self) -> Iterator[str]:
        """Yield each sample element by element, and at the end, where the eye is, what the samples were."""
        overview = []
        for number, sample in enumerate(self.samples, 1):
            yield f"\nsample {number}: line {sample.line} of the manifest"
            yield from (f"  {line}" for line in sample.lines())
            result = sample.problem or f"{sample.changed} of {len(sample.rows)} elements change"
            overview.append(f"  sample, line {sample.line}: {result}")
        yield "\nshown above:"
        yield from overview


def _first(lines: Iterable[str]) -> Iterator[str]:
    """Yield some lines, and how many more there are; all of them where the user wants to see everything."""
    everything = list(lines)
    shown = len(everything) if most_shown() is None else _SHOWN_CHUNKS
    yield from islice(everything, shown)
    if everything[shown:]:
        yield f"  ... and {len(everything) - shown} more"
