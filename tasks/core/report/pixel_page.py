"""The page of ``deidflow pixels``: what each rule paints, and what no rule is for, with pictures to look at.

Public names: ``render_pixel_page``, ``PixelGroup``, ``Sheet``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from deidflow.tasks.core.report.templates import page_templates

if TYPE_CHECKING:
    from collections.abc import Sequence

_TEMPLATE: Final = "pixels.html.j2"


class Sheet(NamedTuple):
    """One picture.

    Attributes:
        file: Name of the PNG beside the page, "" where the pixels cannot be decoded here.
        line: Of the manifest.
        size: Columns and rows of the frame.
        frame: Which one it is, from 1, and of how many.

    """

    file: str
    line: int
    size: str
    frame: str


class PixelGroup(NamedTuple):
    """Instances of which the same is decided by the same rule.

    Attributes:
        name: Of the rule; of the kind at risk where there is none; "" for what is neither.
        action: ``paint``, ``clean``, ``refuse`` or ``none``.
        has_rule: Whether a rule decided.
        instances: How many were looked at.
        series: Of how many series they are.
        sheets: Some of them.

    """

    name: str
    action: str
    has_rule: bool
    instances: int
    series: int
    sheets: tuple[Sheet, ...]


def render_pixel_page(name: str, groups: Sequence[PixelGroup], unused: Sequence[str], unmatched: str) -> str:
    """Return the page.

    Args:
        name: Of the config.
        groups: In the order in which they are shown.
        unused: Names of rules that decided on nothing.
        unmatched: The config's ``pixels.unmatched``.

    """
    return page_templates().get_template(_TEMPLATE).render(name=name, groups=groups, unused=unused, unmatched=unmatched)
