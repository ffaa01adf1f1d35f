"""What anonymize removes on top of Orthanc's profile: overlays and curves, and names and IDs inside sequences.

Orthanc keeps 50xx and 60xx elements at top level, leaves nested PatientName always, nested PatientID whenever PatientID
is in Replace (docs/orthanc.md, hazards 1, 2, 12), and everything inside sequences that Keep names. There is no way to
say "at any depth" but ``Remove: ["PatientName"]``, which takes the name at top level, too; so the first level of every
sequence that the profile keeps is listed (``kept_sequences.csv``, made by ``tests/tools/make_kept_sequences.py``). What
stands deeper is found in the results (``deep_names``, or ``verify: full``), and such a result does not stay. ``Remove``
reaches into kept sequences as well (1.10.1, 1.12.7).

Cost per instance in calls of 200 with profile 2021b: on 1.10.1 an instance of 64 KiB with 200 elements takes 3.1 ms
without, 1.6 ms more for the 1,056 elements of curves and overlays, and 2.3 ms more for each entry per sequence: 7.1 ms
in all with PatientName, 9.9 ms with PatientID, too. A tiny instance takes 1.3 ms without and 3.4 ms with PatientName;
on 1.12.7 1.7 ms and 3.4 ms.

Public names: ``hardened_body``, ``hardening_entries``, ``kept_sequences``.
"""

from __future__ import annotations

import csv
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from deidflow.tasks.core.dicom.tags import PATIENT_ID, PATIENT_NAME, Path, dictionary_vr
from deidflow.tasks.core.request.request import Operation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from deidflow.tasks.core.request.request import Request

_TABLE: Final = "kept_sequences.csv"
_ALL_ITEMS: Final = -1

# Elements of one curve and of one overlay: DICOM PS3.6, editions 2004 (curves, retired since) and 2026c.
_CURVE: Final = (
    *(0x0005, 0x0010, 0x0020, 0x0022, 0x0030, 0x0040, 0x0103, 0x0104, 0x0105, 0x0106, 0x0110, 0x0112, 0x0114, 0x1001),
    *(0x2000, 0x2002, 0x2004, 0x2006, 0x2008, 0x200A, 0x200C, 0x200E, 0x2500, 0x2600, 0x2610, 0x3000),
)
_OVERLAY: Final = (
    *(0x0010, 0x0011, 0x0012, 0x0015, 0x0022, 0x0040, 0x0045, 0x0050, 0x0051, 0x0052, 0x0060, 0x0061, 0x0062, 0x0063),
    *(0x0066, 0x0068, 0x0069, 0x0100, 0x0102, 0x0110, 0x0200, 0x0800, 0x0802, 0x0803, 0x0804, 0x1001, 0x1100, 0x1101),
    *(0x1102, 0x1103, 0x1200, 0x1201, 0x1202, 0x1203, 0x1301, 0x1302, 0x1303, 0x1500, 0x3000, 0x4000),
)
_GROUPS: Final = range(0, 0x20, 2)
"""Sixteen curves and sixteen overlays (PS3.5 section 7.6)."""


def hardened_body(request: Request) -> dict[str, Any]:
    """Return the JSON body of a request, hardened if it is an anonymization."""
    body = request.body()
    entries = hardening_entries(request)
    if entries:
        body["Remove"] = [*body.get("Remove", ()), *entries]
    return body


def hardening_entries(request: Request) -> tuple[str, ...]:
    """Return what is to be added to ``Remove`` of a request; nothing for modify.

    What the request itself names in Keep or Replace stays as it says: overlays, the whole value of a sequence, a nested
    PatientName or PatientID, and with PatientName in Keep the nested names, too. Requests that name the same elements
    share the result, whatever their values.

    Args:
        request: An anonymization with ``DicomVersion``.

    """
    if request.operation is not Operation.ANONYMIZE:
        return ()
    edits = request.edits
    return _entries(
        request.settings.dicom_version, frozenset(edits.replace), frozenset(edits.remove), frozenset(edits.keep)
    )


@lru_cache(maxsize=64)
def _entries(
    version: str, replaced: frozenset[Path], removed: frozenset[Path], kept: frozenset[Path]
) -> tuple[str, ...]:
    named = replaced | removed | kept
    top = [tag for tag in _curves_and_overlays() if Path((), tag) not in named]
    found = [*(Path((), tag) for tag in top), *_nested(version, replaced, removed, kept)]
    # `Seq[0].PatientName` in Keep or Replace spares all items: verify looks at the others.
    spared = {_without_items(path) for path in named if path.is_nested}
    return tuple(str(path) for path in dict.fromkeys(found) if _without_items(path) not in spared)


def _nested(version: str, replaced: frozenset[Path], removed: frozenset[Path], kept: frozenset[Path]) -> Iterator[Path]:
    """Yield name and ID in the sequences that are left."""
    given = {path.tag for path in replaced | removed if not path.is_nested}
    profile = [((tag, _ALL_ITEMS),) for tag in kept_sequences(version) if tag not in given]
    # The user's own: the profile does not reach into them, so that even IDs are not mapped there.
    shielded = [(*path.parents, (path.tag, _ALL_ITEMS)) for path in sorted(kept) if _may_be_sequence(path.tag)]
    name, patient_id = Path((), PATIENT_NAME), Path((), PATIENT_ID)
    if name not in kept:
        yield from _in_items(shielded if name in removed else [*profile, *shielded], PATIENT_NAME)
    if patient_id not in kept:
        yield from _in_items([*profile, *shielded] if patient_id in replaced else shielded, PATIENT_ID)


def _in_items(sequences: Iterable[tuple[tuple[int, int], ...]], tag: int) -> Iterator[Path]:
    return (Path(parents, tag) for parents in sequences)


def _may_be_sequence(tag: int) -> bool:
    """Whether a path may lead into an element; into one that is no sequence it does nothing."""
    return dictionary_vr(tag) in ("SQ", None)


def _without_items(path: Path) -> tuple[int, ...]:
    return (*(tag for tag, _ in path.parents), path.tag)


def _curves_and_overlays() -> Iterator[int]:
    for first, elements in ((0x5000, _CURVE), (0x6000, _OVERLAY)):
        for group in _GROUPS:
            yield from ((first + group) << 16 | element for element in elements)


@lru_cache
def kept_sequences(version: str) -> tuple[int, ...]:
    """Return the sequences that a profile leaves at top level, as numbers."""
    lines = files("deidflow.tasks.orthanc").joinpath(_TABLE).read_text("ascii").splitlines()
    return tuple(int(row["tag"].replace(",", ""), 16) for row in csv.DictReader(lines) if row[version])
