"""Identifying values in letters that the source does not have: as an address writes them, with accents of their own."""

from __future__ import annotations

from typing import Any, Final

import pytest

from tests.dicom_files import IMPLICIT, Element
from tests.verification.test_leak_excuses import said

VALUES: Final[dict[str, Any]] = {"PatientName": "Müller^Jörg", "PatientID": "MRN 20123"}
PERSIAN: Final = "\u0639\u0644\u06cc\u0631\u0636\u0627"
PERSIAN_JOINED: Final = "\u0639\u0644\u06cc\u200c\u0631\u0636\u0627"
HEBREW: Final = "\u05db\u05d4\u05df"
CODECS: Final = {"ISO_IR 100": "latin-1", "ISO_IR 192": "utf-8"}


@pytest.mark.parametrize(
    ("text", "character_set", "keyword"),
    [
        ("http://pacs/?name=M%C3%BCller", "ISO_IR 100", "PatientName"),
        ("http://pacs/?name=J%c3%b6rg+M", "ISO_IR 192", "PatientName"),
        ("M%FCller", "ISO_IR 100", "PatientName"),
        ("M%FCller", "ISO_IR 192", ""),
        ("id=%3A20123&at=12", "ISO_IR 100", "PatientID"),
        ("id=MRN%2020123", "ISO_IR 100", "PatientID"),
        ("50%ad of M%C3%BCllerei, 100%", "ISO_IR 100", ""),
    ],
)
def test_percent_signs(text: str, character_set: str, keyword: str) -> None:
    """They are decoded as UTF-8 and by the character set of the item; other words stay other words."""
    found = said(text, {**VALUES, "SpecificCharacterSet": character_set}, charset=CODECS[character_set])

    assert (f"{keyword} of the source is left in ImageID" if keyword else "") == found


@pytest.mark.parametrize("character_set", CODECS)
@pytest.mark.parametrize(
    ("name", "text", "is_left"),
    [
        ("Muller^Jorg", "for Müller", True),
        ("MUELLER^JOERG", "for Jörg", True),
        ("Lefevre^F", "(Lefèvre)", True),
        ("Muller^Jorg", "Müllerei", False),
    ],
)
def test_accents_that_only_the_text_has(name: str, text: str, character_set: str, *, is_left: bool) -> None:
    """Devices write names in ASCII, and people write them as they are; no other name of the source need have any."""
    values = {"PatientName": name, "SpecificCharacterSet": character_set}
    found = said(text, values, charset=CODECS[character_set])

    assert ("PatientName of the source is left in ImageID" if is_left else "") == found


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Kowalczyk^B", "for Kowal\u00adczyk"),
        ("Kowalczyk^B", "for Kowal\u200bczyk"),
        (PERSIAN_JOINED, PERSIAN),
        (PERSIAN, PERSIAN_JOINED),
        (f"{HEBREW}\u200f", HEBREW),
        (HEBREW, f"\u202b{HEBREW[:2]}\u200f{HEBREW[2:]}\u202c"),
    ],
    ids=["soft hyphen", "no blank", "joined in the name", "joined in the text", "mark in the name", "marks"],
)
def test_characters_that_nobody_sees(name: str, text: str) -> None:
    """Hyphens between lines, marks of direction and what joins letters are no part of a name."""
    values = {"PatientName": name, "SpecificCharacterSet": "ISO_IR 192"}

    assert "PatientName of the source is left in ImageID" == said(text, values, charset="utf-8")


@pytest.mark.parametrize(
    ("text", "keyword"),
    [
        ("كريمى", "PatientName"),
        ("کریمی", "PatientName"),
        ("كـريـمي", "PatientName"),
        ("كريمان", ""),
        ("رقم ٢٠١٢٣", "PatientID"),
        ("شماره ۲۰۱۲۳", "PatientID"),
        ("เลข ๒๐๑๒๓", "PatientID"),
    ],
)
def test_letters_and_digits_of_other_keyboards(text: str, keyword: str) -> None:
    """Persian and Arabic letters that look alike, words made longer, digits."""
    found = said(text, {**VALUES, "PatientName": "كريمي^", "SpecificCharacterSet": "ISO_IR 192"}, charset="utf-8")

    assert (f"{keyword} of the source is left in ImageID" if keyword else "") == found


OF_COUNTRIES: Final = pytest.mark.parametrize(
    ("codec", "name", "text", "other"),
    [
        ("shift_jis", "山田^花子", "患者:山田花子様", "患者:鈴木花枝様"),
        ("iso2022_jp", "山田^花子", "患者:山田花子様", "患者:鈴木花枝様"),
        ("euc_jp", "佐野^健一=サノ^ケンイチ", "佐野健一様", "胸部CT 造影なし"),
        ("shift_jis", "タロウ^ソノコ", "(タロウソノコ)", "(タソガレ)"),
        ("big5", "歐陽^修文", "CT 歐陽修文", "CT 歐洲"),
        ("gbk", "诸葛^亮", "诸葛亮 CT", "诸位 CT"),
        ("cp949", "김철수^", "김철수님", "김치수님"),
        ("cp866", "Достоеверов^Пётр", "для Достоеверов П.", "для Достоевских"),
        ("cp1255", "כהן^בנימין", "עבור בנימין כהן", "עבור אברהמי שרה"),
        ("cp850", "Müller^Jörg", "Hr. Müller", "Hr. Kröger"),
        ("cp1252", "Šašek^Žaneta", "for Šašek", "for Škoda"),
    ],
)
"""A character set, a name, a text that names the patient, and one that names somebody else."""


@pytest.mark.parametrize("declared", ["", "ISO_IR 100", "ISO_IR 192"])
@OF_COUNTRIES
def test_character_sets_that_are_not_declared(codec: str, name: str, text: str, other: str, declared: str) -> None:
    """Many devices write the character set of their country and declare another one, or none."""
    declares = {"SpecificCharacterSet": declared} if declared else {}
    values: dict[str, Any] = {"PatientName": name.encode(codec), **declares}

    assert "PatientName of the source is left in ImageID" == said(text, values, charset=codec)
    assert not said(other, values, charset=codec)


@OF_COUNTRIES
def test_character_sets_of_countries(codec: str, name: str, text: str, other: str) -> None:
    """A name that is declared as it should be, and a text that is not."""
    values = {"PatientName": name.encode("utf-8"), "SpecificCharacterSet": "ISO_IR 192"}

    assert "PatientName of the source is left in ImageID" == said(text, values, charset=codec)
    assert not said(other, values, charset=codec)


def test_a_stray_escape() -> None:
    """One that begins no escape sequence leaves a text in the character set that is declared."""
    values = {"PatientName": "Müller^J\x1b[0m".encode(), "SpecificCharacterSet": "ISO_IR 192"}

    assert "PatientName of the source is left in ImageID" == said("for Mueller", values)


def test_bytes_of_unknown_kind() -> None:
    """Without accents many bytes are letters: only what may be a text is read so."""
    private = Element(0x00991001, "UN", b"\x01 l\xe9\xe9 \x02 ")
    values = {"PatientName": "Lee^Zofia", "SpecificCharacterSet": "ISO_IR 100"}

    assert not said("nothing", values, {"KeepPrivateTags": True}, "2023b", private=private, syntax=IMPLICIT)
