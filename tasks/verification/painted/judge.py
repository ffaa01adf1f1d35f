"""Whether the pixels of a result are what the rules of the run make of its source's, and whether it says so.

What is to be painted is decided again, from the source as it is read here, by the rules that the run has recorded.

Public names: ``PixelJudge``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, BinaryIO, Final

from deidflow.tasks.core.dicom.tags import BURNED_IN_ANNOTATION, PIXEL_DATA, Path, describe_tag
from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.core.pixels.facts import PIXEL_ELEMENTS, ULTRASOUND_REGIONS
from deidflow.tasks.verification.fates import Fate
from deidflow.tasks.verification.painted.facts import facts_of
from deidflow.tasks.verification.painted.frames import check_frames
from deidflow.tasks.verification.standard.method_codes import codes_of

if TYPE_CHECKING:
    from deidflow.tasks.core.pixels.choice import PixelChoice
    from deidflow.tasks.core.pixels.regions import Region
    from deidflow.tasks.core.request.request import Request
    from deidflow.tasks.verification.permitted import Permitted
    from deidflow.tasks.verification.reader import Read

_CODES: Final = 0x00120064
_CLEANED: Final = b"113101"
_REFUSED: Final = "text may be burned into the pixels, and the rules of the run refuse such instances"
_CHANGED_WITH_PIXELS: Final = (
    *(0x00280106, 0x00280107, 0x00280108, 0x00280109, 0x7FE00001, 0x7FE00002),
    *PIXEL_ELEMENTS,
)
"""Smallest and largest values, offset tables."""
_CHANGED_WITH_LOSS: Final = (0x00280004, 0x00282110, 0x00282114)
"""PhotometricInterpretation, and what is said of the loss, where frames with loss are written without more."""
_LOSSY: Final = frozenset(f"1.2.840.10008.1.2.4.{number}" for number in (81, 91, 203))


class PixelJudge:
    """Judge of one run's pixels.

    Attributes:
        deciding: The elements, and sequences with all that is in them, by which an instance is judged.

    """

    def __init__(self, choice: PixelChoice) -> None:
        """Take what the run asks of pixels."""
        self._choice = choice
        self._tags = choice.rules.tags()
        self.deciding = self._tags | {ULTRASOUND_REGIONS, _CODES}
        self._permitted: dict[tuple[int, bool], tuple[Permitted, Permitted]] = {}

    def paints(self, request: Request, source: Read, result: Read, files: tuple[BinaryIO, BinaryIO]) -> bool:
        """Check the pixels of a result, and what it says of them.

        Args:
            request: An anonymization.
            source: Read to its end.
            result: Likewise.
            files: Source and result, open; where they stand does not matter.

        Returns:
            Whether any were to be painted, so that nothing else need compare them.

        Raises:
            InstanceFailed: ``identifier-left`` where something is not painted, or should not be there at all;
                ``pixel-data-differs`` where other pixels changed; ``result-differs`` where it claims what was not done.

        """
        if Path((), PIXEL_DATA) in {*request.edits.replace, *request.edits.remove}:
            return False
        facts = facts_of(source, self._tags)
        decision = self._choice.decide(facts)
        if decision.action == "refuse":
            raise InstanceFailed(ReasonCode.IDENTIFIER_LEFT, _REFUSED)
        frame = facts.frame
        inside: list[Region] = []
        if decision.action == "paint" and frame is not None:
            clipped = (region.clipped(frame.width, frame.height) for region in decision.regions)
            inside = [region for region in clipped if region is not None]
        paints = bool(inside) and not self._is_empty(source)
        self._check_claims(request, source, result, is_clean=paints or decision.action == "clean")
        if paints:
            check_frames(request, source, files, inside)
        return paints

    def is_shared(self, source: Read) -> bool:
        """Whether what was found of an instance that is not painted holds for all with the same ``deciding`` values.

        Args:
            source: Read to its end; where its pixels are empty, others may have some, and be painted.

        """
        return not self._is_empty(source)

    def _is_empty(self, source: Read) -> bool:
        return all(start == end for tag, _, start, end, _ in source.elements if tag in PIXEL_ELEMENTS)

    def _check_claims(self, request: Request, source: Read, result: Read, *, is_clean: bool) -> None:
        named = {path.tag for path in request.edits.paths() if not path.is_nested}
        if BURNED_IN_ANNOTATION not in named:
            found = (read.first(BURNED_IN_ANNOTATION) for read in (source, result))
            before, after = (value and value.strip(b" \0") for value in found)
            if after != (b"NO" if is_clean else before):
                raise _says_otherwise(BURNED_IN_ANNOTATION)
        if _CODES not in named:
            claimed = _CLEANED in codes_of(result)
            if claimed != (is_clean or _CLEANED in codes_of(source)):
                raise _says_otherwise(_CODES)

    def permitted(self, allowed: Permitted, source: Read, *, paints: bool) -> Permitted:
        """Return what may differ, with what goes with the pixels."""
        if not paints:
            return allowed
        key = id(allowed), source.syntax in _LOSSY
        found = self._permitted.get(key)
        if found is None or found[0] is not allowed:
            tags = (*_CHANGED_WITH_PIXELS, *(_CHANGED_WITH_LOSS if key[1] else ()))
            changed = replace(allowed, top={**allowed.top, **dict.fromkeys(tags, Fate.FREE)})
            found = self._permitted[key] = allowed, changed
        return found[1]


def _says_otherwise(tag: int) -> InstanceFailed:
    text = f"{describe_tag(tag)} of the result does not say what was done to its pixels"
    return InstanceFailed(ReasonCode.RESULT_DIFFERS, text)
