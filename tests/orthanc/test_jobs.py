"""Bulk calls as jobs on a real server: every original is accounted for, and nothing is left behind."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from deidflow.tasks.core.dicom.identifiers import Level
from deidflow.tasks.core.dicom.tags import Path
from deidflow.tasks.core.errors import Interrupted
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.core.request.request import Operation
from deidflow.tasks.orthanc.connection.client import OrthancClient
from deidflow.tasks.orthanc.connection.errors import CANCELLED, BadRequest, DeadlineExceeded, NotFound
from deidflow.tasks.orthanc.jobs import jobs as jobs_module
from deidflow.tasks.orthanc.jobs.failure_probe import probe, probe_storing
from deidflow.tasks.orthanc.jobs.jobs import JobState, cancel, end_last_step, read_job, submit, wait
from deidflow.tasks.orthanc.jobs.lost_jobs import find_jobs, others_at_work, wait_for_possible_jobs
from deidflow.tasks.orthanc.resources.changes import Changes
from deidflow.tasks.orthanc.resources.marks import Mark
from deidflow.tasks.orthanc.resources.resources import resolve, still_there
from deidflow.tasks.orthanc.resources.results import delete_instances, map_outputs
from tests.orthanc.outputs import outputs_since
from tests.orthanc.shelf import UNKNOWN, ids_of, lose_file, store
from tests.orthanc_proxy import Answer, OrthancProxy

if TYPE_CHECKING:
    from deidflow.tasks.orthanc.connection.client import Access
    from tests.orthanc_server import OrthancServer

ANONYMIZE = {"DicomVersion": "2021b"}
PATIENTLY_S = 30.0
MARK = Mark(Path((), 0x00080014), "2.25.123")


@pytest.mark.parametrize(
    ("operation", "body", "new_from"),
    [
        (Operation.ANONYMIZE, ANONYMIZE, Level.PATIENT),
        (Operation.MODIFY, {"Replace": {"PatientID": "NEW"}, "Force": True}, Level.PATIENT),
        (Operation.MODIFY, {"Replace": {"StudyDescription": "x"}, "Level": "Study"}, Level.STUDY),
        (Operation.MODIFY, {"Replace": {"StudyDescription": "x"}}, Level.INSTANCE),
    ],
)
def test_every_original_is_mapped(
    client: OrthancClient, operation: Operation, body: dict[str, Any], new_from: Level
) -> None:
    """Two studies, two series each: new identifiers from the level of the call down, hierarchy kept, one request."""
    uploads = store(client, studies=2, series=2, instances=2)
    ids = ids_of(uploads)
    since = Changes(client).newest()
    job = wait(client, submit(client, operation, body, ids), PATIENTLY_S)
    client.counts.clear()
    found = map_outputs(client, job.outputs, ids)

    assert (JobState.SUCCESS, None) == (job.state, job.failure)
    assert 1 == client.counts.total()
    assert ((), ()) == (found.repeated, found.foreign)
    assert set(ids) == set(found.of)
    for depth in range(4):
        pairs = {(one.orthanc_ids[depth], found.of[one.orthanc_ids[3]].orthanc_ids[depth]) for one in uploads}
        assert len(pairs) == len({old for old, _ in pairs}) == len({new for _, new in pairs})
        assert (depth < new_from.depth) == all(old == new for old, new in pairs)
    for result in found.of.values():
        assert result.orthanc_ids == result.identifiers.orthanc_ids()
    assert {result.orthanc_ids[3]: original for original, result in found.of.items()} == outputs_since(
        client, since, ids
    )


def test_the_same_call_again_edits_the_originals(client: OrthancClient) -> None:
    """Named by instance, the results of the first call, which stand in the same study, are no sources of the second."""
    ids = ids_of(store(client, instances=3))
    jobs = [wait(client, submit(client, Operation.MODIFY, {}, ids), PATIENTLY_S) for _ in range(2)]

    assert [3, 3] == [len(job.output_instances) for job in jobs]
    both = map_outputs(client, {"Instance": [*jobs[0].output_instances, *jobs[1].output_instances]}, ids)
    assert set(ids) == set(both.of)
    assert 3 == len(both.repeated)


def test_edit_in_place(client: OrthancClient) -> None:
    """An instance that keeps its identifiers is its own result, and never counts as left behind."""
    ids = ids_of(store(client, instances=2))
    keep = ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"]
    body = {"Replace": {"StudyDescription": "x"}, "Keep": keep, "Force": True, "Level": "Study"}
    since = Changes(client).newest()
    job = wait(client, submit(client, Operation.MODIFY, body, ids), PATIENTLY_S)

    found = map_outputs(client, job.outputs, ids)
    assert {name: name for name in ids} == {name: result.orthanc_ids[3] for name, result in found.of.items()}
    assert {} == outputs_since(client, since, ids)


def test_one_bad_instance_of_four(orthanc: OrthancServer, client: OrthancClient) -> None:
    """The others are edited, and the bad one has its reason: its file is lost on the server."""
    ids = ids_of(store(client, instances=4))
    lose_file(orthanc, client, ids[2])
    job = wait(client, submit(client, Operation.ANONYMIZE, ANONYMIZE, ids), PATIENTLY_S)
    found = map_outputs(client, job.outputs, ids)

    assert JobState.SUCCESS is job.state
    assert {ids[0], ids[1], ids[3]} == set(found.of)
    assert None is probe(client, ids[0], Operation.ANONYMIZE, ANONYMIZE)
    text = "the Orthanc cannot read the instance's file (Orthanc: 2006, not a regular file)"
    assert (ReasonCode.SOURCE_UNREADABLE, text) == probe(client, ids[2], Operation.ANONYMIZE, ANONYMIZE)


def test_a_result_that_leaves_while_its_job_reads_it(
    orthanc: OrthancServer, client: OrthancClient, access: Access
) -> None:
    """1.13.0 says of the result, too, that its file is not there: nothing is wrong with the original."""
    (original,) = ids_of(store(client))
    lost = b'{"HttpStatus": 500, "OrthancStatus": 2006, "Message": "It does not point to a regular file"}'
    with OrthancProxy(orthanc.url) as proxy, OrthancClient(proxy.url, access) as harmed:
        proxy.add(Answer(500, {}, lost), lambda request, _: request.path.startswith("/tools/bulk-a"), times=2)
        stored = probe_storing(harmed, original, Operation.ANONYMIZE, ANONYMIZE, None)
        client.delete(f"instances/{original}")
        gone = probe_storing(harmed, original, Operation.ANONYMIZE, ANONYMIZE, None)

    assert (None, ()) == stored
    assert gone.reason is not None
    assert ReasonCode.SOURCE_UNREADABLE is gone.reason[0]


def test_reason_does_not_repeat_the_value(client: OrthancClient) -> None:
    """A value that the server cannot write: all fail, and the tag is named, the value is not."""
    ids = ids_of(store(client, instances=2))
    body = {"Replace": {"Rows": "SECRET"}, "Transcode": "1.2.840.10008.1.2.4.90"}
    job = wait(client, submit(client, Operation.MODIFY, body, ids), PATIENTLY_S)

    assert ((), JobState.SUCCESS) == (job.output_instances, job.state)
    text = "the value for 0028,0010 does not fit its VR (Orthanc: 15, bad file format)"
    assert (ReasonCode.BAD_VALUE, text) == probe(client, ids[0], Operation.MODIFY, body)


def test_probe_of_what_is_gone(client: OrthancClient) -> None:
    """An instance that left the server is not found."""
    reason = probe(client, UNKNOWN, Operation.ANONYMIZE, ANONYMIZE)

    assert reason is not None
    assert ReasonCode.NOT_FOUND is reason[0]


def test_refused_calls_do_nothing(client: OrthancClient) -> None:
    """Unknown instances alone and a missing Force are refused before any work (1.13.0 answers 400 to both)."""
    ids = ids_of(store(client))
    since = Changes(client).newest()

    with pytest.raises((NotFound, BadRequest)):  # 404 before 1.13.0, 400 since
        submit(client, Operation.ANONYMIZE, ANONYMIZE, [*ids, UNKNOWN])
    with pytest.raises(BadRequest, match='naming PatientID requires "Force": true'):
        submit(client, Operation.MODIFY, {"Replace": {"PatientID": "SECRET"}}, ids)
    assert {} == outputs_since(client, since, ids)


def test_cancelled_job_leaves_outputs_that_can_be_removed(client: OrthancClient) -> None:
    """After a cancellation all outputs are found by the changes and can be deleted, also twice."""
    ids = ids_of(store(client, instances=60))
    since = Changes(client).newest()
    job_id = submit(client, Operation.ANONYMIZE, ANONYMIZE, ids)
    while not read_job(client, job_id).output_instances:
        pass
    job = cancel(client, job_id, PATIENTLY_S)
    left = outputs_since(client, since, ids)

    assert job is not None
    if job.state is JobState.FAILURE:  # else it was faster
        assert job.failure is not None
        assert CANCELLED == job.failure.orthanc_status
    assert set(job.output_instances) <= set(left)  # the list of a cancelled job of 1.12.7 lacks the last one
    delete_instances(client, [*left, UNKNOWN])
    delete_instances(client, left)
    assert {} == outputs_since(client, since, ids)
    assert set(ids) == still_there(client, ids)
    assert None is cancel(client, "no-such-job", PATIENTLY_S)


def test_a_job_whose_result_is_deleted_meanwhile(client: OrthancClient) -> None:
    """From 1.11.3 on such a job looks for the result at its end, for ever: it is ended, and the rest is its result."""
    ids = ids_of(store(client, instances=60))
    job_id = submit(client, Operation.ANONYMIZE, ANONYMIZE, ids)
    while not (made := read_job(client, job_id).output_instances):
        pass
    client.post("tools/bulk-delete", {"Resources": [made[0]]})
    job = wait(client, job_id, PATIENTLY_S)
    if job.state is JobState.RUNNING:
        job = end_last_step(client, job, PATIENTLY_S)

    assert (JobState.SUCCESS, 60) == (job.state, len(job.output_instances))
    assert read_job(client, job_id).state.is_final
    assert 59 == len(map_outputs(client, job.outputs, ids).of)


def test_waiting_ends_at_the_deadline_and_when_stopped(client: OrthancClient) -> None:
    """A paused job does not end by itself; it is asked twice a second, no more."""
    ids = ids_of(store(client, instances=60))
    job_id = submit(client, Operation.ANONYMIZE, ANONYMIZE, ids)
    client.post(f"jobs/{job_id}/pause")
    began = time.monotonic()

    with pytest.raises(DeadlineExceeded, match="paused"):
        wait(client, job_id, 1.2)
    assert client.counts["GET jobs/{id}"] <= 1 + (time.monotonic() - began) / 0.5
    with pytest.raises(Interrupted):
        wait(client, job_id, PATIENTLY_S, stopped=lambda: True)
    client.post(f"jobs/{job_id}/resume")
    assert 60 == len(wait(client, job_id, PATIENTLY_S).output_instances)


class Clock:
    """In the place of ``time``: nobody waits, and time passes all the same.

    Attributes:
        now: In seconds.

    """

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        """Return the time."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


def test_a_job_that_takes_long_is_asked_more_and_more_rarely(
    client: OrthancClient, access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Soon at first, since most jobs are short; some 50 times in five seconds; then twice a second at most."""
    job_id = submit(client, Operation.ANONYMIZE, ANONYMIZE, ids_of(store(client)))
    wait(client, job_id, PATIENTLY_S)
    said = client.get(f"jobs/{job_id}")
    begun = {"State": "Running", "Progress": 0, "EffectiveRuntime": 0.0}
    still = {**said, **begun, "Content": {**said["Content"], "Resources": []}}
    clock = Clock()
    asked: list[float] = []

    def answer(_: httpx.Request) -> httpx.Response:
        asked.append(clock.now)
        return httpx.Response(200, json=still)

    monkeypatch.setattr(jobs_module, "time", clock)
    with (
        OrthancClient("http://orthanc.test", access, transport=httpx.MockTransport(answer)) as standing_still,
        pytest.raises(DeadlineExceeded),
    ):
        wait(standing_still, job_id, 20.0)

    assert asked[0] < 0.05
    assert 30 < sum(when < 5 for when in asked) <= 55
    assert all(after - before > 0.49 for before, after in pairwise(asked) if before > 5)
    assert 20 <= asked[-1] < 21


def test_lost_job_is_found(client: OrthancClient) -> None:
    """A job whose identifier was never received is found by the mark of its outputs; another's of the same is not."""
    ids, others = (ids_of(store(client, instances=3)) for _ in range(2))
    marked = {**ANONYMIZE, "Replace": {str(MARK.path): MARK.uid}}
    for resources in (ids, others):
        wait(client, submit(client, Operation.ANONYMIZE, ANONYMIZE, resources), PATIENTLY_S)
    job_id = submit(client, Operation.ANONYMIZE, marked, ids)

    assert [job_id] == [job.id for job in find_jobs(client, Operation.ANONYMIZE, ids, mark=MARK)]
    assert [] == find_jobs(client, Operation.ANONYMIZE, ids, mark=Mark(MARK.path, f"{MARK.uid}1"))
    assert [] == find_jobs(client, Operation.ANONYMIZE, ids)
    assert [] == find_jobs(client, Operation.MODIFY, ids, mark=MARK)
    assert [] == find_jobs(client, Operation.ANONYMIZE, ids[:2], mark=MARK)
    wait_for_possible_jobs(client, Operation.ANONYMIZE, ids)


def test_a_possible_job_is_waited_for(client: OrthancClient) -> None:
    """Without a mark nobody knows whose job it is: it is not cancelled, and nothing is sent beside it."""
    ids = ids_of(store(client, instances=60))
    job_id = submit(client, Operation.ANONYMIZE, ANONYMIZE, ids)
    client.post(f"jobs/{job_id}/pause")

    with pytest.raises(DeadlineExceeded, match="try again later"):
        wait_for_possible_jobs(client, Operation.ANONYMIZE, ids, deadline_s=0.6)
    assert (True, False) == (others_at_work(client, ids, ()), others_at_work(client, ids, {job_id}))
    client.post(f"jobs/{job_id}/resume")
    assert 60 == len(wait(client, job_id, PATIENTLY_S).output_instances)


def test_results_are_told_from_originals_by_the_inventory(client: OrthancClient) -> None:
    """Resolving a patient again also finds the results that landed in it, marked as such."""
    uploads = store(client, instances=2)
    wait(client, submit(client, Operation.MODIFY, {}, ids_of(uploads)), PATIENTLY_S)

    found = list(resolve(client, ids_of(uploads, depth=0)))
    assert 4 == len(found)
    assert set(ids_of(uploads)) == {one.orthanc_ids[3] for one in found if one.orthanc_ids and not one.is_result}
