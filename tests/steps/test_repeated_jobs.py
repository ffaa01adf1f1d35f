"""What a server makes again of calls whose results were taken: the run's own copies go, nobody else's.

A 1.10.1 that is really killed is in tests/contract/test_orthanc_killed.py; here the server gets a call once more.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest

from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers, Level
from deidflow.tasks.steps.run.progress import make_progress
from deidflow.tasks.steps.withdraw import withdraw_results
from tests.dicom_files import instance
from tests.orthanc_proxy import Answer, OrthancProxy
from tests.steps.steps import Steps

if TYPE_CHECKING:
    from pathlib import Path

    from tests.contract.server import Server
    from tests.orthanc_proxy import Request, Response

COUNT: Final = 3
STUDY: Final = DicomIdentifiers("P-1", "1.2.3.1", "", "").orthanc_id(Level.STUDY)
WITHOUT_MARK: Final = {"InstanceCreatorUID": "1.2.3.4", "StorageMediaFileSetUID": "1.2.3.5"}


def _edited(folder: Path, server: Server, proxy: OrthancProxy, **replace: str) -> Steps:
    """Return a run whose edits are done."""
    (folder / "files").mkdir()
    for number in range(COUNT):
        content = instance(
            PatientID="P-1",
            StudyInstanceUID="1.2.3.1",
            SeriesInstanceUID="1.2.3.1.1",
            SOPInstanceUID=f"1.2.3.1.1.{number}",
        )
        (folder / "files" / f"{number}.dcm").write_bytes(content)
    server.upload(folder / "files")
    steps = Steps(folder)
    steps.plan(
        [STUDY],
        engine="orthanc",
        source={"orthanc": proxy.url},
        destination=None,
        pseudonyms=None,
        options={"DicomVersion": "2021b", "Replace": replace},
        orthanc={"accept_unstable": True},
        execution=None,
    )
    steps.edit()
    return steps


def _send_again(server: Server, proxy: OrthancProxy, **changes: Any) -> tuple[str, set[str]]:
    """Send the run's call once more; return the job, and the instances that it made."""
    (call,) = (json.loads(one.body) for one in proxy.requests if one.path.startswith("/tools/bulk-anonymize"))
    before = set(server.get("instances"))
    job = server.post("tools/bulk-anonymize", {**call, **changes})["ID"]
    while server.get(f"jobs/{job}")["State"] != "Success":
        pass
    return job, set(server.get("instances")) - before


def test_own_copies_go_and_those_of_others_stay(tmp_path: Path, server: Server, proxy: OrthancProxy) -> None:
    """The mark tells them apart; results and originals of the run are never in question."""
    steps = _edited(tmp_path, server, proxy)
    before = set(server.get("instances"))
    _, copies = _send_again(server, proxy)
    _, others = _send_again(server, proxy, Replace={})
    assert (COUNT, COUNT) == (len(copies), len(others))

    steps.finish()

    assert before | others == set(server.get("instances"))
    assert 0 == steps.verify()
    assert steps.report().reconciled


def test_a_job_at_work_that_writes_the_mark_is_cancelled(tmp_path: Path, server: Server, proxy: OrthancProxy) -> None:
    """An earlier attempt's, whose number the ledger has no more: it would go on making copies."""
    steps = _edited(tmp_path, server, proxy)
    own, _ = _send_again(server, proxy)
    other, _ = _send_again(server, proxy, Replace={})

    def is_list(request: Request, _: Response | None) -> bool:
        return request.path == "/jobs?expand="

    # As the server tells while they run, which with three instances is too short to be met.
    running = [server.get(f"jobs/{job}") | {"State": "Running"} for job in (own, other)]
    proxy.add(Answer(200, {"Content-Type": "application/json"}, json.dumps(running).encode()), is_list)
    steps.finish()

    cancelled = [one.path for one in proxy.requests if one.path.endswith("/cancel")]
    assert [f"/jobs/{own}/cancel"] == cancelled


@pytest.mark.parametrize("is_known", [True, False])
def test_without_a_mark_only_what_the_calls_job_lists(
    tmp_path: Path, server: Server, proxy: OrthancProxy, is_known: bool
) -> None:
    """What another job made of the same originals may be anybody's; what is listed can be taken back."""
    steps = _edited(tmp_path, server, proxy, **WITHOUT_MARK)
    before = set(server.get("instances"))
    job, copies = _send_again(server, proxy)
    if is_known:
        steps.run.ledger.execute("UPDATE call SET job = ?", (job,))

    steps.finish()

    assert before | (set() if is_known else copies) == set(server.get("instances"))
    assert (COUNT, 0, 0) == withdraw_results(steps.run, (), make_progress(quiet=True))
