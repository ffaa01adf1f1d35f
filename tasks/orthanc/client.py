"""HTTP to one Orthanc: credentials, certificates, time-outs, errors. It retries nothing.

Routes and bodies: Orthanc's REST API, 1.9.4 to 1.13.0. Neither proxies nor passwords are taken from the environment.

Public names: ``OrthancClient``, ``Access``, ``Uploaded``, ``BATCH``.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections import Counter
from typing import IO, TYPE_CHECKING, Any, Final, NamedTuple, Protocol, Self

import httpx

from deidflow.tasks.orthanc.errors import ServerError, error_of
from deidflow.tasks.orthanc.transport import hide_identifiers, tls_context, translated

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BATCH: Final = 1000
"""Resources named in one request: some 50 kB of body, 25 to 40 ms of the server's time (1.10.1, SQLite)."""

CONNECT_S: Final = 10.0
READ_S: Final = 60.0
MAX_CONNECTIONS: Final = 16
_MAX_ERROR_BYTES: Final = 1 << 16
_POLL_KIND: Final = "GET jobs/{id}"


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
        status: ``Success``, ``AlreadyStored`` or ``FilteredOut``; ``AlreadyStored`` says nothing about the bytes there.

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
        connect_s: float = CONNECT_S,
        read_s: float = READ_S,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Connect to nothing yet.

        Args:
            url: ``http(s)://host:port``, with a path where Orthanc stands behind a proxy.
            access: Which certificates are trusted.
            credentials: User name and password for basic authentication.
            connect_s: Seconds to wait for a connection.
            read_s: Seconds to wait for the next bytes of an answer.
            transport: What tests put in place of the network.

        Raises:
            InvalidInput: ``ca_file`` holds no certificates.

        """
        self._http = httpx.Client(
            base_url=url,
            auth=httpx.BasicAuth(*credentials) if credentials else None,
            verify=tls_context(access.ca_file, verify=access.verify_tls) if url.startswith("https:") else False,
            timeout=httpx.Timeout(read_s, connect=connect_s),
            limits=httpx.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=MAX_CONNECTIONS),
            follow_redirects=False,
            trust_env=False,
            transport=transport,
        )
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

    @property
    def polls(self) -> int:
        """How often the state of a job was asked for."""
        return self.counts[_POLL_KIND]

    @property
    def requests(self) -> int:
        """How many other requests were made."""
        with self._lock:
            return sum(self.counts.values()) - self.counts[_POLL_KIND]

    def get(self, path: str, **parameters: str | int) -> Any:
        """Return the JSON of a GET, ``path`` without a slash at its beginning.

        Raises:
            DeidflowError: See ``deidflow.tasks.orthanc.errors``; the same for every method here.

        """
        return self._json("GET", path, params=parameters)

    def post(self, path: str, body: object = None, *, read_s: float | None = None) -> Any:
        """Send JSON; return the JSON of the answer, None for an empty one.

        Args:
            path: Without a slash at its beginning.
            body: What JSON can hold; None sends nothing.
            read_s: Seconds to wait for the answer instead of the usual.

        """
        timeout = httpx.USE_CLIENT_DEFAULT if read_s is None else httpx.Timeout(read_s, connect=CONNECT_S)
        if body is None:
            return self._json("POST", path, content=b"", timeout=timeout)
        return self._json("POST", path, json=body, timeout=timeout)

    def put(self, path: str, content: str | bytes) -> None:
        """Send a value as it is."""
        self._json("PUT", path, content=content)

    def delete(self, path: str) -> None:
        """Delete a resource."""
        self._json("DELETE", path)

    def download(self, instance_id: str, target: IO[bytes]) -> int:
        """Write the DICOM file of an instance to a stream, never holding more than a piece of it.

        Returns:
            How many bytes it has. After an exception the target holds a part of it, or nothing.

        """
        size = 0
        with self.stream("GET", f"instances/{instance_id}/file") as pieces:
            for piece in pieces:
                target.write(piece)
                size += len(piece)
        return size

    def upload(self, content: bytes | IO[bytes]) -> Uploaded:
        """Store a DICOM file (``POST /instances``).

        Args:
            content: The file, open for reading at its beginning, or its bytes.

        """
        answer = self._json("POST", "instances", content=content, headers={"Content-Type": "application/dicom"})
        try:
            names = tuple(str(answer[key]) for key in ("ParentPatient", "ParentStudy", "ParentSeries", "ID"))
            patient, study, series, instance = names
            return Uploaded((patient, study, series, instance), str(answer["Status"]))
        except (KeyError, TypeError):
            text = "the Orthanc's answer to an upload lacks the identifiers; is the file a ZIP archive?"
            raise ServerError(text, httpx.codes.OK) from None

    @contextlib.contextmanager
    def stream(self, method: str, path: str, body: object = None) -> Iterator[Iterator[bytes]]:
        """Send JSON or nothing; give the answer's body in pieces."""
        with translated():
            request = self._http.build_request(method, path, json=body) if body is not None else None
            response = self._send(request or self._http.build_request(method, path), stream=True)
            try:
                if not response.is_success:
                    raise error_of(response.status_code, response.headers, _read_error(response))
                yield response.iter_bytes()
            finally:
                response.close()

    def _json(self, method: str, path: str, **parts: Any) -> Any:
        timeout = parts.pop("timeout", httpx.USE_CLIENT_DEFAULT)
        with translated():
            request = self._http.build_request(method, path, timeout=timeout, **parts)
            response = self._send(request, stream=False)
        if not response.is_success:
            raise error_of(response.status_code, response.headers, _parse(response.content))
        if not response.content.strip():
            return None
        body = _parse(response.content)
        if body is _NO_JSON:
            text = "the answer is not what an Orthanc sends; does a proxy answer for it?"
            raise ServerError(text, response.status_code)
        return body

    def _send(self, request: httpx.Request, *, stream: bool) -> httpx.Response:
        base = self._http.base_url.path
        kind = f"{request.method} {hide_identifiers(request.url.path.removeprefix(base).strip('/'))}"
        with self._lock:
            self.counts[kind] += 1
        return self._http.send(request, stream=stream)


_NO_JSON: Final = object()


def _parse(content: bytes) -> object:
    try:
        return json.loads(content)
    except ValueError:  # UnicodeDecodeError is one
        return _NO_JSON


def _read_error(response: httpx.Response) -> object:
    """Read what an error says, which may be a proxy's long page."""
    content = b""
    for piece in response.iter_bytes():
        content += piece
        if len(content) > _MAX_ERROR_BYTES:
            break
    return _parse(content)
