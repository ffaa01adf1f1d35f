"""One export: files or archives, index and checksums, complete or not there at all.

Public names: ``Package``, ``Packed``, ``check_choice``.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple, Self

from deidflow.tasks.core.errors import BadText, InvalidInput, Problem, Unusable, os_error_text
from deidflow.tasks.core.files.csv_tables import write_table
from deidflow.tasks.core.files.evidence import is_evidence_of
from deidflow.tasks.core.files.private_files import sync_folder
from deidflow.tasks.export.archive import Archive, check_recipients, checksum_lines, encrypt_file, sha256_of
from deidflow.tasks.export.index import INDEX_COLUMNS, INDEX_NUMBERS, describe
from deidflow.tasks.export.layout import Layout, Paths, safe_name
from deidflow.tasks.export.parquet import can_write_parquet, write_parquet

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers
    from deidflow.tasks.core.request.export_choice import ExportChoice

INDEX: Final = "index.csv"
PARQUET_INDEX: Final = "index.parquet"
SUMS: Final = "SHA256SUMS"
_PART: Final = ".deidflow-part"


class Packed(NamedTuple):
    """What an export holds: how many instances, and how many files beside index and checksums."""

    instances: int
    files: int


class Package:
    """A folder that is filled under another name, and gets its own when all is there.

    Results are added in the order of their identifiers: those of one patient, and of one study, follow each other.
    """

    def __init__(self, folder: Path, choice: ExportChoice) -> None:
        """Begin it.

        Args:
            folder: It is not there, or empty.
            choice: What it is to be like.

        Raises:
            InvalidInput: The folder is not empty, or the choice is unsound.
            Unusable: It cannot be written.

        """
        self._folder = folder
        self._choice = choice
        self._layout, problems = _checked(choice)
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            text = f"must be a new or an empty folder, since an export is written as a whole: {folder}"
            problems.append(Problem(text, key="folder"))
        if problems:
            raise InvalidInput(problems)
        self._part = folder.with_name(f".{folder.name}{_PART}")
        self._paths = Paths()
        self._archives = Paths()
        self._archive: Archive | None = None
        self._archive_of: tuple[str, ...] = ()
        self._written: list[str] = []
        self._rows: list[tuple[str, ...]] = []

    def __enter__(self) -> Self:
        """Make the folder."""
        with _translated(self._folder):
            shutil.rmtree(self._part, ignore_errors=True)  # of an export that was killed
            self._part.mkdir(parents=True)
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        """Give it its name, or leave nothing."""
        if kind is not None:
            if self._archive is not None:
                with contextlib.suppress(OSError, ValueError):
                    self._archive.close()
            shutil.rmtree(self._part, ignore_errors=True)
            return
        try:
            with _translated(self._folder):
                self._end()
        except BaseException:
            shutil.rmtree(self._part, ignore_errors=True)
            raise

    def add(self, names: DicomIdentifiers, content: BinaryIO, evidence: str) -> None:
        """Add a result.

        Args:
            names: Its identifiers.
            content: Open at its start.
            evidence: What was noted of the bytes that it must have, "" when nothing was.

        Raises:
            InvalidInput: The layout gives two results one path.
            Unusable: The result has changed since it was found right, or the export cannot be written.

        """
        digest = sha256_of(content)
        if evidence not in {"", digest} and not is_evidence_of(evidence, content):
            raise Unusable("a result is not what the run wrote; look for it with `deidflow verify`, then export again")
        content.seek(0)
        entry = describe(content, self._layout.keywords)
        size = content.seek(0, 2)
        content.seek(0)
        path = self._paths.place(self._layout.path(lambda keyword: entry.others[keyword]))
        if path is None:
            text = "must tell any two results apart, and gives two of them one path; add {SOPInstanceUID}"
            raise InvalidInput([Problem(text, key="layout")])
        with _translated(self._folder):
            archive = self._store(names, path, content)
        self._rows.append((path, archive, str(size), digest, *entry.values))

    def add_file(self, name: str, source: Path) -> None:
        """Add a file as it is, encrypted where there are recipients."""
        with _translated(self._folder):
            target = self._part / name
            shutil.copyfile(source, target)
            self._written.append(self._sealed(target))

    def _store(self, names: DicomIdentifiers, path: str, content: BinaryIO) -> str:
        """Write a result; return the name of the archive that it is in, "" for none."""
        if self._choice.archive == "none":
            target = self._part / path
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as file:
                shutil.copyfileobj(content, file)
            self._written.append(path)
            return ""
        of = names[:1] if self._choice.per == "patient" else names[:2]
        if self._archive is None or of != self._archive_of:
            self._end_archive()
            *above, last = (safe_name(name) for name in of)
            place = self._archives.place((*above, f"{last}.zip"))
            assert place is not None  # noqa: S101 (results come in the order of their identifiers)
            (self._part / place).parent.mkdir(parents=True, exist_ok=True)
            self._archive, self._archive_of = Archive(self._part / place), of
        self._archive.add(path, content)
        name = self._archive.path.relative_to(self._part).as_posix()
        return f"{name}.age" if self._choice.recipients else name

    def _end_archive(self) -> None:
        if self._archive is not None:
            self._archive.close()
            self._written.append(self._sealed(self._archive.path))
            self._archive = None

    def _sealed(self, path: Path) -> str:
        """Encrypt a file where there are recipients; return its name in the export."""
        if self._choice.recipients:
            path = encrypt_file(path, self._choice.recipients)
        return path.relative_to(self._part).as_posix()

    def _end(self) -> None:
        self._end_archive()
        names = list(self._written)
        if self._rows:
            names += map(self._sealed, self._indexes(sorted(self._rows)))
        (self._part / SUMS).write_text("".join(checksum_lines(self._part, names)), "utf-8")
        if self._folder.exists():
            self._folder.rmdir()
        self._part.rename(self._folder)
        sync_folder(self._folder.parent)

    def _indexes(self, rows: list[tuple[str, ...]]) -> Iterator[Path]:
        """Write the index in each of its forms."""
        index = self._part / INDEX
        write_table(index, INDEX_COLUMNS, rows)
        index.chmod(0o666 & ~_umask())
        yield index
        if can_write_parquet():
            columns = self._part / PARQUET_INDEX
            write_parquet(columns, INDEX_COLUMNS, rows, numbers=INDEX_NUMBERS)
            yield columns

    @property
    def packed(self) -> Packed:
        """What it holds."""
        return Packed(len(self._rows), len(self._written))


def check_choice(choice: ExportChoice) -> list[Problem]:
    """Return what is wrong with a choice, each problem under its key."""
    return _checked(choice)[1]


def _checked(choice: ExportChoice) -> tuple[Layout, list[Problem]]:
    problems: list[Problem] = []
    layout = Layout("{SOPInstanceUID}.dcm")
    try:
        layout = Layout(choice.layout)
    except BadText as error:
        problems.append(Problem(str(error), key="layout"))
    try:
        check_recipients(choice.recipients)
    except BadText as error:
        problems.append(Problem(str(error), key="recipients"))
    except InvalidInput as error:
        problems += [Problem(problem.text, key="recipients") for problem in error.problems]
    if choice.recipients and choice.archive == "none":
        problems.append(Problem("must be zip with recipients, since archives are what is encrypted", key="archive"))
    return layout, problems


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


@contextlib.contextmanager
def _translated(folder: Path) -> Iterator[None]:
    """Say in plain words what is wrong with the disk."""
    try:
        yield
    except OSError as error:
        message = f"the export {folder} cannot be written: {os_error_text(error)}; make room, or name another folder"
        raise Unusable(message, error) from None
