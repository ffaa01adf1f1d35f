"""Where instances come from and where results go, when that is no folder.

The local engine knows folders; whatever else there is (an Orthanc) is handed to it as one of these, and opened anew in
each worker process.

Public names: ``Reader``, ``RemoteStore``, ``RemotePlace``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deidflow.tasks.core.engine.protocol import PlannedInstance
    from deidflow.tasks.core.errors import InstanceFailed
    from deidflow.tasks.core.request.request import Operation


class Reader(Protocol):
    """Reads whole files by Orthanc identifier."""

    def read(self, orthanc_id: str) -> bytes:
        """Return a DICOM file.

        Raises:
            InstanceFailed: It is not there.
            TransientError: It cannot be read now.
            Unusable: The place cannot be used.

        """


class RemoteStore(Protocol):
    """Takes results; nothing is visible before ``publish``."""

    def stage(self, data: bytes, instance: PlannedInstance, operation: Operation) -> Any:
        """Take one result."""

    def publish(self, staged: Sequence[Any]) -> list[InstanceFailed | None]:
        """Make results visible; say for each why it is not, or None.

        Raises:
            TransientError: The place cannot be reached now; doing the same again is safe.
            Unusable: The place cannot be used.

        """


class RemotePlace(Reader, Protocol):
    """A place that travels to worker processes."""

    def store(self) -> RemoteStore:
        """Return a writer for this process."""
