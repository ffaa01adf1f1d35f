"""An Orthanc as source or destination of the local engine, and as a place to read results back from.

Public names: ``OrthancServer``, ``OrthancSource``, ``OrthancStore``, ``OrthancWriter``.
"""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass, field, replace
from functools import cache
from hashlib import md5, sha256
from typing import TYPE_CHECKING, Final, NamedTuple

from deidflow.tasks.core.config.config import OrthancAccess
from deidflow.tasks.core.dicom.identifiers import Level
from deidflow.tasks.core.engine.sources import OpenOriginal
from deidflow.tasks.core.engine.stores import Staged
from deidflow.tasks.core.errors import DeidflowError, InstanceFailed, TransientError, Unusable
from deidflow.tasks.core.files.opened import OpenedFile
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.core.request.request import Operation
from deidflow.tasks.orthanc.connection.client import OrthancClient
from deidflow.tasks.orthanc.connection.errors import (
    CANNOT_READ_FILE,
    FULL,
    BadRequest,
    NotFound,
    RefusedCredentials,
    ServerError,
)
from deidflow.tasks.orthanc.replaced import Replaced
from deidflow.tasks.orthanc.resources.archives import Archive, WantedFile, read_archive
from deidflow.tasks.orthanc.resources.resources import still_there
from deidflow.tasks.orthanc.resources.server import read_server

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers
    from deidflow.tasks.core.engine.protocol import PlannedInstance
    from deidflow.tasks.core.engine.stores import ResultContent

_STORED: Final = "Success"
_CONVERTED: Final = (
    "the Orthanc converts what it stores (IngestTranscoding), or a plugin edits it, and the result would not be what "
    "was written; switch it off there"
)
_NOT_THERE: Final = "the Orthanc does not hold the instance"
_NOTHING: Final = Archive()
_ORIGIN: Final = {Operation.ANONYMIZE: "AnonymizedFrom", Operation.MODIFY: "ModifiedFrom"}


@dataclass(frozen=True)
class OrthancServer:
    """One Orthanc, as worker processes get it; each process opens its own connection.

    Attributes:
        url: Its address.
        access: Which certificates are trusted.
        credentials: User name and password.
        archive: Files that are downloaded already.

    """

    url: str
    access: OrthancAccess
    credentials: tuple[str, str] | None
    archive: Archive = field(default=_NOTHING, repr=False, compare=False)

    def lacks(self) -> str:
        """Return "": whether the server answers is seen when it is asked."""
        return ""

    def client(self) -> OrthancClient:
        """Return this process's client."""
        return _client(self.url, self.access.model_dump_json(), self.credentials)

    def read(self, orthanc_id: str, unreadable: ReasonCode) -> bytes:
        """Return the DICOM file of an instance.

        Args:
            orthanc_id: Of the instance.
            unreadable: The code where the server itself cannot read the file.

        Raises:
            InstanceFailed: The Orthanc does not hold it, or has lost or damaged its file.
            DeidflowError: See ``orthanc.connection.errors``.

        """
        packed = self.archive.read(orthanc_id)
        if packed is not None:
            return packed
        content = io.BytesIO()
        try:
            self.client().download(orthanc_id, content)
        except NotFound:
            raise InstanceFailed(ReasonCode.RESULT_MISSING, _NOT_THERE) from None
        except ServerError as error:
            if error.orthanc_status not in CANNOT_READ_FILE:
                raise
            if not still_there(self.client(), [orthanc_id]):  # it left between the look for it and the read of its file
                raise InstanceFailed(ReasonCode.RESULT_MISSING, _NOT_THERE) from None
            text = f"the Orthanc cannot read the instance's file ({error.reason})"
            raise InstanceFailed(unreadable, text) from None
        return content.getvalue()


@dataclass(frozen=True)
class OrthancSource:
    """See ``deidflow.tasks.core.engine.sources.InstanceSource``; what is stored on an Orthanc never changes.

    Attributes:
        server: Where it is.

    """

    server: OrthancServer

    @property
    def is_packed(self) -> bool:
        """Whether there is an archive."""
        return self.server.archive is not _NOTHING

    def open(self, instance: PlannedInstance) -> OpenOriginal:
        """Download a file into memory."""
        try:
            data = self.server.read(instance.orthanc_id, ReasonCode.SOURCE_UNREADABLE)
        except InstanceFailed as problem:
            if problem.code is ReasonCode.SOURCE_UNREADABLE:
                raise
            raise InstanceFailed(ReasonCode.SOURCE_CHANGED, str(problem)) from None
        return OpenOriginal(-1, len(data), data)

    def reopen(self, instance: PlannedInstance) -> OpenedFile:
        """Download it again."""
        try:
            return OpenedFile.in_memory(self.server.read(instance.orthanc_id, ReasonCode.SOURCE_UNREADABLE))
        except InstanceFailed:
            raise FileNotFoundError from None

    def check(self, original: OpenOriginal, instance: PlannedInstance) -> None:
        """Do nothing: it is in memory."""

    def content(self, original: OpenOriginal) -> str:
        """Return "": the server's FileUuid names it, and the plan has that."""
        del original
        return ""

    def excerpt(self, original: OpenOriginal, head: bytes) -> str:
        """Return "", as ``content`` does."""
        del original, head
        return ""

    @contextlib.contextmanager
    def together(self, instances: Sequence[PlannedInstance]) -> Iterator[OrthancSource]:
        """Download them in one archive."""
        wanted = [WantedFile(one.orthanc_id, one.original.sop_instance_uid) for one in instances]
        with read_archive(self.server.client(), wanted) as archive:
            yield replace(self, server=replace(self.server, archive=archive))

    def lacks(self) -> str:
        """Return "": whether the server answers is seen when it is asked."""
        return ""


@dataclass(frozen=True)
class OrthancStore:
    """See ``deidflow.tasks.core.engine.stores.ResultStore``.

    Attributes:
        server: Where it is.
        run_folder: Where objects that results replace are kept until these stand there; None when none is replaced.

    """

    server: OrthancServer
    run_folder: str | None = None

    @property
    def is_packed(self) -> bool:
        """Whether there is an archive."""
        return self.server.archive is not _NOTHING

    def open(self, new: DicomIdentifiers, orthanc_id: str) -> OpenedFile:
        """Download a result."""
        del new
        return OpenedFile.in_memory(self.server.read(orthanc_id, ReasonCode.RESULT_DIFFERS))

    @contextlib.contextmanager
    def together(self, results: Sequence[tuple[DicomIdentifiers, str]]) -> Iterator[OrthancStore]:
        """Download them in one archive."""
        wanted = [WantedFile(name, new.sop_instance_uid) for new, name in results]
        with read_archive(self.server.client(), wanted) as archive:
            yield replace(self, server=replace(self.server, archive=archive))

    def writer(self) -> OrthancWriter:
        """Return a writer for this process."""
        return OrthancWriter(self.server.client(), None if self.run_folder is None else Replaced(self.run_folder))

    def lacks(self) -> str:
        """Return "": whether the server answers is seen when it is asked."""
        return ""


# Never dropped: a connection that is forgotten while it is open is closed by nobody. There are as many as a process is
# given servers.
@cache
def _client(url: str, access: str, credentials: tuple[str, str] | None) -> OrthancClient:
    read = OrthancAccess.model_validate_json(access)
    return OrthancClient(url, read, credentials, read_s=read.timeout_seconds)


class _InMemory(NamedTuple):
    """A result that is not uploaded yet."""

    data: bytes
    original: str
    new: str
    operation: Operation


class OrthancWriter:
    """Writer of results to one Orthanc; see ``deidflow.tasks.core.engine.stores.ResultWriter``.

    A result that is there already is compared byte by byte: what ``POST /instances`` says about it (``AlreadyStored``,
    or success after overwriting) tells nothing.
    """

    def __init__(self, client: OrthancClient, replaced: Replaced | None) -> None:
        """Take a client, and what keeps replaced objects; None when nothing is to be replaced."""
        self._client = client
        self._replaced = replaced
        self._may_note_origin = True
        self._may_convert: bool | None = None

    def stage(self, content: ResultContent, instance: PlannedInstance, operation: Operation) -> Staged:
        """Hold one result until its batch is published."""
        data = content.to_bytes()
        original = instance.orthanc_id or instance.original.orthanc_id(Level.INSTANCE)
        held = _InMemory(data, original, instance.new.orthanc_id(Level.INSTANCE), operation)
        return Staged(held, sha256(data).hexdigest())

    def publish(self, staged: Sequence[Staged]) -> list[InstanceFailed | None]:
        """Upload results one by one; doing it again is safe."""
        return [self._published(result.place) for result in staged]

    def _published(self, result: _InMemory) -> InstanceFailed | None:
        try:
            return self._publish_one(result)
        except InstanceFailed as problem:
            return problem

    def _publish_one(self, result: _InMemory) -> InstanceFailed | None:
        present = self._present(result.new)
        if present is None:
            problem = self._upload(result)
        elif present == result.data:
            problem = None
        elif self._replaced is None:
            problem = InstanceFailed(ReasonCode.DESTINATION_CONFLICT, "another object stands where the result belongs")
        else:
            problem = self._replace(result, present, self._replaced)
        if problem is None:
            self._note_origin(result)
        return problem

    def _upload(self, result: _InMemory) -> InstanceFailed | None:
        try:
            uploaded = self._client.upload(result.data)
        except BadRequest as error:
            # Without a code of its own it is not the Orthanc that refuses it, whatever the file is.
            code = ReasonCode.DESTINATION_UNUSABLE if error.orthanc_status is None else ReasonCode.UNSUPPORTED
            return InstanceFailed(code, f"the Orthanc did not store the result: {error}")
        except ServerError as error:
            if error.orthanc_status != FULL:
                raise
            return InstanceFailed(ReasonCode.DESTINATION_UNUSABLE, f"the Orthanc did not store the result ({error})")
        if uploaded.status != _STORED or uploaded.orthanc_ids[-1] != result.new:
            text = "the Orthanc did not store the result under its identifiers"
            return InstanceFailed(ReasonCode.RESULT_DIFFERS, text)
        return None if self._is_as_sent(result) else self._without_conversion(result)

    def _is_as_sent(self, result: _InMemory) -> bool:
        """Whether the server has stored the bytes that it was sent; where it never converts any, it is not asked."""
        if self._may_convert is None:
            self._may_convert = read_server(self._client).may_convert
        if not self._may_convert:
            return True
        try:
            stored = self._client.content(f"instances/{result.new}/attachments/dicom/md5")
        except NotFound:  # StoreMD5ForAttachments is off
            return self._present(result.new) in (result.data, None)
        return stored.decode("ascii", "replace").strip() == md5(result.data, usedforsecurity=False).hexdigest()

    def _without_conversion(self, result: _InMemory) -> InstanceFailed:
        """Take out what was made of a result, while it is certain to be this one: later nothing proves whose it is."""
        with contextlib.suppress(NotFound):
            self._client.delete(f"instances/{result.new}")
        return InstanceFailed(ReasonCode.TRANSCODING_FAILED, _CONVERTED)

    def _replace(self, result: _InMemory, old: bytes, replaced: Replaced) -> InstanceFailed | None:
        """Put a result where another object stands; that one is gone only when the result is there."""
        replaced.keep(result.new, old)
        try:
            problem = self._upload(result)
            if problem is not None and self._present(result.new) == old and problem.code is ReasonCode.RESULT_DIFFERS:
                # OverwriteInstances is off (`AlreadyStored`).
                self._client.delete(f"instances/{result.new}")
                problem = self._upload(result)
            if problem is None:
                replaced.forget(result.new)
                return None
        except (TransientError, Unusable):
            with contextlib.suppress(DeidflowError):
                self._put_back(result.new, old, replaced)
            raise
        try:
            self._put_back(result.new, old, replaced)
        except (TransientError, BadRequest, NotFound):
            text = "the object that stood there is kept in the run folder: `deidflow resume` puts it back"
            return InstanceFailed(problem.code, f"{problem}; {text}")
        return InstanceFailed(problem.code, f"{problem}; the object that stood there is back")

    def _put_back(self, orthanc_id: str, old: bytes, replaced: Replaced) -> None:
        if self._present(orthanc_id) is None:
            self._client.upload(old)
        replaced.forget(orthanc_id)

    def _note_origin(self, result: _InMemory) -> None:
        """Say on the server what a result was made from, where the server lets a client do so.

        1.10.1 answers 403: metadata below 1024 are its own. The run's crosswalk has the mapping in any case.
        """
        if not self._may_note_origin:
            return
        try:
            self._client.put(f"instances/{result.new}/metadata/{_ORIGIN[result.operation]}", result.original)
        except RefusedCredentials:
            self._may_note_origin = False

    def _present(self, orthanc_id: str) -> bytes | None:
        content = io.BytesIO()
        try:
            self._client.download(orthanc_id, content)
        except NotFound:
            return None
        except ServerError as error:
            if error.orthanc_status not in CANNOT_READ_FILE:
                raise
            text = f"an object that the Orthanc cannot read stands where the result belongs ({error.reason})"
            raise InstanceFailed(ReasonCode.DESTINATION_CONFLICT, text) from None
        return content.getvalue()
