"""Rectangles of a frame, and what is left of it around others."""

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from deidflow.tasks.core.pixels.regions import Region, outside

_NUMBERS = st.integers(0, 24)
_SIZES = st.integers(1, 24)
_REGIONS = st.lists(st.builds(Region, _NUMBERS, _NUMBERS, _SIZES, _SIZES), max_size=6)


def mask(regions: tuple[Region, ...] | list[Region], columns: int, rows: int) -> np.ndarray[Any, Any]:
    """Return how many of the regions each pixel of a frame lies in."""
    count = np.zeros((rows, columns), int)
    for one in regions:
        count[one.y : one.y + one.height, one.x : one.x + one.width] += 1
    return count


@given(_REGIONS, _SIZES, _SIZES)
def test_what_is_outside_is_all_that_is_not_inside(kept: list[Region], columns: int, rows: int) -> None:
    """Each pixel lies in a kept region or in exactly one rectangle of the rest, and the rest lies in the frame."""
    rest = outside(kept, columns, rows)

    assert (mask(rest, columns, rows) == (mask(kept, columns, rows) == 0)).all()
    assert all(one == one.clipped(columns, rows) for one in rest)


@given(st.builds(Region, _NUMBERS, _NUMBERS, _SIZES, _SIZES), _SIZES, _SIZES)
def test_clipping_loses_what_is_beside_the_frame_only(region: Region, columns: int, rows: int) -> None:
    """A region that reaches over the edge keeps what is in the frame; one beside it is none."""
    clipped = region.clipped(columns, rows)

    assert (mask([region], columns, rows) == mask([clipped] if clipped else [], columns, rows)).all()


def test_a_frame_around_one_region_is_four_rectangles() -> None:
    """Rows above and below are whole, so that few rectangles are painted."""
    rest = outside([Region(10, 20, 30, 40)], 100, 80)

    assert (Region(0, 0, 100, 20), Region(0, 20, 10, 40), Region(40, 20, 60, 40), Region(0, 60, 100, 20)) == rest
