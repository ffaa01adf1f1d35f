"""Everything that can go wrong with an Orthanc, named by what the caller should do.

::

    DeidflowError
    ├── TransientError           try the chunk again, after finding out what became of the request
    │   ├── Unreachable          no answer, or only half of one
    │   ├── ServerError          5xx or 429; ``retry_after_s`` when the server says so
    │   ├── JobFailed            the job ended in Failure; ``orthanc_status`` says why, 37 is "cancelled"
    │   └── DeadlineExceeded     the job has not ended in time and may still be running
    ├── Unusable                 stop the run                                                         (exit 3)
    │   ├── RefusedCredentials   401 or 403
    │   ├── UntrustedCertificate the server's certificate cannot be verified
    │   ├── WrongAddress         something answers that is no Orthanc, or no Orthanc that is new enough
    │   ├── ReadOnlyServer       Orthanc's mode ``ReadOnly`` (1.12.5 on)
    │   └── SharedOriginals      somebody else edits them now, and nothing would tell the two results apart
    ├── NotFound                 404: the resource or job is not there (any more)
    └── BadRequest               other 4xx, and 500 for mistakes of the request: sending it again is useless

Texts never hold an Orthanc ID, an address, or a value: Orthanc's ``Details`` may name IDs and repeat values of
``Replace``, so only phrases that are known to be safe are taken over, and tags.

Public names: ``error_of``, ``describe_status``, ``Unreachable``, ``ServerError``, ``JobFailed``, ``DeadlineExceeded``,
``RefusedCredentials``, ``UntrustedCertificate``, ``WrongAddress``, ``ReadOnlyServer``, ``SharedOriginals``,
``NotFound``, ``BadRequest``.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.errors import DeidflowError, TransientError, Unusable

if TYPE_CHECKING:
    from collections.abc import Mapping

CANCELLED: Final = 37
"""OrthancStatus of a job that somebody cancelled."""

CANNOT_STORE: Final = 2018
"""OrthancStatus of an output that cannot be stored; on 1.10.1 also of one that is there already."""

FULL: Final = 19
"""OrthancStatus of an instance for which there is no room: HTTP 507 for an upload, 500 for a job (1.12.7, 1.13.0)."""

NOT_A_FILE: Final = 2006
"""OrthancStatus of an instance whose file has gone from the storage (1.10.1, 1.12.7)."""

UNDESCRIBED: Final = -2
"""In the place of an OrthancStatus: HTTP 400 or 500 without a body, which is an Orthanc's with HttpDescribeErrors off.

A proxy's answer has a page, or another status."""

CANNOT_READ_FILE: Final = frozenset({UNDESCRIBED, 13, 15, 20, 30, NOT_A_FILE})
"""OrthancStatus of a download that the server's storage has not, or not whole: asking again does not help."""

_SERVER_ERRORS: Final = 500
_REFUSED: Final = {
    401: "the Orthanc refuses user name and password; check the environment variables ORTHANC_USERNAME and "
    "ORTHANC_PASSWORD, or those that orthanc.username_env and password_env name",
    403: "the Orthanc, or a proxy before it, does not allow this user {} (HTTP 403); ask its administrator",
}
_NOT_GIVEN: Final = (
    "the Orthanc wants a user name and a password; set the environment variables ORTHANC_USERNAME and ORTHANC_PASSWORD"
)
_READ_ONLY: Final = 22
_UNKNOWN_TAG: Final = 27

# OrthancFramework/Sources/Enumerations.cpp, 1.10.1 to 1.13.0.
_STATUS_TEXTS: Final = {
    -1: "internal error",
    0: "the server was stopped while it worked",  # a job of 1.12 after a kill
    2: "not implemented yet",
    3: "parameter out of range",
    4: "the server is running out of memory",
    5: "bad type for a parameter",
    6: "bad sequence of calls",
    7: "accessing an inexistent item",
    8: "bad request",
    11: "error with the database",
    13: "inexistent file",
    14: "cannot write to file",
    15: "bad file format",
    16: "time-out",
    17: "unknown resource",
    FULL: "the file storage is full",
    20: "corrupted file",
    21: "inexistent tag",
    22: "read-only",
    27: "unknown DICOM tag",
    30: "badly formatted DICOM file",
    34: "the request is empty",
    CANCELLED: "the job was cancelled",
    NOT_A_FILE: "not a regular file",
    CANNOT_STORE: "cannot store an instance",
}

# What Orthanc says in Details, by how it begins, and what of it is repeated; `{}` is the tag that it names.
_TAG: Final = r'["(]?([0-9a-fA-F]{4},[0-9a-fA-F]{4}|[A-Z][A-Za-z0-9]{1,63})[")]?'
_DETAILS: Final = (
    (rf"While creating a DICOM instance, tag {_TAG} has out-of-range value", "the value for {} does not fit its VR"),
    (rf"Marking tag {_TAG} as to be", 'naming {} requires "Force": true'),
    (rf"When modifying \w+, (?:the|its|her) (?:parent )?{_TAG}", "this level does not allow {} to be given or kept"),
    (r"When modifying a patient, her PatientID is required", "PatientID must be replaced at this level"),
    (r"When modifying a \w+", "an identifier is given or kept that this level does not allow"),
    (r"Trying to change patient tags in a study", "patient attributes would differ between the patient's studies"),
    (r"Cannot parse an invalid DICOM file", "the file is not DICOM that Orthanc can read"),
    (r"Cannot transcode", "the pixel data cannot be transcoded"),
    (r"List of strings expected in field: Resources", "Resources must be a list of texts"),
)


_TOO_LARGE: Final = (
    "what stands before the Orthanc takes no request of this size; raise its limit (nginx: client_max_body_size)"
)

_PAGE_OF_A_PROXY: Final = (
    "no reason given; does a proxy answer for it? See that the Orthanc behind it runs, and that it passes on what that "
    "answers (nginx: proxy_intercept_errors off)"
)

_UNDESCRIBED: Final = (
    "no reason given; set HttpDescribeErrors to true in the Orthanc's configuration, and it will say what is wrong"
)
_STATUS_WITHOUT_BODY: Final = {400: UNDESCRIBED, 500: UNDESCRIBED, 507: FULL}


class Unreachable(TransientError):
    """The server did not answer, or not to the end; the request may have been acted upon."""


class ServerError(TransientError):
    """The server answered that it could not do it.

    Attributes:
        http_status: 500 to 599, or 429; 404 when a proxy says so; 200 when the answer is not what Orthanc sends.
        orthanc_status: Orthanc's own code, None when it gives none (a proxy answered).
        reason: What Orthanc says, as far as it is safe to show.
        retry_after_s: Seconds that the server asks to wait, None when it does not say.

    """

    def __init__(
        self, reason: str, http_status: int, orthanc_status: int | None = None, retry_after_s: float | None = None
    ) -> None:
        """Take what happened, for people."""
        self.http_status = http_status
        self.orthanc_status = orthanc_status
        self.reason = reason
        self.retry_after_s = retry_after_s
        super().__init__(
            reason if http_status == HTTPStatus.OK else f"the Orthanc answers HTTP {http_status}: {reason}"
        )


class JobFailed(TransientError):
    """A job ended in Failure; its outputs, if any, are still on the server.

    Attributes:
        orthanc_status: Orthanc's code.

    """

    def __init__(self, orthanc_status: int, details: str = "") -> None:
        """Take Orthanc's code and its details, of which only what is known to be safe is shown."""
        self.orthanc_status = orthanc_status
        super().__init__(f"the job failed on the server: {describe_status(orthanc_status, details)}")


class DeadlineExceeded(TransientError):
    """Something on the server has not ended in time; it may still be going on."""


class RefusedCredentials(Unusable):
    """The server knows neither user name nor password, or does not let this user do it."""


class UntrustedCertificate(Unusable):
    """The server's certificate cannot be verified."""


class WrongAddress(Unusable):
    """What answers is no Orthanc, or one that is too old."""


class ReadOnlyServer(Unusable):
    """The server is in its read-only mode."""

    def __init__(self) -> None:
        """Take nothing: there is one thing to say."""
        super().__init__("the Orthanc is read-only; set ReadOnly to false in its configuration")


class SharedOriginals(Unusable):
    """Somebody else's job edits the same originals now, and the request leaves no room for a mark."""

    def __init__(self) -> None:
        """Take nothing: there is one thing to say."""
        super().__init__(
            "another job on the Orthanc edits the same originals, and nothing would tell the results of the two apart, "
            "since the request names InstanceCreatorUID and StorageMediaFileSetUID itself; resume when that job has "
            "ended, or start a new run whose options leave one of the two elements out"
        )


class NotFound(DeidflowError):
    """The server does not hold it (any more)."""

    def __init__(self) -> None:
        """Take nothing: there is one thing to say."""
        super().__init__("the Orthanc does not hold this resource (any more)")


class BadRequest(DeidflowError):
    """The server will never accept this request.

    Attributes:
        http_status: Of the answer.
        orthanc_status: Orthanc's own code, None when it gives none.
        reason: What Orthanc says, as far as it is safe to show.

    """

    def __init__(self, http_status: int, orthanc_status: int | None, reason: str) -> None:
        """Take what Orthanc says."""
        self.http_status = http_status
        self.orthanc_status = orthanc_status
        self.reason = reason
        super().__init__(f"the Orthanc refuses the request (HTTP {http_status}): {reason}")


def describe_status(orthanc_status: int | None, details: str = "") -> str:
    """Say what one of Orthanc's codes means, with as much of its details as is safe.

    >>> describe_status(15, 'While creating a DICOM instance, tag (0028,0010) has out-of-range value: "Miller"')
    'the value for 0028,0010 does not fit its VR (Orthanc: 15, bad file format)'
    """
    if orthanc_status is None:
        return "no reason given; does a proxy answer for it?"
    if orthanc_status == UNDESCRIBED:
        return _UNDESCRIBED
    code = f"{orthanc_status}, {_STATUS_TEXTS.get(orthanc_status, 'see its documentation')}"
    if orthanc_status == _UNKNOWN_TAG and re.fullmatch(_TAG, details):  # since 1.11; it repeats what the request named
        return f"the server's dictionary has no tag {details} (Orthanc: {code})"
    for pattern, text in _DETAILS:
        found = re.match(pattern, details)
        if found:
            return f"{text.format(*found.groups())} (Orthanc: {code})"
    return f"Orthanc: {code}"


def error_of(
    http_status: int, headers: Mapping[str, str], body: object, route: str, *, has_credentials: bool = True
) -> DeidflowError:
    """Return the exception for an answer that is no success.

    Args:
        http_status: 300 or more.
        headers: Of the answer, any case.
        body: Parsed JSON; None for none at all, anything else for what is no JSON.
        route: What was asked for, method and path, without identifiers.
        has_credentials: Whether the request had a user name and a password.

    """
    answer = body if isinstance(body, dict) else {}
    code = answer.get("OrthancStatus")
    status = code if isinstance(code, int) else None
    if body is None:
        status = _STATUS_WITHOUT_BODY.get(http_status)
    reason = describe_status(status, str(answer.get("Details", "")))
    if http_status in _REFUSED:
        is_asked = http_status == HTTPStatus.UNAUTHORIZED and not has_credentials
        return RefusedCredentials(_NOT_GIVEN if is_asked else _REFUSED[http_status].format(route))
    if http_status == HTTPStatus.NOT_FOUND:
        # An Orthanc's has its own code, or nothing (jobs, HttpDescribeErrors off). A page is that of a proxy whose
        # Orthanc is away, and says nothing of what the Orthanc holds.
        return NotFound() if body is None or status is not None else ServerError(_PAGE_OF_A_PROXY, http_status)
    if status == _READ_ONLY:
        return ReadOnlyServer()
    if http_status == HTTPStatus.TOO_MANY_REQUESTS or (http_status >= _SERVER_ERRORS and status != _UNKNOWN_TAG):
        return ServerError(reason, http_status, status, _retry_after(headers))
    if http_status < HTTPStatus.BAD_REQUEST:
        return WrongAddress("the address only redirects to another one; write the final address into the config")
    too_large = http_status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    return BadRequest(http_status, status, _TOO_LARGE if too_large else reason)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Read ``Retry-After``: seconds or a date (RFC 9110, section 10.2.3)."""
    text = next((value.strip() for name, value in headers.items() if name.lower() == "retry-after"), "")
    if re.fullmatch(r"[0-9]{1,9}", text):
        return float(text)
    try:
        when = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return max(0.0, (when - datetime.now(UTC)).total_seconds()) if when.tzinfo else None
