"""HTTP to one Orthanc: credentials, certificates, limits in time and bytes, errors. It retries nothing.

Routes and bodies: Orthanc's REST API, 1.9.4 to 1.13.0. Neither proxies nor passwords are taken from the environment.

Public names: ``OrthancClient``, ``Access``, ``Uploaded``, ``BATCH``.
"""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from typing import IO, TYPE_CHECKING, Any, Final, NamedTuple, Protocol, Self

import httpx

from deidflow.tasks.orthanc.connection.answers import NO_JSON, parse_json, resource_id, strange, text
from deidflow.tasks.orthanc.connection.deadlines import bound_in_time, in_time
from deidflow.tasks.orthanc.connection.errors import BadRequest, ServerError, error_of
from deidflow.tasks.orthanc.connection.transport import hide_identifiers, tls_context, translated

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from deidflow.tasks.core.errors import DeidflowError

BATCH: Final = 1000
"""Resources named in one request: some 50 kB of body, 25 to 40 ms of the server's time (1.10.1, SQLite)."""

CONNECT_S: Final = 10.0
READ_S: Final = 60.0
MAX_CONNECTIONS: Final = 16

MAX_JSON_BYTES: Final = 128 << 20
"""Of an answer, decoded. The largest are lists of jobs, some 100 bytes for each instance of the last ten of them."""

MAX_FILE_BYTES: Final = 4 << 30
"""Of a DICOM file; one is held in memory as a whole, so that a larger one could not be edited here."""

_MAX_CONTENT_BYTES: Final = 1 << 16
_MAX_ERROR_BYTES: Final = 1 << 16
_CODINGS: Final = frozenset({"", "identity", "gzip", "deflate"})
"""Of a body, one of them: a server may squeeze 64 GB into 64 kB by two."""

_PIECE_BYTES: Final = 1 << 16
_UPLOAD: Final = "an upload"
_FILTERED: Final = "FilteredOut"
_DROPPED: Final = "a filter there (ReceivedInstanceFilter of a script, or a plugin) drops it; have the filter changed"


class Access(Protocol):
    """What of the config's group ``orthanc`` the client needs."""

    @property
    def verify_tls(self) -> bool:
        """Whether the server's certificate is checked."""

    @property
    def ca_file(self) -> Path | None:
        """Certificates to trust instead of the system's, PEM."""


class Uploaded(NamedTuple):
    """What ``POST /instances`` answered.

    Attributes:
        orthanc_ids: Of patient, study, series and instance.
        status: ``Success`` or ``AlreadyStored``, which says nothing about the bytes there.

    """

    orthanc_ids: tuple[str, str, str, str]
    status: str


class OrthancClient:
    """A connection to one Orthanc; its methods may be called from any thread.

    Attributes:
        counts: Requests made, by method and path with ``{id}`` for each identifier.

    """

    def __init__(
        self,
        url: str,
        access: Access,
        credentials: tuple[str, str] | None = None,
        *,
        read_s: float = READ_S,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Connect to nothing yet.

        Args:
            url: ``http(s)://host:port``, with a path where Orthanc stands behind a proxy.
            access: Which certificates are trusted.
            credentials: User name and password for basic authentication.
            read_s: Seconds to wait for the next bytes of an answer.
            transport: What tests put in place of the network.

        Raises:
            InvalidInput: ``ca_file`` holds no certificates.

        """
        self._http = httpx.Client(
            base_url=url,
            headers={"Accept-Encoding": "gzip"},
            auth=httpx.BasicAuth(*credentials) if credentials else None,
            verify=tls_context(access.ca_file, verify=access.verify_tls) if httpx.URL(url).scheme == "https" else False,
            timeout=httpx.Timeout(read_s, connect=CONNECT_S),
            limits=httpx.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=MAX_CONNECTIONS),
            follow_redirects=False,
            trust_env=False,
            transport=transport,
        )
        self._read_s = read_s
        if transport is None:
            bound_in_time(self._http)
        self._lock = threading.Lock()
        self.counts: Counter[str] = Counter()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Give back all connections."""
        self._http.close()

    def get(self, path: str, **parameters: str | int) -> Any:
        """Return the JSON of a GET, ``path`` without a slash at its beginning.

        Raises:
            DeidflowError: See ``deidflow.tasks.orthanc.connection.errors``; the same for every method here.

        """
        return self._json("GET", path, params=parameters)

    def post(self, path: str, body: object = None) -> Any:
        """Send JSON; return the JSON of the answer, None for an empty one.

        Args:
            path: Without a slash at its beginning.
            body: What JSON can hold; None sends nothing.

        """
        return self._json("POST", path, content=b"") if body is None else self._json("POST", path, json=body)

    def put(self, path: str, content: str | bytes) -> None:
        """Send a value as it is."""
        self._json("PUT", path, content=content)

    def delete(self, path: str) -> None:
        """Delete a resource."""
        self._json("DELETE", path)

    def content(self, path: str) -> bytes:
        """Return the short body of a GET as it is, the value of one element for example.

        Raises:
            ServerError: It has more than 64 KiB; others as of every method here.

        """
        with self.stream("GET", path, limit=_MAX_CONTENT_BYTES) as pieces:
            return b"".join(pieces)

    def download(self, instance_id: str, target: IO[bytes]) -> int:
        """Write the DICOM file of an instance to a stream, never holding more than a piece of it.

        Returns:
            How many bytes it has. After an exception the target holds a part of it, or nothing.

        """
        size = 0
        with self.stream("GET", f"instances/{instance_id}/file", limit=MAX_FILE_BYTES) as pieces:
            for piece in pieces:
                target.write(piece)
                size += len(piece)
        return size

    def upload(self, content: bytes | IO[bytes]) -> Uploaded:
        """Store a DICOM file (``POST /instances``).

        Args:
            content: The file, open for reading at its beginning, or its bytes.

        Raises:
            BadRequest: Also what a filter of the server drops, which is answered with 200 (1.10.1 to 1.13.0); others as
                of every method here.

        """
        answer = self._json("POST", "instances", content=content, headers={"Content-Type": "application/dicom"})
        if not isinstance(answer, dict):  # a list for a ZIP archive
            raise strange(_UPLOAD)
        status = text(answer, "Status", _UPLOAD)
        if status == _FILTERED:  # a plugin's filter leaves the ID empty
            raise BadRequest(httpx.codes.OK, None, _DROPPED)
        patient, study, series, instance = (
            resource_id(answer, key, _UPLOAD) for key in ("ParentPatient", "ParentStudy", "ParentSeries", "ID")
        )
        return Uploaded((patient, study, series, instance), status)

    @contextlib.contextmanager
    def stream(
        self, method: str, path: str, body: object = None, *, limit: int = MAX_FILE_BYTES
    ) -> Iterator[Iterator[bytes]]:
        """Send JSON or nothing; give the answer's body in pieces.

        Args:
            method: ``GET`` or ``POST``.
            path: Without a slash at its beginning.
            body: What JSON can hold; None sends nothing.
            limit: Bytes that the answer may have, decoded; with more it is a ``ServerError``.

        """
        with translated(), contextlib.ExitStack() as stack:
            stack.enter_context(in_time(self._read_s))
            build = self._http.build_request
            response = self._send(build(method, path) if body is None else build(method, path, json=body))
            stack.callback(response.close)
            if not response.is_success:
                raise self._error_of(response)
            yield _bounded(response, limit)

    def _json(self, method: str, path: str, **parts: Any) -> Any:
        with translated(), contextlib.ExitStack() as stack:
            stack.enter_context(in_time(self._read_s))
            response = self._send(self._http.build_request(method, path, **parts))
            stack.callback(response.close)
            if not response.is_success:
                raise self._error_of(response)
            content = b"".join(_bounded(response, MAX_JSON_BYTES))
        if not content.strip():
            return None
        body = parse_json(content)
        if body is NO_JSON:
            message = "the answer is not what an Orthanc sends; does a proxy answer for it?"
            raise ServerError(message, response.status_code)
        return body

    def _send(self, request: httpx.Request) -> httpx.Response:
        with self._lock:
            self.counts[self._route(request)] += 1
        return self._http.send(request, stream=True)

    def _route(self, request: httpx.Request) -> str:
        base = self._http.base_url.path
        return f"{request.method} {hide_identifiers(request.url.path.removeprefix(base).strip('/'))}"

    def _error_of(self, response: httpx.Response) -> DeidflowError:
        found = response.status_code, response.headers, _read_error(response), self._route(response.request)
        return error_of(*found, has_credentials=self._http.auth is not None)


def _bounded(response: httpx.Response, limit: int) -> Iterator[bytes]:
    """Yield a body in pieces.

    Raises:
        ServerError: It has more bytes than the limit, or is packed in more ways than one.

    """
    if response.headers.get("content-encoding", "").strip().lower() not in _CODINGS:
        message = "the answer is packed in a way that an Orthanc does not use; does a proxy answer for it?"
        raise ServerError(message, httpx.codes.OK)
    size = 0
    for piece in response.iter_bytes(_PIECE_BYTES):
        size += len(piece)
        if size > limit:
            message = f"the answer has more than {limit:,} bytes, which no Orthanc sends; what answers there?"
            raise ServerError(message, httpx.codes.OK)
        yield piece


def _read_error(response: httpx.Response) -> object:
    """Read what an error says, which may be a proxy's long page; None where it says nothing."""
    if response.headers.get("content-encoding", "").strip().lower() not in _CODINGS:
        return NO_JSON
    content = b""
    for piece in response.iter_bytes(_PIECE_BYTES):
        content += piece
        if len(content) > _MAX_ERROR_BYTES:
            break
    return parse_json(content) if content.strip() else None
