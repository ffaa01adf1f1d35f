"""Many DICOM files in one request: ``POST /tools/create-archive`` (docs/orthanc.md, Archives), streamed.

Files in an archive have names that say nothing of Orthanc's identifiers, so each is recognised by the SOP Instance UID
in its file meta information (PS3.10 section 7.1, edition 2026c). What is not recognised beyond doubt is downloaded by
itself when it is wanted: an archive saves requests, and nothing depends on it.

Public names: ``Archive``, ``read_archive``, ``WantedFile``.
"""

from __future__ import annotations

import contextlib
import struct
import zipfile
import zlib
from collections import Counter
from tempfile import SpooledTemporaryFile
from typing import IO, TYPE_CHECKING, Final, NamedTuple

from deidflow.tasks.orthanc.connection.client import MAX_FILE_BYTES
from deidflow.tasks.orthanc.connection.errors import BadRequest, NotFound, RefusedCredentials, ServerError
from deidflow.tasks.orthanc.resources.resources import still_there

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from deidflow.tasks.orthanc.connection.client import OrthancClient

_IN_MEMORY_BYTES: Final = 64 << 20
"""Of an archive; a larger one goes to a file without a name."""

_HEAD_BYTES: Final = 4 << 10
"""Of each file: more than its file meta information has."""

_PREAMBLE_BYTES: Final = 128
_PREFIX: Final = b"DICM"
_MEDIA_STORAGE_SOP_INSTANCE_UID: Final = (0x0002, 0x0003)
_LONG: Final = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
"""VRs with a length of four bytes (PS3.5 table 7.1-1)."""

_BROKEN: Final = (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, OSError, RuntimeError, ValueError)
"""What zipfile raises for what is no sound archive."""


class WantedFile(NamedTuple):
    """An instance on the server: Orthanc's identifier and its SOP Instance UID."""

    orthanc_id: str
    sop_instance_uid: str


class Archive:
    """Files of instances by Orthanc's identifier."""

    def __init__(self, stream: IO[bytes] | None = None, wanted: Sequence[WantedFile] = ()) -> None:
        """Find the wanted files.

        Args:
            stream: The archive; None for none.
            wanted: What is in it.

        """
        self._entries: dict[str, zipfile.ZipInfo] = {}
        self._zip: zipfile.ZipFile | None = None
        if stream is None:
            return
        with contextlib.suppress(*_BROKEN):
            self._zip = zipfile.ZipFile(stream)
            self._entries = _recognised(self._zip, wanted)

    def read(self, orthanc_id: str) -> bytes | None:
        """Return the file of an instance, None where it is not in the archive or cannot be read from it."""
        entry = self._entries.get(orthanc_id)
        if entry is None or self._zip is None or entry.file_size > MAX_FILE_BYTES:
            return None
        with contextlib.suppress(*_BROKEN):
            return self._zip.read(entry)
        return None


def _recognised(archive: zipfile.ZipFile, wanted: Sequence[WantedFile]) -> dict[str, zipfile.ZipInfo]:
    """Return the entry of each wanted file; where two have one UID, neither is known."""
    entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    if len(entries) > len(wanted):
        return {}
    found: dict[str, list[zipfile.ZipInfo]] = {}
    for entry in entries:
        with archive.open(entry) as file:
            uid = _sop_instance_uid(file.read(_HEAD_BYTES))
        if uid:
            found.setdefault(uid, []).append(entry)
    claims = Counter(one.sop_instance_uid for one in wanted)
    return {
        one.orthanc_id: found[one.sop_instance_uid][0]
        for one in wanted
        if claims[one.sop_instance_uid] == 1 and len(found.get(one.sop_instance_uid, ())) == 1
    }


def _sop_instance_uid(head: bytes) -> str:
    """Return what the file meta information of a Part 10 file says, "" where it says nothing."""
    position = _PREAMBLE_BYTES + len(_PREFIX)
    if head[_PREAMBLE_BYTES:position] != _PREFIX:
        return ""
    while position + 12 <= len(head):
        group, element, vr, length = struct.unpack_from("<HH2sH", head, position)
        position += 8
        if vr in _LONG:
            (length,) = struct.unpack_from("<I", head, position)
            position += 4
        if group != _MEDIA_STORAGE_SOP_INSTANCE_UID[0]:
            return ""
        if (group, element) == _MEDIA_STORAGE_SOP_INSTANCE_UID:
            return head[position : position + length].rstrip(b" \0").decode("ascii", "replace")
        position += length
    return ""


@contextlib.contextmanager
def read_archive(client: OrthancClient, wanted: Sequence[WantedFile]) -> Iterator[Archive]:
    """Download many files; of some that are gone, one more request finds the rest.

    Args:
        client: The server.
        wanted: The instances; all of them are packed together, so their number bounds what the server does at once.

    Raises:
        DeidflowError: See ``deidflow.tasks.orthanc.connection.errors``.

    """
    with contextlib.ExitStack() as stack:
        stream: IO[bytes] | None = None
        names = [one.orthanc_id for one in wanted]
        for attempt in range(2):
            if len(names) < 2:  # noqa: PLR2004 (one file is not packed)
                break
            target = stack.enter_context(SpooledTemporaryFile(_IN_MEMORY_BYTES))
            try:
                _download(client, names, target)
                stream = target
                break
            except (NotFound, BadRequest):
                if attempt == 0:
                    there = still_there(client, names)
                    names = [name for name in names if name in there]
            except (RefusedCredentials, ServerError):  # not this user, or not these; the files by themselves tell more
                break
        yield Archive(stream, wanted)


def _download(client: OrthancClient, names: Sequence[str], target: IO[bytes]) -> None:
    body = {"Resources": list(names), "Synchronous": True}
    with client.stream("POST", "tools/create-archive", body) as pieces:
        for piece in pieces:
            target.write(piece)
