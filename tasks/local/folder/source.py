"""A folder of DICOM files as a source.

Public names: ``FolderSource``.
"""

from __future__ import annotations

import os
from contextlib import nullcontext
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, BinaryIO, Final

from deidflow.tasks.core.engine.sources import OpenOriginal
from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.files.beneath import open_folder, open_followed, open_plain_file
from deidflow.tasks.core.outcomes import ReasonCode

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from deidflow.tasks.core.engine.protocol import PlannedInstance

_HASHED_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class FolderSource:
    """See ``deidflow.tasks.core.engine.sources.InstanceSource``.

    Attributes:
        folder: Its path, as the system stores it.
        follow_links: Whether its files may be symbolic links, to wherever.

    """

    folder: bytes
    follow_links: bool = False

    def open(self, instance: PlannedInstance) -> OpenOriginal:
        """Open a file; a symbolic link is refused, unless they are followed: it may have taken the place of a file."""
        path = os.path.join(self.folder, instance.path)  # noqa: PTH118 (bytes)
        no_links = 0 if self.follow_links else os.O_NOFOLLOW
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | no_links)
        try:
            _check(descriptor, instance)
        except BaseException:
            os.close(descriptor)
            raise
        return OpenOriginal(descriptor, instance.size)

    def reopen(self, instance: PlannedInstance) -> BinaryIO:
        """Open the file that stands there now."""
        if self.follow_links:
            return os.fdopen(open_followed(os.path.join(self.folder, bytes(instance.path))), "rb")  # noqa: PTH118 (bytes)
        above, _, name = bytes(instance.path).rpartition(b"/")
        with open_folder(self.folder, above) as folder:
            return os.fdopen(open_plain_file(folder, name), "rb")

    def check(self, original: OpenOriginal, instance: PlannedInstance) -> None:
        """Compare size and time of the last change with those of the plan."""
        _check(original.descriptor, instance)

    def content(self, original: OpenOriginal) -> str:
        """Hash the open file."""
        digest, position = sha256(), 0
        while data := os.pread(original.descriptor, _HASHED_BYTES, position):
            digest.update(data)
            position += len(data)
        return digest.hexdigest()

    def together(self, instances: Sequence[PlannedInstance]) -> AbstractContextManager[FolderSource]:
        """Give itself: a file is opened when it is wanted."""
        del instances
        return nullcontext(self)

    def lacks(self) -> str:
        """Look for the folder."""
        is_there = os.path.isdir(self.folder)  # noqa: PTH112 (bytes)
        return "" if is_there else "does not see the source folder; mount the same storage there"


def _check(descriptor: int, instance: PlannedInstance) -> None:
    status = os.fstat(descriptor)
    if status.st_size != instance.size or status.st_mtime_ns != instance.mtime_ns:
        raise InstanceFailed(ReasonCode.SOURCE_CHANGED, "the file changed after the plan was frozen")
