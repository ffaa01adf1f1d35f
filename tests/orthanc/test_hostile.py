"""Whatever answers in an Orthanc's place, over real sockets: an error with a sentence, in bounded time and memory."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import socket
import threading
import time
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deidflow.tasks.core.dicom.tags import Path
from deidflow.tasks.core.errors import DeidflowError
from deidflow.tasks.core.request.request import Operation
from deidflow.tasks.orthanc.connection import client as client_module
from deidflow.tasks.orthanc.connection import deadlines
from deidflow.tasks.orthanc.connection.answers import NO_JSON, parse_json
from deidflow.tasks.orthanc.connection.client import OrthancClient
from deidflow.tasks.orthanc.connection.errors import ServerError, Unreachable
from deidflow.tasks.orthanc.jobs.jobs import read_job, submit
from deidflow.tasks.orthanc.resources.bulk_content import read_content
from deidflow.tasks.orthanc.resources.changes import Changes
from deidflow.tasks.orthanc.resources.marks import Mark, find_marked
from deidflow.tasks.orthanc.resources.resources import inventory
from deidflow.tasks.orthanc.resources.server import read_server
from tests.orthanc.shelf import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from deidflow.tasks.orthanc.connection.client import Access

OK: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
LIMIT: Final = 1 << 20
STRANGE: Final = r"what answers there|does a proxy answer"
SLACK_S: Final = 5.0
"""On a busy machine."""


@contextlib.contextmanager
def speaking(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """Answer every request with what a function writes; give the address."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            while connection.recv(1 << 16):
                answer(connection)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.close()


def saying(body: bytes, *headers: bytes) -> Callable[[socket.socket], None]:
    """Return a server that always answers the same, well formed."""
    head = OK + b"".join(header + b"\r\n" for header in headers) + b"Content-Length: %d\r\n\r\n" % len(body)
    return lambda connection: connection.sendall(head + body)


def endless(connection: socket.socket) -> None:
    """Send a body that has no end."""
    connection.sendall(OK + b"Transfer-Encoding: chunked\r\n\r\n")
    while True:
        connection.sendall(b"10000\r\n" + b" " * 0x10000 + b"\r\n")


def dripping(head: bytes) -> Callable[[socket.socket], None]:
    """Send a beginning, then a byte each 50 ms."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(head)
        while True:
            connection.sendall(b"x")
            time.sleep(0.05)

    return answer


def informing(connection: socket.socket) -> None:
    """Say again and again that the answer will come."""
    while True:
        connection.sendall(b"HTTP/1.1 102 Processing\r\n\r\n")
        time.sleep(0.01)


BOMB: Final = gzip.compress(gzip.compress(bytes(1 << 28), 1), 1)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(endless, id="endless"),
        pytest.param(saying(gzip.compress(bytes(1 << 26), 1), b"Content-Encoding: gzip"), id="gzip-bomb"),
        pytest.param(saying(BOMB, b"Content-Encoding: gzip, gzip"), id="gzip-in-gzip"),
        pytest.param(saying(b"x" * (LIMIT + 1)), id="large"),
    ],
)
def test_a_body_has_a_limit(access: Access, answer: Callable[[socket.socket], None], monkeypatch: Any) -> None:
    """More bytes than any answer has, as sent or as inflated: an error, for JSON, files and short values alike."""
    monkeypatch.setattr(client_module, "MAX_JSON_BYTES", LIMIT)
    monkeypatch.setattr(client_module, "MAX_FILE_BYTES", LIMIT)
    target = io.BytesIO()
    with speaking(answer) as url, OrthancClient(url, access) as client:
        with pytest.raises(ServerError, match=STRANGE):
            client.get("studies")
        with pytest.raises(ServerError, match=STRANGE):
            client.download(UNKNOWN, target)
        with pytest.raises(ServerError, match=STRANGE):
            client.content("instances/x/content/0008-0014")
    assert target.tell() <= LIMIT


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(dripping(b""), id="status-line"),
        pytest.param(dripping(OK + b"X-Header: "), id="header"),
        pytest.param(dripping(OK + b"Content-Length: 1000000\r\n\r\n"), id="body"),
        pytest.param(dripping(b"HTTP/1.1 500 No\r\nContent-Length: 1000000\r\n\r\n"), id="error"),
        pytest.param(informing, id="informing"),
    ],
)
def test_an_answer_has_its_time(access: Access, answer: Callable[[socket.socket], None], monkeypatch: Any) -> None:
    """A byte now and then is no answer, wherever it comes: what is never silent is not waited for without end."""
    monkeypatch.setattr(deadlines, "_BESIDES_S", 0.2)
    began = time.monotonic()
    with speaking(answer) as url, OrthancClient(url, access, read_s=0.2) as client:
        with pytest.raises(Unreachable, match="does not answer in time"):
            read_server(client)
        with pytest.raises(Unreachable, match="does not answer in time"):
            client.download(UNKNOWN, io.BytesIO())
    assert time.monotonic() - began < SLACK_S


def test_a_slow_file_is_waited_for(access: Access, monkeypatch: Any) -> None:
    """A file that takes longer than a request may be silent comes whole, as long as it comes."""
    monkeypatch.setattr(deadlines, "_BESIDES_S", 0.2)

    def slowly(connection: socket.socket) -> None:
        connection.sendall(OK + b"Content-Length: 65536\r\n\r\n")
        for _ in range(16):
            connection.sendall(bytes(4096))
            time.sleep(0.1)

    with speaking(slowly) as url, OrthancClient(url, access, read_s=1.0) as client:
        assert 65536 == client.download(UNKNOWN, io.BytesIO())


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"Last": NaN}',
        '{"Last": Infinity}',
        '{"Last": -Infinity}',
        '{"Last": %s}' % ("9" * 5000),
        '"\\ud800',
    ],
    ids=lambda text: text[:12],
)
def test_no_json(text: str) -> None:
    """Nested without end, numbers that are none or have 5,000 digits: no JSON, and no other error."""
    assert parse_json(text.encode("utf-8", "surrogatepass")) is NO_JSON


JSON: Final = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**40), 10**40)
    | st.floats()
    | st.sampled_from(["", "x", "\ud800", "Instance", "Success", UNKNOWN, "/../../system", "1.12.7", "9" * 400]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "ID",
                    "Type",
                    "State",
                    "ErrorCode",
                    "Content",
                    "Resources",
                    "ParentResources",
                    "InstancesCount",
                    "EffectiveRuntime",
                    "Progress",
                    "MainDicomTags",
                    "Metadata",
                    "FileSize",
                    "ParentSeries",
                    "ParentStudy",
                    "ParentPatient",
                    "Instances",
                    "Series",
                    "Studies",
                    "IsStable",
                    "AnonymizedFrom",
                    "Last",
                    "Changes",
                    "Seq",
                    "ChangeType",
                    "Done",
                    "Version",
                    "ReadOnly",
                    "OverwriteInstances",
                    "MaximumPatientCount",
                    "MaximumStorageMode",
                    "DatabaseServerIdentifier",
                    "Status",
                    "PatientMainDicomTags",
                    "ErrorDetails",
                    "OrthancStatus",
                    "Details",
                    "HttpError",
                    "Message",
                ]
            ),
            inner,
            max_size=8,
        )
    ),
    max_leaves=20,
)

READERS: Final[list[Callable[[OrthancClient], object]]] = [
    read_server,
    lambda client: read_job(client, "job"),
    lambda client: submit(client, Operation.MODIFY, {}, []),
    lambda client: list(read_content(client, [UNKNOWN])),
    lambda client: list(inventory(client)),
    lambda client: Changes(client).newest(),
    lambda client: Changes(client).reaches_back(3),
    lambda client: next(Changes(client).new_instances(0), None),
    lambda client: client.upload(b""),
    lambda client: find_marked(client, [UNKNOWN], Mark(Path((), 0x00080014), "2.25.1")),
]


@settings(max_examples=60)
@given(body=JSON, status=st.sampled_from([200, 200, 200, 400, 404, 500, 503]))
def test_any_json(access: Access, body: object, status: int) -> None:
    """JSON that no Orthanc sends, in every place that reads some: read, or one of the project's own errors."""
    content = json.dumps(body).encode("utf-8", "surrogatepass")
    head = b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (status, len(content))
    with speaking(lambda connection: connection.sendall(head + content)) as url, OrthancClient(url, access) as client:
        for reader in READERS:
            with contextlib.suppress(DeidflowError):
                reader(client)


INSTANCE: Final = {
    "ID": UNKNOWN,
    "Type": "Instance",
    "MainDicomTags": {"SOPInstanceUID": "1.2"},
    "ParentSeries": UNKNOWN,
    "FileSize": 100,
    "AnonymizedFrom": UNKNOWN,
}
JOB: Final = {
    "ID": "1",
    "Type": "ResourceModification",
    "State": "Running",
    "ErrorCode": 0,
    "Progress": 3,
    "EffectiveRuntime": 0.5,
    "Content": {"InstancesCount": 1, "Resources": [{"ID": UNKNOWN, "Type": "Instance"}], "ParentResources": [UNKNOWN]},
}
CHANGES: Final = {"Changes": [{"Seq": 3, "ID": UNKNOWN, "ChangeType": "NewInstance"}], "Done": True, "Last": 3}
SYSTEM: Final = {"Version": "1.12.7", "OverwriteInstances": True, "MaximumPatientCount": 0}
RIGHT: Final[list[tuple[Any, Callable[[OrthancClient], object]]]] = [
    ([INSTANCE], lambda client: list(read_content(client, [UNKNOWN]))),
    (JOB, lambda client: read_job(client, "job")),
    (CHANGES, lambda client: list(Changes(client).new_instances(0))),
    (CHANGES, lambda client: Changes(client).reaches_back(3)),
    (SYSTEM, read_server),
]


def _places(value: object, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path to each member and item of a JSON value."""
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in members:
        yield (*above, key)
        yield from _places(inner, (*above, key))


@settings(max_examples=150)
@given(data=st.data(), wrong=JSON)
def test_one_wrong_member(access: Access, data: st.DataObject, wrong: object) -> None:
    """A right answer with one member of another type or size, or without it: read, or one of the project's errors."""
    answer, reader = data.draw(st.sampled_from(RIGHT))
    changed = json.loads(json.dumps(answer))
    *above, last = data.draw(st.sampled_from(list(_places(changed))))
    place = changed
    for key in above:
        place = place[key]
    if data.draw(st.booleans()):
        place[last] = wrong
    else:
        del place[last]
    content = json.dumps(changed).encode("utf-8", "surrogatepass")
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=content))
    client = OrthancClient("http://orthanc.test", access, transport=transport)
    with client, contextlib.suppress(DeidflowError):
        reader(client)


@pytest.mark.parametrize("header", [b"Retry-After: \xb2", b"Retry-After: 9999999999999999999", b"Retry-After: Mon, 99"])
def test_a_strange_wish_to_wait(access: Access, header: bytes) -> None:
    """A header that is no number of seconds and no date is as good as none."""
    body = b"HTTP/1.1 503 X\r\n" + header + b"\r\nContent-Length: 0\r\n\r\n"
    with speaking(lambda connection: connection.sendall(body)) as url, OrthancClient(url, access) as client:
        with pytest.raises(ServerError) as caught:
            read_server(client)
        assert caught.value.retry_after_s is None
