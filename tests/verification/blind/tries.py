"""Runs on drawn leaks: what verifying says of each.

Public names: ``Tally``, ``tried``, ``RUNS``, ``leaks_of``, ``alarmed``, ``PROFILES``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers, Level
from tests.steps.steps import Steps
from tests.verification.blind import draw, ordinary, places

if TYPE_CHECKING:
    from pathlib import Path

_STANDARD: Final[dict[str, Any]] = {"options": {}, "profile": "ps3.15-2026d"}
RUNS: Final[dict[str, tuple[dict[str, Any], dict[str, Any]]]] = {
    "2008": ({"options": {"DicomVersion": "2008"}}, {"options": {"DicomVersion": "2008", "KeepPrivateTags": True}}),
    "2023b": ({"options": {"DicomVersion": "2023b"}}, {"options": {"DicomVersion": "2023b", "KeepPrivateTags": True}}),
    "ps3.15-2026d": (_STANDARD, _STANDARD | {"profile_options": ["retain-safe-private"]}),
}
"""The config of each profile, and the one under which private elements stay."""


_BINARY: Final = frozenset(
    {"blob", "nested blob", "overlay bits in an item", "private OB", "private OB table", *places.FILE_PLACES}
)
"""Places of bytes that are no text."""
PROFILES: Final[dict[str, dict[str, Any]]] = {
    **{version: {"options": {"DicomVersion": version}} for version in ("2008", "2017c", "2021b", "2023b")},
    "ps3.15-2026d": _STANDARD,
    "clean-descriptors": _STANDARD
    | {
        "profile_options": ["clean-descriptors", "retain-longitudinal-modified-dates", "retain-patient-characteristics"]
    },
}
"""Configs whose results are clean."""


def leaks_of(profile: str, count: int, seed: int, *, private: bool, beyond: bool = False) -> list[draw.Leak]:
    """Return leaks of one profile, see ``draw.draw_leaks``."""
    return draw.draw_leaks(count, profile, seed, private=private, beyond=beyond)


class Tally(NamedTuple):
    """What verifying said of one leak.

    Attributes:
        leak: Which.
        reason: Of the instance; "" where it is done.
        brought: The leak came along with the source.

    """

    leak: draw.Leak
    reason: str
    brought: bool

    @property
    def is_named(self) -> bool:
        """Tell whether the reason says that something of the source is left, and of which attribute."""
        return self.reason.startswith("identifier-left") and f"{self.leak.keyword} of the source is left" in self.reason

    @property
    def is_known_limit(self) -> bool:
        """Tell whether docs/verification.md says that such a leak is not found."""
        leak = self.leak
        is_text = not (leak.place in _BINARY or leak.place in places.IN_FRAMES)
        if leak.kind in {"date", "moment", "time", "uid", "age"} and leak.place in places.PRIVATE_PLACES:
            return leak.keyword not in {"PatientBirthDate", "PatientBirthTime"} or not is_text
        if not is_text and (leak.kind == "age" or "full width" in leak.label):
            return True
        if not is_text and leak.kind in {"date", "moment", "time"}:
            return len(leak.left) < 8
        if not is_text and leak.kind in {"patient", "person"}:
            return max(map(len, re.findall(rb"[^\W\d]+|[\x80-\xff]+", leak.left.replace(b"\0", b"")))) < 6
        return leak.label.startswith(("camel, upper", "camel, lower")) or (
            "initial" in leak.label and len(leak.who.family) == 2
        )

    def __str__(self) -> str:
        leak = self.leak
        where = f"{leak.place} | {leak.charset} | {leak.syntax.uid} | {'brought' if self.brought else 'put'}"
        what = f"{leak.keyword} ({leak.kind}) {leak.value!r} | {leak.left!r} | {leak.label}"
        return f"{self.reason or ('limit' if self.is_known_limit else 'MISSED')} | {what} | {where}"


def tried(root: Path, leaks: list[draw.Leak], run: int, **changes: Any) -> list[Tally]:
    """Run on the sources of some leaks, put into the results what did not come along, verify."""
    (root / "source").mkdir(parents=True)
    rows, of_uid = [], {}
    for leak in leaks:
        (root / "source" / str(leak.number)).write_bytes(draw.source_of(leak, run, brought=True))
        own = draw.identifiers_of(leak.number, run)
        rows.append(DicomIdentifiers(*own).orthanc_id(Level.STUDY))
        of_uid[own[3]] = leak
    steps = Steps(root)
    steps.plan(rows, **changes)
    steps.edit()
    steps.report()
    results = {path.stem: path for path in (root / "results").rglob("*.dcm")}
    brought = {}
    for line in steps.crosswalk():
        if line["outcome"] != "done":
            continue
        leak, path = of_uid[line["original_dicom_id"]], results[line["new_dicom_id"]]
        before = path.read_bytes()
        after = draw.result_with(leak, before)
        brought[leak.number] = before == after
        if not brought[leak.number]:
            path.write_bytes(after)
    steps.verify()
    steps.report()
    return [
        Tally(
            of_uid[line["original_dicom_id"]],
            line["reason"],
            brought.get(of_uid[line["original_dicom_id"]].number, False),
        )
        for line in steps.crosswalk()
    ]


def alarmed(root: Path, count: int, seed: int, **changes: Any) -> tuple[int, list[tuple[str, str]]]:
    """Run on ordinary patients; return how many results there are, and file and reason of each called a leak."""
    (root / "source").mkdir(parents=True)
    rows, files = [], {}
    for number, (identifiers, data) in enumerate(ordinary.patients(count, seed)):
        (root / "source" / f"{number:05}").write_bytes(data)
        rows.append(DicomIdentifiers(*identifiers).orthanc_id(Level.STUDY))
        files[identifiers[3]] = f"{number:05}"
    steps = Steps(root)
    steps.plan(rows, **changes)
    steps.edit()
    steps.verify()
    steps.report()
    lines = [
        line for line in steps.crosswalk() if line["outcome"] == "done" or line["reason"].startswith("identifier-left")
    ]
    failed = [(files[line["original_dicom_id"]], line["reason"]) for line in lines if line["outcome"] != "done"]
    return len(lines), failed
