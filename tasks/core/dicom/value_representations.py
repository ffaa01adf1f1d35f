"""What one value of each value representation looks like: PS3.5 section 6.2, table 6.2-1, edition 2026c.

Public names: ``VALUE_FORMATS``, ``Format``.
"""

from __future__ import annotations

import math
import re
import sys
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.dicom.tags import TagSyntaxError, parse_tag

if TYPE_CHECKING:
    from collections.abc import Callable

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_CONTROL_IN_PARAGRAPH: Final = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
"""Tab, LF, FF and CR are allowed in ST, LT and UT; ESC only announces ISO 2022 sets, which new values never need."""

_DA: Final = re.compile(r"(\d{4})(\d{2})(\d{2})", re.ASCII)
_TM: Final = re.compile(r"([01]\d|2[0-3])([0-5]\d(([0-5]\d|60)(\.\d{1,6})?)?)? *", re.ASCII)
_DT: Final = re.compile(
    r"(\d{4})(?:(\d{2})(?:(\d{2})(?:([01]\d|2[0-3])(?:[0-5]\d(?:([0-5]\d|60)(?:\.\d{1,6})?)?)?)?)?)?"
    r"(?:[+-](?:0\d|1[0-4])[0-5]\d)? *",
    re.ASCII,
)
_AS: Final = re.compile(r"\d{3}[DWMY]", re.ASCII)
_CS: Final = re.compile(r"[A-Z0-9 _]{1,16}")
_AE: Final = re.compile(r"[ -\[\]-~]{1,16}")
_IS: Final = re.compile(r" *[+-]?\d+ *", re.ASCII)
_DS: Final = re.compile(r" *[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)? *", re.ASCII)
_FLOAT: Final = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_UI: Final = re.compile(r"\d+(\.\d+)*", re.ASCII)
_UR: Final = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+ *")
_INTEGER: Final = re.compile(r"[+-]?\d{1,20}", re.ASCII)

_MAX_FLOAT32: Final = 3.4028235677973366e38
_MAX_IS_CHARACTERS: Final = 12
_MAX_DS_CHARACTERS: Final = 16
_MAX_UI_CHARACTERS: Final = 64
_MAX_PN_GROUP_CHARACTERS: Final = 64
_MAX_PN_GROUPS: Final = 3
_MAX_PN_COMPONENTS: Final = 5


@dataclass(frozen=True, slots=True)
class Format:
    """How values of one VR are written in text.

    Attributes:
        good: What a good value looks like.
        fits: Whether one value fits; never asked about an empty one.
        multiple: Whether a backslash separates values; in ST, LT and UT it is an ordinary character.
        gaps: Whether one of several values may be empty; numbers of a fixed size may not.

    """

    good: str
    fits: Callable[[str], bool]
    multiple: bool = True
    gaps: bool = True


def _text(characters: int) -> Callable[[str], bool]:
    return lambda text: len(text) <= characters and not _CONTROL.search(text)


def _paragraph(characters: float) -> Callable[[str], bool]:
    return lambda text: len(text) <= characters and not _CONTROL_IN_PARAGRAPH.search(text)


def _pattern(pattern: re.Pattern[str]) -> Callable[[str], bool]:
    return lambda text: pattern.fullmatch(text) is not None


def _is_date(year: str, month: str, day: str) -> bool:
    try:
        date(int(year), int(month), int(day))
    except ValueError:
        return False
    return True


def _fits_da(text: str) -> bool:
    match = _DA.fullmatch(text)
    return match is not None and _is_date(*match.groups())


def _fits_dt(text: str) -> bool:
    match = _DT.fullmatch(text)
    return match is not None and _is_date(match[1], match[2] or "01", match[3] or "01")


def _fits_is(text: str) -> bool:
    return len(text) <= _MAX_IS_CHARACTERS and _IS.fullmatch(text) is not None and -(2**31) <= int(text) < 2**31


def _fits_ds(text: str) -> bool:
    return len(text) <= _MAX_DS_CHARACTERS and _DS.fullmatch(text) is not None


def _fits_pn(text: str) -> bool:
    groups = text.split("=")
    return (
        len(groups) <= _MAX_PN_GROUPS
        and all(len(group) <= _MAX_PN_GROUP_CHARACTERS for group in groups)
        and all(group.count("^") < _MAX_PN_COMPONENTS for group in groups)
        and not _CONTROL.search(text)
    )


def _fits_ui(text: str) -> bool:
    return len(text) <= _MAX_UI_CHARACTERS and _UI.fullmatch(text) is not None


def _fits_at(text: str) -> bool:
    """Whether the routes take it: a keyword or a number without parentheses (docs/orthanc.md, Values)."""
    try:
        parse_tag(text)
    except TagSyntaxError:
        return False
    return text == text.strip() and "(" not in text


def _fits_ae(text: str) -> bool:
    return _AE.fullmatch(text) is not None and not text.isspace()


def _integer(low: int, high: int) -> Format:
    def fits(text: str) -> bool:
        return _INTEGER.fullmatch(text) is not None and low <= int(text) <= high

    return Format(f"a whole number from {low} to {high}", fits, gaps=False)


def _float(largest: float) -> Format:
    def fits(text: str) -> bool:
        return _FLOAT.fullmatch(text) is not None and abs(float(text)) <= largest

    return Format("a number as in 0.5 or 1e-3", fits, gaps=False)


VALUE_FORMATS: Final[dict[str, Format]] = {
    "AE": Format("up to 16 ASCII characters", _fits_ae),
    "AS": Format("an age of three digits and D, W, M or Y, as in 042Y", _pattern(_AS)),
    "AT": Format("a tag as in 0010,0020 or PatientID, without parentheses", _fits_at, gaps=False),
    "CS": Format("up to 16 of the characters A-Z 0-9 _ and blank (capitals only)", _pattern(_CS)),
    "DA": Format("a date as in 20240131", _fits_da),
    "DS": Format("a decimal number of up to 16 characters, as in -0.5 or 1E3", _fits_ds),
    "DT": Format("a date and time as in 20240131, 20240131153000.5 or 20240131153000+0100", _fits_dt),
    "FD": _float(sys.float_info.max),
    "FL": _float(_MAX_FLOAT32),
    "IS": Format("a whole number of up to 12 characters, within 32 bits", _fits_is),
    "LO": Format("up to 64 characters, no line breaks", _text(64)),
    "LT": Format("up to 10240 characters", _paragraph(10240), multiple=False),
    "OD": _float(sys.float_info.max),
    "OF": _float(_MAX_FLOAT32),
    "OL": _integer(0, 2**32 - 1),
    "OV": _integer(0, 2**64 - 1),
    "PN": Format(
        "a name as in Family^Given^Middle^Prefix^Suffix; 64 characters and 5 components in each of up to 3 groups "
        "separated by =",
        _fits_pn,
    ),
    "SH": Format("up to 16 characters, no line breaks", _text(16)),
    "SL": _integer(-(2**31), 2**31 - 1),
    "SS": _integer(-(2**15), 2**15 - 1),
    "ST": Format("up to 1024 characters", _paragraph(1024), multiple=False),
    "SV": _integer(-(2**63), 2**63 - 1),
    "TM": Format("a time as in 1530, 153000 or 153000.5", _pattern(_TM)),
    "UC": Format("text without line breaks", _text(2**31)),
    "UI": Format("a UID: numbers joined by dots, up to 64 characters", _fits_ui),
    "UL": _integer(0, 2**32 - 1),
    "UR": Format("a URI as in https://example.org/a%20b", _pattern(_UR), multiple=False),
    "US": _integer(0, 2**16 - 1),
    "UT": Format("text", _paragraph(math.inf), multiple=False),
    "UV": _integer(0, 2**64 - 1),
}
"""All VRs whose values are written as text, OD, OF, OL and OV as numbers among them, since no Orthanc takes their bytes
(docs/orthanc.md, Values); OB, OW and UN need a data URI, SQ a list of items."""
