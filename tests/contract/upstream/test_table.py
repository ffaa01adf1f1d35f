"""docs/orthanc.md says what the tests hold, and names every upstream test once."""

from __future__ import annotations

from collections import Counter

from tests.contract.upstream.cases import CASES
from tests.contract.upstream.names import BOOK, INTEGRATION, NOT_APPLICABLE, UNIT
from tests.contract.upstream.table import REPORT, page


def test_the_page_is_made_from_the_cases() -> None:
    """`python -m tests.contract.upstream` was run after the last change."""
    assert page() == REPORT.read_text("utf-8")


def test_each_upstream_test_has_a_case_or_a_reason() -> None:
    """None is forgotten, none is named that upstream does not have."""
    upstream = {*INTEGRATION, *UNIT, *BOOK}
    carried = {case.test for case in CASES}

    assert set() == carried - upstream
    assert set() == carried & set(NOT_APPLICABLE)
    assert set() == upstream - carried - set(NOT_APPLICABLE)


def test_each_case_has_a_name_of_its_own() -> None:
    """The name is the row of the table and the identifier of the test."""
    assert [] == [name for name, count in Counter(case.name for case in CASES).items() if count > 1]
