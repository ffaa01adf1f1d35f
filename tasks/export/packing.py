"""What workers do for an export: they read results into files of it, and put such files into archives.

Errors of the project are returned, see ``deidflow.tasks.core.processes.workers``. Doing a piece of work twice is the
same as doing it once.

Public names: ``PackingPlace``, ``packing_role``, ``ToRead``, ``ReadWork``, ``ReadResult``, ``read_results``,
``ArchiveWork``, ``SealedArchive``, ``write_archive``, ``translated``.
"""

from __future__ import annotations

import contextlib
from hashlib import sha256
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple

from deidflow.tasks.core.errors import DeidflowError, InstanceFailed, Unusable, os_error_text, remedy_of
from deidflow.tasks.core.files.evidence import is_evidence_of
from deidflow.tasks.core.processes.workers import Role
from deidflow.tasks.export.archive import Archive, encrypt_file, sealed_path, sha256_of
from deidflow.tasks.export.index import IndexEntry, describe

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers
    from deidflow.tasks.core.engine.stores import ResultStore

_PIECE_BYTES: Final = 1 << 20


class PackingPlace(NamedTuple):
    """Where results come from, and where the export is made.

    Attributes:
        results: Of the run.
        folder: Where files are written.
        export: The name that the folder gets in the end, for messages.

    """

    results: ResultStore
    folder: Path
    export: Path

    def lacks(self) -> str:
        """See ``RoleSettings``."""
        unseen = "does not see the folder of the export; mount the same storage there"
        return self.results.lacks() or ("" if self.folder.is_dir() else unseen)


def packing_role(place: PackingPlace) -> Role:
    """Return what workers are to be able to do for an export."""
    return Role(_begin, place)


def _begin(place: PackingPlace) -> None:
    del place  # each piece of work says where it is done


class ToRead(NamedTuple):
    """A result: its identifiers, Orthanc's form of the last, what was noted of its bytes, and the file to make."""

    names: DicomIdentifiers
    orthanc_id: str
    evidence: str
    file: str


class ReadWork(NamedTuple):
    """Results that are read together.

    Attributes:
        place: Where from, and where to.
        keywords: Attributes that the layout needs.
        items: The results.

    """

    place: PackingPlace
    keywords: tuple[str, ...]
    items: list[ToRead]


class ReadResult(NamedTuple):
    """What was found in a result that was read: its bytes, their SHA-256 in hex, and what it says of itself."""

    size: int
    sha256: str
    entry: IndexEntry


def read_results(work: ReadWork) -> list[ReadResult] | DeidflowError:
    """Write each result into its file.

    Returns:
        What was found in each; ``Unusable`` where one is not there as it was found right, or cannot be written;
        ``TransientError`` where the store cannot be reached now.

    """
    try:
        return list(_read(work))
    except InstanceFailed:
        return Unusable("a result is not in the destination any more; look for it with `deidflow verify`")
    except DeidflowError as error:
        return error


def _read(work: ReadWork) -> Iterator[ReadResult]:
    with work.place.results.together([(one.names, one.orthanc_id) for one in work.items]) as at_hand:
        for one in work.items:
            with at_hand.open(one.names, one.orthanc_id) as result:
                content = result.stream()
                with translated(work.place.export):
                    digest = _copied(content, work.place.folder / one.file)
                if one.evidence not in {"", digest} and not is_evidence_of(one.evidence, content):
                    text = "a result is not what the run wrote; look for it with `deidflow verify`, then export again"
                    raise Unusable(text)
                content.seek(0)
                yield ReadResult(result.size, digest, describe(content, work.keywords))


def _copied(content: BinaryIO, path: Path) -> str:
    """Write a file; return the SHA-256 of what it holds."""
    digest = sha256()
    with path.open("wb") as file:
        while piece := content.read(_PIECE_BYTES):
            digest.update(piece)
            file.write(piece)
    return digest.hexdigest()


class ArchiveWork(NamedTuple):
    """An archive that is to be written.

    Attributes:
        place: See ``ReadWork``.
        name: Of the archive below its folder.
        members: Path in the archive and file below the folder of each member, in order.
        recipients: age public keys that it is encrypted for, none for not at all.

    """

    place: PackingPlace
    name: str
    members: list[tuple[str, str]]
    recipients: tuple[str, ...]


class SealedArchive(NamedTuple):
    """An archive that is done: its name below the folder of the export, and its SHA-256 in hex."""

    name: str
    sha256: str


def write_archive(work: ArchiveWork) -> SealedArchive | DeidflowError:
    """Put files into an archive, and encrypt it where there are recipients.

    Returns:
        The archive; ``Unusable`` where it cannot be written.

    """
    try:
        with translated(work.place.export):
            return _written(work.place.folder, work)
    except DeidflowError as error:
        return error


def _written(folder: Path, work: ArchiveWork) -> SealedArchive:
    path = folder / work.name
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in (path, sealed_path(path)):
        left.unlink(missing_ok=True)
    archive = Archive(path)
    for name, file in work.members:
        with (folder / file).open("rb") as content:
            archive.add(name, content)
    archive.close()
    if work.recipients:
        path = encrypt_file(path, work.recipients)
    with path.open("rb") as sealed:
        return SealedArchive(path.relative_to(folder).as_posix(), sha256_of(sealed))


@contextlib.contextmanager
def translated(folder: Path) -> Iterator[None]:
    """Say in plain words what is wrong with the disk that an export is made on.

    Raises:
        Unusable: An ``OSError`` was raised.

    """
    try:
        yield
    except OSError as error:
        remedy = f"{remedy_of(error, 'make room')}, or name another folder"
        message = f"the export {folder} cannot be written: {os_error_text(error)}; {remedy}"
        raise Unusable(message, error) from None
