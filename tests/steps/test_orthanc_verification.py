"""What verifying costs an Orthanc in requests, and what becomes of results that change on it meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pydicom

from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers, Level
from deidflow.tasks.core.outcomes import Outcome, ReasonCode
from tests.dicom_files import Element, Item, instance
from tests.orthanc_proxy import Answer, OrthancProxy, Request, Response
from tests.steps.steps import Steps

if TYPE_CHECKING:
    from pathlib import Path

    from tests.contract.server import Server

COUNT: Final = 100
PATIENTS: Final = ("P-1", "P-2")
ROWS: Final = [DicomIdentifiers(patient, "", "", "").orthanc_id(Level.PATIENT) for patient in PATIENTS]
REFERENCE: Final = 0x00081140


def _reference(number: int) -> Element:
    uids = (
        Element(0x00081150, "UI", b"1.2.840.10008.5.1.4.1.1.2\0"),
        Element(0x00081155, "UI", f"1.2.3.1.1.{number}".encode()),
    )
    return Element(REFERENCE, "SQ", (Item(uids),))


def _fill(folder: Path, server: Server) -> None:
    """Two patients, whose instances each name the next one of all: two references go to the other patient."""
    folder.mkdir()
    for number in range(COUNT):
        patient = PATIENTS[number >= COUNT // 2]
        file = instance(
            _reference((number + 1) % COUNT),
            PatientID=patient,
            StudyInstanceUID=f"1.2.3.{patient[-1]}",
            SeriesInstanceUID=f"1.2.3.{patient[-1]}.1",
            SOPInstanceUID=f"1.2.3.1.1.{number}",
        )
        (folder / f"{number:03}.dcm").write_bytes(file)
    server.upload(folder)


def _planned(root: Path, server: Server, url: str, *, together: bool = True, **changes: Any) -> Steps:
    """Plan an anonymization of two patients on the server itself, in one call or in one each."""
    _fill(root / "files", server)
    steps = Steps(root)
    rows = [{"orthanc_id": row, "Replace.StudyDescription": "" if together else str(n)} for n, row in enumerate(ROWS)]
    settings: dict[str, Any] = {
        "engine": "orthanc",
        "source": {"orthanc": url},
        "destination": None,
        "pseudonyms": None,
        "options": {"DicomVersion": "2021b", "Force": True},
        "orthanc": {"accept_unstable": True},
        "execution": {"workers": 1},
    }
    steps.plan(rows, **(settings | changes))
    return steps


def _count(proxy: OrthancProxy, seen: list[str]) -> None:
    def note(request: Request, response: Response | None) -> bool:
        if response is None:
            seen.append(request.path)
        return False

    proxy.add(Answer(503), note, times=None)


def test_full_takes_few_requests_more(tmp_path: Path, server: Server, proxy: OrthancProxy) -> None:
    """One archive of originals and one of results for 100 instances; a look at the identifiers takes one request."""
    steps = _planned(tmp_path, server, proxy.url)
    steps.edit()
    seen: dict[bool, list[str]] = {False: [], True: []}
    for full, paths in seen.items():
        _count(proxy, paths)
        assert 0 == steps.verify(again=True, full=full)
        proxy.clear()

    assert len(seen[True]) - len(seen[False]) <= COUNT / 40
    assert {"/tools/create-archive"} == set(seen[True])
    assert steps.report().reconciled


def test_calls_of_their_own(tmp_path: Path, server: Server) -> None:
    """A reference from one call to another's object cannot be followed by a server; all within a call is."""
    steps = _planned(tmp_path, server, server.url, together=False)
    steps.edit()

    assert 0 == steps.verify()

    assert COUNT == steps.report().instances[Outcome.DONE]


def test_results_that_change_on_the_server(tmp_path: Path, server: Server) -> None:
    """One is deleted, in one there is the patient's name again: two instances fail, all others are verified."""
    steps = _planned(tmp_path, server, server.url)
    steps.edit()
    results = steps.run.ledger.select("SELECT new_orthanc_id FROM instance ORDER BY id")
    gone, changed = results[10][0], results[20][0]
    dataset = server.dataset(changed)
    dataset.PatientName = pydicom.dcmread(tmp_path / "files" / "020.dcm").PatientName
    server.delete(f"instances/{gone}")
    server.delete(f"instances/{changed}")
    (tmp_path / "more").mkdir()
    dataset.save_as(tmp_path / "more" / "changed.dcm")
    server.upload(tmp_path / "more")

    assert 2 == steps.verify()

    result = steps.report()
    assert (COUNT - 2, 1, 1) == tuple(result.instances[one] for one in (Outcome.DONE, Outcome.MISSING, Outcome.FAILED))
    assert {ReasonCode.RESULT_MISSING} <= set(result.instance_reasons)


def test_a_server_that_packs_nothing(tmp_path: Path, server: Server, proxy: OrthancProxy) -> None:
    """Where a proxy lets no archive through, the files are read one by one, with the same end."""
    steps = _planned(tmp_path, server, proxy.url)
    steps.edit()
    refused = proxy.add(Answer(403), lambda request, _: request.path == "/tools/create-archive", times=None)

    assert 0 == steps.verify()

    assert 2 == refused.hits
    assert steps.report().reconciled
