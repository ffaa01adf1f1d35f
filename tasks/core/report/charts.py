"""The charts of ``report.html``: where their bars lie; ``charts.html.j2`` draws them as SVG inside the page.

The tables beside them have the same figures, so a screen reader gets a chart as one sentence.

Public names: ``Bar``, ``Chart``, ``WIDTH``, ``outcome_bar``, ``time_bars``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from deidflow.tasks.core.outcomes import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

WIDTH: Final = 600.0
_BAR: Final = 22.0
_LINE: Final = 30.0
_LABEL: Final = 110.0
_LEAST: Final = 3.0
"""What there is must be seen, be it one instance in a million."""


class Bar(NamedTuple):
    """A rectangle, in the units of the drawing.

    Attributes:
        kind: Class of the style sheet, which gives it its colour.
        left: From the left edge.
        top: From the upper edge.
        width: Of the rectangle.
        height: Likewise.
        label: What stands at the left edge beside it, "" for nothing.

    """

    kind: str
    left: float
    top: float
    width: float
    height: float = _BAR
    label: str = ""


class Chart(NamedTuple):
    """A drawing that is ``WIDTH`` wide.

    Attributes:
        height: In the same units.
        said: What it says, as one sentence.
        bars: All of it.

    """

    height: float
    said: str
    bars: tuple[Bar, ...]


def outcome_bar(counts: Mapping[Outcome, int]) -> Chart | None:
    """Return one bar with a stretch for each outcome that there is, None where there are none.

    Args:
        counts: Instances by outcome.

    """
    there = {str(outcome): counts[outcome] for outcome in Outcome if counts[outcome]}
    total = sum(there.values())
    if not total:
        return None
    free = WIDTH - _LEAST * len(there)
    left = 0.0
    bars = []
    for outcome, count in there.items():
        width = _LEAST + free * count / total
        bars.append(Bar(f"of-{outcome}", round(left, 2), 0, round(width, 2)))
        left += width
    said = ", ".join(f"{count} {outcome.replace('_', ' ')}" for outcome, count in there.items())
    return Chart(_BAR, f"Instances by outcome: {said}", tuple(bars))


def time_bars(seconds: Mapping[str, float]) -> Chart | None:
    """Return a line for each step, one after the other as on a clock, None where no time was measured.

    Args:
        seconds: By step, in their order.

    """
    total = sum(seconds.values())
    if not total:
        return None
    free = WIDTH - _LABEL - _LEAST * len(seconds)
    left = _LABEL
    bars = []
    for number, (step, duration) in enumerate(seconds.items()):
        width = _LEAST + free * duration / total
        bars.append(Bar("of-time", round(left, 2), number * _LINE, round(width, 2), label=step))
        left += width
    said = ", ".join(f"{step} {duration:.1f} seconds" for step, duration in seconds.items())
    return Chart(_LINE * len(seconds), f"Steps one after the other: {said}", tuple(bars))
