"""Whether a new value fits its element: VR and number of values from the dictionary of public tags.

These checks are the manifest's and the config's. The engines accept what Orthanc accepts, which checks nothing
(reference 2.4).

Public names: ``check_value``, ``check_path``.
"""

from __future__ import annotations

import base64
import binascii
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from pydicom.datadict import dictionary_VM

from deidflow.tasks.core.tags import PIXEL_DATA, Path, describe_tag, dictionary_vr, is_private
from deidflow.tasks.core.value_formats import VALUE_FORMATS, Format

if TYPE_CHECKING:
    from deidflow.tasks.core.edits import Value

_ENCAPSULATED_DOCUMENT: Final = 0x00420011
_OCTETS: Final = "data:application/octet-stream;base64,"
_ANY_DATA_URI: Final = re.compile(r"data:[\w.+-]+/[\w.+-]+;base64,")
_UNIT_BYTES: Final = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}
_VM: Final = re.compile(r"(\d+)(?:-(\d*n|\d+))?")
_FILE_META_GROUP: Final = 0x0002
_SHOWN_GOOD_OCTETS: Final = f"binary data is written as {_OCTETS}..."


class _Rule(NamedTuple):
    """What the dictionary says about the values of one tag."""

    vr: str
    formats: tuple[Format, ...]
    fewest: int
    most: int | None


def check_value(tag: int, value: Value) -> str | None:
    """Find what is wrong with a new value of an element.

    Args:
        tag: The element, at any depth.
        value: Text (backslashes separate values) or items; empty is always fine.

    Returns:
        What is wrong and what a good value looks like, never the value itself; None when it fits.

    """
    if tag >> 16 <= _FILE_META_GROUP or tag & 0xFFFF == 0 or tag >> 16 == 0xFFFE:  # noqa: PLR2004 (items, delimiters)
        return "has no effect: file meta information and group lengths follow from the dataset"
    if isinstance(value, tuple):
        return _check_items(value)
    if not value:
        return None
    if value.startswith(_OCTETS):
        return _check_octets(tag, value)
    if is_private(tag):
        return None
    rule = _rule(tag)
    return None if rule is None else _check_text(tag, rule, value)


def _check_items(items: tuple[tuple[tuple[int, Value], ...], ...]) -> str | None:
    for number, item in enumerate(items, 1):
        for tag, inner in item:
            problem = check_value(tag, inner)
            if problem is not None:
                return f"item {number}, {describe_tag(tag)}: {problem}"
    return None


def _check_octets(tag: int, value: str) -> str | None:
    try:
        size = len(base64.b64decode(value[len(_OCTETS) :], validate=True))
    except (binascii.Error, ValueError):
        return f"the base64 of the data URI cannot be decoded; {_SHOWN_GOOD_OCTETS}"
    unit = _UNIT_BYTES.get(dictionary_vr(tag) or "", 1)
    return f"the decoded data must be a multiple of {unit} bytes" if size % unit else None


def _check_text(tag: int, rule: _Rule, value: str) -> str | None:
    if not rule.formats:
        # Orthanc re-encodes images and takes PDFs by their own MIME types for these two (reference 2.4).
        embedded = tag in (PIXEL_DATA, _ENCAPSULATED_DOCUMENT) and _ANY_DATA_URI.match(value)
        return None if embedded else f"does not fit VR {rule.vr}: {_SHOWN_GOOD_OCTETS}"
    if "\\" not in value or not rule.formats[0].multiple:
        count = 1
        fits = any(fmt.fits(value) for fmt in rule.formats)
    else:
        values = value.split("\\")
        count = len(values)
        fits = any(all(not text or fmt.fits(text) for text in values) for fmt in rule.formats)
    if not fits:
        good = " or ".join(fmt.good for fmt in rule.formats)
        return f"does not fit VR {rule.vr}: {good}"
    if rule.most is not None and count > rule.most:
        return f"has {count} values (a backslash separates values), at most {rule.most} fit"
    if count < rule.fewest:
        return (
            f"has {count} value{'s' if count > 1 else ''} (a backslash separates values), at least {rule.fewest} belong"
        )
    return None


@lru_cache(maxsize=8192)
def _rule(tag: int) -> _Rule | None:
    """Return the rule for a public tag, None for tags that the dictionary lacks."""
    vr = dictionary_vr(tag)
    if vr is None or vr == "SQ":
        return None
    vrs = vr.split(" or ")
    formats = tuple(VALUE_FORMATS[name] for name in vrs if name in VALUE_FORMATS)
    vm = _VM.fullmatch(dictionary_VM(tag).split(" or ")[0])
    if vm is None or not all(fmt.multiple for fmt in formats):
        return _Rule(vr, formats, 1, None)
    fewest = int(vm[1])
    most = fewest if vm[2] is None else None if vm[2].endswith("n") else int(vm[2])
    return _Rule(vr, formats, fewest, most)


def check_path(path: Path) -> str | None:
    """Find a step of a path that is no sequence; Orthanc would do nothing and say nothing (reference 2.3)."""
    for parent, _ in path.parents:
        if dictionary_vr(parent) not in ("SQ", None):
            return f"bad path: {describe_tag(parent)} is no sequence"
    return None
