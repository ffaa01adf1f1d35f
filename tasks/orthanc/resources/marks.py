"""Which results are a call's own: a value that its request carries, every result has, and no other writer knows.

That a result was made from the originals of a run, while it ran, proves nothing: a colleague may anonymize the same
study at the same moment, and so may another run. So every request replaces InstanceCreatorUID (0008,0014), which
"uniquely identifies the device that created the SOP instance" (DICOM PS3.3 2026d, section C.12.1.1), by a UID of its
call, and what is not known to have it is never deleted (docs/decisions/0016). Where the request names that element
itself, Storage Media File-set UID (0088,0140) takes its place (docs/decisions/0029).

The UID is ``2.25.`` and the first 16 bytes of SHA-256 of the run's nonce and the call's number, so that it tells
nobody anything but that two results are of one call. A request that names both elements itself has no mark.

Public names: ``mark_of``, ``Mark``, ``uid_of``, ``added_names``, ``marked_body``,
``find_marked``, ``Marked``.
"""

from __future__ import annotations

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

_ELEMENTS: Final = {"InstanceCreatorUID": Path((), 0x00080014), "StorageMediaFileSetUID": Path((), 0x00880140)}
"""Where a mark may stand, the first that a request leaves free."""

_DEIDENTIFICATION_METHOD: Final = Path((), 0x00120063)
_WITHOUT_BASIC_PROFILE: Final = "2008"
"""What Orthanc says of its profiles names the Basic Profile for all but this one (1.10.1 to 1.13.0)."""

_MARK_BYTES: Final = 16
_AT_A_TIME: Final = MAX_CONNECTIONS // 2
_INTERNAL_ERROR: Final = 500


class Mark(NamedTuple):
    """What the results of a call carry.

    Attributes:
        path: Of the element, at top level.
        uid: Its value.

    """

    path: Path
    uid: str


class Marked(NamedTuple):
    """What looking for a mark found.

    Attributes:
        own: Instances that carry it.
        unknown: Instances that are there and could not be read, so that nobody knows.

    """

    own: frozenset[str]
    unknown: frozenset[str]


def mark_of(nonce: str, call: int, request: Request) -> Mark | None:
    """Return the mark of a call, None when its request names all elements that could hold it.

    >>> from deidflow.tasks.core.request.request import Operation, Request
    >>> from deidflow.tasks.core.request.edits import Edits
    >>> mark_of("00", 1, Request(Operation.MODIFY, Edits({}, (), ()))).uid
    '2.25.277116398837577178391410219225580003637'

    Args:
        nonce: Of the run.
        call: Its number in the ledger.
        request: Its arguments.

    """
    keyword = _free_element(request)
    return None if keyword is None else Mark(_ELEMENTS[keyword], uid_of(nonce, call))


def added_names(request: Request) -> list[str]:
    """Return what deidflow itself adds to a request to an Orthanc, each as ``replace`` and a keyword."""
    keyword = _free_element(request)
    added = [] if keyword is None else [keyword]
    if _takes_method(request):
        added.append("DeidentificationMethod")
    return [f"replace {name}" for name in added]


def _free_element(request: Request) -> str | None:
    return next((keyword for keyword, path in _ELEMENTS.items() if not _names(request, path)), None)


def _takes_method(request: Request) -> bool:
    return request.operation is Operation.ANONYMIZE and not _names(request, _DEIDENTIFICATION_METHOD)


def _names(request: Request, path: Path) -> bool:
    edits = request.edits
    return any(path in paths for paths in (edits.replace, edits.remove, edits.keep))


def uid_of(nonce: str, call: int) -> str:
    """Return the UID of a call, which its mark is where there is one."""
    number = int.from_bytes(sha256(f"{nonce}:{call}".encode("ascii")).digest()[:_MARK_BYTES])
    return f"2.25.{number}"


def marked_body(body: Mapping[str, Any], request: Request, mark: Mark | None, version: str) -> dict[str, Any]:
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
        added[str(mark.path)] = mark.uid
    if _takes_method(request):
        edits, settings = request.edits, request.settings
        weakened = bool(edits.keep) or settings.keep_private_tags or settings.dicom_version == _WITHOUT_BASIC_PROFILE
        # Not in the server's very words: 1.10.1 takes its own text in Replace for one that it has to take out.
        method = f"Orthanc {version}, PS 3.15-{settings.dicom_version} Table E.1-1"
        added[str(_DEIDENTIFICATION_METHOD)] = method if weakened else f"{method} Basic Profile"
    return {**body, "Replace": {**body.get("Replace", {}), **added}} if added else dict(body)


def find_marked(client: OrthancClient, instance_ids: Iterable[str], mark: Mark) -> Marked:
    """Look a mark up: one request (``GET /instances/{id}/content/gggg-eeee``, all versions) for each instance.

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
        found = dict(zip(names, pool.map(lambda name: _value(client, name, mark.path), names), strict=True))
    return Marked(
        frozenset(name for name, value in found.items() if value == mark.uid),
        frozenset(name for name, value in found.items() if value is None),
    )


def _value(client: OrthancClient, instance_id: str, path: Path) -> str | None:
    """Return an element of an instance, "" when it has none or is gone, None when it cannot be read."""
    try:
        content = client.content(f"instances/{instance_id}/content/{path.tag >> 16:04x}-{path.tag & 0xFFFF:04x}")
    except NotFound:
        return ""
    except BadRequest:
        return None
    except ServerError as error:
        if error.http_status != _INTERNAL_ERROR or error.orthanc_status is None:
            raise
        return None
    return content.decode("ascii", "replace").strip(" \0")
