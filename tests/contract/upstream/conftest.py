"""Assertions outside of the test modules say what they compared."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite(
    *(f"tests.contract.upstream.{name}" for name in ("checks", "sides", "cases_edits", "cases_levels")),
    *(f"tests.contract.upstream.cases_{name}" for name in ("anonymize", "references", "units")),
)
