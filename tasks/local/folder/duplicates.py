"""Whether several files are the same, byte for byte.

Public names: ``are_equal``.
"""

from __future__ import annotations

import filecmp
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def are_equal(folder: bytes, paths: Sequence[bytes]) -> bool:
    """Compare files of a folder; one that cannot be read is equal to none."""
    first, *others = (os.path.join(folder, path) for path in paths)  # noqa: PTH118 (bytes)
    try:
        return all(filecmp.cmp(first, other, shallow=False) for other in others)
    except OSError:
        return False
