"""What pydicom makes of elements that it has read and not decoded, without having it decode them.

Decoding an element by ``Dataset.__getitem__`` takes pydicom some ten microseconds, as much as reading ten of them.

Public names: ``undecoded``, ``uids_of``, ``value_of``, ``first_number``, ``is_kept``, ``kept_value``, ``private_vr``,
``charset_of``.
"""

from __future__ import annotations

from collections.abc import MutableSequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from pydicom import Dataset
from pydicom.dataelem import DataElement, RawDataElement, convert_raw_data_element
from pydicom.hooks import hooks
from pydicom.tag import BaseTag

from deidflow.tasks.core.dicom.private_tags import creator_element

if TYPE_CHECKING:
    Creator = tuple[str | None, bytes | None, bool, bool]

_KEPT_VRS: Final = frozenset({"LO", "PN", "US", None})
"""None where the file does not tell it."""
_MAX_KEPT_BYTES: Final = 1 << 10


def undecoded(dataset: Dataset, tag: BaseTag) -> DataElement | RawDataElement | None:
    """Return an element as far as pydicom has read it, None where the dataset has none.

    Args:
        dataset: As pydicom read it.
        tag: Of the element.

    """
    element: DataElement | RawDataElement | None = dataset.get_item(tag)
    return element


def uids_of(value: bytes | None) -> tuple[str, ...]:
    """Return the UIDs of an element whose VR is UI, as pydicom's ``values.convert_UI`` does.

    Args:
        value: Of the element as pydicom read it.

    Returns:
        Each without its padding; nothing where the element is empty, or padding only.

    """
    text = value.decode("latin-1").rstrip(" \0") if value else ""
    if "\\" in text:
        return tuple(one.strip() for one in text.split("\\"))
    return (text.strip(),) if text else ()


def value_of(dataset: Dataset, tag: BaseTag) -> Any:
    """Return what pydicom has as the value of an element.

    Args:
        dataset: As pydicom read it.
        tag: Of a public attribute whose VR is LO, PN or US.

    Returns:
        The value, not to be changed; None where the dataset has no such element.

    Raises:
        Exception: What pydicom raises where it cannot decode it.

    """
    element = undecoded(dataset, tag)
    if isinstance(element, RawDataElement):
        return kept_value(element, charset_of(dataset)) if is_kept(element) else dataset[tag].value
    return None if element is None else element.value


def first_number(dataset: Dataset, tag: BaseTag) -> int:
    """Return the first value of an attribute that should have one, 0 where there is none.

    Args:
        dataset: As pydicom read it.
        tag: Of a public attribute whose VR is US.

    Raises:
        Exception: What pydicom raises where it cannot decode it.

    """
    value = value_of(dataset, tag)
    return int((value[0] if isinstance(value, MutableSequence) else value) or 0)


def is_kept(raw: RawDataElement) -> bool:
    """Whether ``kept_value`` takes an element of a public attribute whose VR is LO, PN or US."""
    return raw.VR in _KEPT_VRS and len(raw.value or b"") <= _MAX_KEPT_BYTES


def kept_value(raw: RawDataElement, charset: tuple[str, ...]) -> Any:
    """Return the value of an element as pydicom decodes it, remembered: instances of a patient have the same name.

    Args:
        raw: Of which ``is_kept`` holds.
        charset: What ``charset_of`` says of the dataset that holds it.

    Returns:
        A text, a ``PersonName``, a number, a ``MultiValue`` of them, or None; not to be changed.

    Raises:
        Exception: What pydicom raises where it cannot decode it.

    """
    return _kept_value(int(raw.tag), raw.VR, raw.value or b"", charset, is_little=raw.is_little_endian)


@lru_cache(maxsize=1024)
def _kept_value(tag: int, vr: str | None, value: bytes, charset: tuple[str, ...], *, is_little: bool) -> Any:
    raw = RawDataElement(BaseTag(tag), vr, len(value), value, 0, vr is None, is_little)
    return convert_raw_data_element(raw, encoding=list(charset) or None).value


def charset_of(dataset: Dataset) -> tuple[str, ...]:
    """Return the names of Python's codecs by which pydicom decodes the texts of a dataset that it read."""
    charset = dataset.original_character_set
    return (charset,) if isinstance(charset, str) else tuple(charset or ())


def private_vr(dataset: Dataset, raw: RawDataElement, charset: tuple[str, ...]) -> str:
    """Return the VR by which pydicom decodes a private element of which the file does not tell it.

    Args:
        dataset: That holds it, as pydicom read it.
        raw: The element; its VR is None or UN.
        charset: What ``charset_of`` says of the dataset.

    Returns:
        As pydicom's dictionary of private elements has it for the block's creator; "LO" for a creator, "UN" where
        pydicom does not know; "" where something has decoded the creator before, so that pydicom is to be asked anew.

    Raises:
        Exception: What pydicom raises where it cannot decode the creator.

    """
    creator = undecoded(dataset, BaseTag(creator_element(raw.tag)))
    if creator is None:
        return _private_vr(int(raw.tag), raw.VR, None, charset)
    if not isinstance(creator, RawDataElement):
        return ""
    read = creator.VR, creator.value, creator.is_implicit_VR, creator.is_little_endian
    return _private_vr(int(raw.tag), raw.VR, read, charset)


@lru_cache(maxsize=4096)
def _private_vr(tag: int, vr: str | None, creator: Creator | None, charset: tuple[str, ...]) -> str:
    """Ask pydicom; a run has few private elements, and many instances of each."""
    dataset = Dataset()
    if creator is not None:
        creator_vr, value, is_implicit, is_little = creator
        at, length = BaseTag(creator_element(tag)), len(value or b"")
        dataset = Dataset({at: RawDataElement(at, creator_vr, length, value, 0, is_implicit, is_little)})
    dataset.set_original_encoding(None, None, list(charset) or None)
    found: dict[str, Any] = {}
    hooks.raw_element_vr(RawDataElement(BaseTag(tag), vr, 0, None, 0, vr is None, True), found, ds=dataset)
    return str(found["VR"])
