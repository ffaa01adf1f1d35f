"""The files that the comparison uses, beside those it builds: what pydicom brings along.

Public names: ``pydicom_files``, ``small_pydicom_files``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import pydicom

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAX_BYTES: Final = 3_000_000
_SMALL_BYTES: Final = 40_000
_OTHER: Final = frozenset({".py", ".pyc", ".json", ".txt", ".md", ".gz", ".dump", ".icc"})


def _all() -> Iterator[tuple[str, bytes]]:
    root = Path(pydicom.__file__).parent / "data"
    for path in sorted(root.rglob("*")):
        if path.is_file() and path.suffix not in _OTHER and 0 < path.stat().st_size <= _MAX_BYTES:
            yield str(path.relative_to(root)), path.read_bytes()


def pydicom_files() -> list[tuple[str, bytes]]:
    """Return the test files in pydicom's package by name; not all of them are instances that a server takes."""
    return list(_all())


def small_pydicom_files() -> list[tuple[str, bytes]]:
    """Return some small ones of different kinds."""
    return [file for file in _all() if len(file[1]) <= _SMALL_BYTES][::6]
