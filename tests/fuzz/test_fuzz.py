"""A quick selection of damaged inputs; ``python -m tests.fuzz`` runs as many as one likes."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import pytest

from tests.fuzz.configs import MUTATIONS as CONFIG_MUTATIONS
from tests.fuzz.dicom_mutations import MUTATIONS as DICOM_MUTATIONS
from tests.fuzz.manifests import MUTATIONS as MANIFEST_MUTATIONS
from tests.fuzz.runner import MAX_CPU_SECONDS, MAX_RSS_BYTES, Tally, run_batch

SEED = 20_261_123
PARTS = 2
INPUTS = 500


def _run(part: int) -> Tally:
    return run_batch(SEED, range(part * INPUTS, (part + 1) * INPUTS))


@pytest.mark.parametrize("part", range(PARTS))
def test_damaged_inputs(part: int) -> None:
    """Inputs of every kind are taken or refused by name: no crash, no hang, no memory, no result that is not sound."""
    # A process of its own, so that its memory is that of this work.
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        tally = pool.submit(_run, part).result()

    assert [] == tally.faults
    assert tally.slowest[0] < MAX_CPU_SECONDS
    assert tally.peak_bytes < MAX_RSS_BYTES
    assert INPUTS == sum(tally.outcomes.values())
    kinds = {kind for kind, _ in tally.outcomes}
    assert {
        *(f"dicom {name}" for name in DICOM_MUTATIONS),
        *(f"manifest {name}" for name in MANIFEST_MUTATIONS),
        *(f"config {name}" for name in CONFIG_MUTATIONS),
    } == kinds
