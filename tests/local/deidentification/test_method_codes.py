"""A result claims what was done and no more."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.sr._concepts_dict import concepts

from deidflow.tasks.core.dicom.value_representations import VALUE_FORMATS
from deidflow.tasks.core.request.profile_choice import Option
from deidflow.tasks.local.deidentification.standard.method_codes import (
    Applied,
    applied_codes,
    deidentifying_equipment,
    longitudinal_information,
    method_text,
)
from tests.local.strategies import PROPERTY

CODES: Final = {code: meaning for entry in concepts["DCM"].values() for code, (meaning, _) in entry.items()}  # type: ignore[attr-defined]  # typed as object
APPLIED: Final = st.builds(
    Applied,
    st.frozensets(st.sampled_from(Option)),
    departs=st.booleans(),
    present=st.none() | st.frozensets(st.sampled_from(["0018,1200", "0010,0010"])),
    pixels_are_clean=st.booleans(),
)


def values(applied: Applied) -> list[str]:
    """Return the values of the codes."""
    return [code.value for code in applied_codes(applied)]


@PROPERTY
@given(APPLIED)
def test_codes_are_those_of_cid_7050(applied: Applied) -> None:
    """Values and meanings as printed in PS3.16, in order, each once; the method's values fit an LO."""
    codes = applied_codes(applied)

    assert [(code.value, CODES[code.value], "DCM") for code in codes] == [
        (code.value, code.meaning, code.scheme) for code in codes
    ]
    assert sorted({code.value for code in codes}) == [code.value for code in codes]
    assert "113102" not in {code.value for code in codes}
    assert len(codes) <= len(applied.options) + 1
    assert all(VALUE_FORMATS["LO"].fits(value) for value in method_text(applied).split("\\"))


def test_each_option_has_its_code() -> None:
    """One option alone, everything done: the profile and the option."""
    expected = {
        "clean-pixel-data": "113101",
        "clean-graphics": "113103",
        "clean-structured-content": "113104",
        "clean-descriptors": "113105",
        "retain-longitudinal-full-dates": "113106",
        "retain-longitudinal-modified-dates": "113107",
        "retain-patient-characteristics": "113108",
        "retain-device-identity": "113109",
        "retain-uids": "113110",
        "retain-safe-private": "113111",
        "retain-institution-identity": "113112",
    }

    assert {name: ["113100", code] for name, code in expected.items()} == {
        option.value: values(Applied(frozenset({option}), pixels_are_clean=True)) for option in Option
    }
    assert ["113100"] == values(Applied(frozenset()))


def test_nothing_is_claimed_that_was_not_done() -> None:
    """A departure from the profile, pixels not cleaned."""
    uids = frozenset({Option.RETAIN_UIDS})

    assert ["113110"] == values(Applied(uids, departs=True))
    assert ["113100"] == values(Applied(frozenset({Option.CLEAN_PIXEL_DATA})))
    assert "deidflow - PS 3.15-2026d Table E.1-1 adapted\\Retain UIDs Option" == method_text(
        Applied(uids, departs=True)
    )


def test_device_identity_beside_modified_dates() -> None:
    """Claimed only of an instance that has none of the dates that the other option moves."""
    both = frozenset({Option.RETAIN_DEVICE_IDENTITY, Option.RETAIN_MODIFIED_DATES})

    assert ["113100", "113107"] == values(Applied(both))
    assert ["113100", "113107"] == values(Applied(both, present={"0018,1200", "0018,1000"}))
    assert ["113100", "113107", "113109"] == values(Applied(both, present={"0018,1000"}))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), "REMOVED"),
        ((Option.RETAIN_UIDS,), "REMOVED"),
        ((Option.RETAIN_FULL_DATES,), "UNMODIFIED"),
        ((Option.RETAIN_UIDS, Option.RETAIN_MODIFIED_DATES), "MODIFIED"),
    ],
)
def test_longitudinal_information(options: tuple[Option, ...], expected: str) -> None:
    """The value of (0028,0303)."""
    assert expected == longitudinal_information(options)


def test_the_equipment_is_named_by_its_purpose() -> None:
    """Purpose of Reference is 109104, De-identifying Equipment; nothing else that is read as the scanner's own."""
    item = deidentifying_equipment()
    _, purpose = item[-1]
    assert isinstance(purpose, tuple)

    assert "De-identifying Equipment" == CODES["109104"]
    assert (0x00080100, "109104") == purpose[0][0]
    assert [0x00080070, 0x0040A170] == [tag for tag, _ in item]  # dcm2niix takes a model from any item
