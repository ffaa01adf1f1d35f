"""What cleaning means, for every attribute that any option cleans."""

from __future__ import annotations

from collections import Counter

import pytest

from deidflow.tasks.core.request.profile_choice import Option
from deidflow.tasks.local.deidentification.standard.cleaning import Cleaning, cleaning_of
from deidflow.tasks.local.deidentification.standard.codes import Code
from deidflow.tasks.local.deidentification.standard.profile import load_profile


def test_every_row_that_is_cleaned() -> None:
    """Dates move, times stay, texts are cleaned, sequences are gone through, what nobody can read goes."""
    kinds = {
        option: Counter(
            cleaning_of(row.number, row.vr, option).value
            for row in load_profile()
            if row.options.get(option) is Code.C and row.number is not None and not row.reason
        )
        for option in Option
    }

    assert {"shift_da": 50, "shift_dt": 52, "check_tm": 52, "dummy_date": 12, "keep": 1, "remove": 2} == {
        **kinds[Option.RETAIN_MODIFIED_DATES]
    }
    assert {"text": 129, "label": 1, "items": 9, "remove": 2} == {**kinds[Option.CLEAN_DESCRIPTORS]}
    assert {"text": 11} == {**kinds[Option.RETAIN_DEVICE_IDENTITY]}
    assert {"text": 5} == {**kinds[Option.RETAIN_PATIENT_CHARACTERISTICS]}
    assert {"items": 4} == {**kinds[Option.CLEAN_STRUCTURED_CONTENT]}
    assert {"items": 1} == {**kinds[Option.CLEAN_GRAPHICS]}


@pytest.mark.parametrize(
    ("vr", "expected"),
    [
        ("UI", Cleaning.MAP_UID),
        ("SQ", Cleaning.ITEMS),
        ("DA", Cleaning.SHIFT_DA),
        ("LO", Cleaning.TEXT),
        ("FD", Cleaning.KEEP),
        ("OB", Cleaning.KEEP),
        ("UN", Cleaning.REMOVE),
        ("", Cleaning.REMOVE),
    ],
)
def test_safe_private_values(vr: str, expected: Cleaning) -> None:
    """Retained private values are cleaned by their VR, not kept blindly."""
    assert expected is cleaning_of(0x0019100C, vr, Option.RETAIN_SAFE_PRIVATE)
