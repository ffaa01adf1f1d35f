"""What the report advises about troubles with a server is done, and it helps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.contract.server import SETTINGS, Server, require_orthanc, write
from tests.dicom_files import instance
from tests.jobs import read_csv
from tests.orthanc_proxy import Answer, OrthancProxy
from tests.orthanc_server import OrthancServer

if TYPE_CHECKING:
    from tests.jobs import Job

pytestmark = pytest.mark.timeout(180)


def _reasons(job: Job) -> list[str]:
    lines = read_csv(job.root / "runs" / "r" / "crosswalk.csv")
    return sorted(row["reason"].partition(":")[0] for row in lines if row["level"] == "instance")


@pytest.mark.versions
@pytest.mark.parametrize("advice", ["later", "accept"])
def test_a_server_in_trouble_and_a_study_that_arrives(job: Job, advice: str) -> None:
    """One study fails since the server answers with errors, one since it is arriving; one `resume` does both."""
    require_orthanc()
    job.source.mkdir()
    with OrthancServer(settings={**SETTINGS, "StableAge": 600}) as running:
        server = Server(running)
        (job.source / "1").write_bytes(instance())
        server.upload(job.source)
        running.kill()
        running.start()  # what was there before is stable
        (job.source / "1").write_bytes(
            instance(PatientID="P-2", StudyInstanceUID="1.2.4", SeriesInstanceUID="1.2.4.1", SOPInstanceUID="1.2.4.1.1")
        )
        server.upload(job.source)
        job.write_manifest([{"orthanc_id": study} for study in server.get("studies")])
        with OrthancProxy(server.url) as proxy:
            proxy.add(Answer(500), lambda request, _: request.path.startswith("/tools/bulk-anonymize"), times=None)
            write(
                job,
                server,
                source={"orthanc": proxy.url},
                orthanc={"accept_unstable": False},
                execution={"retries": 1, "retry_delay_seconds": 0.1},
            )
            failed = job("run", "job.yaml", "--run-id", "r")
            reasons = _reasons(job)
            proxy.clear()
            if advice == "later":
                running.kill()
                running.start()
            words = ("--set", "orthanc.accept_unstable=true") if advice == "accept" else ()
            resumed = job("resume", job.root / "runs" / "r", *words)
        made = server.originals()
        server.close()

    assert (1, 0) == (failed.code, resumed.code), failed.err + resumed.err
    assert ["server-error", "unstable"] == reasons
    assert ["", ""] == _reasons(job)
    assert [1, 1] == [len(results) for results in made.values()]
