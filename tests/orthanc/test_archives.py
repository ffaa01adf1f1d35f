"""Many files in one request: whatever an archive lacks is told apart, and what it holds is what the server stores."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from deidflow.tasks.core.config.config import OrthancAccess
from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers
from deidflow.tasks.core.engine.protocol import PlannedInstance
from deidflow.tasks.core.errors import InstanceFailed, TransientError
from deidflow.tasks.orthanc.connection.client import OrthancClient
from deidflow.tasks.orthanc.resources.archives import Archive, WantedFile, read_archive
from deidflow.tasks.orthanc.store import OrthancServer, OrthancSource, OrthancStore
from tests.orthanc.shelf import UNKNOWN, lose_file, make, new_uid, store

if TYPE_CHECKING:
    from deidflow.tasks.orthanc.connection.client import Access, Uploaded
    from tests.orthanc_server import OrthancServer as RunningServer

NOBODY = DicomIdentifiers("", "", "", "")


def _content(client: OrthancClient, name: str) -> bytes:
    target = io.BytesIO()
    client.download(name, target)
    return target.getvalue()


def _wanted(client: OrthancClient, uploads: list[Uploaded]) -> list[WantedFile]:
    names = [upload.orthanc_ids[3] for upload in uploads]
    return [WantedFile(name, client.get(f"instances/{name}")["MainDicomTags"]["SOPInstanceUID"]) for name in names]


def test_many_files_in_one_request(client: OrthancClient) -> None:
    """Of several patients, studies and series, each byte for byte."""
    wanted = _wanted(client, [*store(client, studies=2, series=2, instances=3), *store(client, instances=2)])
    before = client.counts.total()

    with read_archive(client, wanted) as archive:
        assert 1 == client.counts.total() - before
        assert [_content(client, one.orthanc_id) for one in wanted] == [archive.read(one.orthanc_id) for one in wanted]


def test_one_that_is_gone(client: OrthancClient) -> None:
    """The others come all the same, for two requests more."""
    wanted = [*_wanted(client, store(client, instances=3)), WantedFile(UNKNOWN, new_uid())]
    before = client.counts.total()

    with read_archive(client, wanted) as archive:
        assert 3 == client.counts.total() - before
        assert [True, True, True, False] == [archive.read(one.orthanc_id) is not None for one in wanted]


def test_a_file_that_the_server_has_lost(orthanc: RunningServer, client: OrthancClient) -> None:
    """An archive without it, or none at all: never another file in its place."""
    wanted = _wanted(client, store(client, instances=3))
    kept = {one.orthanc_id: _content(client, one.orthanc_id) for one in wanted[1:]}
    lose_file(orthanc, client, wanted[0].orthanc_id)

    with read_archive(client, wanted) as archive:
        assert archive.read(wanted[0].orthanc_id) is None
        assert all(archive.read(name) in (None, data) for name, data in kept.items())


def test_two_objects_with_one_uid(client: OrthancClient) -> None:
    """Of two patients: nobody can tell which file is which, so both are left to requests of their own."""
    uid = new_uid()
    twins = [client.upload(make(SOPInstanceUID=uid)) for _ in range(2)]
    wanted = _wanted(client, [*twins, *store(client)])

    with read_archive(client, wanted) as archive:
        assert [False, False, True] == [archive.read(one.orthanc_id) is not None for one in wanted]


def test_source_and_store_read_from_it(orthanc: RunningServer, client: OrthancClient) -> None:
    """What is in the archive takes no further request, what is not takes one."""
    (first, second), other = _wanted(client, store(client, instances=2)), _wanted(client, store(client))[0]
    server = OrthancServer(orthanc.url, OrthancAccess(), None)
    planned = [
        PlannedInstance(0, b"", 0, 0, NOBODY._replace(sop_instance_uid=one.sop_instance_uid), NOBODY, one.orthanc_id)
        for one in (first, second, other)
    ]
    results = [(one.original, one.orthanc_id) for one in planned[:2]]
    before = server.client().counts.total()

    with OrthancSource(server).together(planned[:2]) as source, OrthancStore(server).together(results) as stored:
        assert [_content(client, one.orthanc_id) for one in planned] == [
            source.reopen(one).stream().read() for one in planned
        ]
        assert 3 == server.client().counts.total() - before  # two archives, and the one that is in none
        assert _content(client, first.orthanc_id) == stored.open(*results[0]).stream().read()
        with pytest.raises(InstanceFailed):
            stored.open(NOBODY, UNKNOWN)


def _zip(files: dict[str, bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return target.getvalue()


UIDS = ("1.2.3.1", "1.2.3.2")
FILES = {uid: make(SOPInstanceUID=uid) for uid in UIDS}
WHOLE = _zip({f"patient/{uid}.dcm": data for uid, data in FILES.items()})
WANTED = [WantedFile(f"{number:08}{UNKNOWN[8:]}", uid) for number, uid in enumerate(UIDS)]


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ({"content": WHOLE}, 2),
        ({"content": WHOLE[: len(WHOLE) // 2]}, 0),
        ({"content": WHOLE.replace(b"DICM", b"MCID")}, None),
        ({"content": b"<html>a proxy's page</html>"}, 0),
        ({"content": b""}, 0),
        ({"content": _zip({"a": FILES[UIDS[0]], "b": FILES[UIDS[0]]})}, 0),
        ({"content": _zip({"a": FILES[UIDS[0]], "b": b"no DICOM"})}, 1),
        ({"content": _zip({str(number): FILES[UIDS[0]] for number in range(3)})}, 0),
        ({"status_code": 403}, 0),
        ({"status_code": 404}, 0),
        ({"status_code": 500}, 0),
        ({"status_code": 501}, 0),
    ],
)
def test_servers_that_pack_nothing_sound(access: Access, answer: dict[str, Any], found: int | None) -> None:
    """No archive, a broken one, one of other files: the files are asked for one by one, and nothing is raised."""

    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("create-archive"):
            return httpx.Response(**{"status_code": 200, **answer})
        return httpx.Response(200, json=[])

    with (
        OrthancClient("http://orthanc", access, transport=httpx.MockTransport(handle)) as client,
        read_archive(client, WANTED) as archive,
    ):
        read = [archive.read(one.orthanc_id) for one in WANTED]

    assert all(data in (None, FILES[one.sop_instance_uid]) for data, one in zip(read, WANTED, strict=True))
    assert found is None or found == sum(data is not None for data in read)


def test_a_server_that_is_away(access: Access) -> None:
    """Says nothing about any file, and is told as such."""

    def handle(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    with (
        OrthancClient("http://orthanc", access, transport=httpx.MockTransport(handle)) as client,
        pytest.raises(TransientError),
        read_archive(client, WANTED),
    ):
        pass


def test_no_archive_holds_nothing() -> None:
    """As of a server that was not asked for one."""
    assert Archive().read(UNKNOWN) is None
