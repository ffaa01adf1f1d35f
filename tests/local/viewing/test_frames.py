"""What is written in the pixels can be seen in the frames that are looked at, in every form of pixels."""

from __future__ import annotations

import numpy as np
import pytest

from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.local.dicom_file.source_file import SourceFile
from deidflow.tasks.local.viewing.frames import PixelFrames
from tests.local.editing.painting.matrix import Bits, Cell, one_of_each
from tests.local.editing.painting.matrix_sources import planted


def is_seen(cell: Cell) -> bool:
    """Whether ink is far from paper in all frames, asked for in another order."""
    made = planted(cell)
    with SourceFile.of_bytes(made.data) as source, PixelFrames(source) as instance:
        frames = np.array(list(instance.frames([2, 0, 1])), float)[[1, 2, 0]]
    grey = frames.mean(axis=-1) if frames.ndim > 3 else frames
    region = np.zeros(made.ink.shape, bool)
    region[:, 3:14, 4:56] = True
    ink, paper = grey[made.ink], grey[region & ~made.ink]
    return bool(abs(ink.mean() - paper.mean()) > 4 * max(ink.std(), paper.std()))


@pytest.mark.parametrize("syntax", ["implicit", "big endian", "RLE", "JPEG lossless SV1", "JPEG 2000 lossless"])
def test_a_text_is_seen(syntax: str) -> None:
    """Frames of one bit, several in which two pixels share a colour, planes of compressed colours, signed palettes."""
    for cell in one_of_each():
        if cell.syntax != syntax:
            continue
        if cell.bits == Bits(16, 8) and syntax.startswith("JPEG lossless"):
            with pytest.raises(InstanceFailed) as caught:  # of a byte a sample, which pydicom takes for two
                is_seen(cell)
            assert ReasonCode.UNSUPPORTED is caught.value.code
            continue
        assert is_seen(cell), cell
