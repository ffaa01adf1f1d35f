"""What the third judge takes from bytes that pydicom has read is what pydicom makes of them when it decodes them."""

from __future__ import annotations

import io
import re
import warnings
from typing import TYPE_CHECKING, Final

import pytest
from pydicom import Dataset, dcmread
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag
from pydicom.values import convert_UI

from deidflow.tasks.core.dicom.tags import PATIENT_ID, PATIENT_NAME, uid_tags
from deidflow.tasks.verification.by_pydicom.raw import charset_of, private_vr, uids_of, undecoded, value_of
from deidflow.tasks.verification.by_pydicom.references import walk_identity
from tests.dicom_files import EXPLICIT, IMPLICIT, Element, Syntax, encode, instance
from tests.local.edits import all_files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LARGE: Final = 1 << 20
_NAME, _BITS = BaseTag(PATIENT_NAME), BaseTag(0x00280100)
_CREATOR, _PRIVATE = BaseTag(0x00290010), BaseTag(0x00291000)
_UID = encode([Element(0x00081155, "UI", b"1.2.3\0")], IMPLICIT)


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"\0\0",
        b"1.2.3",
        b"1.2.3\0",
        b" 1.2 ",
        b"1.2\\1.3\0",
        b"1.2 \\ 1.3\0 ",
        b"\\1.2",
        b"1.2\\\0",
        b"\xe9\0",
    ],
)
def test_uids(value: bytes | None) -> None:
    """One, several, padded in any way."""
    decoded = convert_UI(value or b"", is_little_endian=True)

    wanted = [decoded] if isinstance(decoded, str) else decoded

    assert [str(one) for one in wanted if decoded] == list(uids_of(value))


def test_values_are_remembered_with_how_they_are_read() -> None:
    """The same bytes in two character sets and two byte orders, by turns."""
    name = Element(PATIENT_NAME, "PN", "\u00e9b".encode() + b" ")
    for charset in ("ISO_IR 192", "ISO_IR 100", "ISO_IR 192"):
        data = instance(name, SpecificCharacterSet=charset)
        assert str(_read(data).PatientName) == str(value_of(_read(data), _NAME)).strip()
    for is_little, wanted in ((True, 8), (False, 0x800), (True, 8)):
        dataset = Dataset({_BITS: RawDataElement(_BITS, "US", 2, b"\x08\0", 0, False, is_little)})
        dataset.set_original_encoding(False, is_little, "iso8859")
        assert wanted == value_of(dataset, _BITS)
        assert wanted == dataset[_BITS].value


def test_a_value_that_is_not_there() -> None:
    """And one that is empty."""
    dataset = _read(instance(Element(PATIENT_NAME, "PN", b"")))

    assert value_of(Dataset(), _NAME) is None
    assert str(value_of(dataset, _NAME)) == ""


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT], ids=["UN", "implicit"])
def test_private_elements_of_several_creators(syntax: Syntax) -> None:
    """The same element of a block is another one by each creator: its VR and what is found in it, by turns."""
    items = encode([Element(0xFFFEE000, "", _UID)], IMPLICIT)
    for creator, vr, value, wanted in (
        ("Silhouette Graphics Export V1.0", "UI", b"1.2.3\0", [(_PRIVATE,)]),
        ("INTEGRIS 1.0", "SQ", items, [(_PRIVATE, 0, 0x00081155)]),
        ("CEMAX-ICON", "LO", b"1.2.3 ", []),
        ("NOBODY", "UN", b"1.2\\1.3", [(_PRIVATE,)]),
        ("NOBODY", "UN", b"A1.2", []),
        ("Silhouette Graphics Export V1.0", "UI", b"A1.2", [(_PRIVATE,)]),
    ):
        block = Element(_CREATOR, "LO", creator.encode().ljust(32)), Element(_PRIVATE, "UN", value)
        dataset = _read(instance(*block, syntax=syntax))
        raw = undecoded(dataset, _PRIVATE)
        assert isinstance(raw, RawDataElement)

        assert vr == private_vr(dataset, raw, charset_of(dataset))
        assert wanted == [path for path, _ in walk_identity(dataset) if path[0] == _PRIVATE]
        assert vr == dataset[_PRIVATE].VR


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT], ids=["UN", "implicit"])
def test_private_values_that_are_none_of_their_vr(syntax: Syntax) -> None:
    """A vendor writes six digits where pydicom's dictionary has FD: nothing is decoded, no walk breaks off."""
    block = Element(0x01F10010, "LO", b"ELSCINT1"), Element(0x01F11026, "UN", b"472866")
    uid = Element(0x00081155, "UI", b"1.2.3\0")

    found = walk_identity(_read(instance(uid, *block, syntax=syntax)))

    assert (0x00081155,) in dict(found)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "file", [file for file in all_files() if file.stat().st_size < _LARGE], ids=lambda file: file.name
)
def test_every_file_of_pydicom(file: Path) -> None:
    """The walk that decodes little finds what one finds that decodes all."""
    data = file.read_bytes()
    try:
        wanted = dict(_walk_decoded(_read(data), ()))
    except Exception:  # noqa: BLE001 (no DICOM)
        pytest.skip("pydicom does not read it")

    found = dict(walk_identity(_read(data)))

    assert wanted == {path: shown for path, element in found.items() if (shown := _shown(path, element))}


def _read(data: bytes) -> Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dcmread(io.BytesIO(data), force=True, stop_before_pixels=True)


def _walk_decoded(dataset: Dataset, above: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], object]]:
    for element in dataset:
        path = (*above, int(element.tag))
        if element.VR == "SQ":
            for number, item in enumerate(element.value or ()):
                yield from _walk_decoded(item, (*path, number))
        elif shown := _shown(path, element):
            yield path, shown


def _shown(path: tuple[int, ...], found: tuple[str, ...] | str | DataElement) -> object:
    """Return the text of a name, or UIDs; None of all else."""
    if not isinstance(found, DataElement):
        return found
    value = found.value
    if path[-1] in (PATIENT_NAME, PATIENT_ID):
        return str(value or "")
    if not value or (found.VR != "UI" and path[-1] not in uid_tags() and not _looks_like_uids(found)):
        return None
    texts = value.decode("latin-1").rstrip(" \0").split("\\") if isinstance(value, bytes) else value
    return tuple(map(str, texts)) if isinstance(texts, (list, MultiValue)) else (str(texts),)


def _looks_like_uids(element: DataElement) -> bool:
    return element.VR == "UN" and bool(re.fullmatch(rb"[0-9.\\]+[ \0]*", element.value))
