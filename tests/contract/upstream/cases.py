"""All cases, in the order of the table in docs/orthanc.md.

Public names: ``CASES``.
"""

from __future__ import annotations

from typing import Final

from tests.contract.upstream import cases_anonymize, cases_edits, cases_levels, cases_references, cases_units

CASES: Final = (
    *cases_levels.CASES,
    *cases_edits.CASES,
    *cases_anonymize.CASES,
    *cases_references.CASES,
    *cases_units.CASES,
)
