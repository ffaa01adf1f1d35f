"""Into how many chunks a plan is cut, and what is in them."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers, Level
from deidflow.tasks.core.engine.sources import SourceInstance
from deidflow.tasks.core.ledger.ledger import Ledger
from deidflow.tasks.core.plan.intake import add_instances, add_rows
from deidflow.tasks.core.plan.planner import PlanOptions, chunk_of, make_plan
from deidflow.tasks.core.pseudonyms.pseudonyms import Key
from deidflow.tasks.core.request.request import Operation
from tests.core.manifests import defaults, manifest

if TYPE_CHECKING:
    from collections.abc import Iterator

SERIES_SIZE = 100


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    """Begin a ledger."""
    with Ledger.prepare() as made:
        yield made


def plan(ledger: Ledger, count: int, *, few_chunks: bool, chunk_size: int = 500) -> list[int]:
    """Plan a patient with so many instances; return how many each chunk holds."""
    sources = [
        SourceInstance(b"%d.dcm" % n, 1000, 1, DicomIdentifiers("P", "1.2", f"1.2.{n // SERIES_SIZE}", f"1.2.3.{n}"))
        for n in range(count)
    ]
    patient = sources[0].identifiers.orthanc_id(Level.PATIENT)
    assert [] == add_rows(
        ledger, manifest(f"orthanc_id\n{patient}\n", defaults(Operation.ANONYMIZE, DicomVersion="2023b"))
    )
    add_instances(ledger, sources)
    options = PlanOptions("cohort.csv", Key(b"k" * 32), "scope", chunk_size=chunk_size, few_chunks=few_chunks)
    assert [] == make_plan(ledger, [], options)
    return [size for (size,) in ledger.select("SELECT instances FROM chunk ORDER BY number")]


@pytest.mark.parametrize(
    ("count", "few_chunks", "chunk_size", "expected"),
    [
        (1200, False, 500, [500, 500, 200]),
        (1200, False, 1, [2] * 600),  # 800 chunks at most
        (1200, True, 500, [500, 500, 200]),
        (6000, True, 500, [600] * 10),
        (50_001, True, 500, [5000] * 10 + [1]),
    ],
)
def test_number_of_chunks(ledger: Ledger, count: int, few_chunks: bool, chunk_size: int, expected: list[int]) -> None:
    """Few where they share the processes, but never larger and larger; never more than Prefect can show."""
    assert expected == plan(ledger, count, few_chunks=few_chunks, chunk_size=chunk_size)


def test_every_instance_is_in_one_chunk(ledger: Ledger) -> None:
    """Nothing is lost between chunks, nothing is in two, and a series stays together but for the cuts."""
    sizes = plan(ledger, 1050, few_chunks=False, chunk_size=400)
    requests = ledger.requests
    chunks = [chunk_of(ledger, requests, number + 1) for number in range(len(sizes))]
    planned = [[one for call in chunk.calls for one in call.instances] for chunk in chunks]

    assert sizes == [len(instances) for instances in planned]
    assert {b"%d.dcm" % n for n in range(1050)} == {one.path for instances in planned for one in instances}
    for instances in planned:
        series = [one.original.series_instance_uid for one in instances]
        changes = sum(first != second for first, second in pairwise(series))
        assert changes + 1 == len(set(series))
