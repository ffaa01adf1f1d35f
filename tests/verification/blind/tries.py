"""Runs on drawn leaks: what verifying says of each.

Public names: ``Tally``, ``tried``, ``leaks_of``, ``alarmed``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers, Level
from tests.steps.steps import Steps
from tests.verification.blind import cleaned, draw, ordinary, places
from tests.verification.blind.profiles import RESEARCH

if TYPE_CHECKING:
    from pathlib import Path

_BINARY: Final = frozenset(
    {"blob", "nested blob", "overlay bits in an item", "private OB", "private OB table", *places.FILE_PLACES}
)
"""Places of bytes that are no text."""


def leaks_of(profile: str, count: int, seed: int, *, private: bool, beyond: bool = False) -> list[draw.Leak]:
    """Return leaks of one profile, see ``draw.draw_leaks``; where it cleans texts, two of three are of these."""
    of_texts = 0 if profile != RESEARCH or beyond else count * 2 // 3
    others = draw.draw_leaks(count - of_texts, profile, seed, private=private, beyond=beyond)
    texts = cleaned.draw_leaks(count, profile, seed, private=private)[count - of_texts :] if of_texts else []
    return others + texts


_MENTIONED: Final = {"patient": "patient", "doctor": "person", "born": "date", "seen": "date"}
"""The class of what a cleaned text mentions and an attribute holds as well."""


def _is_limit_of_texts(leak: draw.Leak) -> bool:
    """Tell whether docs/verification.md says that what a cleaned text alone holds is not found."""
    mention, left = leak.label.partition(";")[0], leak.left.replace(b"\0", b"")
    if mention == "title":
        return max(map(len, re.findall(rb"[A-Z]+", left))) < 5
    if mention == "number in the text alone":
        return re.search(rb"\d{6}", left) is None
    if mention == "phone in the text alone":
        return leak.place != draw.OWN and re.search(rb"^\d+\.\d+\.", left) is not None
    return mention == "seen in the text alone" and leak.place != draw.OWN


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
        """Tell whether the reason says that something of the source is left, and of which attribute.

        What a cleaned text held may be said of the text, or of the attribute that holds it as well.
        """
        said = self.leak.kind == "cleaned" or f"{self.leak.keyword} of the source is left" in self.reason
        return self.reason.startswith("identifier-left") and said

    @property
    def is_known_limit(self) -> bool:
        """Tell whether docs/verification.md says that such a leak is not found."""
        leak = self.leak
        kind = _MENTIONED.get(leak.label.partition(";")[0], leak.kind)
        is_text = not (leak.place in _BINARY or leak.place in places.IN_FRAMES)
        if (kind == "cleaned" and _is_limit_of_texts(leak)) or leak.keyword == "CodingSchemeResponsibleOrganization":
            return True
        if kind in {"date", "moment", "time", "uid", "age"} and leak.place in places.PRIVATE_PLACES:
            return leak.keyword not in {"PatientBirthDate", "PatientBirthTime"} or not is_text
        if not is_text and (kind == "age" or "full width" in leak.label):
            return True
        if not is_text and kind in {"date", "moment", "time"}:
            return len(leak.left) < 8
        if not is_text and kind in {"patient", "person"}:
            return max(map(len, re.findall(rb"[^\W\d]+|[\x80-\xff]+", leak.left.replace(b"\0", b"")))) < 6
        return any(form in leak.label for form in ("camel, upper", "camel, lower")) or (
            "initial" in leak.label and len(leak.who.family) == 2
        )

    def __str__(self) -> str:
        leak = self.leak
        where = f"{leak.place} | {leak.charset} | {leak.syntax.uid} | {'brought' if self.brought else 'put'}"
        what = f"{leak.keyword} ({leak.kind}) {leak.value!r} | {leak.left!r} | {leak.label}"
        return f"{self.reason or ('limit' if self.is_known_limit else 'MISSED')} | {what} | {where}"


def tried(root: Path, leaks: list[draw.Leak], run: int, *, sound: bool = False, **changes: Any) -> list[Tally]:
    """Run on the sources of some leaks, put into the results what did not come along, verify.

    With ``sound`` nothing is put there, and no source brings any of it.
    """
    (root / "source").mkdir(parents=True)
    rows, of_uid = [], {}
    for leak in leaks:
        (root / "source" / str(leak.number)).write_bytes(draw.source_of(leak, run, brought=not sound))
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
        if sound or line["outcome"] != "done":
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
