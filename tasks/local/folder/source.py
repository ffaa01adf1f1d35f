"""A folder of DICOM files as a source.

Public names: ``FolderSource``.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.engine.sources import OpenOriginal
from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.files.beneath import KeptFolder, open_folder, open_followed, open_plain_file
from deidflow.tasks.core.files.excerpts import excerpt
from deidflow.tasks.core.files.opened import changed_ns
from deidflow.tasks.core.outcomes import ReasonCode

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from deidflow.tasks.core.engine.protocol import PlannedInstance
    from deidflow.tasks.core.files.opened import OpenedFile

_HASHED_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class FolderSource:
    """See ``deidflow.tasks.core.engine.sources.InstanceSource``.

    Attributes:
        folder: Its path, as the system stores it.
        kept: Where files are read one after the other, the folder of the last one; else None.
        follow_links: Whether its files may be symbolic links, to wherever.

    """

    folder: bytes
    kept: KeptFolder | None = field(default=None, repr=False, compare=False)
    follow_links: bool = False

    @property
    def is_packed(self) -> bool:
        """Each file is read by itself."""
        return False

    def open(self, instance: PlannedInstance) -> OpenOriginal:
        """Open a file; a symbolic link is refused, unless they are followed: it may have taken the place of a file."""
        path = os.path.join(self.folder, instance.path)  # noqa: PTH118 (bytes)
        no_links = 0 if self.follow_links else os.O_NOFOLLOW
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | no_links)
        original = OpenOriginal(descriptor, instance.size)
        try:
            self.check(original, instance)
        except BaseException:
            os.close(descriptor)
            raise
        return original

    def reopen(self, instance: PlannedInstance) -> OpenedFile:
        """Open the file that stands there now."""
        if self.follow_links:
            return open_followed(os.path.join(self.folder, bytes(instance.path)))  # noqa: PTH118 (bytes)
        above, _, name = bytes(instance.path).rpartition(b"/")
        if self.kept is not None:
            return open_plain_file(self.kept.descriptor(above), name)
        with open_folder(self.folder, above) as folder:
            return open_plain_file(folder, name)

    def check(self, original: OpenOriginal, instance: PlannedInstance) -> None:
        """Compare size and time of the last change with those of the plan."""
        status = os.fstat(original.descriptor)
        if status.st_size != instance.size or changed_ns(status) != instance.mtime_ns:
            raise InstanceFailed(ReasonCode.SOURCE_CHANGED, "the file changed after the plan was frozen")

    def content(self, original: OpenOriginal) -> str:
        """Hash the open file."""
        digest, position = sha256(), 0
        while data := os.pread(original.descriptor, _HASHED_BYTES, position):
            digest.update(data)
            position += len(data)
        return digest.hexdigest()

    def excerpt(self, original: OpenOriginal, head: bytes) -> str:
        """Hash the beginning and the end of the open file."""
        return excerpt(head, partial(os.pread, original.descriptor), original.size)

    @contextmanager
    def together(self, instances: Sequence[PlannedInstance]) -> Iterator[FolderSource]:
        """Give the same folder: a file is opened when it is wanted, and where it is, the next one may be, too."""
        del instances
        with KeptFolder(self.folder) as kept:
            yield replace(self, kept=kept)

    def lacks(self) -> str:
        """Look for the folder."""
        is_there = os.path.isdir(self.folder)  # noqa: PTH112 (bytes)
        return "" if is_there else "does not see the source folder; mount the same storage there"
