"""Conditions of the accepted differences in how a file is written: lengths, padding, VRs, transfer syntaxes.

Public names: one function for each entry of ``accepted.ACCEPTED``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.dicom.tags import PIXEL_DATA, dictionary_vr, is_computed
from tests.contract.parity.facts import text_of, texts_of
from tests.contract.parity.pixels import can_decode, is_same_image
from tests.contract.parity.reader import dataset_at, read_file, read_items

if TYPE_CHECKING:
    from tests.contract.parity.differences import Case, Difference
    from tests.contract.parity.reader import Dataset

_TRANSFER_SYNTAX_UID: Final = 0x00020010
_BIG_ENDIAN: Final = "1.2.840.10008.1.2.2"
_NATIVE: Final = frozenset({"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", _BIG_ENDIAN, "1.2.840.10008.1.2.1.99"})
_RLE, _JPEG_2000_LOSSLESS, _JPEG_2000 = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91"
_NOT_READ_BY_ORTHANC: Final = frozenset({_JPEG_2000_LOSSLESS, _JPEG_2000})
_NOT_WRITTEN_BY_ORTHANC: Final = frozenset({_RLE, _JPEG_2000_LOSSLESS, _JPEG_2000})
_JPEG_FAMILY: Final = "1.2.840.10008.1.2.4."
_UNWRITTEN_BY_1_12: Final = frozenset(
    {f"{_JPEG_FAMILY}204", f"{_JPEG_FAMILY}205", *(f"1.2.840.10008.1.2.7.{number}" for number in (1, 2, 3))}
)
_UNWRITTEN_BY_1_10: Final = _UNWRITTEN_BY_1_12 | {
    *(f"{_JPEG_FAMILY}{number}.1" for number in range(100, 107)),
    *(f"{_JPEG_FAMILY}{number}" for number in range(201, 204)),
}
"""HTJ2K, SMPTE ST 2110 and fragmentable MPEG: newer than the server's DCMTK."""

_NEWER_VRS: Final = frozenset({"OV", "SV", "UV"})
_PIXEL_REPRESENTATION: Final = 0x00280103
_BITS_ALLOCATED: Final = 0x00280100
_PHOTOMETRIC: Final = 0x00280004
_WITH_THE_PIXELS: Final = frozenset({_PHOTOMETRIC, 0x00280006})
"""PhotometricInterpretation and PlanarConfiguration, which describe how the pixels are written."""


def padding_stays(case: Case, found: Difference) -> bool:
    """Blanks at the end of an untouched value."""
    if found.kind != "value" or found.source is None or found.theirs is None or found.ours is None:
        return False
    same = found.ours.value == found.source.value
    return same and found.ours.value.rstrip(b" \0") == found.theirs.value.rstrip(b" \0")


def encapsulated_vr(case: Case, found: Difference) -> bool:
    """The VR of untouched encapsulated pixels."""
    theirs, ours, source = found.theirs, found.ours, found.source
    if found.kind != "vr" or found.tag != PIXEL_DATA or theirs is None or ours is None or source is None:
        return False
    return ours.undefined and theirs.value == ours.value and ours.vr == source.vr and theirs.vr == "OB"


def unknown_vr(case: Case, found: Difference) -> bool:
    """Public elements with VR UN: Orthanc leaves them, the engine goes by the tag."""
    source, theirs = found.source, found.theirs
    if source is None or source.vr != "UN" or theirs is None or found.files is None:
        return False
    if theirs.vr != "UN" and not (theirs.vr == "" and found.files[1].implicit and not found.files[0].implicit):
        return False
    before = read_items(source.value, implicit=True, little=True) if theirs.items is not None else None
    untouched = theirs.items == before and (before is not None or theirs.value == source.value)
    return found.kind in ("value", "vr", "shape") and untouched and dictionary_vr(found.tag) is not None


def sequence_as_unknown(case: Case, found: Difference) -> bool:
    """Sequences sent as UN with undefined length stay so; DCMTK writes them, and what is in them, with VRs."""
    theirs, ours, source = found.theirs, found.ours, found.source
    if found.kind != "vr" or theirs is None or ours is None or source is None or found.files is None:
        return False
    if ours.vr == "" and found.where and not found.files[2].implicit:
        return theirs.vr != ""
    return source.vr == ours.vr == "UN" and source.undefined and theirs.vr == "SQ"


def meta_of_dataset(case: Case, found: Difference) -> bool:
    """Meta information that contradicts the dataset, or that has nothing to follow."""
    if found.kind != "meta" or found.tag not in (0x00020002, 0x00020003) or found.files is None:
        return False
    source, _, ours = found.files
    tag = 0x00080016 if found.tag == 0x00020002 else 0x00080018
    before, after = source.dataset.get(tag), ours.dataset.get(tag)
    if before is not None and before.vr == "UN" and text_of(found.ours) == text_of(after):
        return True
    if tag != 0x00080016 or (after is not None and after.vr != "UN" and after.value):
        return False
    return text_of(found.ours) == (text_of(after) or text_of(found.source) or text_of(before))


def private_creator(case: Case, found: Difference) -> bool:
    """The VR of a new private creator, and the padding that goes with it."""
    theirs, ours = found.theirs, found.ours
    if theirs is None or ours is None or not found.tag & 0x10000 or not 0x10 <= found.tag & 0xFFFF <= 0xFF:
        return False
    if found.kind == "vr":
        return (theirs.vr, ours.vr) == ("UN", "LO")
    return found.kind == "value" and ours.vr in ("LO", "") and text_of(theirs) == text_of(ours)


def group_length(case: Case, found: Difference) -> bool:
    """The length of a group, right for the engine's own bytes or untouched together with the group; Orthanc's, too."""
    if found.kind != "value" or found.tag & 0xFFFF or found.tag >> 16 == 2 or found.files is None:
        return False
    assert found.ours is not None
    source, theirs, ours = (dataset_at(file, found.where) for file in found.files)
    size = _group_size(ours, found.tag)
    untouched = found.ours == found.source and size == _group_size(source, found.tag)
    orthanc_is_right = found.theirs is not None and _number(found.theirs.value) == _group_size(theirs, found.tag)
    return orthanc_is_right and (_number(found.ours.value) == size or untouched)


def group_length_in_given_items(case: Case, found: Difference) -> bool:
    """The length of a group that the request gives inside an item."""
    if found.kind != "missing" or found.tag & 0xFFFF or not found.where or case.request is None:
        return False
    given = [value for value in case.request.edits.replace.values() if isinstance(value, tuple)]
    return any(found.tag == tag for items in given for item in items for tag, _ in texts_of(item) if is_computed(tag))


def _group_size(dataset: Dataset, tag: int) -> int:
    return sum(element.size for other, element in dataset.items() if other >> 16 == tag >> 16 and other != tag)


def _number(value: bytes) -> int:
    return int.from_bytes(value, "little")


def kept_syntax(case: Case, found: Difference) -> bool:
    """Pixels that this Orthanc cannot convert: it leaves the transfer syntax, and with it what describes the pixels.

    It has no codec for the syntax, or uncompressed pixels of which two share a colour are to be compressed.

    That the decoded pixels are equal is compared before.
    """
    target = case.body.get("Transcode")
    if not target or found.files is None:
        return False
    before, orthanc, engine = (file.meta_text(_TRANSFER_SYNTAX_UID) for file in found.files)
    colours = found.files[0].dataset.get(_PHOTOMETRIC)
    is_halved = colours is not None and colours.value.strip() == b"YBR_FULL_422" and before in _NATIVE
    lacks_codec = target in _NOT_WRITTEN_BY_ORTHANC or before in _NOT_READ_BY_ORTHANC or is_halved
    kept = orthanc == before or (not before and orthanc in _NATIVE)  # a file without meta information
    if not (lacks_codec and kept and engine == target):
        return False
    if found.kind == "meta":
        return found.tag == _TRANSFER_SYNTAX_UID
    if found.where or found.kind not in ("vr", "value", "extra"):
        return False
    return (found.kind == "vr" and found.tag == PIXEL_DATA) or (found.kind != "vr" and found.tag in _WITH_THE_PIXELS)


def impossible_conversion(case: Case, found: Difference) -> bool:
    """Pixels that cannot be converted: Orthanc leaves the syntax, or reads what the engine's codecs cannot."""
    target = case.body.get("Transcode")
    if not target or (found.kind, found.detail) != ("not-done", "transcoding-failed"):
        return False
    source, theirs, _ = found.raw
    before, orthanc = (read_file(data).meta_text(_TRANSFER_SYNTAX_UID) for data in (source, theirs))
    return orthanc != target if orthanc == before else not can_decode(source)


def words_of_32_bits(case: Case, found: Difference) -> bool:
    """Pixels of 32 bits from or to big endian: the engine's are the source's when decoded."""
    if found.kind != "pixels" or found.files is None or found.source is None or found.ours is None:
        return False
    bits = found.files[0].dataset[_BITS_ALLOCATED].value
    before, after = found.files[0].meta_text(_TRANSFER_SYNTAX_UID), case.body.get("Transcode")
    if (before == _BIG_ENDIAN) is (after == _BIG_ENDIAN) or _number(bits) != 32:
        return False
    if can_decode(found.raw[0]):
        return is_same_image(found.raw[0], found.raw[2], tolerance=0)
    old, new = found.source.value, found.ours.value  # read as pairs of bytes
    return new == b"".join(old[at + 2 : at + 4] + old[at : at + 2] for at in range(0, len(old), 4))


def number_of_either_sign(case: Case, found: Difference) -> bool:
    """An element that is US or SS by PixelRepresentation, written without a VR on the way."""
    theirs, ours = found.theirs, found.ours
    if found.kind != "vr" or not case.body.get("Transcode") or theirs is None or ours is None or found.files is None:
        return False
    signs = (file.dataset.get(_PIXEL_REPRESENTATION) for file in found.files[:1])
    signed = all(sign is not None and _number(sign.value) == 1 for sign in signs)
    from_implicit = found.files[0].implicit and dictionary_vr(found.tag) == "US or SS"
    return from_implicit and signed and (theirs.vr, ours.vr) == ("US", "SS") and theirs.value == ours.value


def newer_tag_without_vr(case: Case, found: Difference) -> bool:
    """An attribute of an implicit file that the server's dictionary lacks."""
    source, theirs, ours = found.source, found.theirs, found.ours
    if found.kind != "vr" or not case.body.get("Transcode") or source is None or theirs is None or ours is None:
        return False
    same = source.value == theirs.value == ours.value
    return same and (source.vr, theirs.vr) == ("", "UN") and ours.vr == dictionary_vr(found.tag) in _NEWER_VRS


def newer_syntax(case: Case, found: Difference) -> bool:
    """A file in a transfer syntax that the server takes and cannot write again."""
    if found.kind != "only-ours":
        return False
    syntax = read_file(found.raw[0]).meta_text(_TRANSFER_SYNTAX_UID)
    return syntax in (_UNWRITTEN_BY_1_10 if case.version == "1.10.1" else _UNWRITTEN_BY_1_12)
