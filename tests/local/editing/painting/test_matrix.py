"""A text in a region is gone in every frame, and every pixel outside stays, in every form of pixels and every syntax.

``make test-pixels`` takes all that there are, and lets others read the results; the quick tests take one of each kind.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
import pytest

from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.core.request.profile_choice import ProfileChoice
from deidflow.tasks.local.transcoding.codecs import can_write
from deidflow.tasks.local.transcoding.transcoder import transcode
from tests.local.editing.painting import matrix
from tests.local.editing.painting.images import Image, frames_of, painting
from tests.local.editing.painting.matrix import LOSSY, LOSSY_JPEG, SYNTAXES, Bits, Cell, Form
from tests.local.editing.painting.matrix_sources import ENCODERS, REGIONS, TEXT, Planted, black_of, planted
from tests.local.editing.painting.readers import decoded_by_all, decoded_by_dcmtk, errors_of, verified
from tests.local.edits import deidentify, read

if TYPE_CHECKING:
    from deidflow.tasks.core.pixels.regions import Region
    from tests.local.editing.painting.images import Pixels

ALL: Final = matrix.images()
WAVELETS: Final = ("JPEG 2000", "HTJ2K")
"""With loss: decoders may round otherwise."""
MCU: Final = {"YBR_FULL_422": (16, 8)}
"""What JPEG codes together, as sources are made here; 8 x 8 for all other forms."""
READ_AS: Final = {"YBR_FULL_422": "YBR_FULL", "YBR_RCT": "RGB", "YBR_ICT": "RGB"}


def assert_painted(cell: Cell, made: Planted, before: Pixels, after: Pixels) -> None:
    """Assert that decoded frames are black in the regions, and outside what they were."""
    mask = (1 << cell.bits.stored) - 1
    if cell.syntax in LOSSY_JPEG:
        assert_painted_in_blocks(cell, before, after)
        return
    wanted = replace(made.image, values=before).painted(black_of(cell), *_widened(cell)).values
    if cell.syntax in WAVELETS:
        assert np.abs(wanted - after).max() <= 1
        inside = replace(made.image, values=np.zeros(before.shape)).painted((1,) * before.shape[3], *REGIONS).values > 0
        assert np.array_equal(wanted[inside] & mask, after[inside] & mask)
        return
    assert np.array_equal(wanted & mask, after & mask)


def _widened(cell: Cell) -> list[Region]:
    """Return the regions in whole pairs where two pixels share a colour."""
    if cell.form.photometric != "YBR_FULL_422":
        return list(REGIONS)
    edges = [(one.x // 2 * 2, -(-(one.x + one.width) // 2) * 2) for one in REGIONS]
    return [replace(one, x=x, width=end - x) for one, (x, end) in zip(REGIONS, edges, strict=True)]


def assert_painted_in_blocks(cell: Cell, before: Pixels, after: Pixels) -> None:
    """Assert that blocks outside are what they were, to the last bit, and what lies in the regions is black."""
    across, down = MCU.get(cell.form.photometric, (8, 8))
    border = 2 if across > 8 else 0  # where colours are halved, they are mixed beside a block when they are shown
    away = np.ones(before.shape[1:3], bool)
    for one in REGIONS:
        left, top = max(0, one.x) // across * across, one.y // down * down
        right, bottom = -(-(one.x + one.width) // across) * across, -(-(one.y + one.height) // down) * down
        away[max(0, top - border) : bottom + border, max(0, left - border) : right + border] = False
    assert away.any()
    assert np.array_equal(before[:, away], after[:, away])
    black = np.array(black_of(cell))
    for one in REGIONS:
        inside = after[:, one.y : one.y + one.height, max(0, one.x) : one.x + one.width]
        if one.x + one.width < before.shape[2] - border:
            inside = inside[:, :, border : inside.shape[2] - border]
        assert np.abs(inside - black).max() <= (1 if cell.form.photometric != "RGB" else 2), np.abs(
            inside - black
        ).max()


def assert_text_shows(cell: Cell, made: Planted, frames: Pixels) -> None:
    """Assert that the text can be read in every frame: ink is far from paper."""
    region = np.zeros(made.ink.shape, bool)
    region[:, 3:14, 4:56] = True
    levels = frames[..., 0]
    ink, paper = levels[made.ink], levels[region & ~made.ink]
    assert np.median(ink) - np.median(paper) > 0.4 * (int(levels.max()) - int(levels.min()))


def check(cell: Cell) -> tuple[Planted, bytes] | None:
    """Paint one cell and look at it; return the source and the result, None where it is refused as it should be."""
    made = planted(cell)
    before = frames_of(made.data)
    mask = (1 << cell.bits.stored) - 1
    if cell.syntax not in LOSSY:
        assert np.array_equal(made.image.values & mask, before & mask), "the source is not what it should be"
    assert_text_shows(cell, made, before)
    if told := matrix.refusal(cell):
        with pytest.raises(InstanceFailed, match=told) as caught:
            painting(*REGIONS)(made.data)
        assert ReasonCode.UNSAFE_CONTENT is caught.value.code
        return None
    result = painting(*REGIONS)(made.data)
    assert SYNTAXES[cell.syntax] == read(result).file_meta.TransferSyntaxUID
    assert_painted(cell, made, before, frames_of(result))
    assert TEXT.encode() not in result  # of the icon
    return made, result


def test_every_combination_is_an_image_or_has_a_reason() -> None:
    """Nothing is left out in silence, and no reason is without a case."""
    reasons = Counter(matrix.why_not(cell) for cell in matrix.cells())
    known = len(matrix.FORMS) * len(matrix.BITS) * len(SYNTAXES)

    assert {"", *matrix.REASONS} == set(reasons)
    assert known == sum(reasons.values())
    for form in matrix.FORMS:
        assert any(cell.form == form for cell in ALL), form
    for bits in matrix.BITS:
        assert any(cell.bits == bits for cell in ALL), bits
    for syntax in SYNTAXES:
        assert any(cell.syntax == syntax for cell in ALL), syntax


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_one_of_each_kind(syntax: str) -> None:
    """Of each form and each choice of bits that a syntax has."""
    for cell in matrix.one_of_each():
        if cell.syntax == syntax:
            check(cell)


@pytest.mark.long
@pytest.mark.parametrize("cell", ALL, ids=str)
def test_all_of_them(cell: Cell) -> None:
    """Other decoders see the same, DCMTK, too; dciodvfy finds nothing new, and the verifier nothing wrong."""
    found = check(cell)
    if found is None:
        return
    made, result = found
    for before, after in decoded_by_all(made.data, result):
        assert_painted(cell, made, before, after)
    by_dcmtk = [decoded_by_dcmtk(data) for data in (made.data, result)]
    if by_dcmtk[0] is not None:
        assert by_dcmtk[1] is not None, "DCMTK reads the source, and not the result"
        assert_painted(cell, made, by_dcmtk[0], by_dcmtk[1])
    verified(made.data, result, REGIONS)
    told = errors_of(deidentify(ProfileChoice())(made.data)), errors_of(result)
    if told[0] is not None and told[1] is not None:
        assert not told[1] - told[0]
    for target, uid in SYNTAXES.items():
        if can_write(uid) and target != cell.syntax:
            check_transcoded(cell, result, target)


def check_transcoded(cell: Cell, result: bytes, target: str) -> None:
    """Assert that a painted image is the same in another syntax, or has no form there, which the reason says."""
    if cell.syntax in LOSSY_JPEG:
        form = Form("RGB" if cell.form.photometric in {"YBR_FULL", "YBR_FULL_422"} else cell.form.photometric)
    else:
        form = cell.form
    if not matrix.is_held(form, cell.bits, target):
        with pytest.raises(InstanceFailed, match="ask for an uncompressed or deflated one") as caught:
            transcode(result, SYNTAXES[target])
        assert ReasonCode.TRANSCODING_FAILED is caught.value.code
        return
    converted = transcode(result, SYNTAXES[target])
    before, after = read(result), read(converted)
    mask = (1 << cell.bits.stored) - 1
    was_native = cell.syntax in matrix.NATIVE
    if not (was_native and target in matrix.NATIVE):
        assert READ_AS.get(form.photometric, form.photometric) == after.PhotometricInterpretation
    assert (before.BitsAllocated, before.BitsStored) == (after.BitsAllocated, after.BitsStored)
    if cell.syntax not in LOSSY_JPEG or form.photometric == cell.form.photometric:  # converted to RGB with loss
        assert np.array_equal(frames_of(result) & mask, frames_of(converted) & mask), target


@pytest.mark.parametrize(("syntax", "most"), [("JPEG 2000 lossless", 24), ("HTJ2K lossless", 16)])
def test_more_bits_than_a_codec_keeps_are_refused(syntax: str, most: int) -> None:
    """Code streams of up to 38 bits are allowed (PS3.5 section 8.2.4); their codecs lose the lowest ones in silence."""
    cell = Cell(Form("MONOCHROME2"), Bits(16, 16), syntax)
    made = planted(cell)
    siz = made.data.index(b"\xff\x4f\xff\x51") + 42
    assert 15 == made.data[siz]  # Ssiz: one less than the bits
    for bits in range(most + 1, 39):
        data = made.data[:siz] + bytes([bits - 1]) + made.data[siz + 1 :]
        with pytest.raises(InstanceFailed, match=f"at most {most} bits") as caught:
            painting(*REGIONS)(data)
        assert ReasonCode.UNSAFE_CONTENT is caught.value.code


def test_transformed_colours_have_one_bit_less() -> None:
    """The differences that JPEG 2000 makes of colours have a bit more than these."""
    image = Image.random(1, 1, 43, 61, "YBR_RCT", allocated=32, stored=23, high_bit=22)
    data = planted_as(image)
    assert np.array_equal(image.painted((0, 0, 0), *REGIONS).values, frames_of(painting(*REGIONS)(data)))
    wide = data.replace(bytes([22, 1, 1] * 3), bytes([23, 1, 1] * 3))
    with pytest.raises(InstanceFailed, match="at most 23 bits"):
        painting(*REGIONS)(wide)


def planted_as(image: Image) -> bytes:
    """Return a file of an image in JPEG 2000."""
    syntax = "JPEG 2000 lossless"
    return image.compressed(SYNTAXES[syntax], [ENCODERS[syntax](frame, image) for frame in image.values])
