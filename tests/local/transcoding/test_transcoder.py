"""Another transfer syntax holds the same image."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import warnings
from typing import TYPE_CHECKING

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.pixels.decoders.base import Decoder
from pydicom.uid import (
    JPEG2000,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
)

from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.local.dicom_file.source_file import SourceFile
from deidflow.tasks.local.transcoding.codecs import can_write, why_not
from deidflow.tasks.local.transcoding.transcoder import transcode
from tests.dicom_files import (
    BIG,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    RLE,
    UNCOMPRESSED,
    Element,
    Item,
    Syntax,
    encapsulated,
    grey,
    instance,
)
from tests.local.edits import PACKAGE, read

if TYPE_CHECKING:
    from pathlib import Path

SHAPE = (7, 5)
PIXELS = np.arange(35, dtype=np.uint16).reshape(SHAPE) * 1873


def image(syntax: Syntax, *extra: Element, bits: int = 16) -> bytes:
    """Return a small image."""
    words = PIXELS.astype(f"{syntax.prefix}u2") if bits == 16 else (PIXELS % 251).astype("u1")
    data = words.tobytes() + b"\0" * (words.nbytes % 2)
    if bits == 8 and not syntax.little:
        data = np.frombuffer(data, "u2").byteswap().tobytes()  # OW: the order within words of 16 bits
    return instance(
        Element(0x7FE00010, "OW", data),
        *extra,
        syntax=syntax,
        **grey(*SHAPE, bits),
    )


def pixels(data: bytes) -> np.ndarray:
    """Return the decoded pixels of a file."""
    decoded: np.ndarray = dcmread(io.BytesIO(data)).pixel_array
    return decoded


@pytest.mark.parametrize("source", UNCOMPRESSED, ids=lambda syntax: syntax.uid)
@pytest.mark.parametrize("target", [*UNCOMPRESSED, RLE], ids=lambda syntax: syntax.uid)
@pytest.mark.parametrize("bits", [8, 16])
def test_there_and_back(source: Syntax, target: Syntax, bits: int) -> None:
    """Decoded pixels and all other values are the same in the target and back in the source's syntax."""
    data = image(source, bits=bits)
    there = transcode(data, target.uid)
    back = transcode(there, source.uid)

    expected = PIXELS if bits == 16 else PIXELS % 251
    for result, syntax in ((there, target), (back, source)):
        assert syntax.uid == dcmread(io.BytesIO(result)).file_meta.TransferSyntaxUID
        assert np.array_equal(expected, pixels(result))
        assert values(data) == values(result)


def values(data: bytes) -> dict[str, object]:
    """Return all values but the pixels."""
    return {element.keyword: element.value for element in read(data) if element.keyword != "PixelData"}


@pytest.mark.parametrize("target", [*UNCOMPRESSED, RLE], ids=lambda syntax: syntax.uid)
def test_same_input_same_bytes(target: Syntax) -> None:
    """Nothing of the clock, of the process or of the library's version comes into the result."""
    first, second = (transcode(image(EXPLICIT), target.uid) for _ in range(2))

    assert first == second
    assert b"PYDICOM" not in first


@pytest.mark.parametrize(("source", "target"), [(EXPLICIT, BIG), (BIG, EXPLICIT), (IMPLICIT, BIG), (BIG, DEFLATED)])
def test_words_elsewhere_change_their_byte_order(source: Syntax, target: Syntax) -> None:
    """Lookup tables, overlays and float data, nested ones, too, hold the same numbers in the other byte order."""
    numbers = np.array([1, 2, 770], dtype=f"{source.prefix}u2").tobytes()
    floats = np.array([0.5, -3.25], dtype=f"{source.prefix}f4").tobytes()
    extra = (
        Element(0x00281201, "OW", numbers),
        Element(
            0x00081140, "SQ", (Item((Element(0x00281201, "OW", numbers), Element(0x00280010, "US", numbers[:2]))),)
        ),
        Element(0x00660016, "OF", floats),
        Element(0x00420011, "OB", b"\1\2\3\4"),
    )
    after = dcmread(io.BytesIO(transcode(image(source, *extra), target.uid)))

    for dataset in (after, after[0x00081140].value[0]):
        assert [1, 2, 770] == np.frombuffer(dataset[0x00281201].value, f"{target.prefix}u2").tolist()
    assert 1 == after[0x00081140].value[0].Rows
    assert [0.5, -3.25] == np.frombuffer(after[0x00660016].value, f"{target.prefix}f4").tolist()
    assert b"\1\2\3\4" == after.EncapsulatedDocument


def test_lookup_table_of_an_ambiguous_vr() -> None:
    """A table that implicit VR leaves open between US and OW holds the same numbers in big endian."""
    table = (
        Element(0x00283002, "US", np.array([2, 0, 16], "<u2").tobytes()),
        Element(0x00283006, "OW", np.array([5, 770], "<u2").tobytes()),
    )
    extra = Element(0x00283000, "SQ", (Item(table),))
    after = dcmread(io.BytesIO(transcode(image(IMPLICIT, extra), BIG.uid)))
    (item,) = after[0x00283000].value

    assert [2, 0, 16] == list(item[0x00283002].value)
    assert ("OW", [5, 770]) == (item[0x00283006].VR, np.frombuffer(item[0x00283006].value, ">u2").tolist())


def test_object_without_pixels() -> None:
    """A report has nothing to decode: it is written in an uncompressed syntax as any other dataset."""
    after = dcmread(io.BytesIO(transcode(instance(PatientComments="text"), DEFLATED.uid)))

    assert ("text", DEFLATED.uid) == (after.PatientComments, after.file_meta.TransferSyntaxUID)


def test_file_without_meta_information() -> None:
    """A bare dataset is converted, too, and says afterwards what it is."""
    whole = image(IMPLICIT)
    bare = whole[144 + int.from_bytes(whole[140:144], "little") :]
    result = transcode(bare, EXPLICIT.uid)

    assert EXPLICIT.uid == dcmread(io.BytesIO(result)).file_meta.TransferSyntaxUID
    assert np.array_equal(PIXELS, pixels(result))
    assert result == transcode(bare, EXPLICIT.uid)


@pytest.mark.parametrize(
    "data",
    [
        instance(encapsulated(b"no image"), syntax=RLE, Rows=2, Columns=2),
        image(EXPLICIT)[:-20],
        b"no DICOM",
    ],
    ids=["undecodable", "cut", "noise"],
)
def test_impossible_conversion(data: bytes) -> None:
    """What cannot be decoded fails this instance by name, without a value in the text."""
    with pytest.raises(InstanceFailed) as caught:
        transcode(data, EXPLICIT.uid if data.find(RLE.uid.encode()) >= 0 else RLE.uid)

    assert ReasonCode.TRANSCODING_FAILED is caught.value.code
    assert "1.2.3" not in str(caught.value)


def test_what_can_be_written() -> None:
    """Uncompressed, deflated and RLE always; made-up syntaxes never."""
    assert all(can_write(syntax.uid) for syntax in (*UNCOMPRESSED, RLE))
    assert not can_write("1.2.3")
    assert not can_write("")
    assert not can_write("not a uid")


LOSSLESS = [JPEG2000Lossless, JPEGLossless, JPEGLosslessSV1, JPEGLSLossless, JPEGLSNearLossless]


def noise(stored: int, *, signed: bool, frames: int = 1, overlay: bool = False) -> bytes:
    """Return an image of noise over all stored bits, with one of the unused bits set where they hold an overlay."""
    bits = 8 if stored <= 8 else 16
    random = np.random.default_rng(stored)
    low, high = (-(1 << stored - 1), 1 << stored - 1) if signed else (0, 1 << stored)
    values = random.integers(low, high, (frames, 40, 36)).astype(f"<u{bits // 8}")
    if overlay:
        values[:, 3:5, 2] ^= 1 << bits - 1
    return instance(
        Element(0x7FE00010, "OW", values.tobytes()),
        syntax=EXPLICIT,
        NumberOfFrames=str(frames),
        **grey(40, 36, bits, stored) | {"PixelRepresentation": int(signed)},
    )


def words(data: bytes) -> bytes:
    """Return the whole words of a result's pixels, the unused bits with them."""
    dataset = dcmread(io.BytesIO(transcode(data, EXPLICIT.uid)))
    return bytes(dataset.PixelData)


@pytest.mark.skipif(not all(map(can_write, LOSSLESS)), reason="needs the extra codecs")
@pytest.mark.parametrize("target", LOSSLESS, ids=lambda uid: uid.rpartition(".")[2])
@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
@pytest.mark.parametrize("stored", [8, 10, 12, 16])
def test_lossless_codecs(target: str, stored: int, signed: bool) -> None:
    """Every lossless target gives the same words back, frame by frame, and says what it is."""
    data = noise(stored, signed=signed, frames=3)
    result = transcode(data, target)

    assert target == dcmread(io.BytesIO(result)).file_meta.TransferSyntaxUID
    assert np.array_equal(pixels(data), pixels(result))
    assert words(data) == words(result)
    assert result == transcode(data, target)


@pytest.mark.skipif(not all(map(can_write, LOSSLESS)), reason="needs the extra codecs")
@pytest.mark.parametrize("target", LOSSLESS, ids=lambda uid: uid.rpartition(".")[2])
def test_colours_in_lossless_codecs(target: str) -> None:
    """RGB stays RGB, not converted to other colours and back."""
    colours = np.random.default_rng(5).integers(0, 256, (2, 40, 34, 3)).astype("u1")
    data = instance(
        Element(0x7FE00010, "OB", colours.tobytes()),
        syntax=EXPLICIT,
        NumberOfFrames="2",
        Rows=40,
        Columns=34,
        BitsAllocated=8,
        BitsStored=8,
        HighBit=7,
        PixelRepresentation=0,
        SamplesPerPixel=3,
        PlanarConfiguration=0,
        PhotometricInterpretation="RGB",
    )
    result = transcode(data, target)

    assert np.array_equal(colours, pixels(result))
    assert "RGB" == dcmread(io.BytesIO(result)).PhotometricInterpretation


@pytest.mark.skipif(not all(map(can_write, LOSSLESS)), reason="needs the extra codecs")
@pytest.mark.skipif(not shutil.which("dcmdjpeg"), reason="needs DCMTK's tools (Debian: apt-get install dcmtk)")
@pytest.mark.parametrize(("stored", "signed"), [(8, False), (12, False), (16, False), (12, True), (16, True)])
def test_others_read_lossless_results(tmp_path: Path, stored: int, signed: bool) -> None:
    """DCMTK decodes the result to the same words; of JPEG with what stands in bits that no pixel uses."""
    cases = [
        (JPEGLosslessSV1, "dcmdjpeg", False),
        (JPEGLosslessSV1, "dcmdjpeg", True),
        (JPEGLossless, "dcmdjpeg", True),
        (JPEGLSLossless, "dcmdjpls", False),
    ]
    for target, tool, overlay in cases:
        if signed and tool == "dcmdjpls":
            continue  # it leaves the sign of 12 bits to who reads them
        data = noise(stored, signed=signed, overlay=overlay)
        (tmp_path / "in").write_bytes(transcode(data, target))
        subprocess.run([tool, tmp_path / "in", tmp_path / "out"], check=True, capture_output=True)

        assert bytes(dcmread(io.BytesIO(data)).PixelData) == bytes(dcmread(tmp_path / "out").PixelData), target


@pytest.mark.parametrize("target", [JPEGBaseline8Bit, JPEGExtended12Bit, JPEG2000, "1.2.840.10008.1.2.4.201"])
def test_what_no_codec_writes(target: str) -> None:
    """Targets that lose pixels, or that no codec writes, are refused with the list of those that are written."""
    assert not can_write(target)
    assert all(name in why_not(target) for name in (".57", ".70", ".80", ".81", ".90", "RLE", "engine: orthanc"))


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the codecs the message names the extra that brings them."""
    monkeypatch.setitem(sys.modules, "imagecodecs", None)

    assert not can_write(JPEGLosslessSV1)
    assert "deidflow[codecs]" in why_not(JPEGLosslessSV1)


@pytest.mark.parametrize(
    "name", ["CT_small.dcm", "SC_rgb_rle.dcm", "MR_small_bigendian.dcm", "rtdose_1frame.dcm", "liver_1frame.dcm"]
)
def test_real_images(name: str) -> None:
    """Images of several kinds, in the source's syntax or another, are decoded alike."""
    data = (PACKAGE / "test_files" / name).read_bytes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = pixels(data)
        for target in (IMPLICIT, BIG, DEFLATED):
            assert np.array_equal(expected, pixels(transcode(data, target.uid))), target


@pytest.mark.parametrize("bits", [8, 16])
def test_planes_become_pixels(bits: int) -> None:
    """Colours that stand plane by plane are the same image in RLE."""
    planes = np.arange(2 * 3 * 4, dtype=f"<u{bits // 8}").reshape(3, 2, 4)
    data = instance(
        Element(0x7FE00010, "OB" if bits == 8 else "OW", planes.tobytes()),
        syntax=EXPLICIT,
        Rows=2,
        Columns=4,
        BitsAllocated=bits,
        BitsStored=bits,
        HighBit=bits - 1,
        PixelRepresentation=0,
        SamplesPerPixel=3,
        PlanarConfiguration=1,
        PhotometricInterpretation="RGB",
    )

    assert np.array_equal(planes.transpose(1, 2, 0), pixels(transcode(data, RLE.uid)))


@pytest.mark.parametrize("missing", ["SamplesPerPixel", "Rows", "HighBit"])
def test_what_an_object_does_not_say_of_its_pixels_is_named(missing: str) -> None:
    """Another codec would not help."""
    said = {keyword: value for keyword, value in grey().items() if keyword != missing}
    data = instance(Element(0x7FE00010, "OB", bytes(64)), **said)

    with pytest.raises(InstanceFailed, match=f"be read: {missing} must be there"):
        transcode(data, RLE.uid)


class PanicError(BaseException):
    """Like that of a codec written in Rust (pylibjpeg-rle), which is no Exception."""


def test_panicking_codec(monkeypatch: pytest.MonkeyPatch) -> None:
    """A codec that panics fails this instance only."""

    def panic(*_: object, **__: object) -> None:
        raise PanicError

    monkeypatch.setattr(Decoder, "iter_array", panic)
    compressed = transcode(image(EXPLICIT), RLE.uid)

    with pytest.raises(InstanceFailed) as caught:
        transcode(compressed, EXPLICIT.uid)

    assert ReasonCode.TRANSCODING_FAILED is caught.value.code


@pytest.mark.parametrize("target", UNCOMPRESSED, ids=lambda syntax: syntax.uid)
def test_text_and_unknown_values_keep_their_bytes(target: Syntax) -> None:
    """Escape sequences, padding, private values and text of ISO 2022 are the source's, whatever is converted."""
    values = (b"Wang^A=\xcd\xf5^\xd0\xa1=", b"\xe9\x1b-L\xbb ", b"ab\0\0", b"\1\0\2\0")
    data = image(
        EXPLICIT,
        Element(0x00080005, "CS", b"ISO 2022 IR 100\\ISO 2022 IR 144 "),
        Element(0x00100010, "PN", values[0] + b" " * (len(values[0]) % 2)),
        Element(0x00104000, "LT", values[1]),
        Element(0x00190010, "LO", b"SIEMENS CM VA0  CMS "),
        Element(0x00191060, "UN", values[3]),
        Element(0x00204000, "LT", values[2]),
    )
    body = SourceFile.of_bytes(transcode(data, target.uid)).body

    assert all(value in body for value in values)


def test_nothing_writes_jpeg_2000_with_loss() -> None:
    """Its encoder wants a compression ratio, which no argument gives: better refused before any work."""
    assert not can_write(JPEG2000)
