"""Whether text can be seen in the pixels of an instance, outside the regions that are painted.

An instance is judged by its own frames alone, so that the answer does not depend on what else a worker has seen: by the
first, the middle and the last, and by every other that is not like one of those which were looked at.

Public names: ``TextSearch``, ``shows_text``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.local.viewing.frames import PixelFrames
from deidflow.tasks.local.viewing.rendering import pictures
from deidflow.tasks.local.viewing.text_detector import TextDetector

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from deidflow.tasks.core.pixels.decision import PixelDecision
    from deidflow.tasks.core.pixels.regions import Region
    from deidflow.tasks.local.dicom_file.source_file import SourceFile
    from deidflow.tasks.local.viewing.rendering import Frame

_CELLS: Final = 16
"""Frames are compared by the means of so many cells a side."""

_UNLIKE: Final = 0.1
"""How far the means of two frames may be apart, as a share of the range of values, before both are looked at."""

_SEEN: Final = "text can be seen in its pixels"
_LEFT: Final = "text can be seen in its pixels outside the regions that its rule paints"


class TextSearch:
    """What ``pixels.detect`` asks for, in one worker; the networks are loaded when they are needed first."""

    def __init__(self) -> None:
        """Load nothing yet."""
        self._detector: TextDetector | None = None

    def check(self, source: SourceFile, decision: PixelDecision) -> None:
        """Refuse an instance at risk in whose result text would be seen.

        Args:
            source: The open source.
            decision: What happens to its pixels; instances that are not at risk are not looked at.

        Raises:
            InstanceFailed: ``burned-in-text``; or its pixels cannot be decoded here.

        """
        if not decision.reason:
            return
        self._detector = self._detector or TextDetector()
        if shows_text(source, decision.regions, self._detector):
            raise InstanceFailed(ReasonCode.BURNED_IN_TEXT, _LEFT if decision.regions else _SEEN)


def shows_text(source: SourceFile, painted: Sequence[Region], detector: TextDetector) -> bool:
    """Tell whether text stands in a frame outside the painted regions.

    Args:
        source: The open source; what is painted in its result still stands in it.
        painted: What is black in the result, in pixels of the frame.
        detector: Finds text.

    Raises:
        InstanceFailed: The pixels cannot be decoded here.

    """
    with PixelFrames(source) as instance:
        is_inverse = instance.header.get("PhotometricInterpretation") == "MONOCHROME1"
        for frame in _looked_at(instance):
            for picture in pictures(_without(frame, painted), is_inverse=is_inverse):
                if _is_outside(detector.find(picture), painted):
                    return True
    return False


def _looked_at(instance: PixelFrames) -> Iterator[Frame]:
    """Yield the frames to look at."""
    first = tuple(dict.fromkeys((0, instance.count // 2, instance.count - 1)))
    seen: list[Frame] = []
    for frame in instance.frames(first):
        seen.append(_summary(frame))
        yield frame
    rest = [index for index in range(instance.count) if index not in first]
    for frame in instance.frames(rest) if rest else ():
        summary = _summary(frame)
        span = max(float(np.ptp(one)) for one in (summary, *seen)) or 1.0
        if all(float(np.abs(summary - one).mean()) > _UNLIKE * span for one in seen):
            seen.append(summary)
            yield frame


def _summary(frame: Frame) -> Frame:
    """Return the means of the cells of a frame."""
    grey = frame.mean(axis=2) if frame.ndim == 3 else frame.astype(np.float64)  # noqa: PLR2004 (with samples)
    bands = np.array_split(np.nan_to_num(grey), min(_CELLS, grey.shape[0]), axis=0)
    means = [[part.mean() for part in np.array_split(band, min(_CELLS, grey.shape[1]), axis=1)] for band in bands]
    return np.asarray(means)


def _without(frame: Frame, painted: Iterable[Region]) -> Frame:
    """Return a frame whose painted regions have its least value, so that nothing is read there."""
    shown = frame.copy()
    least = shown.min()
    for region in painted:
        shown[region.y : region.y + region.height, region.x : region.x + region.width] = least
    return shown


def _is_outside(lines: Iterable[Region], painted: Sequence[Region]) -> bool:
    """Tell whether a line of text lies in no painted region, at least with half of itself."""
    return any(2 * sum(_common(line, region) for region in painted) < line.width * line.height for line in lines)


def _common(one: Region, other: Region) -> int:
    width = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    height = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    return max(0, width) * max(0, height)
