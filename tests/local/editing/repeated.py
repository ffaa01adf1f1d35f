"""Files with many items of few shapes, and the requests that such files are tried with.

Public names: ``EDITS``, ``repeating_files``, ``Alike``.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final, NamedTuple

from hypothesis import strategies as st

from deidflow.tasks.core.request.profile_choice import Option, ProfileChoice
from tests.dicom_files import BIG, DEFLATED, EXPLICIT, IMPLICIT, Element, Item, Syntax, elements, file_bytes
from tests.local.edits import anonymize, deidentify, modify

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.local.edits import Edit

EDITS: Final[dict[str, Edit]] = {
    "modify": modify({"Replace": {"InstitutionName": "Site"}, "Remove": ["StudyDate"]}),
    "paths": modify(
        {
            "Replace": {
                "(5200,9230)[*].(0020,9111)[*].(0020,4000)": "note",
                "(5200,9230)[2].(0020,9113)[0].(0020,0032)": "1\\2\\3",
                "(3006,0039)[*].(3006,0040)[1].(3006,0050)": "0\\0\\0",
            },
            "Remove": ["(0040,A730)[*].(0040,A730)[*].(0040,A160)", "(5200,9230)[1].(0020,9111)"],
        }
    ),
    "character set": modify({"Replace": {"SpecificCharacterSet": "ISO_IR 192"}}),
    "character set in items": modify({"Remove": ["(0040,A730)[*].(0008,0005)"]}),
    "private by creator": modify({"Remove": ['(5200,9230)[*].(0021,"MAKER A",01)']}),
    "2023b": anonymize({"Keep": ["(0008,9215)", "SeriesDescription"]}),
    "2008": anonymize({"DicomVersion": "2008", "KeepPrivateTags": True, "Replace": {"PatientID": "S-1"}}),
    "paths of 2021b": anonymize(
        {
            "DicomVersion": "2021b",
            "Replace": {"(0040,A730)[*].(0040,A124)": "1.2.9"},
            "Keep": ["(5200,9230)[*].(0020,9111)[*].(0018,9151)", "(5200,9230)[0].(0021,1001)"],
        },
        hardening=False,
    ),
    "ps3.15": deidentify(ProfileChoice()),
    "ps3.15, cleaned": deidentify(
        ProfileChoice(
            frozenset(
                {
                    Option.CLEAN_DESCRIPTORS,
                    Option.CLEAN_STRUCTURED_CONTENT,
                    Option.CLEAN_GRAPHICS,
                    Option.RETAIN_SAFE_PRIVATE,
                    Option.RETAIN_MODIFIED_DATES,
                }
            )
        ),
        {"Keep": ["(5200,9230)[*].(0020,9111)[1].(0020,4000)"]},
    ),
    "ps3.15, character set": deidentify(
        ProfileChoice(frozenset({Option.CLEAN_DESCRIPTORS, Option.CLEAN_STRUCTURED_CONTENT})),
        {"Replace": {"SpecificCharacterSet": "ISO_IR 192"}},
    ),
    "ps3.15, kept": deidentify(
        ProfileChoice(frozenset({Option.CLEAN_STRUCTURED_CONTENT, Option.RETAIN_UIDS, Option.RETAIN_FULL_DATES}))
    ),
}

_UIDS: Final = ("1.2.3.1", "1.2.3.1.1.1", "1.2.840.10008.5.1.4.1.1.2", "2.999.7", "2.999.12345", "")
_WORDS: Final = ("Peeters^Anna", "caf\xe9", "kidney", "P-1", "seen by Dr. Peeters", "20240131", "7", "", "00010203")


class Alike:
    """Makes items that are alike, by chance."""

    def __init__(self, chance: random.Random, syntax: Syntax) -> None:
        """Take the chance and how the items are written."""
        self._chance = chance
        self._syntax = syntax

    def _one(self, tag: int, vr: str, *values: str) -> Element:
        text = self._chance.choice(values)
        data = text.encode("latin-1")
        return Element(tag, vr, data + (b"\0" if vr == "UI" else b" ") * (len(data) % 2))

    def _many(self, make: Callable[[], list[Element]], most: int = 3) -> tuple[Item, ...]:
        chance, undefined = self._chance, self._chance.random() < 0.3
        return tuple(Item(tuple(sorted(make())), undefined) for _ in range(chance.randint(1, most)))

    def _sequence(self, tag: int, make: Callable[[], list[Element]], most: int = 3) -> Element:
        return Element(tag, "SQ", self._many(make, most), self._chance.random() < 0.3)

    def to_object(self) -> list[Element]:
        """Return a reference to an object, perhaps with a code."""
        found = [self._one(0x00081150, "UI", *_UIDS), self._one(0x00081155, "UI", *_UIDS)]
        return [*found, self._sequence(0x0040A170, self.code, 1)] if self._chance.random() < 0.5 else found

    def code(self) -> list[Element]:
        """Return a code; some say what kind of content an item has."""
        value, meaning = self._chance.choice(
            [("121322", "Source image"), ("121008", "Person Observer Name"), ("11136", "kidney"), ("121012", "UID")]
        )
        scheme = self._one(0x00080102, "SH", "DCM", "99SITE")
        return [self._one(0x00080100, "SH", value), scheme, self._one(0x00080104, "LO", meaning)]

    def frame(self) -> list[Element]:
        """Return the functional groups of a frame, some with a private block or a value of unknown VR."""
        chance = self._chance
        found = [
            self._sequence(0x00209111, self._content, 2),
            self._sequence(0x00209113, lambda: [self._one(0x00200032, "DS", "1\\2\\3", "1\\2\\44", "-1.5\\2\\3")], 1),
            self._sequence(0x00089124, lambda: [self._sequence(0x00082112, self.to_object)], 1),
        ]
        if chance.random() < 0.4:
            found.append(Element(0x00210010, "LO", chance.choice([b"MAKER A ", b"MAKER B ", b"SIEMENS MR SDS 01 "])))
            found.append(self._one(0x00211001, "LO", *_WORDS))
        if chance.random() < 0.3:
            raw = chance.choice([b"\xfe\xff\x00\xe0\0\0\0\0", b"\xff\xfe\xe0\0\0\0\0\0", b"12345678", b"2.999.7\0"])
            found.append(Element(0x00271001, "UN", raw))
        return found

    def _content(self) -> list[Element]:
        found = [
            self._one(0x00189151, "DT", "20240131120000", "20240201120000"),
            self._one(0x00204000, "LT", *_WORDS),
            Element(0x00209157, "UL", self._chance.randbytes(8)),
        ]
        if self._chance.random() < 0.1:
            found.append(Element(0x00200000, "UL", b"\x10\0\0\0"))
        return found

    def contour(self) -> list[Element]:
        """Return a contour of a structure set, whose data has any length."""
        points = "\\".join(str(self._chance.randint(-99, 99)) for _ in range(3 * self._chance.randint(1, 3)))
        return [
            self._sequence(0x30060016, self.to_object, 1),
            self._one(0x30060042, "CS", "CLOSED_PLANAR", "POINT"),
            self._one(0x30060050, "DS", points),
        ]

    def roi(self) -> list[Element]:
        """Return the contours of a region."""
        return [self._one(0x30060084, "IS", "1", "12"), self._sequence(0x30060040, self.contour, 5)]

    def content(self, depth: int = 0) -> list[Element]:
        """Return a content item of a report, with further ones."""
        chance = self._chance
        found = [
            self._one(0x0040A010, "CS", "CONTAINS", "HAS OBS CONTEXT"),
            self._one(0x0040A040, "CS", "TEXT", "PNAME", "UIDREF", "DATE"),
            self._sequence(0x0040A043, self.code, 1),
            chance.choice(
                [
                    self._one(0x0040A121, "DA", "20240131", "20231231"),
                    self._one(0x0040A123, "PN", "Peeters^Anna", "Janssens^Bram", "Kim^Ha"),
                    self._one(0x0040A124, "UI", *_UIDS),
                    self._one(0x0040A160, "UT", *_WORDS),
                ]
            ),
        ]
        if chance.random() < 0.2:
            found.append(Element(0x00080005, "CS", chance.choice([b"ISO_IR 100", b"ISO_IR 101", b"ISO_IR 144"])))
        if depth < 3 and chance.random() < 0.7:
            found.append(self._sequence(0x0040A730, lambda: self.content(depth + 1), 4))
        return found

    def dataset(self) -> list[Element]:
        """Return the sequences of an object that is image, structure set and report in one."""
        return [
            self._sequence(0x00081115, self.to_object, 6),
            self._sequence(0x00089215, self.code, 4),
            self._sequence(0x00400275, lambda: [self._one(0x00400009, "SH", *_WORDS), *self._person()], 3),
            self._sequence(0x0040A730, self.content, 5),
            self._sequence(0x30060039, self.roi, 3),
            self._sequence(0x52009230, self.frame, 9),
        ]

    def _person(self) -> list[Element]:
        return [self._one(0x00100010, "PN", *_WORDS[:2]), self._one(0x00100020, "LO", "P-1", "P-2")]


class Repeating(NamedTuple):
    """Files with items that are alike, and what they are drawn from."""

    files: list[bytes]
    syntax: Syntax
    seed: int

    def __repr__(self) -> str:
        """Leave out the files: they are long."""
        return f"Repeating({self.syntax.uid}, {self.seed}, {len(self.files)} files)"


@st.composite
def repeating_files(draw: st.DrawFn) -> Repeating:
    """Generate a few files of one patient; now and then one is cut off, or a byte of it is another one."""
    syntax = draw(st.sampled_from([EXPLICIT, IMPLICIT, BIG, DEFLATED]))
    seed = draw(st.integers(0, 1 << 32))
    chance = random.Random(seed)  # noqa: S311 (test data)
    files = []
    for number in range(draw(st.integers(1, 4))):
        top = elements(
            {
                "SpecificCharacterSet": "ISO_IR 100",
                "SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.33",
                "SOPInstanceUID": f"1.2.3.1.1.{number + 1}",
                "StudyDate": "20240131",
                "PatientName": "Peeters^Anna",
                "PatientID": "P-1",
                "StudyInstanceUID": "1.2.3.1",
                "SeriesInstanceUID": f"1.2.3.1.{number // 2}",
            },
            syntax,
        )
        data = file_bytes(sorted([*top, *Alike(chance, syntax).dataset()]), syntax)
        fault = chance.random()
        if fault < 0.1:
            data = data[: chance.randrange(600, len(data))]
        elif fault < 0.3:
            at = chance.randrange(600, len(data))
            data = data[:at] + chance.randbytes(1) + data[at + 1 :]
        files.append(data)
    return Repeating(files, syntax, seed)
