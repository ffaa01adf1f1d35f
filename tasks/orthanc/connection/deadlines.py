"""How long an answer may take in all: httpx and httpcore know only how long a server may be silent.

A server that sends one byte each half second, of its headers or of its body, would be waited for without end. So each
request has a moment until which everything must have been read, and every 16 KiB that come or go put it off by a
second. It is kept for the thread, and asked where bytes are read from the socket: no other place sees headers come in.

Public names: ``bound_in_time``, ``in_time``.
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Any, Final

import httpcore
import httpx

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable, Iterator

_BYTES_PER_SECOND: Final = 16 << 10
"""Slower than any line that files of images are sent over."""

_BESIDES_S: Final = 15.0
"""For what comes before and after the longest silence: the connection, the request, the rest of the headers."""

_state = threading.local()


@contextlib.contextmanager
def in_time(silent_s: float | None) -> Iterator[None]:
    """Give this thread's request its time.

    Args:
        silent_s: How long the server may be silent; None for ever.

    """
    before = getattr(_state, "end", None)
    _state.end = None if silent_s is None else time.monotonic() + silent_s + _BESIDES_S
    try:
        yield
    finally:
        _state.end = before


def _more_time(moved: int) -> None:
    """Give the rest more time for the bytes that have come or gone."""
    if getattr(_state, "end", None) is not None:
        _state.end += moved / _BYTES_PER_SECOND


def _left(timeout: float | None) -> float | None:
    """Return how long to wait for the next bytes.

    Raises:
        httpcore.ReadTimeout: The time is over.

    """
    end: float | None = getattr(_state, "end", None)
    if end is None:
        return timeout
    left = end - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout
    return left if timeout is None else min(timeout, left)


class _Stream(httpcore.NetworkStream):
    """A connection that knows the time of the request that reads from it."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        data = self._stream.read(max_bytes, _left(timeout))
        _more_time(len(data))
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, timeout)
        _more_time(len(buffer))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _Backend(httpcore.SyncBackend):
    """Makes such connections."""

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        return _Stream(super().connect_tcp(host, port, timeout, local_address, socket_options))


def bound_in_time(client: httpx.Client) -> None:
    """Let every connection of a client keep to ``in_time``; httpx has no way of its own to say so."""
    transport = client._transport  # noqa: SLF001 (see above)
    if isinstance(transport, httpx.HTTPTransport) and isinstance(transport._pool, httpcore.ConnectionPool):  # noqa: SLF001
        transport._pool._network_backend = _Backend()  # noqa: SLF001
