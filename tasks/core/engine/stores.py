"""Where results go.

Public names: ``ResultStore``, ``ResultWriter``, ``ResultContent``, ``Staged``, ``BytesInMemory``.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers
    from deidflow.tasks.core.engine.protocol import PlannedInstance
    from deidflow.tasks.core.errors import InstanceFailed
    from deidflow.tasks.core.files.opened import OpenedFile
    from deidflow.tasks.core.request.request import Operation


class ResultContent(Protocol):
    """A result that is ready to be written: from file to file, or as bytes."""

    def write(self, descriptor: int) -> None:
        """Write it to an open file."""

    def to_bytes(self) -> bytes:
        """Return the whole of it."""


class BytesInMemory:
    """A result that is in memory anyway."""

    def __init__(self, data: bytes) -> None:
        """Take the whole result."""
        self._data = data

    def write(self, descriptor: int) -> None:
        """Write it to an open file.

        Raises:
            OSError: It cannot be written.

        """
        rest = memoryview(self._data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]

    def to_bytes(self) -> bytes:
        """Return the whole of it."""
        return self._data


class Staged(NamedTuple):
    """A result that is taken and not visible yet.

    Attributes:
        place: What the writer knows it by.
        evidence: The SHA-256 of the result in hex where the writer had it in memory; else "".

    """

    place: Any
    evidence: str = ""


class ResultWriter(Protocol):
    """Takes the results of one process; nothing is visible before ``publish``."""

    def stage(self, content: ResultContent, instance: PlannedInstance, operation: Operation) -> Staged:
        """Take one result.

        Raises:
            EOFError: Its source became shorter while it was read.
            OSError: Its source cannot be read.
            Unusable: The store cannot be written.

        """

    def publish(self, staged: Sequence[Staged]) -> list[InstanceFailed | None]:
        """Make results visible; say for each why it is not, or None.

        Raises:
            TransientError: The store cannot be reached now; doing the same again is safe.
            Unusable: The store cannot be used.

        """


class ResultStore(Protocol):
    """A folder or an Orthanc that results go to; travels to worker processes."""

    @property
    def is_packed(self) -> bool:
        """Whether what it has at hand was read in an archive of several, see ``together``."""

    def writer(self) -> ResultWriter:
        """Return a writer for this process."""

    def open(self, new: DicomIdentifiers, orthanc_id: str) -> OpenedFile:
        """Open a result for reading.

        Args:
            new: Its identifiers.
            orthanc_id: The last of these in Orthanc's form.

        Raises:
            InstanceFailed: ``result-missing`` where it is not there, ``result-differs`` where something else is or it
                cannot be read.
            TransientError: The store cannot be reached now.
            Unusable: The store cannot be used.

        """

    def together(self, results: Sequence[tuple[DicomIdentifiers, str]]) -> AbstractContextManager[ResultStore]:
        """Give a store that has these results at hand for ``open`` while the block lasts, where it saves requests.

        Args:
            results: Identifiers and Orthanc identifier of each.

        Raises:
            TransientError: They cannot be read now.
            Unusable: The store cannot be used.

        """

    def lacks(self) -> str:
        """Return what keeps this machine from writing to it, "" for nothing."""
