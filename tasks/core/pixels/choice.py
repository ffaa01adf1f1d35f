"""What a config asks of pixels: the rules, and what becomes of instances that none is for.

Public names: ``PixelChoice``, ``Lossy``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from deidflow.tasks.core.pixels.decision import PixelRules, Unmatched, decide

if TYPE_CHECKING:
    from deidflow.tasks.core.pixels.decision import PixelDecision
    from deidflow.tasks.core.pixels.facts import PixelFacts

Lossy = Literal["lossless", "refuse"]


@dataclass(frozen=True, slots=True)
class PixelChoice:
    """What ``clean-pixel-data`` does in a run.

    Attributes:
        rules: In the order in which they are tried, and what is at risk.
        unmatched: What becomes of instances at risk that no rule is for.
        detects: Whether text is looked for in the pixels of instances at risk.
        lossy: What becomes of instances that must be painted, are compressed with loss, and cannot be painted without
            being decoded: written again without further loss, or refused.

    """

    rules: PixelRules
    unmatched: Unmatched = "refuse"
    detects: bool = False
    lossy: Lossy = "lossless"

    def decide(self, facts: PixelFacts) -> PixelDecision:
        """Decide on an instance, see ``deidflow.tasks.core.pixels.decision.decide``."""
        return decide(facts, self.rules, self.unmatched)
