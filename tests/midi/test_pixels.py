"""Burnt-in text in the set of MIDI-B's form: ``pixels_hidden`` and ``pixels_retained`` of all its images are met."""

from __future__ import annotations

import io
import re
import warnings
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, RLELossless

from deidflow.tasks.core.pixels.choice import PixelChoice
from deidflow.tasks.core.pixels.conditions import All
from deidflow.tasks.core.pixels.conditions import Test as Asks
from deidflow.tasks.core.pixels.decision import PixelRule, PixelRules
from deidflow.tasks.core.pixels.regions import Region
from deidflow.tasks.core.request.profile_choice import ProfileChoice
from tests.local.editing.painting.images import frames_of
from tests.local.edits import deidentify
from tests.midi.made import FILES, made_set

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS, COLUMNS = 0x00280010, 0x00280011
LETTERS = ("1110", "1001", "1110", "1000"), ("1001", "1001", "1001", "0110"), ("0111", "1000", "0110", "1110")
"""Patterns that are text as far as pixels are concerned."""


def burned() -> Iterator[tuple[bytes, Region]]:
    """Yield images of the set with a line of letters in each frame, and the region around it."""
    syntaxes = (ExplicitVRLittleEndian, RLELossless, JPEG2000Lossless)
    for number, one in enumerate(made_set(len(FILES))):
        dataset = dcmread(io.BytesIO(one.data), force=True)
        if "PixelData" not in dataset or dataset.BitsAllocated not in (8, 16):
            continue
        syntax = syntaxes[number % 3]
        values = _decoded(dataset)
        if values is None or values.shape[3] > 1 or min(values.shape[1:3]) < 64:
            syntax = ExplicitVRLittleEndian
        if values is None:
            continue
        rows, columns = values.shape[1:3]
        region = Region(columns // 8, rows // 8, min(48, columns // 2), 6)
        for frame in values:
            for place in range(region.width // 5):
                for y, line in enumerate(LETTERS[place % 3]):
                    for x, dot in enumerate(line):
                        at = (region.y + 1 + y, region.x + 1 + 5 * place + x)
                        frame[at] = (1 << dataset.BitsStored - 1) - 1 if dot == "1" else 0
        yield _written(dataset, values, syntax), region


def _decoded(dataset: Dataset) -> np.ndarray[Any, np.dtype[Any]] | None:
    if dataset.PhotometricInterpretation == "YBR_FULL_422":
        return None
    try:
        target = io.BytesIO()
        dataset.save_as(target, enforce_file_format=False)
        return frames_of(target.getvalue())
    except Exception:  # noqa: BLE001 (a truncated file)
        return None


def _written(dataset: Dataset, values: np.ndarray[Any, np.dtype[Any]], syntax: str) -> bytes:
    kind = "i" if dataset.PixelRepresentation else "u"
    data = values.astype(f"<{kind}{dataset.BitsAllocated // 8}").tobytes()
    dataset.PixelData = data + b"\0" * (len(data) % 2)
    dataset["PixelData"].is_undefined_length = False
    dataset["PixelData"].VR = "OW"
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    if values.shape[3] > 1:
        dataset.PlanarConfiguration = 0
    if dataset.PhotometricInterpretation in {"YBR_RCT", "YBR_ICT"}:
        dataset.PhotometricInterpretation = "RGB"
    if syntax != ExplicitVRLittleEndian:
        dataset.compress(syntax, generate_instance_uid=False)
    target = io.BytesIO()
    dataset.save_as(target, implicit_vr=False, little_endian=True, enforce_file_format=False)
    return target.getvalue()


def test_all_text_is_hidden_and_all_else_retained() -> None:
    """Each image of the set, uncompressed, RLE and JPEG 2000, all its frames."""
    met: Counter[tuple[str, bool]] = Counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for data, region in burned():
            before = frames_of(data)
            size = [
                Asks(tag, (re.compile(str(n)),)) for tag, n in ((ROWS, before.shape[1]), (COLUMNS, before.shape[2]))
            ]
            rules = PixelRules((PixelRule("test", All(tuple(size)), regions=(region,)),), ())
            choice = ProfileChoice(frozenset({"clean-pixel-data"}), pixels=PixelChoice(rules))
            after = frames_of(deidentify(choice)(data))
            inside = np.zeros(before.shape[1:3], bool)
            inside[region.y : region.y + region.height, region.x : region.x + region.width] = True
            met["pixels_hidden", all(len(np.unique(frame[inside], axis=0)) == 1 for frame in after)] += 1
            met["pixels_retained", np.array_equal(before[:, ~inside], after[:, ~inside])] += 1

    assert {"pixels_hidden", "pixels_retained"} == {name for name, _ in met}
    assert all(is_met for _, is_met in met), met
    assert met["pixels_hidden", True] >= 7
