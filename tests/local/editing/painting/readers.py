"""What others read of a result: pydicom with each decoder that is installed, DCMTK, dciodvfy, and the verifier.

Public names: ``decoded_by_all``, ``decoded_by_dcmtk``, ``errors_of``, ``verified``.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydicom import dcmread
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

from deidflow.tasks.core.request.request import Operation, parse_request
from deidflow.tasks.verification.painted.frames import check_frames
from deidflow.tasks.verification.reader import read_dicom
from tests.corpus import validity
from tests.local.editing.painting.images import frames_of

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator, Sequence

    from deidflow.tasks.core.pixels.regions import Region
    from tests.local.editing.painting.images import Pixels

_DEFLATED: Final = b"1.2.840.10008.1.2.1.99"
_TOOLS: Final = {
    "1.2.840.10008.1.2.5": ("dcmdrle",),
    **dict.fromkeys(
        (f"1.2.840.10008.1.2.4.{end}" for end in ("50", "51", "57", "70")),
        ("dcmdjpeg", "--conv-never"),
    ),
    **dict.fromkeys((f"1.2.840.10008.1.2.4.{end}" for end in ("80", "81")), ("dcmdjpls",)),
    **dict.fromkeys(
        ("1.2.840.10008.1.2", *(f"1.2.840.10008.1.2.{end}" for end in ("1", "2", "1.99"))),
        ("dcmconv", "+te"),
    ),
}
"""Tools of DCMTK that write explicit VR little endian, by the transfer syntax that they read; it has no JPEG 2000."""


def decoded_by_all(source: bytes, result: bytes) -> Iterator[tuple[Pixels, Pixels]]:
    """Yield the frames of both by each of pydicom's decoders that is installed (pylibjpeg's, its own, GDCM).

    One that cannot read the source is passed over; there must be another one.
    """
    syntax = UID(dcmread(io.BytesIO(source), stop_before_pixels=True).file_meta.TransferSyntaxUID)
    plugins = get_decoder(syntax).available_plugins if syntax.is_encapsulated else ("",)
    found = 0
    for plugin in plugins:
        try:
            before = frames_of(source, plugin)
        except (RuntimeError, ValueError):
            continue
        found += 1
        yield before, frames_of(result, plugin)
    assert found


def decoded_by_dcmtk(data: bytes) -> Pixels | None:
    """Return the frames as DCMTK decodes them, None where it cannot or is not installed; dcmdump must read the rest."""
    dcmdump = shutil.which("dcmdump")
    if dcmdump is None:
        return None
    with tempfile.TemporaryDirectory() as scratch:
        before, after = Path(scratch, "in"), Path(scratch, "out")
        before.write_bytes(data)
        told = subprocess.run([dcmdump, "-q", "+E", before], check=True, capture_output=True)
        assert not told.stderr, told.stderr
        tool = _TOOLS.get(str(dcmread(before, stop_before_pixels=True).file_meta.TransferSyntaxUID))
        if tool is None:
            return None
        if subprocess.run([*tool, before, after], check=False, capture_output=True).returncode:
            return None
        return frames_of(after.read_bytes())


def errors_of(data: bytes) -> Counter[str] | None:
    """Return what dciodvfy says, None where it is not installed; what is deflated is inflated, since it cannot."""
    dcmconv = shutil.which("dcmconv")
    if shutil.which("dciodvfy") is None or dcmconv is None:
        return None
    with tempfile.TemporaryDirectory() as scratch:
        if _DEFLATED in data[:1024]:
            before, after = Path(scratch, "in"), Path(scratch, "out")
            before.write_bytes(data)
            subprocess.run([dcmconv, "+te", before, after], check=True, capture_output=True)
            data = after.read_bytes()
        return validity.errors_of(data, Path(scratch))


def verified(source: bytes, result: bytes, regions: Sequence[Region]) -> None:
    """Let the verifier's own check look at a painted result.

    Raises:
        InstanceFailed: It does not find what should be.

    """
    files = io.BytesIO(source), io.BytesIO(result)
    frame = dcmread(io.BytesIO(source), stop_before_pixels=True)
    inside = [found for one in regions if (found := one.clipped(int(frame.Columns), int(frame.Rows)))]
    check_frames(parse_request(Operation.ANONYMIZE, {"Force": True}), read_dicom(files[0]), files, inside)
