"""What must hold for a real file: what an Orthanc takes is done under its identifiers, and readers read the result.

Public names: ``Verdict``, ``check``, ``takes``.
"""

from __future__ import annotations

import io
import subprocess
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import httpx
from pydicom import Dataset, dcmread

from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.local.dicom_file.source_file import SourceFile
from deidflow.tasks.local.folder.index import identify
from tests.local.edits import Edit, anonymize, modify

if TYPE_CHECKING:
    from tests.orthanc_server import OrthancServer

EDITS: Final[dict[str, Edit]] = {
    "anonymize": anonymize({}),
    "modify": modify({"Replace": {"StudyDescription": "corpus"}}),
}
NOT_DECODED: Final = "not decoded"


class Verdict(NamedTuple):
    """What became of one file.

    Attributes:
        taken: Whether an Orthanc takes it.
        refused: The reason code and text of deidflow; "" when all edits are done.
        faults: What must not be: another Orthanc ID, a result that a reader cannot read and whose source it can.

    """

    taken: bool
    refused: str
    faults: tuple[str, ...]


def takes(server: OrthancServer, data: bytes) -> str:
    """Return the Orthanc ID under which a server takes a file, "" when it does not, or crashes."""
    try:
        answer = httpx.post(f"{server.url}/instances", content=data, timeout=60.0)
    except httpx.TransportError:
        server.kill()
        server.start()
        return ""
    body: Any = answer.json() if answer.is_success and data else {}
    return str(body.get("ID", "")) if isinstance(body, dict) else ""


def check(data: bytes, orthanc_id: str, *, with_dcmtk: bool) -> Verdict:
    """Edit a file in each way and read what comes out.

    Args:
        data: The file.
        orthanc_id: What ``takes`` says of it.
        with_dcmtk: Whether dcmdump reads it, too.

    """
    faults: list[str] = []
    try:
        with SourceFile.of_bytes(data) as source:
            identifiers, _ = identify(source, source.scan())
        if orthanc_id and identifiers.orthanc_ids()[3] != orthanc_id:
            faults.append("another Orthanc ID")
        results = {name: edit(data) for name, edit in EDITS.items()}
    except InstanceFailed as problem:
        return Verdict(bool(orthanc_id), f"{problem.code}: {problem}", tuple(faults))
    before = _read(data, with_dcmtk=with_dcmtk)
    for name, result in results.items():
        after = _read(result, with_dcmtk=with_dcmtk)
        faults += [f"{name}: {reader} reads the source only" for reader in before if reader not in after]
        pixels = (before.get("pixels"), after.get("pixels"))
        if None not in pixels and pixels[0] != pixels[1]:
            faults.append(f"{name}: other pixels")
    return Verdict(bool(orthanc_id), "", tuple(faults))


def _read(data: bytes, *, with_dcmtk: bool) -> dict[str, object]:
    """Return the readers that read a file to its end, and what they decode of its pixels."""
    found: dict[str, object] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            dataset = dcmread(io.BytesIO(data), force=True)
            for element in dataset.iterall():
                _ = element.value
            found["pydicom"] = True
            if "PixelData" in dataset:
                found["pixels"] = _pixels(dataset)
        except Exception:  # noqa: BLE001, S110 (whatever pydicom says: it does not read it)
            pass
    if with_dcmtk and _dcmdump(data):
        found["dcmdump"] = True
    return {name: value for name, value in found.items() if value != NOT_DECODED}


def _pixels(dataset: Dataset) -> object:
    try:
        return dataset.pixel_array.tobytes()
    except Exception:  # noqa: BLE001 (no codec, or none that could)
        return NOT_DECODED


def _dcmdump(data: bytes) -> bool:
    with tempfile.NamedTemporaryFile(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as file:  # noqa: S108
        file.write(data)
        file.flush()
        command = ["dcmdump", "-q", "+L", file.name]
        done = subprocess.run(command, capture_output=True, check=False)
    return done.returncode == 0
