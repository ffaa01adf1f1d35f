"""Whether every UID that named an object of the run names what that became; read by pydicom.

Public names: ``check_references``, ``walk_identity``, ``Found``.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import zip_longest
from typing import TYPE_CHECKING, Final

from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag
from pydicom.values import convert_value

from deidflow.tasks.core.dicom.private_tags import creator_of, in_block
from deidflow.tasks.core.dicom.tags import PATIENT_ID, PATIENT_NAME, describe_tag, uid_tags
from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pydicom import DataElement, Dataset

    from deidflow.tasks.core.ledger.uid_map import Uids
    from deidflow.tasks.core.request.request import Request

    Found = tuple[tuple[int, ...], DataElement | RawDataElement]

_IDENTITY: Final = frozenset({PATIENT_NAME, PATIENT_ID})
_LOOKED_AT: Final = frozenset({"SQ", "UI", "UN"})
_MAY_BE_UIDS: Final = frozenset({"UI", "UN"})
_UIDS: Final = re.compile(rb"[0-9.\\]+[ \0]*")
_MAX_KEPT_BYTES: Final = 1 << 14
"""Of a sequence of which it is remembered what is in it."""


def check_references(request: Request, source: Dataset, in_result: Iterable[Found], uids: Uids) -> None:
    """Follow each reference.

    Args:
        request: An anonymization; what it names is its own word.
        source: As pydicom reads it.
        in_result: What ``walk_identity`` finds in the result.
        uids: Of the run.

    Raises:
        InstanceFailed: ``identifier-left`` where an original is still named, ``reference-broken`` where something else
            is.

    """
    named = {path.tag for path in request.edits.paths()}
    # Whichever block a creator has: the request changes these elements on purpose.
    private = {in_block(tag, 0x10) for tag in named if creator_of(tag)}
    found = dict(_uids(in_result))
    for path, old in _uids(walk_identity(source)):
        new = found.get(path)
        if new is None or any(tag in named or in_block(tag, 0x10) in private for tag in path[::2]):
            continue
        # A list that became shorter, as Orthanc's do, lost what it named last.
        for before, after in zip_longest(old, new, fillvalue=""):
            expected = uids.get(path[-1], before)
            if expected is None or after == expected:
                continue
            if after == before:
                text = f"{describe_tag(path[-1])} still names an original object of the run"
                raise InstanceFailed(ReasonCode.IDENTIFIER_LEFT, text)
            if not expected:
                continue
            text = f"{describe_tag(path[-1])} names another object than in the source"
            raise InstanceFailed(ReasonCode.REFERENCE_BROKEN, text)


def walk_identity(dataset: Dataset, above: tuple[int, ...] = ()) -> Iterator[Found]:
    """Yield each UID and each patient's name and ID with its path (tags and item numbers by turns).

    UIDs are yielded as pydicom read them, with their bytes, and the other elements are not decoded, since that is what
    takes its time.
    """
    names = _names()
    for tag, raw in list(dataset.items()):  # as they were read
        vr = _vr(tag, raw.VR)
        if vr not in _LOOKED_AT and tag not in names:
            continue
        path = (*above, int(tag))
        if isinstance(raw, RawDataElement) and isinstance(raw.value, bytes) and tag not in _IDENTITY:
            if vr == "UI":
                yield path, raw
                continue
            if vr == "SQ" and raw.VR != "UN":
                for below, one in _in_sequence(raw, dataset.original_character_set):
                    yield (*path, *below), one
                continue
        element = dataset[tag]
        if element.VR == "SQ":
            yield from _walk_items(element.value, path)
        elif element.VR in _MAY_BE_UIDS or tag in names:
            yield path, element


def _in_sequence(raw: RawDataElement, charset: str | Sequence[str] | None) -> Iterable[Found]:
    """Return what ``walk_identity`` finds in the items of a sequence, with paths that begin with the item's number."""
    value = bytes(raw.value or b"")
    known = (charset,) if isinstance(charset, str) else tuple(charset or ())
    read = _read_sequence if len(value) <= _MAX_KEPT_BYTES else _read_sequence.__wrapped__
    return read(value, raw.is_implicit_VR, raw.is_little_endian, known)


@lru_cache(maxsize=512)
def _read_sequence(value: bytes, is_implicit: bool, is_little: bool, charset: tuple[str, ...]) -> tuple[Found, ...]:
    """Have pydicom read a sequence, and walk through it; instances of a series mostly have the same ones."""
    raw = RawDataElement(BaseTag(0), "SQ", len(value), value, 0, is_implicit, is_little)
    return tuple(_walk_items(convert_value("SQ", raw, list(charset)), ()))


def _walk_items(items: Sequence[Dataset] | None, path: tuple[int, ...]) -> Iterator[Found]:
    for number, item in enumerate(items or ()):
        yield from walk_identity(item, (*path, number))


@lru_cache
def _names() -> frozenset[int]:
    """Return the attributes that are looked at with whatever VR a file gives them."""
    return _IDENTITY | uid_tags()


def _vr(tag: BaseTag, vr: str | None) -> str:
    """Return a VR, "UN" where the file and the dictionary do not tell."""
    if vr not in (None, "UN"):
        return str(vr)
    return dictionary_VR(tag) if dictionary_has_tag(tag) else "UN"


def _uids(identity: Iterable[Found]) -> Iterator[tuple[tuple[int, ...], list[str]]]:
    """Yield each UID element with its path and values; also what nobody knows the VR of and looks like UIDs."""
    for path, element in identity:
        if isinstance(element, RawDataElement):
            text = (element.value or b"").decode("latin-1").rstrip(" \0")
            if text:
                yield path, [value.strip() for value in text.split("\\")]
        elif element.VR == "UI" and element.value:
            values = [element.value] if isinstance(element.value, str) else element.value
            yield path, [str(value) for value in values]
        elif element.VR == "UN" and isinstance(element.value, bytes) and _UIDS.fullmatch(element.value):
            yield path, [text.strip(" \0") for text in element.value.decode("ascii").split("\\")]
        elif path[-1] in uid_tags() and element.value:
            yield path, _texts(element.value)


def _texts(value: object) -> list[str]:
    """Return the UIDs of a value that has another VR than UI."""
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    values = value.split("\\") if isinstance(value, str) else value if isinstance(value, MultiValue) else [value]
    return [str(one).replace(" ", "").strip("\t\r\n\f\v\0") for one in values]
