"""What happens to the pixels of an instance under ``clean-pixel-data``: the decision, from its attributes alone.

Public names: ``PixelDecision``, ``PixelAction``, ``PixelRule``, ``PixelRules``, ``Risk``, ``Unmatched``, ``decide``,
``BURNED_IN_TEXT``, ``PAINTED_PIXELS``, ``KNOWN_CLEAN``.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Final, Literal

from deidflow.tasks.core.dicom.tags import BURNED_IN_ANNOTATION
from deidflow.tasks.core.pixels.facts import FACT_TAGS
from deidflow.tasks.core.pixels.regions import Region, outside

if TYPE_CHECKING:
    from deidflow.tasks.core.pixels.conditions import Condition
    from deidflow.tasks.core.pixels.facts import PixelFacts

PixelAction = Literal["paint", "clean", "refuse", "none"]
Unmatched = Literal["refuse", "accept"]

BURNED_IN_TEXT: Final = "burned-in-text"
PAINTED_PIXELS: Final = "painted-pixels"
KNOWN_CLEAN: Final = "known-clean"


@dataclass(frozen=True, slots=True)
class PixelRule:
    """A rule: which instances it is for, and what happens to their pixels. Exactly one action is given.

    Attributes:
        name: File, line and name, for people: ``site.yaml, line 12: monitor of room 3``.
        when: What must hold.
        regions: To be painted black.
        keeps: What stays, all around it is painted.
        keeps_ultrasound_regions: Whether the items of SequenceOfUltrasoundRegions stay and all around them is painted.
        is_clean: Whether nothing is burnt in.
        refuses: Whether such instances are refused.

    """

    name: str
    when: Condition
    regions: tuple[Region, ...] = ()
    keeps: tuple[Region, ...] = ()
    keeps_ultrasound_regions: bool = False
    is_clean: bool = False
    refuses: bool = False

    def painted(self, facts: PixelFacts) -> tuple[Region, ...] | None:
        """Return what is painted of an instance; None when the rule cannot tell, so that it is none for it."""
        frame = facts.frame
        if self.regions:
            return self.regions
        kept = _ultrasound_regions(facts) if self.keeps_ultrasound_regions else self.keeps
        if frame is None or not kept:
            return None
        return outside(kept, frame.width, frame.height) or None


@dataclass(frozen=True, slots=True)
class Risk:
    """A kind of instances that often have text burnt in.

    Attributes:
        name: For people.
        when: What holds for them.

    """

    name: str
    when: Condition


@dataclass(frozen=True, slots=True)
class PixelRules:
    """All rules of a run in the order in which they are tried, and what is at risk.

    Attributes:
        rules: The first one that holds decides.
        risks: An instance for which one of them holds is at risk.

    """

    rules: tuple[PixelRule, ...]
    risks: tuple[Risk, ...]

    def tags(self) -> frozenset[int]:
        """Return the elements of the top level that facts must have."""
        conditions = chain((rule.when for rule in self.rules), (risk.when for risk in self.risks))
        return frozenset(FACT_TAGS).union(*(condition.tags() for condition in conditions))

    def risk(self, facts: PixelFacts) -> Risk | None:
        """Return why an instance is at risk, None when it is not."""
        if not facts.has_pixels:
            return None
        return next((risk for risk in self.risks if risk.when.holds(facts)), None)


@dataclass(frozen=True, slots=True)
class PixelDecision:
    """What happens to the pixels of an instance.

    Attributes:
        action: ``paint``; ``clean``: a rule says that nothing is burnt in; ``refuse``: the instance fails with the
            reason; ``none``: it is not at risk, or is accepted without a rule (then it has a reason).
        regions: For ``paint``, at least one; they may reach over the edge of the frame.
        rule: Name of the rule that decided, "" for none.
        reason: ``burned-in-text`` for what is refused, and for what is at risk and accepted without a rule;
            ``painted-pixels`` or ``known-clean`` for what a rule decided and is at risk; "" otherwise. For review.csv.

    """

    action: PixelAction
    regions: tuple[Region, ...] = ()
    rule: str = ""
    reason: str = ""


def decide(facts: PixelFacts, rules: PixelRules, unmatched: Unmatched) -> PixelDecision:
    """Decide on an instance: by the first rule that holds for it, or else by whether it is at risk.

    Args:
        facts: Of the source instance, with the elements of ``rules.tags()``.
        rules: Of the run.
        unmatched: What happens to instances at risk that no rule is for.

    """
    if not facts.has_pixels:
        return PixelDecision("none")
    risk = rules.risk(facts)
    for rule in rules.rules:
        if not rule.when.holds(facts) or (rule.is_clean and _is_contradicted(rule, facts)):
            continue
        if rule.refuses:
            return PixelDecision("refuse", (), rule.name, BURNED_IN_TEXT)
        if rule.is_clean:
            return PixelDecision("clean", (), rule.name, KNOWN_CLEAN if risk else "")
        regions = rule.painted(facts)
        if regions is not None:
            return PixelDecision("paint", regions, rule.name, PAINTED_PIXELS if risk else "")
    if risk is None:
        return PixelDecision("none")
    return PixelDecision("refuse" if unmatched == "refuse" else "none", (), "", BURNED_IN_TEXT)


def _is_contradicted(rule: PixelRule, facts: PixelFacts) -> bool:
    """Whether an instance says itself that text is burnt in, and the rule that calls it clean has not asked."""
    says_so = facts.texts.get(BURNED_IN_ANNOTATION, "").upper().startswith("YES")
    return says_so and BURNED_IN_ANNOTATION not in rule.when.tags()


_IMAGE_FORMATS: Final = frozenset({1, 2, 3, 4})
"""RegionSpatialFormat: 2D, M-mode, spectral, wave form (PS3.3 section C.8.5.5.1.1, edition 2026d)."""

_GRAPHICS: Final = 5
"""RegionSpatialFormat of drawings, which may be text."""


def _ultrasound_regions(facts: PixelFacts) -> tuple[Region, ...]:
    """Return the regions of image data that an ultrasound image names; none if they cannot be trusted to be that.

    Then one of them does not lie in the frame, so that they are of another image or counted in another way; or its
    format says nothing; or it begins in the first row, so that whoever wrote it meant the whole screen, whose upper
    edge is where devices write who the patient is.
    """
    frame = facts.frame
    regions = []
    for spatial_format, x0, y0, x1, y1 in facts.ultrasound_regions:
        if frame is None or x0 is None or y0 is None or x1 is None or y1 is None:
            return ()
        if spatial_format not in _IMAGE_FORMATS and spatial_format != _GRAPHICS:
            return ()
        if not (0 <= x0 <= x1 < frame.width and 0 < y0 <= y1 < frame.height):
            return ()
        if spatial_format != _GRAPHICS:
            regions.append(Region(x0, y0, x1 - x0 + 1, y1 - y0 + 1))
    return tuple(regions)
