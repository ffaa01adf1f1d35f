"""Private attributes that are known to be safe: Table E.3.10-1 of PS3.15, edition 2026d.

Public names: ``SafePrivate``, ``standard_attributes``.
"""

from __future__ import annotations

import csv
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

_TABLE: Final = "deidflow.tasks.local.deidentification.tables"


class SafePrivate(NamedTuple):
    """What the table says of the values of one private attribute.

    Attributes:
        vr: Two characters, or ``OW/OB``; empty where the table has none.
        vm: As in PS3.6: ``1``, ``2-n``.

    """

    vr: str
    vm: str


@lru_cache
def standard_attributes() -> Mapping[tuple[int, str, int], SafePrivate]:
    """Read the standard's list from the package's data, once a process.

    Returns:
        By odd group, private creator without padding, and element within the block, 0x00 to 0xFF. Blocks are handed out
        in order of arrival (PS3.5 section 7.8.1), so (0019,100C) and (0019,110C) are one attribute where both blocks
        belong to one creator.

    """
    text = files(_TABLE).joinpath("safe_private.csv").read_text(encoding="utf-8")
    return {
        (int(row["group"], 16), row["private_creator"], int(row["element"].removeprefix("xx"), 16)): SafePrivate(
            row["vr"], row["vm"]
        )
        for row in csv.DictReader(text.splitlines(), strict=True)
    }
