"""The three lists of edits: reading values, merging, normalising."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deidflow.tasks.core.dicom.tags import Path, TagSyntaxError
from deidflow.tasks.core.errors import BadText
from deidflow.tasks.core.request.edits import MAX_DEPTH, Edits, merge, parse_value, value_to_json
from tests.dicom_files import instance
from tests.local.edits import modify, read

PATIENT_ID = Path((), 0x00100020)
STUDY_DATE = Path((), 0x00080020)
INSTITUTION = Path((), 0x00080080)
NESTED_CODE = Path(((0x00081032, -1),), 0x00080100)

FEW_PATHS = st.sampled_from([PATIENT_ID, STUDY_DATE, INSTITUTION, NESTED_CODE])
EDITS = st.builds(
    Edits,
    st.dictionaries(FEW_PATHS, st.sampled_from(["", "a", "b"])),
    st.lists(FEW_PATHS).map(tuple),
    st.lists(FEW_PATHS).map(tuple),
)


def test_a_path_of_the_row_leaves_all_lists_of_the_config() -> None:
    """A row that removes what the config replaces and keeps what it removes has its way."""
    config = Edits({PATIENT_ID: "a", STUDY_DATE: "b"}, (INSTITUTION,), (NESTED_CODE,))
    row = Edits({NESTED_CODE: "c"}, (PATIENT_ID,), (INSTITUTION,))

    merged = merge(config, row)

    assert merged == Edits({STUDY_DATE: "b", NESTED_CODE: "c"}, (PATIENT_ID,), (INSTITUTION,))


def test_a_row_without_edits_shares_the_config_s() -> None:
    """Nothing is copied for the rows that edit nothing themselves."""
    config = Edits({PATIENT_ID: "a"})

    assert merge(config, Edits()) is config


@pytest.mark.parametrize(
    ("edits", "expected"),
    [
        (Edits({PATIENT_ID: "a"}, (PATIENT_ID,)), Edits({PATIENT_ID: "a"})),
        (Edits({PATIENT_ID: "a"}, (), (PATIENT_ID,)), Edits(keep=(PATIENT_ID,))),
        (Edits({}, (PATIENT_ID,), (PATIENT_ID,)), Edits(keep=(PATIENT_ID,))),
    ],
    ids=["remove and replace", "replace and keep", "remove and keep"],
)
def test_the_last_list_wins(edits: Edits, expected: Edits) -> None:
    """Orthanc reads Remove, Replace, Keep (docs/orthanc.md, Order)."""
    assert edits.normalized() == expected


@given(EDITS, EDITS)
def test_merging_and_normalising(config: Edits, row: Edits) -> None:
    """Each tag ends in one list, in order; a row's own path ends where the row alone would put it.

    A nested path in Keep may stand in another list, too: it only shields the element from the profile.
    """
    merged = merge(config, row).normalized()
    alone = row.normalized()

    assert merged == merged.normalized()
    changed = [*merged.replace, *merged.remove, *(path for path in merged.keep if not path.is_nested)]
    assert len(set(changed)) == len(changed)
    assert list(merged.replace) == sorted(merged.replace)
    for path in row.paths():
        assert merged.replace.get(path) == alone.replace.get(path)
        assert (path in merged.remove) == (path in alone.remove)
        assert (path in merged.keep) == (path in alone.keep)


def test_items_are_read_with_tags_in_any_syntax_and_order() -> None:
    """A sequence is a list of objects, at any depth."""
    value = parse_value(
        0x00081032, [{"CodeMeaning": "Breast", "0008-0100": "T-04000", "MappingResourceName": None}, {}]
    )

    assert value == (((0x00080100, "T-04000"), (0x00080104, "Breast"), (0x00080122, "")), ())
    assert value_to_json(value) == [{"0008,0100": "T-04000", "0008,0104": "Breast", "0008,0122": ""}, {}]


def test_empty_text_empties_a_sequence() -> None:
    """``""`` and ``[]`` are the same for a sequence."""
    assert parse_value(0x00081032, "") == parse_value(0x00081032, []) == ()


def test_a_private_element_may_be_a_sequence() -> None:
    """The dictionary does not know, so the user does."""
    assert parse_value(0x00091001, [{"PatientID": "a"}]) == (((0x00100020, "a"),),)


@pytest.mark.parametrize(
    ("tag", "value"),
    [
        (0x00100020, 7),
        (0x00100020, 7.5),
        (0x00100020, True),
        (0x00100020, dt.date(2024, 1, 31)),
        (0x00100020, [{"PatientID": "a"}]),
        (0x00100020, {"PatientID": "a"}),
        (0x00081032, "text"),
        (0x00081032, None),
        (0x00081032, {"CodeValue": "a"}),
        (0x00081032, ["text"]),
        (0x00081032, [{"CodeValue": 1}]),
        (0x00081032, [{"CodeValue": "a", "0008,0100": "b"}]),
    ],
)
def test_other_json_types_are_refused(tag: int, value: object) -> None:
    """Only text and, for sequences, items: YAML and JSON would change ``007`` and dates."""
    with pytest.raises(BadText, match=r"quotes|items|object|twice|no sequence"):
        parse_value(tag, value)


@pytest.mark.parametrize("depth", [MAX_DEPTH, MAX_DEPTH + 1, 500])
def test_levels_of_sequences_are_limited(depth: int) -> None:
    """As many as allowed make a file that can be read; more are refused before anything walks down into them."""
    value: list[dict[str, Any]] = []
    for _ in range(depth - 1):
        value = [{"RequestAttributesSequence": value}]
    if depth > MAX_DEPTH:
        with pytest.raises(BadText, match="32 deep"):
            parse_value(0x00081032, value)
        return
    result = read(modify({"Replace": {"ProcedureCodeSequence": value}})(instance()))

    assert "RequestAttributesSequence" in result.ProcedureCodeSequence[0]


def test_unknown_tags_in_items_are_refused() -> None:
    """An item's tags follow the same syntax."""
    with pytest.raises(TagSyntaxError):
        parse_value(0x00081032, [{"codevalue": "a"}])
