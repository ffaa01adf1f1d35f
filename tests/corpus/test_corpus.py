"""A quick selection of pydicom's own files; ``make test-corpus FOLDER=...`` gives any folder to a real Orthanc, too."""

from __future__ import annotations

import pytest

from tests.corpus.check import check, takes
from tests.local.edits import all_files
from tests.orthanc_server import OrthancServer, installed

LARGEST_BYTES = 60_000
FILES = [path for path in all_files() if path.stat().st_size <= LARGEST_BYTES and path.suffix == ".dcm"][::3]


def test_what_an_orthanc_takes_is_done() -> None:
    """Under the same Orthanc ID, and pydicom reads and decodes of each result what it does of its source."""
    if not installed():
        pytest.skip("no Orthanc")
    taken, wrong = 0, []
    with OrthancServer() as server:
        for path in FILES:
            data = path.read_bytes()
            verdict = check(data, takes(server, data), with_dcmtk=False)
            taken += verdict.taken
            if verdict.faults or (verdict.taken and verdict.refused):
                wrong.append((path.name, verdict.refused, *verdict.faults))

    assert [] == wrong
    assert taken > len(FILES) // 2


def test_the_check_sees_another_id() -> None:
    """It compares with what the server says."""
    data = FILES[0].read_bytes()

    assert ("another Orthanc ID",) == check(data, "0" * 44, with_dcmtk=False).faults
