"""A quick selection of files about which readers may disagree; ``python -m tests.readers`` checks more of them."""

from __future__ import annotations

import shutil

from tests.readers.check import Tally, check_all
from tests.readers.drawn import ODDITIES

SEED = 20_261_125
FILES = 200


def test_no_reader_finds_a_name() -> None:
    """Each file is refused by name, or neither its bytes, nor pydicom, nor DCMTK show a planted name in the result."""
    tally = Tally()
    with_dcmdump = shutil.which("dcmdump") is not None
    for part in check_all(SEED, range(FILES), with_dcmdump=with_dcmdump, workers=0):
        tally.add(part)

    assert [] == tally.faults
    assert {"done", "damaged", "ambiguous-encoding"} >= {outcome for _, outcome in tally.outcomes}
    # A check that refuses all would prove nothing.
    assert tally.outcomes["", "done"] > FILES
    for oddity in ODDITIES:
        assert sum(count for (of, _), count in tally.outcomes.items() if of == oddity) > 0
