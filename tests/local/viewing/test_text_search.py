"""Which frames are looked at for text, what counts as text, and that the extra finds it in real files."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pydicom import Dataset, dcmwrite
from pydicom.data import get_testdata_file
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.core.pixels.decision import PixelDecision
from deidflow.tasks.core.pixels.regions import Region
from deidflow.tasks.local.dicom_file.source_file import SourceFile
from deidflow.tasks.local.viewing.png import reduced, to_png, with_rectangles
from deidflow.tasks.local.viewing.rendering import pictures
from deidflow.tasks.local.viewing.text_detector import TextDetector, can_detect
from deidflow.tasks.local.viewing.text_search import TextSearch, shows_text

if TYPE_CHECKING:
    from deidflow.tasks.local.viewing.rendering import Picture

    Pixels = np.ndarray[Any, np.dtype[Any]]

WHITE = 255


class WhiteDetector(TextDetector):
    """Takes white pixels for one line of text; stands for the networks where these are not installed."""

    def __init__(self) -> None:
        """Count the pictures."""
        self.looked_at = 0

    def find(self, picture: Picture) -> list[Region]:
        """Return the box around all white pixels."""
        self.looked_at += 1
        rows, columns = np.nonzero((picture == WHITE).all(axis=2))
        if not len(rows):
            return []
        x, y = int(columns.min()), int(rows.min())
        return [Region(x, y, int(columns.max()) - x + 1, int(rows.max()) - y + 1)]


def colour_file(frames: Pixels, syntax: UID = ExplicitVRLittleEndian) -> bytes:
    """Return an RGB instance of frames x rows x columns x 3."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = UID("1.2.840.10008.5.1.4.1.1.7.4")
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = UID("1.2.3")
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "RGB", 0
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = frames.shape[:3]
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    dataset.PixelData = frames.astype(np.uint8).tobytes()
    dataset["PixelData"].VR = "OB"
    stream = io.BytesIO()
    dcmwrite(stream, dataset, enforce_file_format=True)
    return stream.getvalue()


def grey(count: int = 1) -> Pixels:
    """Return frames without text."""
    return np.full((count, 40, 60, 3), 90)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_text_outside_the_painted_regions_is_seen(syntax: UID) -> None:
    """What is painted does not count, what is beside it does."""
    frames = grey()
    frames[0, 10:14, 5:25] = WHITE
    inside, beside = Region(0, 8, 60, 10), Region(0, 20, 60, 10)

    with SourceFile.of_bytes(colour_file(frames, syntax)) as source:
        seen = [shows_text(source, painted, WhiteDetector()) for painted in ((), (inside,), (beside,))]

    assert [True, False, True] == seen


@pytest.mark.parametrize("index", [0, 5, 9])
def test_first_middle_and_last_frame_are_looked_at(index: int) -> None:
    """Three frames of a loop stand for it."""
    frames = grey(10)
    frames[index, 10:12, 5:10] = WHITE
    detector = WhiteDetector()

    with SourceFile.of_bytes(colour_file(frames)) as source:
        assert shows_text(source, (), detector)
        assert detector.looked_at <= 3


def test_a_frame_that_is_like_no_other_is_looked_at() -> None:
    """Pages of a document differ; frames of a loop do not."""
    frames = grey(10)
    frames[3] = WHITE
    alike, other = WhiteDetector(), WhiteDetector()

    with SourceFile.of_bytes(colour_file(grey(10))) as source:
        assert not shows_text(source, (), alike)
    with SourceFile.of_bytes(colour_file(frames)) as source:
        assert shows_text(source, (), other)

    assert (3, 4) == (alike.looked_at, other.looked_at)


def test_what_is_not_at_risk_is_not_looked_at() -> None:
    """Neither are its pixels read, which are damaged here, nor the networks loaded."""
    with SourceFile.of_bytes(colour_file(grey())[:-4000]) as source:
        TextSearch().check(source, PixelDecision("none"))


def test_pixels_that_cannot_be_decoded_are_refused() -> None:
    """Nothing was seen in them, and that proves nothing."""
    with (
        SourceFile.of_bytes(colour_file(grey())[:-4000]) as source,
        pytest.raises(InstanceFailed, match="cannot be decoded") as caught,
    ):
        shows_text(source, (), WhiteDetector())

    assert ReasonCode.UNSUPPORTED == caught.value.code


def test_text_far_outside_the_values_of_the_image_is_shown() -> None:
    """In one of two pictures, whichever way the image is windowed."""
    values = np.linspace(0, 1000, 64 * 64).reshape(64, 64).astype(np.uint16)
    faint, strong = values.copy(), values.copy()
    faint[5:7, 5:30] = 1000
    strong[5, 5:30] = 60000

    assert 1 == len(list(pictures(faint)))
    first, second = pictures(strong)
    assert (first[5, 5:30] == WHITE).all()
    assert (second[5, 5:30] == WHITE).all()
    assert second[40].max() < 10  # all but the text is black


def test_low_values_are_bright_in_monochrome1() -> None:
    """As a person sees them."""
    values = np.arange(4096, dtype=np.uint16).reshape(64, 64)

    (picture,) = pictures(values, is_inverse=True)

    assert picture[0, 0, 0] > picture[-1, -1, 0]


def test_a_picture_is_a_png_with_rectangles() -> None:
    """The same bytes each time; the picture itself stays as it is."""
    picture = np.zeros((30, 40, 3), np.uint8)
    drawn = with_rectangles(picture, [Region(5, 5, 100, 10), Region(50, 50, 9, 9)], (255, 0, 0))

    assert not picture.any()
    assert [255, 0, 0] == drawn[5, 39].tolist()
    assert not drawn[20:].any()
    assert to_png(drawn) == to_png(drawn)
    assert (15, 20, 3) == reduced(picture, 20).shape


@pytest.mark.skipif(not can_detect(), reason="the extra ocr is not installed: pip install 'deidflow[ocr]'")
@pytest.mark.parametrize(
    ("name", "has_text"),
    [("examples_ybr_color.dcm", True), ("examples_palette.dcm", True), ("CT_small.dcm", False)],
)
def test_text_in_real_files(name: str, *, has_text: bool) -> None:
    """Of pydicom's own test files."""
    with SourceFile.open(str(get_testdata_file(name))) as source:
        assert has_text == shows_text(source, (), TextDetector())
