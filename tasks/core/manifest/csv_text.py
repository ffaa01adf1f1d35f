"""The text of a manifest: encoding, separator, records and the lines they begin in.

Public names: ``ManifestText``, ``Record``, ``SEPARATORS``.
"""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
from collections import deque
from hashlib import sha256
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple

from deidflow.tasks.core.dicom.identifiers import is_orthanc_id
from deidflow.tasks.core.errors import InvalidInput, Problem, os_error_text
from deidflow.tasks.core.files.csv_cells import unguard_cell

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SEPARATORS: Final = (",", ";", "\t")
_BLOCK_BYTES: Final = 1 << 20
# csv's own limit is 128 KiB, too little for a base64 cell; one for the process, so it is only ever raised.
_MAX_CELL_CHARACTERS: Final = 64 << 20

_UNMATCHED: Final = 'unmatched quote; a cell with " in it is written "like ""this"""'
_HOW_TO_SAVE: Final = "save the file as UTF-8 (in Excel: Save As, file type 'CSV UTF-8 (Comma delimited)')"
_OTHER_FILES: Final = (
    (codecs.BOM_UTF32_LE, f"must be UTF-8, not UTF-32; {_HOW_TO_SAVE}"),
    (codecs.BOM_UTF16_LE, f"must be UTF-8, not UTF-16 ('Unicode text'); {_HOW_TO_SAVE}"),
    (codecs.BOM_UTF16_BE, f"must be UTF-8, not UTF-16 ('Unicode text'); {_HOW_TO_SAVE}"),
    (codecs.BOM_UTF32_BE, f"must be UTF-8, not UTF-32; {_HOW_TO_SAVE}"),
    (
        b"PK\x03\x04",
        "must be CSV, not a workbook or an archive; in Excel: Save As, file type 'CSV UTF-8 (Comma delimited)'",
    ),
)


class Record(NamedTuple):
    """One record of the CSV file.

    Attributes:
        line: Number of its first line, from 1.
        cells: Its cells with the guard against formulas taken off; empty when there is a fault.
        fault: What is wrong with its quotes, "" for nothing. Such a record is one line: what follows is read anew, so
            that a quote that is never closed costs no other row.

    """

    line: int
    cells: list[str]
    fault: str


class _Lines:
    """The lines of a file; those of the record that is read now can be read again.

    Attributes:
        number: Of the last line that was read, from 1.
        of_record: Lines since ``begin``.

    """

    def __init__(self, text: Iterable[str]) -> None:
        self._text = iter(text)
        self._again: deque[str] = deque()
        self.number = 0
        self.of_record: list[str] = []

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._text)
        self.number += 1
        self.of_record.append(line)
        return line

    def begin(self) -> int:
        """Begin a record, and return the number of its first line."""
        self.of_record = []
        return self.number + 1

    def keep_first(self) -> None:
        """Give all lines of the record but the first again."""
        self._again.extendleft(reversed(self.of_record[1:]))
        self.number -= len(self.of_record) - 1


class ManifestText:
    """A CSV file whose encoding and separator are known.

    Attributes:
        name: As the user gave it, for problems.
        separator: One of ``SEPARATORS``.
        sha256: Hash of the bytes, in hex.

    """

    def __init__(self, source: FilePath | bytes, name: str, column: str) -> None:
        """Read the file once to check its encoding, and its first line to find the separator.

        Args:
            source: The file, or its content.
            name: As the user gave it.
            column: The column that every manifest has; the separator is the one that lets it be found.

        Raises:
            InvalidInput: It cannot be read, is not UTF-8 or is empty.

        """
        self.name = name
        self._source = source
        self._column = column
        try:
            if isinstance(source, FilePath) and source.exists() and not source.is_file():
                if source.is_dir():
                    raise InvalidInput([Problem("must be a CSV file, not a folder", name)])
                self._source = source.read_bytes()  # a pipe can be read only once
            self.sha256 = self._check_encoding()
            self.separator = self._find_separator(column)
        except OSError as error:
            raise InvalidInput([Problem(f"cannot be read: {os_error_text(error)}", name)]) from None

    def records(self) -> Iterator[Record]:
        """Yield all records but blank ones, the header first; blanks alone in all cells count as a blank line."""
        try:
            yield from self._records(self.separator)
        except OSError as error:
            raise InvalidInput([Problem(f"cannot be read: {os_error_text(error)}", self.name)]) from None
        except UnicodeDecodeError:
            raise InvalidInput(
                [Problem("changed while it was read; close it where it is edited and try again", self.name)]
            ) from None

    def _open(self) -> BinaryIO:
        return io.BytesIO(self._source) if isinstance(self._source, bytes) else self._source.open("rb")

    def _records(self, separator: str) -> Iterator[Record]:
        csv.field_size_limit(max(_MAX_CELL_CHARACTERS, csv.field_size_limit()))
        with io.TextIOWrapper(self._open(), encoding="utf-8-sig", newline="") as text:
            lines = _Lines(text)
            reader = csv.reader(lines, delimiter=separator, strict=True)
            header: list[str] = []
            while True:
                line = lines.begin()
                cells = None
                with contextlib.suppress(csv.Error):
                    cells = next(reader, [])
                    if not lines.of_record:
                        return
                if cells is None or self._takes_in_rows(lines.of_record, separator, header):
                    lines.keep_first()
                    yield Record(line, [], _UNMATCHED)
                elif any(cells) and not "".join(cells).isspace():
                    header = header or [cell.strip() for cell in cells]
                    yield Record(line, [unguard_cell(cell) if cell[:1] == "'" else cell for cell in cells], "")

    def _takes_in_rows(self, lines: list[str], separator: str, header: list[str]) -> bool:
        """Whether quotes that were opened by mistake, and closed by the next mistake, have rows between them."""
        if len(lines) == 1 or self._column not in header:
            return False
        place = header.index(self._column)
        rest = [line.split(separator) for line in lines[1:]]
        return any(len(parts) >= len(header) and is_orthanc_id(parts[place].strip(' "\r\n')) for parts in rest)

    def _check_encoding(self) -> str:
        """Return the hash of a file that is UTF-8 without NUL bytes.

        Raises:
            InvalidInput: It is not.

        """
        decoder = codecs.getincrementaldecoder("utf-8")()
        digest = sha256()
        line = 1
        with self._open() as stream:
            block = stream.read(_BLOCK_BYTES)
            self._check_signature(block)
            while True:
                digest.update(block)
                try:
                    decoder.decode(block, final=not block)
                except UnicodeDecodeError as error:
                    # The decoder puts the 0 to 3 bytes that it held back before the block; none of them is a newline.
                    line += error.object.count(b"\n", 0, error.start)
                    raise InvalidInput([Problem(f"must be UTF-8; {_HOW_TO_SAVE}", self.name, line)]) from None
                nul = block.find(b"\0")
                if nul >= 0:
                    line += block.count(b"\n", 0, nul)
                    raise InvalidInput([Problem(f"must be UTF-8, without NUL bytes; {_HOW_TO_SAVE}", self.name, line)])
                if not block:
                    return digest.hexdigest()
                line += block.count(b"\n")
                block = stream.read(_BLOCK_BYTES)

    def _check_signature(self, start: bytes) -> None:
        for signature, text in _OTHER_FILES:
            if start.startswith(signature):
                raise InvalidInput([Problem(text, self.name)])
        if start[1:2] == b"\0" or start[:1] == b"\0":
            raise InvalidInput([Problem(f"must be UTF-8, not UTF-16 ('Unicode text'); {_HOW_TO_SAVE}", self.name)])

    def _find_separator(self, column: str) -> str:
        """Return the separator under which the first record has the column, or else the most columns.

        Raises:
            InvalidInput: There is no record.

        """
        best = ""
        best_rank = (False, 0)
        for separator in SEPARATORS:
            header = next(self._records(separator), None)
            if header is None:
                raise InvalidInput(
                    [Problem(f"must not be empty: its first line names the columns, {column} among them", self.name)]
                )
            rank = (column in (cell.strip() for cell in header.cells), len(header.cells))
            if not best or rank > best_rank:
                best, best_rank = separator, rank
        return best
