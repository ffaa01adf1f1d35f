"""What results say of how they were de-identified, on each version: the profile, and no more than is so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.generate import Shape, generate
from tests.contract.server import Server, write
from tests.jobs import read_csv

if TYPE_CHECKING:
    from pathlib import Path

    from tests.jobs import Job

pytestmark = pytest.mark.timeout(180)


@pytest.mark.parametrize("hardening", [True, pytest.param(False, marks=pytest.mark.versions)])
def test_the_profile_is_named(job: Job, server: Server, tmp_path: Path, *, hardening: bool) -> None:
    """DeidentificationMethod (type 1C with PatientIdentityRemoved YES) is there, hardened or not; Keep weakens it."""
    generate(tmp_path / "made", 2, 8 << 10, shape=Shape(patients=2, series_per_study=1))
    server.upload(tmp_path / "made")
    whole, kept = server.get("studies")
    job.write_manifest([{"orthanc_id": whole}, {"orthanc_id": kept, "Keep": "StudyDescription"}])
    write(job, server, hardening=hardening)

    run = job("run", "job.yaml", "--run-id", "named")

    assert 0 == run.code, run.err
    rows = read_csv(job.root / "runs" / "named" / "reconciliation.csv")
    results = [server.get(f"studies/{row['new_orthanc_id']}/instances")[0]["ID"] for row in rows]
    assert [b"YES", b"YES"] == [server.element(name, "0012-0062").strip() for name in results]
    profile = f"Orthanc {server.running.version}, PS 3.15-2021b Table E.1-1"
    methods = [server.element(name, "0012-0063").decode().strip() for name in results]
    assert [f"{profile} Basic Profile", profile] == methods
