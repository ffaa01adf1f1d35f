"""Frames as pictures of eight bits, in which a person, or a program, can see what is written.

Text is burnt in with the highest or the lowest value, often far outside the values of the image. Where grey values have
more than eight bits there are two pictures: of the image's own range, with all else black or white, and of all values.

Public name: ``pictures``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    Picture = np.ndarray[Any, np.dtype[np.uint8]]
    """Rows x columns x 3, RGB."""

    Frame = np.ndarray[Any, np.dtype[Any]]

_SHARE_PERCENT: Final = 1.0
"""Of the values at each end that do not belong to the range of the image."""

_MUCH_WIDER: Final = 1.2
"""The range of all values over that of the image, from which on a second picture shows more."""


def pictures(frame: Frame, *, is_inverse: bool = False) -> Iterator[Picture]:
    """Yield one or two pictures of a frame.

    Args:
        frame: Rows x columns, or rows x columns x 3 in RGB.
        is_inverse: Whether low values are bright (MONOCHROME1).

    """
    if frame.ndim == 3:  # noqa: PLR2004 (rows, columns, samples)
        yield frame if frame.dtype == np.uint8 else _scaled(frame, float(frame.min()), float(frame.max()))
        return
    values = np.nan_to_num(frame.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    least, most = float(values.min()), float(values.max())
    low, high = (float(value) for value in np.percentile(values, [_SHARE_PERCENT, 100 - _SHARE_PERCENT]))
    if is_inverse:
        values, least, most, low, high = -values, -most, -least, -high, -low
    if high > low:
        yield _grey(_scaled(values, low, high))
    if most > least and (high <= low or most - least > _MUCH_WIDER * (high - low)):
        yield _grey(_scaled(values, least, most))
    elif high <= low:
        yield np.zeros((*frame.shape, 3), np.uint8)


def _scaled(values: Frame, low: float, high: float) -> Picture:
    span = high - low if high > low else 1.0
    share = (values.astype(np.float32) - low) / span
    picture: Picture = (np.clip(share, 0, 1) * 255).astype(np.uint8)
    return picture


def _grey(picture: Picture) -> Picture:
    return np.repeat(picture[..., None], 3, axis=2)
