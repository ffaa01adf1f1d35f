"""The index once more for pandas and other readers of columns, where the extra ``parquet`` is installed.

Public names: ``can_write_parquet``, ``write_parquet``.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def can_write_parquet() -> bool:
    """Whether the extra is installed."""
    return find_spec("pyarrow") is not None


def write_parquet(path: Path, columns: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: Sequence[str]) -> None:
    """Write a table; the same rows give the same bytes with the same release of pyarrow.

    Args:
        path: Of the new file.
        columns: Their names.
        rows: Their texts; "" is kept as it is, since an attribute may be there without a value.
        numbers: Columns of whole numbers, without an empty one; all others are texts, as in the CSV.

    Raises:
        OSError: It cannot be written.

    """
    import pandas as pd  # noqa: PLC0415 (a second to load)

    frame = pd.DataFrame(rows, columns=list(columns), dtype=object)
    frame.astype(dict.fromkeys(numbers, "int64")).to_parquet(path, engine="pyarrow", index=False)
