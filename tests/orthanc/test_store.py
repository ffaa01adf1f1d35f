"""An Orthanc as source and as store of the local engine: what is there is read as it is, nothing of others is lost."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from pydicom import dcmread
from pydicom.filebase import DicomBytesIO

from deidflow.tasks.core.config.config import OrthancAccess
from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers, Level
from deidflow.tasks.core.engine.protocol import PlannedInstance
from deidflow.tasks.core.errors import InstanceFailed, TransientError, Unusable
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.core.request.request import Operation
from deidflow.tasks.orthanc.replaced import FOLDER, Replaced
from deidflow.tasks.orthanc.store import OrthancServer, OrthancSource, OrthancStore
from tests.orthanc.shelf import UNKNOWN, lose_file, make
from tests.orthanc_proxy import Answer, OrthancProxy, Reset, Run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from deidflow.tasks.core.engine.stores import ResultContent
    from deidflow.tasks.orthanc.connection.client import OrthancClient
    from tests import orthanc_server
    from tests.orthanc_proxy import Request, Response

REFUSED = Answer(400, {}, b'{"HttpStatus": 400, "OrthancStatus": 8, "Message": "Bad request"}')
FULL = Answer(507, {}, b'{"HttpStatus": 507, "OrthancStatus": 19, "Message": "Full storage"}')


class _Content:
    """A result in memory."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def to_bytes(self) -> bytes:
        return self._data


@pytest.fixture
def proxy(orthanc: orthanc_server.OrthancServer) -> Iterator[OrthancProxy]:
    """What stands before the server."""
    with OrthancProxy(orthanc.url) as made:
        yield made


def _reached(url: str) -> OrthancServer:
    return OrthancServer(url, OrthancAccess(timeout_seconds=30), None)


def _planned(data: bytes) -> PlannedInstance:
    dataset = dcmread(DicomBytesIO(data), force=True)
    names = DicomIdentifiers(
        *(
            str(dataset.get(name, ""))
            for name in ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
        )
    )
    return PlannedInstance(1, b"", 0, 0, names, names, names.orthanc_id(Level.INSTANCE))


def _published(url: str, data: bytes, folder: Path | None = None) -> InstanceFailed | None:
    """Store a result; return why it is not there."""
    content: ResultContent = _Content(data)  # type: ignore[assignment]
    writer = OrthancStore(_reached(url), None if folder is None else str(folder)).writer()
    (problem,) = writer.publish([writer.stage(content, _planned(data), Operation.MODIFY)])
    return problem


def _there(url: str, data: bytes) -> bytes:
    return OrthancStore(_reached(url)).open(_planned(data).new, _planned(data).orthanc_id).stream().read()


def _is_upload(request: Request, _: Response | None) -> bool:
    return request.method == "POST" and request.path == "/instances"


def test_an_original_as_it_is_stored(client: OrthancClient, proxy: OrthancProxy) -> None:
    """The same bytes each time it is opened; one that left has changed, or is not there."""
    data = make()
    client.upload(data)
    source, instance = OrthancSource(_reached(proxy.url)), _planned(data)
    opened = source.open(instance)

    assert (data, len(data)) == (opened.data, opened.size)
    assert data == source.reopen(instance).stream().read()
    assert ("", "") == (source.content(opened), source.lacks())
    source.check(opened, instance)
    gone = instance._replace(orthanc_id=UNKNOWN)
    with pytest.raises(InstanceFailed) as caught:
        source.open(gone)
    assert ReasonCode.SOURCE_CHANGED is caught.value.code
    with pytest.raises(FileNotFoundError):
        source.reopen(gone)


def test_a_result_once_and_again(proxy: OrthancProxy) -> None:
    """It stands there as it was written; storing it again changes nothing."""
    data = make()
    assert _published(proxy.url, data) is None
    assert _published(proxy.url, data) is None

    assert data == _there(proxy.url, data)
    assert "" == OrthancStore(_reached(proxy.url)).lacks()


def test_another_object_in_its_place(client: OrthancClient, proxy: OrthancProxy, tmp_path: Path) -> None:
    """A conflict; where it may be replaced it gives way, and nothing is left in the run folder."""
    old = make(StudyDescription="old")
    new = _renamed(old, StudyDescription="new")
    client.upload(old)

    problem = _published(proxy.url, new)
    assert problem is not None
    assert ReasonCode.DESTINATION_CONFLICT is problem.code
    assert old == _there(proxy.url, old)
    assert _published(proxy.url, new, tmp_path) is None
    assert new == _there(proxy.url, old)
    assert [] == list((tmp_path / FOLDER).iterdir())


def _renamed(data: bytes, **values: Any) -> bytes:
    dataset = dcmread(DicomBytesIO(data))
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    output = DicomBytesIO()
    dataset.save_as(output, enforce_file_format=True)
    return output.getvalue()


@pytest.mark.parametrize(
    ("fault", "code"), [(REFUSED, ReasonCode.UNSUPPORTED), (FULL, ReasonCode.DESTINATION_UNUSABLE)], ids=["bad", "full"]
)
def test_a_server_that_does_not_take_it(
    client: OrthancClient, proxy: OrthancProxy, tmp_path: Path, fault: Answer, code: ReasonCode
) -> None:
    """The instance fails with the server's reason; an object that it was to replace is back."""
    old = make(StudyDescription="old")
    client.upload(old)
    problems = []
    for data, folder in ((make(), None), (_renamed(old, StudyDescription="new"), tmp_path)):
        proxy.add(fault, _is_upload)
        problems.append(_published(proxy.url, data, folder))

    assert [code, code] == [problem and problem.code for problem in problems]
    assert "is back" in str(problems[1])
    assert old == _there(proxy.url, old)


def test_what_leaves_while_it_is_read(
    orthanc: orthanc_server.OrthancServer, client: OrthancClient, proxy: OrthancProxy
) -> None:
    """A file that the server cannot read is its fault; where the instance has left by then, it is not there."""
    data = make()
    name = client.upload(data).orthanc_ids[3]
    lose_file(orthanc, client, name)
    found = []
    for _ in range(2):
        with pytest.raises(InstanceFailed) as caught:
            _there(proxy.url, data)
        found.append(caught.value.code)
        proxy.add(Run(lambda: client.delete(f"instances/{name}")), lambda _, answer: answer is not None)

    assert [ReasonCode.RESULT_DIFFERS, ReasonCode.RESULT_MISSING] == found


def test_an_answer_that_says_something_else(client: OrthancClient, proxy: OrthancProxy) -> None:
    """Stored under other identifiers, or not stored: the result is not where it belongs."""
    data = make()
    other = client.upload(make()).orthanc_ids
    names = dict(zip(("ParentPatient", "ParentStudy", "ParentSeries", "ID"), other, strict=True))
    body = '{"Status": "Success", ' + ", ".join(f'"{key}": "{value}"' for key, value in names.items()) + "}"
    proxy.add(Answer(200, {}, body.encode()), _is_upload)

    problem = _published(proxy.url, data)

    assert problem is not None
    assert ReasonCode.RESULT_DIFFERS is problem.code


def test_a_connection_that_breaks_off(client: OrthancClient, proxy: OrthancProxy, tmp_path: Path) -> None:
    """The chunk is tried again; what a result was to replace is on the server, or kept in the run folder."""
    old = make(StudyDescription="old")
    client.upload(old)
    proxy.add(
        Reset(before=True), lambda request, answer: _is_upload(request, answer) or request.method == "DELETE", times=2
    )
    with pytest.raises(TransientError):
        _published(proxy.url, _renamed(old, StudyDescription="new"), tmp_path)

    assert old == _there(proxy.url, old)


def test_what_is_kept_is_put_back(client: OrthancClient, proxy: OrthancProxy, tmp_path: Path) -> None:
    """Where its place is empty it is uploaded, elsewhere forgotten; half-written ones go, and so does the folder."""
    empty, taken = make(), make()
    client.upload(taken)
    replaced = Replaced(str(tmp_path))
    for data in (empty, taken):
        replaced.keep(_planned(data).orthanc_id, data)
    (tmp_path / FOLDER / ".x.part").write_bytes(b"half")
    assert {0o600} == {path.stat().st_mode & 0o777 for path in (tmp_path / FOLDER).glob("[!.]*")}

    replaced.put_back(client)

    assert empty == _there(proxy.url, empty)
    assert not (tmp_path / FOLDER).exists()
    replaced.put_back(client)  # nothing is kept any more
    replaced.put_back_if_possible(client)


def test_a_run_folder_without_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be kept is not replaced."""

    def refuse(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(Unusable, match=r"cannot be kept in .*No space left") as caught:
        Replaced(str(tmp_path)).keep(UNKNOWN, b"data")
    assert caught.value.is_for_want_of_room
