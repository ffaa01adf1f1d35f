"""What a job wrote before its server was killed is found, on a real server, and nothing else is."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import pytest

from deidflow.tasks.core.request.request import Operation
from deidflow.tasks.orthanc.connection.client import OrthancClient
from deidflow.tasks.orthanc.connection.errors import NotFound
from deidflow.tasks.orthanc.jobs.jobs import JobState, submit, wait
from deidflow.tasks.orthanc.jobs.restarted_jobs import possible_surplus_results
from deidflow.tasks.orthanc.resources.changes import Changes
from tests.orthanc.conftest import SETTINGS
from tests.orthanc.outputs import outputs_since
from tests.orthanc.shelf import ids_of, store
from tests.orthanc_server import BINARY, OrthancServer, installed

if TYPE_CHECKING:
    from deidflow.tasks.orthanc.connection.client import Access
    from deidflow.tasks.orthanc.jobs.jobs import Job

ANONYMIZE: Final = {"DicomVersion": "2021b"}
PATIENTLY_S: Final = 60.0
COUNT: Final = 100
"""So many take longer than a server needs to start."""

LEFT: Final = 20
"""Copies, at least, that the killed server has made."""

TRIES: Final = 5


def _anonymized(client: OrthancClient, ids: list[str]) -> Job:
    return wait(client, submit(client, Operation.ANONYMIZE, ANONYMIZE, ids), PATIENTLY_S)


def _killed_in_the_middle(server: OrthancServer, access: Access) -> tuple[list[str], int, str]:
    """Kill the server while it works, and start it; return what it was given, the change before that, and the job."""
    with OrthancClient(server.url, access) as client:
        ids = ids_of(store(client, instances=300))
        since = Changes(client).newest()
        job_id = submit(client, Operation.ANONYMIZE, ANONYMIZE, ids)
        time.sleep(0.15)  # until then it is not saved
        while len(outputs_since(client, since, ids)) < LEFT:
            pass
    server.kill()
    server.start()
    return ids, since, job_id


def test_killed_in_the_middle(access: Access) -> None:
    """A job that ran twice: all copies that it does not list, whether its second life was whole or not."""
    if not installed():
        pytest.skip(f"NO ORTHANC at {BINARY}: no job was run again (Debian: apt-get install orthanc)")
    with OrthancServer(settings={**SETTINGS, "SaveJobs": True}) as server:
        for _ in range(TRIES):
            ids, since, job_id = _killed_in_the_middle(server, access)
            with OrthancClient(server.url, access) as client:
                try:
                    job = wait(client, job_id, PATIENTLY_S)
                except NotFound:
                    continue  # it was not saved in time
                if job.state is JobState.FAILURE:
                    pytest.skip(f"Orthanc {server.version} does not run jobs again")
                left = outputs_since(client, since, ids).keys() - set(job.output_instances)
                assert len(left) >= LEFT
                assert left == set(possible_surplus_results(client, Changes(client), since, job, ids, []))
                return
    pytest.fail(f"no job was saved in {TRIES} tries")


def test_what_the_job_does_not_list(client: OrthancClient) -> None:
    """Results of its originals from before, whoever made them, also when the list of changes is lost; not of others."""
    uploads, others = store(client, instances=COUNT), ids_of(store(client))
    ids = ids_of(uploads)
    since = Changes(client).newest()
    (copy,) = _anonymized(client, ids[3:4]).output_instances
    _anonymized(client, others)
    job = _anonymized(client, ids)
    client.counts.clear()

    assert [copy] == possible_surplus_results(client, Changes(client), since, job, ids, [])
    assert 2 == client.counts.total()
    client.delete("changes")
    assert [copy] == possible_surplus_results(client, Changes(client), since, job, ids, ids_of(uploads, depth=1))


def test_undisturbed_job(client: OrthancClient) -> None:
    """One request; none for a job that took less time than a restart."""
    ids = ids_of(store(client, instances=COUNT))
    since = Changes(client).newest()
    job = _anonymized(client, ids)
    client.counts.clear()

    assert [] == possible_surplus_results(client, Changes(client), since, job, ids, [])
    assert [] == possible_surplus_results(client, Changes(client), since, job._replace(runtime_s=0.02), ids, [])
    assert 1 == client.counts.total()
