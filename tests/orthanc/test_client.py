"""What goes wrong between client and server has one exception each, whose text gives nothing away."""

from __future__ import annotations

import http.server
import io
import logging
import socket
import ssl
import subprocess
import threading
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest

from deidflow.tasks.core.errors import DeidflowError, InvalidInput
from deidflow.tasks.orthanc.connection.client import OrthancClient
from deidflow.tasks.orthanc.connection.errors import (
    BadRequest,
    NotFound,
    ReadOnlyServer,
    RefusedCredentials,
    ServerError,
    Unreachable,
    UntrustedCertificate,
    WrongAddress,
)
from deidflow.tasks.orthanc.resources.server import read_server
from tests.orthanc.outputs import outputs_since
from tests.orthanc.shelf import UNKNOWN, make
from tests.orthanc_server import BINARY, OrthancServer, installed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from deidflow.tasks.orthanc.connection.client import Access

VALUE: Final = 'While creating a DICOM instance, tag (0028,0010) has out-of-range value: "MILLER"'


def answering(access: Access, handler: Callable[[httpx.Request], httpx.Response], path: str = "") -> OrthancClient:
    """Return a client of a server that is a function."""
    return OrthancClient(f"http://orthanc.test{path}", access, transport=httpx.MockTransport(handler))


def always(status: int, body: object = None) -> Callable[[httpx.Request], httpx.Response]:
    """Return a server that always says the same; text is sent as it is."""
    parts: dict[str, Any] = {"text": body} if isinstance(body, str) else {"json": body}
    return lambda _: httpx.Response(status, **parts)


@pytest.mark.parametrize(
    ("status", "body", "kind", "text"),
    [
        (401, None, RefusedCredentials, "set the environment variables ORTHANC_USERNAME and"),
        (
            403,
            None,
            RefusedCredentials,
            r"user POST tools/bulk-modify \(HTTP 403\); ask its administrator",
        ),
        (404, {"OrthancStatus": 17}, NotFound, "does not hold"),
        (404, "", NotFound, "does not hold"),  # of a job; of everything where HttpDescribeErrors is off
        (404, "404 page not found: MILLER", ServerError, "does a proxy answer.*proxy_intercept_errors off"),
        (404, {"detail": "MILLER"}, ServerError, "does a proxy answer"),
        (400, {"OrthancStatus": 15, "Details": VALUE}, BadRequest, "the value for 0028,0010 does not fit its VR"),
        (400, {"OrthancStatus": 8, "Details": f"instance {UNKNOWN} of MILLER"}, BadRequest, "Orthanc: 8, bad request"),
        (500, {"OrthancStatus": 27, "Details": "NoSuchTag"}, BadRequest, "no tag NoSuchTag"),
        (500, {"OrthancStatus": 27, "Details": "Miller, Jane"}, BadRequest, "unknown DICOM tag"),
        (500, {"OrthancStatus": 22}, ReadOnlyServer, "set ReadOnly to false"),
        (500, {"OrthancStatus": 2018, "Details": UNKNOWN}, ServerError, "cannot store an instance"),
        (413, "<html>MILLER</html>", BadRequest, "takes no request of this size; raise its limit"),
        (502, "<html>MILLER</html>", ServerError, "does a proxy answer"),
        (503, "", ServerError, "does a proxy answer"),
        (500, "", ServerError, "set HttpDescribeErrors to true"),
        (400, "", BadRequest, "set HttpDescribeErrors to true"),
        (507, "", ServerError, "the file storage is full"),
        (301, None, WrongAddress, "final address"),
        (200, "<html>MILLER</html>", ServerError, "not what an Orthanc sends"),
    ],
)
def test_answers_that_are_no_success(
    access: Access, status: int, body: object, kind: type[DeidflowError], text: str
) -> None:
    """Each has its class and says what to do, without values, identifiers or addresses."""
    with answering(access, always(status, body)) as client, pytest.raises(kind, match=text) as caught:
        client.post("tools/bulk-modify", {"Resources": [UNKNOWN]})

    assert not any(secret in str(caught.value) for secret in ("MILLER", "Miller", UNKNOWN, "orthanc.test"))
    assert None is caught.value.__cause__


@pytest.mark.parametrize(("header", "seconds"), [("7", 7.0), ("Mon, 01 Jan 2024 00:00:00 GMT", 0.0), ("soon", None)])
def test_server_asks_to_wait(access: Access, header: str, seconds: float | None) -> None:
    """503 twice, then an answer: the client tries once each time and says how long the server asks to wait."""
    answers = [httpx.Response(503, headers={"Retry-After": header})] * 2 + [httpx.Response(200, json=[])]
    with answering(access, lambda _: answers.pop(0)) as client:
        for _ in range(2):
            with pytest.raises(ServerError) as caught:
                client.get("studies")
            assert (503, None, seconds) == (
                caught.value.http_status,
                caught.value.orthanc_status,
                caught.value.retry_after_s,
            )
        assert [] == client.get("studies")


def test_addresses_behind_a_proxy(access: Access) -> None:
    """A path in the address stands before every route; requests are counted by route, polls apart."""
    seen: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(str(request.url))
        return httpx.Response(200, json={})

    with answering(access, handler, "/pacs") as client:
        client.get(f"instances/{UNKNOWN}")
        client.get("jobs/0a1b2c3d-0000-4000-8000-0123456789ab")
        client.get("jobs", expand="")

        assert ["/pacs/instances/{id}", "/pacs/jobs/{id}", "/pacs/jobs?expand="] == [
            url.removeprefix("http://orthanc.test").replace(UNKNOWN, "{id}").replace(seen[1].rpartition("/")[2], "{id}")
            for url in seen
        ]
        assert {"GET instances/{id}": 1, "GET jobs/{id}": 1, "GET jobs": 1} == client.counts


def test_log_holds_no_identifiers(access: Access, caplog: pytest.LogCaptureFixture) -> None:
    """Where somebody listens to httpx, identifiers are left out."""
    caplog.set_level(logging.DEBUG)
    with answering(access, always(200, {})) as client:
        client.get(f"instances/{UNKNOWN}")

    assert "instances/{id}" in caplog.text
    assert UNKNOWN not in caplog.text


@contextmanager
def speaking(*pieces: bytes, pause: threading.Event | None = None) -> Iterator[str]:
    """Listen on a port and answer the first request with some bytes, then hang or hang up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                for piece in pieces:
                    connection.sendall(piece)
                if pause:
                    pause.wait(10)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            if pause:
                pause.set()
            thread.join()


def test_nobody_listens(access: Access) -> None:
    """The error says what to check."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with OrthancClient(f"http://127.0.0.1:{port}", access) as client, pytest.raises(Unreachable, match="check address"):
        client.get("system")


def test_server_hangs(access: Access) -> None:
    """A server that says nothing is given up after the time-out."""
    with (
        speaking(pause=threading.Event()) as url,
        OrthancClient(url, access, read_s=0.2) as client,
        pytest.raises(Unreachable, match="in time"),
    ):
        client.post("tools/bulk-modify", {})


def test_answer_is_cut(access: Access) -> None:
    """Half a file is no file."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
    with (
        speaking(head, b"half") as url,
        OrthancClient(url, access) as client,
        pytest.raises(Unreachable, match="broke off"),
    ):
        client.download(UNKNOWN, io.BytesIO())


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost that nobody has signed but itself, with its key, in one file."""
    folder = tmp_path_factory.mktemp("tls")
    arguments = "-x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    files = ["-keyout", "key.pem", "-out", "cert.pem", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run(["openssl", "req", *arguments.split(), *files], cwd=folder, check=True, capture_output=True)  # noqa: S607
    both = folder / "both.pem"
    both.write_bytes((folder / "key.pem").read_bytes() + (folder / "cert.pem").read_bytes())
    return both


@pytest.fixture(scope="module", params=[ssl.CERT_NONE])
def tls_port(certificate: Path, request: pytest.FixtureRequest) -> Iterator[int]:
    """A server with that certificate, which knows nothing (404); with CERT_REQUIRED it wants one of its clients."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.verify_mode = request.param
    server = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # refused handshakes are the point
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def test_certificates(tls_port: int, certificate: Path) -> None:
    """An unknown certificate and one for another name are refused; a CA file or verify_tls: false lets it pass."""

    def ask(host: str, *, scheme: str = "https", verify_tls: bool = True, ca_file: Path | None = None) -> None:
        access = SimpleNamespace(verify_tls=verify_tls, ca_file=ca_file)
        with OrthancClient(f"{scheme}://{host}:{tls_port}", access) as client:
            client.get("system")

    for scheme in ("HTTPS", "https"):
        with pytest.raises(UntrustedCertificate, match=r"orthanc\.ca_file"):
            ask("localhost", scheme=scheme)
    with pytest.raises(UntrustedCertificate, match="another host name") as caught:
        ask("127.0.0.1", ca_file=certificate)
    assert "127.0.0.1" not in str(caught.value)
    for good in ({"ca_file": certificate}, {"verify_tls": False}):
        with pytest.raises(ServerError, match="501"):  # the server answers, if only that it has no GET
            ask("localhost", **good)


@pytest.mark.parametrize("tls_port", [ssl.CERT_REQUIRED], indirect=True)
def test_a_server_that_wants_a_certificate(tls_port: int, certificate: Path) -> None:
    """What it refuses is told as what it may be."""
    access = SimpleNamespace(verify_tls=True, ca_file=certificate)
    with (
        OrthancClient(f"https://localhost:{tls_port}", access) as client,
        pytest.raises(WrongAddress, match="client certificate"),
    ):
        client.get("system")


def test_no_certificates_in_the_file(tmp_path: Path) -> None:
    """A wrong ca_file is a mistake of the config, found before any connection."""
    (tmp_path / "ca.pem").write_text("none")
    with pytest.raises(InvalidInput, match="PEM"):
        OrthancClient("https://localhost", SimpleNamespace(verify_tls=True, ca_file=tmp_path / "ca.pem"))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"Version": "1.9.4"}, ("1.9.4", False, False)),
        ({"Version": "1.12.1"}, ("1.12.1", False, False)),
        ({"Version": "1.12.9", "ReadOnly": True}, ("1.12.9", True, True)),
        ({"Version": "1.13.0"}, ("1.13.0", True, False)),
        ({"Version": "mainline"}, ("mainline", True, False)),
    ],
)
def test_what_versions_can_do(access: Access, answer: dict[str, Any], expected: tuple[Any, ...]) -> None:
    """Features follow the version; what the server says of itself is taken over."""
    with answering(access, always(200, answer)) as client:
        server = read_server(client)

    text, *flags = expected
    assert flags == [server.has_user_data, server.read_only]
    assert text == server.text


@pytest.mark.parametrize(
    ("handler", "text"),
    [
        (always(200, {"Version": "1.9.3"}), r"too old \(1\.9\.3\); bulk editing needs 1\.9\.4"),
        (always(200, {"status": "ok"}), "not an Orthanc"),
        (always(200, "<html>"), "not an Orthanc"),
        (always(404, "no such page"), "not an Orthanc"),
        (always(400, "<html>No required SSL certificate was sent"), "client certificate"),
    ],
)
def test_strangers(access: Access, handler: Callable[[httpx.Request], httpx.Response], text: str) -> None:
    """What is no Orthanc, or too old, is told apart from one that is in trouble."""
    with answering(access, handler) as client, pytest.raises(WrongAddress, match=text):
        read_server(client)
    with answering(access, always(503)) as client, pytest.raises(ServerError):
        read_server(client)


def test_changes_come_in_pages(access: Access) -> None:
    """All pages are read, others' changes are passed over, and a page that leads nowhere ends it."""
    names = {n: f"0000000{n}-00000000-00000000-00000000-00000000" for n in range(1, 8)}
    kinds = {2: "NewSeries", 5: "StableStudy"}

    def handler(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/changes":
            since = int(request.url.params["since"])
            seqs = [seq for seq in names if seq > since][:2]
            page = [{"Seq": seq, "ID": names[seq], "ChangeType": kinds.get(seq, "NewInstance")} for seq in seqs]
            return httpx.Response(200, json={"Changes": page, "Done": False, "Last": seqs[-1] if seqs else since})
        asked = httpx.Response(200, content=request.content).json()["Resources"]
        base = {"Type": "Instance", "MainDicomTags": {}, "ParentSeries": UNKNOWN, "AnonymizedFrom": names[1]}
        return httpx.Response(200, json=[{"ID": name, **base} for name in asked])

    with answering(access, handler) as client:
        found = outputs_since(client, 0, [names[1], names[7]])

    assert dict.fromkeys([names[3], names[4], names[6]], names[1]) == found


@pytest.mark.skipif(not installed(), reason=f"NO ORTHANC at {BINARY}: passwords and uploads were not tried")
def test_password_and_files_on_a_real_server(access: Access) -> None:
    """A wrong password and none are refused; a file comes back as it was, and is stored once."""
    settings = {"AuthenticationEnabled": True, "RegisteredUsers": {"user": "pw"}, "OverwriteInstances": False}
    data = make()
    with OrthancServer(settings=settings) as server:
        for credentials, says in ((None, "wants a user name"), (("user", "wrong"), "refuses user name and password")):
            with (
                OrthancClient(server.url, access, credentials) as client,
                pytest.raises(RefusedCredentials, match=says),
            ):
                read_server(client)
        with OrthancClient(server.url, access, ("user", "pw")) as client:
            assert server.version == read_server(client).text
            first, second = (client.upload(io.BytesIO(data)) for _ in range(2))
            target = io.BytesIO()
            size = client.download(first.orthanc_ids[3], target)

            assert ("Success", "AlreadyStored") == (first.status, second.status)
            assert first.orthanc_ids == second.orthanc_ids
            assert (len(data), data) == (size, target.getvalue())
            with pytest.raises(BadRequest, match="not DICOM that Orthanc can read"):
                client.upload(b"nothing")
            with pytest.raises(NotFound):
                client.download(UNKNOWN, io.BytesIO())
            # 1.10.1 and 1.12.7 let no client set it: uploads cannot be marked as results.
            with pytest.raises(RefusedCredentials):
                client.put(f"instances/{first.orthanc_ids[3]}/metadata/AnonymizedFrom", UNKNOWN)
            client.put(f"instances/{first.orthanc_ids[3]}/metadata/4096", UNKNOWN)
