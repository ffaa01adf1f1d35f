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
    import pyarrow as pa  # noqa: PLC0415 (it takes long to load)
    from pyarrow import parquet  # noqa: PLC0415

    by_column = zip(*rows, strict=True) if rows else [()] * len(columns)
    arrays = [
        pa.array(map(int, texts), pa.int64()) if name in numbers else pa.array(texts, pa.string())
        for name, texts in zip(columns, by_column, strict=True)
    ]
    parquet.write_table(pa.table(arrays, names=list(columns)), path)
