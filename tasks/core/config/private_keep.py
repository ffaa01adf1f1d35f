"""The site's own list of private attributes that are known to be safe: the files of ``private.keep``.

Public names: ``read_private_keep``, ``KEEP_COLUMNS``.
"""

from __future__ import annotations

import re
from typing import Final

from deidflow.tasks.core.errors import InvalidInput, Problem
from deidflow.tasks.core.manifest.csv_text import ManifestText
from deidflow.tasks.core.request.private_attributes import SiteAction, SiteAttribute

KEEP_COLUMNS: Final = ("group", "element", "private_creator", "vr", "action")
_REQUIRED: Final = KEEP_COLUMNS[:3]
_GROUP: Final = re.compile(r"(?:0x)?([0-9a-fA-F]{4})")
_ELEMENT: Final = re.compile(r"(?:0x)?(?:[xX]{2})?([0-9a-fA-F]{2})")
_VRS: Final = frozenset(
    {
        *("AE", "AS", "AT", "CS", "DA", "DS", "DT", "FD", "FL", "IS", "LO", "LT", "OB", "OD", "OF", "OL", "OV", "OW"),
        *("PN", "SH", "SL", "SQ", "SS", "ST", "SV", "TM", "UC", "UI", "UL", "UN", "UR", "US", "UT", "UV"),
    }
)
_MAX_CREATOR_CHARACTERS: Final = 64
_FIRST_PRIVATE_GROUP: Final = 0x0009


def read_private_keep(content: bytes, name: str) -> list[SiteAttribute]:
    """Read a file of ``private.keep``: CSV with the columns of ``KEEP_COLUMNS``, others are passed over.

    Args:
        content: UTF-8; the separator is ``,`` ``;`` or tab.
        name: As the user gave it, for problems.

    Raises:
        InvalidInput: With every problem, by line and column.

    """
    text = ManifestText(content, name, KEEP_COLUMNS[2])
    records = text.records()
    header = next(records)
    names = [cell.strip().lower() for cell in header.cells]
    problems = [
        Problem(f"the first line must name the columns {', '.join(_REQUIRED)}", name, header.line, column)
        for column in _REQUIRED
        if column not in names
    ]
    if header.fault or problems:
        raise InvalidInput(problems or [Problem(header.fault, name, header.line)])
    found = []
    for line, cells, fault in records:
        if fault or len(cells) != len(names):
            problems.append(Problem(fault or f"must have {len(names)} cells, as the header has", name, line))
            continue
        row = dict(zip(names, (cell.strip() for cell in cells), strict=True))
        attribute, faults = _attribute(row)
        problems += [Problem(fault_text, name, line, column) for column, fault_text in faults]
        if attribute is not None:
            found.append(attribute)
    if problems:
        raise InvalidInput(problems)
    return found


def _attribute(row: dict[str, str]) -> tuple[SiteAttribute | None, list[tuple[str, str]]]:
    group, element = _GROUP.fullmatch(row["group"]), _ELEMENT.fullmatch(row["element"])
    creator, vr = row["private_creator"], row.get("vr", "").upper()
    action = row.get("action", "").upper() or SiteAction.CLEAN
    faults = []
    number = int(group[1], 16) if group else 0
    if not number % 2 or number < _FIRST_PRIVATE_GROUP:
        faults.append(("group", "must be four hexadecimal digits of an odd group, as in 0019"))
    if not element:
        faults.append(("element", "must be the last two hexadecimal digits of the element, as in 0c or xx0c"))
    if not creator or len(creator) > _MAX_CREATOR_CHARACTERS or "\\" in creator:
        faults.append(("private_creator", f"must be 1 to {_MAX_CREATOR_CHARACTERS} characters without backslash"))
    if vr and vr not in _VRS:
        faults.append(("vr", "must be a value representation of two letters, as in DS, or empty"))
    if action not in set(SiteAction):
        faults.append(("action", "must be C (clean, also when empty), K (keep as it is) or X (remove)"))
    if faults or element is None:
        return None, faults
    return SiteAttribute(number, int(element[1], 16), creator, vr, SiteAction(action)), []
