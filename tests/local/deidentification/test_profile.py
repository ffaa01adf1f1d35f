"""Table E.1-1 as data: nothing is lost, every tag is found, and options go before the basic profile."""

from __future__ import annotations

import csv
import itertools
import re
from collections import Counter
from importlib.resources import files
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.datadict import tag_for_keyword

from deidflow.tasks.core.request.profile_choice import Option, option_faults
from deidflow.tasks.local.deidentification.standard.codes import AttributeType, Code, action_for
from deidflow.tasks.local.deidentification.standard.dictionary import is_known, vr_of
from deidflow.tasks.local.deidentification.standard.profile import PRIVATE, load_profile
from tests.local.strategies import PROPERTY

PROFILE: Final = load_profile()
STANDARD: Final = [row for row in PROFILE if not row.reason]
CHOICES: Final = st.frozensets(st.sampled_from(Option))


def tag(keyword: str) -> int:
    """Return the number of an attribute that pydicom knows."""
    number = tag_for_keyword(keyword)
    assert number is not None
    return number


def test_every_row_of_the_table_is_there() -> None:
    """657 rows with the codes of edition 2026d, column by column."""
    basic = Counter(row.basic.value for row in STANDARD)
    columns = {
        option: Counter(row.options[option].value for row in STANDARD if option in row.options) for option in Option
    }

    assert 657 == len(STANDARD) == len({row.tag for row in PROFILE if not row.reason})
    assert {"X": 417, "D": 93, "U": 55, "Z": 42, "X/D": 23, "X/Z": 11, "X/Z/D": 8, "Z/D": 6, "X/Z/U*": 2} == basic
    assert {
        Option.RETAIN_SAFE_PRIVATE: {"C": 1},
        Option.RETAIN_UIDS: {"K": 60},
        Option.RETAIN_DEVICE_IDENTITY: {"K": 48, "C": 11},
        Option.RETAIN_INSTITUTION_IDENTITY: {"K": 10},
        Option.RETAIN_PATIENT_CHARACTERISTICS: {"K": 14, "C": 5},
        Option.RETAIN_FULL_DATES: {"K": 169},
        Option.RETAIN_MODIFIED_DATES: {"C": 169},
        Option.CLEAN_DESCRIPTORS: {"C": 141},
        Option.CLEAN_STRUCTURED_CONTENT: {"C": 4},
        Option.CLEAN_GRAPHICS: {"C": 4},
        Option.CLEAN_PIXEL_DATA: {},
    } == columns


def test_rows_agree_with_the_dictionary() -> None:
    """Keyword and VR are those of PS3.6; no attribute is named twice."""
    numbers = [row.number for row in PROFILE if row.number is not None]

    assert len(numbers) == len(set(numbers))
    for row in PROFILE:
        if row.number is not None:
            assert vr_of(row.number) == row.vr, row
            assert row is PROFILE.row_of(row.number)


@pytest.mark.parametrize(
    ("number", "row"),
    [
        (0x50000010, "50xx,xxxx"),
        (0x501E3000, "50xx,xxxx"),
        (0x60003000, "60xx,3000"),
        (0x601E3000, "60xx,3000"),
        (0x60024000, "60xx,4000"),
        (0x60001500, "60xx,3000"),
        (0x00091001, PRIVATE),
        (0x50010010, PRIVATE),
        (0x60013000, PRIVATE),
        (0xFFFCFFFC, "fffc,fffc"),
    ],
)
def test_groups_are_covered_by_their_row(number: int, row: str) -> None:
    """Curves, overlays in all of their groups with everything that describes them, and whatever has an odd group."""
    found = PROFILE.row_of(number)

    assert found is not None
    assert row == found.tag


@pytest.mark.parametrize("number", [0x00080016, 0x00280010, 0x7FE00010, 0x00080104])
def test_other_attributes_have_no_row(number: int) -> None:
    """What the profile does not speak of stays as it is."""
    assert PROFILE.row_of(number) is None


ACTIONS: Final = {
    # code: of type 1, 1C, 2, 2C, 3, not in the IOD
    "X": "dummy remove empty remove remove remove",
    "Z": "dummy dummy empty empty empty empty",
    "D": "dummy dummy dummy dummy dummy dummy",
    "U": "replace_uid replace_uid replace_uid replace_uid replace_uid replace_uid",
    "C": "clean clean clean clean clean clean",
    "K": "keep keep keep keep keep keep",
    "Z/D": "dummy dummy empty empty empty empty",
    "X/Z": "dummy dummy empty empty remove remove",
    "X/D": "dummy dummy dummy dummy remove remove",
    "X/Z/D": "dummy dummy empty empty remove remove",
    "X/Z/U*": "replace_uid replace_uid replace_uid empty remove remove",
}


@pytest.mark.parametrize("code", list(Code))
def test_a_code_by_type(code: Code) -> None:
    """The weaker treatment only where the IOD needs it, and never an object that lost what it must have."""
    assert ACTIONS[code].split() == [action_for(code, needed).name.lower() for needed in (*AttributeType, None)]


@PROPERTY
@given(CHOICES)
def test_an_options_code_goes_before_the_basic_profile(options: frozenset[Option]) -> None:
    """For each row: the code of a chosen option that has one, cleaning before keeping; else the basic profile's."""
    for row in PROFILE:
        rule = row.rule(options)
        codes = {row.options[option] for option in options if option in row.options}

        assert rule.code is (Code.C if Code.C in codes else Code.K if codes else row.basic)
        assert (rule.option is None) == (not codes)
        assert rule.option is None or row.options[rule.option] is rule.code
        assert {row.options[option] for option in rule.overruled} <= {Code.K}


def test_the_eleven_dates_of_devices() -> None:
    """Under device identity and modified dates together these are moved, and device identity is not met for them."""
    both = frozenset({Option.RETAIN_DEVICE_IDENTITY, Option.RETAIN_MODIFIED_DATES})
    standard = {row.tag for row in STANDARD}
    (overruled,) = PROFILE.conflicts(both).items()

    assert Option.RETAIN_DEVICE_IDENTITY == overruled[0]
    assert {
        *("0014,407c", "0014,407e", "0018,1200", "0018,1201", "0018,1202", "0018,1203", "0018,1204", "0018,1205"),
        *("0018,700c", "0018,700e", "300c,0127"),
    } == overruled[1] & standard


def test_only_these_two_options_conflict() -> None:
    """No other pair that may be named together has two codes for one attribute."""
    pairs = {pair for pair in itertools.combinations(Option, 2) if PROFILE.conflicts(frozenset(pair))}
    contradicting = (Option.RETAIN_FULL_DATES, Option.RETAIN_MODIFIED_DATES)

    assert {(Option.RETAIN_DEVICE_IDENTITY, Option.RETAIN_MODIFIED_DATES), contradicting} == pairs


def test_options_by_name() -> None:
    """Each is taken, and none is needed."""
    for names in ([], *([str(option)] for option in Option)):
        assert [] == list(option_faults(names))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["retain-dates"], "must be among retain-safe-private, .*"),
        (["clean-recognizable-visual-features"], ".* is not built .*; leave it out"),
        (["retain-longitudinal-full-dates", "retain-longitudinal-modified-dates"], ".* exclude each other; .*"),
    ],
)
def test_options_that_are_refused(names: list[str], message: str) -> None:
    """Unknown, not built, contradicting; the message says what to write."""
    (fault,) = option_faults(names)

    assert re.fullmatch(message, fault)


def test_the_dictionary_of_the_edition() -> None:
    """What pydicom does not know yet is known; given-back numbers and strange groups are not."""
    table = files("deidflow.tasks.local.deidentification.tables").joinpath("vr_additions.csv")
    added = list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))

    assert 26 == len(added)
    assert "UT" == vr_of(0x00100013)  # NameToUseComment
    assert "OB or OW" == vr_of(0x60023000)
    assert not [number for number in (0x00203100, 0x10100004, 0x00080202, 0x00100099) if is_known(number)]
