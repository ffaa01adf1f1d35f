"""Identifying values as an address writes them (%C3%BC), in any text of a result."""

from __future__ import annotations

from typing import Any, Final

import pytest

from tests.verification.test_leak_excuses import said

VALUES: Final[dict[str, Any]] = {"PatientName": "Müller^Jörg", "PatientID": "MRN 20123"}
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
