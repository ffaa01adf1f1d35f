"""The same manifest, sources and key give the same bytes, however the work is cut."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from tests.jobs import files_of, instance_lines

if TYPE_CHECKING:
    from tests.jobs import Job


def test_chunks_workers_and_order_do_not_matter(demo_job: Job) -> None:
    """Chunk size, workers, order and level of rows leave results and instance lines of the crosswalk as they are."""
    studies = demo_job.inventory("study")
    instances = demo_job.inventory("instance")
    shuffled = random.Random(7).sample(studies, len(studies))  # noqa: S311
    variants = [
        (studies, 500, 1),
        (shuffled, 3, 2),
        (random.Random(8).sample(instances, len(instances)), 3, 1),  # noqa: S311
    ]
    results, lines = [], []
    for number, (rows, chunk_size, workers) in enumerate(variants):
        demo_job.write_manifest(rows, demo_job.root / f"m{number}.csv")
        done = demo_job.start(
            *("run", "job.yaml", "--manifest", f"m{number}.csv", "--run-id", f"r{number}"),
            *("--set", f"execution.chunk_size={chunk_size}", "--set", f"execution.workers={workers}"),
            *("--set", f"destination.folder=results{number}", "--set", "verify=identifiers"),
            alone=number == 2,  # with a hash seed of its own; the others share their parent's
        ).end()
        assert 0 == done.code, done.err
        results.append(files_of(demo_job.root / f"results{number}"))
        lines.append(instance_lines(demo_job.root / "runs" / f"r{number}"))

    assert results[0] == results[1] == results[2]
    assert lines[0] == lines[1] == lines[2]


@pytest.mark.long
def test_another_key_gives_other_identifiers(demo_job: Job) -> None:
    """No new identifier of one key occurs under another."""
    demo_job.write_manifest(demo_job.inventory())
    new_ids = []
    for number, key in enumerate((demo_job.key, demo_job.key[::-1])):
        demo_job.key = key
        done = demo_job("run", "job.yaml", "--run-id", f"k{number}", "--set", f"destination.folder=results{number}")
        assert 0 == done.code, done.err
        lines = instance_lines(demo_job.root / "runs" / f"k{number}")
        new_ids.append({line[2] for line in lines} | {line[4] for line in lines})

    assert not new_ids[0] & new_ids[1]


def test_modify_twice_edits_the_same_originals(demo_job: Job) -> None:
    """A second modify of study rows into the same destination finds its results there, and edits none of them."""
    rows = demo_job.inventory()
    demo_job.write_config(operation="modify", options={"Replace": {"SeriesDescription": "HELLO"}})
    demo_job.write_manifest(rows)

    first = demo_job("run", "job.yaml", "--run-id", "one")
    results = files_of(demo_job.destination)
    second = demo_job("run", "job.yaml", "--run-id", "two")

    assert (0, 0) == (first.code, second.code), first.err + second.err
    assert results == files_of(demo_job.destination)
    assert instance_lines(demo_job.root / "runs" / "one") == instance_lines(demo_job.root / "runs" / "two")
