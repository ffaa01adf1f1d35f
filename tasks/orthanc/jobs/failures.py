"""Why instances of a call have no result: jobs do not say which ones failed, nor why, so the server is asked again.

An instance is edited alone without storing it (``probe``). When that works, its result was refused, and it is edited
and stored alone: a job that is not permissive ends with the server's reason, for example that its storage is full
(``MaximumStorageMode`` Reject, 1.12.7 and 1.13.0). Should the result be taken now, it is deleted again.

Public names: ``Failures``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from deidflow.tasks.core.engine.protocol import InstanceResult
from deidflow.tasks.core.outcomes import Outcome, ReasonCode
from deidflow.tasks.orthanc.jobs.failure_probe import probe, probe_storing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from deidflow.tasks.core.engine.protocol import Call, PlannedInstance
    from deidflow.tasks.orthanc.connection.client import OrthancClient

    Reason = tuple[ReasonCode, str]

_MAX_PROBES: Final = 50
_LOST: Final = (
    "the Orthanc made the result, but it is not there; does a script or rule of the server move or delete it?"
)


class Failures:
    """Of one call."""

    def __init__(
        self,
        client: OrthancClient,
        call: Call,
        body: Mapping[str, Any],
        user_data: Mapping[str, Any] | None,
        delete_own: Callable[[Sequence[str]], None],
    ) -> None:
        """Take what the call was sent with.

        Args:
            client: The server.
            call: Which one.
            body: Of its request, without ``Resources``.
            user_data: Of its request.
            delete_own: Deletes results that were made in asking.

        """
        self._client = client
        self._operation = call.request.operation
        self._body = body
        self._user_data = user_data
        self._delete_own = delete_own
        self._first: InstanceResult | None = None
        self._asked = 0
        self._refusal: Reason | None = None

    def of(self, instance: PlannedInstance) -> InstanceResult:
        """Say what became of an instance that has no result; two requests at most, none after fifty instances.

        Raises:
            DeidflowError: See ``deidflow.tasks.orthanc.connection.errors``.

        """
        if self._first is not None and self._asked >= _MAX_PROBES:
            # So many fail for one reason; asking for each would cost a request each.
            return self._first._replace(id=instance.id)
        self._asked += 1
        reason = probe(self._client, instance.orthanc_id, self._operation, self._body) or self._refused(instance)
        if reason is None:
            found = InstanceResult(instance.id, Outcome.MISSING, ReasonCode.RESULT_MISSING, _LOST)
        else:
            found = InstanceResult(instance.id, Outcome.FAILED, *reason)
        self._first = self._first or found
        return found

    def _refused(self, instance: PlannedInstance) -> Reason | None:
        """Return why the server takes no result; a reason that is known is taken for all that can be edited."""
        if self._refusal is None:
            stored = probe_storing(self._client, instance.orthanc_id, self._operation, self._body, self._user_data)
            self._refusal = stored.reason
            if stored.made:
                self._delete_own(stored.made)
        return self._refusal
