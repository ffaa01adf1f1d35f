"""Whether every UID that named an object of the run names what that became; read by pydicom.

Public names: ``check_references``, ``walk_identity``.
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
from pydicom.valuerep import VR
from pydicom.values import convert_value

from deidflow.tasks.core.dicom.private_tags import creator_of, in_block
from deidflow.tasks.core.dicom.tags import PATIENT_ID, PATIENT_NAME, describe_tag, uid_tags
from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.verification.by_pydicom.raw import charset_of, is_kept, kept_value, private_vr, uids_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pydicom import DataElement, Dataset

    from deidflow.tasks.core.ledger.uid_map import Uids
    from deidflow.tasks.core.request.request import Request

    Identity = tuple[str, ...] | str | DataElement
    Found = tuple[tuple[int, ...], Identity]

_IDENTITY: Final = frozenset({PATIENT_NAME, PATIENT_ID})
_LOOKED_AT: Final = frozenset({"SQ", "UI", "UN"})
_PASSED_OVER: Final = frozenset(str(vr.value) for vr in VR) - _LOOKED_AT
_MAY_BE_UIDS: Final = frozenset({"UI", "UN"})
_PRIVATE_LOOKED_AT: Final = frozenset({"", "SQ", "UI"})
"""By pydicom's dictionary: nothing else has UIDs in it, and what a file has need not be what a dictionary says."""
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
    named = frozenset(path.tag for path in request.edits.paths())
    # Whichever block a creator has: the request changes these elements on purpose.
    private = frozenset(in_block(tag, 0x10) for tag in named if creator_of(tag))
    found = dict(in_result)
    for path, element in walk_identity(source):
        counterpart = found.get(path)
        if counterpart is None or _is_named(path, named, private):
            continue
        old, new = _uids(path[-1], element), _uids(path[-1], counterpart)
        if not old or not new:
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


def _is_named(path: tuple[int, ...], named: frozenset[int], private: frozenset[int]) -> bool:
    """Whether a request names an element or a sequence that holds it."""
    tags = path[::2]
    return not named.isdisjoint(tags) or (bool(private) and any(in_block(tag, 0x10) in private for tag in tags))


def walk_identity(dataset: Dataset, above: tuple[int, ...] = ()) -> Iterator[Found]:
    """Yield each UID and each patient's name and ID with its path (tags and item numbers by turns).

    pydicom decodes what bytes alone do not tell, since decoding is what takes its time: UIDs are yielded as a tuple of
    texts, names and IDs as a text where their VR is the usual one, all else as a decoded element.

    Args:
        dataset: As pydicom reads it.
        above: Path of the dataset, () at top level.

    """
    names, charset = _names(), charset_of(dataset)
    # Most elements end here, and what is done for each of them counts.
    read = [(tag, element) for tag, element in dataset.items() if element.VR not in _PASSED_OVER or tag in names]
    for tag, element in read:
        vr, number = element.VR, int(tag)
        if vr is None or vr == "UN":
            vr = _public_vr(number)
        if vr not in _LOOKED_AT and number not in names:
            continue
        path = (*above, number)
        if not isinstance(element, RawDataElement) or number in _IDENTITY or vr == "UN":
            yield from _walk_one(dataset, element, path, charset)
        elif vr == "UI":
            yield path, uids_of(element.value)
        elif vr == "SQ" and element.VR != "UN":
            for below, found in _in_sequence(element, charset):
                yield (*path, *below), found
        else:
            yield from _walk_one(dataset, element, path, charset)


def _walk_one(
    dataset: Dataset, raw: RawDataElement | DataElement, path: tuple[int, ...], charset: tuple[str, ...]
) -> Iterator[Found]:
    """Do it for one element that pydicom may have to decode."""
    if isinstance(raw, RawDataElement):
        if path[-1] in _IDENTITY and is_kept(raw):
            yield path, str(kept_value(raw, charset) or "")
            return
        known = private_vr(dataset, raw, charset) if raw.tag.is_private else ""
        if known == "UN" and _UIDS.fullmatch(raw.value or b""):
            yield path, uids_of(raw.value)
        if raw.tag.is_private and known not in _PRIVATE_LOOKED_AT:
            return
    element = dataset[raw.tag]
    if element.VR == "SQ":
        yield from _walk_items(element.value, path)
    elif element.VR in _MAY_BE_UIDS or path[-1] in _names():
        yield path, element


def _in_sequence(raw: RawDataElement, charset: tuple[str, ...]) -> Iterable[Found]:
    """Return what ``walk_identity`` finds in the items of a sequence, with paths that begin with the item's number."""
    value = raw.value or b""
    read = _read_sequence if len(value) <= _MAX_KEPT_BYTES else _read_sequence.__wrapped__
    return read(value, raw.is_implicit_VR, raw.is_little_endian, charset)


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


@lru_cache(maxsize=8192)
def _public_vr(tag: int) -> str:
    """Return the VR of the dictionary, "UN" where it does not tell."""
    return dictionary_VR(tag) if dictionary_has_tag(tag) else "UN"


def _uids(tag: int, element: Identity) -> Sequence[str]:
    """Return the UIDs of an element; also of what nobody knows the VR of and looks like UIDs; none of others."""
    if isinstance(element, tuple):
        return element
    if isinstance(element, str):
        return ()
    if element.VR == "UI" and element.value:
        return [str(value) for value in ([element.value] if isinstance(element.value, str) else element.value)]
    if element.VR == "UN" and isinstance(element.value, bytes) and _UIDS.fullmatch(element.value):
        return [text.strip(" \0") for text in element.value.decode("ascii").split("\\")]
    if tag in uid_tags() and element.value:
        return _texts(element.value)
    return []


def _texts(value: object) -> list[str]:
    """Return the UIDs of a value that has another VR than UI."""
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    values = value.split("\\") if isinstance(value, str) else value if isinstance(value, MultiValue) else [value]
    return [str(one).replace(" ", "").strip("\t\r\n\f\v\0") for one in values]
