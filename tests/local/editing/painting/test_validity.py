"""Painting brings no error that dciodvfy would report of the same result unpainted."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from deidflow.tasks.core.pixels.regions import Region
from deidflow.tasks.core.request.profile_choice import ProfileChoice
from tests.local.editing.painting.images import painting
from tests.local.edits import all_files, deidentify

if TYPE_CHECKING:
    from pathlib import Path

NAMES = (
    *("CT_small.dcm", "MR_small.dcm", "MR_small_bigendian.dcm", "JPEG2000.dcm", "MR_small_RLE.dcm"),
    *("SC_rgb_rle_2frame.dcm", "examples_palette.dcm", "SC_rgb_jpeg_dcmtk.dcm", "693_J2KI.dcm", "liver_1frame.dcm"),
)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_new(name: str, tmp_path: Path) -> None:
    """Of each kind of file that pydicom has."""
    tool = shutil.which("dciodvfy")
    paths = [path for path in all_files() if path.name == name]
    if tool is None or not paths:
        pytest.skip("no dciodvfy, or no such file here")
    data = paths[0].read_bytes()
    found = []
    for number, edit in enumerate((deidentify(ProfileChoice()), painting(Region(2, 2, 9, 9)))):
        path = tmp_path / str(number)
        path.write_bytes(edit(data))
        told = subprocess.run([tool, path], capture_output=True, check=False).stderr.decode("latin-1")
        found.append({line for line in told.splitlines() if line.startswith("Error")})

    assert set() == found[1] - found[0]
