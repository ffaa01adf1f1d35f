"""What Table E.1-1 of PS3.15 (edition 2026d) lets become of each attribute, read from its data for the verifier.

The data are those of the editor; what reads them there is not used. Which of several codes the IOD of an object decides
for is not told again here: of an attribute that the table protects the original value must be gone, whatever stands in
its place.

Public names: ``StandardProfile``, ``standard_profile``, ``overruled``, ``is_dummy``.
"""

from __future__ import annotations

import csv
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING, Final, NamedTuple

from pydicom._dicom_dict import DicomDictionary

from deidflow.tasks.core.dicom.tags import ENCAPSULATED_DOCUMENT
from deidflow.tasks.core.request.profile_choice import Option
from deidflow.tasks.verification.fates import Fate

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_TABLES: Final = ("profile.csv", "additional.csv")
_NEW_ATTRIBUTES: Final = "vr_additions.csv"
_KEEP: Final = "K"
_CLEAN: Final = "C"
_BY_CODE: Final = {"U": Fate.UID, "X/Z/U*": Fate.REFERENCE}
_SHIFTED: Final = frozenset({"DA", "DT"})
_UNIQUE: Final = frozenset({"UI", "AT"})
"""Value representations whose dummies are told by no list."""
_STAYS_CLEANED: Final = {"SQ": Fate.SAME, "TM": Fate.FREE}
"""Under modified dates times stay where they are times, and sequences item by item."""
_TEXTS: Final = frozenset({"LO", "LT", "SH", "ST", "UC", "UT"})
_CLEANED: Final = {**dict.fromkeys({"AE", "CS", *_TEXTS}, Fate.CLEANED), "SQ": Fate.CLEANED_ITEMS}
_OF_CONTENT_ITEMS: Final = {0x0040A168: Fate.CLEANED_CODES, 0x0040A300: Fate.REFERENCE}
"""ConceptCodeSequence, and MeasuredValueSequence, which is emptied where its concept identifies."""
_UNFORMATTED_TEXT: Final = 0x00700006
_CLEAN_ANNOTATIONS: Final = frozenset({Option.CLEAN_GRAPHICS, Option.CLEAN_STRUCTURED_CONTENT})
_CODES: Final = (0x00080100, 0x00080102, 0x00080103, 0x00080119)
"""Value, scheme and version of a code."""
_NUMBERS: Final = frozenset({"DS", "FD", "FL", "IS", "SL", "SS", "UL", "US"})
_TIMEZONE_OFFSET: Final = 0x00080201
_PATIENT_AGE: Final = 0x00101010
_FIRST_GROUP: Final = 0x0008
"""What stands below belongs into no dataset: commands, file meta information, directories."""

_FREE: Final = (0x00282000, 0x00120062, 0x00120063, 0x00280303, 0x00420015)
"""ICC profiles, which are cleaned; the marks of de-identification; the length of a document that is replaced."""
_EXTENDED: Final = (0x00120064, 0x0018A001)
"""De-identification Method Codes and Contributing Equipment: earlier items stay."""
_GONE: Final = (0x0008010E,)
"""Addresses that the table does not list."""

_DUMMIES: Final = frozenset(
    b"REMOVED|Removed|Removed^|99DEIDFLOW|000Y|20000101|20000101000000|000000|0|O|UNALTERED|CORRECT|+0000|about:blank|090Y".split(
        b"|"
    )
)

_EMPTY_DOCUMENTS: Final = frozenset(
    {
        "fa40cc61c0be5751ff15b2a026f68c57e8f961981001adf564e044cc5962b3b5",
        "27c53ce57d26497ccd781759955484af9cb76c0c94d2e283f017ca9d78015927",
    }
)
"""SHA-256 of the PDF and the CDA document with nothing in them that an earlier de-identification left."""
_MOST_OF_EMPTY_DOCUMENTS: Final = 1024
_DOCUMENTS: Final = (b"%PDF-", b"<?xml")


class StandardProfile(NamedTuple):
    """One choice of options.

    Attributes:
        top: By tag, at top level.
        nested: By tag, inside items.
        cleaned: By tag, inside items of sequences that are cleaned.
        known: Public attributes of the edition.

    """

    top: dict[int, Fate]
    nested: dict[int, Fate]
    cleaned: dict[int, Fate]
    known: frozenset[int]


def _rows(name: str) -> Iterator[dict[str, str]]:
    folder = files("deidflow.tasks").joinpath("local", "deidentification", "tables")
    yield from csv.DictReader(folder.joinpath(name).read_text("utf-8").splitlines())


def _fate(row: dict[str, str], tag: int, options: Iterable[str]) -> Fate:
    codes = [row[option] for option in options if row.get(option)]
    vr = row["vr"][:2]
    if _CLEAN in codes and row.get(Option.RETAIN_MODIFIED_DATES) == _CLEAN and Option.RETAIN_MODIFIED_DATES in options:
        if tag == _TIMEZONE_OFFSET:
            return Fate.CLEANED
        if vr in _NUMBERS:
            return Fate.SAME
        return Fate.CHANGED if vr in _SHIFTED else _STAYS_CLEANED.get(vr, Fate.CHANGED)
    if _KEEP in codes and _CLEAN not in codes:
        return Fate.FREE if tag == _PATIENT_AGE and Option.RETAIN_MODIFIED_DATES in options else Fate.SAME
    protected = Fate.CHANGED if vr in _UNIQUE or tag == ENCAPSULATED_DOCUMENT else Fate.DUMMY
    by_code = _BY_CODE.get(row["basic"], protected)
    return _CLEANED.get(vr, by_code) if _CLEAN in codes else by_code


@lru_cache
def standard_profile(options: frozenset[str]) -> StandardProfile:
    """Return what may become of each attribute.

    Args:
        options: Of PS3.15 section E.3, by name.

    """
    fates: dict[int, Fate] = {}
    for table in _TABLES:
        for row in _rows(table):
            if "x" in row["tag"] or "," not in row["tag"]:
                continue
            if row["basic"] == _KEEP and not any(row.get(option) for option in options):
                continue  # free text, which no option that was asked for cleans
            tag = int(row["tag"].replace(",", ""), 16)
            fates[tag] = _fate(row, tag, options)
    fates.update(dict.fromkeys(_GONE, Fate.REMOVED))
    fates[_FREE[0]] = Fate.FREE
    if not options.isdisjoint(_CLEAN_ANNOTATIONS):
        fates[_UNFORMATTED_TEXT] = Fate.CLEANED
    top = {**fates, **dict.fromkeys(_FREE, Fate.FREE), **dict.fromkeys(_EXTENDED, Fate.EXTENDED)}
    new = (int(row["tag"].replace(",", ""), 16) for row in _rows(_NEW_ATTRIBUTES))
    known = {tag for tag, (*_, keyword) in DicomDictionary.items() if keyword and tag >> 16 >= _FIRST_GROUP}
    texts = {tag: Fate.CLEANED for tag, (vr, *_, keyword) in DicomDictionary.items() if vr in _TEXTS and keyword}
    cleaned = {**texts, **dict.fromkeys(_CODES, Fate.CLEANED_CODE), **fates, **_OF_CONTENT_ITEMS}
    return StandardProfile(top, fates, cleaned, frozenset({*known, *new, *fates}))


@lru_cache
def overruled(options: frozenset[str]) -> frozenset[int]:
    """Return the attributes that one of the options keeps and Modified Dates moves all the same.

    Args:
        options: See ``standard_profile``.

    """
    others = options - {Option.RETAIN_MODIFIED_DATES}
    return frozenset(
        int(row["tag"].replace(",", ""), 16)
        for table in _TABLES
        for row in _rows(table)
        if Option.RETAIN_MODIFIED_DATES in options
        and row.get(Option.RETAIN_MODIFIED_DATES) == _CLEAN
        and any(row.get(option) == _KEEP for option in others)
    )


def is_dummy(value: bytes) -> bool:
    """Whether a value is one of those that stand for everybody's, or several of them, or nothing but zeros."""
    stripped = value.strip(b" \0")
    if not stripped or stripped in _DUMMIES or not value.strip(b"\0"):
        return True
    if stripped.startswith(_DOCUMENTS):
        return len(stripped) <= _MOST_OF_EMPTY_DOCUMENTS and sha256(stripped).hexdigest() in _EMPTY_DOCUMENTS
    several = [one.strip(b" ") for one in stripped.split(b"\\")]
    return any(several) and all(not one or one in _DUMMIES for one in several)
