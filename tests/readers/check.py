"""What must hold for a drawn file: refused by name, or a result in which no reader finds a planted name.

Public names: ``Tally``, ``check_all``, ``found_by_dcmdump``.
"""

from __future__ import annotations

import io
import subprocess
import tempfile
import warnings
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydicom import dcmread

from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.request.profile_choice import ProfileChoice
from deidflow.tasks.local.dicom_file.source_file import SourceFile
from tests.local.edits import anonymize, deidentify
from tests.readers.drawn import MARKER, draw

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.local.edits import Edit

_BATCH: Final = 250


@dataclass
class Tally:
    """What became of some files.

    Attributes:
        outcomes: How many by oddity ("" for all) and outcome: done, or the reason's code.
        faults: Number, reader and oddities of each result that holds a name.

    """

    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    faults: list[tuple[int, str, str]] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Add what became of others."""
        self.outcomes += other.outcomes
        self.faults += other.faults


@lru_cache
def _edits() -> dict[str, Edit]:
    """Return what is done to each file, by name."""
    return {
        "Orthanc": anonymize({}),
        "Orthanc, private": anonymize({"KeepPrivateTags": True}),
        "PS3.15": deidentify(ProfileChoice()),
    }


def check_all(seed: int, numbers: range, *, with_dcmdump: bool, workers: int) -> Iterator[Tally]:
    """Check files, batch by batch.

    Args:
        seed: See ``draw``.
        numbers: Of the files.
        with_dcmdump: Whether DCMTK reads the results, too.
        workers: Processes; 0 for this one.

    """
    parts = [(seed, numbers[at : at + _BATCH], with_dcmdump) for at in range(0, len(numbers), _BATCH)]
    if not workers:
        yield from map(_check_batch, parts)
        return
    with ProcessPoolExecutor(workers) as pool:
        yield from pool.map(_check_batch, parts)


def _check_batch(part: tuple[int, range, bool]) -> Tally:
    seed, numbers, with_dcmdump = part
    tally = Tally()
    results: dict[str, tuple[int, str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for number in numbers:
            drawn = draw(seed, number)
            oddities = ", ".join(drawn.oddities)
            for at, edit in enumerate(_edits().values()):
                try:
                    result = edit(drawn.data)
                except InstanceFailed as problem:
                    outcome = str(problem.code)
                else:
                    outcome = "done"
                    name = f"{number}-{at}.dcm"
                    results[name] = (number, oddities)
                    if with_dcmdump:
                        Path(folder, name).write_bytes(result)
                    tally.faults += [
                        (number, reader, oddities) for reader in _readers_that_find_names(drawn.data, result)
                    ]
                for oddity in ("", *drawn.oddities):
                    tally.outcomes[oddity, outcome] += 1
        if with_dcmdump and results:
            for name in found_by_dcmdump(folder):
                number, oddities = results[name]
                tally.faults.append((number, "dcmdump", oddities))
    return tally


def _shown_by_pydicom(data: bytes) -> str | None:
    """Return all that pydicom shows of a file, None when it cannot read it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return str(dcmread(io.BytesIO(data), force=True))
        except Exception:  # noqa: BLE001 (whatever pydicom says)
            return None


def _reads_to_its_end(data: bytes) -> bool:
    """Whether pydicom comes to every element of the top level that there is; group 0002 in a dataset apart."""
    shown = _shown_by_pydicom(data) or ""
    with SourceFile.of_bytes(data) as source:
        tags = {element[0] for element in source.scan()}
    return all(f"({tag >> 16:04x},{tag & 0xFFFF:04x})" in shown.lower() for tag in tags if tag >> 16 != 2)


def _readers_that_find_names(source_data: bytes, result: bytes) -> Iterator[str]:
    with SourceFile.of_bytes(result) as source:
        raw = result + (source.body if source.layout.deflated else b"")
    if MARKER in raw or MARKER.decode().encode("utf-16-be")[1:] in raw:
        yield "raw bytes"
    text = _shown_by_pydicom(result)
    if text is None:
        # It cannot read the little endian items of a big endian file either (PS3.5 6.2.2 note 2): where such a file is
        # irregular, it may swallow them, and much else, in one value of the source.
        if _reads_to_its_end(source_data):
            yield "pydicom, which reads the source and not the result"
    elif MARKER.decode() in text:
        yield "pydicom"


def found_by_dcmdump(folder: str) -> set[str]:
    """Return the names of the files in which DCMTK shows a planted name; one process reads them all."""
    command = ["dcmdump", "+L", "+sd", "+r", "+F", "-q", folder]
    output = subprocess.run(command, capture_output=True, check=False).stdout
    found, name = set(), ""
    for line in output.splitlines():
        if line.startswith(b"# dcmdump"):
            name = line.rsplit(b"/", 1)[-1].decode()
        elif MARKER in line:
            found.add(name)
    return found
