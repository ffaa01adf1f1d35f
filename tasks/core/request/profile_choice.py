"""A PS3.15 profile as a config asks for it: which edition, which options, how dates move.

Public names: ``ProfileChoice``, ``PROFILE_NAME``, ``PROFILE_EDITION``, ``Option``, ``KEPT_UIDS``, ``CLEANS_TEXTS``,
``TextChoice``, ``NOT_BUILT``, ``option_faults``, ``shift_fault``, ``parse_offset``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.dicom.tags import (
    FRAME_OF_REFERENCE_UID,
    SERIES_INSTANCE_UID,
    SOP_INSTANCE_UID,
    STUDY_INSTANCE_UID,
    Path,
)
from deidflow.tasks.core.errors import BadText

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from deidflow.tasks.core.pixels.choice import PixelChoice
    from deidflow.tasks.core.request.private_attributes import SiteAttribute

PROFILE_EDITION: Final = "2026d"
PROFILE_NAME: Final = f"ps3.15-{PROFILE_EDITION}"


class Option(StrEnum):
    """The options of PS3.15 section E.3 (edition 2026d) that are carried out, in the order of Table E.1-1's columns."""

    RETAIN_SAFE_PRIVATE = "retain-safe-private"
    RETAIN_UIDS = "retain-uids"
    RETAIN_DEVICE_IDENTITY = "retain-device-identity"
    RETAIN_INSTITUTION_IDENTITY = "retain-institution-identity"
    RETAIN_PATIENT_CHARACTERISTICS = "retain-patient-characteristics"
    RETAIN_FULL_DATES = "retain-longitudinal-full-dates"
    RETAIN_MODIFIED_DATES = "retain-longitudinal-modified-dates"
    CLEAN_DESCRIPTORS = "clean-descriptors"
    CLEAN_STRUCTURED_CONTENT = "clean-structured-content"
    CLEAN_GRAPHICS = "clean-graphics"
    CLEAN_PIXEL_DATA = "clean-pixel-data"
    """Has no column: it is about pixels (E.3.1)."""


NOT_BUILT: Final = {
    "clean-recognizable-visual-features": "nothing here finds or distorts faces",
}
"""The other options, with what happens instead."""

KEPT_UIDS: Final = tuple(
    Path((), tag) for tag in (STUDY_INSTANCE_UID, SERIES_INSTANCE_UID, SOP_INSTANCE_UID, FRAME_OF_REFERENCE_UID)
)
"""With retain-uids: by which objects are known. What names them elsewhere follows."""

_MAX_DAYS: Final = 36525
_OFFSET: Final = re.compile(r"[+-]?[0-9]{1,5}")


CLEANS_TEXTS: Final = (
    *(Option.RETAIN_DEVICE_IDENTITY, Option.RETAIN_PATIENT_CHARACTERISTICS, Option.RETAIN_SAFE_PRIVATE),
    *(Option.CLEAN_DESCRIPTORS, Option.CLEAN_STRUCTURED_CONTENT, Option.CLEAN_GRAPHICS),
)
"""Options with texts among what they clean."""


@dataclass(frozen=True, slots=True)
class TextChoice:
    """Which words cleaned texts keep beside the built-in vocabulary.

    Attributes:
        words: Of the site.
        reviews_unknown: Whether words that nothing vouches for stay and are listed; else they go.

    """

    words: frozenset[str] = frozenset()
    reviews_unknown: bool = False


@dataclass(frozen=True, slots=True)
class ProfileChoice:
    """What is done to each instance that is anonymized.

    Attributes:
        options: Values of ``Option``.
        shift_days: Modified dates: fewest and most days into the past, 1 to 36525.
        whole_weeks: Modified dates: whether only multiples of seven days are taken.
        texts: Which words cleaned texts keep.
        private: Safe private: the site's own attributes.
        pixels: What happens to pixels; None without ``clean-pixel-data``.

    """

    options: frozenset[str] = frozenset()
    shift_days: tuple[int, int] = (1, 3650)
    whole_weeks: bool = False
    texts: TextChoice = TextChoice()
    private: tuple[SiteAttribute, ...] = ()
    pixels: PixelChoice | None = None

    def describe(self) -> str:
        """Return profile and options by name, for plan and report."""
        return ", ".join((PROFILE_NAME, *(option for option in Option if option in self.options)))


def option_faults(names: Collection[object]) -> Iterator[str]:
    """Yield what is wrong with ``profile_options``, in words that repeat no unknown name."""
    for name, instead in NOT_BUILT.items():
        if name in names:
            yield f"{name} is not built yet: {instead}; leave it out"
    # What is no text is told by its own key.
    if any(isinstance(name, str) and name not in set(Option) and name not in NOT_BUILT for name in names):
        yield f"must be among {', '.join(Option)}"
    if Option.RETAIN_FULL_DATES in names and Option.RETAIN_MODIFIED_DATES in names:
        yield f"{Option.RETAIN_FULL_DATES} and {Option.RETAIN_MODIFIED_DATES} exclude each other; name one of them"


def shift_fault(first: int, last: int, *, whole_weeks: bool) -> str:
    """Return what is wrong with ``dates``, "" for nothing."""
    if not 1 <= first <= last <= _MAX_DAYS:
        return f"must be two whole numbers from 1 to {_MAX_DAYS}, the smaller one first"
    if whole_weeks and not last // 7 * 7 >= first:
        return "with whole_weeks there must be a multiple of 7 between the two numbers"
    return ""


def parse_offset(cell: str) -> int:
    """Read the days to add to each date of a row's patient, from the column that ``dates.column`` names.

    Args:
        cell: A whole number, ``-120`` for 120 days into the past; blanks around it do not count.

    Returns:
        Days to add.

    Raises:
        BadText: It is empty, no whole number, zero, or more than a hundred years.

    """
    text = cell.strip(" ")
    if not _OFFSET.fullmatch(text) or not 1 <= abs(int(text)) <= _MAX_DAYS:
        raise BadText(f"must be a whole number of days other than 0, such as -120, at most {_MAX_DAYS} either way")
    return int(text)
