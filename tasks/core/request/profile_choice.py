"""A PS3.15 profile as a config asks for it: which edition, which options, how dates move.

Public names: ``ProfileChoice``, ``PROFILE_NAME``, ``PROFILE_EDITION``, ``OPTIONS``, ``FULL_DATES``,
``MODIFIED_DATES``, ``CLEAN_DESCRIPTORS``, ``CLEANS_TEXTS``, ``TextChoice``, ``NOT_BUILT``, ``option_faults``,
``shift_fault``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

PROFILE_EDITION: Final = "2026d"
PROFILE_NAME: Final = "ps3.15-2026d"
FULL_DATES: Final = "retain-longitudinal-full-dates"
CLEAN_DESCRIPTORS: Final = "clean-descriptors"
MODIFIED_DATES: Final = "retain-longitudinal-modified-dates"
OPTIONS: Final = (
    "retain-device-identity",
    "retain-institution-identity",
    "retain-patient-characteristics",
    FULL_DATES,
    MODIFIED_DATES,
    CLEAN_DESCRIPTORS,
)
"""Options of PS3.15 section E.3 (edition 2026d) that the local engine carries out."""

NOT_BUILT: Final = {
    "retain-safe-private": "private elements are removed; Keep names single ones by their creator",
    "retain-uids": "UIDs are replaced; Keep names single ones",
    "clean-structured-content": "the content of reports is replaced by a dummy",
    "clean-graphics": "graphics, curves and overlays are removed or replaced by a dummy",
    "clean-pixel-data": "pixels are not touched",
    "clean-recognizable-visual-features": "nothing here finds or distorts faces",
}
"""The other options, with what happens instead."""

_MAX_DAYS: Final = 36525


CLEANS_TEXTS: Final = (*("retain-device-identity", "retain-patient-characteristics", CLEAN_DESCRIPTORS),)
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
        options: Of ``OPTIONS``.
        shift_days: Modified dates: fewest and most days into the past, 1 to 36525.
        whole_weeks: Modified dates: whether only multiples of seven days are taken.
        texts: Which words cleaned texts keep.

    """

    options: frozenset[str] = frozenset()
    shift_days: tuple[int, int] = (1, 3650)
    whole_weeks: bool = False
    texts: TextChoice = TextChoice()

    def describe(self) -> str:
        """Return profile and options by name, for plan and report."""
        return ", ".join((PROFILE_NAME, *(option for option in OPTIONS if option in self.options)))


def option_faults(names: Collection[object]) -> Iterator[str]:
    """Yield what is wrong with ``profile_options``, in words that repeat no unknown name."""
    for name, instead in NOT_BUILT.items():
        if name in names:
            yield f"{name} is not built yet: {instead}; leave it out"
    if any(name not in OPTIONS and name not in NOT_BUILT for name in names):
        yield f"must be among {', '.join(OPTIONS)}"
    if FULL_DATES in names and MODIFIED_DATES in names:
        yield f"{FULL_DATES} and {MODIFIED_DATES} exclude each other; name one of them"


def shift_fault(first: int, last: int, *, whole_weeks: bool) -> str:
    """Return what is wrong with ``dates``, "" for nothing."""
    if not 1 <= first <= last <= _MAX_DAYS:
        return f"must be two whole numbers from 1 to {_MAX_DAYS}, the smaller one first"
    if whole_weeks and not last // 7 * 7 >= first:
        return "with whole_weeks there must be a multiple of 7 between the two numbers"
    return ""
