"""Whether several files hold the same dataset, byte for byte.

Public names: ``are_equal``.
"""

from __future__ import annotations

import filecmp
import os
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.local.dicom_file.source_file import SourceFile

if TYPE_CHECKING:
    from collections.abc import Sequence

_PIECE_BYTES: Final = 1 << 20


def are_equal(folder: bytes, paths: Sequence[bytes]) -> bool:
    """Compare files of a folder; one that cannot be read is equal to none.

    Preamble and file meta information may differ: they tell who has written a file, not what is in it (a copy that went
    through another archive has other ones). The transfer syntax may not, since the dataset's bytes mean something else
    then.
    """
    first, *others = (os.path.join(folder, path) for path in paths)  # noqa: PTH118 (bytes)
    try:
        return all(filecmp.cmp(first, other, shallow=False) or _same_dataset(first, other) for other in others)
    except (OSError, InstanceFailed):
        return False


def _same_dataset(one: bytes, other: bytes) -> bool:
    with SourceFile.open(one, follow_links=True) as left, SourceFile.open(other, follow_links=True) as right:
        if left.layout.transfer_syntax != right.layout.transfer_syntax or left.fault or right.fault:
            return False
        at, there = left.dataset_start, right.dataset_start
        if left.body_size - at != right.body_size - there:
            return False
        return all(
            left.read(at + done, at + done + _PIECE_BYTES) == right.read(there + done, there + done + _PIECE_BYTES)
            for done in range(0, left.body_size - at, _PIECE_BYTES)
        )
