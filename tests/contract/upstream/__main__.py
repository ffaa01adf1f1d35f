"""Writes docs/orthanc.md: ``python -m tests.contract.upstream``."""

from __future__ import annotations

from tests.contract.upstream.table import REPORT, page

REPORT.write_text(page(), "utf-8")
