"""Which attributes the profile's edition knows, and with which value representations their values make sense.

What is not known, or says something else than its attribute can say, is nobody's to vouch for: the profile removes it
(PS3.15 section E.1.1, edition 2026d).

Public names: ``known_vrs``, ``alike``.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from pydicom._dicom_dict import DicomDictionary

from deidflow.tasks.local.deidentification.standard.dictionary import is_known, vr_of
from deidflow.tasks.local.deidentification.standard.profile import load_profile

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

# A file may have another VR than the edition: older editions had, and writers mix up those that hold the same.
_ALIKE: Final = (
    frozenset({"AE", "CS", "LO", "LT", "SH", "ST", "UC", "UT"}),
    frozenset({"DS", "IS"}),
    frozenset(
        {"FL", "FD", "OB", "OD", "OF", "OL", "OV", "OW", "SL", "SS", "SV", "UL", "US", "UV"}
        | {"OB or OW", "US or OW", "US or SS", "US or SS or OW"}
    ),
)
_NOT_OF_A_DATASET: Final = frozenset({0x0000, 0x0002, 0x0004, 0x0006})
"""Groups of commands, file meta information and directories (PS3.7 annex E, PS3.10 section 7.1, PS3.3 annex F)."""

_GROUPS_ABOVE: Final = 0xFFFF


@lru_cache
def known_vrs() -> Mapping[int, Collection[str]]:
    """Return the VRs that fit each public attribute of a dataset, by tag.

    UN fits all: it says that somebody on the way did not know (PS3.5 section 6.2.2). Curves and overlays are in no such
    list, nor are groups that belong into no dataset.
    """
    tags = {*DicomDictionary, *(row.number for row in load_profile() if row.number is not None)}
    known: dict[int, Collection[str]] = {}
    for tag in tags:
        vr = vr_of(tag) if is_known(tag) else None
        if vr is None or tag >> 16 in _NOT_OF_A_DATASET or tag >> 16 >= _GROUPS_ABOVE:
            continue
        known[tag] = frozenset({vr, "UN"}) | alike(vr)
    return known


def alike(vr: str) -> frozenset[str]:
    """Return the VRs that hold what one holds, itself among them if it is not alone."""
    return next((group for group in _ALIKE if vr in group), frozenset())
