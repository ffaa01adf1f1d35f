"""Which results are a call's own: a value that its request carries, every result has, and no other writer knows.

That a result was made from the originals of a run, while it ran, proves nothing: a colleague may anonymize the same
study at the same moment, and so may another run. So every request replaces InstanceCreatorUID (0008,0014), which
"uniquely identifies the device that created the SOP instance" (DICOM PS3.3 2026d, section C.12.1.1), by a UID of its
call, and what is not known to have it is never deleted (docs/decisions/0016).

The UID is ``2.25.`` and the first 16 bytes of SHA-256 of the run's nonce and the call's number, so that it tells
nobody anything but that two results are of one call. A request that names the element itself has no mark.

Public names: ``new_nonce``, ``mark_of``, ``uid_of``, ``added_names``, ``marked_body``,
``find_marked``, ``Marked``.
"""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from deidflow.tasks.core.dicom.tags import Path
from deidflow.tasks.core.request.request import Operation
from deidflow.tasks.orthanc.connection.client import MAX_CONNECTIONS
from deidflow.tasks.orthanc.connection.errors import BadRequest, NotFound, ServerError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from deidflow.tasks.core.request.request import Request
    from deidflow.tasks.orthanc.connection.client import OrthancClient

INSTANCE_CREATOR_UID: Final = Path((), 0x00080014)
_DEIDENTIFICATION_METHOD: Final = Path((), 0x00120063)
_WITHOUT_BASIC_PROFILE: Final = "2008"
"""What Orthanc says of its profiles names the Basic Profile for all but this one (1.10.1 to 1.13.0)."""

_NONCE_BYTES: Final = 16
_MARK_BYTES: Final = 16
_AT_A_TIME: Final = MAX_CONNECTIONS // 2
_INTERNAL_ERROR: Final = 500


class Marked(NamedTuple):
    """What looking for a mark found.

    Attributes:
        own: Instances that carry it.
        unknown: Instances that are there and could not be read, so that nobody knows.

    """

    own: frozenset[str]
    unknown: frozenset[str]


def new_nonce() -> str:
    """Return what the marks of one run are made from: 128 random bits in hex."""
    return secrets.token_hex(_NONCE_BYTES)


def mark_of(nonce: str, call: int, request: Request) -> str | None:
    """Return the mark of a call, None when its request names InstanceCreatorUID itself.

    >>> from deidflow.tasks.core.request.request import Operation, Request
    >>> from deidflow.tasks.core.request.edits import Edits
    >>> mark_of("00", 1, Request(Operation.MODIFY, Edits({}, (), ())))
    '2.25.277116398837577178391410219225580003637'

    Args:
        nonce: Of the run.
        call: Its number in the ledger.
        request: Its arguments.

    """
    return None if _names(request, INSTANCE_CREATOR_UID) else uid_of(nonce, call)


def added_names(request: Request) -> list[str]:
    """Return what deidflow itself adds to a request to an Orthanc, each as ``replace`` and a keyword."""
    added = {"InstanceCreatorUID": not _names(request, INSTANCE_CREATOR_UID)}
    added["DeidentificationMethod"] = _takes_method(request)
    return [f"replace {name}" for name, is_added in added.items() if is_added]


def _takes_method(request: Request) -> bool:
    return request.operation is Operation.ANONYMIZE and not _names(request, _DEIDENTIFICATION_METHOD)


def _names(request: Request, path: Path) -> bool:
    edits = request.edits
    return any(path in paths for paths in (edits.replace, edits.remove, edits.keep))


def uid_of(nonce: str, call: int) -> str:
    """Return the UID of a call, which its mark is where there is one."""
    number = int.from_bytes(sha256(f"{nonce}:{call}".encode("ascii")).digest()[:_MARK_BYTES])
    return f"2.25.{number}"


def marked_body(body: Mapping[str, Any], request: Request, mark: str | None, version: str) -> dict[str, Any]:
    """Return the JSON body of a request with the call's mark.

    Of an anonymization also with DeidentificationMethod, unless the request names it: with any Replace, Keep or Remove
    1.10.1 leaves it out, and 1.12.7 leaves the profile out. It claims the Basic Profile only where nothing was kept.

    Args:
        body: Hardened or not, without ``Resources``.
        request: What the body was made from.
        mark: Of ``mark_of``.
        version: Of the server, as it tells it.

    """
    added: dict[str, Any] = {}
    if mark is not None:
        added[str(INSTANCE_CREATOR_UID)] = mark
    if _takes_method(request):
        edits, settings = request.edits, request.settings
        weakened = bool(edits.keep) or settings.keep_private_tags or settings.dicom_version == _WITHOUT_BASIC_PROFILE
        method = f"Orthanc {version} - PS 3.15-{settings.dicom_version} Table E.1-1"
        added[str(_DEIDENTIFICATION_METHOD)] = method if weakened else f"{method} Basic Profile"
    return {**body, "Replace": {**body.get("Replace", {}), **added}} if added else dict(body)


def find_marked(client: OrthancClient, instance_ids: Iterable[str], mark: str) -> Marked:
    """Look a mark up: one request (``GET /instances/{id}/content/0008-0014``, all versions) for each instance.

    Args:
        client: The server.
        instance_ids: Where to look; what is gone is in neither set.
        mark: Of ``mark_of``.

    Raises:
        DeidflowError: See ``deidflow.tasks.orthanc.connection.errors``.

    """
    names = list(dict.fromkeys(instance_ids))
    if not names:
        return Marked(frozenset(), frozenset())
    with ThreadPoolExecutor(min(_AT_A_TIME, len(names))) as pool:
        found = dict(zip(names, pool.map(lambda name: _creator(client, name), names), strict=True))
    return Marked(
        frozenset(name for name, creator in found.items() if creator == mark),
        frozenset(name for name, creator in found.items() if creator is None),
    )


def _creator(client: OrthancClient, instance_id: str) -> str | None:
    """Return InstanceCreatorUID of an instance, "" when it has none or is gone, None when it cannot be read."""
    try:
        content = client.content(f"instances/{instance_id}/content/{_as_in_urls(INSTANCE_CREATOR_UID)}")
    except NotFound:
        return ""
    except BadRequest:
        return None
    except ServerError as error:
        if error.http_status != _INTERNAL_ERROR or error.orthanc_status is None:
            raise
        return None
    return content.decode("ascii", "replace").strip(" \0")


def _as_in_urls(path: Path) -> str:
    return f"{path.tag >> 16:04x}-{path.tag & 0xFFFF:04x}"
