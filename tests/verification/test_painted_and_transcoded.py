"""Painting and `Transcode` in one run: regions are black in the new syntax, and nothing else is another pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pytest
from pydicom import dcmread

from tests.local.editing.painting.images import frames_of
from tests.verification.test_painted_pixels import crosswalk, planned, sources

if TYPE_CHECKING:
    from pathlib import Path

SYNTAXES: Final = {
    "explicit": "1.2.840.10008.1.2.1",
    "deflated": "1.2.840.10008.1.2.1.99",
    "RLE": "1.2.840.10008.1.2.5",
    "JPEG-LS": "1.2.840.10008.1.2.4.80",
    "JPEG 2000": "1.2.840.10008.1.2.4.90",
}
LEFT_OUT: Final = frozenset({"float", "jpeg 444", "jpeg 420", "clean", "not at risk"})
"""Nothing encodes floats and 9 x 9 pixels; what is decoded of JPEG depends on the decoder."""
READ_AS: Final = {"YBR_FULL_422": "YBR_FULL", "YBR_RCT": "RGB"}
ONE_BIT: Final = frozenset({"explicit", "deflated", "RLE", "JPEG 2000"})
"""Syntaxes that hold pixels of one bit."""


def painted(root: Path, options: dict[str, str] | None) -> tuple[dict[str, str], dict[str, Path]]:
    """Run all kinds of sources; return the reasons of what is not done, and the results, by the name of the source."""
    files = {name: data for name, data in sources().items() if name not in LEFT_OUT}
    steps = planned(root, files, options)
    steps.edit()
    steps.verify()
    rows = crosswalk(steps, files)
    found = {path.stem: path for path in (root / "results").rglob("*.dcm")}
    done = {name: found[row["new_dicom_id"]] for name, row in rows.items() if row["outcome"] == "done"}
    return {name: row["reason"] for name, row in rows.items() if name not in done}, done


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return results that keep their transfer syntax."""
    wrong, done = painted(tmp_path_factory.mktemp("plain"), None)
    assert not wrong
    return done


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_pixels_are_those_of_a_run_without_transcoding(syntax: str, plain: dict[str, Path], tmp_path: Path) -> None:
    """Each source, painted and verified, has the pixels that it has when only its regions are painted."""
    wrong, done = painted(tmp_path, {"Transcode": SYNTAXES[syntax]})
    impossible = set() if syntax in ONE_BIT else {name for name in plain if name.startswith("bits")}

    assert impossible == wrong.keys(), wrong
    assert all("ask for an uncompressed or deflated one" in reason for reason in wrong.values())
    assert plain.keys() - impossible == done.keys()
    for name, path in done.items():
        wanted, result = dcmread(plain[name]), dcmread(path)
        colours = [str(one.PhotometricInterpretation) for one in (wanted, result)]
        mask = (1 << wanted.BitsStored) - 1

        assert SYNTAXES[syntax] == result.file_meta.TransferSyntaxUID
        assert READ_AS.get(colours[0], colours[0]) == READ_AS.get(colours[1], colours[1])
        assert wanted.get("BurnedInAnnotation") == result.get("BurnedInAnnotation")
        assert np.array_equal(frames_of(plain[name].read_bytes()) & mask, frames_of(path.read_bytes()) & mask), name
