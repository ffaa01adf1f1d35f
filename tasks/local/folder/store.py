"""The destination folder: results appear under their final names whole or not at all.

A result's name follows from its identifiers alone, see ``core.engine.result_paths``. A batch is written to a partial
folder, made durable, and then linked to its final names. Links in the destination are not followed: a patient's folder
that is one takes no result.

Public names: ``FolderStore``, ``FolderWriter``, ``clear_partial_results``, ``folder_mode``.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, NamedTuple

from deidflow.tasks.core.engine.result_paths import open_result, relative_path
from deidflow.tasks.core.engine.stores import Staged
from deidflow.tasks.core.errors import InstanceFailed, Unusable, os_error_and_remedy
from deidflow.tasks.core.files.beneath import KeptFolder, open_plain_file
from deidflow.tasks.core.files.plain_files import NotPlainError
from deidflow.tasks.core.files.private_files import sync_file_system
from deidflow.tasks.core.outcomes import ReasonCode

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers
    from deidflow.tasks.core.engine.protocol import PlannedInstance
    from deidflow.tasks.core.engine.stores import ResultContent
    from deidflow.tasks.core.files.opened import OpenedFile
    from deidflow.tasks.core.request.request import Operation

PARTIAL_FOLDER: Final = ".deidflow-partial"
_NO_LINKS: Final = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV})
"""EXDEV: AFS has none from one folder to another, and there every result goes from one to another."""
_COMPARED_BYTES: Final = 1 << 20


class _Partial(NamedTuple):
    """Where a result is written that is not yet visible, and where it will be."""

    partial: str
    final: str


@dataclass(frozen=True, slots=True)
class FolderStore:
    """See ``deidflow.tasks.core.engine.stores.ResultStore``.

    Attributes:
        folder: Its path; it exists.
        overwrite: Whether a different object under a result's final name is replaced.
        kept: Where results are read one after the other, the folder of the last one; else None.
        mode: Permissions of results; their folders can be entered by whoever may read. None for what the umask leaves.

    """

    folder: str
    overwrite: bool = False
    kept: KeptFolder | None = field(default=None, repr=False, compare=False)
    mode: int | None = None

    @property
    def is_packed(self) -> bool:
        """Each file is read by itself."""
        return False

    def writer(self) -> FolderWriter:
        """Return a writer for this process."""
        return FolderWriter(self.folder, overwrite=self.overwrite, mode=self.mode)

    def open(self, new: DicomIdentifiers, orthanc_id: str) -> OpenedFile:
        """Open a result by its name; no link below the folder is followed."""
        del orthanc_id
        return open_result(self.folder, new, self.kept)

    @contextlib.contextmanager
    def together(self, results: Sequence[tuple[DicomIdentifiers, str]]) -> Iterator[FolderStore]:
        """Give the same folder: a file is opened when it is wanted, and where it is, the next one may be, too."""
        del results
        with KeptFolder(self.folder) as kept:
            yield replace(self, kept=kept)

    def lacks(self) -> str:
        """Look for the folder."""
        is_there = os.path.isdir(self.folder)  # noqa: PTH112 (the hot path is text)
        return "" if is_there else "does not see the destination folder; mount the same storage there"


class FolderWriter:
    """See ``deidflow.tasks.core.engine.stores.ResultWriter``; each worker process has its own."""

    def __init__(self, folder: str, *, overwrite: bool, mode: int | None = None) -> None:
        """Take the destination, which exists.

        Args:
            folder: The destination.
            overwrite: Whether a different object under a result's final name is replaced.
            mode: Permissions of results, see ``FolderStore``.

        """
        self._folder = folder
        self._overwrite = overwrite
        self._mode = mode
        self._partial = f"{folder}/{PARTIAL_FOLDER}/{os.getpid()}"  # its own: processes do not wait for each other
        self._count = 0

    def stage(self, content: ResultContent, instance: PlannedInstance, operation: Operation) -> Staged:
        """Write one result to the partial folder."""
        del operation  # names and bytes say it all
        try:
            descriptor, partial = self._new_partial()
            try:
                content.write(descriptor)
                if self._mode is not None:
                    os.fchmod(descriptor, self._mode)
            except BaseException:
                os.close(descriptor)
                os.unlink(partial)  # noqa: PTH108
                raise
            os.close(descriptor)
        except OSError as error:
            raise _unwritable(error) from None
        return Staged(_Partial(partial, f"{self._folder}/{relative_path(instance.new)}"))

    def _new_partial(self) -> tuple[int, str]:
        while True:
            self._count += 1
            partial = f"{self._partial}/{self._count}"
            try:
                return os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666), partial
            except FileNotFoundError:
                for folder in (f"{self._folder}/{PARTIAL_FOLDER}", self._partial):
                    os.makedirs(folder, mode=0o700, exist_ok=True)  # noqa: PTH103 (the hot path is text)
            except FileExistsError:
                continue  # left by an earlier attempt, or by a killed process that had the same number

    def publish(self, staged: Sequence[Staged]) -> list[InstanceFailed | None]:
        """Make results visible under their final names, durably.

        Returns:
            For each: None when it stands there with these bytes, or why it does not.

        Raises:
            Unusable: The destination cannot be written.

        """
        if not staged:
            return []
        try:
            sync_file_system(self._folder)
            with KeptFolder(self._folder, make=True, mode=folder_mode(self._mode)) as folders:
                failures = [self._publish_one(result.place, folders) for result in staged]
            sync_file_system(self._folder)
        except OSError as error:
            raise _unwritable(error) from None
        return failures

    def _publish_one(self, result: _Partial, folders: KeptFolder) -> InstanceFailed | None:
        above, _, name = result.final[len(self._folder) + 1 :].rpartition("/")
        try:
            folder = folders.descriptor(above.encode())
            try:
                os.link(result.partial, name, dst_dir_fd=folder)
            except FileExistsError:
                return self._resolve_conflict(result, folder, name)
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                if _is_there(folder, name):
                    return self._resolve_conflict(result, folder, name)
                os.rename(result.partial, name, dst_dir_fd=folder)
                return None
        except NotPlainError:
            os.unlink(result.partial)  # noqa: PTH108
            text = "a link, or something else that is no folder, stands on the way to where the result belongs"
            return InstanceFailed(ReasonCode.DESTINATION_CONFLICT, text)
        os.unlink(result.partial)  # noqa: PTH108
        return None

    def _resolve_conflict(self, result: _Partial, folder: int, name: str) -> InstanceFailed | None:
        try:
            same = _same_content(result.partial, open_plain_file(folder, name.encode()))
        except NotPlainError:
            os.unlink(result.partial)  # noqa: PTH108
            text = "a link, or something else that is no plain file, stands where the result belongs"
            return InstanceFailed(ReasonCode.DESTINATION_CONFLICT, text)
        except OSError:  # a folder, or a file that may not be read
            same = False
        if not same and self._overwrite:
            os.replace(result.partial, name, dst_dir_fd=folder)
            return None
        os.unlink(result.partial)  # noqa: PTH108
        if same:
            return None
        text = "another object stands where the result belongs"
        return InstanceFailed(ReasonCode.DESTINATION_CONFLICT, text)


def folder_mode(mode: int | None) -> int | None:
    """Return the permissions of folders whose files have these: whoever may read those may enter.

    >>> oct(folder_mode(0o640))
    '0o750'
    """
    return None if mode is None else mode | (mode & 0o444) >> 2


def _unwritable(error: OSError) -> Unusable:
    return Unusable(f"the destination cannot be written: {os_error_and_remedy(error)}", error)


def _is_there(folder: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _same_content(partial: str, there: OpenedFile) -> bool:
    with open(partial, "rb") as one, there:  # noqa: PTH123 (the hot path is text)
        if os.fstat(one.fileno()).st_size != there.size:
            return False
        other = there.stream()
        while data := one.read(_COMPARED_BYTES):
            if data != other.read(_COMPARED_BYTES):
                return False
        return True


def clear_partial_results(folder: str) -> None:
    """Remove what an interrupted run left half-written; only the holder of the destination's lock calls this."""
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(f"{folder}/{PARTIAL_FOLDER}")
