"""A proxy between deidflow and a server that does harm on purpose: a test says to which request, and what.

    with OrthancProxy(server.url) as proxy:
        held = proxy.add(Hold(), lambda request, answer: request.path.startswith("/tools/bulk-"))
        process = ...            # talks to proxy.url
        held.reached.wait(60)    # the server has answered, the client does not know yet
        process.kill()
        held.release()

A rule is a fault, a condition and how often it strikes. The condition is asked before the request goes on (its second
argument is None), or, for faults that let the server act first, once the server has answered.

========================= ====================== ==============================================
fault                     the server acts        the client sees
========================= ====================== ==============================================
``Hold()``                yes                    the answer, once released
``Hold(before=True)``     once released          the answer
``Hang()``                no                     nothing, until released: then a broken connection
``Answer(503, ...)``      no                     that answer, such as 429 with ``Retry-After``
``Reset()``               yes                    a connection reset instead of an answer
``Reset(before=True)``    no                     the same
``Cut(share)``            yes                    the head of the answer and a part of its body
``Run(action)``           yes                    the answer; the action (kill something) came before
``Run(action, before)``   afterwards             the same
========================= ====================== ==============================================

``proxy.down()`` is a ``with`` block in which nobody listens: connections are refused.

Public names: ``OrthancProxy``, ``Rule``, ``Request``, ``Response``, ``Hit``, ``Wire``, ``Fault``, the faults of the
table, and the conditions ``is_bulk_call``, ``is_sent``, ``is_poll``.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import struct
import sys
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final, Protocol, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Mapping

_MAX_HOLD_S: Final = 120.0
"""A test that forgets to release must not hang."""

_SERVER_S: Final = 120.0
_HOP_BY_HOP: Final = {"connection", "keep-alive", "transfer-encoding", "content-length", "host"}
_NOT_FORWARDED: Final = _HOP_BY_HOP | {"accept-encoding"}
"""Answers come uncompressed, so that conditions can read them."""


@dataclass(frozen=True)
class Request:
    """What the client asked; the path with its query."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Response:
    """What the server answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Wire(Protocol):
    """What a fault can do to the client's connection."""

    def send(self, response: Response, *, share: float = 1.0) -> None:
        """Answer; with a share below 1 break off after that part of the body."""

    def reset(self) -> None:
        """Break the connection so that the client sees a reset."""


@dataclass(frozen=True)
class Hit:
    """One request that a rule fits.

    Attributes:
        rule: That rule.
        wire: To the client.
        response: What the server answered, None when it was not asked yet.

    """

    rule: Rule
    wire: Wire
    response: Response | None


class Fault(Protocol):
    """What happens to a request that a rule fits."""

    @property
    def before(self) -> bool:
        """Whether it strikes before the request reaches the server."""

    def strike(self, hit: Hit) -> bool:
        """Do it; return whether the request then goes its usual way."""


@dataclass(frozen=True)
class Hold:
    """Hold a request or its answer back until the rule is released."""

    before: bool = False

    def strike(self, hit: Hit) -> bool:
        """Wait."""
        hit.rule.wait()
        return True


@dataclass(frozen=True)
class Hang:
    """Take the request and never answer."""

    before: bool = True

    def strike(self, hit: Hit) -> bool:
        """Wait, then break the connection."""
        hit.rule.wait()
        hit.wire.reset()
        return False


@dataclass(frozen=True)
class Answer:
    """Answer in the server's place, which never sees the request."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    before: bool = True

    def strike(self, hit: Hit) -> bool:
        """Answer."""
        hit.wire.send(Response(self.status, self.headers, self.body))
        return False


@dataclass(frozen=True)
class Reset:
    """Reset the connection; unless ``before``, the server has acted."""

    before: bool = False

    def strike(self, hit: Hit) -> bool:
        """Reset."""
        hit.wire.reset()
        return False


@dataclass(frozen=True)
class Cut:
    """Break off in the middle of the answer."""

    share: float = 0.5
    before: bool = False

    def strike(self, hit: Hit) -> bool:
        """Send a part."""
        assert hit.response is not None
        hit.wire.send(hit.response, share=self.share)
        return False


@dataclass(frozen=True)
class Run:
    """Do something at just that moment."""

    action: Callable[[], object]
    before: bool = False

    def strike(self, hit: Hit) -> bool:  # noqa: ARG002 (of the protocol)
        """Do it."""
        self.action()
        return True


@dataclass
class Rule:
    """A fault, and whom it strikes.

    Attributes:
        fault: What happens.
        when: To which requests.
        times: How often at most; None for always.
        hits: How often it struck.
        reached: Set when it struck for the first time.

    """

    fault: Fault
    when: Callable[[Request, Response | None], bool]
    times: int | None = 1
    hits: int = 0
    reached: threading.Event = field(default_factory=threading.Event)
    _released: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def release(self) -> None:
        """Let go what is held; nothing is held any more."""
        self._released.set()

    def wait(self) -> None:
        """Wait until it is released."""
        self._released.wait(_MAX_HOLD_S)

    def takes(self, request: Request, response: Response | None) -> bool:
        """Whether it strikes now; counts it."""
        with self._lock:
            if self.times is not None and self.hits >= self.times:
                return False
            if not self.when(request, response):
                return False
            self.hits += 1
            return True


class OrthancProxy:
    """Forwards to one server; use as a context manager.

    Attributes:
        url: For the client.
        requests: All that came in, in order.
        errors: What conditions and actions raised; the first is raised again at the end.

    """

    def __init__(self, target: str, tls: ssl.SSLContext | None = None) -> None:
        """Take the server's address, and a certificate to speak TLS with."""
        parts = urlsplit(target)
        self._target = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._tls = tls
        self._rules: list[Rule] = []
        self._connections: set[socket.socket] = set()
        self._listener: _Listener | None = None
        self._port = 0
        self.requests: list[Request] = []
        self.errors: list[BaseException] = []

    @property
    def url(self) -> str:
        """Its address, the same for as long as it lives."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        """Listen."""
        self._listen()
        return self

    def __exit__(self, *_: object) -> None:
        """Let everything go and stop."""
        self.clear()
        self._stop()
        if self.errors:
            raise self.errors[0]

    def add(self, fault: Fault, when: Callable[[Request, Response | None], bool], times: int | None = 1) -> Rule:
        """Add a rule; the first that fits strikes."""
        rule = Rule(fault, when, times)
        self._rules.append(rule)
        return rule

    def clear(self) -> None:
        """Remove all rules and release what they hold."""
        rules, self._rules = self._rules, []
        for rule in rules:
            rule.release()

    @contextlib.contextmanager
    def down(self) -> Iterator[None]:
        """Refuse connections; those that exist break."""
        self._stop()
        try:
            yield
        finally:
            self._listen()

    def _listen(self) -> None:
        self._listener = _Listener(("127.0.0.1", self._port), self)
        self._port = self._listener.server_address[1]
        if self._tls:
            self._listener.socket = self._tls.wrap_socket(self._listener.socket, server_side=True)
        threading.Thread(target=self._listener.serve_forever, args=(0.05,), daemon=True).start()

    def _stop(self) -> None:
        if self._listener is not None:
            self._listener.shutdown()
            self._listener.server_close()
            self._listener = None
        for connection in list(self._connections):
            _reset(connection)

    def _strike(self, wire: Wire, request: Request, response: Response | None) -> bool:
        """Apply the first rule that fits; return whether the request goes its usual way."""
        for rule in list(self._rules):
            if rule.fault.before == (response is None) and rule.takes(request, response):
                rule.reached.set()
                return rule.fault.strike(Hit(rule, wire, response))
        return True

    def _forward(self, request: Request) -> Response:
        connection = http.client.HTTPConnection(*self._target, timeout=_SERVER_S)
        with contextlib.closing(connection):
            headers = {name: value for name, value in request.headers.items() if name.lower() not in _NOT_FORWARDED}
            connection.request(request.method, request.path, request.body, headers)
            answer = connection.getresponse()
            return Response(answer.status, dict(answer.getheaders()), answer.read())


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], proxy: OrthancProxy) -> None:
        self.proxy = proxy
        super().__init__(address, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 (of the base class)
        """A client that was killed is no error; what a condition or an action raises is the test's."""
        error = sys.exc_info()[1]
        if error is not None and not isinstance(error, OSError):
            self.proxy.errors.append(error)


class _Handler(BaseHTTPRequestHandler):
    """One connection of a client; also the ``Wire`` that faults act on."""

    protocol_version = "HTTP/1.1"
    server: _Listener

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.server.proxy._connections.add(self.connection)

    def finish(self) -> None:
        self.server.proxy._connections.discard(self.connection)
        with contextlib.suppress(OSError):
            super().finish()

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _handle(self) -> None:
        proxy = self.server.proxy
        request = Request(self.command, self.path, dict(self.headers.items()), self._body())
        proxy.requests.append(request)
        try:
            if not proxy._strike(self, request, None):
                return
            response = proxy._forward(request)
            if proxy._strike(self, request, response):
                self.send(response)
        except (OSError, http.client.HTTPException):  # the server is gone, or the client
            self.reset()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _handle  # noqa: N815 (names of the base class)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def send(self, response: Response, *, share: float = 1.0) -> None:
        """See ``Wire``."""
        self.send_response_only(response.status)
        for name, value in response.headers.items():
            if name.lower() not in _HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(response.body)))
        self.end_headers()
        part = response.body if share >= 1 else response.body[: int(len(response.body) * share)]
        self.wfile.write(part)
        self.wfile.flush()
        if share < 1:
            self.close_connection = True

    def reset(self) -> None:
        """See ``Wire``."""
        self.close_connection = True
        _reset(self.connection)


def _reset(connection: socket.socket) -> None:
    """Close with RST instead of FIN."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RD)
        connection.close()


def is_bulk_call(request: Request, _: Response | None) -> bool:
    """Whether it is an anonymization, on its way to the server."""
    return request.path.startswith("/tools/bulk-anonymize")


def is_sent(request: Request, answer: Response | None) -> bool:
    """Whether it is an anonymization that the server has accepted."""
    return is_bulk_call(request, answer) and answer is not None and answer.status == http.HTTPStatus.OK


def is_poll(request: Request, _: Response | None) -> bool:
    """Whether it asks how far a job is."""
    return request.method == "GET" and request.path.startswith("/jobs/")
