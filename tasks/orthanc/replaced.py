"""Objects of an Orthanc that a result takes the place of, kept in the run folder until the result stands there.

``POST /instances`` replaces an object in one step only where ``OverwriteInstances`` is on; elsewhere it must be deleted
before, and a server that then refuses the result would leave neither. A process that is killed between the two steps
leaves the old bytes here, and the next one puts them back.

Public names: ``Replaced``.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.errors import DeidflowError, Unusable, os_error_text
from deidflow.tasks.core.files.private_files import sync_folder
from deidflow.tasks.orthanc.connection.errors import BadRequest
from deidflow.tasks.orthanc.resources.resources import still_there

if TYPE_CHECKING:
    from deidflow.tasks.orthanc.connection.client import OrthancClient

FOLDER: Final = "replaced"
_PART: Final = ".part"
_KEPT: Final = "it is kept in the run folder until then"


class Replaced:
    """The kept objects of one run, by Orthanc's identifiers; its methods may be called from any process."""

    def __init__(self, run_folder: str) -> None:
        """Take the run folder, which exists."""
        self._folder = Path(run_folder) / FOLDER

    def keep(self, orthanc_id: str, data: bytes) -> None:
        """Keep an object, durably, for its owner's eyes only.

        Raises:
            Unusable: The run folder cannot be written.

        """
        part = self._folder / f".{orthanc_id}{_PART}"
        try:
            with contextlib.suppress(FileExistsError):
                self._folder.mkdir(mode=0o700)
            part.unlink(missing_ok=True)
            descriptor = os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
            with open(descriptor, "wb") as stream:  # noqa: PTH123 (a descriptor)
                stream.write(data)
                stream.flush()
                os.fsync(descriptor)
            part.rename(self._folder / orthanc_id)
            sync_folder(self._folder)
        except OSError as error:
            message = f"what a result replaces cannot be kept in {self._folder}: {os_error_text(error)}"
            raise Unusable(message, error) from None

    def forget(self, orthanc_id: str) -> None:
        """Let go of an object: its place is taken, or it is back."""
        with contextlib.suppress(OSError):
            (self._folder / orthanc_id).unlink(missing_ok=True)

    def put_back(self, client: OrthancClient) -> None:
        """Upload what is still kept and whose place is empty; what cannot be put back now stays here.

        Raises:
            DeidflowError: The server cannot be used; nothing is lost.

        """
        names = [path.name for path in self._folder.glob("*") if not path.name.endswith(_PART)]
        there = still_there(client, names) if names else set()
        for name in names:
            if name not in there:
                try:
                    client.upload((self._folder / name).read_bytes())
                except BadRequest as error:
                    raise Unusable(f"what a result was to replace cannot be put back: {error}; {_KEPT}") from None
            self.forget(name)
        with contextlib.suppress(OSError):
            for part in self._folder.glob(f"*{_PART}"):
                part.unlink()
            self._folder.rmdir()

    def put_back_if_possible(self, client: OrthancClient) -> None:
        """Do the same at the end of a run, whose own error matters more."""
        with contextlib.suppress(DeidflowError, OSError):
            self.put_back(client)
