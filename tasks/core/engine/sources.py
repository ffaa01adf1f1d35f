"""Where originals come from, and what is there: instances with their identifiers, and files that cannot be used.

Public names: ``InstanceSource``, ``OpenOriginal``, ``SourceInstance``, ``SourceProblem``, ``ProblemCode``.
"""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

    from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers
    from deidflow.tasks.core.engine.protocol import PlannedInstance
    from deidflow.tasks.core.files.opened import OpenedFile


class ProblemCode(StrEnum):
    """Why a file of the source folder was not used."""

    NOT_DICOM = "not-dicom"
    EMPTY = "empty"
    DICOMDIR = "dicomdir"
    DAMAGED = "damaged"
    MISSING_IDENTIFIERS = "missing-identifiers"
    UNREADABLE = "unreadable"
    NOT_A_REGULAR_FILE = "not-a-regular-file"
    LINK_OUT_OF_FOLDER = "link-out-of-folder"
    BROKEN_LINK = "broken-link"


class SourceProblem(NamedTuple):
    """A file that was not used: its path relative to the folder, as the system stores it, and why."""

    path: bytes
    code: ProblemCode


class SourceInstance(NamedTuple):
    """One instance of the source.

    Attributes:
        path: Of its file, relative to the folder, as the system stores it; b"" on an Orthanc.
        size: In bytes.
        mtime_ns: When it was last changed, to notice that it changes later.
        identifiers: Decoded.
        frame_of_reference_uid: "" when absent.
        attributes: By keyword, only when asked for.
        is_result: Whether deidflow's anonymize wrote it; on an Orthanc whether any of its own edits did.
        orthanc_ids: Of patient, study, series and instance as the server has them; None where they follow from the
            identifiers.
        stable: On an Orthanc whether the study has ceased to grow.
        person: Whose it says it is, see ``deidflow.tasks.core.dicom.persons``; "" when nobody looked.
        sop_class_uid: "" when absent, or on an Orthanc when nobody asked.
        review: Why a person should look at it, see ``deidflow.tasks.core.engine.review``; "" for no reason.
        content: On an Orthanc the FileUuid of what is stored, which another version never has; "" for a file.
        modality: "" when absent.
        origins: On an Orthanc the identifiers of what an edit on it made it from, never its own.

    """

    path: bytes
    size: int
    mtime_ns: int
    identifiers: DicomIdentifiers
    frame_of_reference_uid: str = ""
    attributes: Mapping[str, str] = MappingProxyType({})
    is_result: bool = False
    orthanc_ids: tuple[str, str, str, str] | None = None
    stable: bool = True
    person: str = ""
    sop_class_uid: str = ""
    review: str = ""
    content: str = ""
    modality: str = ""
    origins: tuple[str, ...] = ()


class OpenOriginal(NamedTuple):
    """An original that is being read.

    Attributes:
        descriptor: Of its open file, which the reader closes; -1 when it is in memory.
        size: In bytes.
        data: The whole of it when it is in memory.

    """

    descriptor: int
    size: int
    data: bytes = b""


class InstanceSource(Protocol):
    """A folder or an Orthanc that originals are read from; travels to worker processes."""

    @property
    def is_packed(self) -> bool:
        """Whether what it has at hand was read in an archive of several, see ``together``."""

    def open(self, instance: PlannedInstance) -> OpenOriginal:
        """Open the original as it was when the plan was frozen.

        Raises:
            InstanceFailed: It is not there, or is another one now.
            OSError: It cannot be read.
            TransientError: It cannot be read now.
            Unusable: The source cannot be used.

        """

    def reopen(self, instance: PlannedInstance) -> OpenedFile:
        """Open what stands there now, whatever it is, to compare a result with it; no link is followed.

        Raises:
            OSError: It is not there, is no plain file, or cannot be read.
            TransientError: It cannot be read now.
            Unusable: The source cannot be used.

        """

    def check(self, original: OpenOriginal, instance: PlannedInstance) -> None:
        """Make sure that an original did not change while it was read.

        Raises:
            InstanceFailed: It did.

        """

    def content(self, original: OpenOriginal) -> str:
        """Return the SHA-256 of what was read, in hex; "" where the source itself names what it stores."""

    def excerpt(self, original: OpenOriginal, head: bytes) -> str:
        """Return what tells later whether it was this that was read (``files.excerpts``); "" as for ``content``.

        Args:
            original: Open.
            head: What was read of its beginning: ``excerpts.HEAD_BYTES`` or more, or all of it.

        """

    def together(self, instances: Sequence[PlannedInstance]) -> AbstractContextManager[InstanceSource]:
        """Give a source that has these originals at hand for ``reopen`` while the block lasts, where it saves requests.

        Raises:
            TransientError: They cannot be read now.
            Unusable: The source cannot be used.

        """

    def lacks(self) -> str:
        """Return what keeps this machine from reading it, "" for nothing."""
