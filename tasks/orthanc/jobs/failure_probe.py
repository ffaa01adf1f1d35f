"""Why one instance cannot be edited, or its result not be stored: jobs do not say which one failed, nor why.

Source: ``POST /instances/{id}/modify`` and ``/anonymize``, which store nothing and answer with the file (all versions);
``/tools/bulk-modify`` and ``/tools/bulk-anonymize`` with ``Permissive`` false, which answer with the first error.

Public names: ``probe``, ``probe_storing``, ``Stored``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.orthanc.connection.answers import mapping, objects, resource_id
from deidflow.tasks.orthanc.connection.errors import FULL, NOT_A_FILE, BadRequest, NotFound, ServerError
from deidflow.tasks.orthanc.resources.resources import still_there

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deidflow.tasks.core.request.request import Operation
    from deidflow.tasks.orthanc.connection.client import OrthancClient

# Transcoding never fails a job, which keeps the original syntax instead, but it fails this route (docs/orthanc.md,
# Transcoding).
_BULK_ONLY: Final = frozenset(
    {"Resources", "Asynchronous", "Synchronous", "Permissive", "KeepSource", "UserData", "Transcode", "LossyQuality"}
)
_INTERNAL_ERROR: Final = 500
_WHAT: Final = "a job"
_REFUSED: Final = "the Orthanc did not store the result ({})"

# By Orthanc's code; "bad file format" is what it says of values, and of files that it accepted it says nothing.
_REASONS: Final[dict[int | None, ReasonCode]] = {
    5: ReasonCode.BAD_VALUE,
    13: ReasonCode.SOURCE_UNREADABLE,
    14: ReasonCode.DESTINATION_UNUSABLE,
    15: ReasonCode.BAD_VALUE,
    FULL: ReasonCode.DESTINATION_UNUSABLE,
    20: ReasonCode.DAMAGED,
    30: ReasonCode.DAMAGED,
    NOT_A_FILE: ReasonCode.SOURCE_UNREADABLE,
}


def probe(
    client: OrthancClient, instance_id: str, operation: Operation, body: Mapping[str, Any]
) -> tuple[ReasonCode, str] | None:
    """Edit one instance without storing the result, to learn why it failed in a job.

    The edited file is read to its end and dropped. With anonymize the server's counter of ``Anonymized<n>`` goes up.

    Returns:
        The reason and a text without values or identifiers; None when the edit succeeds, so that the job's failure must
        have been in storing the result.

    Raises:
        TransientError: The server cannot be asked now.
        Unusable: The server cannot be used.

    """
    single = {key: value for key, value in body.items() if key not in _BULK_ONLY}
    try:
        with client.stream("POST", f"instances/{instance_id}/{operation}", single) as pieces:
            for _ in pieces:
                pass
    except NotFound:
        return ReasonCode.NOT_FOUND, "the Orthanc does not hold the instance any more"
    except BadRequest as error:
        return _REASONS.get(error.orthanc_status, ReasonCode.SERVER_ERROR), error.reason
    except ServerError as error:
        if error.http_status != _INTERNAL_ERROR or error.orthanc_status is None:
            raise
        code = _REASONS.get(error.orthanc_status, ReasonCode.SERVER_ERROR)
        lost = "the Orthanc cannot read the instance's file"
        return code, f"{lost} ({error.reason})" if code is ReasonCode.SOURCE_UNREADABLE else error.reason
    return None


class Stored(NamedTuple):
    """What storing the result of one instance led to.

    Attributes:
        reason: Why the server refused it, with a text without values or identifiers; None when it did not.
        made: Orthanc's identifiers of the instances that are there now.

    """

    reason: tuple[ReasonCode, str] | None
    made: tuple[str, ...] = ()


def probe_storing(
    client: OrthancClient,
    instance_id: str,
    operation: Operation,
    body: Mapping[str, Any],
    user_data: Mapping[str, Any] | None,
) -> Stored:
    """Edit one instance by a job of its own that is not permissive, to learn why its result was not stored.

    Only after ``probe`` has found that it can be edited.

    Args:
        client: The server.
        instance_id: Of the original.
        operation: Which route.
        body: Of the call's request, with its mark.
        user_data: Of the call's request.

    Returns:
        No reason, and nothing made, where the result was made and has left the server since.

    Raises:
        TransientError: The server cannot be asked now, and may have stored the result.
        Unusable: The server cannot be used.

    """
    single = {key: value for key, value in body.items() if key != "Asynchronous"}
    single |= {"Resources": [instance_id], "Synchronous": True, "Permissive": False, "KeepSource": True}
    if user_data is not None:
        single["UserData"] = dict(user_data)
    try:
        answer = mapping(client.post(f"tools/bulk-{operation}", single), _WHAT)
    except NotFound:
        reason = (ReasonCode.NOT_FOUND, "the Orthanc does not hold the instance any more")
    except (BadRequest, ServerError) as error:
        if error.orthanc_status is None:
            raise
        reason = (_REASONS.get(error.orthanc_status, ReasonCode.SERVER_ERROR), _REFUSED.format(error.reason))
    else:
        made = [item for item in objects(answer.get("Resources", []), _WHAT) if item.get("Type") == "Instance"]
        return Stored(None, tuple(resource_id(item, "ID", _WHAT) for item in made))
    # From 1.11.3 on the job reads its result again at its end, and says this where that has left before, or meanwhile:
    # the original can be read, as ``probe`` has just seen.
    has_left = reason[0] in (ReasonCode.NOT_FOUND, ReasonCode.SOURCE_UNREADABLE) and still_there(client, [instance_id])
    return Stored(None if has_left else reason)
