"""The charts of ``report.html``, as SVG inside the page; their colours are classes of its style sheet.

The tables beside them have the same figures, so a screen reader gets a chart as one sentence.

Public names: ``outcome_bar``, ``time_bars``.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

import svg

from deidflow.tasks.core.outcomes import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

_WIDTH: Final = 600.0
_BAR: Final = 22.0
_LINE: Final = 30.0
_LABEL: Final = 90.0
_LEAST: Final = 3.0
"""What there is must be seen, be it one instance in a million."""


def outcome_bar(counts: Mapping[Outcome, int]) -> str:
    """Return one bar with a stretch for each outcome that there is, "" where there are none.

    Args:
        counts: Instances by outcome.

    """
    there = {str(outcome): counts[outcome] for outcome in Outcome if counts[outcome]}
    total = sum(there.values())
    if not total:
        return ""
    free = _WIDTH - _LEAST * len(there)
    left = 0.0
    stretches: list[svg.Element] = []
    for outcome, count in there.items():
        width = _LEAST + free * count / total
        stretches.append(svg.Rect(x=round(left, 2), y=0, width=round(width, 2), height=_BAR, class_=[f"of-{outcome}"]))
        left += width
    said = ", ".join(f"{count} {outcome.replace('_', ' ')}" for outcome, count in there.items())
    return _chart(stretches, _BAR, f"Instances by outcome: {said}")


def time_bars(seconds: Mapping[str, float]) -> str:
    """Return a line for each step, one after the other as on a clock, "" where no time was measured.

    Args:
        seconds: By step, in their order.

    """
    total = sum(seconds.values())
    if not total:
        return ""
    free = _WIDTH - _LABEL - _LEAST * len(seconds)
    left = _LABEL
    lines: list[svg.Element] = []
    for number, (step, duration) in enumerate(seconds.items()):
        width = _LEAST + free * duration / total
        top = number * _LINE
        lines.append(svg.Text(x=0, y=top + _BAR * 0.7, text=escape(step)))
        lines.append(svg.Rect(x=round(left, 2), y=top, width=round(width, 2), height=_BAR, class_=["of-time"]))
        left += width
    said = ", ".join(f"{step} {duration:.1f} seconds" for step, duration in seconds.items())
    return _chart(lines, _LINE * len(seconds), f"Steps one after the other: {said}")


def _chart(elements: list[svg.Element], height: float, said: str) -> str:
    return str(
        svg.SVG(
            viewBox=svg.ViewBoxSpec(0, 0, _WIDTH, height),
            class_=["chart"],
            xmlns=None,  # inside HTML it needs none
            extra={"role": "img"},
            elements=[svg.Title(text=escape(said)), *elements],
        )
    )
