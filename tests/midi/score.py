"""What MIDI-B asks of a de-identified set, told again, and how much of it is met.

Each element of each instance is one check or two: what Table E.1-1 of PS3.15 lets stay under the options of
``research-tcia.yaml`` must stay as it is, what it protects must be gone, dates must have moved by the patient's days,
UIDs must be others and consistent, planted identifiers must be in no text whose harmless words are there, burnt-in text
must be hidden in every frame, and all other pixels must be the source's.

Public names: ``Scores``, ``score``.
"""

from __future__ import annotations

import csv
import io
import re
import warnings
from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from pydicom import Dataset, dcmread

from tests.local.editing.painting.images import frames_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from pydicom.dataelem import DataElement

    from deidflow.tasks.core.pixels.regions import Region
    from tests.midi.made import Planted

_TABLE: Final = Path(__file__).parents[2] / "tasks" / "local" / "deidentification" / "tables" / "profile.csv"
_DATE: Final = re.compile(r"\d{8}")
_DATED: Final = re.compile(r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)\d{2}", re.IGNORECASE)
"""What a label may consist of: a date, which no text is to have."""
_WORD: Final = re.compile(r"[A-Za-z]{2,}")
_MARKS: Final = frozenset(
    {
        *("PatientIdentityRemoved", "DeidentificationMethod", "DeidentificationMethodCodeSequence"),
        *("LongitudinalTemporalInformationModified", "ContributingEquipmentSequence", "PatientName", "PatientID"),
        "BurnedInAnnotation",
    }
)
_EXTREMES: Final = ("SmallestImagePixelValue", "LargestImagePixelValue")
"""Of a painted image they must be those of its result."""
_STANDARD_UIDS: Final = "1.2.840.10008."


@dataclass(slots=True)
class Scores:
    """How many checks of each action were met.

    Attributes:
        met: By action.
        missed: By action and keyword.

    """

    met: Counter[str] = field(default_factory=Counter)
    missed: Counter[tuple[str, str]] = field(default_factory=Counter)
    _uids: dict[str, str] = field(default_factory=dict)
    _patients: dict[str, str] = field(default_factory=dict)
    _days: dict[int, int] = field(default_factory=dict)

    @property
    def share(self) -> float:
        """The part of all checks that was met."""
        met = self.met.total()
        return met / (met + self.missed.total())

    def note(self, action: str, keyword: str, *, met: bool) -> None:
        """Count one check."""
        if met:
            self.met[action] += 1
        else:
            self.missed[action, keyword] += 1

    def add(
        self, one: Planted, before: Dataset, after: Dataset, options: Collection[str], gone: Collection[str]
    ) -> None:
        """Make the checks of one instance.

        Args:
            one: It.
            before: Its source.
            after: Its result.
            options: Of PS3.15 section E.3, by name.
            gone: Keywords that the config removes.

        """
        known = self._patients.setdefault(before.PatientID, after.PatientID)
        self.note("patid_consistent", "PatientID", met=known == after.PatientID != before.PatientID)
        for element, other in _pairs(before, after):
            keyword = element.keyword
            if element.tag.is_private:
                safe = element.tag.is_private_creator or element.tag.elem & 0xFF in (0x0C, 0x23)
                is_own = element.tag.group == 0x0019
                self.note("tag_retained" if is_own else "text_removed", "private", met=_same(element, other) is is_own)
                assert safe or not is_own
            elif keyword in one.planted or keyword in one.harmless:
                self._text(keyword, one, str(other.value) if other is not None else "")
            elif keyword and keyword not in _MARKS and element.VR != "SQ":
                self._plain(one, element, other, _fate(keyword, frozenset(options), frozenset(gone)))

    def add_pixels(self, region: Region, data: bytes, result: bytes) -> None:
        """Check an image with burnt-in text: one value in its region in each frame, all else the source's."""
        before, after = frames_of(data), frames_of(result)
        inside = np.zeros(before.shape[1:3], bool)
        inside[region.y : region.y + region.height, region.x : region.x + region.width] = True
        hidden = all(len(np.unique(frame[inside], axis=0)) == 1 for frame in after)
        self.note("pixels_hidden", "PixelData", met=hidden)
        self.note("pixels_retained", "PixelData", met=np.array_equal(before[:, ~inside], after[:, ~inside]))
        dataset = dcmread(io.BytesIO(result), stop_before_pixels=True)
        for keyword, true in zip(_EXTREMES, (after.min(), after.max()), strict=True):
            if keyword in dataset:
                self.note("text_retained", keyword, met=dataset[keyword].value == true)

    def _text(self, keyword: str, one: Planted, text: str) -> None:
        words = _WORD.findall(text)
        if keyword in one.planted:
            parts = re.findall(r"[A-Za-z]{3,}|\d{4,}", one.planted[keyword])
            self.note("text_removed", keyword, met=not any(part in text for part in parts))
        left = _WORD.findall(one.harmless[keyword])
        planted = set(_WORD.findall(one.planted.get(keyword, "")))
        self.note("text_retained", keyword, met=all(word in words or word in planted for word in left))

    def _plain(self, one: Planted, element: DataElement, other: DataElement | None, fate: str) -> None:
        keyword, value = element.keyword, element.value
        if keyword in {"PixelData", "FloatPixelData"}:
            if one.region is None:
                self.note("pixels_retained", keyword, met=_same(element, other))
        elif keyword in _EXTREMES and one.region is not None:
            self.note("tag_retained", keyword, met=other is not None)
        elif element.VR == "UI":
            self._uid(element, other, fate)
        elif value is None or value == "":
            return
        elif fate == "moved" and element.VR in ("DA", "DT"):
            new = str(other.value) if other is not None else ""
            if not _DATE.match(str(value)) or not _is_date(str(value)):
                self.note("text_removed", keyword, met=new != str(value))
                return
            days = (_day(new) - _day(str(value))).days if _DATE.match(new) else 0
            moved = self._days.setdefault(one.patient, days)
            self.note("date_shifted", keyword, met=days == moved != 0 and new[8:] == str(value)[8:])
        elif fate == "gone" or _DATED.fullmatch(str(value)):
            self.note("text_removed", keyword, met=not _same(element, other))
        else:
            self.note("tag_retained", keyword, met=other is not None)
            self.note("text_retained", keyword, met=_same(element, other))

    def _uid(self, element: DataElement, other: DataElement | None, fate: str) -> None:
        old = str(element.value)
        if old.startswith(_STANDARD_UIDS) or not old:
            self.note("tag_retained", element.keyword, met=_same(element, other))
            return
        new = str(other.value) if other is not None else ""
        if fate == "gone":
            self.note("uid_changed", element.keyword, met=new != old)
            self.note("uid_consistent", element.keyword, met=self._uids.setdefault(old, new) == new or not new)


def score(set_of: Iterable[tuple[Planted, bytes]], options: Collection[str], gone: Collection[str]) -> Scores:
    """Score a set: each instance and its result; see ``Scores.add``."""
    scores = Scores()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for one, result in set_of:
            before, after = (dcmread(io.BytesIO(data), force=True) for data in (one.data, result))
            scores.add(one, before, after, options, gone)
            if one.region is not None:
                scores.add_pixels(one.region, one.data, result)
    return scores


@lru_cache
def _rows() -> dict[str, dict[str, str]]:
    with _TABLE.open(encoding="utf-8", newline="") as lines:
        return {row["keyword"]: row for row in csv.DictReader(lines)}


@lru_cache(maxsize=4096)
def _fate(keyword: str, options: frozenset[str], gone: frozenset[str]) -> str:
    """Return what the standard lets become of an attribute: stays, moved, gone; what nobody protects stays."""
    row = _rows().get(keyword)
    codes = {row[option] for option in options if row.get(option)} if row is not None else {"K"}
    if keyword in gone or not codes:
        return "gone"
    return "stays" if codes == {"K"} else "moved"


def _pairs(before: Dataset, after: Dataset | None) -> Iterator[tuple[DataElement, DataElement | None]]:
    """Yield each element with what became of it; items of sequences that went are gone with them."""
    for element in before:
        other = after.get(element.tag) if after is not None else None
        yield element, other
        if element.VR == "SQ" and other is not None and len(other.value or ()) == len(element.value):
            for item, inside in zip(element.value, other.value, strict=True):
                yield from _pairs(item, inside)


def _same(element: DataElement, other: DataElement | None) -> bool:
    return other is not None and bool(element.value == other.value)


def _day(text: str) -> date:
    return date(int(text[:4]), int(text[4:6]), int(text[6:8]))


def _is_date(text: str) -> bool:
    try:
        _day(text)
    except ValueError:
        return False
    return True
