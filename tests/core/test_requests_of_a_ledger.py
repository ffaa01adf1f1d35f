"""A request is the same whether it was made from a manifest's cells or read from the ledger."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deidflow.tasks.core.ledger.ledger import FILE_NAME, Ledger
from deidflow.tasks.core.request.request import Operation, parse_request

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("PatientID", "StudyDescription", "0029,1010", '0029,"SIEMENS CSA HEADER",10', "InstitutionName")
SEQUENCE = "RequestAttributesSequence"
ITEMS = st.lists(st.dictionaries(st.sampled_from(["ScheduledProcedureStepID", "0040,0009"]), st.text(), max_size=1))
BODIES = st.fixed_dictionaries(
    {
        "Replace": st.dictionaries(st.sampled_from(NAMES), st.text())
        | st.fixed_dictionaries({SEQUENCE: ITEMS | st.just("")}),
        "Remove": st.lists(st.sampled_from([*NAMES[1:], f"{SEQUENCE}[*].ScheduledProcedureStepID"])),
        "Keep": st.lists(st.sampled_from(NAMES)),
        "Force": st.just(value=True),
    },
    optional={
        "Level": st.sampled_from(["Study", "series"]),
        "KeepPrivateTags": st.booleans(),
        "Priority": st.integers(),
    },
)


@given(st.sampled_from(Operation), BODIES)
def test_what_is_read_is_what_was_made(operation: Operation, body: dict[str, Any]) -> None:
    """The JSON in between loses nothing, so that a resumed run does what its first attempt would have done."""
    made = parse_request(operation, body)

    assert made == parse_request(operation, json.loads(json.dumps(made.body())))


def test_a_stored_ledger_goes_on_with_what_was_made(tmp_path: Path) -> None:
    """The very object; opened again, an equal one, and one only."""
    made = parse_request(Operation.MODIFY, {"Replace": {"StudyDescription": "Trial 7"}})
    prepared = Ledger.prepare()
    prepared.requests.add(1, made)

    with prepared.store(tmp_path / FILE_NAME) as stored:
        assert made is stored.requests.get(1)
    with Ledger.open(tmp_path / FILE_NAME) as opened:
        read = opened.requests.get(1)
        assert made == read
        assert read is opened.requests.get(1)
        with pytest.raises(ValueError, match="unpack"):
            opened.requests.get(2)


def test_a_ledger_that_was_passed_on_is_closed_for_others(tmp_path: Path) -> None:
    """Who still holds the old one, such as a thread of a stopped run, changes nothing; closing it does no harm."""
    made = parse_request(Operation.MODIFY, {"Replace": {"StudyDescription": "Trial 7"}})
    prepared = Ledger.prepare()
    prepared.requests.add(1, made)
    held = prepared.store(tmp_path / FILE_NAME)

    passed = held.passed_on()

    with pytest.raises(Exception, match="closed"):
        held.execute("DELETE FROM request")
    held.close()
    assert made is passed.requests.get(1)
    assert 1 == passed.scalar("SELECT count(*) FROM request")
    passed.close()
