"""Damaged manifests: how they are made, and what must hold for each.

Public names: ``MUTATIONS``, ``mutated_manifest``, ``check_manifest``.
"""

from __future__ import annotations

import csv
import io
from array import array
from typing import TYPE_CHECKING, Any, Final

from deidflow.tasks.core.errors import InvalidInput
from deidflow.tasks.core.manifest.manifest import Manifest
from deidflow.tasks.core.request.request import Operation
from tests.core.manifests import defaults, some_id
from tests.fuzz.dicom_check import Fault, timer

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

MARKER: Final = "ZQXCELL"

_DEFAULTS: Final = (
    defaults(),
    defaults(Operation.ANONYMIZE, DicomVersion="2023b", Force=True, Replace={"PatientID": "{subject}"}),
    defaults(Replace={"PatientComments": "{note} of {subject}", "StudyDescription": "T"}, Keep=["SeriesDescription"]),
)
_HEADER: Final = (
    "orthanc_id", "level", "operation", "instances", "Replace.StudyDescription", "Replace.StudyDate",
    "Replace.ReferencedStudySequence", "Clear.PatientComments", "Remove", "Keep", "subject", "note",
)  # fmt: skip
_LONG: Final = 60_000
_TOKENS: Final = (
    '"', '""', '"""', "'", "\0", "\ufeff", "\r", "\n", "\r\n", "\x1a", "\u2028", "\x85", ",", ";", "\t", "|", "=1+1",
    "'=1", "-", "@", "[", "{", "[{", "}]", '[{"PatientID": "Z"}]', '[{"PatientID": 1e999}]', "[" * 3000,
    '[{"ContentSequence":' * 3000, '[{"ContentSequence":' * 300 + "[]" + "}]" * 300,
    "9" * 6000, "{subject}", "{}", "{{", "PatientID", "0010,0020", "(0010,0020)",
    "ContentSequence[*].PatientID", "ContentSequence[999999999999].PatientID", "[*]", ".", "..", "a.b" * 2000,
    " " * 3000, " " * 3000 + "]", "\t" * 500 + "x", "Replace.", "Clear.", "Replace.PatientID", "orthanc_id", "Remove",
    "line", "yes", "no", "data:application/octet-stream;base64,", "data:application/octet-stream;base64,AAAA",
    "data:application/octet-stream;base64,A", "\\" * 3000, "1e400", "nan", "20240230", "99999999999999999999",
    "\U0001f600" * 100, "\ud7ff", "\uffff", "é" * 1000, "x" * _LONG, "ß;" * 5000, "1.2." * 5000, "^=" * 3000,
    "0" * 5000 + "1", "+-" * 500, "\x1b$B", "NA", "007",
)  # fmt: skip
_UNITS: Final = (b"x", b" ", b'""', b"\\", b"[", b"1", b"PatientID;", b";", b"^", b".", b"\xc3\xa9", b"{{", b"a=")
_ENCODINGS: Final = ("utf-16", "utf-16-le", "utf-32", "latin-1", "cp1252", "utf-8-sig", "utf-7", "cp037", "shift-jis")


def mutated_manifest(random: Random) -> tuple[str, bytes]:
    """Return the name of the first mutation and the file after one to three of them."""
    name = random.choice(list(MUTATIONS))
    data = MUTATIONS[name](random, _sound(random))
    for _ in range(random.choice((0, 0, 1, 2))):
        data = MUTATIONS[random.choice(("bytes changed", "token put in", "token put in", "lines"))](random, data)
    return name, data


def check_manifest(data: bytes, draw: int) -> str:
    """Read one manifest; every row has a request or a problem, and no problem repeats a cell.

    Raises:
        Fault: Something does not hold.

    """
    with timer.running():
        try:
            manifest = Manifest(data, _DEFAULTS[draw % len(_DEFAULTS)], "cohort.csv")
            rows = list(manifest.rows())
        except InvalidInput as error:
            _check_silence(str(error), data)
            return "refused: file"
    lines = [row.line for row in rows]
    if lines != sorted(set(lines)):
        raise Fault("rows are out of order or stand twice")
    for row in rows:
        if bool(row.problems) == (row.request is not None):
            raise Fault("a row has neither a request nor a problem, or both")
        if len(row.free) != len(manifest.free_columns):
            raise Fault("a row has more or fewer free cells than there are free columns")
        _check_silence("\n".join(map(str, row.problems)), data)
    return "refused: rows" if any(row.problems for row in rows) else "done"


def _check_silence(text: str, data: bytes) -> None:
    """Check that no cell is repeated; names of columns may be, so the first record does not count."""
    if MARKER not in text:
        return
    first = data.find(b"\n")
    quoted = b'"' in data[: max(0, first)]
    if first >= 0 and not quoted and MARKER.encode() not in data[:first] and b"\r" not in data[: first - 1]:
        raise Fault("a message repeats a cell")


def _sound(random: Random) -> bytes:
    stream = io.StringIO(newline="")
    separator = random.choice((",", ",", ";", "\t"))
    writer = csv.writer(stream, delimiter=separator, lineterminator=random.choice(("\r\n", "\n")))
    columns = [name for name in _HEADER if name in ("orthanc_id", "subject", "note") or random.random() < 0.6]
    writer.writerow(columns)
    for number in range(random.choice((1, 3, 12))):
        writer.writerow([_cell(name, number) for name in columns])
    text = stream.getvalue()
    return text.encode("utf-8-sig" if random.random() < 0.2 else "utf-8")


def _cell(name: str, number: int) -> str:
    cells: dict[str, Any] = {
        "orthanc_id": some_id(number),
        "level": ("study", "", "patient")[number % 3],
        "operation": ("", "modify")[number % 2],
        "instances": ("", "7")[number % 2],
        "Replace.StudyDescription": f"{MARKER} {number}",
        "Replace.StudyDate": ("", "20240131")[number % 2],
        "Replace.ReferencedStudySequence": ("", f'[{{"PatientComments": "{MARKER}"}}]')[number % 2],
        "Clear.PatientComments": "",
        "Remove": ("", "InstitutionName;SeriesTime")[number % 2],
        "Keep": ("", "SeriesNumber")[number % 2],
        "subject": f"S-{number:03}",
        "note": MARKER,
    }
    return str(cells[name])


def _change_bytes(random: Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(random.choice((1, 2, 8))):
        if changed:
            changed[random.randrange(len(changed))] = random.choice((random.getrandbits(8), 34, 44, 10, 13, 0, 39))
    return bytes(changed)


def _put_token(random: Random, data: bytes) -> bytes:
    token = random.choice(_TOKENS).encode("utf-8", "surrogatepass")
    at = random.randrange(len(data) + 1)
    if random.random() < 0.6:  # a whole cell
        # No list: the memory of this process is measured, and some manifests have millions of separators.
        places = array("I", (place for place in range(len(data)) if data[place] in b",;\t\n"))
        at = random.choice(places) + 1 if places else at
    return data[:at] + token + data[at + random.choice((0, 0, 1, 5, 40)) :]


def _lines(random: Random, data: bytes) -> bytes:
    lines = data.split(b"\n")
    kind = random.randrange(5)
    if kind == 0:
        random.shuffle(lines)
    elif kind == 1:
        lines *= random.choice((2, 30))
    elif kind == 2:
        del lines[random.randrange(len(lines))]
    elif kind == 3:
        lines.insert(random.randrange(len(lines) + 1), random.choice((b"", b" ", b",,,", b'"', b"x" * _LONG, b"\xff")))
    else:
        return data[: random.randrange(len(data) + 1)]
    return b"\n".join(lines)


def _recode(random: Random, data: bytes) -> bytes:
    text = data.decode("utf-8", "replace")
    return text.encode(random.choice(_ENCODINGS), "replace")


def _many_columns(random: Random, data: bytes) -> bytes:
    count = random.choice((50, 1000, 4000))
    names = random.choice(
        (
            [f"free{number}" for number in range(count)],
            ["subject"] * count,
            [f"Replace.0009,{number:04x}" for number in range(count)],
            [f"Clear.ContentSequence[{number}].PatientID" for number in range(count)],
            [""] * count,
            [f"Replace.NoSuch{number}" for number in range(count)],
        )
    )
    lines = data.split(b"\n")
    lines[0] = lines[0].rstrip(b"\r") + b"," + ",".join(names).encode()
    lines[1:] = [line.rstrip(b"\r") + b"," * (count if random.random() < 0.9 else 1) for line in lines[1:]]
    return b"\n".join(lines)


def _long_cells(random: Random, data: bytes) -> bytes:
    """Fill one cell with many thousands of characters of one kind."""
    size = random.choice((5000, 30_000, 200_000))
    unit = random.choice(_UNITS)
    lines = data.split(b"\n")
    number = random.randrange(len(lines))
    cells = lines[number].split(b",")
    cells[random.randrange(len(cells))] = b'"' + unit * (size // len(unit)) + random.choice((b'"', b'"', b"", b']"'))
    lines[number] = b",".join(cells)
    return b"\n".join(lines)


MUTATIONS: Final[dict[str, Callable[[Random, bytes], bytes]]] = {
    "bytes changed": _change_bytes,
    "token put in": _put_token,
    "lines": _lines,
    "recoded": _recode,
    "columns": _many_columns,
    "long cells": _long_cells,
}
