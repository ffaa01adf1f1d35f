"""Runs whose engine is a real Orthanc, step by step: what is in doubt is settled before anything is sent again.

A call is intended, sent, ended, or to be redone (``CallState``). Whatever was lost on the way, each original ends with
one result, and what an earlier request made is taken or deleted.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import pytest

from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers, Level
from deidflow.tasks.core.engine.protocol import CallState
from deidflow.tasks.core.errors import Interrupted, InvalidInput, TransientError
from deidflow.tasks.core.ledger.journal import LedgerJournal
from deidflow.tasks.core.outcomes import Outcome
from deidflow.tasks.core.report.totals import DeletedSources
from tests.contract.server import SETTINGS, Server, require_orthanc
from tests.dicom_files import Element, elements, instance
from tests.orthanc_proxy import Answer, OrthancProxy, Reset, Run
from tests.orthanc_server import OrthancServer
from tests.steps.steps import Steps

if TYPE_CHECKING:
    from pathlib import Path

    from tests.orthanc_proxy import Request, Response

COUNT: Final = 4
STUDY: Final = DicomIdentifiers("P-1", "1.2.3.1", "", "").orthanc_id(Level.STUDY)
INSTANCE: Final = DicomIdentifiers("P-1", "1.2.3.1", "1.2.3.1.1", "1.2.3.1.1.0").orthanc_id(Level.INSTANCE)


def _fill(folder: Path, server: Server) -> None:
    folder.mkdir()
    for number in range(COUNT):
        names: dict[str, Any] = {
            "PatientID": "P-1",
            "StudyInstanceUID": "1.2.3.1",
            "SeriesInstanceUID": "1.2.3.1.1",
            "SOPInstanceUID": f"1.2.3.1.1.{number}",
        }
        (folder / f"{number}.dcm").write_bytes(instance(**names, InstanceNumber=str(number)))
    server.upload(folder)


def _plan(steps: Steps, url: str, *, rows: list[str] | None = None, **changes: Any) -> None:
    settings: dict[str, Any] = {
        "engine": "orthanc",
        "source": {"orthanc": url},
        "destination": None,
        "pseudonyms": None,
        "options": {"DicomVersion": "2021b"},
        "orthanc": {"accept_unstable": True},
        "execution": None,
    }
    steps.plan(rows or [STUDY], **(settings | changes))


@pytest.fixture
def steps(tmp_path: Path, server: Server, proxy: OrthancProxy) -> Steps:
    """A planned anonymization of one study of four instances."""
    made = Steps(tmp_path)
    _fill(tmp_path / "files", server)
    _plan(made, proxy.url)
    return made


def _is_bulk_call(request: Request, _: Response | None) -> bool:
    return request.path.startswith(("/tools/bulk-anonymize", "/tools/bulk-modify"))


def _assert_done_once(steps: Steps, server: Server) -> None:
    assert 0 == steps.verify()
    result = steps.report()
    assert {Outcome.DONE: COUNT} == {outcome: count for outcome, count in result.instances.items() if count}
    assert result.reconciled
    assert [1] * COUNT == [len(made) for made in server.originals().values()]
    assert 2 * COUNT == len(server.get("instances"))
    assert CallState.ENDED is LedgerJournal(steps.run.ledger).recall(1).state


def test_a_run_and_nothing_left_to_do(steps: Steps, server: Server) -> None:
    """Every original has its result; editing once more and resuming send nothing."""
    steps.edit()
    _assert_done_once(steps, server)

    steps.edit()
    steps.resume()

    _assert_done_once(steps, server)


@pytest.mark.parametrize("before", [True, False], ids=["request-lost", "answer-lost"])
def test_a_lost_request_and_a_lost_answer(steps: Steps, server: Server, proxy: OrthancProxy, before: bool) -> None:
    """The engine cannot tell the two apart: it looks on the server what became of the request, and sends it again."""
    proxy.add(Reset(before=before), _is_bulk_call)

    with pytest.raises(TransientError):
        steps.edit()
    assert CallState.PLANNED is LedgerJournal(steps.run.ledger).recall(1).state
    steps.edit()

    _assert_done_once(steps, server)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a process that is gone, the engine does not wait for its server to come back."""
    monkeypatch.setattr("deidflow.tasks.orthanc.engine._BACK_S", 0.0)


@pytest.mark.usefixtures("impatient")
def test_a_run_that_dies_before_it_knows_its_job(steps: Steps, server: Server, proxy: OrthancProxy) -> None:
    """The intent is on disk; the next attempt stops the job that nobody knew, and only then sends the call again."""
    proxy.add(Reset(), _is_bulk_call)
    gone = lambda *_: any(_is_bulk_call(one, None) for one in proxy.requests[:-1])  # noqa: E731
    proxy.add(Reset(before=True), gone, times=None)
    with pytest.raises(TransientError):
        steps.edit()
    memory = LedgerJournal(steps.run.ledger).recall(1)
    assert (CallState.INTENDED, COUNT) == (memory.state, len(memory.sent))

    proxy.clear()
    steps.edit()

    _assert_done_once(steps, server)
    assert 2 == sum(_is_bulk_call(request, None) for request in proxy.requests)


@pytest.mark.usefixtures("impatient")
def test_a_run_that_loses_the_server_after_its_job_began(steps: Steps, server: Server, proxy: OrthancProxy) -> None:
    """The job's number is on disk: its results are taken, and nothing is sent again."""
    proxy.add(Reset(before=True), lambda request, _: request.path.startswith("/jobs/"), times=None)
    with pytest.raises(TransientError):
        steps.edit()
    assert CallState.SENT is LedgerJournal(steps.run.ledger).recall(1).state

    server.wait_for(2 * COUNT)
    while "Running" in {job["State"] for job in server.get("jobs?expand")}:  # one that still runs is cancelled
        time.sleep(0.01)
    proxy.clear()
    steps.edit()

    _assert_done_once(steps, server)
    assert 1 == sum(_is_bulk_call(request, None) for request in proxy.requests)


def test_a_stopped_run_leaves_nothing_half_done(steps: Steps, server: Server, proxy: OrthancProxy) -> None:
    """Told to stop while its job runs, it cancels the job and deletes what that made, unless the job was faster."""
    proxy.add(Run(steps.run.stop.set), _is_bulk_call)

    with pytest.raises(Interrupted):
        steps.edit()
    assert len(server.originals()) in (0, COUNT)
    assert [] == [job for job in server.get("jobs?expand") if job["State"] in ("Pending", "Running")]
    steps.run.stop.clear()
    steps.resume()

    _assert_done_once(steps, server)


def test_a_result_that_vanished_is_made_again(steps: Steps, server: Server) -> None:
    """The call is redone with its patient as a whole, since a second call would give other identifiers.

    A look at the identifiers alone finds what is gone, and what is back.
    """
    steps.edit()
    before = {name for made in server.originals().values() for name in made}
    gone, again = min(before), steps.root / "again"
    again.mkdir()
    server.dataset(gone).save_as(again / "gone.dcm")
    server.delete(f"instances/{gone}")
    assert 1 == steps.verify(full=False)
    server.upload(again)
    assert 0 == steps.verify(full=False, again=True)
    assert COUNT == steps.report().instances[Outcome.DONE]
    server.delete(f"instances/{gone}")
    assert 1 == steps.verify(full=False, again=True)

    steps.resume()

    _assert_done_once(steps, server)
    assert before.isdisjoint(name for made in server.originals().values() for name in made)


def test_an_original_that_left_fails_alone(steps: Steps, server: Server) -> None:
    """The others are done; the one that is gone is told, and resume takes it up when it is back."""
    server.delete(f"instances/{INSTANCE}")

    steps.edit()
    steps.verify()

    assert (COUNT - 1, 1) == tuple(steps.report().instances[outcome] for outcome in (Outcome.DONE, Outcome.FAILED))
    assert COUNT - 1 == len(server.originals())


def test_a_value_that_the_server_refuses(tmp_path: Path, server: Server) -> None:
    """Its answer is final: every instance fails with its words, and nothing is in doubt."""
    steps = Steps(tmp_path)
    _fill(tmp_path / "files", server)
    with OrthancProxy(server.url) as proxy:
        _plan(steps, proxy.url)
        proxy.add(Answer(400, {}, b'{"OrthancStatus": 8, "Message": "Bad request"}'), _is_bulk_call)
        steps.edit()

    assert COUNT == steps.report().instances[Outcome.FAILED]
    assert CallState.ENDED is LedgerJournal(steps.run.ledger).recall(1).state


@pytest.mark.parametrize("rows", [[STUDY], [INSTANCE]])
def test_a_modification_and_its_sources(tmp_path: Path, server: Server, rows: list[str]) -> None:
    """With KeepSource: false the originals that were asked for go last, and no other."""
    steps = Steps(tmp_path)
    _fill(tmp_path / "files", server)
    options = {"Replace": {"PatientID": "NEW", "PatientName": "New"}, "Force": True, "KeepSource": False}
    _plan(steps, server.url, rows=rows, operation="modify", options=options)
    asked = COUNT if rows == [STUDY] else 1

    steps.edit()
    assert 0 == steps.verify()
    steps.report()

    assert DeletedSources(asked, 0, 0) == steps.delete()
    assert asked == len(server.originals())
    assert COUNT == len(server.get("instances"))


def test_a_job_that_the_server_forgets(tmp_path: Path) -> None:
    """With JobsHistorySize 0 a job is gone when it ends: what it made is recognised by its mark."""
    require_orthanc()
    with OrthancServer(None, {**SETTINGS, "JobsHistorySize": 0}) as running:
        server = Server(running)
        steps = Steps(tmp_path)
        _fill(tmp_path / "files", server)
        _plan(steps, server.url)
        steps.edit()
        _assert_done_once(steps, server)
        server.close()


def test_what_this_server_cannot_do_is_refused_by_the_plan(tmp_path: Path, server: Server) -> None:
    """Before anything is sent, with the key."""
    steps = Steps(tmp_path)
    _fill(tmp_path / "files", server)

    with pytest.raises(InvalidInput, match="DicomVersion"):
        _plan(steps, server.url, options={"DicomVersion": "2023b"})

    assert COUNT == len(server.get("instances"))


def _nested(levels: int, name: str) -> Element:
    """Return a sequence that the profile keeps, with a name so many levels below the top."""
    inner: dict[str, Any] = {"PatientName": name}
    for _ in range(levels - 1):
        inner = {"ChannelDefinitionSequence": [inner]}
    return elements({"WaveformSequence": [inner]})[0]


@pytest.mark.parametrize("at_once", [500, 0], ids=["by study", "one by one"])
def test_names_deeper_than_hardening(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    """Where results are not read back in full, the server is asked for what is left in sequences."""
    monkeypatch.setattr("deidflow.tasks.orthanc.resources.deep_names._MAX_AT_ONCE", at_once)
    steps = Steps(tmp_path)
    (tmp_path / "files").mkdir()
    for number, (levels, name) in enumerate(((1, "Doe^Jane"), (3, "Doe^Jane"), (3, "Phantom"))):
        names: dict[str, Any] = {"SOPInstanceUID": f"1.2.3.1.1.{number}", "PatientName": "Doe^Jane"}
        (tmp_path / "files" / f"{number}.dcm").write_bytes(instance(_nested(levels, name), **names))
    server.upload(tmp_path / "files")
    _plan(steps, server.url, verify="identifiers")

    steps.edit()

    result = steps.report()
    assert (2, 1) == tuple(result.instances[outcome] for outcome in (Outcome.DONE, Outcome.FAILED))
    assert 2 == len(server.originals())


def test_an_object_that_the_server_cannot_convert(tmp_path: Path, server: Server) -> None:
    """It stores the result as it was and says that all is well; the instance fails, and its result goes."""
    deep: dict[str, Any] = {"BitsAllocated": 16, "BitsStored": 16, "HighBit": 15, "PixelRepresentation": 0}
    deep |= {"Rows": 4, "Columns": 4, "SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2"}
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "0.dcm").write_bytes(instance(PixelData=bytes(32), **deep))
    server.upload(tmp_path / "files")
    steps = Steps(tmp_path)
    _plan(steps, server.url, options={"DicomVersion": "2021b", "Transcode": "1.2.840.10008.1.2.4.50"})

    steps.edit()

    assert 1 == steps.report().instances[Outcome.FAILED]
    assert {} == server.originals()
