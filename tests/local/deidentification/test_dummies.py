"""Dummy values are valid, the same for everybody, and there for everything that may need one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from deidflow.tasks.core.dicom.value_representations import VALUE_FORMATS
from deidflow.tasks.local.deidentification.standard.codes import Code
from deidflow.tasks.local.deidentification.standard.dictionary import vr_of
from deidflow.tasks.local.deidentification.standard.dummies import dummy_items, dummy_value
from deidflow.tasks.local.deidentification.standard.profile import load_profile

if TYPE_CHECKING:
    from deidflow.tasks.core.request.edits import Item

WITH_DUMMY: Final = [
    row
    for row in load_profile()
    if row.number is not None and row.basic in (Code.D, Code.Z, Code.Z_D, Code.X_Z, Code.X_D, Code.X_Z_D)
]


def fits(value: str | bytes, vr: str) -> bool:
    """Whether a value is one that its VR allows and that is not empty."""
    if isinstance(value, bytes):
        return vr in ("OB", "OD", "OF", "OL", "OV", "OW", "UN") and len(value) > 0 and len(value) % 8 == 0
    form = VALUE_FORMATS[vr]
    return all(form.fits(one) and one for one in (value.split("\\") if form.multiple else [value]))


@pytest.mark.parametrize("row", WITH_DUMMY, ids=lambda row: row.keyword)
def test_every_attribute_that_may_need_a_dummy_has_a_valid_one(row: object) -> None:
    """Of its own VR; UIDs are keyed, and sequences have items."""
    (row,) = [one for one in WITH_DUMMY if one is row]
    assert row.number is not None
    value = dummy_value(row.number, row.vr)

    if row.vr == "SQ":
        assert len(dummy_items(row.number)) > 0
    elif row.vr == "UI":
        assert value is None
    else:
        assert value is not None
        assert fits(value, row.vr), value


@pytest.mark.parametrize(
    "keyword",
    [row.keyword for row in WITH_DUMMY if row.vr == "SQ" and row.basic in (Code.D, Code.X_D, Code.X_Z_D)],
)
def test_items_of_dummies_are_well_formed(keyword: str) -> None:
    """Tags ascend, values fit the VRs of the dictionary, down to the last level."""

    def check(item: Item) -> None:
        assert sorted({tag for tag, _ in item}) == [tag for tag, _ in item]
        for tag, value in item:
            vr = vr_of(tag)
            assert vr is not None
            if vr == "SQ":
                assert isinstance(value, tuple)
                for nested in value:
                    check(nested)
            else:
                assert not isinstance(value, tuple)
                assert fits(value, vr), tag

    (row,) = [row for row in WITH_DUMMY if row.keyword == keyword]
    assert row.number is not None
    for item in dummy_items(row.number):
        check(item)


def test_a_dummy_for_each_vr() -> None:
    """All VRs of PS3.5 but UI and SQ."""
    for vr in VALUE_FORMATS:
        value = dummy_value(0x00091001, vr)
        if vr in ("UI", "SQ"):
            assert value is None
        else:
            assert value is not None
            assert fits(value, vr)
