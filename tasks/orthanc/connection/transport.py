"""What stands between httpx and the client: whom to trust, what is logged, and which of its errors means what.

Public names: ``translated``, ``tls_context``, ``hide_identifiers``.
"""

from __future__ import annotations

import contextlib
import logging
import re
import ssl
from typing import TYPE_CHECKING, Final

import httpx

from deidflow.tasks.core.errors import InvalidInput, Problem
from deidflow.tasks.orthanc.connection.errors import Unreachable, UntrustedCertificate, WrongAddress

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_WRONG_HOST: Final = (62, 64)
"""X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH of OpenSSL, whose texts repeat the host name."""

_NO_TLS: Final = (
    "no connection; does the Orthanc speak http:// or https:// there, or want a client certificate? deidflow has none"
)

# Resources of Orthanc (SHA-1 in five groups) and jobs (UUID).
_NAMES: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{8}){4}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def hide_identifiers(text: str) -> str:
    """Put ``{id}`` in the place of every identifier of Orthanc.

    >>> hide_identifiers("/instances/b6589fc6-ab0dc82c-f12099d1-c2d40ab9-94e8410c/file")
    '/instances/{id}/file'
    """
    return _NAMES.sub("{id}", text)


class _HideIdentifiers(logging.Filter):
    """Takes Orthanc's identifiers out of what httpx logs: they are hashes of patients' identifiers."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = hide_identifiers(record.getMessage()), None
        return True


_FILTER: Final = _HideIdentifiers()
for _name in ("httpx", "httpcore.connection", "httpcore.http11", "httpcore.proxy"):
    logging.getLogger(_name).addFilter(_FILTER)  # the same object again is no second filter


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Turn httpx's exceptions into ours; theirs name addresses and may hold identifiers, so they are not chained."""
    try:
        yield
    except httpx.TransportError as error:
        raise _transport_error(error) from None
    except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL) as error:
        raise Unreachable(f"the Orthanc's answer cannot be read ({type(error).__name__})") from None


def _transport_error(error: httpx.TransportError) -> Unreachable | UntrustedCertificate | WrongAddress:
    causes = _causes(error)
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _certificate_error(cause)
    if isinstance(error, httpx.UnsupportedProtocol) or any(isinstance(cause, ssl.SSLError) for cause in causes):
        return WrongAddress(_NO_TLS)
    broke_off = "the connection to the Orthanc broke off; did it stop?"
    return Unreachable(next((text for kind, text in _BROKEN if isinstance(error, kind)), broke_off))


# The first that fits.
_BROKEN: Final = (
    (httpx.ConnectTimeout, "no connection to the Orthanc in time; check address, port and firewall"),
    (httpx.PoolTimeout, "too many requests to the Orthanc wait for each other"),
    (httpx.ConnectError, "no connection to the Orthanc; check address and port, and that it runs"),
    (httpx.TimeoutException, "the Orthanc does not answer in time; is it overloaded?"),
)


def _certificate_error(error: ssl.SSLCertVerificationError) -> UntrustedCertificate:
    text = "the Orthanc's certificate cannot be verified"
    if error.verify_code in _WRONG_HOST:
        return UntrustedCertificate(f"{text}: it is for another host name; use the name that it was made for")
    remedy = "name its CA in orthanc.ca_file (without a config, in the environment variable SSL_CERT_FILE)"
    return UntrustedCertificate(f"{text}: {error.verify_message}; {remedy}")


def _causes(error: BaseException) -> Sequence[BaseException]:
    """Return an exception and all that led to it."""
    found: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in found:
        found.append(current)
        current = current.__cause__ or current.__context__
    return found


def tls_context(ca_file: Path | None, *, verify: bool) -> ssl.SSLContext:
    """Return what certificates are checked with.

    Args:
        ca_file: Certificates to trust, PEM; None for the system's.
        verify: False checks nothing.

    Raises:
        InvalidInput: The file holds none.

    """
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except (ssl.SSLError, OSError):
        problem = Problem("must be a readable file of certificates in PEM format", key="orthanc.ca_file")
        raise InvalidInput([problem]) from None
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
