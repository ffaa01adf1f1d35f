"""What becomes of the pixels of one instance, before anything of it is edited.

Public names: ``PixelWork``, ``pixel_work``, ``with_painted_pixels``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from deidflow.tasks.core.dicom.tags import PIXEL_DATA
from deidflow.tasks.core.engine.review import ReviewCode
from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.core.pixels.facts import ULTRASOUND_REGIONS
from deidflow.tasks.local.dicom_file.pixel_facts import pixel_facts
from deidflow.tasks.local.editing.actions import Action
from deidflow.tasks.local.editing.painting.coded_frames import LOSSY
from deidflow.tasks.local.editing.painting.image_layout import unpaintable
from deidflow.tasks.local.editing.painting.painting import PAINTING_TAGS, Painting, painted, prepare

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deidflow.tasks.core.pixels.decision import PixelDecision
    from deidflow.tasks.core.request.edits import Value
    from deidflow.tasks.local.dicom_file.elements import Element
    from deidflow.tasks.local.dicom_file.source_file import SourceFile
    from deidflow.tasks.local.editing.spans import Span
    from deidflow.tasks.local.editing.table import Table

_PHOTOMETRIC: Final = 0x00280004
_LOSSY_COMPRESSION: Final = 0x00282110
_LOSSY_METHOD: Final = 0x00282114
_METHODS: Final = {"1.2.840.10008.1.2.4.81": "ISO_14495_1", "1.2.840.10008.1.2.4.91": "ISO_15444_1"}
_HTJ2K_METHOD: Final = "ISO_15444_15"
_NO_RULE: Final = "text may be burned into its pixels, and no rule of pixels.rules is for it"
_BY_RULE: Final = "a rule of pixels.rules refuses it, since text is burned into its pixels"
_LOSSY: Final = "it must not be compressed with loss, as pixels.lossy: refuse asks"


class PixelWork(NamedTuple):
    """What is done.

    Attributes:
        decision: By the rules.
        tags: Elements of the top level on which it depends; where they are equal it is the same.
        painting: What is painted, None for nothing.
        values: New values of elements that go with it.

    """

    decision: PixelDecision
    tags: frozenset[int]
    painting: Painting | None = None
    values: dict[int, Value] = {}  # noqa: RUF012 (never changed)

    @property
    def paints(self) -> bool:
        """Whether pixels change."""
        return self.painting is not None and bool(self.painting.regions)

    @property
    def review(self) -> str:
        """Why a person should look at the pixels of the result, "" for no reason."""
        if self.painting is not None and self.painting.passes_over:
            return ReviewCode.REGION_OUTSIDE
        return self.decision.reason


def pixel_work(table: Table, source: SourceFile, elements: Sequence[Element]) -> tuple[Table, PixelWork | None]:
    """Decide on the pixels of an instance; return the table that goes with the decision, too.

    Args:
        table: Of its SOP class.
        source: The open file.
        elements: All elements of its top level.

    Raises:
        InstanceFailed: ``burned-in-text`` where it is refused, ``unsafe-content`` where it cannot be painted.

    """
    policy = table.pixels
    rule = table.top.by_tag.get(PIXEL_DATA)
    if policy is None or (rule is not None and rule.action in (Action.REPLACE, Action.REMOVE)):
        return table, None  # the user's own pixels, or none
    facts = pixel_facts(elements, source, policy.tags)
    decision = policy.decide(facts)
    if decision.action == "refuse":
        raise InstanceFailed(ReasonCode.BURNED_IN_TEXT, _BY_RULE if decision.rule else _NO_RULE)
    tags = policy.tags | {ULTRASOUND_REGIONS}
    if decision.action != "paint":
        return (policy.when_clean if decision.action == "clean" else table), PixelWork(decision, tags)
    painting = prepare(source, elements, decision.regions)
    if not painting.regions:
        return table, PixelWork(decision, tags | PAINTING_TAGS, painting)
    syntax = source.layout.transfer_syntax
    if syntax in LOSSY and policy.refuses_loss:
        raise unpaintable(_LOSSY)
    values = _lossy_values(syntax, painting, elements) if syntax in LOSSY else {}
    return policy.when_clean, PixelWork(decision, tags | PAINTING_TAGS, painting, values)


def _lossy_values(syntax: str, painting: Painting, elements: Sequence[Element]) -> dict[int, Value]:
    """Return what keeps true what is said of the image once its loss does not show in its code streams any more."""
    present = {element[0] for element in elements if element[4] > element[3]}
    values: dict[int, Value] = {_LOSSY_COMPRESSION: "01"}
    if _LOSSY_METHOD not in present:
        values[_LOSSY_METHOD] = _METHODS.get(syntax, _HTJ2K_METHOD)
    if painting.layout is not None and painting.layout.photometric == "YBR_ICT":
        values[_PHOTOMETRIC] = "YBR_RCT"  # the transform without loss (PS3.5 section 8.2.4)
    return values


def with_painted_pixels(
    source: SourceFile, elements: Sequence[Element], spans: list[Span], table: Table, work: PixelWork | None
) -> list[Span]:
    """Return the spans of an edited dataset with what is black in its pixel data.

    Args:
        source: The open file.
        elements: Those of its top level, or of it those that are not the same in its whole series.
        spans: What became of all elements.
        table: By which it was edited.
        work: What is done with its pixels.

    Raises:
        InstanceFailed: See ``painted``.

    """
    if work is None or work.painting is None:
        return spans
    return painted(source, elements, spans, work.painting, table.frame_blanks)
