"""One export: files or archives, index and checksums, complete or not there at all.

Public names: ``Package``, ``Packed``, ``check_choice``.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from itertools import count
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from deidflow.tasks.core.errors import BadText, InvalidInput, Problem, Unusable
from deidflow.tasks.core.files.csv_tables import write_table
from deidflow.tasks.core.files.locks import lock_beside
from deidflow.tasks.core.files.private_files import sync_file_system, sync_folder
from deidflow.tasks.export.archive import (
    check_recipients,
    checksum_lines,
    encrypt_file,
    seal_file,
    sealed_path,
    sha256_of,
)
from deidflow.tasks.export.index import INDEX_COLUMNS, INDEX_NUMBERS
from deidflow.tasks.export.layout import Layout, Paths, safe_name
from deidflow.tasks.export.packing import ArchiveWork, PackingPlace, ReadWork, ToRead, translated
from deidflow.tasks.export.parquet import can_write_parquet, write_parquet

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from deidflow.tasks.core.engine.stores import ResultStore
    from deidflow.tasks.core.ledger.state.exports import ExportedResult
    from deidflow.tasks.core.request.export_choice import ExportChoice
    from deidflow.tasks.export.packing import ReadResult, SealedArchive

INDEX: Final = "index.csv"
PARQUET_INDEX: Final = "index.parquet"
SUMS: Final = "SHA256SUMS"
_OWN: Final = (*(f"{name}{end}" for name in (INDEX, PARQUET_INDEX) for end in ("", ".age")), SUMS)
_PART: Final = ".deidflow-part"
_LOCK: Final = ".deidflow-lock"
_WAITING: Final = ".waiting"
"""Where results are read to, below the folder; no path of a layout begins with a dot."""


class Packed(NamedTuple):
    """What an export holds: how many instances, and how many files beside index and checksums."""

    instances: int
    files: int


class Package:
    """A folder that is filled under another name, and gets its own when all is there.

    Workers read results into it, and write its archives (``deidflow.tasks.export.packing``); the place of each is
    decided here. Results are added in the order of their identifiers: those of one patient, and of one study, follow
    each other.
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
            if (folder / SUMS).is_file():  # it gets its name when all is in it, be it in a command that was then killed
                text += f"; there is a complete export in it, which sha256sum -c {SUMS} checks"
            problems.append(Problem(text, key="folder"))
        if problems:
            raise InvalidInput(problems)
        self._part = folder.with_name(f".{folder.name}{_PART}")
        self._paths, self._archives = Paths(_OWN), Paths(_OWN)
        self._archive: ArchiveWork | None = None
        self._archive_of: tuple[str, ...] = ()
        self._sums: dict[str, str] = {}
        self._rows: list[tuple[str, ...]] = []
        self._numbers = count()
        self._files = 0
        self._held = contextlib.ExitStack()

    def __enter__(self) -> Self:
        """Make the folder, for this process alone: exports of two runs may be asked for under one name."""
        with contextlib.ExitStack() as held:
            with translated(self._folder):
                self._folder.parent.mkdir(parents=True, exist_ok=True)
            name = f".{self._folder.name}{_LOCK}"
            held.enter_context(lock_beside(self._folder.with_name(name), f"the export {self._folder}"))
            shutil.rmtree(self._part, ignore_errors=True)  # of an export that was killed
            held.callback(shutil.rmtree, self._part, ignore_errors=True)  # once it has its name nothing is there
            with translated(self._folder):
                self._make_part()
            self._held = held.pop_all()
        return self

    def _make_part(self) -> None:
        # In a folder where others may write, what stands there under this name can be theirs: a link to a place of
        # their own, which would get the results and then the name of the export.
        try:
            self._part.mkdir()
        except FileExistsError:
            message = f"the export {self._folder} cannot be made: something is in its way; remove {self._part}"
            raise Unusable(f"{message}, or name another folder") from None
        (self._part / _WAITING).mkdir()

    def __exit__(self, kind: object, *_: object) -> None:
        """Give it its name, or leave nothing."""
        with self._held:
            if kind is None:
                with translated(self._folder):
                    self._end()

    def place(self, results: ResultStore) -> PackingPlace:
        """Return what workers have to know of it."""
        return PackingPlace(results, self._part, self._folder)

    def to_read(self, place: PackingPlace, results: Sequence[ExportedResult]) -> ReadWork:
        """Return the work of reading results; with what it gives they are to be added."""
        items = [
            ToRead(one.names, one.orthanc_id, one.evidence, f"{_WAITING}/{next(self._numbers)}") for one in results
        ]
        return ReadWork(place, self._layout.keywords, items)

    def add(self, place: PackingPlace, one: ToRead, read: ReadResult) -> ArchiveWork | None:
        """Give a result that was read its place.

        Args:
            place: See ``place``.
            one: The result.
            read: What was found in it.

        Returns:
            The archive before, when this result begins another one.

        Raises:
            InvalidInput: The layout gives two results one path.
            Unusable: The export cannot be written.

        """
        path = self._paths.place(self._layout.path(lambda keyword: read.entry.others[keyword]))
        if path is None:
            text = "must tell any two results apart, and gives two of them one path; add {SOPInstanceUID}"
            raise InvalidInput([Problem(text, key="layout")])
        done, archive = None, ""
        if self._choice.archive == "none":
            with translated(self._folder):
                (self._part / path).parent.mkdir(parents=True, exist_ok=True)
                (self._part / one.file).rename(self._part / path)
            self._sums[path] = read.sha256
        else:
            of = one.names[:1] if self._choice.per == "patient" else one.names[:2]
            if self._archive is None or of != self._archive_of:
                done, self._archive = self._archive, self._begun(place, of)
            self._archive.members.append((path, one.file))
            archive = f"{self._archive.name}.age" if self._choice.recipients else self._archive.name
        self._rows.append((path, archive, str(read.size), read.sha256, *read.entry.values))
        return done

    def last_archive(self) -> ArchiveWork | None:
        """Return the archive of the results that were added last, None without archives."""
        done, self._archive = self._archive, None
        return done

    def add_archive(self, work: ArchiveWork, archive: SealedArchive) -> None:
        """Add an archive that is written.

        Raises:
            Unusable: What it was made of cannot be removed.

        """
        self._sums[archive.name] = archive.sha256
        with translated(self._folder):
            for _, file in work.members:
                (self._part / file).unlink()

    def _begun(self, place: PackingPlace, of: tuple[str, ...]) -> ArchiveWork:
        self._archive_of = of
        *above, last = (safe_name(name) for name in of)
        name = self._archives.place((*above, f"{last}.zip"))
        assert name is not None  # noqa: S101 (results come in the order of their identifiers)
        return ArchiveWork(place, name, [], self._choice.recipients)

    def add_sealed(self, source: Path) -> None:
        """Add a file encrypted for the recipients: nothing of it is ever here in any other form."""
        with translated(self._folder):
            target = sealed_path(self._part / source.name)
            seal_file(source, target, self._choice.recipients)
            self._note(target)

    def _seal(self, path: Path) -> None:
        """Encrypt a file where there are recipients, and note its sum."""
        if self._choice.recipients:
            path = encrypt_file(path, self._choice.recipients)
        self._note(path)

    def _note(self, path: Path) -> None:
        with path.open("rb") as file:
            self._sums[path.relative_to(self._part).as_posix()] = sha256_of(file)

    def _end(self) -> None:
        shutil.rmtree(self._part / _WAITING)
        self._files = len(self._sums)
        if self._rows or not self._sums:  # a crosswalk has none
            for path in self._indexes(sorted(self._rows)):
                self._seal(path)
        (self._part / SUMS).write_text("".join(checksum_lines(self._sums)), "utf-8")
        sync_file_system(self._part)  # else a power cut could leave empty files under final names
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
        return Packed(len(self._rows), self._files)


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
