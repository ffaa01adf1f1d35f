"""A quick selection of files about which readers may disagree; ``python -m tests.readers`` checks more of them."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.dicom_files import instance
from tests.readers.check import Tally, check_all, found_by_dcmdump
from tests.readers.drawn import MARKER, ODDITIES

if TYPE_CHECKING:
    from pathlib import Path

SEED = 20_261_125
FILES = 150


def test_no_reader_finds_a_name() -> None:
    """Each file is refused by name, or neither its bytes, nor pydicom, nor DCMTK show a planted name in the result."""
    tally = Tally()
    with_dcmdump = shutil.which("dcmdump") is not None
    for part in check_all(SEED, range(FILES), with_dcmdump=with_dcmdump, workers=0):
        tally.add(part)

    assert [] == tally.faults
    assert {"done", "damaged", "ambiguous-encoding", "unsafe-content"} >= {outcome for _, outcome in tally.outcomes}
    # A check that refuses all would prove nothing.
    assert tally.outcomes["", "done"] > 1.5 * FILES
    for oddity in ODDITIES:
        assert sum(count for (of, _), count in tally.outcomes.items() if of == oddity) > 0


@pytest.mark.skipif(
    shutil.which("dcmdump") is None,
    reason="NO DCMTK: bytes and pydicom alone were searched for names (Debian: apt-get install dcmtk)",
)
def test_dcmtk_is_among_the_readers(tmp_path: Path) -> None:
    """What it reads of a file that was not edited holds the names; without it the test above is weaker, and says so."""
    (tmp_path / "named").write_bytes(instance(PatientName=MARKER.decode()))
    (tmp_path / "nameless").write_bytes(instance())

    assert {"named"} == found_by_dcmdump(str(tmp_path))
