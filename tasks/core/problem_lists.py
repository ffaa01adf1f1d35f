"""Many problems in few lines: the first ones as they are, the others counted by kind.

Public names: ``listed``, ``SHOWN``.
"""

from __future__ import annotations

import re
from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

SHOWN: Final = 50
"""How many are shown one by one; what is beyond fills a screen and is read by nobody."""

_KINDS: Final = 20
_NUMBERS: Final = re.compile(r"(?<![\w(.,])\d+(?:(?:, | and )\d+)*(?![\w(]|[.,]\d)")
"""Whole numbers, and lists of them, that stand by themselves: not those of a tag, a version or a UID."""


def listed(problems: Collection[tuple[str, str]], *, most: int | None = SHOWN) -> Iterator[str]:
    """Yield lines for people.

    Args:
        problems: Of each what is said where all are shown, and its kind: what is said of it without where it stands.
            Kinds that differ in numbers alone (of lines, of cells) are one.
        most: How many are shown one by one, None for all.

    >>> list(listed([("line 2: appears in line 1 already", "appears in line 1 already"),
    ...              ("line 3: appears in line 1 already", "appears in line 1 already"),
    ...              ("line 9: appears in line 4 already", "appears in line 4 already")], most=1))
    ['line 2: appears in line 1 already', '... and 2 more:', '  2 x appears in line ... already']

    """
    one_by_one = problems if most is None else islice(problems, most)
    yield from (text for text, _ in one_by_one)
    rest = 0 if most is None else len(problems) - most
    if rest <= 0:
        return
    yield f"... and {rest} more:"
    kinds: dict[str, Counter[str]] = {}
    for _, kind in islice(problems, most, None):
        kinds.setdefault(_NUMBERS.sub("...", kind), Counter())[kind] += 1
    counted = sorted(((texts.total(), name, texts) for name, texts in kinds.items()), key=lambda one: (-one[0], one[1]))
    for count, name, texts in counted[:_KINDS]:
        yield f"  {count} x {next(iter(texts)) if len(texts) == 1 else name}"
    if counted[_KINDS:]:
        others = sum(count for count, _, _ in counted[_KINDS:])
        yield f"  {others} x others, of {len(counted) - _KINDS} kinds"
